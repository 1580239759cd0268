//! Owns `report.md`: the same sentences and tables as the page, with links to the charts. Pure.

use std::fmt::Write as _;

use super::findings::Findings;
use super::headline::Headline;
use super::plots::Chart;
use super::sections;
use super::tables::{self, Table};

/// The report as Markdown (GitHub's dialect, for its tables).
#[must_use]
pub fn render(findings: &Findings<'_>, charts: &[Chart]) -> String {
    let headline = Headline::of(findings);
    let mut text =
        format!("# {}\n\n{}\n{}\n\n", findings.record.sweep.name, headline.compared, headline.data);
    push(&mut text, &format!("**{}**\n", headline.result));
    for sentence in &headline.against {
        push(&mut text, &format!("{sentence}\n"));
    }
    for caution in &headline.cautions {
        push(&mut text, &format!("> {caution}\n"));
    }
    push(&mut text, "## Results\n");
    push(&mut text, &table(&tables::results(findings)));
    for chart in charts {
        push(&mut text, &format!("## {}\n", chart.title));
        push(&mut text, &format!("![{}]({}.svg)\n\n{}\n", chart.title, chart.name, chart.caption));
    }
    push(&mut text, "## Statistics\n");
    push(&mut text, &table(&tables::statistics(findings)));
    let missing = sections::missing(findings);
    if !missing.is_empty() {
        push(&mut text, "## Failed and unfinished\n");
        if let Some(trials) = &missing.trials {
            push(&mut text, &table(trials));
        }
        push(&mut text, &list(&missing.notes));
    }
    push(&mut text, "## Settings\n");
    push(&mut text, &table(&tables::settings(findings)));
    if !findings.record.sweep.warnings.is_empty() {
        push(&mut text, "### Warnings\n");
        push(&mut text, &list(&findings.record.sweep.warnings));
    }
    push(&mut text, "## How the numbers were made\n");
    push(&mut text, &list(&tables::method_notes(findings)));
    let _ = writeln!(text, "{}", sections::colophon(findings));
    text
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

/// A cell that cannot end its cell or its row.
fn escape(cell: &str) -> String {
    cell.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ")
}
