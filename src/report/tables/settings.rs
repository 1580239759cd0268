//! Owns the tables of what was run. Pure.

use std::path::Path;

use crate::record::RunRecord;
use crate::report::findings::{Findings, TaskFindings};
use crate::report::format::{self, NONE};
use crate::report::stopped;
use crate::sweep::Drawn;
use crate::tasks::{Cleaning, Task};
use crate::values::axes::{self, Axis};
use crate::values::{Configuration, Splitting, quantity};

use super::{Column, Table, numbers, or_none};

/// A data file by its folder's name and its own: the full path means nothing to a reader elsewhere.
fn file(path: &Path) -> String {
    let parts: Vec<_> =
        path.components().rev().take(2).map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}

/// The settings of the sweep: task, division of rows, and values of the training settings.
#[must_use]
pub fn settings(findings: &Findings<'_>) -> Table {
    let sweep = &findings.record.sweep;
    let configurations: Vec<&Configuration> = sweep.configurations.iter().map(AsRef::as_ref).collect();
    let mut rows: Vec<(&str, String)> = Vec::new();
    if !findings.has_tasks() {
        rows.extend(of_task(sweep.first_task()));
    }
    rows.extend(by_task(findings, |task| task.objective().settings()));
    rows.push(("validation", splitting(sweep.splitting)));
    rows.extend(by_task(findings, |task| vec![("selected by", task.measure.title().to_owned())]));
    rows.extend(sweep.stop.map(|rule| ("stopped early", stopped::ruled(findings, &rule))));
    rows.extend(sweep.drawn.as_ref().map(|drawn| ("points", of_draw(drawn, findings.record))));
    rows.extend(axes::shown().filter_map(|axis| match ranges(axis, sweep.drawn.as_ref()) {
        Some(written) => Some((axis.title, written)),
        None => values(axis, &configurations),
    }));
    let mut table = Table::new(vec![Column::text("setting"), Column::text("value")]);
    for (name, value) in rows {
        table.push(false, vec![name.to_owned(), value]);
    }
    table
}

/// Settings of the tasks, each once: with the names of the tasks that have a value where not all have it.
fn by_task<'a>(
    findings: &'a Findings<'_>,
    settings: impl Fn(&'a TaskFindings<'a>) -> Vec<(&'static str, String)>,
) -> Vec<(&'static str, String)> {
    /// A value with the names of the tasks that have it.
    type Value<'a> = (String, Vec<&'a str>);
    let mut all: Vec<(&str, Vec<Value<'_>>)> = Vec::new();
    for task in &findings.tasks {
        for (setting, value) in settings(task) {
            let at = all.iter().position(|(known, _)| *known == setting).unwrap_or_else(|| {
                all.push((setting, Vec::new()));
                all.len() - 1
            });
            let values = &mut all[at].1;
            match values.iter_mut().find(|(known, _)| *known == value) {
                Some((_, tasks)) => tasks.push(&task.task.name),
                None => values.push((value, vec![&task.task.name])),
            }
        }
    }
    let said = |(value, tasks): Value<'_>| match tasks.len() == findings.tasks.len() {
        true => value,
        false => format!("{value} (`{}`)", tasks.join("`, `")),
    };
    all.into_iter()
        .map(|(setting, values)| (setting, values.into_iter().map(said).collect::<Vec<_>>().join("; ")))
        .collect()
}

/// How points were drawn, and how many are to come.
fn of_draw(drawn: &Drawn, record: &RunRecord) -> String {
    let trials = quantity::count(drawn.trials as u64);
    let budget = record.sweep.proposing.as_ref().and_then(|proposing| proposing.budget_s);
    let budget = budget.map(|budget_s| format!(", within a budget of {}", quantity::predicted(budget_s)));
    let left = match record.to_propose {
        0 => String::new(),
        left => format!("; {} of all were not proposed so far", quantity::count(left as u64)),
    };
    format!(
        "{trials} for each block with a range, `sampler: {}`, seed {}{}{left}",
        drawn.sampler,
        drawn.seed,
        budget.unwrap_or_default()
    )
}

/// The range from which an axis was drawn; `None` where it has values.
fn ranges(axis: &Axis, drawn: Option<&Drawn>) -> Option<String> {
    let of_axis = drawn?.ranges.iter().filter(|range| range.axis == axis.name);
    let written: Vec<&str> = of_axis.map(|range| range.written.as_str()).collect();
    (!written.is_empty()).then(|| written.join("; "))
}

/// The values of an axis, in the grid's order; `None` without any.
fn values(axis: &Axis, configurations: &[&Configuration]) -> Option<(&'static str, String)> {
    let mut values: Vec<String> = Vec::new();
    for value in configurations.iter().filter_map(|c| axis.value(c)) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    (!values.is_empty()).then(|| (axis.title, values.join(", ")))
}

fn of_task(task: &Task) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("training file", file(&task.train.path)),
        ("training rows", quantity::count(task.train_rows() as u64)),
        ("sampling seed", task.sample_seed.to_string()),
    ];
    rows.extend(task.validation.as_ref().map(|f| ("validation file", file(&f.path))));
    rows.extend(task.test.as_ref().map(|f| ("test file", file(&f.path))));
    rows.extend(
        task.test_fraction.map(|share| ("test rows held out", format!("{} %", format::percent(share)))),
    );
    if task.is_tested() {
        rows.push(("test rows", quantity::count(task.test_rows() as u64)));
    }
    rows.extend(cleaning(&task.cleaning).map(|text| ("cleaning", text)));
    rows.push(("longest sequence (tokens)", task.max_length.to_string()));
    rows
}

fn cleaning(cleaning: &Cleaning) -> Option<String> {
    let mut parts = Vec::new();
    parts.extend(cleaning.strip_html.then(|| "HTML removed".to_owned()));
    parts.extend(cleaning.strip_symbols.then(|| "symbols removed".to_owned()));
    parts.extend(cleaning.min_words.map(|n| format!("rows of at least {}", quantity::counted(n, "word"))));
    parts.extend(
        cleaning.min_label_rows.map(|n| format!("classes of at least {}", quantity::counted(n, "row"))),
    );
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The data of each task, one row per task; `None` for a single task, whose data is among the settings.
#[must_use]
pub fn tasks(findings: &Findings<'_>) -> Option<Table> {
    if !findings.has_tasks() {
        return None;
    }
    let mut columns = vec![Column::text("task"), Column::text("training file")];
    columns.extend(numbers(["training rows"]));
    columns.push(Column::text("test file"));
    columns.extend(numbers(["test rows", "longest sequence (tokens)"]));
    columns.push(Column::text("cleaning"));
    let mut table = Table::new(columns);
    for task in findings.tasks.iter().map(|task| task.task) {
        let test_file = match (&task.test, task.test_fraction) {
            (Some(test), _) => file(&test.path),
            (None, Some(share)) => format!("{} % of the training file", format::percent(share)),
            (None, None) => NONE.to_owned(),
        };
        let cells = vec![
            task.name.clone(),
            file(&task.train.path),
            quantity::count(task.train_rows() as u64),
            test_file,
            or_none(task.is_tested().then(|| task.test_rows()), |rows| quantity::count(rows as u64)),
            task.max_length.to_string(),
            or_none(cleaning(&task.cleaning), |text| text),
        ];
        table.push(false, cells);
    }
    Some(table)
}

fn splitting(splitting: Splitting) -> String {
    let how = |stratified| if stratified { "stratified" } else { "not stratified" };
    match splitting {
        Splitting::KFold { k, stratified, seed } => {
            format!("{k}-fold cross-validation, {}, seed {seed}", how(stratified))
        }
        Splitting::HoldOut { fraction, stratified, seed } => {
            format!("{} % held out, {}, seed {seed}", format::percent(fraction), how(stratified))
        }
        Splitting::File => "a validation file".to_owned(),
        Splitting::All => "none held out: every row is trained on".to_owned(),
    }
}
