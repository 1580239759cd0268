//! Owns the keys of all random streams: initialisation, dropout, data order.
//!
//! A key depends on the trial's seed and split and on what is drawn, never on its slot, its pack, its device or
//! the trials next to it. Trials with the same seed and split share their streams: they are compared under the
//! same draws, and slots that see the same batch can share work.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::values::Trial;

/// The root of one trial's random streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamKey(u64);

/// What a stream is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw<'a> {
    /// Starting values of the tensor of this name.
    Init(&'a str),
    /// Order of the rows in this epoch, counted from 0.
    Order(u64),
    /// Rows that a sweep uses of a data file.
    Sample,
    /// Training rows that are held out as test rows.
    Test,
    /// Division of rows into folds.
    Split,
    /// Dropout mask number `site` in micro-batch `step` (both counted from 0).
    Dropout {
        /// Micro-batch since the start of training.
        step: u64,
        /// Position of the dropout layer in the forward pass.
        site: u64,
    },
}

impl StreamKey {
    /// The key of a trial.
    #[must_use]
    pub fn of(trial: &Trial) -> Self {
        let fold = u64::try_from(trial.fold).expect("folds are few");
        Self(mix(mix(trial.configuration.training.seed) ^ fold))
    }

    /// A key from a plain seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// The seed of one draw: 63 bits, as libtorch takes.
    #[must_use]
    pub fn seed(self, draw: Draw<'_>) -> u64 {
        let word = match draw {
            Draw::Init(name) => {
                mix(1) ^ mix(crate::values::ContentHash::of_bytes(name.as_bytes()).leading_u64())
            }
            Draw::Order(epoch) => mix(mix(2) ^ epoch),
            Draw::Sample => mix(4),
            Draw::Split => mix(5),
            Draw::Test => mix(6),
            Draw::Dropout { step, site } => mix(mix(mix(3) ^ step) ^ site),
        };
        mix(self.0 ^ word) >> 1
    }

    /// A generator for one draw on the host.
    #[must_use]
    pub fn rng(self, draw: Draw<'_>) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed(draw))
    }
}

/// The finaliser of SplitMix64 (Steele, Lea & Flood 2014): a bijection that scatters all bits.
fn mix(word: u64) -> u64 {
    let mut z = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
