//! Owns the raw form of `search`. Compares no value with another.

use crate::search::{Baselines, ComparedOn, Sampler, Stop, Ties};
use crate::spec::read::Fields;
use crate::spec::source::{At, Place};

/// `search`.
#[derive(Debug)]
pub(in crate::spec) struct RawSearch {
    pub(in crate::spec) place: Place,
    pub(in crate::spec) sampler: Option<At<Sampler>>,
    pub(in crate::spec) trials: Option<At<usize>>,
    /// `trials` is in the file, with a good or a bad value.
    pub(in crate::spec) has_trials: bool,
    /// Points of a generation.
    pub(in crate::spec) generation: Option<At<usize>>,
    /// The time that all runs may take, as it is written.
    pub(in crate::spec) budget: Option<At<String>>,
    pub(in crate::spec) seed: u64,
    pub(in crate::spec) stop: RawStop,
}

/// The keys of `search` about what is stopped early.
#[derive(Debug)]
pub(in crate::spec) struct RawStop {
    pub(in crate::spec) stop: Option<At<Option<Stop>>>,
    pub(in crate::spec) keep: Option<At<f64>>,
    pub(in crate::spec) rank_by: Option<At<String>>,
    pub(in crate::spec) ties: Option<At<Ties>>,
    pub(in crate::spec) folds: Option<At<ComparedOn>>,
    pub(in crate::spec) baselines: Option<At<Baselines>>,
}

impl RawSearch {
    /// Reads the mapping under the key.
    pub(super) fn read(top: &Fields<'_>, fields: &Fields<'_>) -> Self {
        Self {
            place: top.key_place("search").unwrap_or(fields.place),
            sampler: fields.take("sampler", |value| Sampler::of(value.word()?)),
            trials: fields.size("trials"),
            has_trials: fields.has("trials"),
            generation: fields.size("generation"),
            budget: fields.text("budget"),
            seed: fields.seed("seed"),
            stop: RawStop {
                stop: fields.take("stop", |value| Stop::of(value.word()?)),
                keep: fields.number("keep"),
                rank_by: fields.text("rank_by"),
                ties: fields.take("ties", |value| Ties::of(value.word()?)),
                folds: fields.take("folds", |value| ComparedOn::of(value.word()?)),
                baselines: fields.take("baselines", |value| Baselines::of(value.word()?)),
            },
        }
    }
}
