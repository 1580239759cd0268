//! Owns the fold of a configuration's trials into one summary. Pure.
//!
//! Unfinished folds are counted, never averaged away: a spread says over how many folds it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::outcome::{Metric, Scores, TrialResult};
use crate::plan::params::ParamCounts;
use crate::run::record::{RunRecord, TrialRecord, TrialState};
use crate::trial::{Configuration, ConfigurationId, Method};

use super::curves::Curve;
use super::statistics::Spread;

/// What a configuration achieved and cost over its folds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfigurationSummary {
    /// What was trained.
    pub configuration: Arc<Configuration>,
    /// Its parameters, counted from shapes.
    pub params: ParamCounts,
    /// Folds of the sweep.
    pub planned: usize,
    /// Folds that are done.
    pub done: usize,
    /// Folds that failed.
    pub failed: usize,
    /// The metric that configurations are selected by.
    pub primary: Metric,
    /// It on the validation rows of each done fold.
    pub folds: Vec<FoldScore>,
    /// Every metric of the task's objective on validation rows, over the done folds.
    pub validation: BTreeMap<Metric, Spread>,
    /// The same on test rows; empty without any.
    pub test: BTreeMap<Metric, Spread>,
    /// Seconds per trial, evaluation included.
    pub wall_s: Option<Spread>,
    /// Training rows per second spent in training steps.
    pub train_rows_per_s: Option<Spread>,
    /// Training tokens per second spent in training steps, padding not counted.
    pub train_tokens_per_s: Option<Spread>,
    /// Peak memory of the process or device, in MiB.
    pub peak_memory_mib: Option<Spread>,
    /// Step at which the validation metric, averaged over folds, has all but converged: see
    /// [`Curve::convergence_step`].
    pub convergence_step: Option<u64>,
}

/// One fold's score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldScore {
    /// Index of the fold, from 0.
    pub fold: usize,
    /// The metric that selects, on validation rows.
    pub score: f64,
    /// Seconds that the trial took, evaluation included.
    pub wall_s: f64,
}

impl ConfigurationSummary {
    /// Whether every fold of the sweep is done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.done == self.planned
    }

    /// Whether its model is evaluated without training: a reference for the others.
    #[must_use]
    pub fn is_base(&self) -> bool {
        self.configuration.method == Method::Base
    }

    /// The metric that selects, on validation rows.
    #[must_use]
    pub fn selecting(&self) -> Option<&Spread> {
        self.validation.get(&self.primary)
    }

    /// The fold with the best score, the first of equals.
    #[must_use]
    pub fn best_fold(&self) -> Option<FoldScore> {
        self.extreme(|one, other| self.primary.better(one, other))
    }

    /// The fold with the worst score, the first of equals.
    #[must_use]
    pub fn worst_fold(&self) -> Option<FoldScore> {
        self.extreme(|one, other| self.primary.better(other, one))
    }

    fn extreme(&self, wins: impl Fn(f64, f64) -> bool) -> Option<FoldScore> {
        self.folds.iter().copied().reduce(|best, one| if wins(one.score, best.score) { one } else { best })
    }

    /// A metric on test rows where there are any, else on validation rows.
    #[must_use]
    pub fn reported(&self, metric: Metric) -> Option<&Spread> {
        let scores = if self.test.is_empty() { &self.validation } else { &self.test };
        scores.get(&metric)
    }
}

/// Summarises one configuration; `None` where the record has no trial of it.
#[must_use]
pub fn summarise(record: &RunRecord, id: ConfigurationId) -> Option<ConfigurationSummary> {
    let trials = trials_of(record, id);
    let first = trials.first()?;
    let configuration = Arc::clone(&first.trial.configuration);
    let objective = &record.sweep.task(&configuration).objective;
    let done: Vec<(&TrialRecord, &TrialResult)> =
        trials.iter().filter_map(|trial| Some((*trial, finished(trial)?))).collect();
    let spread = |value: &dyn Fn(&TrialResult) -> Option<f64>| {
        let values: Vec<f64> = done.iter().filter_map(|(_, result)| value(result)).collect();
        Spread::of(&values)
    };
    let spreads = |part: fn(&TrialResult) -> Option<Scores>| -> BTreeMap<Metric, Spread> {
        let metrics = objective.metrics().iter();
        metrics.filter_map(|&metric| Some((metric, spread(&|r| part(r)?.get(metric))?))).collect()
    };
    let failed = trials.iter().filter(|trial| matches!(trial.state, TrialState::Failed { .. })).count();
    let folds = done.iter().map(|(trial, result)| FoldScore {
        fold: trial.trial.fold,
        score: result.validation.primary(),
        wall_s: result.cost.wall_s,
    });
    let primary = objective.primary();
    Some(ConfigurationSummary {
        params: first.params,
        planned: record.sweep.splitting.splits(),
        done: done.len(),
        failed,
        primary,
        folds: folds.collect(),
        validation: spreads(|r| Some(r.validation)),
        test: spreads(|r| r.test),
        wall_s: spread(&|r| Some(r.cost.wall_s)),
        train_rows_per_s: spread(&|r| per_s(r, r.cost.train_rows)),
        train_tokens_per_s: spread(&|r| per_s(r, r.cost.train_tokens)),
        peak_memory_mib: spread(&|r| Some(r.cost.peak_memory_mib)),
        convergence_step: Curve::validation(&trials).and_then(|curve| curve.convergence_step(primary)),
        configuration,
    })
}

/// A configuration's trials, in fold order.
#[must_use]
pub fn trials_of(record: &RunRecord, id: ConfigurationId) -> Vec<&TrialRecord> {
    record.trials.iter().filter(|trial| trial.trial.configuration.id == id).collect()
}

/// A trial's result, where it is done.
#[must_use]
pub fn finished(trial: &TrialRecord) -> Option<&TrialResult> {
    match trial.state {
        TrialState::Done => trial.result.as_ref(),
        TrialState::Waiting
        | TrialState::Running { .. }
        | TrialState::Interrupted
        | TrialState::Failed { .. } => None,
    }
}

/// So many rows or tokens per second of a trial's training time; `None` where it trained nothing.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub fn per_s(result: &TrialResult, count: u64) -> Option<f64> {
    let seconds = result.cost.train_s;
    (seconds > 0.0 && count > 0).then(|| count as f64 / seconds)
}
