//! Owns which job starts next, and where. Pure: no I/O, reads no clock.
//!
//! The run loop feeds [`GraphEvent`]s to the [`GraphScheduler`] and carries out the [`GraphAction`]s it returns.
//! `state` holds the one transition function, `ladder` what is tried after memory ran out, `place` the
//! queue and the places, `retry` what earlier starts mean, `fill` who takes the place of a trial that ended, `step`
//! the whole decision, `explain` says why a job stands where it does.

mod explain;
mod fill;
mod keyed;
mod ladder;
mod place;
mod queue;
mod retry;
#[cfg(test)]
mod scarcity;
#[cfg(test)]
mod simulation;
mod state;
mod step;
#[cfg(test)]
mod tests;

pub use explain::Explanation;
pub use keyed::{Action, Launch, Scheduler};
pub use step::GraphScheduler;

use std::time::{Duration, SystemTime};

use crate::plan::JobId;
use crate::values::{Device, Failure, Placement, TrialId};

/// The longest pause before a job starts again.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How long a job that ran past its limit may take to write its checkpoints before it is killed.
const GRACE: Duration = Duration::from_secs(30);

/// How the scheduler treats failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The first job or trial that fails for good ends the run; running jobs are asked to stop.
    pub fail_fast: bool,
    /// Most starts of a job in one run, at least 1. Only failures that another start can mend are
    /// tried again, and starts that ran out of memory do not count: they come to an end by
    /// themselves, since each asks for less than the one before.
    pub attempts: u32,
    /// Pause before the second start; it doubles before each later one, up to five minutes.
    pub pause: Duration,
    /// Longest time that one start of a trial may take. A pack has that for each of its trials.
    pub trial_timeout: Option<Duration>,
}

impl Policy {
    /// Everything starts once and may take its time.
    pub const ONCE: Self = Self { fail_fast: false, attempts: 1, pause: Duration::ZERO, trial_timeout: None };

    /// Pause before a job starts again that failed so many times.
    fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.pause.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
    }
}

/// What happened. Times come with the call, not from a clock.
#[derive(Clone, Debug, PartialEq)]
pub enum GraphEvent {
    /// The run began: look for ready jobs.
    RunStarted,
    /// A job's child process is up.
    JobStarted {
        /// Which job.
        job: JobId,
    },
    /// A trial of a running pack has its result.
    TrialFinished {
        /// The job that trained it.
        job: JobId,
        /// Which trial.
        trial: TrialId,
    },
    /// A trial of a running pack failed for good; the rest of the pack goes on.
    TrialFailed {
        /// The job that trains it.
        job: JobId,
        /// Which trial.
        trial: TrialId,
    },
    /// A job ended, or is about to, before its child took a trial that [`GraphAction::Join`] gave it.
    TrialReturned {
        /// The job that was to train it.
        job: JobId,
        /// Which trial.
        trial: TrialId,
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
    /// The time came for which [`GraphAction::WakeAt`] asked.
    Woke,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum GraphAction {
    /// Start a job.
    Launch {
        /// Which job.
        job: JobId,
        /// 1 for its first start in this run.
        attempt: u32,
        /// Where.
        placement: Placement,
        /// Most rows of a trial to take through the model at a time; the rest of a step accumulates.
        micro_rows: Option<usize>,
    },
    /// Give a job at work one more trial to train. Answered by [`GraphEvent::TrialReturned`] where its child
    /// does not take it any more.
    Join {
        /// Which job.
        job: JobId,
        /// The trial; the graph has it among those of the job already.
        trial: TrialId,
    },
    /// Ask a job to write its checkpoints and end, or kill it.
    Stop {
        /// Which job.
        job: JobId,
        /// Kill rather than wait for checkpoints.
        force: bool,
    },
    /// The same for a job that ran past the time limit of its trials: they fail.
    CutShort {
        /// Which job.
        job: JobId,
        /// Kill rather than wait for checkpoints.
        force: bool,
    },
    /// Say that a device gets no more jobs: it failed twice in a row, with different ones.
    Retire {
        /// Which device.
        device: Device,
    },
    /// Report [`GraphEvent::Woke`] at this time; the latest such wish counts.
    WakeAt {
        /// When.
        at: SystemTime,
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
    /// Failed, and waits for the time of its next start.
    Paused {
        /// When that is.
        until: SystemTime,
    },
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
    /// Other jobs do its work: it ran out of memory and was split into them, half of the trials each, or
    /// all of its trials joined running packs before it started, the last of which is named.
    Replaced {
        /// Those jobs.
        by: Vec<JobId>,
    },
    /// Cannot start, since a job it needs failed.
    Skipped {
        /// The job that failed.
        because: JobId,
    },
    /// Not done when the user ended the run.
    Cancelled,
}
