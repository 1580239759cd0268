//! Owns what can be wrong with a data file, in words: what is wrong, where, and what to do next.

use std::fmt;
use std::path::{Path, PathBuf};

use super::sniff::{Kind, WayOut};
use super::table::Place;
use super::text::Guess;
use crate::tasks::Reading;
use crate::values::quantity::counted;

/// A data file that cannot be used as it is.
#[derive(Debug)]
pub struct SourceError {
    /// The file; the pattern where none of its files is at fault alone.
    pub path: PathBuf,
    /// Where in it, where that is known.
    pub place: Option<Place>,
    /// What is wrong.
    pub problem: Box<Problem>,
    /// The keys of a task that would read the file, where some would.
    pub way_out: Option<WayOut>,
}

/// What is wrong with a data file.
#[derive(Debug)]
pub enum Problem {
    /// It cannot be read at all.
    Unreadable(std::io::Error),
    /// It is a pattern, and no file has such a name.
    NoMatch,
    /// It is a folder that holds neither a saved data set nor classes; the data files in it.
    Folder(Vec<String>),
    /// It is a folder of several data sets: their names.
    Parts(Vec<String>),
    /// Its ending, which names no known format.
    Ending(String),
    /// It is something else than it is read as.
    OtherKind(Kind),
    /// It is text in another encoding.
    Encoding {
        /// What was expected.
        expected: &'static str,
        /// What it seems to be.
        guess: Option<Guess>,
    },
    /// Something else than a comma seems to separate its columns.
    OtherSeparator,
    /// It is Arrow's file format.
    Feather,
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
    /// A column that the task reads has the name of another one.
    ColumnTwice(String),
    /// Names were given for the columns of a file that names them itself.
    ColumnsGiven,
    /// Names were given for the columns of a file whose first row names them.
    HeaderGiven,
    /// Rows without a label.
    MissingLabels {
        /// Number of them in all; the place is the first.
        rows: usize,
    },
    /// Rows without a number in the column of the numbers to be learned.
    NotNumbers {
        /// The column.
        column: String,
        /// What the first of them has instead; empty where it has nothing.
        found: String,
        /// Number of them in all; the place is the first.
        rows: usize,
    },
    /// Numbers to be learned that are too large.
    TooLarge {
        /// The column.
        column: String,
        /// The first of them.
        found: f64,
        /// Number of them in all; the place is the first.
        rows: usize,
    },
    /// Questions without a gold answer.
    NoAnswer {
        /// Number of them in all; the place is the first.
        rows: usize,
    },
    /// Gold answers that break off: how they begin.
    CutAnswers(String),
    /// A document that is not JSON.
    NotJson(String),
    /// A JSON document without a list of rows: its keys.
    NoRowsInside(Vec<String>),
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
        Self { path: path.to_path_buf(), place, problem: Box::new(problem), way_out: None }
    }

    /// What a task says, with the keys that would read the file for those that it has, where some would.
    pub(super) fn way_out_of(&self, said: &Reading) -> Option<Reading> {
        if let Problem::Encoding { guess: Some(guess), .. } = &*self.problem {
            let encoding = guess.encoding()?.to_owned();
            return Some(Reading { encoding: Some(encoding), ..said.clone() });
        }
        self.way_out.as_ref().map(|way_out| way_out.beside(said))
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`{}", self.path.display(), placed(self.place))?;
        match &*self.problem {
            Problem::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Problem::NoMatch => write!(f, "no file has such a name"),
            Problem::Ending(_) => write!(f, "unknown kind of data file"),
            Problem::OtherKind(kind) => write!(f, "this is {}", kind.name),
            Problem::Encoding { expected, guess } => not_in(f, expected, guess.as_ref()),
            Problem::OtherSeparator => {
                write!(f, "another character than the comma separates its columns, by the look of every row")
            }
            Problem::Feather => write!(f, "this is Arrow's file format (Feather), not its stream format"),
            Problem::Folder(_) => write!(f, "a folder without a data set that can be read as a whole"),
            Problem::Parts(parts) => write!(f, "a folder of {}", counted(parts.len(), "data set")),
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
            Problem::ColumnTwice(name) => write!(f, "two columns are called `{name}`"),
            Problem::HeaderGiven => write!(f, "`columns` is given, but the first row names the columns"),
            Problem::ColumnsGiven => write!(f, "`columns` is given, but the file names its columns itself"),
            Problem::MissingLabels { rows: 1 } => write!(f, "the label is missing"),
            Problem::MissingLabels { rows } => write!(f, "the label is missing, as in {rows} rows in all"),
            Problem::NotNumbers { column, found, rows } => {
                match found.as_str() {
                    "" => write!(f, "column `{column}` has no number")?,
                    found => write!(f, "column `{column}` has `{found}`, which is not a number")?,
                }
                if *rows > 1 { write!(f, "; {rows} such rows in all") } else { Ok(()) }
            }
            Problem::TooLarge { column, found, rows } => {
                write!(
                    f,
                    "column `{column}` has the number {found:e}, whose squared error 32 bits do not hold"
                )?;
                if *rows > 1 { write!(f, "; {rows} such rows in all") } else { Ok(()) }
            }
            Problem::NoAnswer { rows } => {
                write!(f, "the question has no answer; {} in all", counted(*rows, "such question"))
            }
            Problem::CutAnswers(start) => write!(f, "the answers are not whole: `{start}`"),
            Problem::NotJson(detail) => write!(f, "not JSON: {detail}"),
            Problem::NoRowsInside(keys) if keys.is_empty() => write!(f, "JSON without rows in it"),
            Problem::NoRowsInside(keys) => {
                write!(f, "JSON without one list of rows in it; its keys are `{}`", keys.join("`, `"))
            }
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

/// A place behind a file's name, and the colon behind it.
fn placed(place: Option<Place>) -> String {
    match place {
        Some(Place { row: Some(row), line: Some(line) }) => format!(", row {row} (line {line}): "),
        Some(Place { row: Some(row), line: None }) => format!(", row {row}: "),
        Some(Place { row: None, line: Some(line) }) => format!(", line {line}: "),
        Some(Place { row: None, line: None }) | None => ": ".to_owned(),
    }
}

fn not_in(f: &mut fmt::Formatter<'_>, expected: &str, guess: Option<&Guess>) -> fmt::Result {
    write!(f, "not {expected} text")?;
    match guess {
        Some(Guess::Utf16(name)) => write!(f, ", but UTF-16 without a byte order mark ({name})"),
        Some(Guess::Mangled) => write!(f, ", but UTF-16 that was converted as if it were Latin-1"),
        Some(Guess::Utf32) => write!(f, ", but UTF-32"),
        Some(Guess::Western(line)) => write!(f, "; as Windows-1252 it reads `{line}`"),
        None => Ok(()),
    }
}

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Problem::Unreadable(error) = &*self.problem { Some(error) } else { None }
    }
}
