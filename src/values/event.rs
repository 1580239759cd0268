//! Owns the events of a run: one closed list, in the past tense. Data only: nothing here knows who reads it.
//!
//! The run loop publishes each event once: to the journal, to the ledger, to the scheduler, and to any number
//! of [`Reader`]s, which show the run to a person or a program. Some events are "ephemeral": they report
//! progress that files record in more lasting form. All others are written to the journal, from which the state
//! of a run is read back after a crash.
//!
//! serde's form of a [`What`] is the form in the journal. Journals of earlier versions must stay readable:
//! written variants and fields keep their names, and a new field has a default.

mod kept;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::values::{
    Bracket, Device, Failure, JobKey, Pause, Placement, Proposed, Resources, RunSettings, RungDecision,
    RungPutOff, Scores, Select, StopReason, Trial, TrialId, TrialResult, Width,
};

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    #[serde(with = "super::time")]
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// Follows a run. There can be any number of readers; each gets every event, in order, on one thread.
pub trait Reader {
    /// Takes in one event. Must not block on anything but its own output.
    fn on(&mut self, event: &Event);
}

/// The command line that started a run, shown to the user as the way to continue it.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CommandLine {
    /// The folder it was typed in.
    pub folder: PathBuf,
    /// The words after the program's name; empty where nobody typed a command.
    pub words: Vec<String>,
}

/// How far a trial is in its training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Which trial.
    pub trial: TrialId,
    /// Optimiser steps done.
    pub step: u64,
    /// Optimiser steps in all.
    pub steps: u64,
    /// Recent mean training loss.
    pub loss: f64,
    /// Recent training rows per second.
    pub rows_per_s: f64,
    /// The latest validation scores.
    pub validation: Option<Scores>,
}

/// Trials that train on equally many cores, or on a GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialsOfWidth {
    /// On what.
    pub width: Width,
    /// Which trials.
    pub trials: Vec<TrialId>,
}

/// What can happen in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// An orchestrator began to work.
    RunStarted {
        /// Its process id.
        pid: u32,
        /// Its machine.
        host: String,
        /// Its version of lorasweep.
        version: String,
        /// What the user typed.
        #[serde(default, rename = "typed")]
        command_line: CommandLine,
        /// Where it can train; empty in journals of versions that wrote a list of places instead.
        #[serde(default)]
        resources: Resources,
        /// The options chosen for this run besides the sweep; absent in journals of versions that did not write
        /// them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settings: Option<Box<RunSettings>>,
    },
    /// The time and memory of the training that is to be done were predicted.
    TrainingForeseen {
        /// Seconds from now until the last trial ends.
        #[serde(rename = "training_s")]
        seconds: f64,
        /// Memory of the largest pack, in MiB; absent on GPUs, where it is not measured.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mem_mib: Option<f64>,
    },
    /// It was decided what these trials train on. That holds for all their starts, in later runs too, since
    /// their digits depend on it; a later decision on the same trial replaces an earlier one.
    WidthsDecided {
        /// The widths, each with its trials.
        widths: Vec<TrialsOfWidth>,
    },
    /// A job is about to be started.
    JobLaunching {
        /// Which job.
        key: JobKey,
        /// 1 for its first start in this run.
        attempt: u32,
        /// Where.
        placement: Placement,
        /// The trials it trains; empty for other work.
        trials: Vec<TrialId>,
    },
    /// Its child process is up.
    JobStarted {
        /// Which job.
        key: JobKey,
        /// The child's process id.
        pid: u32,
    },
    /// A running job is about to be given one more trial.
    TrialJoining {
        /// Which job.
        key: JobKey,
        /// Which trial.
        trial: TrialId,
    },
    /// The job ended, or is about to end, before it took a trial that it was given.
    TrialReturned {
        /// Which job.
        key: JobKey,
        /// Which trial.
        trial: TrialId,
    },
    /// A trial left its job before its last step, as it was told to; its checkpoint is in place. It goes on after a
    /// decision, if at all.
    TrialPaused {
        /// Which job.
        key: JobKey,
        /// Where it stands.
        pause: Pause,
    },
    /// It was fixed which configurations are compared with one another, to stop those that cannot win.
    BracketsOpened {
        /// The new brackets.
        brackets: Vec<Bracket>,
    },
    /// Further points were proposed, after what came of those before.
    GenerationProposed {
        /// Those of each block that has any.
        blocks: Vec<Proposed>,
    },
    /// All configurations of a bracket had come to a rung, and it was decided which of them go on.
    RungDecided(Box<RungDecision>),
    /// Nothing could be decided there yet.
    RungPutOff(RungPutOff),
    /// A person ordered trials to stop.
    StopOrdered {
        /// Which trials.
        trials: Vec<TrialId>,
    },
    /// A person ordered trials to be trained to their end: all of their configurations'.
    KeepOrdered {
        /// Which trials.
        trials: Vec<TrialId>,
    },
    /// Trials that failed, and that their configurations were decided on without, are tried again: they train to their
    /// end, whatever was decided.
    TrialsFreed {
        /// Which trials.
        trials: Vec<TrialId>,
    },
    /// Folds or seeds were added to configurations that had been stopped, whose fate they share.
    TrialsStopped {
        /// Which trials.
        trials: Vec<TrialId>,
        /// Why their configurations were.
        reason: StopReason,
    },
    /// A trial's result is in place.
    TrialFinished {
        /// Which trial.
        trial: TrialId,
        /// The result, while the run that produced it is being followed; later its own file holds it.
        #[serde(skip)]
        result: Option<Arc<TrialResult>>,
    },
    /// A trial failed, and is not to be tried again unless asked.
    TrialFailed {
        /// Which trial.
        trial: TrialId,
        /// Why.
        failure: Failure,
    },
    /// A job did all of its work.
    JobFinished {
        /// Which job.
        key: JobKey,
    },
    /// A job ended without doing its work.
    JobFailed {
        /// Which job.
        key: JobKey,
        /// Why.
        failure: Failure,
    },
    /// A job ended because it was asked to; its checkpoints are in place.
    JobInterrupted {
        /// Which job.
        key: JobKey,
    },
    /// A device gets no more jobs: it failed under several in a row.
    DeviceRetired {
        /// Which device.
        device: Device,
    },
    /// The user asked to stop.
    StopRequested {
        /// Kill rather than wait for checkpoints.
        force: bool,
    },
    /// The orchestrator ended in good order.
    RunEnded {
        /// Trials done, including those of earlier runs.
        #[serde(default)]
        done: usize,
        /// Trials failed, including those of earlier runs.
        #[serde(default)]
        failed: usize,
        /// Trials stopped early, including those of earlier runs.
        #[serde(default, skip_serializing_if = "is_zero")]
        stopped: usize,
        /// Trials neither done, failed nor stopped.
        #[serde(default)]
        left: usize,
        /// How long this run took, in seconds.
        #[serde(default)]
        elapsed_s: f64,
    },
    /// Ephemeral: the remaining work is known, and the run is about to begin it.
    #[serde(skip_deserializing)]
    RunPlanned {
        /// Every trial of the sweep, in its order.
        #[serde(serialize_with = "count")]
        trials: Arc<[Trial]>,
        /// The trials that are already done and kept.
        #[serde(rename = "kept", serialize_with = "count")]
        done: Arc<[TrialId]>,
        /// The trials to be trained; the rest failed in an earlier run.
        #[serde(serialize_with = "count")]
        todo: Arc<[TrialId]>,
        /// How many of them continue from a checkpoint.
        continued: usize,
        /// Where it can train.
        resources: Resources,
        /// The metrics that select.
        #[serde(skip)]
        select: Select,
        /// Predicted duration of the run.
        #[serde(rename = "predicted_s", serialize_with = "seconds")]
        predicted: Duration,
    },
    /// Ephemeral: a running job took a trial that it was given.
    #[serde(skip_deserializing)]
    TrialJoined {
        /// Which job.
        key: JobKey,
        /// Which trial.
        trial: TrialId,
    },
    /// Ephemeral: a trial made progress.
    #[serde(skip_deserializing)]
    TrialProgressed {
        /// The job that trains it.
        key: JobKey,
        /// How far it is.
        progress: Progress,
    },
    /// Ephemeral: a trial was evaluated on its validation rows. Its metrics file says the same.
    #[serde(skip_deserializing)]
    TrialEvaluated {
        /// Which trial.
        trial: TrialId,
        /// Optimiser steps done by then.
        step: u64,
        /// What was measured.
        scores: Scores,
    },
    /// Ephemeral: the remaining time of the run was predicted anew. Published right before a trial's end, with
    /// that trial counted as done.
    #[serde(skip_deserializing)]
    Forecast {
        /// Predicted remaining time.
        #[serde(rename = "remaining_s", serialize_with = "seconds")]
        remaining: Duration,
    },
    /// Ephemeral: something the user should know; the run goes on.
    #[serde(skip_deserializing)]
    Warned {
        /// What.
        message: String,
    },
    /// Ephemeral: the time came at which the scheduler had asked to be called again.
    #[serde(skip_deserializing)]
    Woke,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

fn count<T, S: Serializer>(all: &Arc<[T]>, serializer: S) -> Result<S::Ok, S::Error> {
    all.len().serialize(serializer)
}

#[cfg(test)]
mod tests;
