//! Owns the reading of data files: what a file holds before a sweep is checked ([`survey`]), and a task's rows
//! when they are tokenised ([`read`]).
//!
//! Formats: CSV and TSV, JSON, Parquet, Arrow, plain text, CoNLL's columns and SQuAD's JSON; text may be compressed by gzip or
//! zstd, and may have any encoding that a byte order mark or the task names. Every value is text. A file is
//! read strictly: where another reader would guess or fill in (a missing field, a stray quote, a missing
//! label), this is an error with its line, because a guess would become training data. The error names the keys
//! that would read the file, if any would. Data that is read but may not be meant gives a [`Note`]. Draws,
//! splits and tokenises nothing.

mod answers;
mod arrow;
mod chats;
mod conll;
mod delimited;
mod error;
mod files;
mod folder;
mod format;
mod frame;
mod hints;
mod json;
mod labels;
mod lists;
mod many;
mod notes;
mod parquet;
mod python;
mod rows;
mod sniff;
mod squad;
mod table;
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use self::rows::{Kept, Labelled, Rows};
use self::table::{CONTEXT, QUESTION, TEXT, Table};
use crate::tasks::{Cleaning, DataFile, Examples, Fields, Reading, Target, Targets, Task, Written};
use crate::values::ContentHash;

pub use error::{Problem, SourceError};
pub use labels::canonical_number;
pub use lists::words;
pub use notes::Note;
pub use python::value as python_value;
pub use sniff::{Kind, WayOut};
pub use table::Place;
pub use text::{Guess, encoding};

/// Reads files as their names and bytes suggest.
static AS_IT_IS: Reading =
    Reading { format: None, separator: None, quote: None, quoting: None, encoding: None };

/// What to look for in a data file.
#[derive(Clone, Copy, Debug)]
pub struct SurveyRequest<'a> {
    /// The file or files: a `*` in the last part matches any part of a name.
    pub path: &'a Path,
    /// Names for the columns of a file without a header row.
    pub columns: Option<&'a [String]>,
    /// How to read a file whose name and bytes do not say it.
    pub reading: &'a Reading,
    /// The columns that matter.
    pub fields: Fields<'a>,
    /// What is stripped and dropped.
    pub cleaning: &'a Cleaning,
    /// The training file's classes, for the other files: where rare classes are dropped, the training file
    /// decides which classes remain.
    pub classes: Option<&'a [String]>,
}

/// The content of a data file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Hash of its bytes, or of several files.
    pub content: ContentHash,
    /// Rows of the file before any is left out, without the header.
    pub rows_read: usize,
    /// Rows after cleaning.
    pub rows: usize,
    /// The rows that cleaning left out.
    pub left_out: LeftOut,
    /// Rows after cleaning with a blank text; for a pair, with two blank texts.
    pub empty_texts: usize,
    /// Bytes of these rows' texts.
    pub text_bytes: u64,
    /// Names of its columns.
    pub columns: Vec<String>,
    /// The class of each row, as an index into `label_names`; empty where the label column is missing or was
    /// not asked for.
    pub row_labels: Vec<u32>,
    /// The classes that occur, each once: in numerical order if all are integers, else as text.
    pub label_names: Vec<String>,
    /// The label column's values in the file, each with its number of rows in the whole file; a missing label
    /// is the empty text. Empty where no label column was read.
    pub label_values: BTreeMap<String, usize>,
    /// The names of the classes behind the label column's whole numbers, from 0 on, where the file records
    /// them.
    pub class_names: Vec<String>,
    /// Notes on data that may not be what was meant.
    pub notes: Vec<Note>,
    /// The keys with which the file would have the missing columns.
    pub way_out: Option<WayOut>,
}

/// How many rows were left out, each counted for the first reason that applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// The label is missing, and the task leaves such rows out.
    pub missing_label: usize,
    /// The label is one that the task leaves out.
    pub dropped_label: usize,
    /// The text has fewer words than `min_words`.
    pub few_words: usize,
    /// The class has fewer rows than `min_label_rows`, or is not one of the training file's.
    pub rare_class: usize,
    /// The text is blank, and each row is its own document.
    pub blank: usize,
    /// The question has no answer, and the task leaves such questions out; or a conversation has no turn of the
    /// assistant, or a blank one.
    pub unanswered: usize,
}

/// Looks at a data file. A missing column is not an error here: the caller compares with [`Survey::columns`].
/// The rows are then the file's rows before cleaning.
///
/// # Errors
/// Where the file cannot be read in the format of its extension or of the task's keys, has no rows before or
/// after cleaning, or has a missing label or a question without an answer and the task does not say what to do
/// with these.
pub fn survey(request: &SurveyRequest<'_>) -> Result<Survey, SourceError> {
    let files = files::open(request.path, request.reading)?;
    let (content, plain) = (files.content(), files.are_plain());
    let gathered = files.gather(request)?;
    let look = |table: &Table| {
        let found = Survey {
            content,
            rows_read: table.rows,
            rows: table.rows,
            left_out: LeftOut::default(),
            empty_texts: 0,
            text_bytes: 0,
            columns: table.names.clone(),
            row_labels: Vec::new(),
            label_names: Vec::new(),
            label_values: rows::label_values(table, request.fields),
            class_names: request
                .fields
                .target()
                .column()
                .and_then(|label| table.class_names.get(label))
                .cloned()
                .unwrap_or_default(),
            notes: notes::of(table, request.fields),
            way_out: table.way_out.clone(),
        };
        let wanted = columns(request.fields);
        let needed = !matches!(request.fields, Fields::Questions { .. });
        if needed && wanted.iter().any(|name| !table.has(name)) {
            let (row_labels, label_names) = rows::index_classes(&rows::class_names(table, request));
            return Ok(Survey { row_labels, label_names, ..found });
        }
        let Kept { rows: kept, left_out } = rows::kept(table, plain, request)?;
        let (row_labels, label_names) = match &kept {
            Rows::Labelled(Labelled { targets: Targets::Classes(names), .. }) => rows::index_classes(names),
            Rows::Labelled(Labelled { targets: Targets::Lists(names), .. })
            | Rows::Words { tags: names, .. } => (Vec::new(), many::names(names, request.fields)),
            Rows::Labelled(_)
            | Rows::Documents(_)
            | Rows::Lines(_)
            | Rows::Questions(_)
            | Rows::Conversations(_) => (Vec::new(), Vec::new()),
        };
        let (rows, text_bytes, empty_texts) = (kept.count(), kept.text_bytes(), kept.empty_texts());
        Ok(Survey { rows, left_out, empty_texts, text_bytes, row_labels, label_names, ..found })
    };
    look(&gathered.table).map_err(|located| gathered.error(located))
}

/// Reads a task's rows from one of its files.
///
/// # Errors
/// Where the file has changed since the survey.
pub fn read(file: &DataFile, task: &Task) -> Result<Examples, SourceError> {
    let fields = task.objective.fields();
    let labels = fields.has_labels().then(|| task.objective.labels());
    let request = SurveyRequest {
        path: &file.path,
        columns: task.columns.as_deref(),
        reading: &task.reading,
        fields,
        cleaning: &task.cleaning,
        classes: labels,
    };
    let files = files::open(&file.path, &task.reading)?;
    if files.content() != file.content {
        return Err(SourceError::new(&file.path, None, Problem::Changed));
    }
    let plain = files.are_plain();
    let gathered = files.gather(&request)?;
    let load = |table: &Table| {
        Ok(match rows::kept(table, plain, &request)?.rows {
            Rows::Labelled(Labelled { texts, pairs, targets }) => {
                let targets = match targets {
                    Targets::Numbers(numbers) => Targets::Numbers(numbers),
                    Targets::Classes(names) => {
                        Targets::Classes(rows::class_of_rows(&names, labels.unwrap_or_default())?)
                    }
                    Targets::Lists(lists) => {
                        let mut lists = many::classes_of(&lists, labels.unwrap_or_default())?;
                        lists.iter_mut().for_each(|list| list.sort_unstable());
                        Targets::Lists(lists)
                    }
                };
                Examples::Texts { texts, pairs, targets }
            }
            Rows::Words { words, tags } => {
                let tags = many::classes_of(&tags, labels.unwrap_or_default())?;
                Examples::Words { words, tags }
            }
            Rows::Documents(texts) => Examples::Documents(texts),
            Rows::Lines(lines) => Examples::Lines(lines),
            Rows::Questions(questions) => Examples::Questions(questions),
            Rows::Conversations(all) => Examples::Conversations(all),
        })
    };
    load(&gathered.table).map_err(|located| gathered.error(located))
}

/// How a file would be read best, with these columns if any are named, for callers without a task: a guess, to
/// be written into a sweep or shown. Empty where the file's name and bytes are enough, and where no keys would
/// help.
#[must_use]
pub fn fitting(path: &Path, columns: &[String]) -> Reading {
    let mut reading = Reading::default();
    // The separator can be recognised only once the encoding is known.
    for _ in 0..2 {
        let fields = Fields::columns_of(columns, &[], None);
        let request = SurveyRequest { reading: &reading, ..SurveyRequest::as_it_is(path, fields) };
        let gathered = files::open(path, &reading).and_then(|files| files.gather(&request));
        let more = match &gathered {
            Ok(found) => found.table.way_out.as_ref().map(|way_out| way_out.beside(&reading)),
            Err(error) => error.way_out_of(&reading),
        };
        match more {
            Some(more) => reading = more,
            None => break,
        }
    }
    reading
}

/// The texts of all of a file's rows, whatever else the rows hold, and their second texts where
/// `pair` names columns. Nothing is cleaned and no row is left out.
///
/// # Errors
/// Where the file cannot be read like this, has no rows, or lacks a column.
pub fn texts(
    path: &Path,
    reading: &Reading,
    text: &[String],
    pair: &[String],
) -> Result<(Vec<String>, Option<Vec<String>>), SourceError> {
    let fields = Fields::columns_of(text, pair, None);
    let request = SurveyRequest { reading, ..SurveyRequest::as_it_is(path, fields) };
    let gathered = files::open(path, request.reading)?.gather(&request)?;
    let load = |table: &Table| {
        let pairs = if pair.is_empty() { None } else { Some(table.join(pair)?) };
        Ok((table.join(text)?, pairs))
    };
    load(&gathered.table).map_err(|located| gathered.error(located))
}

/// The path that reads exactly these files as one, given in the order of their names; `None` where their names
/// have too little in common for a pattern.
#[must_use]
pub fn as_one(files: &[PathBuf]) -> Option<PathBuf> {
    files::pattern(files)
}

impl<'a> SurveyRequest<'a> {
    /// A look at a file as it is: nothing is cleaned.
    #[must_use]
    pub fn as_it_is(path: &'a Path, fields: Fields<'a>) -> Self {
        let cleaning =
            &Cleaning { strip_html: false, strip_symbols: false, min_words: None, min_label_rows: None };
        Self { path, columns: None, reading: &AS_IT_IS, fields, cleaning, classes: None }
    }
}

/// Names of the columns that may hold lists.
fn lists(fields: Fields<'_>) -> Vec<&str> {
    match fields {
        Fields::Texts { target: Target::Classes { written: Written::Listed { column, .. }, .. }, .. } => {
            vec![column]
        }
        Fields::Words { words, tags, .. } => vec![words, tags],
        Fields::Texts { .. }
        | Fields::Documents { .. }
        | Fields::Questions { .. }
        | Fields::Conversations => Vec::new(),
    }
}

/// Names of the columns to read as text.
fn columns(fields: Fields<'_>) -> Vec<&str> {
    match fields {
        Fields::Texts { text, pair, target } => {
            text.iter().chain(pair).map(String::as_str).chain(target.columns()).collect()
        }
        Fields::Words { words, tags, .. } => [words, tags].into_iter().filter(|it| !it.is_empty()).collect(),
        Fields::Documents { text: [], .. } => vec![TEXT],
        Fields::Documents { text, .. } => text.iter().map(String::as_str).collect(),
        Fields::Questions { .. } => vec![CONTEXT, QUESTION],
        // Their columns are not texts, and are found by their names.
        Fields::Conversations => Vec::new(),
    }
}
