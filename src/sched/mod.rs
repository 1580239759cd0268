//! Owns which job starts next, and where. Pure: no I/O, reads no clock.
//!
//! The run loop feeds [`Event`]s to the scheduler and carries out the [`Action`]s it returns.

use crate::job::Placement;
use crate::outcome::Failure;
use crate::plan::JobId;

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
