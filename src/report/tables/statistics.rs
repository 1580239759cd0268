//! Owns the tables over folds: spreads with tests, and every fold's score. Pure.

use crate::report::baseline::Baseline;
use crate::report::entry::Entry;
use crate::report::findings::TaskFindings;
use crate::report::format::{self, NONE};
use crate::report::measure::Measure;
use crate::report::statistics::Spread;
use crate::report::summary::FoldScore;
use crate::values::quantity;

use super::{Column, Table, mean_of, numbers, or_none, task_cell, task_column};

/// With more folds than this, single folds are only in `trials.csv`.
const MOST_FOLDS: usize = 10;

/// Spread of the validation score, and the comparison with the selected configuration of the task.
#[must_use]
pub fn statistics(tasks: &[TaskFindings<'_>]) -> Table {
    let mut columns: Vec<Column> = task_column(tasks).into_iter().collect();
    columns.push(Column::text("configuration"));
    let (unit, points) = tasks
        .first()
        .map(|task| (task.measure.in_unit(), task.measure.in_difference_unit()))
        .unwrap_or_default();
    let (mean, interval) = (format!("mean{unit}"), format!("95 % interval{unit}"));
    let difference = format!("difference to selected{points}");
    columns.extend(numbers([
        "folds",
        &mean,
        "std",
        &interval,
        "best fold",
        "worst fold",
        &difference,
        "t",
        "p",
        "p after Holm",
    ]));
    columns.push(Column::text("significant at 0.05"));
    let mut table = Table::new(columns);
    for task in tasks {
        for entry in &task.entries {
            let mut cells: Vec<String> = task_cell(tasks, task).into_iter().collect();
            cells.extend(cells_of(entry, task));
            table.push(entry.selected, cells);
        }
        if let Some(baseline) = &task.baseline {
            let mut cells: Vec<String> = task_cell(tasks, task).into_iter().collect();
            cells.extend(baseline_cells(baseline, task));
            table.push(false, cells);
        }
    }
    table
}

fn baseline_cells(baseline: &Baseline, task: &TaskFindings<'_>) -> Vec<String> {
    let measure = task.measure;
    let spread = baseline.validation(measure.metric);
    let selected = task.selected().and_then(|selected| selected.summary.over_folds());
    let difference = spread.zip(selected).map(|(own, selected)| own.mean - selected.mean);
    let mut cells = vec![
        baseline.label.to_owned(),
        spread.map_or(0, |spread| spread.n).to_string(),
        mean_of(spread.as_ref(), |mean| measure.value(mean)),
        or_none(spread.and_then(|spread| spread.std), |std| measure.value(std)),
    ];
    cells.extend([NONE; 3].map(str::to_owned));
    cells.push(or_none(difference, |difference| measure.difference(difference)));
    cells.extend([NONE, NONE, NONE, "baseline"].map(str::to_owned));
    cells
}

fn cells_of(entry: &Entry, task: &TaskFindings<'_>) -> Vec<String> {
    let measure = task.measure;
    // Over folds alone: seeds of one split share its rows.
    let spread = entry.summary.over_folds();
    let spread = spread.as_ref();
    let mut cells = vec![
        entry.label.clone(),
        spread.map_or(0, |a| a.n).to_string(),
        mean_of(spread, |mean| measure.value(mean)),
        or_none(spread.and_then(|a| a.std), |std| measure.value(std)),
        or_none(spread, |spread| interval(spread, measure)),
        or_none(entry.summary.best_fold(), |fold| scored(fold, measure)),
        or_none(entry.summary.worst_fold(), |fold| scored(fold, measure)),
    ];
    cells.extend(match &entry.comparison {
        Some(comparison) => [
            measure.difference(comparison.test.difference),
            format::signed(comparison.test.t),
            format::p_value(comparison.test.p),
            format::p_value(comparison.p_holm),
            if comparison.is_significant() { "yes" } else { "no" }.to_owned(),
        ],
        None if entry.selected => ["selected", NONE, NONE, NONE, NONE].map(str::to_owned),
        None if entry.summary.is_constant() => {
            let does = task.task.objective.words().constant.does;
            [NONE, NONE, NONE, NONE, does].map(str::to_owned)
        }
        None if task.tied().any(|tied| std::ptr::eq(tied, entry)) => {
            ["tied", NONE, NONE, NONE, NONE].map(str::to_owned)
        }
        None if task.selected().is_none() => [NONE, NONE, NONE, NONE, "none selected"].map(str::to_owned),
        None => [NONE, NONE, NONE, NONE, "not testable"].map(str::to_owned),
    });
    cells
}

fn interval(spread: &Spread, measure: Measure) -> String {
    or_none(spread.interval, |(low, high)| {
        let (least, most) = measure.metric.row().range;
        format!("{} to {}", measure.value(low.max(least)), measure.value(high.min(most)))
    })
}

fn scored(fold: FoldScore, measure: Measure) -> String {
    format!("{} (fold {})", measure.value(fold.score), fold.fold + 1)
}

/// Every fold's validation score and the training time; `None` for one fold or too many.
#[must_use]
pub fn folds(tasks: &[TaskFindings<'_>]) -> Option<Table> {
    let planned = tasks.first()?.record.sweep.splitting.splits();
    if !(2..=MOST_FOLDS).contains(&planned) {
        return None;
    }
    let mut columns: Vec<Column> = task_column(tasks).into_iter().collect();
    columns.push(Column::text("configuration"));
    columns.extend((1..=planned).map(|fold| Column::number(&format!("fold {fold}"))));
    columns.extend(numbers(["mean ± std", "best fold", "time per trial", "time of all folds"]));
    let mut table = Table::new(columns);
    for task in tasks {
        for entry in &task.entries {
            let mut cells: Vec<String> = task_cell(tasks, task).into_iter().collect();
            cells.extend(fold_cells(task, entry, planned));
            table.push(entry.selected, cells);
        }
        if let Some(baseline) = &task.baseline {
            let (measure, scores) = (task.measure, baseline.scores(task.measure.metric));
            let mut cells: Vec<String> = task_cell(tasks, task).into_iter().collect();
            cells.push(baseline.label.to_owned());
            cells.extend((0..planned).map(|fold| {
                or_none(scores.iter().find(|(at, _)| *at == fold), |(_, score)| measure.value(*score))
            }));
            cells.push(measure.spread(baseline.validation(measure.metric).as_ref()));
            cells.extend([NONE; 3].map(str::to_owned));
            table.push(false, cells);
        }
    }
    Some(table)
}

fn fold_cells(task: &TaskFindings<'_>, entry: &Entry, planned: usize) -> Vec<String> {
    let (measure, summary) = (task.measure, &entry.summary);
    let what = task.task.objective.words().constant.what;
    let mut cells = vec![entry.label.clone()];
    cells.extend((0..planned).map(|fold| {
        or_none(summary.folds.iter().find(|one| one.fold == fold), |one| {
            let mark = if one.constant { format!(" ({what})") } else { String::new() };
            format!("{}{mark}", measure.value(one.score))
        })
    }));
    let seconds: f64 = summary.folds.iter().map(|one| one.wall_s).sum();
    cells.extend([
        measure.spread(summary.over_folds().as_ref()),
        or_none(summary.best_fold(), |fold| (fold.fold + 1).to_string()),
        mean_of(summary.wall_s.as_ref(), quantity::measured),
        or_none(summary.wall_s, |_| quantity::measured(seconds)),
    ]);
    cells
}
