//! Owns the judgement of the task: files, columns, labels, and whether the rows can be divided as
//! the sweep asks. Pure.

use std::collections::BTreeMap;

use crate::data::{sample, sources};
use crate::task::{Classification, Cleaning, DataFile, Objective, Task};
use crate::trial::Splitting;

use super::error::{Problem, Report, quoted};
use super::raw::{RawKFold, RawSplit, RawSweep, RawTask};
use super::source::{At, Place};
use super::survey::{DataFacts, Survey};

/// Longest sequence where the sweep does not say.
pub(super) const DEFAULT_MAX_LENGTH: usize = crate::task::Task::DEFAULT_MAX_LENGTH;
/// Most labels that one message names.
const MOST_NAMED: usize = 5;

/// The checked task; `None` where an error was noted.
pub(super) fn check(raw: &RawTask, survey: &Survey, report: &mut Report) -> Option<Task> {
    let train = file(raw.train.as_ref(), survey.train.as_ref(), report);
    let validation = file(raw.validation.as_ref(), survey.validation.as_ref(), report);
    let test = file(raw.test.as_ref(), survey.test.as_ref(), report);
    columns(raw, &[train, validation, test], report);
    classes(raw, train, report);
    for other in [validation, test].into_iter().flatten() {
        unseen_labels(train, other, report);
    }
    rows_there_are(raw.rows.as_ref(), train, report);
    rows_there_are(raw.test_rows.as_ref(), test, report);
    if let (Some(at), None) = (&raw.test_rows, &raw.test) {
        report.warn(at.place, "`test_rows` has no effect without a `test` file".to_owned());
    }
    Some(Task {
        name: Task::ONLY.to_owned(),
        objective: Objective::Classification(Classification {
            text: texts(&raw.text.as_ref()?.value),
            pair: Vec::new(),
            label: raw.label.as_ref()?.value.clone(),
            labels: train?.survey.label_names.clone(),
            label_map: BTreeMap::new(),
        }),
        train: data_file(train?),
        validation: validation.map(data_file),
        test: test.map(data_file),
        columns: raw.columns.as_ref().map(|at| texts(&at.value)),
        test_fraction: None,
        cleaning: Cleaning::default(),
        max_length: raw.max_length.as_ref().map_or(DEFAULT_MAX_LENGTH, |at| at.value),
        rows: raw.rows.as_ref().map(|at| at.value),
        test_rows: raw.test_rows.as_ref().map(|at| at.value),
        sample_seed: raw.sample_seed,
    })
}

/// A data file that could be read, and where the sweep names it.
#[derive(Clone, Copy, Debug)]
struct Surveyed<'a> {
    name: &'a At<String>,
    facts: &'a DataFacts,
    survey: &'a sources::Survey,
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
            report.error(name.place, Problem::DataFile(error.to_string())).hint(error.hint());
            None
        }
    }
}

fn data_file(file: Surveyed<'_>) -> DataFile {
    DataFile {
        path: file.facts.path.clone(),
        content: file.survey.content,
        rows: file.survey.rows,
        text_bytes: file.survey.text_bytes,
    }
}

fn texts(all: &[At<String>]) -> Vec<String> {
    all.iter().map(|at| at.value.clone()).collect()
}

/// Every column that the task names is in every file.
fn columns(raw: &RawTask, files: &[Option<Surveyed<'_>>], report: &mut Report) {
    let text = raw.text.iter().flat_map(|at| &at.value);
    for column in text.clone().chain(&raw.label) {
        let lacks = |file: &&Surveyed<'_>| !file.survey.columns.contains(&column.value);
        let lacking: Vec<_> = files.iter().flatten().filter(lacks).collect();
        let Some(first) = lacking.first() else { continue };
        let names: Vec<&str> = lacking.iter().map(|file| file.name.value.as_str()).collect();
        let problem = Problem::MissingColumn { column: column.value.clone(), files: quoted(&names) };
        let known = first.survey.columns.iter().map(String::as_str);
        report.error(column.place, problem).one_of(&column.value, known);
    }
    let label = raw.label.as_ref().map(|at| at.value.as_str());
    if let Some(column) = text.clone().find(|column| Some(column.value.as_str()) == label) {
        report.error(column.place, Problem::LabelInText(column.value.clone())).hint("remove it from `text`");
    }
}

fn classes(raw: &RawTask, train: Option<Surveyed<'_>>, report: &mut Report) {
    let (Some(train), Some(label)) = (train, &raw.label) else { return };
    let names = &train.survey.label_names;
    // No names at all: the column is missing, and that is told already.
    if let [only] = names.as_slice() {
        let column = label.value.clone();
        let problem = Problem::TooFewClasses { column, found: format!("one class only, `{only}`") };
        report.error(label.place, problem).allowed("two classes or more");
    }
}

/// A label that training never sees cannot be learned; most often it is a slip in the file.
fn unseen_labels(train: Option<Surveyed<'_>>, other: Surveyed<'_>, report: &mut Report) {
    let Some(known) = train.map(|train| &train.survey.label_names).filter(|names| !names.is_empty()) else {
        return;
    };
    let unseen: Vec<&String> =
        other.survey.label_names.iter().filter(|label| !known.contains(label)).collect();
    if unseen.is_empty() {
        return;
    }
    let mut labels = quoted(&unseen[..unseen.len().min(MOST_NAMED)]);
    if unseen.len() > MOST_NAMED {
        labels += &format!(" and {} more", unseen.len() - MOST_NAMED);
    }
    let noun = if unseen.len() == 1 { "label" } else { "labels" };
    let labels = format!("{noun} {labels}");
    let occur = if unseen.len() == 1 { "occurs" } else { "occur" };
    report
        .error(other.name.place, Problem::UnseenLabels { labels, file: other.name.value.clone(), occur })
        .hint("what training never sees cannot be learned: correct the file, or remove these rows")
        .one_of(unseen[0], known.iter().map(String::as_str));
}

fn rows_there_are(wanted: Option<&At<usize>>, file: Option<Surveyed<'_>>, report: &mut Report) {
    let (Some(wanted), Some(file)) = (wanted, file) else { return };
    if wanted.value > file.survey.rows {
        let (name, rows) = (&file.name.value, file.survey.rows);
        report.warn(wanted.place, format!("`{name}` has {rows} rows only; all of them are used"));
    }
}

/// How the training rows are divided; `None` where an error was noted.
pub(super) fn splitting(raw: &RawSweep, survey: &Survey, report: &mut Report) -> Option<Splitting> {
    let validation = raw.task.as_ref().and_then(|task| task.validation.as_ref());
    let mut conflict = |place: Place, key: &str, other: &str| {
        let problem = Problem::Conflict { key: key.to_owned(), other: other.to_owned() };
        report.error(place, problem).hint("keep one of them");
    };
    if let (Some(kfold), Some(_)) = (&raw.kfold, validation) {
        conflict(kfold.place, "kfold", "task.validation");
    }
    if let (Some(split), Some(_)) = (&raw.split, validation) {
        conflict(split.place, "split", "task.validation");
    }
    if let (Some(split), Some(_)) = (&raw.split, &raw.kfold) {
        conflict(split.place, "split", "kfold");
    }
    let drawn = Drawn::new(raw.task.as_ref(), survey);
    if let (Some(drawn), Some(task)) = (&drawn, &raw.task) {
        drawn.warn_of_empty_classes(task, report);
    }
    match (&raw.kfold, &raw.split) {
        (Some(kfold), _) => k_fold(kfold, drawn.as_ref(), report),
        (None, _) if validation.is_some() => Some(Splitting::File),
        (None, split) => hold_out(split.as_ref(), raw, drawn.as_ref(), report),
    }
}

/// The training rows of each class that the sweep draws.
struct Drawn<'a> {
    rows: usize,
    sizes: Vec<(usize, &'a str)>,
}

impl<'a> Drawn<'a> {
    fn new(task: Option<&RawTask>, survey: &'a Survey) -> Option<Self> {
        let (task, train) = (task?, survey.train.as_ref()?.found.as_ref().ok()?);
        if train.row_labels.is_empty() {
            return None;
        }
        let rows = task.rows.as_ref().map(|at| at.value);
        let drawn = sample::draw(&train.row_labels, rows, task.sample_seed);
        let mut sizes: Vec<_> = train.label_names.iter().map(|name| (0, name.as_str())).collect();
        for row in &drawn {
            sizes[train.row_labels[*row as usize] as usize].0 += 1;
        }
        Some(Self { rows: drawn.len(), sizes })
    }

    fn warn_of_empty_classes(&self, task: &RawTask, report: &mut Report) {
        let Some(rows) = &task.rows else { return };
        for (_, class) in self.sizes.iter().filter(|(size, _)| *size == 0) {
            report.warn(rows.place, format!("class `{class}` has no row among the {} drawn", self.rows));
        }
    }
}

fn k_fold(kfold: &RawKFold, drawn: Option<&Drawn<'_>>, report: &mut Report) -> Option<Splitting> {
    let k = kfold.k.as_ref()?;
    let splitting = Splitting::KFold { k: k.value, stratified: kfold.stratified, seed: kfold.seed };
    let Some(drawn) = drawn else { return Some(splitting) };
    let (least, whose) = if kfold.stratified {
        let (size, class) = drawn.sizes.iter().min()?;
        (*size, format!("class `{class}` has {size} of the {} training rows", drawn.rows))
    } else {
        (drawn.rows, format!("there are {} training rows", drawn.rows))
    };
    if k.value > least {
        let problem = Problem::TooFewRows(format!("`k` is {}, but {whose}", k.value));
        let hint = "lower `k`, draw more rows with `task.rows`, or join small classes";
        let error = report.error(k.place, problem).hint(hint);
        if least >= 2 {
            error.allowed(format!("2 to {least}"));
        }
        return None;
    }
    Some(splitting)
}

#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
fn hold_out(
    split: Option<&RawSplit>,
    raw: &RawSweep,
    drawn: Option<&Drawn<'_>>,
    report: &mut Report,
) -> Option<Splitting> {
    let fraction = split.and_then(|split| split.fraction.as_ref()).map_or(0.1, |at| at.value);
    let stratified = split.is_none_or(|split| split.stratified);
    let seed = split.map_or(42, |split| split.seed);
    let rows = drawn.map_or(usize::MAX, |drawn| drawn.rows);
    if rows < 2 || (rows as f64) * fraction < 1.0 || (rows as f64) * (1.0 - fraction) < 1.0 {
        let task = raw.task.as_ref();
        let place = split
            .and_then(|split| split.fraction.as_ref().map(|at| at.place))
            .or_else(|| task.and_then(|task| task.rows.as_ref().map(|at| at.place)))
            .or_else(|| task.and_then(|task| task.train.as_ref().map(|at| at.place)))
            .unwrap_or_default();
        let message = format!("holding out {fraction} of {rows} training rows leaves one side empty");
        report.error(place, Problem::TooFewRows(message)).hint("use more rows, or a `validation` file");
        return None;
    }
    Some(Splitting::HoldOut { fraction, stratified, seed })
}
