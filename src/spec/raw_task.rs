//! Owns the mirror of `task` and `tasks`: every value with its place. Judges no value against another.

use crate::tasks::{Cleaning, FileFormat, Reading, TextLayout, Unanswerable};

use super::error::Report;
use super::keys::{self, Kind};
use super::label_names;
use super::read::{self, Fields};
use super::source::{At, Place};
use super::value::{Labels, Value};

/// What kind of task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TaskKind {
    Classification,
    LanguageModelling,
    QuestionAnswering,
}

/// A task.
#[derive(Debug)]
pub(super) struct RawTask {
    /// Its name in `tasks`; that of a sweep's only task where there is none.
    pub(super) name: At<String>,
    /// Where its mapping stands.
    pub(super) place: Place,
    /// What messages call it.
    pub(super) title: String,
    /// The path to it for `--set`.
    pub(super) path: String,
    pub(super) kind: TaskKind,
    pub(super) train: Option<At<String>>,
    pub(super) validation: Option<At<String>>,
    pub(super) test: Option<At<String>>,
    pub(super) test_fraction: Option<At<f64>>,
    pub(super) columns: Option<At<Vec<At<String>>>>,
    pub(super) reading: Reading,
    pub(super) text: Option<At<Vec<At<String>>>>,
    pub(super) pair: Option<At<Vec<At<String>>>>,
    pub(super) label: Option<At<String>>,
    pub(super) labels: Option<At<Labels>>,
    pub(super) layout: TextLayout,
    pub(super) template: Option<At<String>>,
    pub(super) max_new_tokens: usize,
    pub(super) unanswerable: Option<Unanswerable>,
    pub(super) cleaning: Cleaning,
    /// Where `cleaning.min_label_rows` stands.
    pub(super) min_label_rows: Option<Place>,
    pub(super) max_length: Option<At<usize>>,
    pub(super) rows: Option<At<usize>>,
    pub(super) test_rows: Option<At<usize>>,
    pub(super) sample_seed: u64,
}

impl TaskKind {
    /// The word in the sweep file.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Classification => keys::CLASSIFICATION,
            Self::LanguageModelling => keys::LANGUAGE_MODELLING,
            Self::QuestionAnswering => keys::QUESTION_ANSWERING,
        }
    }

    /// The kind of that name; classification, the default, where it is another.
    fn from_name(name: &str) -> Self {
        [Self::LanguageModelling, Self::QuestionAnswering]
            .into_iter()
            .find(|kind| kind.name() == name)
            .unwrap_or(Self::Classification)
    }
}

impl RawTask {
    /// The longest sequence that it asks for, in tokens.
    pub(super) fn length(&self) -> usize {
        self.max_length.as_ref().map_or(crate::tasks::Task::DEFAULT_MAX_LENGTH, |at| at.value)
    }

    /// Whether it names no text and has a file that is not plain text, which alone has no columns.
    pub(super) fn lacks_text(&self) -> bool {
        if let Some(format) = self.reading.format {
            return self.text.is_none() && format != FileFormat::Text;
        }
        let plain = |name: &At<String>| {
            let name = name.value.to_lowercase();
            [".txt", ".txt.gz", ".txt.zst"].iter().any(|ending| name.ends_with(ending))
        };
        let files = [&self.train, &self.validation, &self.test];
        self.text.is_none() && !files.into_iter().flatten().all(plain)
    }

    /// Names for the columns, where the files have none.
    pub(super) fn column_names(&self) -> Option<Vec<String>> {
        self.columns.as_ref().map(|at| at.value.iter().map(|name| name.value.clone()).collect())
    }

    /// Columns of the text and of its pair.
    pub(super) fn text_columns(&self) -> impl Iterator<Item = &At<String>> {
        self.text.iter().chain(&self.pair).flat_map(|at| &at.value)
    }
}

/// Reads `task`, or every entry of `tasks`.
pub(super) fn tasks(top: &Fields<'_>, report: &mut Report) -> Vec<RawTask> {
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
    let word = |key: &str| fields.text(key).map(|at| at.value).unwrap_or_default();
    let (cleaning, min_label_rows) = cleaning(fields, report);
    RawTask {
        name,
        place: fields.place,
        title,
        path,
        kind: TaskKind::from_name(&word("kind")),
        train: fields.text("train"),
        validation: fields.text("validation"),
        test: fields.text("test"),
        test_fraction: fields.number("test_fraction"),
        columns: texts("columns"),
        reading: reading(fields),
        text: texts("text"),
        pair: texts("pair"),
        label: fields.text("label"),
        labels: fields.take("labels", Value::into_labels),
        layout: if word("layout") == "documents" { TextLayout::Documents } else { TextLayout::Blocks },
        template: fields.text("template"),
        max_new_tokens: fields.size("max_new_tokens").map_or(32, |at| at.value),
        unanswerable: fields.text("unanswerable").map(|at| match at.value.as_str() {
            label_names::DROP => Unanswerable::Drop,
            _ => Unanswerable::Answer(at.value),
        }),
        cleaning,
        min_label_rows,
        max_length: fields.size("max_length"),
        rows: fields.size("rows"),
        test_rows: fields.size("test_rows"),
        sample_seed: fields.seed("sample_seed"),
    }
}

/// How the files are read where their names and bytes do not say.
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

/// What is left out, and where the least number of a class's rows stands.
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
