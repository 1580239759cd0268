//! Owns the report's data frames: `trials.csv` and `configurations.csv`. Nothing is rounded.
//!
//! The columns are described in `reports/README.md`, and a test holds that they are these.

use polars::prelude::{Column, CsvWriter, DataFrame, NamedFrom, PolarsResult, SerWriter, Series};

use crate::families::params::ParamCounts;
use crate::record::{TrialRecord, TrialState};
use crate::tasks::Objective;
use crate::values::axes::{self, Axis};
use crate::values::{Configuration, Count, Metric, Scores, Setting, TrialResult};

use super::entry::{Comparison, Entry};
use super::findings::Findings;
use super::left::Left;
use super::long::{LastLine, per_s};
use super::statistics::Spread;
use super::summary::ConfigurationSummary;

/// One row per trial, in the record's order.
///
/// # Errors
/// Only if two columns had the same name.
pub fn trials<'a>(findings: &'a Findings<'_>) -> PolarsResult<DataFrame> {
    let trials: Vec<&TrialRecord> = findings.record.trials.iter().collect();
    let of_trial = Rows(&trials);
    let mut columns = vec![
        of_trial.text("trial", |t| Some(t.trial.id.to_string())),
        of_trial.count("fold", |t| Some(t.trial.fold as u64)),
        of_trial.text("state", |t| Some(t.state.name().to_owned())),
        of_trial.text("reason", |t| reason(&t.state)),
        of_trial.count("attempts", |t| Some(u64::from(t.attempts))),
    ];
    let of_trials = |t: &&'a TrialRecord| Described {
        configuration: &t.trial.configuration,
        label: label_of(findings, t),
        params: t.params,
    };
    let settings: Vec<Described<'_>> = trials.iter().map(of_trials).collect();
    columns.extend(setting_columns(&Rows(&settings)));
    let objective = |t: &TrialRecord| &findings.record.sweep.task(&t.trial.configuration).objective;
    let results: Vec<Scored<'_>> = trials.iter().map(|t| Scored(objective(t), t.finished())).collect();
    columns.extend(result_columns(&Rows(&results), findings));
    let last: Vec<Option<LastLine>> = trials.iter().map(|t| LastLine::of(&t.metrics)).collect();
    columns.extend(last_columns(&Rows(&last)));
    let left: Vec<Option<Left>> = trials.iter().map(|t| Left::of_trial(t, objective(t))).collect();
    columns.extend(left_columns(&Rows(&left)));
    DataFrame::new(trials.len(), columns)
}

/// One row per configuration, in ranking order; those that were stopped early come last in their task, without means.
///
/// # Errors
/// Only if two columns had the same name.
pub fn configurations<'a>(findings: &'a Findings<'_>) -> PolarsResult<DataFrame> {
    let entries: Vec<&Entry> = findings.entries().collect();
    let rows = Rows(&entries);
    let mut columns = vec![
        rows.count("rank_by_validation", |e| e.left.is_none().then_some(e.place)),
        rows.text("selected", |e| Some(e.selected.to_string())),
        rows.count("folds_planned", |e| Some(e.summary.planned as u64)),
        rows.count("folds_done", |e| Some(e.summary.done as u64)),
        rows.count("folds_failed", |e| Some(e.summary.failed as u64)),
        rows.count("seeds", |e| Some(e.stability.planned as u64)),
        rows.count("constant_answer_trials", |e| Some(e.summary.constant as u64)),
    ];
    columns.extend(
        has_classes(findings).then(|| rows.count("one_class_trials", |e| Some(e.summary.constant as u64))),
    );
    let of_entry = |e: &&'a Entry| Described {
        configuration: &e.summary.configuration,
        label: &e.label,
        params: e.summary.params,
    };
    let settings: Vec<Described<'_>> = entries.iter().map(of_entry).collect();
    columns.extend(setting_columns(&Rows(&settings)));
    for metric in findings.metrics() {
        let name = metric.name();
        columns.extend(rows.spread(&format!("validation_{name}"), |s| s.validation.get(&metric)));
        columns.extend(rows.spread(&format!("test_{name}"), |s| s.test.get(&metric)));
    }
    columns.extend(rows.spread("wall_s", |s| s.wall_s.as_ref()));
    columns.extend(rows.spread("train_rows_per_s", |s| s.train_rows_per_s.as_ref()));
    columns.extend(rows.spread("train_tokens_per_s", |s| s.train_tokens_per_s.as_ref()));
    columns.extend(rows.spread("peak_memory_mib", |s| s.peak_memory_mib.as_ref()));
    let selecting = selecting(findings);
    for &metric in &selecting {
        let interval = |e: &Entry| e.summary.over_folds().filter(|_| e.summary.primary == metric)?.interval;
        let name = metric.name();
        columns.push(rows.real(&format!("validation_{name}_ci95_low"), |e| Some(interval(e)?.0)));
        columns.push(rows.real(&format!("validation_{name}_ci95_high"), |e| Some(interval(e)?.1)));
    }
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
    for &metric in &selecting {
        let elsewhere = |e: &Entry| e.summary.over_other_folds().filter(|_| e.summary.primary == metric);
        let name = format!("validation_{}_mean_other_folds", metric.name());
        columns.push(rows.real(&name, |e| Some(elsewhere(e)?.mean)));
    }
    columns.push(rows.text("state", |e| Some(state(e).to_owned())));
    let left: Vec<Option<Left>> = entries.iter().map(|e| e.left.clone()).collect();
    columns.extend(left_columns(&Rows(&left)));
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

/// The columns on a configuration that both frames have.
struct Described<'a> {
    configuration: &'a Configuration,
    label: &'a str,
    params: ParamCounts,
}

/// What a trial scored, with what it learned.
struct Scored<'a>(&'a Objective, Option<&'a TrialResult>);

/// The metrics that select on some task, each once.
fn selecting(findings: &Findings<'_>) -> Vec<Metric> {
    let all = findings.alike().into_iter().map(|tasks| tasks[0].measure.metric);
    all.fold(Vec::new(), |mut known, metric| {
        if !known.contains(&metric) {
            known.push(metric);
        }
        known
    })
}

/// Items, one per row.
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

fn setting_columns(rows: &Rows<'_, Described<'_>>) -> Vec<Column> {
    let mut columns = vec![
        rows.text("task", |one| Some(one.configuration.task.clone())),
        rows.text("configuration", |one| Some(one.configuration.id.to_string())),
        rows.text("label", |one| Some(one.label.to_owned())),
    ];
    columns.extend(axes::shown().map(|axis| axis_column(rows, axis)));
    columns.extend([
        rows.count("trainable_params", |one| Some(one.params.trainable)),
        rows.count("total_params", |one| Some(one.params.total)),
    ]);
    columns
}

fn axis_column(rows: &Rows<'_, Described<'_>>, axis: &Axis) -> Column {
    let value = |one: &Described<'_>| axis.get(one.configuration);
    if axis.domain.is_count() {
        rows.count(axis.column, |one| if let Setting::Count(n) = value(one)? { Some(n) } else { None })
    } else if axis.domain.is_number() {
        rows.real(axis.column, |one| if let Setting::Number(n) = value(one)? { Some(n) } else { None })
    } else {
        // What is not set has a word of its own: no list of layers means all of them.
        let text =
            |value: Setting| if value == Setting::Null { axis.text(&value) } else { value.to_string() };
        rows.text(axis.column, |one| value(one).map(text))
    }
}

/// Whether a constant answer is one class. Its columns then also have their earlier names, from before other
/// kinds of tasks had constant answers.
fn has_classes(findings: &Findings<'_>) -> bool {
    findings.tasks.iter().any(|task| !task.objective().labels().is_empty())
}

fn result_columns(scored: &Rows<'_, Scored<'_>>, findings: &Findings<'_>) -> Vec<Column> {
    let constant = |Scored(objective, result): &Scored<'_>| {
        Some(objective.is_constant(result.as_ref()?.validation.as_ref()?).to_string())
    };
    let results: Vec<Option<&TrialResult>> = scored.0.iter().map(|Scored(_, result)| *result).collect();
    let rows = Rows(&results);
    let mut columns = vec![
        rows.count("steps", |r| r.map(|r| r.steps)),
        rows.count("kept_step", |r| r.map(|r| r.kept_step)),
        scored.text("constant_answer", constant),
    ];
    columns.extend(has_classes(findings).then(|| scored.text("answers_one_class", constant)));
    let parts: [ScoredPart; 2] = [("validation", |r| r.validation.as_ref()), ("test", |r| r.test.as_ref())];
    let counts_tokens =
        findings.tasks.iter().any(|task| task.objective().tally().scores().count(Count::Tokens).is_some());
    for (part, of) in parts {
        for metric in findings.metrics() {
            let name = format!("{part}_{}", metric.name());
            columns.push(scored.real(&name, |Scored(objective, result)| {
                result.and_then(of).filter(|_| objective.metrics().contains(&metric))?.get(metric)
            }));
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

/// Where it left, where it was stopped early.
fn left_columns(rows: &Rows<'_, Option<Left>>) -> Vec<Column> {
    let rung = |left: &Option<Left>| left.as_ref()?.rung;
    let by = |left: &Left| if left.rung.is_some() { "rung" } else { "hand" };
    let count = |n: usize| Some(n as u64);
    vec![
        rows.text("stopped_by", |left| left.as_ref().map(|left| by(left).to_owned())),
        rows.count("stopped_bracket", |left| count(rung(left)?.bracket)),
        rows.count("stopped_rung", |left| count(rung(left)?.number)),
        rows.count("stopped_step", |left| Some(left.as_ref()?.step)),
        rows.count("stopped_of_steps", |left| left.as_ref()?.steps),
        rows.count("stopped_rank", |left| count(rung(left)?.rank)),
        rows.count("stopped_of", |left| count(rung(left)?.of)),
        rows.text("stopped_metric", |left| Some(left.as_ref()?.metric.name().to_owned())),
        rows.real("stopped_score", |left| left.as_ref()?.score),
        rows.real("stopped_score_error", |left| left.as_ref()?.error),
        rows.real("stopped_last_kept", |left| rung(left)?.last_kept),
        rows.real("stopped_margin", |left| left.as_ref()?.margin()),
    ]
}

/// What became of a configuration.
fn state(entry: &Entry) -> &'static str {
    let summary = &entry.summary;
    if entry.left.is_some() {
        "stopped"
    } else if summary.is_complete() {
        "done"
    } else if summary.done + summary.failed == summary.planned {
        "failed"
    } else {
        "unfinished"
    }
}

fn label_of<'a>(findings: &'a Findings<'_>, trial: &TrialRecord) -> &'a str {
    findings.entry_of(trial).map_or("", |e| e.label.as_str())
}

fn reason(state: &TrialState) -> Option<String> {
    match state {
        TrialState::Failed { failure } => Some(failure.to_string()),
        TrialState::Stopped { reason } => Some(reason.to_string()),
        TrialState::Waiting
        | TrialState::Running { .. }
        | TrialState::Paused { .. }
        | TrialState::Interrupted
        | TrialState::Done => None,
    }
}
