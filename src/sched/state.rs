//! Owns how a job moves from state to state. One function, total over states and events.

use std::time::SystemTime;

use crate::sched::JobState;
use crate::sched::ladder::Rung;
use crate::values::Failure;

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
    /// The policy allows another start, at this time or as soon as there is a place.
    pub(super) again: Again,
    /// What can be tried if memory ran out.
    pub(super) rung: Rung,
    /// Every trial of the job has its fate already.
    pub(super) settled: bool,
    /// The run is ending: jobs were asked to stop, and none starts again.
    pub(super) ending: bool,
}

/// Whether and when a job may start again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    Never,
    AtOnce,
    At(SystemTime),
}

/// What follows from an event for its job.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Transition {
    /// The job is in a new state.
    To(JobState),
    /// Two jobs take its place, with half of its trials each.
    Halve,
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
        (JobState::Launched { .. } | JobState::Running { .. }, Change::Ended(end)) => after_end(end, now),
        (JobState::Running { .. }, Change::Started)
        | (
            JobState::Blocked { .. }
            | JobState::Ready
            | JobState::Paused { .. }
            | JobState::Done
            | JobState::Failed { .. }
            | JobState::Replaced { .. }
            | JobState::Skipped { .. }
            | JobState::Cancelled,
            Change::Started | Change::Ended(_),
        ) => Transition::Refused,
    }
}

fn after_end(end: End, now: Circumstances) -> Transition {
    let next = match end {
        End::Finished => JobState::Done,
        End::Failed(reason) if now.settled => JobState::Failed { reason },
        End::Failed(Failure::Unwritable { .. }) => JobState::Cancelled,
        // A child that dies of a signal while the run is ending died of ours.
        End::Failed(Failure::Killed { .. }) if now.ending => JobState::Cancelled,
        End::Failed(Failure::OutOfMemory) => match now.rung {
            Rung::Floor => JobState::Failed { reason: Failure::OutOfMemory },
            Rung::Halves | Rung::Alone | Rung::Rows(_) if now.ending => JobState::Cancelled,
            Rung::Halves => return Transition::Halve,
            Rung::Alone | Rung::Rows(_) => JobState::Ready,
        },
        End::Failed(reason) if !reason.is_mendable() => JobState::Failed { reason },
        End::Failed(reason) => again(now).unwrap_or(JobState::Failed { reason }),
        // Asked to stop by us or by somebody else; its checkpoint is in place either way.
        End::Interrupted => again(now).unwrap_or(JobState::Cancelled),
    };
    Transition::To(next)
}

/// How a job stands that may start again: in this run, or in the next where this one is ending.
fn again(now: Circumstances) -> Option<JobState> {
    match now.again {
        Again::Never => None,
        Again::AtOnce | Again::At(_) if now.ending => Some(JobState::Cancelled),
        Again::AtOnce => Some(JobState::Ready),
        Again::At(until) => Some(JobState::Paused { until }),
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
            | Self::Paused { .. }
            | Self::Done
            | Self::Failed { .. }
            | Self::Replaced { .. }
            | Self::Skipped { .. }
            | Self::Cancelled => false,
        }
    }

    /// Whether the job will never change its state again in this run.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self {
            Self::Done
            | Self::Failed { .. }
            | Self::Replaced { .. }
            | Self::Skipped { .. }
            | Self::Cancelled => true,
            Self::Blocked { .. }
            | Self::Ready
            | Self::Paused { .. }
            | Self::Launched { .. }
            | Self::Running { .. } => false,
        }
    }
}
