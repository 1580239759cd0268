//! Owns how a trial changes state: one function, total over states and changes. Decides no change itself. Owns also
//! which of its steps a trial does next.

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
    /// Waits for a decision: at a rung, or before its first step until its configuration has come through all rungs.
    Held,
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
    /// Stopped early, or by a person.
    Stopped,
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
    Placed {
        job: JobKey,
    },
    Returned {
        turn: Turn,
    },
    Paused {
        until: SystemTime,
        turn: Turn,
    },
    Finished,
    Failed {
        failure: Failure,
    },
    Skipped {
        store: ContentHash,
    },
    /// It waits for a decision.
    Held,
    /// It goes on after one.
    Released {
        turn: Turn,
    },
    Stopped,
    Cancelled,
}

/// The next state; `None` where the change makes no sense in this state and is ignored: only placed trials can
/// end, and a state that is over stays; a person may let one go on that was stopped.
pub(super) fn transition(state: &TrialState, change: Change) -> Option<TrialState> {
    use TrialState::{Cancelled, Done, Failed, Held, Paused, Placed, Skipped, Stopped, Waiting};
    match (state, change) {
        // By the clock of a journal that is read back, a pause may look longer than it was.
        (Waiting { .. } | Paused { .. }, Change::Placed { job }) => Some(Placed { job }),
        (Waiting { .. } | Held, Change::Skipped { store }) => Some(Skipped { store }),
        (Paused { .. } | Placed { .. }, Change::Returned { turn }) => Some(Waiting { turn }),
        (Placed { .. }, Change::Paused { until, turn }) => Some(Paused { until, turn }),
        (Placed { .. }, Change::Finished) => Some(Done),
        (Placed { .. }, Change::Failed { failure }) => Some(Failed { failure }),
        // One that was stopped may have to wait before it goes on.
        (Waiting { .. } | Paused { .. } | Placed { .. } | Stopped, Change::Held) => Some(Held),
        (Held | Stopped, Change::Released { turn }) => Some(Waiting { turn }),
        (Waiting { .. } | Paused { .. } | Held, Change::Stopped) => Some(Stopped),
        (Waiting { .. } | Paused { .. } | Placed { .. } | Held, Change::Cancelled) => Some(Cancelled),
        (
            Waiting { .. },
            Change::Returned { .. }
            | Change::Paused { .. }
            | Change::Finished
            | Change::Failed { .. }
            | Change::Released { .. },
        )
        | (
            Paused { .. },
            Change::Paused { .. }
            | Change::Finished
            | Change::Failed { .. }
            | Change::Skipped { .. }
            | Change::Released { .. },
        )
        | (
            Placed { .. },
            Change::Placed { .. } | Change::Skipped { .. } | Change::Released { .. } | Change::Stopped,
        )
        | (
            Held,
            Change::Placed { .. }
            | Change::Returned { .. }
            | Change::Paused { .. }
            | Change::Finished
            | Change::Failed { .. }
            | Change::Held,
        )
        | (
            Stopped,
            Change::Placed { .. }
            | Change::Returned { .. }
            | Change::Paused { .. }
            | Change::Finished
            | Change::Failed { .. }
            | Change::Skipped { .. }
            | Change::Stopped
            | Change::Cancelled,
        )
        | (
            Done | Failed { .. } | Skipped { .. } | Cancelled,
            Change::Placed { .. }
            | Change::Returned { .. }
            | Change::Paused { .. }
            | Change::Finished
            | Change::Failed { .. }
            | Change::Skipped { .. }
            | Change::Held
            | Change::Released { .. }
            | Change::Stopped
            | Change::Cancelled,
        ) => None,
    }
}

impl TrialState {
    /// Whether nothing more is to be done for the trial in this run, unless a person says so.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self {
            Self::Done | Self::Failed { .. } | Self::Skipped { .. } | Self::Stopped | Self::Cancelled => true,
            Self::Waiting { .. } | Self::Paused { .. } | Self::Held | Self::Placed { .. } => false,
        }
    }
}

/// The steps that a trial does next, as shares of all its steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    /// How far it was when it paused the last time.
    pub(super) from: f64,
    /// Where it pauses again; `None` where it does not.
    pub(super) until: Option<f64>,
}

impl Part {
    /// All steps of a trial.
    pub(super) const WHOLE: Self = Self { from: 0.0, until: None };

    /// Its share of all steps.
    pub(super) fn share(self) -> f64 {
        (self.until.unwrap_or(1.0) - self.from).max(0.0)
    }

    /// How much of it is done once this share of all steps is.
    pub(super) fn done_at(self, share: f64) -> f64 {
        ((share - self.from) / self.share().max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
    }
}
