//! Owns the tables on the course of training: its last steps, and each epoch. Pure.

use crate::record::TrialRecord;
use crate::report::entry::Entry;
use crate::report::findings::TaskFindings;
use crate::report::format;
use crate::report::measure::Measure;
use crate::report::statistics::{Spread, mean};
use crate::report::summary::{finished, trials_of};
use crate::values::{Metric, MetricLine, Scores, quantity};

use super::{Column, Table, mean_of, numbers, or_none, task_cell, task_column};

/// The values in the last training line of a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::report) struct LastLine {
    /// Mean loss since the line before.
    pub(in crate::report) loss: f64,
    /// Exponential moving average of the loss.
    pub(in crate::report) ema_loss: f64,
    /// Gradient norm before clipping.
    pub(in crate::report) grad_norm: f64,
    /// Learning rate.
    pub(in crate::report) learning_rate: f64,
}

impl LastLine {
    /// The last training line; `None` before the first.
    pub(in crate::report) fn of(lines: &[MetricLine]) -> Option<Self> {
        lines.iter().rev().find_map(|line| match *line {
            MetricLine::Train { loss, ema_loss, grad_norm, learning_rate, .. } => {
                Some(Self { loss, ema_loss, grad_norm, learning_rate })
            }
            MetricLine::Validation { .. } => None,
        })
    }
}

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
            let Some(end) = training_cells(task, entry) else { continue };
            cells.extend(end);
            table.push(entry.selected, cells);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

fn training_cells(task: &TaskFindings<'_>, entry: &Entry) -> Option<Vec<String>> {
    let summary = &entry.summary;
    let trials = trials_of(task.record, &summary.replicates);
    let results: Vec<_> = trials.iter().filter_map(|trial| finished(trial)).collect();
    let lines: Vec<LastLine> = trials
        .iter()
        .filter(|trial| finished(trial).is_some())
        .filter_map(|trial| LastLine::of(&trial.metrics))
        .collect();
    let over = |value: fn(&LastLine) -> f64| Spread::of(&lines.iter().map(value).collect::<Vec<_>>());
    let train_s = Spread::of(&results.iter().map(|result| result.cost.train_s).collect::<Vec<_>>());
    Some(vec![
        entry.label.clone(),
        quantity::count(results.first()?.steps),
        mean_of(over(|line| line.ema_loss).as_ref(), |loss| format!("{loss:.3}")),
        mean_of(over(|line| line.grad_norm).as_ref(), |norm| format!("{norm:.2}")),
        format::scientific(summary.configuration.training.learning_rate),
        mean_of(over(|line| line.learning_rate).as_ref(), |rate| format!("{rate:.1e}")),
        mean_of(summary.train_tokens_per_s.as_ref(), |speed| format!("{speed:.0}")),
        mean_of(summary.train_rows_per_s.as_ref(), |speed| format!("{speed:.1}")),
        mean_of(train_s.as_ref(), quantity::measured),
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
            for epoch in epochs(task, entry) {
                let mut cells: Vec<String> = task_cell(tasks, task).into_iter().collect();
                cells.extend([
                    entry.label.clone(),
                    epoch.number.to_string(),
                    or_none(epoch.training_loss, |value| loss.value(value)),
                ]);
                cells.extend(shown.iter().map(|measure| {
                    let values: Vec<f64> =
                        epoch.scores.iter().filter_map(|scores| scores.get(measure.metric)).collect();
                    or_none(Spread::of(&values), |spread| measure.value(spread.mean))
                }));
                table.push(entry.selected, cells);
            }
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

/// One epoch of a configuration.
struct Epoch {
    number: u32,
    training_loss: Option<f64>,
    scores: Vec<Scores>,
}

/// The epochs in which something was evaluated. If training ends within an epoch, the epoch ends there.
fn epochs(task: &TaskFindings<'_>, entry: &Entry) -> Vec<Epoch> {
    let trials: Vec<&TrialRecord> = trials_of(task.record, &entry.summary.replicates)
        .into_iter()
        .filter(|trial| finished(trial).is_some())
        .collect();
    let end = entry.summary.configuration.training.epochs.ceil();
    let last = (1..).take_while(|number| f64::from(*number) <= end);
    let epoch = |number: u32| {
        let losses: Vec<f64> = trials.iter().filter_map(|trial| loss_in(trial, number)).collect();
        let scores: Vec<_> = trials.iter().filter_map(|trial| scores_in(trial, number)).collect();
        let training_loss = (!losses.is_empty()).then(|| mean(&losses));
        (!scores.is_empty()).then_some(Epoch { number, training_loss, scores })
    };
    last.filter_map(epoch).collect()
}

/// Whether a number of passes over the rows lies within an epoch; where steps do not divide the epoch evenly,
/// it may end a little later.
fn within(epoch: f64, number: u32) -> bool {
    const OVER: f64 = 1e-9;
    epoch > f64::from(number - 1) + OVER && epoch <= f64::from(number) + OVER
}

/// Mean of the training losses in an epoch.
fn loss_in(trial: &TrialRecord, number: u32) -> Option<f64> {
    let losses: Vec<f64> = trial
        .metrics
        .iter()
        .filter_map(|line| match line {
            MetricLine::Train { epoch, loss, .. } => within(*epoch, number).then_some(*loss),
            MetricLine::Validation { .. } => None,
        })
        .collect();
    (!losses.is_empty()).then(|| mean(&losses))
}

/// The last scores in an epoch.
fn scores_in(trial: &TrialRecord, number: u32) -> Option<Scores> {
    trial.metrics.iter().rev().find_map(|line| match line {
        MetricLine::Validation { epoch, scores, .. } => within(*epoch, number).then(|| scores.clone()),
        MetricLine::Train { .. } => None,
    })
}
