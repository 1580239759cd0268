//! Owns what the notices so far add up to: who trains where, how far, what is best. Draws nothing
//! and reads no clock: the time comes with each notice.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::Notice;
use super::phrase::{self, Names};
use crate::job::Progress;
use crate::plan::JobId;
use crate::values::{Device, Metric, Scores, Trial, TrialId};

/// What the notices so far add up to.
#[derive(Debug, Default)]
pub(super) struct Board {
    total: usize,
    done: usize,
    failed: usize,
    ends_at: Option<Instant>,
    names: Names,
    select: Option<Metric>,
    trials: HashMap<TrialId, Known>,
    jobs: BTreeMap<JobId, Occupant>,
    early: BTreeMap<JobId, EarlyEnd>,
    best: BTreeMap<String, Best>,
    improved: Option<String>,
}

/// What is known of a trial since a job with it was launched, or took it.
#[derive(Debug)]
struct Known {
    name: String,
    task: String,
}

/// How a job's last attempt failed.
#[derive(Debug)]
pub(super) struct EarlyEnd {
    /// Why.
    pub(super) reason: String,
    /// Whether it trains: then its trials tell when it is given up.
    pub(super) trains: bool,
}

/// A job at work.
#[derive(Debug)]
pub(super) struct Occupant {
    device: Device,
    work: String,
    trials: usize,
    latest: Option<Progress>,
}

#[derive(Debug)]
struct Best {
    scores: Scores,
    trial: TrialId,
}

impl Board {
    /// Takes in one notice.
    pub(super) fn take(&mut self, now: Instant, notice: &Notice<'_>) {
        match notice {
            Notice::RunPlanned { configurations, select, trials, kept, predicted, .. } => {
                self.names = Names::of(configurations);
                self.select = *select;
                self.total = *trials;
                self.done = *kept;
                self.ends_at = now.checked_add(*predicted);
            }
            Notice::JobLaunched { job, key, placement, trials, .. } => {
                trials.iter().for_each(|trial| self.know(trial));
                let work = match trials {
                    [] => phrase::work(key),
                    [trial, ..] => self.name(trial.id),
                };
                let occupant =
                    Occupant { device: placement.device, work, trials: trials.len(), latest: None };
                self.jobs.insert(*job, occupant);
            }
            Notice::TrialJoined { trial, .. } => self.know(trial),
            Notice::TrialProgressed { job, progress } => {
                let name = self.name(progress.trial);
                if let Some(occupant) = self.jobs.get_mut(job) {
                    occupant.work = name;
                    occupant.latest = Some((*progress).clone());
                }
                if let Some(scores) = &progress.validation {
                    self.compare(progress.trial, *scores);
                }
            }
            Notice::TrialFinished { result, done, remaining } => {
                self.done = *done;
                self.ends_at = now.checked_add(*remaining);
                self.compare(result.trial, result.validation);
            }
            Notice::TrialFailed { .. } => self.failed += 1,
            Notice::JobEnded { job, failure, .. } => {
                let trains = self.jobs.remove(job).is_some_and(|occupant| occupant.trials > 0);
                if let Some(failure) = failure {
                    self.early.insert(*job, EarlyEnd { reason: failure.to_string(), trains });
                }
            }
            Notice::RunEnded { .. } => self.jobs.clear(),
            Notice::StopRequested { .. } | Notice::Warned { .. } => {}
        }
    }

    fn know(&mut self, trial: &Trial) {
        let (name, task) = (self.names.trial(trial), trial.configuration.task.clone());
        self.trials.insert(trial.id, Known { name, task });
    }

    /// Keeps the best of each task: scores of different tasks say nothing about each other.
    fn compare(&mut self, trial: TrialId, scores: Scores) {
        let task = self.trials.get(&trial).map_or_else(String::new, |known| known.task.clone());
        let (metric, score) = scores.selecting(self.select);
        let best = self.best.get(&task);
        if best.is_none_or(|best| metric.better(score, best.scores.selecting(self.select).1)) {
            self.best.insert(task.clone(), Best { scores, trial });
            self.improved = Some(task);
        }
    }

    /// A trial in words; its id where no launched job has named it.
    pub(super) fn name(&self, trial: TrialId) -> String {
        self.trials.get(&trial).map_or_else(|| trial.to_string(), |known| known.name.clone())
    }

    /// How a job's last attempt failed, where it did.
    pub(super) fn early_end(&self, job: JobId) -> Option<&EarlyEnd> {
        self.early.get(&job)
    }

    /// Number of trials of the sweep.
    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// Number of trials done.
    pub(super) fn done(&self) -> usize {
        self.done
    }

    /// The metric that selects, where the sweep names one.
    pub(super) fn select(&self) -> Option<Metric> {
        self.select
    }

    /// The jobs at work, in the order of their devices.
    pub(super) fn occupants(&self) -> Vec<&Occupant> {
        let mut all: Vec<&Occupant> = self.jobs.values().collect();
        all.sort_by_key(|occupant| occupant.device);
        all
    }

    /// How far the whole run is: `3/12 trials, 1 failed, about 4 min 10 s left`.
    pub(super) fn overall(&self, now: Instant) -> String {
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        let left = self.remaining(now).map_or_else(String::new, |left| {
            format!(", about {} left", phrase::duration(Duration::from_secs(left.as_secs())))
        });
        format!("{}/{} trials done{failed}{left}", self.done, self.total)
    }

    fn remaining(&self, now: Instant) -> Option<Duration> {
        let left = self.ends_at?.checked_duration_since(now)?;
        (self.done < self.total && left.as_secs() > 0).then_some(left)
    }

    /// The best validation score seen in this run, and whose it is; of several tasks, on the one
    /// that improved last.
    pub(super) fn best(&self) -> Option<String> {
        let best = self.best.get(self.improved.as_ref()?)?;
        let score = phrase::score(&best.scores, self.select);
        Some(format!("best so far: validation {score}, {}", self.name(best.trial)))
    }
}

impl Occupant {
    /// Where it runs.
    pub(super) fn device(&self) -> Device {
        self.device
    }

    /// What it does and how far it is, with the metric that the sweep names.
    pub(super) fn status(&self, select: Option<Metric>) -> String {
        let others = if self.trials > 1 { format!(" (+{} packed)", self.trials - 1) } else { String::new() };
        let Some(progress) = &self.latest else { return format!("{}{others}", self.work) };
        let Progress { step, steps, loss, rows_per_s, validation, .. } = progress;
        let score =
            validation.map_or_else(String::new, |v| format!(", validation {}", phrase::score(&v, select)));
        format!("{}{others}: step {step}/{steps}, loss {loss:.3}, {rows_per_s:.0} rows/s{score}", self.work)
    }
}
