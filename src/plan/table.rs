//! Owns the overview of a plan as plain text. Computes nothing and prints nothing.

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment, Table};
use serde_json::Value;

use crate::plan::overview::{ConfigurationRow, JobKind, JobRow, Overview};
use crate::quantity;

/// Lines of a table, in comfy-table's order: only one, below the header.
const RULE_BELOW_HEADER: &str = "     ──            ";

/// The overview as text for the terminal: configurations, jobs, predicted cost. No colours; lines
/// end without blanks, the text without a line feed.
#[must_use]
pub fn table(overview: &Overview) -> String {
    let todo = overview.jobs.iter().map(|job| job.trials.len()).sum::<usize>();
    let places: Vec<_> = overview.places.iter().map(|place| place.device.to_string()).collect();
    let predicted = &overview.predicted;
    [
        format!(
            "{}: {}, {}, {todo} to run",
            overview.sweep,
            quantity::counted(overview.configurations.len(), "configuration"),
            quantity::counted(overview.trials.len(), "trial"),
        ),
        configurations(&overview.configurations),
        jobs(&overview.jobs),
        format!(
            "predicted on {}: {} (no schedule is shorter than {}), {} of memory, {} of disk",
            places.join(", "),
            quantity::predicted(predicted.duration_s),
            quantity::predicted(predicted.lower_bound_s),
            quantity::mib(predicted.mem_mib),
            quantity::mib(predicted.disk_mib),
        ),
    ]
    .join("\n\n")
}

fn configurations(rows: &[ConfigurationRow]) -> String {
    let also = also_varied(rows);
    let several_tasks = rows.iter().any(|row| row.task != rows[0].task);
    let mut texts = vec!["configuration"];
    texts.extend(several_tasks.then_some("task"));
    texts.extend(["model", "method"]);
    let mut numbers = vec!["rank", "alpha", "dropout", "learning rate"];
    numbers.extend(also.keys().map(String::as_str));
    numbers.extend(["trainable", "%", "total", "folds"]);
    let mut table = plain(&texts, &numbers);
    for (n, row) in rows.iter().enumerate() {
        let mut cells = vec![text(row.id)];
        cells.extend(several_tasks.then(|| text(&row.task)));
        cells.extend([text(&row.model), text(&row.method)]);
        cells.extend([option(row.rank), option(row.alpha), option(row.dropout)]);
        cells.push(option(row.learning_rate.map(|rate| format!("{rate:e}"))));
        cells.extend(also.values().map(|column| number(&column[n])));
        cells.push(number(quantity::count(row.trainable_params)));
        cells.push(number(format!("{:.3}", row.trainable_percent)));
        cells.push(number(quantity::count(row.total_params)));
        cells.push(number(row.folds));
        table.add_row(cells);
    }
    table.trim_fmt()
}

/// Training settings beside the learning rate that are not the same in all rows that train, with
/// their values: without them, rows of a grid over such an axis would look alike.
fn also_varied(rows: &[ConfigurationRow]) -> BTreeMap<String, Vec<String>> {
    let mut columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        let settings = serde_json::to_value(&row.training).expect("settings are a plain struct");
        for (name, value) in settings.as_object().into_iter().flatten() {
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            // A seed decides a fresh head too, which needs no training.
            let applies = row.learning_rate.is_some() || name == "seed";
            let absent = *value == Value::Null || !applies;
            columns.entry(name.clone()).or_default().push(if absent { "–".into() } else { shown });
        }
    }
    let differ = |values: &[String]| {
        let mut training = rows.iter().zip(values).filter(|(row, _)| row.learning_rate.is_some());
        let first = training.next().map(|(_, value)| value);
        training.any(|(_, value)| Some(value) != first)
    };
    columns.retain(|name, values| name != "learning_rate" && differ(values));
    columns
}

fn jobs(rows: &[JobRow]) -> String {
    let mut table = plain(&["job"], &["count", "longest", "together", "most memory", "disk"]);
    for kind in [JobKind::Prepare, JobKind::Train, JobKind::Summarise, JobKind::Report] {
        let of_kind: Vec<_> = rows.iter().filter(|row| row.kind == kind).collect();
        let longest = of_kind.iter().map(|row| row.duration_s).fold(0.0, f64::max);
        let largest = of_kind.iter().map(|row| row.mem_mib).fold(0.0, f64::max);
        if of_kind.is_empty() {
            continue;
        }
        table.add_row([
            text(name(kind, &of_kind)),
            number(of_kind.len()),
            number(quantity::predicted(longest)),
            number(quantity::predicted(of_kind.iter().map(|row| row.duration_s).sum())),
            number(quantity::mib(largest)),
            number(quantity::mib(of_kind.iter().map(|row| row.disk_mib).sum())),
        ]);
    }
    table.trim_fmt()
}

fn name(kind: JobKind, jobs: &[&JobRow]) -> String {
    match kind {
        JobKind::Prepare => "prepare data".to_owned(),
        JobKind::Train => {
            let largest = jobs.iter().map(|job| job.trials.len()).max().unwrap_or_default();
            let size = if largest > 1 { format!("up to {largest} trials") } else { "one trial".to_owned() };
            format!("train a pack ({size})")
        }
        JobKind::Summarise => "summarise a configuration".to_owned(),
        JobKind::Report => "report".to_owned(),
    }
}

/// An empty table: columns of text, then columns of numbers.
fn plain(texts: &[&str], numbers: &[&str]) -> Table {
    let mut table = Table::new();
    let header = texts.iter().map(text).chain(numbers.iter().map(number));
    table.load_preset(RULE_BELOW_HEADER).set_header(header);
    table
}

fn text(value: impl ToString) -> Cell {
    Cell::new(value)
}

fn number(value: impl ToString) -> Cell {
    Cell::new(value).set_alignment(CellAlignment::Right)
}

fn option(value: Option<impl ToString>) -> Cell {
    number(value.map_or_else(|| "–".to_owned(), |value| value.to_string()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::job::{Device, Placement};
    use crate::plan::{example, graph, overview};

    fn places() -> Vec<Placement> {
        (0..2).map(|slot| Placement { device: Device::Cpu { slot }, cores: vec![slot] }).collect()
    }

    #[test]
    fn the_text_shows_the_grid_the_jobs_and_the_cost() {
        let sweep = example::sweep();
        let graph = graph::build(&sweep, &sweep.trials()[1..], Path::new("r"), graph::Present::NOTHING);
        insta::assert_snapshot!(table(&overview(&sweep, &graph, &places())));
    }

    #[test]
    fn an_axis_beyond_the_usual_ones_gets_its_own_column() {
        let mut sweep = example::sweep();
        let mut other = (*sweep.configurations[0]).clone();
        other.training.epochs = 2.5;
        sweep.configurations.push(Arc::new(other));
        let graph = graph::build(&sweep, &[], Path::new("r"), graph::Present::EVERYTHING);
        let text = table(&overview(&sweep, &graph, &places()));
        let header = text.lines().find(|line| line.contains("learning rate")).unwrap();
        assert!(header.contains("epochs") && !header.contains("batch_size"), "{header}");
        assert!(text.contains(" 2.5 "));
    }
}
