//! Owns what the user sees while a sweep runs. With `main`, the only printer.
//!
//! The loop tells an [`Observer`] one [`Notice`] after another. `board` keeps what they add up to;
//! `terminal` draws it, `plain` writes it line by line, `json` passes the notices on to programs.
//! Nothing here decides anything about the run.

mod board;
pub(crate) mod data_card;
pub mod downloads;
mod json;
pub mod output;
pub(crate) mod phrase;
mod plain;
mod terminal;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::job::Progress;
use crate::plan::{JobId, JobKey};
use crate::values::{Configuration, Failure, Metric, Placement, Trial, TrialId, TrialResult};

/// Something worth showing. Past tense; the same enum feeds terminal, plain lines and JSON.
///
/// As JSON, a notice is one object: its name in snake case under `event`, its fields under their
/// own names, durations in seconds under a name that ends in `_s`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Notice<'a> {
    /// The run is about to start.
    RunPlanned {
        /// Those of the sweep: what tells its trials apart is known from them.
        #[serde(skip)]
        configurations: &'a [Arc<Configuration>],
        /// The metric that selects, where the sweep names one.
        #[serde(skip)]
        select: Option<Metric>,
        /// Trials of the sweep.
        trials: usize,
        /// Those that are done already and kept.
        kept: usize,
        /// Those that go on from a checkpoint.
        continued: usize,
        /// Where jobs can run.
        places: &'a [Placement],
        /// How long it is thought to take.
        #[serde(rename = "predicted_s", serialize_with = "seconds")]
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
    /// A job took one more trial, in the place of one that ended.
    TrialJoined {
        /// The job that trains it.
        job: JobId,
        /// The trial.
        trial: &'a Trial,
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
        #[serde(rename = "remaining_s", serialize_with = "seconds")]
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
        #[serde(rename = "elapsed_s", serialize_with = "seconds")]
        elapsed: Duration,
    },
}

/// Shows what happens. Called from the loop's thread only.
pub trait Observer {
    /// Takes in one notice. Must not block on anything but its own output.
    fn observe(&mut self, notice: &Notice<'_>);
}

/// How much to show, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For a person: live lines on a terminal, plain lines elsewhere; on standard error.
    Person,
    /// For a person who wants to hear of failures only; on standard error.
    Quiet,
    /// For a program: one JSON object per line on standard output.
    Json,
}

/// The observer that suits a style and the terminal that is or is not there.
#[must_use]
pub fn observer(style: Style) -> Box<dyn Observer> {
    match style {
        Style::Json => Box::new(json::Json::new(io::stdout())),
        Style::Quiet => Box::new(plain::Plain::failures_only(io::stderr())),
        Style::Person if io::stderr().is_terminal() => Box::new(terminal::Terminal::new()),
        Style::Person => Box::new(plain::Plain::new(io::stderr(), plain::PROGRESS_EVERY)),
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
