//! Owns what can be wrong with a data file, in words: what is wrong, where, and what to do next.

use std::fmt;
use std::path::{Path, PathBuf};

use super::table::Place;

/// A data file that cannot be used as it is.
#[derive(Debug)]
pub struct SourceError {
    /// The file; the pattern where none of its files is at fault alone.
    pub path: PathBuf,
    /// Where in it, where that is known.
    pub place: Option<Place>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a data file.
#[derive(Debug)]
pub enum Problem {
    /// It cannot be read at all.
    Unreadable(std::io::Error),
    /// It is a pattern, and no file has such a name.
    NoMatch,
    /// Its ending names no known format.
    Ending,
    /// It is not UTF-8 text.
    NotUtf8,
    /// It has no rows.
    NoRows,
    /// Cleaning dropped every row.
    NothingLeft,
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
    /// A question without a gold answer.
    NoAnswer,
    /// JSON that is not nested as SQuAD's.
    NotSquad(String),
    /// Bytes that are not what the file's ending says.
    Broken {
        /// What the ending says.
        kind: &'static str,
        /// What the reader says.
        detail: String,
    },
    /// It unpacks to far more than texts do.
    Bomb {
        /// Where unpacking ended, in MiB.
        most_mib: u64,
    },
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
    /// The file, or one of several, is not the one that was checked.
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
            Problem::Unreadable(_) if self.path.to_string_lossy().contains('*') => {
                "a `*` stands in a file's name, not in a folder's: name the folder in full".into()
            }
            Problem::Unreadable(_) => "check the path and that you may read the file".into(),
            Problem::NoMatch => {
                "check the folder, the ending and the rest of the name: `*` stands for any part of it".into()
            }
            Problem::Ending => {
                "use a file that ends in .csv, .tsv, .jsonl, .ndjson, .parquet, .txt or .json \
                 (SQuAD's), all but .parquet also with .gz or .zst behind"
                    .into()
            }
            Problem::NotUtf8 => {
                "convert the file, for example with `iconv -f LATIN1 -t UTF-8 OLD > NEW`".into()
            }
            Problem::NoRows => "use a file with at least one row of data".into(),
            Problem::NothingLeft => {
                "lower `min_words` and `min_label_rows`, and see that the text columns are not empty".into()
            }
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
            Problem::NoAnswer => {
                "remove questions without an answer, as SQuAD 2.0 has them, or use SQuAD 1.1".into()
            }
            Problem::NotSquad(_) => "use SQuAD's official JSON, or JSON Lines with the ending .jsonl".into(),
            Problem::Bomb { .. } => {
                "unpack it yourself, look at what is in it, and name the unpacked file".into()
            }
            Problem::Broken { .. } => "copy or download the file again".into(),
            Problem::NotAnObject(_) => "write one JSON object with text or numbers on each line".into(),
            Problem::NotText { .. } => "give every row text or a number in this column".into(),
            Problem::MissingColumn { columns, .. } => format!("the columns are `{}`", columns.join("`, `")),
            Problem::UnknownLabel(_) | Problem::Changed => {
                "start the sweep again, so that its data is checked anew".into()
            }
            Problem::Reader(_) => "look for stray quotes near the place that is named".into(),
        }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.path.display())?;
        match self.place {
            Some(Place { row: Some(row), line: Some(line) }) => write!(f, ", row {row} (line {line}): ")?,
            Some(Place { row: Some(row), line: None }) => write!(f, ", row {row}: ")?,
            Some(Place { row: None, line: Some(line) }) => write!(f, ", line {line}: ")?,
            Some(Place { row: None, line: None }) | None => write!(f, ": ")?,
        }
        match &self.problem {
            Problem::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Problem::NoMatch => write!(f, "no file has such a name"),
            Problem::Ending => write!(f, "unknown kind of data file"),
            Problem::NotUtf8 => write!(f, "not UTF-8 text"),
            Problem::NoRows => write!(f, "no rows"),
            Problem::NothingLeft => write!(f, "no row is left after cleaning"),
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
            Problem::NoAnswer => write!(f, "the question has no answer"),
            Problem::NotSquad(detail) => write!(f, "not SQuAD's JSON: {detail}"),
            Problem::Broken { kind, detail } => write!(f, "not {kind}, or damaged: {detail}"),
            Problem::Bomb { most_mib } => write!(f, "it unpacks to more than {most_mib} MiB"),
            Problem::NotAnObject(detail) => write!(f, "not a JSON object: {detail}"),
            Problem::NotText { column, found } => write!(f, "column `{column}` holds {found}"),
            Problem::MissingColumn { column, .. } => write!(f, "no column `{column}`"),
            Problem::UnknownLabel(label) => write!(f, "label `{label}` is none of the task's labels"),
            Problem::Changed => write!(f, "the content has changed since it was checked"),
            Problem::Reader(detail) => write!(f, "cannot be read as CSV: {detail}"),
        }
    }
}

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Problem::Unreadable(error) = &self.problem { Some(error) } else { None }
    }
}
