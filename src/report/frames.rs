//! Owns the report's data frames: `trials.csv` and `configurations.csv`. Nothing is rounded.
//!
//! Both have one header row; an empty cell means "none". Accuracies, precisions, recalls, F1 and exact
//! match are shares in [0, 1], losses are in nats per row (classification) or token, and other units
//! are in the names. `<metric>` stands for each metric of the sweep's tasks, under its name in JSON:
//! `loss`, `accuracy`, `perplexity` ...
//!
//! Settings, in both: `task`, `configuration` (id), `label` (unique in the task), a column for each axis
//! in the order of [`axes::shown`] (lists joined by `+`), `trainable_params`, `total_params`.
//!
//! `trials.csv`, one row per trial: first `trial` (id), `fold` (from 0), `state` (`waiting`,
//! `running`, `interrupted`, `done`, `failed`), `reason` (of a failure), `attempts`; after the
//! settings `steps`, `kept_step`, `answers_one_class` (to every validation row), `validation_<metric>`, `test_<metric>`, for language models
//! `validation_tokens` and `test_tokens` (predicted ones), `wall_s`, `train_s`, `evaluate_s`,
//! `train_rows`, `train_tokens`, `evaluated_rows`, `train_rows_per_s`, `train_tokens_per_s`,
//! `peak_memory_mib`, and of the last training line `last_loss`, `last_ema_loss`, `last_grad_norm`
//! and `last_learning_rate`.
//!
//! `configurations.csv`, one row per configuration with all its seeds (`configuration` and `seed` are
//! those of its first), task by task in ranking order: first
//! `rank_by_validation` (from 1 in each task, equal ones alike), `selected`, `folds_planned`, `folds_done`,
//! `folds_failed` (over all seeds), `seeds`, `one_class_trials`; after the settings, of each `validation_<metric>` and `test_<metric>`, of `wall_s`,
//! `train_rows_per_s`, `train_tokens_per_s` and `peak_memory_mib` the `_mean`, `_std`, `_min` and
//! `_max` over done trials; `validation_<metric>_ci95_low` and `_high` of the metric that selects;
//! `convergence_step`; and against the selected configuration of the task `difference`, `t`, `p`,
//! `p_holm`.

use polars::prelude::{Column, CsvWriter, DataFrame, NamedFrom, PolarsResult, SerWriter, Series};

use crate::families::params::ParamCounts;
use crate::record::{TrialRecord, TrialState};
use crate::tasks::Objective;
use crate::values::axes::{self, Axis};
use crate::values::{Configuration, Count, Scores, Setting as Value, TrialResult};

use super::findings::{Comparison, Entry, Findings};
use super::statistics::Spread;
use super::summary::{ConfigurationSummary, finished, per_s};
use super::tables::LastLine;

/// One row per trial, in the record's order.
///
/// # Errors
/// Only if two columns had the same name.
pub fn trials(findings: &Findings<'_>) -> PolarsResult<DataFrame> {
    let trials: Vec<&TrialRecord> = findings.record.trials.iter().collect();
    let of_trial = Rows(&trials);
    let mut columns = vec![
        of_trial.text("trial", |t| Some(t.trial.id.to_string())),
        of_trial.count("fold", |t| Some(t.trial.fold as u64)),
        of_trial.text("state", |t| Some(t.state.name().to_owned())),
        of_trial.text("reason", |t| reason(&t.state)),
        of_trial.count("attempts", |t| Some(u64::from(t.attempts))),
    ];
    let settings: Vec<Setting<'_>> =
        trials.iter().map(|t| (t.trial.configuration.as_ref(), label_of(findings, t), t.params)).collect();
    columns.extend(setting_columns(&Rows(&settings)));
    let results: Vec<Option<&TrialResult>> = trials.iter().map(|t| finished(t)).collect();
    columns.extend(result_columns(&Rows(&results), findings.objective()));
    let last: Vec<Option<LastLine>> = trials.iter().map(|t| LastLine::of(&t.metrics)).collect();
    columns.extend(last_columns(&Rows(&last)));
    DataFrame::new(trials.len(), columns)
}

/// One row per configuration, in ranking order.
///
/// # Errors
/// Only if two columns had the same name.
pub fn configurations(findings: &Findings<'_>) -> PolarsResult<DataFrame> {
    let entries: Vec<&Entry> = findings.entries().collect();
    let rows = Rows(&entries);
    let mut columns = vec![
        rows.count("rank_by_validation", |e| Some(e.place)),
        rows.text("selected", |e| Some(e.selected.to_string())),
        rows.count("folds_planned", |e| Some(e.summary.planned as u64)),
        rows.count("folds_done", |e| Some(e.summary.done as u64)),
        rows.count("folds_failed", |e| Some(e.summary.failed as u64)),
        rows.count("seeds", |e| Some(e.stability.planned as u64)),
        rows.count("one_class_trials", |e| Some(e.summary.one_class as u64)),
    ];
    let settings: Vec<Setting<'_>> = entries
        .iter()
        .map(|e| (e.summary.configuration.as_ref(), e.label.as_str(), e.summary.params))
        .collect();
    columns.extend(setting_columns(&Rows(&settings)));
    for &metric in findings.objective().metrics() {
        let name = metric.name();
        columns.extend(rows.spread(&format!("validation_{name}"), |s| s.validation.get(&metric)));
        columns.extend(rows.spread(&format!("test_{name}"), |s| s.test.get(&metric)));
    }
    columns.extend(rows.spread("wall_s", |s| s.wall_s.as_ref()));
    columns.extend(rows.spread("train_rows_per_s", |s| s.train_rows_per_s.as_ref()));
    columns.extend(rows.spread("train_tokens_per_s", |s| s.train_tokens_per_s.as_ref()));
    columns.extend(rows.spread("peak_memory_mib", |s| s.peak_memory_mib.as_ref()));
    let primary = findings.measure().metric.name();
    let interval = |e: &Entry| e.summary.over_folds()?.interval;
    columns.push(rows.real(&format!("validation_{primary}_ci95_low"), |e| Some(interval(e)?.0)));
    columns.push(rows.real(&format!("validation_{primary}_ci95_high"), |e| Some(interval(e)?.1)));
    columns.push(rows.count("convergence_step", |e| e.summary.convergence_step));
    let comparisons: [Compared; 4] = [
        ("difference", |c| c.test.difference),
        ("t", |c| c.test.t),
        ("p", |c| c.test.p),
        ("p_holm", |c| c.p_holm),
    ];
    for (name, value) in comparisons {
        columns.push(rows.real(name, |e| e.comparison.as_ref().map(value)));
    }
    DataFrame::new(entries.len(), columns)
}

/// A frame as CSV text.
///
/// # Errors
/// Only if a column had a type without a text form.
pub fn csv(mut frame: DataFrame) -> PolarsResult<Vec<u8>> {
    let mut bytes = Vec::new();
    CsvWriter::new(&mut bytes).finish(&mut frame)?;
    Ok(bytes)
}

/// A column by name: how a configuration compares with the selected one.
type Compared = (&'static str, fn(&Comparison) -> f64);
/// The rows that a trial was scored on.
type ScoredPart = (&'static str, fn(&TrialResult) -> Option<&Scores>);

/// A configuration, its label and its parameters.
type Setting<'a> = (&'a Configuration, &'a str, ParamCounts);

/// Items of which each makes one row.
struct Rows<'a, T>(&'a [T]);

impl<T> Rows<'_, T> {
    fn text(&self, name: &str, value: impl Fn(&T) -> Option<String>) -> Column {
        Series::new(name.into(), self.0.iter().map(value).collect::<Vec<_>>()).into()
    }

    fn real(&self, name: &str, value: impl Fn(&T) -> Option<f64>) -> Column {
        Series::new(name.into(), self.0.iter().map(value).collect::<Vec<_>>()).into()
    }

    fn count(&self, name: &str, value: impl Fn(&T) -> Option<u64>) -> Column {
        Series::new(name.into(), self.0.iter().map(value).collect::<Vec<_>>()).into()
    }
}

impl Rows<'_, &Entry> {
    fn spread(&self, name: &str, of: impl Fn(&ConfigurationSummary) -> Option<&Spread>) -> [Column; 4] {
        [
            self.real(&format!("{name}_mean"), |e| Some(of(&e.summary)?.mean)),
            self.real(&format!("{name}_std"), |e| of(&e.summary)?.std),
            self.real(&format!("{name}_min"), |e| Some(of(&e.summary)?.min)),
            self.real(&format!("{name}_max"), |e| Some(of(&e.summary)?.max)),
        ]
    }
}

fn setting_columns(rows: &Rows<'_, Setting<'_>>) -> Vec<Column> {
    let mut columns = vec![
        rows.text("task", |(c, ..)| Some(c.task.clone())),
        rows.text("configuration", |(c, ..)| Some(c.id.to_string())),
        rows.text("label", |(_, label, _)| Some((*label).to_owned())),
    ];
    columns.extend(axes::shown().map(|axis| axis_column(rows, axis)));
    columns.extend([
        rows.count("trainable_params", |(.., params)| Some(params.trainable)),
        rows.count("total_params", |(.., params)| Some(params.total)),
    ]);
    columns
}

fn axis_column(rows: &Rows<'_, Setting<'_>>, axis: &Axis) -> Column {
    if axis.domain.is_count() {
        rows.count(axis.column, |(c, ..)| if let Value::Count(n) = axis.get(c)? { Some(n) } else { None })
    } else if axis.domain.is_number() {
        rows.real(axis.column, |(c, ..)| if let Value::Number(n) = axis.get(c)? { Some(n) } else { None })
    } else {
        rows.text(axis.column, |(c, ..)| axis.get(c).map(|value| value.to_string()))
    }
}

fn result_columns(rows: &Rows<'_, Option<&TrialResult>>, objective: &Objective) -> Vec<Column> {
    let is_constant = |result: &TrialResult| objective.is_constant(&result.validation);
    let mut columns = vec![
        rows.count("steps", |r| r.map(|r| r.steps)),
        rows.count("kept_step", |r| r.map(|r| r.kept_step)),
        rows.text("answers_one_class", |r| r.map(|r| is_constant(r).to_string())),
    ];
    let parts: [ScoredPart; 2] = [("validation", |r| Some(&r.validation)), ("test", |r| r.test.as_ref())];
    let counts_tokens = objective.tally().scores().count(Count::Tokens).is_some();
    for (part, of) in parts {
        for &metric in objective.metrics() {
            let name = format!("{part}_{}", metric.name());
            columns.push(rows.real(&name, |r| r.and_then(of)?.get(metric)));
        }
        if counts_tokens {
            let tokens = |r: &Option<&TrialResult>| r.and_then(of)?.count(Count::Tokens);
            columns.push(rows.count(&format!("{part}_tokens"), tokens));
        }
    }
    columns.extend([
        rows.real("wall_s", |r| r.map(|r| r.cost.wall_s)),
        rows.real("train_s", |r| r.map(|r| r.cost.train_s)),
        rows.real("evaluate_s", |r| r.map(|r| r.cost.evaluate_s)),
        rows.count("train_rows", |r| r.map(|r| r.cost.train_rows)),
        rows.count("train_tokens", |r| r.map(|r| r.cost.train_tokens)),
        rows.count("evaluated_rows", |r| r.map(|r| r.cost.evaluated_rows)),
        rows.real("train_rows_per_s", |r| r.and_then(|r| per_s(r, r.cost.train_rows))),
        rows.real("train_tokens_per_s", |r| r.and_then(|r| per_s(r, r.cost.train_tokens))),
        rows.real("peak_memory_mib", |r| r.map(|r| r.cost.peak_memory_mib)),
    ]);
    columns
}

fn last_columns(rows: &Rows<'_, Option<LastLine>>) -> [Column; 4] {
    [
        rows.real("last_loss", |line| line.map(|line| line.loss)),
        rows.real("last_ema_loss", |line| line.map(|line| line.ema_loss)),
        rows.real("last_grad_norm", |line| line.map(|line| line.grad_norm)),
        rows.real("last_learning_rate", |line| line.map(|line| line.learning_rate)),
    ]
}

fn label_of<'a>(findings: &'a Findings<'_>, trial: &TrialRecord) -> &'a str {
    findings.entry_of(trial).map_or("", |e| e.label.as_str())
}

fn reason(state: &TrialState) -> Option<String> {
    match state {
        TrialState::Failed { failure } => Some(failure.to_string()),
        TrialState::Waiting | TrialState::Running { .. } | TrialState::Interrupted | TrialState::Done => None,
    }
}
