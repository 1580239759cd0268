//! Owns the errors of data files in words: what is wrong, where, and what to do next. Reads no file.

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
    /// The file; or the pattern, where no single file is at fault.
    pub path: PathBuf,
    /// The position in it, if known.
    pub place: Option<Place>,
    /// What is wrong.
    pub problem: Box<Problem>,
    /// The task's keys that would read the file, if any would.
    pub way_out: Option<WayOut>,
}

/// What is wrong with a data file.
#[derive(Debug)]
pub enum Problem {
    /// It cannot be read at all.
    Unreadable(std::io::Error),
    /// It is a pattern that matches no file.
    NoMatch,
    /// It is a folder with neither a saved data set nor classes; the data files in it.
    Folder(Vec<String>),
    /// It is a folder of several data sets: their names.
    Parts(Vec<String>),
    /// Its extension, which is not a known format's.
    Ending(String),
    /// It has another format than it is read as.
    OtherKind(Kind),
    /// It is text in another encoding.
    Encoding {
        /// What was expected.
        expected: &'static str,
        /// The guessed encoding.
        guess: Option<Guess>,
    },
    /// Its columns seem to be separated by another character than a comma.
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
    /// A line of a word and its tags has another number of fields than it should have.
    WordLine {
        /// Number of its fields.
        found: usize,
        /// What is expected, in words.
        expected: String,
    },
    /// A list in a column has something else than text and numbers in it.
    OddItem {
        /// The column.
        column: String,
    },
    /// A text has more or fewer tags than words.
    Untagged {
        /// Number of its words.
        words: usize,
        /// Number of its tags.
        tags: usize,
    },
    /// A quote is opened and never closed, or occurs within an unquoted field.
    StrayQuote,
    /// Two columns have the name of one that the task reads.
    ColumnTwice(String),
    /// Names were given for the columns of a file that names them itself.
    ColumnsGiven,
    /// Names were given for the columns of a file whose first row names them.
    HeaderGiven,
    /// Rows without a label.
    MissingLabels {
        /// Number of such rows; the place is the first one's.
        rows: usize,
    },
    /// Rows without a number in the target column.
    NotNumbers {
        /// The column.
        column: String,
        /// The value in the first of them; empty where it has none.
        found: String,
        /// Number of such rows; the place is the first one's.
        rows: usize,
    },
    /// Target numbers that are too large.
    TooLarge {
        /// The column.
        column: String,
        /// The first of them.
        found: f64,
        /// Number of such rows; the place is the first one's.
        rows: usize,
    },
    /// Questions without a gold answer.
    NoAnswer {
        /// Number of such rows; the place is the first one's.
        rows: usize,
    },
    /// No columns with conversations: the existing ones.
    NoConversations(Vec<String>),
    /// A value that is not a list of turns, or a turn that is not text.
    NotTurns {
        /// The column.
        column: &'static str,
        /// What there is.
        found: &'static str,
    },
    /// A turn of a role that is none of a conversation's; empty where it has none.
    UnknownRole(String),
    /// Gold answers that are cut off: their beginning.
    CutAnswers(String),
    /// A document that is not JSON.
    NotJson(String),
    /// A JSON document without a list of rows: its keys.
    NoRowsInside(Vec<String>),
    /// JSON without SQuAD's nesting.
    NotSquad(String),
    /// Bytes that do not match the file's extension.
    Broken {
        /// The format of that extension.
        kind: &'static str,
        /// The reader's message.
        detail: String,
    },
    /// It unpacks to far more than a text file would.
    Bomb {
        /// The limit at which unpacking stopped, in MiB.
        most_mib: u64,
    },
    /// A line that is not a JSON object.
    NotAnObject(String),
    /// An object without one of the columns, or with a value in it that is neither text nor a number.
    NotText {
        /// The column.
        column: String,
        /// The type of that value.
        found: &'static str,
    },
    /// A column that the task needs does not exist.
    MissingColumn {
        /// The column.
        column: String,
        /// The existing columns.
        columns: Vec<String>,
    },
    /// A label that is not one of the task's.
    UnknownLabel(String),
    /// The file, or one of several, has changed since the check.
    Changed,
    /// The reader's result differs from our own check of the file.
    Reader(String),
}

impl SourceError {
    pub(super) fn new(path: &Path, place: Option<Place>, problem: Problem) -> Self {
        Self { path: path.to_path_buf(), place, problem: Box::new(problem), way_out: None }
    }

    /// The task's keys, with the values that would read the file, if any would.
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
            Problem::WordLine { found, expected } => {
                write!(f, "{} in a line, and {expected}", counted(*found, "field"))
            }
            Problem::OddItem { column } => {
                write!(f, "column `{column}` holds a list with something else than text and numbers in it")
            }
            Problem::Untagged { words, tags } => {
                write!(f, "{} and {}", counted(*words, "word"), counted(*tags, "tag"))
            }
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
            Problem::NoConversations(_) => write!(f, "no columns with conversations"),
            Problem::NotTurns { column, found } => {
                write!(f, "column `{column}` has {found} where a turn or its text should be")
            }
            Problem::UnknownRole(role) if role.is_empty() => write!(f, "a turn has no role"),
            Problem::UnknownRole(role) => write!(f, "a turn has the role `{role}`"),
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

/// A position, in the form that follows a file's name, with a colon after it.
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
        Some(Guess::Damaged(line)) => write!(f, ": most of it is, but not all bytes of `{line}`"),
        None => Ok(()),
    }
}

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Problem::Unreadable(error) = &*self.problem { Some(error) } else { None }
    }
}
