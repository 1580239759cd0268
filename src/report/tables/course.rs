//! Owns the tables on the course of training: its last steps, and each epoch. Pure.

use crate::report::entry::Entry;
use crate::report::findings::TaskFindings;
use crate::report::format;
use crate::report::long::{Part, name};
use crate::report::measure::Measure;
use crate::values::{Metric, quantity};

use super::{Column, Table, mean_of, numbers, or_none, task_cell, task_column};

/// The end of training, mean over done folds; `None` where nothing has trained.
#[must_use]
pub fn training(tasks: &[TaskFindings<'_>]) -> Option<Table> {
    let unit = tasks.first()?.task.objective.words().loss_unit;
    let mut columns: Vec<Column> = task_column(tasks).into_iter().collect();
    columns.push(Column::text("configuration"));
    let loss = format!("EMA loss ({unit})");
    columns.extend(numbers([
        "steps",
        &loss,
        "gradient norm",
        "peak learning rate",
        "last learning rate",
        "tokens/s",
        "rows/s",
        "time in steps",
    ]));
    let mut table = Table::new(columns);
    for task in tasks {
        for entry in task.entries.iter().filter(|entry| !entry.summary.is_base()) {
            let mut cells: Vec<String> = task_cell(tasks, task).into_iter().collect();
            let Some(end) = training_cells(entry) else { continue };
            cells.extend(end);
            table.push(entry.selected, cells);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

fn training_cells(entry: &Entry) -> Option<Vec<String>> {
    let Entry { summary, course, .. } = entry;
    let over = |name: &str| course.spreads.get(name);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "steps are a count")]
    let steps = course.steps? as u64;
    Some(vec![
        entry.label.clone(),
        quantity::count(steps),
        mean_of(over(name::EMA_LOSS), |loss| format!("{loss:.3}")),
        mean_of(over(name::GRAD_NORM), |norm| format!("{norm:.2}")),
        format::scientific(summary.configuration.training.learning_rate),
        mean_of(over(name::LEARNING_RATE), |rate| format!("{rate:.1e}")),
        mean_of(summary.train_tokens_per_s.as_ref(), |speed| format!("{speed:.0}")),
        mean_of(summary.train_rows_per_s.as_ref(), |speed| format!("{speed:.1}")),
        mean_of(over(name::TRAIN_S), quantity::measured),
    ])
}

/// Training loss and validation scores at the end of each epoch, mean over folds; `None` where
/// nothing has been evaluated.
#[must_use]
pub fn by_epoch(tasks: &[TaskFindings<'_>]) -> Option<Table> {
    let first = tasks.first()?;
    let objective = &first.task.objective;
    let loss = Measure::new(Metric::Loss, objective);
    let mut shown = vec![loss];
    shown.extend(first.shown().into_iter().filter(|measure| measure.metric != Metric::Loss));
    let mut columns: Vec<Column> = task_column(tasks).into_iter().collect();
    columns.push(Column::text("configuration"));
    columns.extend(numbers(["epoch", format!("training {}", loss.heading()).as_str()]));
    columns.extend(shown.iter().map(|measure| Column::number(&format!("validation {}", measure.heading()))));
    let mut table = Table::new(columns);
    for task in tasks {
        for entry in &task.entries {
            // If training ends within an epoch, the epoch ends there.
            for (number, means) in &entry.course.epochs {
                let score = |metric: Metric| means.get(&Part::Validation.of(metric)).copied();
                if task.task.objective.metrics().iter().all(|&metric| score(metric).is_none()) {
                    continue;
                }
                let mut cells: Vec<String> = task_cell(tasks, task).into_iter().collect();
                let training_loss = means.get(name::LOSS).copied();
                cells.extend([
                    entry.label.clone(),
                    number.to_string(),
                    or_none(training_loss, |value| loss.value(value)),
                ]);
                cells.extend(
                    shown.iter().map(|measure| or_none(score(measure.metric), |mean| measure.value(mean))),
                );
                table.push(entry.selected, cells);
            }
        }
    }
    (!table.rows.is_empty()).then_some(table)
}
