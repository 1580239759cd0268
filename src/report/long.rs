//! Owns a record's numbers as two long frames: a row for each number. Everything in a report that is averaged or
//! counted over trials is grouped from these by `grouped`. Pure.
//!
//! | frame | a row | columns |
//! |---|---|---|
//! | `results` | one number of one trial | group, seed, fold, name, value |
//! | `course` | one number of one line of a trial's `metrics.jsonl` | group, seed, trial, done, name, step, epoch, number, value |

use std::collections::{HashMap, HashSet};

use polars::prelude::{Column, DataFrame, NamedFrom, PolarsResult, Series};

use crate::record::{RunRecord, TrialRecord, TrialState};
use crate::tasks::Objective;
use crate::values::{ConfigurationId, Count, Metric, MetricLine, Scores, TrialResult};

use super::seeds::Group;

/// Index of a group of configurations that differ only in the seed.
pub(super) const GROUP: &str = "group";
/// Index of a seed within its group.
pub(super) const SEED: &str = "seed";
/// Index of a fold.
pub(super) const FOLD: &str = "fold";
/// Index of a trial in the record.
pub(super) const TRIAL: &str = "trial";
/// Whether the trial is done; of a configuration that is stopped, whether the trial is stopped.
pub(super) const DONE: &str = "done";
/// What the number is.
pub(super) const NAME: &str = "name";
/// The number; null for a metric that is undefined on the rows.
pub(super) const VALUE: &str = "value";
/// Optimiser steps before it was measured.
pub(super) const STEP: &str = "step";
/// The epoch in which it was measured, from 1; 0 before training.
pub(super) const EPOCH: &str = "epoch";
/// How many finite numbers of this name the trial has before it; null where it is not finite itself.
pub(super) const NUMBER: &str = "number";

/// Names of numbers that are not metrics.
pub(super) mod name {
    /// 1 for each failed trial.
    pub(in crate::report) const FAILED: &str = "failed";
    pub(in crate::report) const STEPS: &str = "steps";
    pub(in crate::report) const WALL_S: &str = "wall_s";
    pub(in crate::report) const TRAIN_S: &str = "train_s";
    pub(in crate::report) const TRAIN_ROWS_PER_S: &str = "train_rows_per_s";
    pub(in crate::report) const TRAIN_TOKENS_PER_S: &str = "train_tokens_per_s";
    pub(in crate::report) const PEAK_MEMORY_MIB: &str = "peak_memory_mib";
    /// 1 for a trial that gives one answer to every validation row, else 0.
    pub(in crate::report) const CONSTANT: &str = "constant_answer";
    pub(in crate::report) const LOSS: &str = "loss";
    pub(in crate::report) const EMA_LOSS: &str = "ema_loss";
    pub(in crate::report) const GRAD_NORM: &str = "grad_norm";
    pub(in crate::report) const LEARNING_RATE: &str = "learning_rate";
    pub(in crate::report) const TOKENS_PER_S: &str = "tokens_per_s";
}

/// Which rows a trial was scored on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Validation,
    Test,
}

impl Part {
    pub(super) const ALL: [Self; 2] = [Self::Validation, Self::Test];

    /// The name of a metric's value on these rows.
    pub(super) fn of(self, metric: Metric) -> String {
        self.name(metric.name())
    }

    /// The name of the sum of losses on these rows, in nats: the loss times the tokens.
    pub(super) fn nats(self) -> String {
        self.name("nats")
    }

    /// The name of the number of tokens on these rows.
    pub(super) fn tokens(self) -> String {
        self.name(Count::Tokens.name())
    }

    fn name(self, what: &str) -> String {
        match self {
            Self::Validation => format!("validation_{what}"),
            Self::Test => format!("test_{what}"),
        }
    }

    fn scores(self, result: &TrialResult) -> Option<&Scores> {
        match self {
            Self::Validation => result.validation.as_ref(),
            Self::Test => result.test.as_ref(),
        }
    }
}

/// The numbers of all trials. Of groups that are `stopped` only how many trials failed and are done: they are not
/// averaged.
///
/// # Errors
/// Only if two columns had the same name.
pub(super) fn results(
    record: &RunRecord,
    groups: &[Group<'_>],
    stopped: &HashSet<u32>,
) -> PolarsResult<DataFrame> {
    let at = places(groups);
    let mut rows = Results::default();
    for trial in &record.trials {
        let Some(&(group, seed)) = at.get(&trial.trial.configuration.id) else { continue };
        let mut push = |name: &str, value: Option<f64>| {
            rows.group.push(group);
            rows.seed.push(seed);
            rows.fold.push(index(trial.trial.fold));
            rows.name.push(name.to_owned());
            rows.value.push(value);
        };
        if matches!(trial.state, TrialState::Failed { .. }) {
            push(name::FAILED, Some(1.0));
        }
        let Some(result) = trial.finished() else { continue };
        push(name::STEPS, Some(real(result.steps)));
        if stopped.contains(&group) {
            continue;
        }
        let objective = &record.sweep.task(&trial.trial.configuration).objective;
        scores(objective, result, &mut push);
        costs(result, trial, &mut push);
        if let Some(scores) = &result.validation {
            push(name::CONSTANT, Some(f64::from(u8::from(objective.is_constant(scores)))));
        }
    }
    let Results { group, seed, fold, name, value } = rows;
    DataFrame::new(
        value.len(),
        vec![
            column(GROUP, group),
            column(SEED, seed),
            column(FOLD, fold),
            column(NAME, name),
            column(VALUE, value),
        ],
    )
}

/// The rows of the results.
#[derive(Default)]
struct Results {
    group: Vec<u32>,
    seed: Vec<u32>,
    fold: Vec<u32>,
    name: Vec<String>,
    value: Vec<Option<f64>>,
}

/// Every metric on each part, and the tokens behind a language model's loss.
fn scores(objective: &Objective, result: &TrialResult, push: &mut dyn FnMut(&str, Option<f64>)) {
    for part in Part::ALL {
        let Some(scores) = part.scores(result) else { continue };
        for &metric in objective.metrics() {
            push(&part.of(metric), scores.get(metric));
        }
        if let (Some(loss), Some(tokens)) = (scores.loss(), scores.count(Count::Tokens)) {
            push(&part.nats(), Some(loss * real(tokens)));
            push(&part.tokens(), Some(real(tokens)));
        }
    }
}

/// What a trial cost, and how its training ended. What does not apply has no row: an untrained base has no
/// speed.
fn costs(result: &TrialResult, trial: &TrialRecord, push: &mut dyn FnMut(&str, Option<f64>)) {
    let cost = &result.cost;
    let mut known = |name: &str, value: Option<f64>| value.into_iter().for_each(|one| push(name, Some(one)));
    known(name::WALL_S, Some(cost.wall_s));
    known(name::TRAIN_S, Some(cost.train_s));
    known(name::TRAIN_ROWS_PER_S, per_s(result, cost.train_rows));
    known(name::TRAIN_TOKENS_PER_S, per_s(result, cost.train_tokens));
    known(name::PEAK_MEMORY_MIB, Some(cost.peak_memory_mib));
    let last = LastLine::of(&trial.metrics);
    known(name::EMA_LOSS, last.map(|line| line.ema_loss));
    known(name::GRAD_NORM, last.map(|line| line.grad_norm));
    known(name::LEARNING_RATE, last.map(|line| line.learning_rate));
}

/// The values in the last training line of a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LastLine {
    /// Mean loss since the line before.
    pub(super) loss: f64,
    /// Exponential moving average of the loss.
    pub(super) ema_loss: f64,
    /// Gradient norm before clipping.
    pub(super) grad_norm: f64,
    /// Learning rate.
    pub(super) learning_rate: f64,
}

impl LastLine {
    /// The last training line; `None` before the first.
    pub(super) fn of(lines: &[MetricLine]) -> Option<Self> {
        lines.iter().rev().find_map(|line| match *line {
            MetricLine::Train { loss, ema_loss, grad_norm, learning_rate, .. } => {
                Some(Self { loss, ema_loss, grad_norm, learning_rate })
            }
            MetricLine::Validation { .. } => None,
        })
    }
}

/// The numbers of all trials' metric lines.
///
/// # Errors
/// Only if two columns had the same name.
pub(super) fn course(
    record: &RunRecord,
    groups: &[Group<'_>],
    stopped: &HashSet<u32>,
) -> PolarsResult<DataFrame> {
    let at = places(groups);
    let mut rows = Course::default();
    let names: Vec<(Metric, String)> =
        Metric::ALL.iter().map(|metric| (*metric, Part::Validation.of(*metric))).collect();
    for (number, trial) in record.trials.iter().enumerate() {
        let Some(&(group, seed)) = at.get(&trial.trial.configuration.id) else { continue };
        let own = record.sweep.task(&trial.trial.configuration).objective.metrics();
        let metrics: Vec<&(Metric, String)> =
            names.iter().filter(|(metric, _)| own.contains(metric)).collect();
        let is_done = match stopped.contains(&group) {
            true => matches!(trial.state, TrialState::Stopped { .. }),
            false => trial.state == TrialState::Done,
        };
        let of = Trial { group, seed, number: index(number), is_done };
        let mut seen: HashMap<&str, u32> = HashMap::new();
        for line in &trial.metrics {
            numbers(line, &metrics, &mut |step, epoch, name, value| {
                let seen = seen.entry(name).or_default();
                let is_finite = value.is_some_and(f64::is_finite);
                rows.number.push(is_finite.then_some(*seen));
                *seen += u32::from(is_finite);
                rows.push(&of, (step, epoch), name, value);
            });
        }
    }
    rows.frame()
}

/// Calls `push` with step, epoch, name and value of each number of a line.
fn numbers<'a>(
    line: &MetricLine,
    metrics: &[&'a (Metric, String)],
    push: &mut dyn FnMut(u64, f64, &'a str, Option<f64>),
) {
    match line {
        MetricLine::Train { step, epoch, loss, grad_norm, learning_rate, tokens_per_s, .. } => {
            let named = [
                (name::LOSS, loss),
                (name::GRAD_NORM, grad_norm),
                (name::LEARNING_RATE, learning_rate),
                (name::TOKENS_PER_S, tokens_per_s),
            ];
            named.into_iter().for_each(|(name, value)| push(*step, *epoch, name, Some(*value)));
        }
        // Other rows make other scores: a curve is of all rows.
        MetricLine::Validation { rows: Some(_), .. } => {}
        MetricLine::Validation { step, epoch, scores, rows: None, .. } => {
            for (metric, name) in metrics {
                push(*step, *epoch, name, scores.get(*metric));
            }
        }
    }
}

/// What the rows of a trial have in common.
struct Trial {
    group: u32,
    seed: u32,
    number: u32,
    is_done: bool,
}

/// The rows of the course.
#[derive(Default)]
struct Course<'a> {
    group: Vec<u32>,
    seed: Vec<u32>,
    trial: Vec<u32>,
    done: Vec<bool>,
    name: Vec<&'a str>,
    step: Vec<f64>,
    epoch: Vec<u32>,
    number: Vec<Option<u32>>,
    value: Vec<Option<f64>>,
}

impl<'a> Course<'a> {
    fn push(&mut self, of: &Trial, (step, epoch): (u64, f64), name: &'a str, value: Option<f64>) {
        self.group.push(of.group);
        self.seed.push(of.seed);
        self.trial.push(of.number);
        self.done.push(of.is_done);
        self.name.push(name);
        self.step.push(real(step));
        self.epoch.push(epoch_number(epoch));
        self.value.push(value);
    }

    fn frame(self) -> PolarsResult<DataFrame> {
        DataFrame::new(
            self.value.len(),
            vec![
                column(GROUP, self.group),
                column(SEED, self.seed),
                column(TRIAL, self.trial),
                column(DONE, self.done),
                column(NAME, self.name),
                column(STEP, self.step),
                column(EPOCH, self.epoch),
                column(NUMBER, self.number),
                column(VALUE, self.value),
            ],
        )
    }
}

/// The epoch in which a number of passes over the rows ends, from 1. Where steps do not divide the epoch evenly,
/// it may end a little later.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "epochs are few")]
fn epoch_number(passes: f64) -> u32 {
    const OVER: f64 = 1e-9;
    (passes - OVER).ceil().max(0.0) as u32
}

/// The group of each configuration, and its seed's index there.
pub(super) fn places(groups: &[Group<'_>]) -> HashMap<ConfigurationId, (u32, u32)> {
    let of = |(group, one): (usize, &Group<'_>)| {
        one.replicates
            .iter()
            .enumerate()
            .map(move |(seed, id)| (*id, (index(group), index(seed))))
            .collect::<Vec<_>>()
    };
    groups.iter().enumerate().flat_map(of).collect()
}

fn column<T, Values: ?Sized>(name: &str, values: T) -> Column
where
    T: AsRef<Values>,
    Series: NamedFrom<T, Values>,
{
    Series::new(name.into(), values).into()
}

/// An index as a frame has it.
pub(super) fn index(of: usize) -> u32 {
    u32::try_from(of).expect("a record has fewer than 2^32 trials")
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn real(count: u64) -> f64 {
    count as f64
}

/// Rows or tokens (`count`) per second of a trial's training time; `None` where it trained nothing.
pub(super) fn per_s(result: &TrialResult, count: u64) -> Option<f64> {
    let seconds = result.cost.train_s;
    (seconds > 0.0 && count > 0).then(|| real(count) / seconds)
}
