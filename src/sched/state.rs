//! Owns how a job moves from state to state. One function, total over states and events.

use crate::outcome::Failure;
use crate::sched::JobState;

/// What became of a job's child process.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    Started,
    Ended(End),
}

/// How a child process ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum End {
    Finished,
    Failed(Failure),
    Interrupted,
}

/// What decides how an end is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Circumstances {
    /// Most starts of a job.
    pub(super) attempts: u32,
    /// The run is ending: jobs were asked to stop, and none starts again.
    pub(super) ending: bool,
}

/// What follows from an event for its job.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Transition {
    /// The job is in a new state.
    To(JobState),
    /// The event makes no sense in this state: a job that was never started cannot end, and one
    /// that ended cannot end again. Nothing changes.
    Refused,
}

/// The state that follows from what became of a job's child process.
///
/// A child may end before it was seen to start, so that `Launched` and `Running` end alike.
pub(super) fn transition(state: &JobState, change: Change, now: Circumstances) -> Transition {
    match (state, change) {
        (JobState::Launched { placement, attempt }, Change::Started) => {
            Transition::To(JobState::Running { placement: placement.clone(), attempt: *attempt })
        }
        (JobState::Launched { attempt, .. } | JobState::Running { attempt, .. }, Change::Ended(end)) => {
            Transition::To(after_end(*attempt, end, now))
        }
        (JobState::Running { .. }, Change::Started)
        | (
            JobState::Blocked { .. }
            | JobState::Ready
            | JobState::Done
            | JobState::Failed { .. }
            | JobState::Skipped { .. }
            | JobState::Cancelled,
            Change::Started | Change::Ended(_),
        ) => Transition::Refused,
    }
}

fn after_end(attempt: u32, end: End, now: Circumstances) -> JobState {
    let again = attempt < now.attempts && !now.ending;
    match end {
        End::Finished => JobState::Done,
        // A child that dies of a signal while the run is ending died of ours.
        End::Failed(Failure::Killed { .. }) if now.ending => JobState::Cancelled,
        End::Failed(failure) if again && mendable(&failure) => JobState::Ready,
        End::Failed(reason) => JobState::Failed { reason },
        // Asked to stop by us or by somebody else; its checkpoint is in place either way.
        End::Interrupted if again => JobState::Ready,
        End::Interrupted => JobState::Cancelled,
    }
}

/// Whether another start can go better. What the numbers or the data decide happens again.
fn mendable(failure: &Failure) -> bool {
    match failure {
        Failure::OutOfMemory
        | Failure::TimedOut
        | Failure::Exited { .. }
        | Failure::Killed { .. }
        | Failure::HostLost => true,
        Failure::Diverged { .. } | Failure::BadData { .. } => false,
    }
}

impl JobState {
    /// Whether the job has a child process, or is about to.
    #[must_use]
    pub fn is_active(&self) -> bool {
        match self {
            Self::Launched { .. } | Self::Running { .. } => true,
            Self::Blocked { .. }
            | Self::Ready
            | Self::Done
            | Self::Failed { .. }
            | Self::Skipped { .. }
            | Self::Cancelled => false,
        }
    }

    /// Whether the job will never change its state again in this run.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self {
            Self::Done | Self::Failed { .. } | Self::Skipped { .. } | Self::Cancelled => true,
            Self::Blocked { .. } | Self::Ready | Self::Launched { .. } | Self::Running { .. } => false,
        }
    }
}
