//! Owns the fold of a configuration's trials into one summary. Pure.
//!
//! Configurations that differ only in the seed are one here: seeds repeat it, as folds do. Unfinished trials
//! are counted, never hidden: a spread states how many trials it covers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::families::params::ParamCounts;
use crate::record::{RunRecord, TrialRecord, TrialState};
use crate::sweep::OwnHead;
use crate::values::{Configuration, ConfigurationId, MethodKind, Metric, Scores, TrialResult};

use super::curves::Curve;
use super::statistics::{Spread, mean};

/// Results and cost of a configuration over its folds and seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfigurationSummary {
    /// The configuration, with the first of its seeds.
    pub configuration: Arc<Configuration>,
    /// Its ids, one for each seed.
    pub replicates: Vec<ConfigurationId>,
    /// Its parameters, counted from shapes.
    pub params: ParamCounts,
    /// Trials of the sweep: folds × seeds.
    pub planned: usize,
    /// Trials that are done.
    pub done: usize,
    /// Trials that failed.
    pub failed: usize,
    /// The metric that configurations are selected by.
    pub primary: Metric,
    /// That metric on the validation rows of each fold, as the mean over the seeds that are done with the fold.
    pub folds: Vec<FoldScore>,
    /// Finished trials that give one answer to every validation row.
    pub constant: usize,
    /// Whether nothing was trained and the head has random weights, so that its scores are chance.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drawn_head: bool,
    /// Every metric of the task's objective on validation rows, over the done trials.
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
    /// Step at which the validation metric, averaged over folds, has almost converged: see
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
    /// The same metric on test rows; `None` without any, or where it is not defined.
    pub test: Option<f64>,
    /// Seconds that the trial took, evaluation included.
    pub wall_s: f64,
    /// Whether some trial on it gives one answer to every validation row.
    pub constant: bool,
}

impl ConfigurationSummary {
    /// Whether all its trials are done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.done == self.planned
    }

    /// Whether every finished trial gives one answer to every validation row, so that nothing was learned that
    /// could be compared.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.done > 0 && self.constant == self.done
    }

    /// The method, without its settings.
    #[must_use]
    pub fn method(&self) -> MethodKind {
        self.configuration.method.kind()
    }

    /// Whether its model is evaluated without training: a reference for the others.
    #[must_use]
    pub fn is_base(&self) -> bool {
        self.method() == MethodKind::Base
    }

    /// The metric that selects, on validation rows, over folds alone. Its mean equals the mean over all trials
    /// where none is missing; but seeds are not samples of the data, so they do not count as such.
    #[must_use]
    pub fn over_folds(&self) -> Option<Spread> {
        Spread::of(&self.folds.iter().map(|one| one.score).collect::<Vec<_>>())
    }

    /// The metric that selects, on validation rows, over all trials.
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

/// Summarises the configuration with these ids, one for each of its seeds; `None` where the record has no trial
/// of it.
#[must_use]
pub fn summarise(record: &RunRecord, replicates: &[ConfigurationId]) -> Option<ConfigurationSummary> {
    let trials = trials_of(record, replicates);
    (!trials.is_empty()).then(|| of_trials(record, replicates, &trials))
}

/// Summarises one configuration from all its trials; it has one id for each of its seeds.
///
/// # Panics
/// When there are no trials.
#[must_use]
pub fn of_trials(
    record: &RunRecord,
    replicates: &[ConfigurationId],
    trials: &[&TrialRecord],
) -> ConfigurationSummary {
    let first = trials[0];
    let configuration = Arc::clone(&first.trial.configuration);
    let objective = &record.sweep.task(&configuration).objective;
    let done: Vec<(&TrialRecord, &TrialResult)> =
        trials.iter().filter_map(|trial| Some((*trial, finished(trial)?))).collect();
    let spread = |value: &dyn Fn(&TrialResult) -> Option<f64>| {
        let values: Vec<f64> = done.iter().filter_map(|(_, result)| value(result)).collect();
        Spread::of(&values)
    };
    // A metric that is undefined for one trial has no mean: no trial is left out of an average.
    let spreads = |part: fn(&TrialResult) -> Option<&Scores>| -> BTreeMap<Metric, Spread> {
        let scored: Vec<&Scores> = done.iter().filter_map(|(_, result)| part(result)).collect();
        let values =
            |metric: Metric| -> Option<Vec<f64>> { scored.iter().map(|scores| scores.get(metric)).collect() };
        let spread = |metric| Spread::of(&values(metric)?);
        objective.metrics().iter().filter_map(|&metric| Some((metric, spread(metric)?))).collect()
    };
    let is_constant = |result: &TrialResult| objective.is_constant(&result.validation);
    let failed = trials.iter().filter(|trial| matches!(trial.state, TrialState::Failed { .. })).count();
    let primary = record.sweep.selecting();
    let folds = (0..record.sweep.splitting.splits())
        .filter_map(|fold| fold_score(&done, fold, primary, &is_constant));
    let constant = done.iter().filter(|(_, result)| is_constant(result)).count();
    // The curve of a constant answer is flat and does not converge.
    let converges = constant < done.len() || done.is_empty();
    let curve = Curve::validation(trials, primary).filter(|_| converges);
    ConfigurationSummary {
        params: first.params,
        replicates: replicates.to_vec(),
        planned: record.sweep.splitting.splits() * replicates.len(),
        done: done.len(),
        failed,
        primary,
        folds: folds.collect(),
        constant,
        drawn_head: configuration.method.kind() == MethodKind::Base
            && OwnHead::is_drawn(record.sweep.task(&configuration), record.sweep.model(&configuration)),
        validation: spreads(|r| Some(&r.validation)),
        test: spreads(|r| r.test.as_ref()),
        wall_s: spread(&|r| Some(r.cost.wall_s)),
        train_rows_per_s: spread(&|r| per_s(r, r.cost.train_rows)),
        train_tokens_per_s: spread(&|r| per_s(r, r.cost.train_tokens)),
        peak_memory_mib: spread(&|r| Some(r.cost.peak_memory_mib)),
        convergence_step: curve.and_then(|curve| curve.convergence_step(primary)),
        configuration,
    }
}

/// A fold's score over the seeds that are done with it.
fn fold_score(
    done: &[(&TrialRecord, &TrialResult)],
    fold: usize,
    metric: Metric,
    is_constant: &dyn Fn(&TrialResult) -> bool,
) -> Option<FoldScore> {
    let here = || done.iter().filter(|(trial, _)| trial.trial.fold == fold).map(|(_, result)| result);
    here().next()?;
    let mean_of = |part: fn(&TrialResult) -> Option<&Scores>| -> Option<f64> {
        Some(mean(&here().map(|result| part(result)?.get(metric)).collect::<Option<Vec<_>>>()?))
    };
    let score = mean_of(|result| Some(&result.validation))?;
    let test = mean_of(|result| result.test.as_ref());
    let wall_s = mean(&here().map(|result| result.cost.wall_s).collect::<Vec<_>>());
    let constant = here().any(|result| is_constant(result));
    Some(FoldScore { fold, score, test, wall_s, constant })
}

/// A configuration's trials, in the record's order: seed by seed, and folds in order.
#[must_use]
pub fn trials_of<'a>(record: &'a RunRecord, replicates: &[ConfigurationId]) -> Vec<&'a TrialRecord> {
    record.trials.iter().filter(|trial| replicates.contains(&trial.trial.configuration.id)).collect()
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

/// Rows or tokens (`count`) per second of a trial's training time; `None` where it trained nothing.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub fn per_s(result: &TrialResult, count: u64) -> Option<f64> {
    let seconds = result.cost.train_s;
    (seconds > 0.0 && count > 0).then(|| count as f64 / seconds)
}
