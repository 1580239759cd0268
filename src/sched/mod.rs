//! Owns which job starts next, and where. Pure: no I/O, reads no clock.
//!
//! The run loop feeds [`Event`]s to the [`Scheduler`] and carries out the [`Action`]s it returns.
//! `state` holds the one transition function, `place` the queue and the places, `step` the whole
//! decision, `explain` says why a job stands where it does.

mod explain;
mod place;
#[cfg(test)]
mod simulation;
mod state;
mod step;
#[cfg(test)]
mod tests;

pub use explain::Explanation;
pub use step::Scheduler;

use crate::job::Placement;
use crate::outcome::Failure;
use crate::plan::JobId;

/// How the scheduler treats failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The first job that fails for good ends the run; running jobs are asked to stop.
    pub fail_fast: bool,
    /// Most starts of a job in one run, at least 1. Only failures that another start can mend are
    /// tried again.
    pub attempts: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { fail_fast: false, attempts: 1 }
    }
}

/// What happened. Times come with the call, not from a clock.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The run began: look for ready jobs.
    RunStarted,
    /// A job's child process is up.
    JobStarted {
        /// Which job.
        job: JobId,
    },
    /// A job did all of its work.
    JobFinished {
        /// Which job.
        job: JobId,
    },
    /// A job ended without doing its work.
    JobFailed {
        /// Which job.
        job: JobId,
        /// Why.
        failure: Failure,
    },
    /// A job ended because it was asked to; its checkpoint is in place.
    JobInterrupted {
        /// Which job.
        job: JobId,
    },
    /// The user wants the run to end.
    StopRequested {
        /// Kill rather than wait for checkpoints.
        force: bool,
    },
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start a job.
    Launch {
        /// Which job.
        job: JobId,
        /// 1 for its first start in this run.
        attempt: u32,
        /// Where.
        placement: Placement,
    },
    /// Ask a job to write its checkpoints and end, or kill it.
    Stop {
        /// Which job.
        job: JobId,
        /// Kill rather than wait for checkpoints.
        force: bool,
    },
    /// Nothing is running and nothing more can start.
    End,
}

/// Where a job stands.
#[derive(Clone, Debug, PartialEq)]
pub enum JobState {
    /// Waits for jobs it needs.
    Blocked {
        /// How many of them are not done.
        unmet: usize,
    },
    /// Waits for a place.
    Ready,
    /// Asked to start.
    Launched {
        /// Where.
        placement: Placement,
        /// Which start it is.
        attempt: u32,
    },
    /// At work.
    Running {
        /// Where.
        placement: Placement,
        /// Which start it is.
        attempt: u32,
    },
    /// Did its work.
    Done,
    /// Ended without doing its work, and will not be tried again.
    Failed {
        /// Why.
        reason: Failure,
    },
    /// Cannot start, since a job it needs failed.
    Skipped {
        /// The job that failed.
        because: JobId,
    },
    /// Not done when the user ended the run.
    Cancelled,
}
