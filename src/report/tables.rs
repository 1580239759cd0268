//! Owns the tables of a report as text cells, the same for every format. Pure.

use std::path::Path;

use crate::quantity;
use crate::run::record::{TrialRecord, TrialState};
use crate::trial::{Configuration, Splitting};

use super::axes::{self, Axis, SHOWN};
use super::curves::CONVERGED_SHARE;
use super::findings::{Entry, Findings};
use super::format::{self, NONE};
use super::statistics::Spread;
use super::summary::FoldScore;

/// A table.
pub struct Table {
    /// Column titles, units included.
    pub columns: Vec<Column>,
    /// Rows, each with one cell per column.
    pub rows: Vec<Row>,
}

/// A column of a table.
pub struct Column {
    /// Title, unit included.
    pub title: String,
    /// Whether its cells are numbers, to be set flush right.
    pub numeric: bool,
}

/// A row of a table.
pub struct Row {
    /// Texts, one per column.
    pub cells: Vec<String>,
    /// Whether it is the selected configuration's.
    pub selected: bool,
}

impl Column {
    pub(super) fn text(title: &str) -> Self {
        Self { title: title.to_owned(), numeric: false }
    }

    pub(super) fn number(title: &str) -> Self {
        Self { title: title.to_owned(), numeric: true }
    }
}

/// One row per configuration, in ranking order.
#[must_use]
pub fn results(findings: &Findings<'_>) -> Table {
    let configurations: Vec<&Configuration> =
        findings.record.sweep.configurations.iter().map(AsRef::as_ref).collect();
    let settings: Vec<&Axis> = SHOWN.iter().chain(axes::also_varying(&configurations)).collect();
    let mut columns = vec![Column::text("")];
    columns.extend(settings.iter().map(|axis| match axis.title {
        "model" | "method" | "targets" | "schedule" | "keep" => Column::text(axis.title),
        title => Column::number(title),
    }));
    columns.extend(
        [
            "folds done",
            "validation accuracy (%)",
            "best fold (%)",
            "test accuracy (%)",
            "test macro F1 (%)",
            "trainable parameters",
            "trainable (%)",
            "total parameters",
            "time per trial",
            "training rows/s",
            "peak memory (MiB)",
            "convergence (step)",
        ]
        .map(Column::number),
    );
    let rows = findings.entries.iter().map(|entry| {
        let mut cells = vec![if entry.selected { "★" } else { "" }.to_owned()];
        let setting =
            |axis: &&Axis| (axis.value)(&entry.summary.configuration).unwrap_or_else(|| NONE.into());
        cells.extend(settings.iter().map(setting));
        cells.extend(measures(entry));
        Row { cells, selected: entry.selected }
    });
    Table { columns, rows: rows.collect() }
}

fn measures(entry: &Entry) -> [String; 12] {
    let summary = &entry.summary;
    [
        folds_done(entry),
        format::percent_spread(summary.validation_accuracy.as_ref()),
        summary.best_fold().map_or_else(|| NONE.into(), |fold| format::percent(fold.accuracy)),
        format::percent_spread(summary.test_accuracy.as_ref()),
        format::percent_spread(summary.test_macro_f1.as_ref()),
        quantity::count(summary.params.trainable),
        format::parameter_share(summary.params.trainable_percent()),
        quantity::count(summary.params.total),
        mean_of(summary.wall_s.as_ref(), quantity::measured),
        mean_of(summary.train_rows_per_s.as_ref(), |rows| format!("{rows:.0}")),
        summary.peak_memory_mib.map_or_else(|| NONE.into(), |mib| format!("{:.0}", mib.max)),
        summary.convergence_step.map_or_else(|| NONE.into(), quantity::count),
    ]
}

/// how many folds a configuration's numbers are over: `3 of 3`, `2 of 3 (1 failed)`.
pub(super) fn folds_done(entry: &Entry) -> String {
    let summary = &entry.summary;
    let failed = if summary.failed > 0 { format!(" ({} failed)", summary.failed) } else { String::new() };
    format!("{} of {}{failed}", summary.done, summary.planned)
}

fn mean_of(spread: Option<&Spread>, text: impl Fn(f64) -> String) -> String {
    spread.map_or_else(|| NONE.into(), |spread| text(spread.mean))
}

/// Spread of the validation accuracy, and the comparison with the selected configuration.
#[must_use]
pub fn statistics(findings: &Findings<'_>) -> Table {
    let mut columns = vec![Column::text("configuration")];
    columns.extend(
        [
            "folds",
            "mean (%)",
            "std",
            "95 % interval (%)",
            "best fold",
            "worst fold",
            "difference to selected (points)",
            "t",
            "p",
            "p after Holm",
        ]
        .map(Column::number),
    );
    columns.push(Column::text("significant at 0.05"));
    let row = |entry: &Entry| Row { cells: statistics_cells(entry), selected: entry.selected };
    Table { columns, rows: findings.entries.iter().map(row).collect() }
}

fn statistics_cells(entry: &Entry) -> Vec<String> {
    let accuracy = entry.summary.validation_accuracy;
    let fold = |score: Option<FoldScore>| {
        score
            .map_or_else(|| NONE.into(), |s| format!("{} (fold {})", format::percent(s.accuracy), s.fold + 1))
    };
    let interval = accuracy.and_then(|a| a.interval).map(|(low, high)| {
        format!("{} to {}", format::percent(low.max(0.0)), format::percent(high.min(1.0)))
    });
    let mut cells = vec![
        entry.label.clone(),
        accuracy.map_or(0, |a| a.n).to_string(),
        mean_of(accuracy.as_ref(), format::percent),
        accuracy.and_then(|a| a.std).map_or_else(|| NONE.into(), format::percent),
        interval.unwrap_or_else(|| NONE.into()),
        fold(entry.summary.best_fold()),
        fold(entry.summary.worst_fold()),
    ];
    cells.extend(match &entry.comparison {
        Some(comparison) => [
            format::points(comparison.test.difference),
            format::signed(comparison.test.t),
            format::p_value(comparison.test.p),
            format::p_value(comparison.p_holm),
            if comparison.is_significant() { "yes" } else { "no" }.to_owned(),
        ],
        None if entry.selected => ["selected", NONE, NONE, NONE, NONE].map(str::to_owned),
        None => [NONE, NONE, NONE, NONE, "not testable"].map(str::to_owned),
    });
    cells
}

/// Trials without a result, each with the reason; `None` where all are done.
#[must_use]
pub fn without_result(findings: &Findings<'_>) -> Option<Table> {
    let row = |trial: &TrialRecord| {
        let reason = reason(&trial.state)?;
        let id = trial.trial.configuration.id;
        let label = &findings.entries.iter().find(|e| e.summary.configuration.id == id)?.label;
        let fold = (trial.trial.fold + 1).to_string();
        let cells = vec![label.clone(), fold, reason, trial.attempts.to_string(), trial.trial.id.to_string()];
        Some(Row { cells, selected: false })
    };
    let rows: Vec<Row> = findings.record.trials.iter().filter_map(row).collect();
    let columns = vec![
        Column::text("configuration"),
        Column::number("fold"),
        Column::text("state"),
        Column::number("attempts"),
        Column::text("trial"),
    ];
    (!rows.is_empty()).then_some(Table { columns, rows })
}

/// Why a trial has no result; `None` where it has one.
fn reason(state: &TrialState) -> Option<String> {
    match state {
        TrialState::Done => None,
        TrialState::Waiting => Some("not started".to_owned()),
        TrialState::Running { placement, .. } => Some(format!("running on {}", placement.device)),
        TrialState::Interrupted => Some("interrupted".to_owned()),
        TrialState::Failed { failure } => Some(format!("failed: {failure}")),
    }
}

/// A data file by its folder and name: where the folder lies says nothing to a reader elsewhere.
fn file(path: &Path) -> String {
    let parts: Vec<_> =
        path.components().rev().take(2).map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}

/// What the sweep was run with: task, division of rows, training settings that do not vary.
#[must_use]
pub fn settings(findings: &Findings<'_>) -> Table {
    let sweep = &findings.record.sweep;
    let configurations: Vec<&Configuration> = sweep.configurations.iter().map(AsRef::as_ref).collect();
    let mut rows = vec![
        ("training file", file(&sweep.first_task().train.path)),
        ("training rows", quantity::count(sweep.first_task().train_rows() as u64)),
        ("sampling seed", sweep.first_task().sample_seed.to_string()),
    ];
    if let Some(test) = &sweep.first_task().test {
        rows.push(("test file", file(&test.path)));
        rows.push(("test rows", quantity::count(sweep.first_task().test_rows() as u64)));
    }
    rows.push(("labels", sweep.first_task().objective.labels().join(", ")));
    rows.push(("longest sequence (tokens)", sweep.first_task().max_length.to_string()));
    rows.push(("validation", splitting(sweep.splitting)));
    for axis in SHOWN.iter().chain(&axes::OTHER) {
        let mut values: Vec<String> = Vec::new();
        for value in configurations.iter().filter_map(|c| (axis.value)(c)) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        if !values.is_empty() {
            rows.push((axis.title, values.join(", ")));
        }
    }
    let row = |(name, value): (&str, String)| Row { cells: vec![name.to_owned(), value], selected: false };
    let columns = vec![Column::text("setting"), Column::text("value")];
    Table { columns, rows: rows.into_iter().map(row).collect() }
}

fn splitting(splitting: Splitting) -> String {
    let how = |stratified| if stratified { "stratified" } else { "not stratified" };
    match splitting {
        Splitting::KFold { k, stratified, seed } => {
            format!("{k}-fold cross-validation, {}, seed {seed}", how(stratified))
        }
        Splitting::HoldOut { fraction, stratified, seed } => {
            format!("{} % held out, {}, seed {seed}", format::percent(fraction), how(stratified))
        }
        Splitting::File => "a validation file".to_owned(),
    }
}

/// How the numbers were made, one sentence each.
#[must_use]
pub fn method_notes(findings: &Findings<'_>) -> Vec<String> {
    vec![
        format!(
            "★ marks the selected configuration. Configurations are ranked and selected by mean validation accuracy over {}; test rows are \
             evaluated once per trial and take no part in it. ± is the sample standard deviation over folds.",
            quantity::counted(findings.record.sweep.splitting.splits(), "fold"),
        ),
        "The 95 % interval is Student's t over folds. It takes folds as independent, which they are not, \
         and is too narrow; comparisons do not use it."
            .to_owned(),
        "Comparisons are the corrected resampled t-test on validation accuracy of the same folds (Nadeau & \
         Bengio 2003, Machine Learning 52), with Holm's correction (1979) over all comparisons with the \
         selected configuration. That the selected one was chosen for being best makes its lead optimistic."
            .to_owned(),
        format!(
            "Convergence is the first step at which the mean validation accuracy, smoothed over three \
             evaluations, reaches {:.0} % of that configuration's best.",
            100.0 * CONVERGED_SHARE,
        ),
        "Parameters are counted from tensor shapes, each tensor once. LoRA (Hu et al. 2021): adapters and \
         head train. Time is the mean over folds, evaluation included; memory is the largest of all folds."
            .to_owned(),
    ]
}
