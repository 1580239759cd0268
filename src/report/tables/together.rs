//! Owns the tables over all tasks and over seeds. Pure.

use crate::quantity;
use crate::report::findings::Findings;
use crate::report::format::{self, NONE};
use crate::report::measure::Measure;
use crate::report::seeds::SeedGroup;

use super::{Column, Table, mean_of, numbers, or_none};

/// Configurations over all tasks, the best first; `None` where none is on several.
#[must_use]
pub fn all_tasks(findings: &Findings<'_>) -> Option<Table> {
    let pools = &findings.pools;
    let first = pools.first()?;
    let by_token = first.validation.tokens > 0;
    let shown: Vec<Measure> = Measure::shown(findings.objective())
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
    Some(table)
}

/// Spread over seeds, the best first within each task; `None` where seeds do not vary.
#[must_use]
pub fn seeds(findings: &Findings<'_>) -> Option<Table> {
    if findings.seeds.is_empty() {
        return None;
    }
    let measure = findings.measure();
    let (has_folds, tested) = (findings.record.sweep.splitting.splits() > 1, findings.is_tested());
    let mut columns = Vec::new();
    if findings.has_tasks() {
        columns.push(Column::text("task"));
    }
    columns.push(Column::text("configuration"));
    columns.extend(numbers(["seeds"]));
    let heading = format!("validation {}", measure.heading());
    columns.extend(numbers([format!("{heading} over seeds").as_str()]));
    if has_folds {
        columns.push(Column::number("std over seeds and folds"));
    }
    columns.extend(numbers(["lowest", "highest"]));
    if tested {
        columns.push(Column::number(&format!("test {} over seeds", measure.heading())));
    }
    let difference = format!("difference to best ({})", measure.difference_unit());
    columns.extend(numbers(["convergence (step)", difference.as_str()]));
    if has_folds {
        columns.push(Column::number("p after Holm"));
    }
    let mut table = Table::new(columns);
    for group in &findings.seeds {
        let mut cells = Vec::new();
        if findings.has_tasks() {
            cells.push(group.task.clone());
        }
        let best = findings.seeds.iter().find(|other| other.best && other.task == group.task);
        cells.extend(seed_cells((group, best), measure, (has_folds, tested)));
        table.push(group.best, cells);
    }
    Some(table)
}

fn seed_cells(
    (group, best): (&SeedGroup, Option<&SeedGroup>),
    measure: Measure,
    (has_folds, tested): (bool, bool),
) -> Vec<String> {
    let trials = group.trials;
    let seeds = if group.seeds == group.planned {
        group.planned.to_string()
    } else {
        format!("{} of {}", group.seeds, group.planned)
    };
    let mut cells = vec![group.label.clone(), seeds, measure.spread(group.validation.as_ref())];
    if has_folds {
        cells.push(or_none(trials.and_then(|spread| spread.std), |std| measure.value(std)));
    }
    cells.push(or_none(trials, |spread| measure.value(spread.min)));
    cells.push(or_none(trials, |spread| measure.value(spread.max)));
    if tested {
        cells.push(measure.spread(group.test.as_ref()));
    }
    cells.push(mean_of(group.convergence_step.as_ref(), |step| format!("{step:.0}")));
    cells.push(match (group.validation, best.and_then(|best| best.validation)) {
        (Some(_), _) if group.best => "best".to_owned(),
        (Some(own), Some(best)) => measure.difference(own.mean - best.mean),
        (None, _) | (_, None) => NONE.to_owned(),
    });
    if has_folds {
        cells.push(or_none(group.comparison, |comparison| format::p_value(comparison.p_holm)));
    }
    cells
}
