//! Owns the table that ends a run in the terminal, as text. Prints nothing.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, TableComponent, presets};

use crate::outcome::Metric;
use crate::quantity;
use crate::run::record::RunRecord;

use super::findings::{Entry, Findings};
use super::format::{self, NONE};
use super::headline::counts;
use super::measure::Measure;

/// A column.
struct Column {
    title: String,
    /// Whether it stays when the terminal is narrow: columns with a higher number leave first.
    leaves: u8,
    cell: Box<dyn Fn(&Entry) -> String>,
}

impl Column {
    fn new(title: &str, leaves: u8, cell: impl Fn(&Entry) -> String + 'static) -> Self {
        Self { title: title.to_owned(), leaves, cell: Box::new(cell) }
    }

    /// A metric on the rows of a part.
    fn score(part: &'static str, measure: Measure, leaves: u8) -> Self {
        let unit = if measure.metric.is_share() { " %" } else { "" };
        let title = match (measure.metric, leaves) {
            (Metric::Accuracy, _) => format!("{part}{unit}"),
            (_, 0) => format!("{part} {}{unit}", measure.title()),
            (_, 1..) => format!("{}{unit}", measure.title()),
        };
        let cell = move |entry: &Entry| {
            let scores = if part == "test" { &entry.summary.test } else { &entry.summary.validation };
            measure.spread(scores.get(&measure.metric))
        };
        Self::new(&title, leaves, cell)
    }
}

fn columns(findings: &Findings<'_>) -> Vec<Column> {
    let shown = Measure::shown(findings.objective());
    let trials = if findings.seeds() > 1 { "trials" } else { "folds" };
    let mut columns = vec![Column::new(trials, 1, |e| format!("{}/{}", e.summary.done, e.summary.planned))];
    columns.push(Column::score("validation", findings.measure(), 0));
    let part = if findings.is_tested() { "test" } else { "validation" };
    if findings.is_tested() {
        columns.push(Column::score(part, findings.measure(), 0));
    }
    columns.extend(shown.get(1).map(|second| Column::score(part, *second, 4)));
    columns.extend([
        Column::new("trainable", 2, |e| quantity::count(e.summary.params.trainable)),
        Column::new("of total %", 5, |e| format::parameter_share(e.summary.params.trainable_percent())),
        Column::new("time", 3, |e| {
            e.summary.wall_s.map_or_else(|| NONE.into(), |s| quantity::measured(s.mean))
        }),
        Column::new("MiB", 6, |e| {
            e.summary.peak_memory_mib.map_or_else(|| NONE.into(), |m| format!("{:.0}", m.max))
        }),
    ]);
    columns
}

/// One line per configuration, task by task, best first, no wider than `width` columns: columns leave
/// first, then long names take several lines. Below it, what the marks mean and what is missing.
#[must_use]
pub fn terminal_table(record: &RunRecord, width: usize) -> String {
    let findings = Findings::of(record);
    let columns = columns(&findings);
    let least = columns.iter().map(|column| column.leaves).max().unwrap_or(0);
    let kept = |keep: u8| columns.iter().filter(move |column| column.leaves <= keep).collect::<Vec<_>>();
    let fits = |text: &String| text.lines().all(|line| line.chars().count() <= width);
    let whole = (0..=least).rev().map(|keep| table(&findings, &kept(keep), None)).find(fits);
    let mut text = whole.unwrap_or_else(|| table(&findings, &kept(0), Some(width)));
    for note in notes(&findings) {
        text.push('\n');
        text.push_str(&note);
    }
    text
}

/// The table as wide as it wants to be, or no wider than `width`.
fn table(findings: &Findings<'_>, columns: &[&Column], width: Option<usize>) -> String {
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .remove_style(TableComponent::HorizontalLines)
        .remove_style(TableComponent::MiddleIntersections)
        .set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = width.and_then(|width| u16::try_from(width).ok()) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    let titles = columns.iter().map(|column| right(column.title.clone()));
    table.set_header(std::iter::once(Cell::new("  configuration")).chain(titles));
    for entry in findings.entries() {
        // No mark is a space that stays where a long name takes several lines.
        let mark = if entry.selected { "*" } else { "\u{a0}" };
        let cells = columns.iter().map(|column| right((column.cell)(entry)));
        let name = Cell::new(format!("{mark}\u{a0}{}", findings.full_label(entry)));
        table.add_row(std::iter::once(name).chain(cells));
    }
    let text = table.to_string().replace('\u{a0}', " ");
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn notes(findings: &Findings<'_>) -> Vec<String> {
    let selected = findings.tasks.iter().filter(|task| task.selected().is_some()).count();
    let of_task = if findings.has_tasks() { " within its task" } else { "" };
    let report = if findings.is_tested() { "; the test score is the one to report" } else { "" };
    let over = match findings.seeds() {
        0 | 1 => String::new(),
        seeds => format!(", mean over {seeds} seeds"),
    };
    let mut notes = vec![match selected {
        0 => "none is selected: no configuration has all its folds yet".to_owned(),
        _ => format!("* selected on validation{over}{of_task}{report}"),
    }];
    if let Some(unit) = unit(findings) {
        notes.push(unit);
    }
    let (_, failed, left) = counts(findings.record);
    if failed > 0 {
        notes.push(format!("{} failed", quantity::counted(failed, "trial")));
    }
    if left > 0 {
        notes.push(format!("{} not finished", quantity::counted(left, "trial")));
    }
    notes
}

/// What the scores are in, where the title does not say it.
fn unit(findings: &Findings<'_>) -> Option<String> {
    let measure = findings.measure();
    (!measure.metric.is_share()).then(|| format!("{}: lower is better", measure.heading()))
}
