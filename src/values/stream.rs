//! Owns the keys of all random streams: starting values, dropout masks, data order.
//!
//! A key depends on the trial's seed and split and on what is drawn, never on its slot, its pack, its device or
//! the trials next to it. Trials with the same seed and split share their streams: they are compared under the
//! same draws, and slots that see the same batch can share work.
//!
//! Orders, samples and folds are drawn number after number. Starting values and dropout masks are read from
//! [`Words`] by place, so that each element is the same on every machine and device, however it is computed.

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
    /// Validation rows that are judged between validations of all.
    Judged,
    /// Points that a search proposes after so many others.
    Proposals(u64),
    /// Dropout mask number `site` in optimiser step `step` (both counted from 0).
    Dropout {
        /// Optimiser steps done before.
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

    /// A generator for one draw.
    #[must_use]
    pub fn rng(self, draw: Draw<'_>) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.key(draw) >> 1)
    }

    /// The words of one draw.
    #[must_use]
    pub fn words(self, draw: Draw<'_>) -> Words {
        Words(self.key(draw))
    }

    fn key(self, draw: Draw<'_>) -> u64 {
        let word = match draw {
            Draw::Init(name) => {
                mix(1) ^ mix(crate::values::ContentHash::of_bytes(name.as_bytes()).leading_u64())
            }
            Draw::Order(epoch) => mix(mix(2) ^ epoch),
            Draw::Sample => mix(4),
            Draw::Split => mix(5),
            Draw::Test => mix(6),
            Draw::Judged => mix(7),
            Draw::Proposals(before) => mix(mix(8) ^ before),
            Draw::Dropout { step, site } => mix(mix(mix(3) ^ step) ^ site),
        };
        mix(self.0 ^ word)
    }
}

/// Random 64-bit words, each a function of a key and its number alone: SplitMix64 (Steele, Lea & Flood 2014).
///
/// All streams are stretches of one cycle of 2^64 words, so that parts of two may be equal, at other numbers:
/// among four million masks of 2^18 words each, two overlap with a chance of about one in four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words(u64);

impl Words {
    /// Distance of the states of two consecutive words, modulo 2^64.
    pub const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    /// What makes a word of a state: in each round it is combined with its own high bits by "exclusive or", from
    /// this bit on, and multiplied by this factor.
    pub const ROUNDS: [(u32, u64); 3] = [(30, 0xbf58_476d_1ce4_e5b9), (27, 0x94d0_49bb_1331_11eb), (31, 1)];

    /// The state of word number `at`, from which [`Words::of_state`] makes the word.
    #[must_use]
    pub fn state(self, at: u64) -> u64 {
        self.0.wrapping_add(at.wrapping_add(1).wrapping_mul(Self::STEP))
    }

    /// The word of a state: a bijection that scatters all bits.
    #[inline]
    #[must_use]
    pub fn of_state(state: u64) -> u64 {
        let [(a, first), (b, second), (c, _)] = Self::ROUNDS;
        let z = (state ^ (state >> a)).wrapping_mul(first);
        let z = (z ^ (z >> b)).wrapping_mul(second);
        z ^ (z >> c)
    }

    /// Word number `at`.
    #[must_use]
    pub fn word(self, at: u64) -> u64 {
        Self::of_state(self.state(at))
    }

    /// Consecutive words, from number `at` on.
    pub fn fill(self, at: u64, words: &mut [u64]) {
        let mut state = self.state(at);
        for word in words {
            *word = Self::of_state(state);
            state = state.wrapping_add(Self::STEP);
        }
    }
}

/// The first word of a key.
fn mix(key: u64) -> u64 {
    Words(key).word(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sebastiano Vigna's splitmix64.c gives these for the seed 1234567.
    #[test]
    fn words_are_those_of_splitmix64() {
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([0, 1, 2].map(|at| Words(1_234_567).word(at)), expected);
        let mut words = [0; 2];
        Words(1_234_567).fill(1, &mut words);
        assert_eq!(words, expected[1..]);
    }

    #[test]
    fn keys_of_masks_stay_what_they_are() {
        let key = StreamKey(mix(mix(42)));
        assert_eq!(key, StreamKey(0x57e1_faba_6510_7204));
        for (step, site, words) in [
            (0, 0, [0xdebb_dae2_e188_a0ec, 0xac08_0233_d5e4_3a43]),
            (0, 1, [0xd99e_76f3_bcf5_c13a, 0x835f_859d_9411_0cf0]),
            (1, 0, [0xeee7_6198_8ade_748f, 0xffd9_25ce_ed0a_ebf4_u64]),
        ] {
            assert_eq!([0, 1].map(|at| key.words(Draw::Dropout { step, site }).word(at)), words);
        }
    }
}
