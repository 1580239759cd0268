//! Owns the states of a trial, as a run's events tell of them. Changes none.

use crate::values::{Failure, Placement};

/// The state of a trial.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum TrialState {
    /// Not started yet, or just about to be.
    #[default]
    Waiting,
    /// Training now.
    Running {
        /// Where.
        placement: Placement,
        /// Process id of its child.
        pid: u32,
    },
    /// Started, not finished, and no process is working on it now.
    Interrupted,
    /// Finished, with a result.
    Done,
    /// Failed, and not to be tried again unless asked.
    Failed {
        /// Why.
        failure: Failure,
    },
}

impl TrialState {
    /// The state's name in tables and data.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running { .. } => "running",
            Self::Interrupted => "interrupted",
            Self::Done => "done",
            Self::Failed { .. } => "failed",
        }
    }

    /// Whether the trial has its fate: done, or failed for good.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Done | Self::Failed { .. } => true,
            Self::Waiting | Self::Running { .. } | Self::Interrupted => false,
        }
    }
}
