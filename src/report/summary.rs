//! Owns the fold of a configuration's trials into one summary. Pure.
//!
//! Unfinished folds are counted, never averaged away: a spread says over how many folds it is.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::outcome::{Metric, TrialResult};
use crate::plan::params::ParamCounts;
use crate::run::record::{RunRecord, TrialRecord, TrialState};
use crate::trial::{Configuration, ConfigurationId};

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
    /// Validation accuracy of each done fold, in [0, 1]: what configurations are selected by.
    pub folds: Vec<FoldScore>,
    /// The same over the done folds.
    pub validation_accuracy: Option<Spread>,
    /// Accuracy on the test rows, in [0, 1].
    pub test_accuracy: Option<Spread>,
    /// Macro-averaged F1 on the test rows, in [0, 1].
    pub test_macro_f1: Option<Spread>,
    /// Seconds per trial, evaluation included.
    pub wall_s: Option<Spread>,
    /// Training rows per second spent in training steps.
    pub train_rows_per_s: Option<Spread>,
    /// Peak memory of the process or device, in MiB.
    pub peak_memory_mib: Option<Spread>,
    /// First step at which the smoothed validation accuracy, averaged over folds, reaches 95 % of
    /// its best: see [`Curve::convergence_step`].
    pub convergence_step: Option<u64>,
}

/// One fold's validation accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldScore {
    /// Index of the fold, from 0.
    pub fold: usize,
    /// Validation accuracy, in [0, 1].
    pub accuracy: f64,
}

impl ConfigurationSummary {
    /// Whether every fold of the sweep is done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.done == self.planned
    }

    /// The fold with the highest validation accuracy, the first of equals.
    #[must_use]
    pub fn best_fold(&self) -> Option<FoldScore> {
        self.folds.iter().copied().reduce(|best, one| if one.accuracy > best.accuracy { one } else { best })
    }

    /// The fold with the lowest validation accuracy, the first of equals.
    #[must_use]
    pub fn worst_fold(&self) -> Option<FoldScore> {
        self.folds
            .iter()
            .copied()
            .reduce(|worst, one| if one.accuracy < worst.accuracy { one } else { worst })
    }

    /// Test accuracy where there are test rows, else validation accuracy.
    #[must_use]
    pub fn reported_accuracy(&self) -> Option<&Spread> {
        self.test_accuracy.as_ref().or(self.validation_accuracy.as_ref())
    }
}

/// Summarises one configuration; `None` where the record has no trial of it.
#[must_use]
pub fn summarise(record: &RunRecord, id: ConfigurationId) -> Option<ConfigurationSummary> {
    let trials = trials_of(record, id);
    let first = trials.first()?;
    let done: Vec<(&TrialRecord, &TrialResult)> =
        trials.iter().filter_map(|trial| Some((*trial, finished(trial)?))).collect();
    let spread = |value: fn(&TrialResult) -> Option<f64>| {
        let values: Vec<f64> = done.iter().filter_map(|(_, result)| value(result)).collect();
        Spread::of(&values)
    };
    let failed = trials.iter().filter(|trial| matches!(trial.state, TrialState::Failed { .. })).count();
    let folds = done
        .iter()
        .map(|(trial, result)| FoldScore { fold: trial.trial.fold, accuracy: result.validation.primary() });
    Some(ConfigurationSummary {
        configuration: Arc::clone(&first.trial.configuration),
        params: first.params,
        planned: record.sweep.splitting.splits(),
        done: done.len(),
        failed,
        folds: folds.collect(),
        validation_accuracy: spread(|r| Some(r.validation.primary())),
        test_accuracy: spread(|r| r.test.map(|test| test.primary())),
        test_macro_f1: spread(|r| r.test?.get(Metric::MacroF1)),
        wall_s: spread(|r| Some(r.cost.wall_s)),
        train_rows_per_s: spread(rows_per_s),
        peak_memory_mib: spread(|r| Some(r.cost.peak_memory_mib)),
        convergence_step: Curve::validation_accuracy(&trials).and_then(|curve| curve.convergence_step()),
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

/// Training rows per second of training time.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
pub fn rows_per_s(result: &TrialResult) -> Option<f64> {
    let cost = result.cost;
    (cost.train_s > 0.0).then(|| cost.train_rows as f64 / cost.train_s)
}
