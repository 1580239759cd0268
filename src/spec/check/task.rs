//! Owns the check of tasks: files, columns, and what each kind of task needs. Pure.

use crate::data::{sample, sources};
use crate::tasks::{DataFile, KeyFault, Objective, Task, TaskKey, held_out_rows};

use super::labels;
use super::split;
use crate::spec::error::{Problem, Report};
use crate::spec::raw::RawSweep;
use crate::spec::raw::task::RawTask;
use crate::spec::read::missing;
use crate::spec::source::At;
use crate::spec::survey::{DataFacts, Survey, TaskFacts};
use crate::spec::words::quoted;

/// The tasks without errors. Every other task that was looked at has an error in the report.
pub(super) fn check(raw: &RawSweep, survey: &Survey, report: &mut Report) -> Vec<Task> {
    let tasks = raw.tasks.iter().zip(&survey.tasks);
    tasks.filter_map(|(task, facts)| check_one(task, facts, report)).collect()
}

/// The checked task; `None` where an error was reported or its files were not looked at.
fn check_one(raw: &RawTask, facts: &TaskFacts, report: &mut Report) -> Option<Task> {
    let train = file(raw.train.as_ref(), facts.train.as_ref(), report);
    let validation = file(raw.validation.as_ref(), facts.validation.as_ref(), report);
    let test = file(raw.test.as_ref(), facts.test.as_ref(), report);
    columns(raw, &[train, validation, test], report);
    kind_needs(raw, report);
    if raw.has_labels() {
        labels::check(raw, facts, train, report);
        for other in [validation, test].into_iter().flatten() {
            labels::unseen(train, other, report);
        }
    }
    if let (Some(at), Some(_)) = (&raw.test_fraction, &raw.test) {
        let problem = Problem::Conflict { key: "test_fraction".to_owned(), other: "test".to_owned() };
        report.error(at.place, problem).hint("keep one of them");
    }
    for file in [train, validation, test].into_iter().flatten() {
        for note in &file.survey.notes {
            report.warn(file.name.place, format!("`{}`: {note}", file.name.value));
        }
    }
    rows_there_are(raw.rows.as_ref(), train, report);
    rows_there_are(raw.test_rows.as_ref(), test, report);
    if let (Some(at), None, None) = (&raw.test_rows, &raw.test, &raw.test_fraction) {
        let message = "`test_rows` has no effect without a `test` file or a `test_fraction`".to_owned();
        report.warn(at.place, message);
    }
    Some(Task {
        name: raw.name.value.clone(),
        objective: objective(raw, facts, train)?,
        train: data_file(train?),
        validation: validation.map(data_file),
        test: test.map(data_file),
        test_fraction: raw.test_fraction.as_ref().map(|at| at.value),
        held_out: held_out(raw, train?.survey),
        columns: raw.column_names(),
        reading: raw.reading.clone(),
        cleaning: raw.cleaning.clone(),
        max_length: raw.length(),
        rows: raw.rows.as_ref().map(|at| at.value),
        test_rows: raw.test_rows.as_ref().map(|at| at.value),
        sample_seed: raw.sample_seed,
    })
}

fn objective(raw: &RawTask, facts: &TaskFacts, train: Option<Surveyed<'_>>) -> Option<Objective> {
    let said = |key: &TaskKey| !key.required || raw.places.contains_key(key.name);
    let labels = if raw.has_labels() { train?.survey.label_names.as_slice() } else { &[] };
    raw.objective(labels, &facts.names).filter(|_| raw.kind.keys().iter().all(said))
}

/// Reports faults that the table of keys cannot express.
fn kind_needs(raw: &RawTask, report: &mut Report) {
    if let (Some(place), false) = (raw.min_label_rows, raw.has_classes()) {
        let whose = format!("tasks of kind `{}`", raw.kind.name());
        let problem = Problem::InapplicableKey { key: "min_label_rows", whose };
        report.error(place, problem).hint("remove it: there are no classes");
    }
    for fault in raw.kind.faults(&raw.given) {
        match fault {
            KeyFault::Missing { key, hint } => {
                missing(key, &raw.title, raw.place, report).hint(hint);
            }
            KeyFault::Value { key, found, allowed } => {
                let place = raw.places.get(key).copied().unwrap_or(raw.place);
                let problem = Problem::BadValue { key: format!("`{key}`"), found };
                report.error(place, problem).allowed(allowed);
            }
        }
    }
}

/// A data file that could be read, with its place in the sweep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surveyed<'a> {
    pub(super) name: &'a At<String>,
    pub(super) survey: &'a sources::Survey,
    facts: &'a DataFacts,
}

fn file<'a>(
    name: Option<&'a At<String>>,
    facts: Option<&'a DataFacts>,
    report: &mut Report,
) -> Option<Surveyed<'a>> {
    let (name, facts) = (name?, facts?);
    match &facts.found {
        Ok(survey) => Some(Surveyed { name, facts, survey }),
        Err(error) => {
            report.error(name.place, Problem::DataFile(error.message.clone())).hint(error.hint.clone());
            None
        }
    }
}

fn data_file(file: Surveyed<'_>) -> DataFile {
    DataFile {
        path: file.facts.path.clone(),
        content: file.survey.content,
        rows: file.survey.rows,
        rows_read: Some(file.survey.rows_read),
        text_bytes: file.survey.text_bytes,
    }
}

/// The number of test rows held out of the training file, where rare classes change it from its share.
fn held_out(raw: &RawTask, train: &sources::Survey) -> Option<usize> {
    let (Some(fraction), None) = (&raw.test_fraction, &raw.test) else { return None };
    let wanted = raw.rows.as_ref().map(|at| at.value);
    let labels = split::drawn_labels(&train.row_labels, wanted, raw.sample_seed);
    let rows = sample::held_out(&labels, fraction.value);
    (!labels.is_empty() && rows != held_out_rows(labels.len(), fraction.value)).then_some(rows)
}

/// Checks that every column of the task exists in every file.
fn columns(raw: &RawTask, files: &[Option<Surveyed<'_>>], report: &mut Report) {
    for column in raw.named_columns() {
        let lacks = |file: &&Surveyed<'_>| !file.survey.columns.contains(&column.value);
        let lacking: Vec<_> = files.iter().flatten().filter(lacks).collect();
        let Some(first) = lacking.first() else { continue };
        let names: Vec<&str> = lacking.iter().map(|file| file.name.value.as_str()).collect();
        let problem = Problem::MissingColumn { column: column.value.clone(), files: quoted(&names) };
        let known = first.survey.columns.iter().map(String::as_str);
        let error = report.error(column.place, problem).one_of(&column.value, known);
        if let Some(way_out) = &first.survey.way_out {
            error.hint(way_out.to_string());
        }
    }
    let label = raw.label.as_ref().map(|at| at.value.as_str());
    // A missing column is reported already.
    let is_there = |name: &String| files.iter().flatten().all(|file| file.survey.columns.contains(name));
    let mut both = raw.text_columns().filter(|column| Some(column.value.as_str()) == label);
    if let Some(column) = both.find(|column| is_there(&column.value)) {
        report
            .error(column.place, Problem::LabelInText(column.value.clone()))
            .hint("remove it from the text");
    }
}

fn rows_there_are(wanted: Option<&At<usize>>, file: Option<Surveyed<'_>>, report: &mut Report) {
    let (Some(wanted), Some(file)) = (wanted, file) else { return };
    if wanted.value > file.survey.rows {
        let (name, rows) = (&file.name.value, file.survey.rows);
        report.warn(wanted.place, format!("`{name}` has {rows} rows only; all of them are used"));
    }
}
