//! Owns the tables of a report as text cells, the same for every format. Pure.
//!
//! A table shows one task or several; with several, its first column names them, and marks and comparisons are
//! within each.

mod course;
mod notes;
mod results;
mod settings;
mod statistics;
mod stopped;
mod together;

pub use course::{by_epoch, training};
pub use notes::method_notes;
pub use results::{results, without_result};
pub use settings::{settings, tasks};
pub use statistics::{folds, statistics};
pub use stopped::stopped;
pub use together::{all_tasks, seeds};

use super::findings::TaskFindings;
use super::format::NONE;
use super::statistics::Spread;

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
    /// Whether its cells are numbers, aligned to the right.
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
    fn text(title: &str) -> Self {
        Self { title: title.to_owned(), numeric: false }
    }

    fn number(title: &str) -> Self {
        Self { title: title.to_owned(), numeric: true }
    }
}

impl Table {
    fn new(columns: Vec<Column>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    fn push(&mut self, selected: bool, cells: Vec<String>) {
        self.rows.push(Row { cells, selected });
    }
}

/// The column that names the task, where a table shows several.
fn task_column(tasks: &[TaskFindings<'_>]) -> Option<Column> {
    (tasks.len() > 1).then(|| Column::text("task"))
}

/// The cell under [`task_column`].
fn task_cell(tasks: &[TaskFindings<'_>], task: &TaskFindings<'_>) -> Option<String> {
    (tasks.len() > 1).then(|| task.task.name.clone())
}

fn numbers<'a>(titles: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = Column> {
    titles.into_iter().map(Column::number)
}

fn or_none<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| NONE.to_owned(), text)
}

fn mean_of(spread: Option<&Spread>, text: impl FnOnce(f64) -> String) -> String {
    or_none(spread, |spread| text(spread.mean))
}
