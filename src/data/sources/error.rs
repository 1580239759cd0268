//! Owns what can be wrong with a data file, in words: what is wrong, where, and what to do next.

use std::fmt;
use std::path::{Path, PathBuf};

/// A data file that cannot be used as it is.
#[derive(Debug)]
pub struct SourceError {
    /// The file.
    pub path: PathBuf,
    /// Where in it, where that is known.
    pub place: Option<Place>,
    /// What is wrong.
    pub problem: Problem,
}

/// A place in a data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The row, counted from 1 without the header; `None` where the line belongs to no known row.
    pub row: Option<usize>,
    /// The line, counted from 1, at which the row begins. Rows with line breaks have several.
    pub line: usize,
}

/// What is wrong with a data file.
#[derive(Debug)]
pub enum Problem {
    /// It cannot be read at all.
    Unreadable(std::io::Error),
    /// Its ending names no known format.
    Ending,
    /// It is not UTF-8 text.
    NotUtf8,
    /// It has no rows.
    NoRows,
    /// A row has more or fewer fields than there are columns.
    Ragged {
        /// Number of fields of the row.
        found: usize,
        /// Number of columns.
        expected: usize,
    },
    /// A quote opens and does not close, or stands within a field that is not quoted.
    StrayQuote,
    /// A column has no name, or the name of another one.
    ColumnName(String),
    /// Names were given for the columns of a file that names them itself.
    ColumnsGiven,
    /// A row without a label.
    EmptyLabel,
    /// A line that is no JSON object.
    NotAnObject(String),
    /// An object without one of the columns, or with something else than text or a number in it.
    NotText {
        /// The column.
        column: String,
        /// What is there.
        found: &'static str,
    },
    /// A column that the task needs is not there.
    MissingColumn {
        /// The column.
        column: String,
        /// The columns there are.
        columns: Vec<String>,
    },
    /// A label that is none of the task's.
    UnknownLabel(String),
    /// The file is not the one that was checked.
    Changed,
    /// The reader disagrees with our own look at the file.
    Reader(String),
}

impl SourceError {
    pub(super) fn new(path: &Path, place: Option<Place>, problem: Problem) -> Self {
        Self { path: path.to_path_buf(), place, problem }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match &self.problem {
            Problem::Unreadable(_) => "check the path and that you may read the file".into(),
            Problem::Ending => "use a file that ends in .csv, .tsv, .jsonl or .ndjson".into(),
            Problem::NotUtf8 => {
                "convert the file, for example with `iconv -f LATIN1 -t UTF-8 OLD > NEW`".into()
            }
            Problem::NoRows => "use a file with at least one row of data".into(),
            Problem::Ragged { .. } => {
                "put fields that contain the separator, a quote or a line break in double quotes".into()
            }
            Problem::StrayQuote => {
                "put the whole field in double quotes and write each quote in it twice".into()
            }
            Problem::ColumnName(_) => "give every column a name of its own, in the file's first row or, \
                 for a file without such a row, with `columns`"
                .into(),
            Problem::ColumnsGiven => "remove `columns`, or use a CSV file without a header row".into(),
            Problem::EmptyLabel => "give the row a label, or remove it".into(),
            Problem::NotAnObject(_) => "write one JSON object with text or numbers on each line".into(),
            Problem::NotText { .. } => "give every object this column, with text or a number in it".into(),
            Problem::MissingColumn { columns, .. } => format!("the columns are `{}`", columns.join("`, `")),
            Problem::UnknownLabel(_) | Problem::Changed => {
                "start the sweep again, so that the file is checked anew".into()
            }
            Problem::Reader(_) => "look for stray quotes near the place that is named".into(),
        }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.path.display())?;
        match self.place {
            Some(Place { row: Some(row), line }) => write!(f, ", row {row} (line {line}): ")?,
            Some(Place { row: None, line }) => write!(f, ", line {line}: ")?,
            None => write!(f, ": ")?,
        }
        match &self.problem {
            Problem::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Problem::Ending => write!(f, "unknown kind of data file"),
            Problem::NotUtf8 => write!(f, "not UTF-8 text"),
            Problem::NoRows => write!(f, "no rows"),
            Problem::Ragged { found, expected } => {
                write!(
                    f,
                    "{found} field{} in a file of {expected} columns",
                    if *found == 1 { "" } else { "s" }
                )
            }
            Problem::StrayQuote => write!(f, "a double quote that neither opens nor closes a field"),
            Problem::ColumnName(name) if name.is_empty() => write!(f, "a column without a name"),
            Problem::ColumnName(name) => write!(f, "two columns are called `{name}`"),
            Problem::ColumnsGiven => write!(f, "`columns` is given, but the file names its columns itself"),
            Problem::EmptyLabel => write!(f, "the label is empty"),
            Problem::NotAnObject(detail) => write!(f, "not a JSON object: {detail}"),
            Problem::NotText { column, found } => write!(f, "column `{column}` holds {found}"),
            Problem::MissingColumn { column, .. } => write!(f, "no column `{column}`"),
            Problem::UnknownLabel(label) => write!(f, "label `{label}` is none of the task's labels"),
            Problem::Changed => write!(f, "the file has changed since it was checked"),
            Problem::Reader(detail) => write!(f, "cannot be read as CSV: {detail}"),
        }
    }
}

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Problem::Unreadable(error) = &self.problem { Some(error) } else { None }
    }
}
