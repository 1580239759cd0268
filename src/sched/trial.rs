//! Owns how a trial moves from state to state. One function, total over states and changes.

use std::time::SystemTime;

use crate::values::{ContentHash, Failure, JobKey};

/// Where a trial stands.
#[derive(Clone, Debug, PartialEq)]
pub enum TrialState {
    /// Waits for a place, and for its store where that is not prepared yet.
    Waiting {
        /// What it may start with.
        turn: Turn,
    },
    /// Failed, and waits for the time of its next start.
    Paused {
        /// When that is.
        until: SystemTime,
        /// What it may start with then.
        turn: Turn,
    },
    /// In a job that is at work, or about to be.
    Placed {
        /// Which job.
        job: JobKey,
    },
    /// Has its result.
    Done,
    /// Failed for good.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Cannot start, since its store could not be prepared.
    Skipped {
        /// Which store.
        store: ContentHash,
    },
    /// Not done when the run ended.
    Cancelled,
}

/// What a trial that waits may start with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// Any trials that it could train with.
    InLane,
    /// Those alone that failed with it, or half of them: nobody knows which of them is to blame.
    Together {
        /// The number of their group.
        group: usize,
    },
    /// Nothing, and nothing beside it: it ran out of memory.
    Alone,
}

/// What becomes of a trial.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    Placed { job: JobKey },
    Returned { turn: Turn },
    Paused { until: SystemTime, turn: Turn },
    Finished,
    Failed { failure: Failure },
    Skipped { store: ContentHash },
    Cancelled,
}

/// The state that follows; `None` where the change makes no sense in this state, so that nothing changes:
/// only what was placed can end, and what has ended stays as it is.
pub(super) fn transition(state: &TrialState, change: Change) -> Option<TrialState> {
    match (state, change) {
        // By the clock of a journal that is read back, a pause may last for longer than it did.
        (TrialState::Waiting { .. } | TrialState::Paused { .. }, Change::Placed { job }) => {
            Some(TrialState::Placed { job })
        }
        (TrialState::Waiting { .. }, Change::Skipped { store }) => Some(TrialState::Skipped { store }),
        (TrialState::Paused { .. } | TrialState::Placed { .. }, Change::Returned { turn }) => {
            Some(TrialState::Waiting { turn })
        }
        (TrialState::Placed { .. }, Change::Paused { until, turn }) => {
            Some(TrialState::Paused { until, turn })
        }
        (TrialState::Placed { .. }, Change::Finished) => Some(TrialState::Done),
        (TrialState::Placed { .. }, Change::Failed { failure }) => Some(TrialState::Failed { failure }),
        (
            TrialState::Waiting { .. } | TrialState::Paused { .. } | TrialState::Placed { .. },
            Change::Cancelled,
        ) => Some(TrialState::Cancelled),
        (
            TrialState::Waiting { .. },
            Change::Returned { .. } | Change::Paused { .. } | Change::Finished | Change::Failed { .. },
        )
        | (
            TrialState::Paused { .. },
            Change::Paused { .. } | Change::Finished | Change::Failed { .. } | Change::Skipped { .. },
        )
        | (TrialState::Placed { .. }, Change::Placed { .. } | Change::Skipped { .. })
        | (
            TrialState::Done | TrialState::Failed { .. } | TrialState::Skipped { .. } | TrialState::Cancelled,
            Change::Placed { .. }
            | Change::Returned { .. }
            | Change::Paused { .. }
            | Change::Finished
            | Change::Failed { .. }
            | Change::Skipped { .. }
            | Change::Cancelled,
        ) => None,
    }
}

impl TrialState {
    /// Whether the trial will never change its state again in this run.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self {
            Self::Done | Self::Failed { .. } | Self::Skipped { .. } | Self::Cancelled => true,
            Self::Waiting { .. } | Self::Paused { .. } | Self::Placed { .. } => false,
        }
    }
}
