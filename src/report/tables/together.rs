//! Owns the tables over all tasks and over seeds. Pure.

use crate::report::baseline::Baseline;
use crate::report::entry::Entry;
use crate::report::findings::Findings;
use crate::report::format::NONE;
use crate::report::measure::Measure;
use crate::report::statistics::{Spread, mean};
use crate::values::{Metric, quantity};

use super::{Column, Table, mean_of, numbers, or_none, task_cell, task_column};

/// Configurations over all tasks, the best first; `None` where none has several tasks.
#[must_use]
pub fn all_tasks(findings: &Findings<'_>) -> Option<Table> {
    let pools = &findings.pools;
    let first = pools.first()?;
    let by_token = first.validation.tokens > 0;
    let shown: Vec<Measure> = findings
        .shown()
        .into_iter()
        .filter(|measure| pools.iter().any(|pool| pool.reported().scores.contains_key(&measure.metric)))
        .collect();
    let tested = pools.iter().any(|pool| !pool.test.scores.is_empty());
    let mut columns = vec![Column::text(""), Column::text("configuration"), Column::text("model")];
    columns.extend(numbers(["tasks done"]));
    columns.extend(shown.iter().map(|measure| Column::number(&format!("validation {}", measure.heading()))));
    if tested {
        columns.extend(shown.iter().map(|measure| Column::number(&format!("test {}", measure.heading()))));
    }
    if by_token {
        columns.push(Column::number(if tested { "test tokens" } else { "validation tokens" }));
    }
    let mut table = Table::new(columns);
    for pool in pools {
        let mut cells = vec![
            if pool.best { "★" } else { "" }.to_owned(),
            pool.label.clone(),
            pool.configuration.model.clone(),
            format!("{} of {}", pool.done, findings.tasks.len()),
        ];
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
    Some(table)
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

/// Spread over seeds, in ranking order within each task; `None` where no configuration has several seeds.
#[must_use]
pub fn seeds(findings: &Findings<'_>) -> Option<Table> {
    if findings.seeds() < 2 {
        return None;
    }
    let measure = findings.measure();
    let has_folds = findings.record.sweep.splitting.splits() > 1;
    let mut columns: Vec<Column> = task_column(&findings.tasks).into_iter().collect();
    columns.push(Column::text("configuration"));
    let heading = format!("validation {} over seeds", measure.heading());
    columns.extend(numbers(["seeds", heading.as_str()]));
    if has_folds {
        columns.push(Column::number("std over seeds and folds"));
    }
    columns.extend(numbers(["lowest", "highest"]));
    if findings.is_tested() {
        columns.push(Column::number(&format!("test {} over seeds", measure.heading())));
    }
    let difference = format!("difference to best{}", measure.in_difference_unit());
    columns.extend(numbers(["convergence (step)", difference.as_str()]));
    let mut table = Table::new(columns);
    for task in &findings.tasks {
        for entry in &task.entries {
            let mut cells: Vec<String> = task_cell(&findings.tasks, task).into_iter().collect();
            cells.extend(seed_cells(entry, task.selected(), measure, has_folds, findings.is_tested()));
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
