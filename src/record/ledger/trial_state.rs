//! Owns the states of a trial, as a run's events tell of them. Changes none.

use crate::values::{Failure, Placement, StopReason};

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
    /// Has a checkpoint at a rung, and waits for those that it is compared with.
    Paused {
        /// Optimiser steps done.
        step: u64,
    },
    /// Stopped early, or by a person. What it has done is kept.
    Stopped {
        /// Why.
        reason: StopReason,
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
            Self::Paused { .. } => "paused",
            Self::Stopped { .. } => "stopped",
            Self::Interrupted => "interrupted",
            Self::Done => "done",
            Self::Failed { .. } => "failed",
        }
    }

    /// Why it failed for good, where it did.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        if let Self::Failed { failure } = self { Some(failure) } else { None }
    }

    /// Whether the trial has its fate: done, failed for good, or stopped.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Done | Self::Failed { .. } | Self::Stopped { .. } => true,
            Self::Waiting | Self::Running { .. } | Self::Paused { .. } | Self::Interrupted => false,
        }
    }
}
