//! Owns data cards as plain text for the terminal. Computes nothing and prints nothing.

use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, Table};

use crate::report::data;
use crate::sweep::card::Card;
use crate::tasks::Task;

/// Lines of a table, in comfy-table's order: only one, below the header.
const RULE_BELOW_HEADER: &str = "     ──            ";

/// The cards, each followed by an empty line.
pub(crate) fn text(cards: &[Card]) -> String {
    cards.iter().map(one).collect()
}

fn one(card: &Card) -> String {
    let mut text = match card.task.as_str() {
        Task::ONLY => "data\n".to_owned(),
        name => format!("data of task `{name}`\n"),
    };
    let facts = data::facts(card);
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in facts {
        let _ = writeln!(text, "  {name:width$}  {value}");
    }
    if let Some(classes) = data::classes(card) {
        let mut table = Table::new();
        let cell = |text: &String, numeric| {
            let cell = Cell::new(text);
            if numeric { cell.set_alignment(CellAlignment::Right) } else { cell }
        };
        let header = classes.columns.iter().map(|column| cell(&column.title, column.numeric));
        table.load_preset(RULE_BELOW_HEADER).set_header(header);
        for row in &classes.rows {
            let cells = row.cells.iter().zip(&classes.columns);
            table.add_row(cells.map(|(text, column)| cell(text, column.numeric)));
        }
        for line in table.trim_fmt().lines() {
            let _ = writeln!(text, " {line}");
        }
    }
    text + "\n"
}
