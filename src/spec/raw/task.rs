//! Owns the raw form of `task` and `tasks`: every value with its place. Compares no value with another.

use std::collections::BTreeMap;

use crate::tasks::{
    self, Classes, Cleaning, FileFormat, Given, KeyValue, Objective, Reading, TaskKey, TaskKind,
};

use crate::spec::error::Report;
use crate::spec::keys::{self, Kind};
use crate::spec::label_names::Names;
use crate::spec::read::{self, Fields};
use crate::spec::source::{At, Place};
use crate::spec::value::{Labels, Value};

/// A task.
#[derive(Debug)]
pub(in crate::spec) struct RawTask {
    /// Its name in `tasks`; for a sweep's only task without a name, the default.
    pub(in crate::spec) name: At<String>,
    /// Place of its mapping.
    pub(in crate::spec) place: Place,
    /// Its name in messages.
    pub(in crate::spec) title: String,
    /// Its path for `--set`.
    pub(in crate::spec) path: String,
    /// Its kind.
    pub(in crate::spec) kind: &'static dyn TaskKind,
    /// The values of the kind's own keys.
    pub(in crate::spec) given: Given,
    /// Places of the values of the kind's own keys.
    pub(in crate::spec) places: BTreeMap<&'static str, Place>,
    pub(in crate::spec) train: Option<At<String>>,
    pub(in crate::spec) validation: Option<At<String>>,
    pub(in crate::spec) test: Option<At<String>>,
    pub(in crate::spec) test_fraction: Option<At<f64>>,
    pub(in crate::spec) columns: Option<At<Vec<At<String>>>>,
    pub(in crate::spec) reading: Reading,
    pub(in crate::spec) text: Option<At<Vec<At<String>>>>,
    pub(in crate::spec) pair: Option<At<Vec<At<String>>>>,
    pub(in crate::spec) label: Option<At<String>>,
    pub(in crate::spec) labels: Option<At<Labels>>,
    pub(in crate::spec) cleaning: Cleaning,
    /// Place of `cleaning.min_label_rows`.
    pub(in crate::spec) min_label_rows: Option<Place>,
    pub(in crate::spec) max_length: Option<At<usize>>,
    /// The name of a metric.
    pub(in crate::spec) select: Option<At<String>>,
    pub(in crate::spec) rows: Option<At<usize>>,
    pub(in crate::spec) test_rows: Option<At<usize>>,
    pub(in crate::spec) sample_seed: u64,
}

impl RawTask {
    /// Its `max_length`, in tokens.
    pub(in crate::spec) fn length(&self) -> usize {
        self.max_length.as_ref().map_or(crate::tasks::Task::DEFAULT_MAX_LENGTH, |at| at.value)
    }

    /// Its objective as far as the sweep file gives it, with these class names; `None` where too little is
    /// given to read any row.
    pub(in crate::spec) fn objective(&self, labels: &[String], names: &Names) -> Option<Objective> {
        let Names { map, dropped, .. } = names.clone();
        self.kind.objective(&self.given, Classes { labels: labels.to_vec(), map, dropped })
    }

    /// Whether each of its rows has one class.
    pub(in crate::spec) fn has_classes(&self) -> bool {
        self.kind.fields().has_classes()
    }

    /// Whether labels in its files are named.
    pub(in crate::spec) fn has_labels(&self) -> bool {
        self.kind.fields().has_labels()
    }

    /// Every column that the kind's own keys name.
    pub(in crate::spec) fn named_columns(&self) -> impl Iterator<Item = At<String>> + '_ {
        let texts = self.text_columns().chain(&self.label).cloned();
        let known = |key: &&TaskKey| ["text", "pair", "label"].contains(&key.name);
        let columns = self
            .kind
            .keys()
            .iter()
            .filter(move |key| matches!(key.value, KeyValue::Column | KeyValue::Columns) && !known(key));
        let named = columns.flat_map(|key| {
            let place = self.places.get(key.name).copied().unwrap_or(self.place);
            self.given.texts(key.name).iter().map(move |name| At { value: name.clone(), place })
        });
        texts.chain(named)
    }

    /// Names for the columns, where the files have none.
    pub(in crate::spec) fn column_names(&self) -> Option<Vec<String>> {
        self.columns.as_ref().map(|at| at.value.iter().map(|name| name.value.clone()).collect())
    }

    /// Columns of the text and of its pair.
    pub(in crate::spec) fn text_columns(&self) -> impl Iterator<Item = &At<String>> {
        self.text.iter().chain(&self.pair).flat_map(|at| &at.value)
    }
}

/// Reads `task`, or every entry of `tasks`.
pub(in crate::spec) fn tasks(top: &Fields<'_>, report: &mut Report) -> Vec<RawTask> {
    let mut tasks = Vec::new();
    if let Some(field) = top.field("task")
        && let Kind::Section(section) = &field.key.kind
        && let Some(fields) = read::fields(field.node, section, "`task`", report)
    {
        let name = At { value: crate::tasks::Task::ONLY.to_owned(), place: field.place };
        tasks.push(task(name, "task".to_owned(), "`task`".to_owned(), &fields, report));
    }
    let Some(field) = top.field("tasks") else { return tasks };
    let Kind::Named(section) = &field.key.kind else { return tasks };
    for entry in read::entries(field.node, "`tasks`", report).unwrap_or_default() {
        let name = &entry.key.value;
        let title = format!("task `{name}`");
        if let Some(fields) = read::fields(&entry.value, section, &title, report) {
            tasks.push(task(entry.key.clone(), format!("tasks.{name}"), title, &fields, report));
        }
    }
    tasks
}

fn task(name: At<String>, path: String, title: String, fields: &Fields<'_>, report: &mut Report) -> RawTask {
    let texts = |key: &str| fields.take(key, Value::into_texts);
    let (cleaning, min_label_rows) = cleaning(fields, report);
    let named = fields.text(keys::KIND).and_then(|at| tasks::kind(&at.value));
    let kind = named.or_else(|| tasks::kind(tasks::DEFAULT_KIND)).unwrap_or(tasks::KINDS[0]);
    let [train, validation, test] = ["train", "validation", "test"].map(|key| fields.text(key));
    let reading = reading(fields);
    let plain = [&train, &validation, &test].into_iter().flatten().all(|name| is_plain(&name.value));
    let (mut given, places) = given(kind, fields);
    given.plain_text = reading.format.map_or(plain, |format| format == FileFormat::Text);
    RawTask {
        name,
        place: fields.place,
        title,
        path,
        kind,
        given,
        places,
        train,
        validation,
        test,
        test_fraction: fields.number("test_fraction"),
        columns: texts("columns"),
        reading,
        text: texts("text"),
        pair: texts("pair"),
        label: fields.text("label"),
        labels: fields.take("labels", Value::into_labels),
        cleaning,
        min_label_rows,
        max_length: fields.size("max_length"),
        select: fields.text("select"),
        rows: fields.size("rows"),
        test_rows: fields.size("test_rows"),
        sample_seed: fields.seed("sample_seed"),
    }
}

/// The values of a kind's own keys, and their places.
fn given(kind: &'static dyn TaskKind, fields: &Fields<'_>) -> (Given, BTreeMap<&'static str, Place>) {
    let (mut given, mut places) = (Given::default(), BTreeMap::new());
    for key in kind.keys() {
        match key.value {
            KeyValue::Text | KeyValue::Column | KeyValue::Template | KeyValue::Choice(_) => {
                if let Some(At { value, place }) = fields.text(key.name) {
                    given.say(key.name, value);
                    places.insert(key.name, place);
                }
            }
            KeyValue::Columns => {
                if let Some(At { value, place }) = fields.take(key.name, Value::into_texts) {
                    value.into_iter().for_each(|at| given.say(key.name, at.value));
                    places.insert(key.name, place);
                }
            }
            KeyValue::Count => {
                if let Some(At { value, place }) = fields.size(key.name) {
                    given.count(key.name, value);
                    places.insert(key.name, place);
                }
            }
            KeyValue::Weights(_) => {
                if let Some(At { value, place }) = fields.text(key.name) {
                    given.say(key.name, value);
                    places.insert(key.name, place);
                } else if let Some(At { value, place }) = fields.take(key.name, Value::into_weights) {
                    given.weigh(
                        key.name,
                        value.into_iter().map(|(name, weight)| (name.value, weight)).collect(),
                    );
                    places.insert(key.name, place);
                }
            }
            KeyValue::Flag => {
                if let Some(At { value, place }) = fields.flag(key.name) {
                    given.set(key.name, value);
                    places.insert(key.name, place);
                }
            }
            // Class names are known only after the survey of the files.
            KeyValue::Labels => {}
        }
    }
    (given, places)
}

/// Whether a file's name marks it as plain text, the only format without columns.
fn is_plain(name: &str) -> bool {
    let name = name.to_lowercase();
    [".txt", ".txt.gz", ".txt.zst"].iter().any(|ending| name.ends_with(ending))
}

/// How to read files whose names and bytes do not say it.
fn reading(task: &Fields<'_>) -> Reading {
    let character = |key: &str| task.take(key, |value| value.character()).map(|at| at.value);
    Reading {
        format: task.text("format").and_then(|at| FileFormat::from_name(&at.value)),
        separator: character("separator"),
        quote: character("quote"),
        quoting: task.flag("quoting").map(|at| at.value),
        encoding: task.text("encoding").map(|at| at.value),
    }
}

/// What is left out, and the place of the least number of rows per class.
fn cleaning(task: &Fields<'_>, report: &mut Report) -> (Cleaning, Option<Place>) {
    let Some(field) = task.field("cleaning") else { return (Cleaning::default(), None) };
    let Kind::Section(section) = &field.key.kind else { return (Cleaning::default(), None) };
    let Some(fields) = read::fields(field.node, section, "`cleaning`", report) else {
        return (Cleaning::default(), None);
    };
    let flag = |key: &str| fields.flag(key).is_some_and(|at| at.value);
    let size = |key: &str| fields.size(key).map(|at| at.value);
    let cleaning = Cleaning {
        strip_html: flag("strip_html"),
        strip_symbols: flag("strip_symbols"),
        min_words: size("min_words"),
        min_label_rows: size("min_label_rows"),
    };
    (cleaning, fields.key_place("min_label_rows"))
}
