//! Owns what the user sees while a sweep runs. With `main`, the only printer.

use std::time::Duration;

use crate::job::{Placement, Progress};
use crate::outcome::{Failure, TrialResult};
use crate::plan::{JobId, JobKey};
use crate::trial::{Trial, TrialId};

/// Something worth showing. Past tense; the same enum feeds terminal, plain lines and JSON.
#[derive(Clone, Debug)]
pub enum Notice<'a> {
    /// The run is about to start.
    RunPlanned {
        /// Trials of the sweep.
        trials: usize,
        /// Those that are done already and kept.
        kept: usize,
        /// Those that go on from a checkpoint.
        continued: usize,
        /// Where jobs can run.
        places: &'a [Placement],
        /// How long it is thought to take.
        predicted: Duration,
    },
    /// A job was started.
    JobLaunched {
        /// Which job.
        job: JobId,
        /// Its name.
        key: &'a JobKey,
        /// Where it runs.
        placement: &'a Placement,
        /// Which start it is.
        attempt: u32,
        /// The trials it trains; empty for other work.
        trials: &'a [Trial],
    },
    /// A trial got on.
    TrialProgressed {
        /// The job that trains it.
        job: JobId,
        /// Where it stands.
        progress: &'a Progress,
    },
    /// A trial is done.
    TrialFinished {
        /// Its result.
        result: &'a TrialResult,
        /// Trials done so far, kept ones included.
        done: usize,
        /// How much longer the run is thought to take.
        remaining: Duration,
    },
    /// A trial failed for good.
    TrialFailed {
        /// Which trial.
        trial: TrialId,
        /// Why.
        failure: &'a Failure,
    },
    /// A job ended; its device is free.
    JobEnded {
        /// Which job.
        job: JobId,
        /// Its name.
        key: &'a JobKey,
        /// Why it failed, where it did.
        failure: Option<&'a Failure>,
    },
    /// The user asked to stop.
    StopRequested {
        /// Children are killed rather than asked.
        force: bool,
    },
    /// Something the user should know; the run goes on.
    Warned {
        /// What.
        message: &'a str,
    },
    /// Nothing runs any more.
    RunEnded {
        /// Trials done.
        done: usize,
        /// Trials failed.
        failed: usize,
        /// Trials neither done nor failed.
        left: usize,
        /// How long this run took.
        elapsed: Duration,
    },
}

/// Shows what happens. Called from the loop's thread only.
pub trait Observer {
    /// Takes in one notice. Must not block on anything but its own output.
    fn observe(&mut self, notice: &Notice<'_>);
}
