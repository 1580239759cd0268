//! Owns the overview of a plan as plain text. Computes nothing and prints nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use comfy_table::{Cell, CellAlignment, Table};
use serde_json::Value;

use crate::plan::overview::{Bound, ConfigurationRow, JobKind, JobRow, Overview, TrialRow};
use crate::values::{Training, quantity};

/// Lines of a table, in comfy-table's order: only one, below the header.
const RULE_BELOW_HEADER: &str = "     ──            ";
/// Most configurations that are listed one by one: nobody reads more.
const LISTED: usize = 200;

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
        jobs(overview),
        format!(
            "predicted on {}: {} (no schedule is shorter than {}: {}), {} of memory, {} of disk",
            places.join(", "),
            quantity::predicted(predicted.duration_s),
            quantity::predicted(predicted.lower_bound_s),
            match predicted.bound_by {
                Bound::Places => "every device is busy training that long",
                Bound::LongestPack => "the longest pack trains that long",
                Bound::Beside => "preparation and reports take that long",
            },
            quantity::mib(predicted.mem_mib),
            quantity::mib(predicted.disk_mib),
        ),
    ]
    .join("\n\n")
}

fn configurations(rows: &[ConfigurationRow]) -> String {
    let varied = also_varied(rows);
    let listed = &rows[..rows.len().min(LISTED)];
    let also: Vec<(&str, Vec<String>)> =
        varied.iter().map(|name| (name.as_str(), settings(name, listed))).collect();
    let several_tasks = rows.iter().any(|row| row.task != rows[0].task);
    let mut texts = vec!["configuration"];
    texts.extend(several_tasks.then_some("task"));
    texts.extend(["model", "method"]);
    let mut numbers = vec!["rank", "alpha", "dropout", "learning rate"];
    numbers.extend(also.iter().map(|(name, _)| *name));
    numbers.extend(["trainable", "%", "total", "folds"]);
    let mut table = plain(&texts, &numbers);
    for (n, row) in listed.iter().enumerate() {
        let mut cells = vec![text(row.id)];
        cells.extend(several_tasks.then(|| text(&row.task)));
        cells.extend([text(&row.model), text(&row.method)]);
        cells.extend([option(row.rank), option(row.alpha), option(row.dropout)]);
        cells.push(option(row.learning_rate.map(|rate| format!("{rate:e}"))));
        cells.extend(also.iter().map(|(_, column)| number(&column[n])));
        cells.push(number(quantity::count(row.trainable_params)));
        cells.push(number(format!("{:.3}", row.trainable_percent)));
        cells.push(number(quantity::count(row.total_params)));
        cells.push(number(row.folds));
        table.add_row(cells);
    }
    match rows.len() - listed.len() {
        0 => table.trim_fmt(),
        more => format!(
            "{}\n … and {} more; `--json` lists them all",
            table.trim_fmt(),
            quantity::count(more as u64)
        ),
    }
}

/// Training settings beside the learning rate that are not the same in all rows that train: without
/// them, rows of a grid over such an axis would look alike.
fn also_varied(rows: &[ConfigurationRow]) -> BTreeSet<String> {
    let mut training = rows.iter().filter(|row| row.learning_rate.is_some()).map(|row| &row.training);
    let mut varied = BTreeSet::new();
    let Some(first) = training.next() else { return varied };
    let first_values = values(first);
    for other in training {
        if first.seed != other.seed {
            varied.insert("seed".to_owned());
        }
        let alike = Training { learning_rate: first.learning_rate, seed: first.seed, ..other.clone() };
        if alike != *first {
            let differs = |(name, value): &(String, Value)| first_values.get(name) != Some(value);
            varied.extend(values(&alike).into_iter().filter(differs).map(|(name, _)| name));
        }
    }
    varied
}

fn values(training: &Training) -> serde_json::Map<String, Value> {
    match serde_json::to_value(training) {
        Ok(Value::Object(values)) => values,
        Ok(_) | Err(_) => unreachable!("settings are a plain struct"),
    }
}

/// One training setting of each row.
fn settings(name: &str, rows: &[ConfigurationRow]) -> Vec<String> {
    let setting = |row: &ConfigurationRow| {
        // A seed decides a fresh head too, which needs no training.
        let applies = row.learning_rate.is_some() || name == "seed";
        match values(&row.training).remove(name).filter(|_| applies) {
            None | Some(Value::Null) => "–".to_owned(),
            Some(Value::String(text)) => text,
            Some(value) => value.to_string(),
        }
    };
    rows.iter().map(setting).collect()
}

fn jobs(overview: &Overview) -> String {
    let trials: HashMap<_, _> = overview.trials.iter().map(|trial| (trial.id, trial)).collect();
    let mut kinds: BTreeMap<(JobKind, String), Vec<&JobRow>> = BTreeMap::new();
    for job in &overview.jobs {
        let first = job.trials.first().and_then(|id| trials.get(id).copied());
        kinds.entry((job.kind, name(job, first))).or_default().push(job);
    }
    let mut table = plain(&["job"], &["count", "longest", "together", "most memory", "disk"]);
    for ((_, name), of_kind) in &kinds {
        let longest = of_kind.iter().map(|row| row.duration_s).fold(0.0, f64::max);
        let largest = of_kind.iter().map(|row| row.mem_mib).fold(0.0, f64::max);
        table.add_row([
            text(name),
            number(of_kind.len()),
            number(quantity::predicted(longest)),
            number(quantity::predicted(of_kind.iter().map(|row| row.duration_s).sum())),
            number(quantity::mib(largest)),
            number(quantity::mib(of_kind.iter().map(|row| row.disk_mib).sum())),
        ]);
    }
    table.trim_fmt()
}

/// What jobs of a kind have in common; packs, what trains and how many slots there are.
fn name(job: &JobRow, first: Option<&TrialRow>) -> String {
    match job.kind {
        JobKind::Prepare => "prepare data".to_owned(),
        JobKind::Train => {
            let what = first.map_or_else(String::new, |trial| format!(" {}, {}", trial.model, trial.method));
            format!("train{what}: {}", quantity::counted(job.trials.len(), "trial"))
        }
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
    use crate::plan::pack::{Limits, Room};
    use crate::plan::{example, graph, overview};
    use crate::values::{Device, Placement};

    fn places() -> Vec<Placement> {
        (0..2).map(|slot| Placement { device: Device::Cpu { slot }, cores: vec![slot] }).collect()
    }

    #[test]
    fn the_text_shows_the_grid_the_jobs_and_the_cost() {
        let sweep = example::sweep();
        let room = Room { places: &places(), limits: Limits::default() };
        let todo = &sweep.trials()[1..];
        let graph = graph::build(&sweep, todo, Path::new("r"), graph::Present::NOTHING, room);
        insta::assert_snapshot!(table(&overview(&sweep, &graph, &places())));
    }

    #[test]
    fn an_axis_beyond_the_usual_ones_gets_its_own_column() {
        let mut sweep = example::sweep();
        let mut other = (*sweep.configurations[0]).clone();
        other.training.epochs = 2.5;
        sweep.configurations.push(Arc::new(other));
        let room = Room { places: &places(), limits: Limits::default() };
        let graph = graph::build(&sweep, &[], Path::new("r"), graph::Present::EVERYTHING, room);
        let text = table(&overview(&sweep, &graph, &places()));
        let header = text.lines().find(|line| line.contains("learning rate")).unwrap();
        assert!(header.contains("epochs") && !header.contains("batch_size"), "{header}");
        assert!(text.contains(" 2.5 "));
    }
}
