//! Owns what trials train on, as it was decided in this run and in earlier ones, also of trials that the sweep no
//! longer has. Decides nothing.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::values::{TrialId, TrialsOfWidth, Width};

/// What a trial trains on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecidedWidth {
    /// On how many cores, or on a GPU.
    pub width: Width,
    /// When that was decided.
    pub at: Timestamp,
}

/// The last decision on each trial.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Widths(HashMap<TrialId, DecidedWidth>);

impl Widths {
    pub(super) fn add(&mut self, at: Timestamp, widths: &[TrialsOfWidth]) {
        for TrialsOfWidth { width, trials } in widths {
            let decided = DecidedWidth { width: *width, at };
            self.0.extend(trials.iter().map(|trial| (*trial, decided)));
        }
    }

    pub(super) fn of(&self, trial: TrialId) -> Option<DecidedWidth> {
        self.0.get(&trial).copied()
    }
}
