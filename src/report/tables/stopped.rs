//! Owns the table of the configurations that were stopped early. Pure.

use crate::report::entry::Entry;
use crate::report::findings::TaskFindings;
use crate::report::left::Left;
use crate::report::measure::Measure;
use crate::values::{Metric, quantity};

use super::results::{setting_column, shown_settings};
use super::{Column, Table, numbers, or_none, task_cell, task_column};

/// One row per configuration that was stopped early: where it left, and by how much it missed the last one that was
/// kept. Task by task and bracket by bracket, those that came furthest first; `None` where none was stopped.
#[must_use]
pub fn stopped(tasks: &[TaskFindings<'_>]) -> Option<Table> {
    let all = || tasks.iter().flat_map(|task| task.stopped.iter().map(move |entry| (task, entry)));
    let (first, left) = all().find_map(|(task, entry)| Some((task, entry.left.as_ref()?)))?;
    let settings = shown_settings(tasks);
    let shown = Shown {
        metric: left.metric,
        brackets: all().filter_map(|(_, entry)| entry.left.as_ref()?.rung).any(|rung| rung.bracket > 1),
        errors: all().any(|(_, entry)| entry.left.as_ref().is_some_and(|left| left.error.is_some())),
    };
    let mut columns: Vec<Column> = task_column(tasks).into_iter().collect();
    columns.extend(settings.iter().map(|axis| setting_column(axis)));
    columns.extend(shown.columns(Measure::new(left.metric, &first.task.objective)));
    let mut table = Table::new(columns);
    for (task, entry) in all() {
        let Some(left) = &entry.left else { continue };
        let mut cells: Vec<String> = task_cell(tasks, task).into_iter().collect();
        cells.extend(settings.iter().map(|axis| or_none(axis.value(&entry.summary.configuration), |v| v)));
        cells.extend(shown.cells(left, Measure::new(left.metric, &task.task.objective), entry));
        table.push(false, cells);
    }
    Some(table)
}

/// What the table shows of rungs.
struct Shown {
    /// What most scores are.
    metric: Metric,
    /// Whether there are several brackets.
    brackets: bool,
    /// Whether a standard error is known.
    errors: bool,
}

impl Shown {
    fn columns(&self, measure: Measure) -> Vec<Column> {
        let mut columns = Vec::new();
        columns.extend(self.brackets.then(|| Column::number("bracket")));
        columns.push(Column::text("left at"));
        let (score, margin) =
            (format!("validation {}", measure.heading()), format!("margin{}", measure.in_difference_unit()));
        columns.extend(numbers(["after step", "of steps", "place", score.as_str()]));
        columns.extend(self.errors.then(|| Column::number("standard error")));
        columns.extend(numbers(["last one kept", margin.as_str()]));
        columns.push(Column::text("trial"));
        columns
    }

    fn cells(&self, left: &Left, measure: Measure, entry: &Entry) -> Vec<String> {
        let rung = left.rung;
        // Another rule may have ranked by another metric before.
        let value = |value: f64| {
            if left.metric == self.metric {
                measure.value(value)
            } else {
                measure.said(&measure.value(value))
            }
        };
        let failed = if entry.summary.failed > 0 { " (failed)" } else { "" };
        let mut cells = Vec::new();
        cells.extend(self.brackets.then(|| or_none(rung, |rung| rung.bracket.to_string())));
        cells.push(rung.map_or_else(|| "by hand".to_owned(), |rung| format!("rung {}{failed}", rung.number)));
        cells.extend([
            quantity::count(left.step),
            or_none(left.steps, quantity::count),
            or_none(rung, |rung| format!("{} of {}", rung.rank, rung.of)),
            or_none(left.score, value),
        ]);
        cells.extend(self.errors.then(|| or_none(left.error, |error| measure.value(error))));
        cells.extend([
            or_none(rung.and_then(|rung| rung.last_kept), value),
            or_none(left.margin(), |margin| measure.difference(margin)),
            left.trial.to_string(),
        ]);
        cells
    }
}
