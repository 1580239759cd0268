//! Owns the tables of what was run, and the notes on how the numbers were made. Pure.

use std::path::Path;

use crate::record::RunRecord;
use crate::report::chance::Test;
use crate::report::curves::CONVERGED_SHARE;
use crate::report::findings::Findings;
use crate::report::format::{self, NONE};
use crate::report::{stopped, warnings};
use crate::sweep::Drawn;
use crate::tasks::{Cleaning, Task};
use crate::values::axes::{self, Axis};
use crate::values::{Configuration, Method, Splitting, quantity};

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
    rows.extend(findings.objective().settings());
    rows.push(("validation", splitting(sweep.splitting)));
    rows.push(("selected by", findings.measure().title().to_owned()));
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

const TEST_INTERVAL: &str = "The 95 % interval of a difference on test rows is normal, from the number of rows \
    and from the spread of the difference over folds. It takes folds as independent, and the errors of the two, \
    which makes it too wide where both miss the same rows.";

/// How the numbers were made, in one or a few sentences each.
#[must_use]
pub fn method_notes(findings: &Findings<'_>) -> Vec<String> {
    let title = findings.measure().title();
    let folds = findings.record.sweep.splitting.splits();
    let seeds = findings.seeds() > 1;
    let within = if findings.has_tasks() { " within each task" } else { "" };
    let mut notes = vec![format!(
        "★ marks the selected configuration. Configurations are ranked and selected{within} by {} mean \
         validation {title} over {}{}, of equals the one that trains fewer parameters, then the first of the \
         grid; test rows are evaluated once per trial and take no part in it.{}",
        if findings.measure().metric.higher_is_better() { "the highest" } else { "the lowest" },
        quantity::counted(folds, "fold"),
        if seeds { " and all seeds" } else { "" },
        match (folds > 1, seeds) {
            (true, false) => " ± is the sample standard deviation over folds.",
            (false, true) => " ± is the sample standard deviation over seeds.",
            (true, true) => " ± is the sample standard deviation over the trials of all folds and seeds.",
            (false, false) => "",
        },
    )];
    notes.extend(findings.stopped().next().map(|_| stopped::NOTE.to_owned()));
    notes.extend(against_nothing(findings));
    notes.extend(over_folds(findings));
    notes.push(convergence(findings));
    notes.extend(findings.objective().words().metrics_note.map(str::to_owned));
    if findings.record.sweep.configurations.iter().any(|c| c.method == Method::Base) {
        notes.push(
            "A base that is not trained is evaluated as it is, with its own head or, where the task needs \
             another, a fresh one: a reference, never selected while anything trains."
                .to_owned(),
        );
    }
    if seeds {
        notes.push(
            "Configurations that differ in the seed alone are one configuration: seeds repeat it, and none is \
             picked for being lucky. Seeds of one split share its rows, so they are no independent samples of \
             the data: their spread is that of training alone. Configurations are therefore compared over \
             folds, each fold's score being its mean over seeds, and not tested where there is one split."
                .to_owned(),
        );
    }
    notes.push(
        "Parameters are counted from tensor shapes, each tensor once. LoRA (Hu et al. 2021): adapters and \
         saved modules train. Time is the mean over folds, evaluation included; memory is the largest of all \
         folds."
            .to_owned(),
    );
    notes
}

/// How intervals and comparisons over folds are made; empty with one split.
fn over_folds(findings: &Findings<'_>) -> Vec<String> {
    if findings.record.sweep.splitting.splits() < 2 {
        return Vec::new();
    }
    let mut notes = vec![
        "The 95 % interval is Student's t over folds. It takes folds as independent, which they are not, and is \
         too narrow; comparisons do not use it."
            .to_owned(),
        format!(
            "Comparisons are the corrected resampled t-test on validation {} of the same folds (Nadeau & Bengio \
             2003, Machine Learning 52), with Holm's correction (1979) over all comparisons with the selected \
             configuration{}. That the selected one was chosen for being best makes its lead optimistic.",
            findings.measure().title(),
            if findings.has_tasks() { " of a task" } else { "" },
        ),
    ];
    if findings.is_tested() && findings.measure().metric.counts_right_rows() {
        notes.push(TEST_INTERVAL.to_owned());
    }
    notes
}

/// The references that configurations must beat before one is selected.
fn against_nothing(findings: &Findings<'_>) -> Vec<String> {
    let words = findings.objective().words();
    let mut notes = Vec::new();
    let answers: Vec<String> = findings
        .tasks
        .iter()
        .filter_map(|task| Some((task.task, warnings::constant_answer(task)?)))
        .map(|(task, answers)| match findings.has_tasks() {
            true => format!("{answers} in `{}`", task.name),
            false => answers,
        })
        .collect();
    if !answers.is_empty() {
        notes.push(words.baseline_note.replace("{}", &answers.join(", ")));
    }
    notes.extend(words.constant.note.map(str::to_owned));
    if findings.tasks.iter().any(|task| task.chance.is_some()) {
        notes.push(how_tested(findings));
    }
    notes
}

fn how_tested(findings: &Findings<'_>) -> String {
    let baseline = findings.objective().words().baseline;
    let against = findings.tasks.iter().find_map(|task| task.baseline.as_ref());
    let (than, test) = match Test::of(findings.measure().metric, against) {
        Test::Rows => (
            baseline,
            "by a one-sided exact binomial test of the rows of all folds that are right, times the number of \
             configurations (Bonferroni), at 0.05",
        ),
        Test::Recall => (
            baseline,
            "in it, and in macro recall 1 / number of classes by a one-sided normal test with the largest \
             variance that guesses can have, times the number of configurations (Bonferroni), at 0.05",
        ),
        Test::Correlation => (
            None,
            "by a one-sided normal test of Fisher's z over the validation rows of all folds, times the number of \
             configurations (Bonferroni), at 0.05",
        ),
        Test::Folds => (
            Some(baseline.unwrap_or("untrained base")),
            "by the corrected resampled t-test at 0.05 where there are folds, by its mean alone where there is one \
             split",
        ),
    };
    let than = than.map_or_else(|| "a correlation of 0".to_owned(), |than| format!("the {than}"));
    format!("A configuration is selected only if the best one beats {than} beyond chance: {test}.")
}

fn convergence(findings: &Findings<'_>) -> String {
    let (measure, share) = (findings.measure(), 100.0 * CONVERGED_SHARE);
    let title = measure.title();
    let goal = if measure.metric.is_share() {
        format!("reaches {share:.0} % of that configuration's best")
    } else {
        format!("has come {share:.0} % of the way from that configuration's first to its best")
    };
    format!(
        "Convergence is the first step at which the mean validation {title}, smoothed over three evaluations, \
         {goal}."
    )
}
