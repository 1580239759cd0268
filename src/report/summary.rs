//! Owns the summary of a configuration's trials, from a record that is grouped once. Pure.
//!
//! Configurations that differ only in the seed are one here: seeds repeat it, as folds do. Unfinished trials
//! are counted, never hidden: a spread states how many trials it covers. One that was stopped early has no spread.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use polars::prelude::{DataFrame, PolarsResult};

use crate::families::params::ParamCounts;
use crate::record::{RunRecord, TrialRecord};
use crate::search::ComparedOn;
use crate::sweep::OwnHead;
use crate::values::{Configuration, ConfigurationId, MethodKind, Metric};

use super::curves::Curve;
use super::grouped::{self, ByName, Grouped};
use super::left::Left;
use super::long::{self, GROUP, Part, SEED, name};
use super::seeds::{self, Group, Stability};
use super::statistics::Spread;

/// Results and cost of a configuration over its folds and seeds.
#[derive(Clone, Debug, PartialEq)]
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
    /// The fold on which it was compared with others to go on to the other folds, which flatters it there.
    pub compared_on: Option<usize>,
    /// Finished trials that give one answer to every validation row.
    pub constant: usize,
    /// Whether nothing was trained and the head has random weights, so that its scores are chance.
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
#[derive(Clone, Copy, Debug, PartialEq)]
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

    /// The same without the fold on which it was compared to go on to the others; `None` where there is no such fold.
    #[must_use]
    pub fn over_other_folds(&self) -> Option<Spread> {
        let compared_on = self.compared_on?;
        self.without(compared_on)
    }

    /// The same without a fold.
    #[must_use]
    pub fn without(&self, fold: usize) -> Option<Spread> {
        let others = self.folds.iter().filter(|one| one.fold != fold);
        Spread::of(&others.map(|one| one.score).collect::<Vec<_>>())
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

/// A record's trials, grouped: what the summary of each of its groups is made from.
pub(super) struct Digest<'a> {
    pub(super) record: &'a RunRecord,
    pub(super) groups: Vec<Group<'a>>,
    /// The first trial of each group.
    first: HashMap<usize, &'a TrialRecord>,
    /// Where each group left that was stopped early.
    left: HashMap<u32, Left>,
    pub(super) results: DataFrame,
    pub(super) grouped: Grouped,
    curves: ByName<1, Curve>,
    seed_curves: ByName<2, Curve>,
    epochs: ByName<2, f64>,
}

impl<'a> Digest<'a> {
    /// Groups a record.
    ///
    /// # Errors
    /// Only if a frame lacked a column.
    pub(super) fn of(record: &'a RunRecord) -> PolarsResult<Self> {
        let groups = seeds::groups(&record.sweep.configurations);
        let places = long::places(&groups);
        let mut first = HashMap::new();
        for trial in &record.trials {
            if let Some((group, _)) = places.get(&trial.trial.configuration.id) {
                first.entry(*group as usize).or_insert(trial);
            }
        }
        let left = left(record, &places);
        let stopped: HashSet<u32> = left.keys().copied().collect();
        let results = long::results(record, &groups, &stopped)?;
        let course = long::course(record, &groups, &stopped)?;
        Ok(Self {
            record,
            left,
            grouped: Grouped::of(&results)?,
            curves: grouped::curves(&course, [GROUP])?,
            seed_curves: grouped::curves(&course, [GROUP, SEED])?,
            epochs: grouped::epochs(&course, name::LOSS)?,
            groups,
            first,
            results,
        })
    }

    /// The summary of a group; `None` where the record has no trial of it.
    pub(super) fn summary(&self, number: usize) -> Option<ConfigurationSummary> {
        let (group, key) = (&self.groups[number], [long::index(number)]);
        let first = self.first.get(&number)?;
        let none = BTreeMap::new();
        let spreads = self.grouped.spreads.get(&key).unwrap_or(&none);
        let number_of = |name: &str| spreads.get(name).map_or(0, |spread| spread.n);
        let sweep = &self.record.sweep;
        let (task, model) = (sweep.task(group.configuration), sweep.model(group.configuration));
        let primary = sweep.selecting(task);
        let scores = |part: Part| -> BTreeMap<Metric, Spread> {
            let of = |&metric: &Metric| Some((metric, *spreads.get(&part.of(metric))?));
            task.objective.metrics().iter().filter_map(of).collect()
        };
        let cost = |name: &str| spreads.get(name).copied();
        Some(ConfigurationSummary {
            params: first.params,
            replicates: group.replicates.clone(),
            planned: sweep.splitting.splits() * group.replicates.len(),
            done: number_of(name::STEPS),
            failed: number_of(name::FAILED),
            primary,
            folds: (0..sweep.splitting.splits()).filter_map(|fold| self.fold(number, fold)).collect(),
            compared_on: self.compared_on(first),
            constant: constant(spreads),
            drawn_head: group.configuration.method.kind() == MethodKind::Base
                && OwnHead::is_drawn(task, model),
            validation: scores(Part::Validation),
            test: scores(Part::Test),
            wall_s: cost(name::WALL_S),
            train_rows_per_s: cost(name::TRAIN_ROWS_PER_S),
            train_tokens_per_s: cost(name::TRAIN_TOKENS_PER_S),
            peak_memory_mib: cost(name::PEAK_MEMORY_MIB),
            convergence_step: self.convergence(number, spreads, self.curves.get(&key)),
            configuration: Arc::clone(group.configuration),
        })
    }

    /// The metric that selects on a group's task.
    fn primary(&self, group: usize) -> Metric {
        let sweep = &self.record.sweep;
        sweep.selecting(sweep.task(self.groups[group].configuration))
    }

    /// Where a group left that was stopped early.
    pub(super) fn left(&self, group: usize) -> Option<&Left> {
        self.left.get(&long::index(group))
    }

    /// The fold of a group's first trial, where the rule let it go on to the others by its score on that, and stopped
    /// others of its task.
    fn compared_on(&self, first: &TrialRecord) -> Option<usize> {
        let sweep = &self.record.sweep;
        let rule = sweep.stop.filter(|rule| rule.compared_on == ComparedOn::First)?;
        let own = &first.trial.configuration;
        let is_of_task = |group: u32| self.groups[group as usize].configuration.task == own.task;
        let decided = self.left.iter().any(|(group, left)| left.rung.is_some() && is_of_task(*group));
        let was_compared = decided && first.pause.is_some() && rule.may_stop(&own.method);
        (was_compared && sweep.splitting.splits() > 1).then_some(first.trial.fold)
    }

    /// A fold's score over the seeds that are done with it.
    fn fold(&self, group: usize, fold: usize) -> Option<FoldScore> {
        let spreads = self.grouped.folds.get(&[long::index(group), long::index(fold)])?;
        let primary = self.primary(group);
        let mean = |name: &str| spreads.get(name).map(|spread| spread.mean);
        Some(FoldScore {
            fold,
            score: mean(&Part::Validation.of(primary))?,
            test: mean(&Part::Test.of(primary)),
            wall_s: mean(name::WALL_S)?,
            constant: constant(spreads) > 0,
        })
    }

    /// How a group varies over its seeds.
    pub(super) fn stability(&self, group: usize) -> Stability {
        let (number, primary) = (long::index(group), self.primary(group));
        let planned = self.groups[group].replicates.len();
        let seeds = || (0..planned).map(|seed| [number, long::index(seed)]);
        let spreads = |key: &[u32; 2]| self.grouped.seeds.get(key);
        let is_done = |key: &[u32; 2]| {
            let steps = spreads(key).and_then(|spreads| spreads.get(name::STEPS));
            steps.is_some_and(|steps| steps.n == self.record.sweep.splitting.splits())
        };
        #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^53")]
        let converged =
            |key: [u32; 2]| Some(self.convergence(group, spreads(&key)?, self.seed_curves.get(&key))? as f64);
        let over_seeds = |part: Part| Some(*self.grouped.over_seeds.get(&[number])?.get(&part.of(primary))?);
        Stability {
            done: seeds().filter(is_done).count(),
            planned,
            validation: over_seeds(Part::Validation),
            test: over_seeds(Part::Test),
            convergence_step: Spread::of(&seeds().filter_map(converged).collect::<Vec<_>>()),
        }
    }

    /// The step at which a group's validation score has almost converged. The curve of a constant answer is flat
    /// and does not converge; where one that was stopped would have converged is not known.
    fn convergence(
        &self,
        group: usize,
        spreads: &BTreeMap<String, Spread>,
        curves: Option<&BTreeMap<String, Curve>>,
    ) -> Option<u64> {
        let done = spreads.get(name::STEPS).map_or(0, |steps| steps.n);
        let primary = self.primary(group);
        if self.left(group).is_some() {
            return None;
        }
        let curve = curves?.get(&Part::Validation.of(primary))?;
        (constant(spreads) < done || done == 0).then(|| curve.convergence_step(primary))?
    }

    /// The course of a group's training.
    pub(super) fn course(&self, group: usize) -> Course {
        let number = long::index(group);
        let end = self.groups[group].configuration.training.epochs.ceil();
        let epochs = (1..).take_while(|epoch| f64::from(*epoch) <= end);
        let means = |epoch: u32| Some((epoch, self.epochs.get(&[number, epoch])?.clone()));
        let steps = self.grouped.steps.get(&[number]).and_then(|steps| steps.get(name::STEPS));
        Course {
            steps: steps.copied(),
            spreads: self.grouped.spreads.get(&[number]).cloned().unwrap_or_default(),
            curves: self.curves.get(&[number]).cloned().unwrap_or_default(),
            epochs: epochs.filter_map(means).collect(),
        }
    }
}

/// Where each group left of which a trial is stopped.
fn left(record: &RunRecord, places: &HashMap<ConfigurationId, (u32, u32)>) -> HashMap<u32, Left> {
    let mut trials: HashMap<u32, Vec<&TrialRecord>> = HashMap::new();
    for trial in &record.trials {
        if let Some((group, _)) = places.get(&trial.trial.configuration.id) {
            trials.entry(*group).or_default().push(trial);
        }
    }
    let of = |(group, trials): (u32, Vec<&TrialRecord>)| {
        let objective = &record.sweep.task(&trials.first()?.trial.configuration).objective;
        Some((group, Left::of(trials.into_iter(), objective)?))
    };
    trials.into_iter().filter_map(of).collect()
}

/// The number of trials that give one answer to every validation row.
fn constant(spreads: &BTreeMap<String, Spread>) -> usize {
    let Some(spread) = spreads.get(name::CONSTANT) else { return 0 };
    #[expect(clippy::cast_precision_loss, reason = "trials are far below 2^53")]
    let count = (spread.mean * spread.n as f64).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a count of trials")]
    let count = count as usize;
    count
}

/// How a configuration's trials ran.
pub(super) struct Course {
    /// Optimiser steps of the first finished trial.
    pub(super) steps: Option<f64>,
    /// Each number of the finished trials.
    pub(super) spreads: BTreeMap<String, Spread>,
    /// Each measure over training.
    pub(super) curves: BTreeMap<String, Curve>,
    /// Epochs in which something was measured, with the means over finished trials.
    pub(super) epochs: Vec<(u32, BTreeMap<String, f64>)>,
}

/// A configuration's trials, in the record's order: seed by seed, and folds in order.
#[must_use]
pub fn trials_of<'a>(record: &'a RunRecord, replicates: &[ConfigurationId]) -> Vec<&'a TrialRecord> {
    record.trials.iter().filter(|trial| replicates.contains(&trial.trial.configuration.id)).collect()
}
