//! Owns `report.html`: one page that needs no other file and no network. Pure.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::findings::Findings;
use super::headline::Headline;
use super::plots::{Chart, PaintError};
use super::sections::{self, Missing};
use super::tables::{self, Table};

/// Light and dark; charts stay on a white card.
const STYLE: &str = include_str!("report.css");

/// The report as a page, with its charts drawn in.
///
/// # Errors
/// When a chart cannot be drawn.
pub fn render(findings: &Findings<'_>, charts: &[Chart]) -> Result<String, PaintError> {
    let sweep = &findings.record.sweep;
    let figures = charts.iter().map(figure).collect::<Result<Vec<Markup>, _>>()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (sweep.name) " · lorasweep" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (opening(findings))
                main {
                    section { h2 { "Results" } (table(&tables::results(findings), "wide")) }
                    section { h2 { "Charts" } @for figure in &figures { (figure) } }
                    section { h2 { "Statistics on validation accuracy" } (table(&tables::statistics(findings), "wide")) }
                    (missing(&sections::missing(findings)))
                    section {
                        h2 { "Settings" }
                        (table(&tables::settings(findings), ""))
                        @if !sweep.warnings.is_empty() { h3 { "Warnings" } (list(&sweep.warnings)) }
                    }
                    section { h2 { "How the numbers were made" } (list(&tables::method_notes(findings))) }
                }
                footer { p { (code(&sections::colophon(findings))) } }
            }
        }
    };
    Ok(page.into_string())
}

fn opening(findings: &Findings<'_>) -> Markup {
    let headline = Headline::of(findings);
    html! {
        header {
            h1 { (findings.record.sweep.name) }
            p { (code(&headline.compared)) " " (code(&headline.data)) }
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
    // Inside a page the namespace is known, and the page stays free of addresses.
    let svg = svg.replacen(" xmlns=\"http://www.w3.org/2000/svg\"", " role=\"img\"", 1);
    Ok(html! {
        figure {
            h3 { (chart.title) }
            div.chart { (PreEscaped(svg)) }
            figcaption { (chart.caption) }
        }
    })
}

fn missing(missing: &Missing) -> Markup {
    html! {
        @if !missing.is_empty() {
            section {
                h2 { "Failed and unfinished" }
                @if let Some(trials) = &missing.trials { (table(trials, "")) }
                @if !missing.notes.is_empty() { (list(&missing.notes)) }
            }
        }
    }
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
                            @for (i, cell) in row.cells.iter().enumerate() { td class=[class(i)] { (cell) } }
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

/// Text in which backticks mark code.
fn code(text: &str) -> Markup {
    html! {
        @for (i, part) in text.split('`').enumerate() {
            @if i % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}
