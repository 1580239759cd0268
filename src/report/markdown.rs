//! Owns `report.md`: the same sentences and tables as the page, with links to the charts. Pure.

use std::fmt::Write as _;

use super::findings::Findings;
use super::headline::Headline;
use super::plots::Chart;
use super::sections::{self, Block};
use super::tables::Table;

/// The report as Markdown (GitHub's dialect, for its tables).
#[must_use]
pub fn render(findings: &Findings<'_>, charts: &[Chart]) -> String {
    let headline = Headline::of(findings);
    let mut text = format!("# {}\n\n", findings.record.sweep.name);
    for sentence in &headline.unproven {
        push(&mut text, &format!("**{sentence}**\n"));
    }
    push(&mut text, &format!("{}\n{}\n", headline.compared, headline.data));
    if !headline.stopped.is_empty() {
        push(&mut text, &format!("{}\n", headline.stopped.join(" ")));
    }
    push(&mut text, &format!("**{}**\n", headline.result));
    for sentence in &headline.against {
        push(&mut text, &format!("{sentence}\n"));
    }
    for caution in &headline.cautions {
        push(&mut text, &format!("> {caution}\n"));
    }
    for section in sections::sections(findings, charts) {
        push(&mut text, &format!("## {}\n", section.title));
        for one in &section.blocks {
            push(&mut text, &block(one));
        }
    }
    let _ = writeln!(text, "{}", sections::colophon(findings));
    text
}

fn block(block: &Block<'_>) -> String {
    match block {
        Block::Heading(title) => format!("### {title}\n"),
        Block::Text(text) => format!("{text}\n"),
        Block::Wide(cells) | Block::Narrow(cells) => table(cells),
        Block::Chart(chart) => {
            format!("### {0}\n\n![{0}]({1}.svg)\n\n{2}\n", chart.title, chart.name, chart.caption)
        }
        Block::List(items) => list(items),
    }
}

/// Adds a block and the empty line after it.
fn push(text: &mut String, block: &str) {
    if !block.is_empty() {
        text.push_str(block);
        text.push('\n');
    }
}

fn list(items: &[String]) -> String {
    items.iter().map(|item| format!("- {item}\n")).collect()
}

fn table(table: &Table) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(table.columns.iter().map(|column| escape(&column.title)).collect());
    let rule = |numeric| if numeric { "--:" } else { "---" }.to_owned();
    text.push_str(&line(table.columns.iter().map(|column| rule(column.numeric)).collect()));
    for row in &table.rows {
        let cell = |cell: &String| match (row.selected, cell.is_empty()) {
            (true, false) => format!("**{}**", escape(cell)),
            (true, true) | (false, _) => escape(cell),
        };
        text.push_str(&line(row.cells.iter().map(cell).collect()));
    }
    text
}

/// A cell's text, escaped so that it cannot end its cell or row.
fn escape(cell: &str) -> String {
    cell.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ")
}
