//! Owns the table of results, and of the trials that have none. Pure.

use crate::quantity;
use crate::report::axes::{self, Axis, SHOWN};
use crate::report::findings::{Entry, Findings, TaskFindings};
use crate::report::format;
use crate::report::measure::Measure;
use crate::run::record::{TrialRecord, TrialState};
use crate::task::Objective;
use crate::trial::Configuration;

use super::{Column, Table, mean_of, numbers, or_none, task_cell, task_column};

/// One row per configuration, task by task, in ranking order. What is the same for all is among the
/// settings.
#[must_use]
pub fn results(tasks: &[TaskFindings<'_>]) -> Table {
    let entries = || tasks.iter().flat_map(|task| &task.entries);
    let configurations: Vec<&Configuration> = entries().map(|e| e.summary.configuration.as_ref()).collect();
    let settings: Vec<&Axis> = SHOWN
        .iter()
        .filter(|axis| matches!(axis.title, "method" | "rank" | "alpha") || axis.varies(&configurations))
        .filter(|axis| configurations.iter().any(|c| (axis.value)(c).is_some()))
        .chain(axes::also_varying(&configurations))
        .filter(|axis| axis.title != axes::SEED)
        .collect();
    let mut columns = vec![Column::text("")];
    columns.extend(task_column(tasks));
    columns.extend(settings.iter().map(|axis| match axis.title {
        "model" | "method" | "targets" | "saved modules" | "schedule" | "keep" | "precision" => {
            Column::text(axis.title)
        }
        title => Column::number(title),
    }));
    let measured = Measured::of(tasks);
    columns.extend(measured.titles().iter().map(|title| Column::number(title)));
    let mut table = Table::new(columns);
    for task in tasks {
        for entry in &task.entries {
            let mut cells = vec![mark(entry).to_owned()];
            cells.extend(task_cell(tasks, task));
            cells.extend(
                settings.iter().map(|axis| or_none((axis.value)(&entry.summary.configuration), |v| v)),
            );
            cells.extend(measured.cells(entry));
            table.push(entry.selected, cells);
        }
    }
    table
}

/// ★ for what is selected, a word for what is there to be compared with.
fn mark(entry: &Entry) -> &'static str {
    match (entry.selected, entry.summary.is_base()) {
        (true, _) => "★",
        (false, true) => "reference",
        (false, false) => "",
    }
}

/// Which numbers a table of results has.
struct Measured {
    shown: Vec<Measure>,
    has_folds: bool,
    has_seeds: bool,
    is_tested: bool,
    by_token: bool,
}

impl Measured {
    fn of(tasks: &[TaskFindings<'_>]) -> Self {
        let objective = tasks.first().map(|task| &task.task.objective);
        Self {
            shown: objective.map(Measure::shown).unwrap_or_default(),
            has_folds: tasks.iter().any(|task| task.record.sweep.splitting.splits() > 1),
            has_seeds: tasks.iter().any(TaskFindings::has_seeds),
            is_tested: tasks.iter().any(|task| task.task.is_tested()),
            by_token: !matches!(objective, Some(Objective::Classification(_)) | None),
        }
    }

    /// The metric that selects, then the others on test rows, or on validation rows without any.
    fn others(&self) -> &[Measure] {
        if self.is_tested { &self.shown } else { self.shown.get(1..).unwrap_or_default() }
    }

    fn titles(&self) -> Vec<String> {
        let mut titles = Vec::new();
        titles.extend(self.has_seeds.then(|| "seeds".to_owned()));
        titles.push(if self.has_seeds { "trials done" } else { "folds done" }.to_owned());
        titles.extend(self.shown.first().map(|primary| format!("validation {}", primary.heading())));
        if self.has_folds {
            titles.extend(self.shown.first().map(|primary| format!("best fold{}", primary.in_unit())));
        }
        let part = if self.is_tested { "test" } else { "validation" };
        titles.extend(self.others().iter().map(|measure| format!("{part} {}", measure.heading())));
        let speed = if self.by_token { "training tokens/s" } else { "training rows/s" };
        titles.extend(
            [
                "trainable parameters",
                "trainable (%)",
                "total parameters",
                "time per trial",
                speed,
                "peak memory (MiB)",
                "convergence (step)",
            ]
            .map(str::to_owned),
        );
        titles
    }

    fn cells(&self, entry: &Entry) -> Vec<String> {
        let summary = &entry.summary;
        let mut cells = Vec::new();
        cells.extend(self.has_seeds.then(|| entry.stability.planned.to_string()));
        cells.push(trials_done(entry));
        cells.extend(self.shown.first().map(|primary| primary.spread(summary.selecting())));
        if self.has_folds {
            let best = |primary: &Measure| or_none(summary.best_fold(), |fold| primary.value(fold.score));
            cells.extend(self.shown.first().map(best));
        }
        let scores = if self.is_tested { &summary.test } else { &summary.validation };
        cells.extend(self.others().iter().map(|measure| measure.spread(scores.get(&measure.metric))));
        let speed = if self.by_token { &summary.train_tokens_per_s } else { &summary.train_rows_per_s };
        cells.extend([
            quantity::count(summary.params.trainable),
            format::parameter_share(summary.params.trainable_percent()),
            quantity::count(summary.params.total),
            mean_of(summary.wall_s.as_ref(), quantity::measured),
            mean_of(speed.as_ref(), |per_s| format!("{per_s:.0}")),
            or_none(summary.peak_memory_mib, |mib| format!("{:.0}", mib.max)),
            or_none(summary.convergence_step, quantity::count),
        ]);
        cells
    }
}

/// How many trials a configuration's numbers are over: `3 of 3`, `2 of 3 (1 failed)`.
fn trials_done(entry: &Entry) -> String {
    let summary = &entry.summary;
    let failed = if summary.failed > 0 { format!(" ({} failed)", summary.failed) } else { String::new() };
    format!("{} of {}{failed}", summary.done, summary.planned)
}

/// Trials without a result, each with the reason; `None` where all are done.
#[must_use]
pub fn without_result(findings: &Findings<'_>) -> Option<Table> {
    let mut columns = vec![Column::text("configuration")];
    columns.extend(numbers(["fold"]));
    columns.push(Column::text("state"));
    columns.extend(numbers(["attempts"]));
    columns.push(Column::text("trial"));
    let mut table = Table::new(columns);
    for trial in &findings.record.trials {
        let Some(reason) = reason(&trial.state) else { continue };
        table.push(
            false,
            vec![
                label(findings, trial),
                (trial.trial.fold + 1).to_string(),
                reason,
                trial.attempts.to_string(),
                trial.trial.id.to_string(),
            ],
        );
    }
    (!table.rows.is_empty()).then_some(table)
}

fn label(findings: &Findings<'_>, trial: &TrialRecord) -> String {
    or_none(findings.entry_of(trial), |entry| match entry.stability.planned {
        0 | 1 => findings.full_label(entry),
        _ => format!("{} seed {}", findings.full_label(entry), trial.trial.configuration.training.seed),
    })
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
