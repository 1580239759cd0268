//! Owns the reading of data files: what a file holds before a sweep is checked ([`survey`]), and a
//! task's rows when they are tokenised ([`read`]).
//!
//! CSV and TSV (RFC 4180: quoted fields, doubled quotes, line breaks in quotes), JSON Lines, Parquet,
//! plain text and SQuAD's JSON; all but Parquet also compressed by gzip or zstd. Every value is text.
//! A file is read strictly: what another reader would guess at or fill in (a row with a field too
//! few, a stray quote, an empty label) is an error with its line, because a guess would become
//! training data. Draws, splits and tokenises nothing.

mod delimited;
mod error;
mod examples;
mod files;
mod format;
mod json_lines;
mod parquet;
mod plain;
mod records;
mod rows;
mod squad;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use self::rows::{Kept, Labelled, Rows};
use self::table::{CONTEXT, Located, QUESTION, TEXT, Table};
use crate::content::ContentHash;
use crate::task::{Cleaning, DataFile, Objective, Task, TextLayout};

pub use error::{Problem, SourceError};
pub use examples::{Examples, Question};
pub use table::Place;

/// What to look for in a data file.
#[derive(Clone, Copy, Debug)]
pub struct SurveyRequest<'a> {
    /// The file, or several: a `*` in the last part stands for any part of a name.
    pub path: &'a Path,
    /// Names for the columns of a file without a header row.
    pub columns: Option<&'a [String]>,
    /// The columns that matter.
    pub fields: Fields<'a>,
    /// What is stripped and dropped.
    pub cleaning: &'a Cleaning,
    /// The training file's classes, for the other files: where rare classes are dropped, those that
    /// remain are the training file's.
    pub classes: Option<&'a [String]>,
}

/// The columns that an objective reads.
#[derive(Clone, Copy, Debug)]
pub enum Fields<'a> {
    /// Texts with a label.
    Labelled {
        /// Columns of the text, joined by one space.
        text: &'a [String],
        /// Columns of the second text; empty for single texts.
        pair: &'a [String],
        /// Column of the label, where one is wanted.
        label: Option<&'a str>,
        /// Values of that column to the names of their classes; others are names already.
        map: &'a BTreeMap<String, String>,
    },
    /// Texts alone; a plain text file has the one column `text`.
    Documents {
        /// Columns of the text, joined by one space; `text` where none is named.
        text: &'a [String],
        /// Whether a plain text file is one text or many.
        layout: TextLayout,
    },
    /// The columns `context`, `question` and `answers`.
    Questions,
}

/// What a data file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Hash of its bytes, also of several files.
    pub content: ContentHash,
    /// Rows of the file, the header not counted, before any is left out.
    pub rows_read: usize,
    /// Rows after cleaning.
    pub rows: usize,
    /// The rows that cleaning left out.
    pub left_out: LeftOut,
    /// Rows after cleaning whose text is blank; of a pair, both texts.
    pub empty_texts: usize,
    /// Bytes of these rows' texts.
    pub text_bytes: u64,
    /// Names of its columns.
    pub columns: Vec<String>,
    /// The class of each row, as an index into `label_names`; empty where the label column is
    /// absent or was not asked for.
    pub row_labels: Vec<u32>,
    /// The classes that occur, each once: in numerical order if all are integers, else as text.
    pub label_names: Vec<String>,
    /// The label column's values as the file has them, each with its rows in the whole file; a
    /// missing label is the empty text. Empty where no label column was read.
    pub label_values: BTreeMap<String, usize>,
}

/// How many rows were left out, each for the first reason that holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// The label is missing, and the task leaves such rows out.
    pub missing_label: usize,
    /// The label is one that the task leaves out.
    pub dropped_label: usize,
    /// The text has fewer words than `min_words`.
    pub few_words: usize,
    /// The class has fewer rows than `min_label_rows`, or is none of the training file's.
    pub rare_class: usize,
    /// The text is blank, where each row is a document of its own.
    pub blank: usize,
    /// The question has no answer, and the task leaves such questions out.
    pub unanswered: usize,
}

/// Looks at a data file. A column that a sweep names and that does not exist is no error here: the
/// caller compares with [`Survey::columns`]. Rows then are those of the file, before cleaning.
///
/// # Errors
/// Where the file cannot be read as what its ending says, has no rows or none after cleaning, has an
/// empty label or a question without an answer.
pub fn survey(request: &SurveyRequest<'_>) -> Result<Survey, SourceError> {
    let files = files::open(request.path)?;
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
        };
        let wanted = request.fields.columns();
        let absent = |name: &&str| !matches!(request.fields, Fields::Questions) && !table.has(name);
        if wanted.iter().any(absent) {
            let classes = rows::classes(table, request.fields).unwrap_or_default();
            let (row_labels, label_names) = rows::index_classes(&classes);
            return Ok(Survey { row_labels, label_names, ..found });
        }
        let Kept { rows: kept, left_out } = rows::kept(table, plain, request)?;
        let (row_labels, label_names) = match &kept {
            Rows::Labelled(labelled) => rows::index_classes(&labelled.classes),
            Rows::Documents(_) | Rows::Lines(_) | Rows::Questions(_) => (Vec::new(), Vec::new()),
        };
        let (rows, text_bytes, empty_texts) = (kept.count(), kept.text_bytes(), kept.empty_texts());
        Ok(Survey { rows, left_out, empty_texts, text_bytes, row_labels, label_names, ..found })
    };
    look(&gathered.table).map_err(|located| gathered.error(located))
}

/// Reads a task's rows from one of its files.
///
/// # Errors
/// Where the file is no longer the one that was surveyed.
pub fn read(file: &DataFile, task: &Task) -> Result<Examples, SourceError> {
    let labels = match &task.objective {
        Objective::Classification(classification) => Some(classification.labels.as_slice()),
        Objective::LanguageModelling(_) | Objective::QuestionAnswering(_) => None,
    };
    let request = SurveyRequest {
        path: &file.path,
        columns: task.columns.as_deref(),
        fields: Fields::of(&task.objective),
        cleaning: &task.cleaning,
        classes: labels,
    };
    let files = files::open(&file.path)?;
    if files.content() != file.content {
        return Err(SourceError::new(&file.path, None, Problem::Changed));
    }
    let plain = files.are_plain();
    let gathered = files.gather(&request)?;
    let load = |table: &Table| {
        Ok(match rows::kept(table, plain, &request)?.rows {
            Rows::Labelled(Labelled { texts, pairs, classes }) => {
                let labels = rows::class_of_rows(&classes, labels.unwrap_or_default())?;
                Examples::Labelled { texts, pairs, labels }
            }
            Rows::Documents(texts) => Examples::Documents(texts),
            Rows::Lines(lines) => Examples::Lines(lines),
            Rows::Questions(questions) => Examples::Questions(questions),
        })
    };
    load(&gathered.table).map_err(|located| gathered.error(located))
}

/// The texts of all of a file's rows, whatever else the rows hold, and their second texts where
/// `pair` names columns. Nothing is cleaned and no row is left out.
///
/// # Errors
/// Where the file cannot be read as what its ending says, has no rows, or lacks a column.
pub fn texts(
    path: &Path,
    text: &[String],
    pair: &[String],
) -> Result<(Vec<String>, Option<Vec<String>>), SourceError> {
    let map = BTreeMap::new();
    let fields = Fields::Labelled { text, pair, label: None, map: &map };
    let request =
        SurveyRequest { path, columns: None, fields, cleaning: &Cleaning::default(), classes: None };
    let gathered = files::open(path)?.gather(&request)?;
    let load = |table: &Table| {
        let pairs = if pair.is_empty() { None } else { Some(table.join(pair)?) };
        Ok((table.join(text)?, pairs))
    };
    load(&gathered.table).map_err(|located: Located| gathered.error(located))
}

/// The path by which these files, in the order of their names, are read as one; `None` where their
/// names have too little in common for a pattern that names them alone.
#[must_use]
pub fn as_one(files: &[PathBuf]) -> Option<PathBuf> {
    files::pattern(files)
}

impl<'a> Fields<'a> {
    /// The columns of a checked objective.
    #[must_use]
    pub fn of(objective: &'a Objective) -> Self {
        match objective {
            Objective::Classification(c) => {
                Self::Labelled { text: &c.text, pair: &c.pair, label: Some(&c.label), map: &c.label_map }
            }
            Objective::LanguageModelling(l) => Self::Documents { text: &l.text, layout: l.layout },
            Objective::QuestionAnswering(_) => Self::Questions,
        }
    }

    /// Names of the columns to read as text.
    fn columns(self) -> Vec<&'a str> {
        match self {
            Self::Labelled { text, pair, label, .. } => {
                text.iter().chain(pair).map(String::as_str).chain(label).collect()
            }
            Self::Documents { text: [], .. } => vec![TEXT],
            Self::Documents { text, .. } => text.iter().map(String::as_str).collect(),
            Self::Questions => vec![CONTEXT, QUESTION],
        }
    }
}
