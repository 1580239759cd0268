//! Owns how a trial changes state: one function, total over states and changes. Decides no change itself.

use std::time::SystemTime;

use crate::values::{ContentHash, Failure, JobKey};

/// The state of a trial.
#[derive(Clone, Debug, PartialEq)]
pub enum TrialState {
    /// Waits for a place, and for its store if that is not prepared yet.
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
    /// In a job that runs, or is about to.
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
    /// Neither done nor failed, and not continued in this run: it was stopped, or the run ended.
    Cancelled,
}

/// What a waiting trial may start with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// Any trials that it can train with.
    InLane,
    /// Only trials that failed with it, all or half of them: it is not known which of them is to blame.
    Together {
        /// The number of their group.
        group: usize,
    },
    /// No other trial, and nothing else running: it ran out of memory.
    Alone,
}

/// What happens to a trial.
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

/// The next state; `None` where the change makes no sense in this state and is ignored: only placed trials can
/// end, and a state that is over stays.
pub(super) fn transition(state: &TrialState, change: Change) -> Option<TrialState> {
    match (state, change) {
        // By the clock of a journal that is read back, a pause may look longer than it was.
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
