//! Owns the state that a display shows: the ledger of the events so far, and what people want from it: names,
//! the time left, the best scores. Draws nothing and reads no clock: the time comes with each event.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::phrase::{self, Names};
use crate::record::ledger::{Ledger, RunningJob};
use crate::tasks;
use crate::values::{
    Device, Event, Failure, JobKey, Metric, Progress, Scores, Select, Trial, TrialId, What, quantity,
};

/// The state of a run as displays show it.
#[derive(Debug, Default)]
pub(super) struct Board {
    ledger: Ledger,
    ends_at: Option<Instant>,
    names: Names,
    select: Select,
    trials: HashMap<TrialId, Trial>,
    /// Why the job being launched failed before, if it did.
    failed_before: Option<Failure>,
    /// The device of the last job that failed, if that was the device's fault.
    lost: Option<Device>,
    /// The best trial so far on each task.
    best: BTreeMap<String, Best>,
    /// The task whose best trial changed last.
    improved: Option<String>,
}

#[derive(Debug)]
struct Best {
    scores: Scores,
    trial: TrialId,
}

impl Board {
    /// Takes in one event.
    pub(super) fn take(&mut self, now: Instant, event: &Event) {
        match &event.what {
            What::RunPlanned { trials, select, predicted, .. } => {
                let folds = trials.chunk_by(|a, b| a.configuration.id == b.configuration.id);
                self.names = Names::of(folds.map(|folds| &*folds[0].configuration));
                self.select = select.clone();
                self.trials = trials.iter().map(|trial| (trial.id, trial.clone())).collect();
                self.ends_at = now.checked_add(*predicted);
            }
            What::Forecast { remaining } => self.ends_at = now.checked_add(*remaining),
            What::JobLaunching { key, trials, .. } => {
                self.failed_before = self.ledger.failed_start(*key, trials).cloned();
            }
            What::JobFailed { key, failure } => {
                let device = self.ledger.job(*key).map(|job| job.placement.device);
                self.lost = device.filter(|device| failure.blames(*device));
            }
            What::TrialProgressed { progress, .. } => {
                if let Some(scores) = &progress.validation {
                    self.compare(progress.trial, scores);
                }
            }
            What::TrialEvaluated { trial, scores, .. } => self.compare(*trial, scores),
            What::TrialFinished { trial, result: Some(result) } => {
                if let Some(scores) = &result.validation {
                    self.compare(*trial, scores);
                }
            }
            What::TrialFinished { result: None, .. }
            | What::RunStarted { .. }
            | What::TrainingForeseen { .. }
            | What::WidthsDecided { .. }
            | What::JobStarted { .. }
            | What::TrialJoining { .. }
            | What::TrialJoined { .. }
            | What::TrialReturned { .. }
            | What::TrialPaused { .. }
            | What::BracketsOpened { .. }
            | What::RungDecided(_)
            | What::TrialsFreed { .. }
            | What::TrialsStopped { .. }
            | What::GenerationProposed { .. }
            | What::RungPutOff(_)
            | What::StopOrdered { .. }
            | What::KeepOrdered { .. }
            | What::TrialFailed { .. }
            | What::JobFinished { .. }
            | What::JobInterrupted { .. }
            | What::DeviceRetired { .. }
            | What::StopRequested { .. }
            | What::Warned { .. }
            | What::Woke
            | What::RunEnded { .. } => {}
        }
        self.ledger.apply(event);
    }

    /// Keeps the best trial of each task; scores of different tasks are not comparable.
    fn compare(&mut self, trial: TrialId, scores: &Scores) {
        let task = self.task(trial);
        let (metric, score) = tasks::selecting(scores, self.select.of(task));
        let best = self.best.get(task);
        if best.is_none_or(|best| metric.improves(score, best.scores.get(metric))) {
            let task = task.to_owned();
            self.best.insert(task.clone(), Best { scores: scores.clone(), trial });
            self.improved = Some(task);
        }
    }

    /// A trial in words; its id where the sweep does not name it.
    pub(super) fn name(&self, trial: TrialId) -> String {
        self.trials.get(&trial).map_or_else(|| trial.to_string(), |trial| self.names.trial(trial))
    }

    /// Why the job being launched failed before, if it did.
    pub(super) fn failed_before(&self) -> Option<&Failure> {
        self.failed_before.as_ref()
    }

    /// The device of the last job that failed, if that was the device's fault.
    pub(super) fn lost(&self) -> Option<Device> {
        self.lost
    }

    /// The ledger of the events so far.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The metric that selects on a trial's task, where it is not its kind's own.
    pub(super) fn select(&self, trial: TrialId) -> Option<Metric> {
        self.select.of(self.task(trial))
    }

    fn task(&self, trial: TrialId) -> &str {
        self.trials.get(&trial).map_or("", |trial| trial.configuration.task.as_str())
    }

    /// What runs on each device, with its progress, in the order of the devices.
    pub(super) fn occupants(&self) -> Vec<(Device, String)> {
        let mut all: Vec<_> =
            self.ledger.jobs().map(|(key, job)| (job.placement.device, self.status(key, job))).collect();
        all.sort_by_key(|(device, _)| *device);
        all
    }

    fn status(&self, key: JobKey, job: &RunningJob) -> String {
        let shown = job.latest.or(job.trials.first().copied());
        let work = shown.map_or_else(|| phrase::work(key).to_owned(), |trial| self.name(trial));
        let others = job.trials.len().saturating_sub(1);
        let others = if others > 0 { format!(" (+{others} packed)") } else { String::new() };
        let standing = job.latest.and_then(|trial| self.ledger.trial(trial));
        let Some(progress) = standing.and_then(|standing| standing.progress.as_ref()) else {
            return format!("{work}{others}");
        };
        let Progress { step, steps, loss, rows_per_s, validation, trial } = progress;
        let scored = |scores| format!(", validation {}", phrase::score(scores, self.select(*trial)));
        let score = validation.as_ref().map_or_else(String::new, scored);
        format!("{work}{others}: step {step}/{steps}, loss {loss:.3}, {rows_per_s:.0} rows/s{score}")
    }

    /// Progress of the whole run: `3/12 trials, 1 failed, about 4 min 10 s left`.
    pub(super) fn overall(&self, now: Instant) -> String {
        let (done, total) = (self.ledger.done(), self.ledger.total());
        let failed = match self.ledger.failed() {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        let left = self
            .remaining(now)
            .map_or_else(String::new, |left| format!(", {} left", quantity::about(left.as_secs_f64())));
        let stopped = match self.ledger.stopped() {
            0 => String::new(),
            stopped => format!(", {stopped} stopped early"),
        };
        format!("{done}/{total} trials done{stopped}{failed}{left}")
    }

    /// Predicted remaining time, where trials are left.
    pub(super) fn remaining(&self, now: Instant) -> Option<Duration> {
        let left = self.ends_at?.checked_duration_since(now)?;
        (self.ledger.left() > 0).then_some(left)
    }

    /// The best validation score seen in this run, and its trial; with several tasks, on the task that improved
    /// last.
    pub(super) fn best(&self) -> Option<String> {
        let best = self.best.get(self.improved.as_ref()?)?;
        let score = phrase::score(&best.scores, self.select(best.trial));
        Some(format!("best so far: validation {score}, {}", self.name(best.trial)))
    }
}
