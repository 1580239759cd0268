//! Owns the table that ends a run in the terminal, as text. Prints nothing.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, TableComponent, presets};

use crate::quantity;
use crate::run::record::RunRecord;

use super::findings::{Entry, Findings};
use super::format::{self, NONE};
use super::headline::counts;

/// A column: its title, its cell, and whether it stays when the terminal is narrow. Columns with a
/// higher number leave first.
type Measure = (&'static str, fn(&Entry) -> String, u8);

const MEASURES: [Measure; 8] = [
    ("folds", |e| format!("{}/{}", e.summary.done, e.summary.planned), 1),
    ("validation %", |e| format::percent_spread(e.summary.validation_accuracy.as_ref()), 0),
    ("test %", |e| format::percent_spread(e.summary.test_accuracy.as_ref()), 0),
    ("macro F1 %", |e| format::percent_spread(e.summary.test_macro_f1.as_ref()), 4),
    ("trainable", |e| quantity::count(e.summary.params.trainable), 2),
    ("of total %", |e| format::parameter_share(e.summary.params.trainable_percent()), 5),
    ("time", |e| e.summary.wall_s.map_or_else(|| NONE.into(), |s| quantity::measured(s.mean)), 3),
    ("MiB", |e| e.summary.peak_memory_mib.map_or_else(|| NONE.into(), |m| format!("{:.0}", m.max)), 6),
];

/// One line per configuration, best first, no wider than `width` columns as long as the names of
/// configurations allow it; below it, what the marks mean and what is missing.
#[must_use]
pub fn terminal_table(record: &RunRecord, width: usize) -> String {
    let findings = Findings::of(record);
    let least = MEASURES.iter().map(|measure| measure.2).max().unwrap_or(0);
    let mut text = String::new();
    for keep in (0..=least).rev() {
        text = table(&findings, keep);
        if text.lines().all(|line| line.chars().count() <= width) {
            break;
        }
    }
    for note in notes(&findings) {
        text.push('\n');
        text.push_str(&note);
    }
    text
}

fn table(findings: &Findings<'_>, keep: u8) -> String {
    let measures: Vec<&Measure> = MEASURES.iter().filter(|measure| measure.2 <= keep).collect();
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .remove_style(TableComponent::HorizontalLines)
        .remove_style(TableComponent::MiddleIntersections)
        .set_content_arrangement(ContentArrangement::Disabled);
    let titles = measures.iter().map(|measure| right(measure.0.to_owned()));
    table.set_header(std::iter::once(Cell::new("  configuration")).chain(titles));
    for entry in &findings.entries {
        let mark = if entry.selected { "*" } else { " " };
        let cells = measures.iter().map(|measure| right((measure.1)(entry)));
        table.add_row(std::iter::once(Cell::new(format!("{mark} {}", entry.label))).chain(cells));
    }
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn notes(findings: &Findings<'_>) -> Vec<String> {
    let mut notes = vec![match findings.selected() {
        Some(_) => "* selected on validation; the test score is the one to report".to_owned(),
        None => "none is selected: no configuration has all its folds yet".to_owned(),
    }];
    let (_, failed, left) = counts(findings.record);
    if failed > 0 {
        notes.push(format!("{} failed", quantity::counted(failed, "trial")));
    }
    if left > 0 {
        notes.push(format!("{} not finished", quantity::counted(left, "trial")));
    }
    notes
}
