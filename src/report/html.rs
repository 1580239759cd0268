//! Owns `report.html`: one page that needs no other file and no network. Pure.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::findings::Findings;
use super::headline::Headline;
use super::plots::{Chart, PaintError};
use super::sections::{self, Block, Section};
use super::tables::Table;

/// Light and dark; charts stay on a white card.
const STYLE: &str = include_str!("report.css");

/// The report as a page that includes its charts.
///
/// # Errors
/// When a chart cannot be drawn.
pub fn render(findings: &Findings<'_>, charts: &[Chart]) -> Result<String, PaintError> {
    let name = &findings.record.sweep.name;
    let sections = sections::sections(findings, charts);
    let sections = sections.iter().map(section).collect::<Result<Vec<Markup>, _>>()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (name) " · lorasweep" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (opening(findings))
                main { @for section in &sections { (section) } }
                footer { p { (code(&sections::colophon(findings))) } }
            }
        }
    };
    Ok(page.into_string())
}

fn section(section: &Section<'_>) -> Result<Markup, PaintError> {
    let blocks = section.blocks.iter().map(block).collect::<Result<Vec<Markup>, _>>()?;
    Ok(html! { section { h2 { (code(&section.title)) } @for block in &blocks { (block) } } })
}

fn block(block: &Block<'_>) -> Result<Markup, PaintError> {
    Ok(match block {
        Block::Heading(title) => html! { h3 { (title) } },
        Block::Text(text) => html! { p { (code(text)) } },
        Block::Wide(cells) => table(cells, "wide"),
        Block::Narrow(cells) => table(cells, ""),
        Block::Chart(chart) => figure(chart)?,
        Block::List(items) => list(items),
    })
}

fn opening(findings: &Findings<'_>) -> Markup {
    let headline = Headline::of(findings);
    html! {
        header {
            h1 { (findings.record.sweep.name) }
            @for sentence in &headline.unproven { p.unproven { (code(sentence)) } }
            p { (code(&headline.compared)) " " (code(&headline.data)) }
            @if !headline.stopped.is_empty() { p { (code(&headline.stopped.join(" "))) } }
            p.result { (code(&headline.result)) }
            @for sentence in &headline.against { p { (code(sentence)) } }
            @if !headline.cautions.is_empty() {
                div.caution { (list(&headline.cautions)) }
            }
        }
    }
}

fn figure(chart: &Chart) -> Result<Markup, PaintError> {
    let svg = chart.svg()?;
    // Within a page the namespace is implied, and leaving it out keeps the page free of addresses.
    let svg = svg.replacen(" xmlns=\"http://www.w3.org/2000/svg\"", " role=\"img\"", 1);
    Ok(html! {
        figure {
            h3 { (chart.title) }
            div.chart { (PreEscaped(svg)) }
            figcaption { (chart.caption) }
        }
    })
}

/// Cells of a `wide` table do not break.
fn table(table: &Table, width: &str) -> Markup {
    let class = |column: usize| table.columns[column].numeric.then_some("number");
    html! {
        div.table {
            table class=[(!width.is_empty()).then_some(width)] {
                thead {
                    tr {
                        @for column in &table.columns {
                            th scope="col" class=[column.numeric.then_some("number")] { (column.title) }
                        }
                    }
                }
                tbody {
                    @for row in &table.rows {
                        tr class=[row.selected.then_some("selected")] {
                            @for (i, cell) in row.cells.iter().enumerate() { td class=[class(i)] { (code(cell)) } }
                        }
                    }
                }
            }
        }
    }
}

fn list(items: &[String]) -> Markup {
    html! { ul { @for item in items { li { (code(item)) } } } }
}

/// Text with backticks around code.
fn code(text: &str) -> Markup {
    html! {
        @for (i, part) in text.split('`').enumerate() {
            @if i % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}
