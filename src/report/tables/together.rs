//! Owns the tables over all tasks and over seeds. Pure.

use crate::report::baseline::Baseline;
use crate::report::entry::Entry;
use crate::report::findings::{Findings, TaskFindings};
use crate::report::format::NONE;
use crate::report::measure::Measure;
use crate::report::pool::{self, Pool, Pooled};
use crate::report::statistics::{Spread, mean};
use crate::values::{Metric, quantity};

use super::{Column, Table, mean_of, numbers, or_none, task_cell, task_column};

/// Configurations over all tasks, the best first; `None` where none has several tasks.
#[must_use]
pub fn all_tasks(findings: &Findings<'_>) -> Option<Table> {
    findings.pools.first()?;
    Some(match findings.all_alike() {
        Some(task) => by_metric(findings, &task.shown()),
        None => by_task(findings),
    })
}

/// A column for each metric, over all tasks.
fn by_metric(findings: &Findings<'_>, shown: &[Measure]) -> Table {
    let pools = &findings.pools;
    let by_token = pools.iter().any(|pool| pool.validation.tokens > 0);
    let has =
        |measure: &&Measure| pools.iter().any(|pool| pool.reported().scores.contains_key(&measure.metric));
    let shown: Vec<Measure> = shown.iter().filter(has).copied().collect();
    let tested = pools.iter().any(|pool| !pool.test.is_empty());
    let mut columns = first_columns();
    columns.extend(shown.iter().map(|measure| Column::number(&format!("validation {}", measure.heading()))));
    if tested {
        columns.extend(shown.iter().map(|measure| Column::number(&format!("test {}", measure.heading()))));
    }
    if by_token {
        columns.push(Column::number(if tested { "test tokens" } else { "validation tokens" }));
    }
    let mut table = Table::new(columns);
    for pool in pools {
        let mut cells = first_cells(findings, pool);
        let mut scores = vec![&pool.validation];
        scores.extend(tested.then_some(&pool.test));
        for part in scores {
            let cell = |measure: &Measure| or_none(part.scores.get(&measure.metric), |v| measure.value(*v));
            cells.extend(shown.iter().map(cell));
        }
        if by_token {
            cells.push(quantity::count(pool.reported().tokens));
        }
        table.push(pool.best, cells);
    }
    if let Some(cells) = baseline_cells(findings, &shown, tested, by_token) {
        table.push(false, cells);
    }
    table
}

/// A column for each task with the score of the metric that selects on it, and their means.
fn by_task(findings: &Findings<'_>) -> Table {
    let mut columns = first_columns();
    for task in &findings.tasks {
        let part = if task.task.is_tested() { "test" } else { "validation" };
        columns.push(Column::number(&format!("`{}`: {part} {}", task.task.name, task.measure.heading())));
    }
    type Part = fn(&Pool) -> &Pooled;
    let has_mean = |of: &Part| findings.pools.iter().any(|pool| of(pool).own.is_some());
    let parts: [(&str, Part); 2] =
        [("validation mean (× 100)", |pool| &pool.validation), ("test mean (× 100)", |pool| &pool.test)];
    let means: Vec<_> = parts.into_iter().filter(|(_, of)| has_mean(of)).collect();
    columns.extend(numbers(means.iter().map(|(title, _)| *title)));
    let mut table = Table::new(columns);
    for pool in &findings.pools {
        let mut cells = first_cells(findings, pool);
        for task in &findings.tasks {
            let entry = task.entries.iter().find(|entry| pool.members.contains(&entry.group));
            let score = entry.and_then(|entry| entry.summary.reported(task.measure.metric));
            cells.push(task.measure.spread(score));
        }
        cells.extend(means.iter().map(|(_, of)| or_none(of(pool).own, pool::hundredfold)));
        table.push(pool.best, cells);
    }
    table
}

fn first_columns() -> Vec<Column> {
    let mut columns = vec![Column::text(""), Column::text("configuration"), Column::text("model")];
    columns.extend(numbers(["tasks done"]));
    columns
}

fn first_cells(findings: &Findings<'_>, pool: &Pool) -> Vec<String> {
    vec![
        if pool.best { "★" } else { "" }.to_owned(),
        pool.label.clone(),
        pool.configuration.model.clone(),
        format!("{} of {}", pool.done, findings.tasks.len()),
    ]
}

/// The best constant answers over all tasks, each task with the same weight; `None` unless every task has one.
fn baseline_cells(
    findings: &Findings<'_>,
    shown: &[Measure],
    tested: bool,
    by_token: bool,
) -> Option<Vec<String>> {
    let baselines: Vec<&Baseline> =
        findings.tasks.iter().map(|task| task.baseline.as_ref()).collect::<Option<_>>()?;
    let over = |measure: &Measure, of: fn(&Baseline, Metric) -> Option<Spread>| {
        let means: Option<Vec<f64>> =
            baselines.iter().map(|baseline| Some(of(baseline, measure.metric)?.mean)).collect();
        or_none(means, |means| measure.value(mean(&means)))
    };
    let all = findings.tasks.len();
    let label = baselines.first()?.label;
    let mut cells = vec!["baseline".to_owned(), label.to_owned(), NONE.to_owned()];
    cells.push(format!("{all} of {all}"));
    cells.extend(shown.iter().map(|measure| over(measure, Baseline::validation)));
    if tested {
        cells.extend(shown.iter().map(|measure| over(measure, Baseline::test)));
    }
    cells.extend(by_token.then(|| NONE.to_owned()));
    Some(cells)
}

/// Spread over seeds, in ranking order within each of some tasks that are judged alike; `None` where no configuration
/// has several seeds.
#[must_use]
pub fn seeds(tasks: &[TaskFindings<'_>]) -> Option<Table> {
    let first = tasks.first().filter(|_| tasks.iter().any(TaskFindings::has_seeds))?;
    let measure = first.measure;
    let has_folds = first.record.sweep.splitting.splits() > 1;
    let is_tested = tasks.iter().any(|task| task.task.is_tested());
    let mut columns: Vec<Column> = task_column(tasks).into_iter().collect();
    columns.push(Column::text("configuration"));
    let heading = format!("validation {} over seeds", measure.heading());
    columns.extend(numbers(["seeds", heading.as_str()]));
    if has_folds {
        columns.push(Column::number("std over seeds and folds"));
    }
    columns.extend(numbers(["lowest", "highest"]));
    if is_tested {
        columns.push(Column::number(&format!("test {} over seeds", measure.heading())));
    }
    let difference = format!("difference to best{}", measure.in_difference_unit());
    columns.extend(numbers(["convergence (step)", difference.as_str()]));
    let mut table = Table::new(columns);
    for task in tasks {
        for entry in &task.entries {
            let mut cells: Vec<String> = task_cell(tasks, task).into_iter().collect();
            cells.extend(seed_cells(entry, task.selected(), measure, has_folds, is_tested));
            table.push(entry.selected, cells);
        }
    }
    Some(table)
}

fn seed_cells(
    entry: &Entry,
    best: Option<&Entry>,
    measure: Measure,
    has_folds: bool,
    tested: bool,
) -> Vec<String> {
    let (trials, stability) = (entry.summary.selecting(), &entry.stability);
    let seeds = if stability.done == stability.planned {
        stability.planned.to_string()
    } else {
        format!("{} of {}", stability.done, stability.planned)
    };
    let mut cells = vec![entry.label.clone(), seeds, measure.spread(stability.validation.as_ref())];
    if has_folds {
        cells.push(or_none(trials.and_then(|spread| spread.std), |std| measure.value(std)));
    }
    cells.push(or_none(trials, |spread| measure.value(spread.min)));
    cells.push(or_none(trials, |spread| measure.value(spread.max)));
    if tested {
        cells.push(measure.spread(stability.test.as_ref()));
    }
    cells.push(mean_of(stability.convergence_step.as_ref(), |step| format!("{step:.0}")));
    cells.push(match (stability.validation, best.and_then(|best| best.stability.validation)) {
        (Some(_), _) if entry.selected => "best".to_owned(),
        (Some(own), Some(best)) => measure.difference(own.mean - best.mean),
        (None, _) | (_, None) => NONE.to_owned(),
    });
    cells
}
