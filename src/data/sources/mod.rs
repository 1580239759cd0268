//! Owns the reading of data files: what a file holds before a sweep is checked ([`survey`]), and a
//! task's texts and labels when they are tokenised ([`read`]).
//!
//! CSV and TSV (RFC 4180: quoted fields, doubled quotes, line breaks in quotes) and JSON Lines.
//! Every value is text. A file is read strictly: what another reader would guess at or fill in (a
//! row with a field too few, a stray quote, an empty label) is an error with its line, because a
//! guess would become training data. Draws, splits and tokenises nothing.

mod delimited;
mod error;
mod json_lines;
mod records;

use std::collections::HashMap;
use std::path::Path;

use polars::prelude::{DataFrame, StringChunked};

pub use error::{Place, Problem, SourceError};

use crate::content::ContentHash;
use crate::task::{Classification, DataFile, Objective, Task};

/// What a data file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Hash of its bytes.
    pub content: ContentHash,
    /// Rows, the header not counted.
    pub rows: usize,
    /// Bytes of the file: at least those of its texts.
    pub text_bytes: u64,
    /// Names of its columns.
    pub columns: Vec<String>,
    /// The class of each row, as an index into `label_names`; empty where the label column is
    /// absent or was not asked for.
    pub row_labels: Vec<u32>,
    /// The labels that occur, each once: in numerical order if all are integers, else as text.
    pub label_names: Vec<String>,
}

/// A task's rows in file order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// The text columns, joined by one space.
    pub texts: Vec<String>,
    /// The class of each row, as an index into the task's labels.
    pub labels: Vec<u32>,
}

/// How a file is laid out, by its ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Delimited { separator: u8 },
    JsonLines,
}

/// A file's shape, and those of its columns that were asked for and exist.
struct Table {
    rows: usize,
    names: Vec<String>,
    columns: DataFrame,
}

/// What to read of a file.
struct Request<'a> {
    /// Names of all columns, where the first row does not name them.
    columns: Option<&'a [String]>,
    /// Columns to read; those that do not exist are left out.
    wanted: Vec<&'a str>,
}

/// Looks at a data file. A column that does not exist is no error here: the caller knows which it
/// needs and compares with [`Survey::columns`].
///
/// # Errors
/// Where the file cannot be read as what its ending says, has no rows, or has an empty label.
pub fn survey(
    path: &Path,
    columns: Option<&[String]>,
    text: &[String],
    label: Option<&str>,
) -> Result<Survey, SourceError> {
    let (format, bytes) = open(path)?;
    let mut wanted: Vec<&str> = label.into_iter().collect();
    match format {
        // The shape is verified, and every field of such a file is text: nothing else can be wrong.
        Format::Delimited { .. } => {}
        Format::JsonLines => wanted.extend(text.iter().map(String::as_str)),
    }
    let load = || {
        let table = parse(format, &bytes, &Request { columns, wanted })?;
        let (row_labels, label_names) = match label.and_then(|name| table.column(name)) {
            Some(values) => index_labels(values).map_err(|row| format.empty_label(&bytes, columns, row))?,
            None => (Vec::new(), Vec::new()),
        };
        let content = ContentHash::of_bytes(&bytes);
        Ok(Survey {
            content,
            rows: table.rows,
            text_bytes: bytes.len() as u64,
            columns: table.names,
            row_labels,
            label_names,
        })
    };
    load().map_err(|(place, problem)| SourceError::new(path, place, problem))
}

/// Reads a task's rows from one of its files.
///
/// # Errors
/// Where the file is no longer the one that was surveyed.
pub fn read(file: &DataFile, task: &Task) -> Result<Rows, SourceError> {
    let classes = match &task.objective {
        Objective::Classification(classes) => classes,
        Objective::LanguageModelling(_) | Objective::QuestionAnswering(_) => {
            let error = std::io::ErrorKind::Unsupported.into();
            return Err(SourceError::new(&file.path, None, Problem::Unreadable(error)));
        }
    };
    let (format, bytes) = open(&file.path)?;
    let load = || {
        if ContentHash::of_bytes(&bytes) != file.content {
            return Err((None, Problem::Changed));
        }
        let wanted = classes.text.iter().chain([&classes.label]).map(String::as_str).collect();
        let table = parse(format, &bytes, &Request { columns: task.columns.as_deref(), wanted })?;
        let texts = classes.text.iter().map(|name| table.require(name)).collect::<Result<Vec<_>, _>>()?;
        let labels = class_of_rows(table.require(&classes.label)?, classes)?;
        Ok(Rows { texts: join(&texts, table.rows), labels })
    };
    load().map_err(|(place, problem)| SourceError::new(&file.path, place, problem))
}

/// A problem and where it is, before it is known in which file.
type Located = (Option<Place>, Problem);

fn open(path: &Path) -> Result<(Format, Vec<u8>), SourceError> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    let format = match ending.as_deref() {
        Some("csv") => Format::Delimited { separator: b',' },
        Some("tsv") => Format::Delimited { separator: b'\t' },
        Some("jsonl" | "ndjson") => Format::JsonLines,
        Some(_) | None => return Err(SourceError::new(path, None, Problem::Ending)),
    };
    let bytes = std::fs::read(path).map_err(|e| SourceError::new(path, None, Problem::Unreadable(e)))?;
    Ok((format, bytes))
}

fn parse(format: Format, bytes: &[u8], request: &Request<'_>) -> Result<Table, Located> {
    let text = body(bytes)?;
    match format {
        Format::Delimited { separator } => delimited::parse(text, separator, request),
        Format::JsonLines => json_lines::parse(text, request),
    }
}

/// The file's text without its byte order mark.
fn body(bytes: &[u8]) -> Result<&str, Located> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = 1 + bytes[..e.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        (Some(Place { row: None, line }), Problem::NotUtf8)
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

impl<'a> Request<'a> {
    /// The wanted columns that exist, each once.
    fn existing(&self, names: &[String]) -> Vec<&'a str> {
        let mut wanted: Vec<&str> =
            self.wanted.iter().copied().filter(|wanted| names.iter().any(|name| name == wanted)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }
}

impl Format {
    /// An empty label, with the place of its row, counted from 0.
    fn empty_label(self, bytes: &[u8], columns: Option<&[String]>, row: usize) -> Located {
        let text = body(bytes).unwrap_or_default();
        let line = match self {
            Self::Delimited { separator } => delimited::line_of_row(text, separator, columns, row),
            Self::JsonLines => json_lines::line_of_row(text, row),
        };
        (line.map(|line| Place { row: Some(row + 1), line }), Problem::EmptyLabel)
    }
}

impl Table {
    fn column(&self, name: &str) -> Option<&StringChunked> {
        self.columns.column(name).ok().and_then(|column| column.str().ok())
    }

    fn require(&self, name: &str) -> Result<&StringChunked, Located> {
        self.column(name).ok_or_else(|| {
            (None, Problem::MissingColumn { column: name.to_owned(), columns: self.names.clone() })
        })
    }
}

/// The values of a column; a field that is not there is an empty text.
fn values(column: &StringChunked) -> impl Iterator<Item = &str> {
    column.iter().map(Option::unwrap_or_default)
}

/// Each row's class and the classes' names in their order, or the first row without a label.
fn index_labels(column: &StringChunked) -> Result<(Vec<u32>, Vec<String>), usize> {
    let mut seen: HashMap<&str, u32> = HashMap::new();
    let mut rows = Vec::with_capacity(column.len());
    for (row, name) in values(column).enumerate() {
        if name.trim().is_empty() {
            return Err(row);
        }
        let next = u32::try_from(seen.len()).expect("fewer than 2^32 rows fit into memory");
        rows.push(*seen.entry(name).or_insert(next));
    }
    let mut names: Vec<&str> = seen.keys().copied().collect();
    match names.iter().map(|name| name.parse::<i64>().ok()).collect::<Option<Vec<_>>>() {
        Some(_) => names.sort_by_key(|name| (name.parse::<i64>().ok(), *name)),
        None => names.sort_unstable(),
    }
    let mut position = vec![0; names.len()];
    for (index, name) in (0..).zip(&names) {
        position[seen[name] as usize] = index;
    }
    rows.iter_mut().for_each(|label| *label = position[*label as usize]);
    Ok((rows, names.into_iter().map(str::to_owned).collect()))
}

fn class_of_rows(column: &StringChunked, classes: &Classification) -> Result<Vec<u32>, Located> {
    let index: HashMap<&str, u32> = classes.labels.iter().map(String::as_str).zip(0..).collect();
    values(column)
        .map(|name| index.get(name).copied().ok_or_else(|| (None, Problem::UnknownLabel(name.to_owned()))))
        .collect()
}

fn join(columns: &[&StringChunked], rows: usize) -> Vec<String> {
    let mut texts: Vec<String> = vec![String::new(); rows];
    for (position, column) in columns.iter().enumerate() {
        for (text, value) in texts.iter_mut().zip(values(column)) {
            if position > 0 {
                text.push(' ');
            }
            text.push_str(value);
        }
    }
    texts
}
