//! Owns the tables of results and of trials without one. Pure.

use crate::record::{TrialRecord, TrialState};
use crate::report::baseline::Baseline;
use crate::report::entry::Entry;
use crate::report::findings::{Findings, TaskFindings};
use crate::report::format::{self, NONE};
use crate::report::measure::Measure;
use crate::report::statistics::Spread;
use crate::values::axes::{self, Axis, SEED};
use crate::values::{Configuration, quantity};

use super::{Column, Table, mean_of, numbers, or_none, task_cell, task_column};

/// The settings that have a column: the values shared by all configurations, whether they were stopped early or not,
/// are among the settings.
pub(super) fn shown_settings(tasks: &[TaskFindings<'_>]) -> Vec<&'static Axis> {
    let all = tasks.iter().flat_map(TaskFindings::all);
    let configurations: Vec<&Configuration> = all.map(|e| e.summary.configuration.as_ref()).collect();
    let is_shown = |axis: &&Axis| match axis.leads {
        true => matches!(axis.name, "method" | "rank" | "alpha") || axis.varies(&configurations),
        false => axis.name != SEED && axis.varies(&configurations),
    };
    let shown = axes::shown().filter(is_shown);
    shown.filter(|axis| configurations.iter().any(|c| axis.get(c).is_some())).collect()
}

/// The column of a setting.
pub(super) fn setting_column(axis: &Axis) -> Column {
    if axis.domain.is_text() { Column::text(axis.title) } else { Column::number(axis.title) }
}

/// One row per configuration, task by task, in ranking order; those that were stopped early have a table of their own.
#[must_use]
pub fn results(tasks: &[TaskFindings<'_>]) -> Table {
    let settings = shown_settings(tasks);
    let mut columns = vec![Column::text("")];
    columns.extend(task_column(tasks));
    columns.extend(settings.iter().map(|axis| setting_column(axis)));
    let measured = Measured::of(tasks);
    columns.extend(measured.titles().iter().map(|title| Column::number(title)));
    let mut table = Table::new(columns);
    for task in tasks {
        for entry in &task.entries {
            let mut cells = vec![mark(task, entry)];
            cells.extend(task_cell(tasks, task));
            cells
                .extend(settings.iter().map(|axis| or_none(axis.value(&entry.summary.configuration), |v| v)));
            cells.extend(measured.cells(entry));
            table.push(entry.selected, cells);
        }
        if let Some(baseline) = &task.baseline {
            let mut cells = vec!["baseline".to_owned()];
            cells.extend(task_cell(tasks, task));
            cells.extend(settings.iter().map(|axis| match axis.name {
                "method" => baseline.label.to_owned(),
                _ => NONE.to_owned(),
            }));
            cells.extend(measured.baseline(baseline));
            table.push(false, cells);
        }
    }
    table
}

/// ★ for the selected entry, words for references, for ties with the selected entry and for entries with one
/// answer to every row.
fn mark(task: &TaskFindings<'_>, entry: &Entry) -> String {
    let summary = &entry.summary;
    let mut marks: Vec<String> = Vec::new();
    match (entry.selected, summary.is_base()) {
        (true, _) => marks.push("★".to_owned()),
        (false, true) => marks.push("reference".to_owned()),
        (false, false) => {}
    }
    if task.tied().any(|tied| std::ptr::eq(tied, entry)) {
        marks.push("tied".to_owned());
    }
    let what = task.task.objective.words().constant.what;
    if summary.is_constant() {
        marks.push(what.to_owned());
    } else if summary.constant > 0 {
        marks.push(format!("{what} in {} of {}", summary.constant, summary.done));
    }
    marks.join(", ")
}

/// The numbers shown in a table of results.
struct Measured {
    shown: Vec<Measure>,
    has_folds: bool,
    has_seeds: bool,
    is_tested: bool,
    by_token: bool,
}

impl Measured {
    fn of(tasks: &[TaskFindings<'_>]) -> Self {
        Self {
            shown: tasks.first().map(TaskFindings::shown).unwrap_or_default(),
            has_folds: tasks.iter().any(|task| task.record.sweep.splitting.splits() > 1),
            has_seeds: tasks.iter().any(TaskFindings::has_seeds),
            is_tested: tasks.iter().any(|task| task.task.is_tested()),
            by_token: tasks.first().is_some_and(|task| task.task.objective.by_token()),
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

    fn baseline(&self, baseline: &Baseline) -> Vec<String> {
        let mut cells = vec![NONE.to_owned(); 1 + usize::from(self.has_seeds)];
        if let Some(primary) = self.shown.first() {
            let spread = baseline.validation(primary.metric);
            cells.push(primary.spread(spread.as_ref()));
            if self.has_folds {
                let metric = primary.metric;
                let best = |spread: Spread| {
                    primary.value(if metric.higher_is_better() { spread.max } else { spread.min })
                };
                cells.push(or_none(spread, best));
            }
        }
        let scores = if self.is_tested { Baseline::test } else { Baseline::validation };
        let of = |measure: &Measure| measure.spread(scores(baseline, measure.metric).as_ref());
        cells.extend(self.others().iter().map(of));
        cells.resize(self.titles().len(), NONE.to_owned());
        cells
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

/// How many trials a configuration's numbers cover: `3 of 3`, `2 of 3 (1 failed)`.
fn trials_done(entry: &Entry) -> String {
    let summary = &entry.summary;
    let failed = if summary.failed > 0 { format!(" ({} failed)", summary.failed) } else { String::new() };
    format!("{} of {}{failed}", summary.done, summary.planned)
}

/// Trials without a result, each with the reason, but for those that were stopped early; `None` where there is none.
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

/// Why a trial has no result; `None` where it has one, or was stopped early.
fn reason(state: &TrialState) -> Option<String> {
    match state {
        TrialState::Done | TrialState::Stopped { .. } => None,
        TrialState::Waiting => Some("not started".to_owned()),
        TrialState::Running { placement, .. } => Some(format!("running on {}", placement.device)),
        TrialState::Paused { step } => Some(format!("at a rung after step {step}")),
        TrialState::Interrupted => Some("interrupted".to_owned()),
        TrialState::Failed { failure } => Some(format!("failed: {failure}")),
    }
}
