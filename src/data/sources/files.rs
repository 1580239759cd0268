//! Owns which files a path names, and reading them as one table: the rows of the files one after the other.
//! Judges no row.
//!
//! A path is one file, a folder, or a pattern: a `*` in its last part matches any part of a file's name. Files
//! are taken in the order of their names; those that begin with a dot are hidden, as in a shell. The pattern's
//! extension is that of all its files, so they have one format.

use std::fs;
use std::path::{Path, PathBuf};

use super::delimited::{self, Dialect};
use super::folder::{self, Folder};
use super::format::{self, Packing};
use super::sniff::{self, WayOut};
use super::table::{ANSWERS, LABEL, Located, Place, Request, TEXT, Table};
use super::{Fields, Problem, SourceError, SurveyRequest};
use super::{arrow, conll, json, parquet, squad, text};
use crate::tasks::{FileFormat, Reading};
use crate::values::ContentHash;

/// The bytes of all files of a path.
pub(super) struct Files {
    path: PathBuf,
    layout: Layout,
    /// In the order of their names.
    all: Vec<(PathBuf, Vec<u8>)>,
}

/// How the rows are stored in files.
enum Layout {
    /// Each file is a table of this format.
    Tables(FileFormat, Option<Packing>),
    /// Each file is a text of this class.
    Classes(Vec<String>),
}

/// The rows of all files, and the file of each row.
pub(super) struct Gathered {
    path: PathBuf,
    pub(super) table: Table,
    /// Each file with the number of rows before its own.
    starts: Vec<(PathBuf, usize)>,
}

/// A problem, its position, and how to read the file nevertheless.
type Refused = (Located, Option<WayOut>);

/// Reads the bytes of the files that a path names.
pub(super) fn open(path: &Path, reading: &Reading) -> Result<Files, SourceError> {
    let wrong = |problem| SourceError::new(path, None, problem);
    let (names, layout) = if path.is_dir() {
        match folder::look(path).map_err(wrong)? {
            Folder::Arrow(files) => (files, Layout::Tables(FileFormat::Arrow, None)),
            Folder::Classes(texts) => {
                let (files, classes) = texts.into_iter().unzip();
                (files, Layout::Classes(classes))
            }
        }
    } else {
        let (format, packing) = format::of(path, reading).map_err(wrong)?;
        (named(path)?, Layout::Tables(format, packing))
    };
    let read = |path: PathBuf| match fs::read(&path) {
        Ok(bytes) => Ok((path, bytes)),
        Err(error) => Err(SourceError::new(&path, None, Problem::Unreadable(error))),
    };
    let all = names.into_iter().map(read).collect::<Result<_, _>>()?;
    Ok(Files { path: path.to_path_buf(), layout, all })
}

/// The files that a path names, at least one.
fn named(path: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let pattern = path.file_name().unwrap_or_default().to_string_lossy();
    if !pattern.contains('*') || path.exists() {
        return Ok(vec![path.to_path_buf()]);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unreadable = |error| SourceError::new(folder, None, Problem::Unreadable(error));
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        // A broken link is kept: leaving it out would leave out its rows.
        if matches(&entry.file_name().to_string_lossy(), &pattern) && !entry.path().is_dir() {
            files.push(path.with_file_name(entry.file_name()));
        }
    }
    files.sort_unstable();
    if files.is_empty() { Err(SourceError::new(path, None, Problem::NoMatch)) } else { Ok(files) }
}

/// Whether a name matches the pattern, in which each `*` matches any text.
fn matches(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(last) = parts.next_back() else { return name == pattern };
    let hidden = name.starts_with('.') && !first.starts_with('.');
    let Some(mut rest) = name.strip_prefix(first).filter(|_| !hidden) else { return false };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// The path that names exactly these files, given in the order of their names: a single file by its name,
/// several by a pattern. `None` where there is none.
pub(super) fn pattern(files: &[PathBuf]) -> Option<PathBuf> {
    let [first, others @ ..] = files else { return None };
    let name = |path: &'_ PathBuf| Some(path.file_name()?.to_str()?.to_owned());
    let mut prefix = name(first)?;
    for other in others {
        prefix.truncate(shared(prefix.chars().zip(name(other)?.chars())));
    }
    let mut suffix = name(first)?.split_off(prefix.len());
    for other in others {
        let rest = name(other)?.split_off(prefix.len());
        let length = shared(suffix.chars().rev().zip(rest.chars().rev()));
        suffix = suffix.split_off(suffix.len() - length);
    }
    let path =
        if others.is_empty() { first.clone() } else { first.with_file_name(format!("{prefix}*{suffix}")) };
    named(&path).is_ok_and(|found| found == files).then_some(path)
}

/// Number of bytes that two texts share at their beginnings.
fn shared(pairs: impl Iterator<Item = (char, char)>) -> usize {
    pairs.take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
}

impl Files {
    /// Hash of a file's bytes; for several files, the hash of their hashes in order. Where folders name the
    /// classes, the class names are included.
    pub(super) fn content(&self) -> ContentHash {
        let hashes: Vec<_> = self.all.iter().map(|(_, bytes)| ContentHash::of_bytes(bytes)).collect();
        match (&self.layout, hashes.as_slice()) {
            (Layout::Classes(classes), _) => ContentHash::of_json(&(classes, &hashes)),
            (Layout::Tables(..), [only]) => *only,
            (Layout::Tables(..), _) => ContentHash::of_json(&hashes),
        }
    }

    /// Whether these are plain text files.
    pub(super) fn are_plain(&self) -> bool {
        matches!(self.layout, Layout::Tables(FileFormat::Text, _))
    }

    /// Reads the wanted columns of every file.
    pub(super) fn gather(self, request: &SurveyRequest<'_>) -> Result<Gathered, SourceError> {
        let Self { path, layout, all } = self;
        let answers = matches!(request.fields, Fields::Questions { .. });
        let wanted = super::columns(request.fields);
        let lists = super::lists(request.fields);
        let conversations = matches!(request.fields, Fields::Conversations);
        let (columns, reading) = (request.columns, request.reading);
        let request = Request { columns, wanted, lists, answers, conversations, reading };
        let (format, packing) = match layout {
            Layout::Tables(format, packing) => (format, packing),
            Layout::Classes(classes) => return texts_of_classes(path, all, classes, &request),
        };
        let mut tables = Vec::with_capacity(all.len());
        for (file, bytes) in all {
            let table = table(&bytes, (format, packing), &request);
            let table = table.map_err(|((place, problem), way_out)| SourceError {
                way_out,
                ..SourceError::new(&file, place, problem)
            })?;
            tables.push((file, table));
        }
        one_shape(&tables, &request)?;
        let (mut table, mut starts) = (Table::default(), Vec::with_capacity(tables.len()));
        for (file, other) in tables {
            starts.push((file, table.rows));
            table.append(other);
        }
        Ok(Gathered { path, table, starts })
    }
}

/// One file's columns.
fn table(
    bytes: &[u8],
    (format, packing): (FileFormat, Option<Packing>),
    request: &Request<'_>,
) -> Result<Table, Refused> {
    let bytes = format::unpack(bytes, packing).map_err(|problem| ((None, problem), None))?;
    if let Some(kind) = sniff::other_kind(&bytes, format) {
        return Err(((None, Problem::OtherKind(kind)), None));
    }
    if format == FileFormat::Parquet || format == FileFormat::Arrow {
        let read = if format == FileFormat::Parquet { parquet::parse } else { arrow::parse };
        let given = || ((None, Problem::ColumnsGiven), None);
        return if request.columns.is_some() {
            Err(given())
        } else {
            read(&bytes, request).map_err(|e| (e, None))
        };
    }
    let encoding = request.reading.encoding.as_deref();
    let text = text::decode(&bytes, encoding).map_err(|located| (located, None))?;
    let way_out = || sniff::way_out(&text, format, request);
    let delimited = matches!(format, FileFormat::Csv | FileFormat::Tsv);
    if request.columns.is_some() && !delimited && format != FileFormat::Conll {
        return Err(((None, Problem::ColumnsGiven), way_out()));
    }
    let found = match format {
        FileFormat::Csv | FileFormat::Tsv => {
            let dialect = Dialect::of(format, request.reading);
            if let Some(other) = delimited::doubt(&text, dialect, request) {
                return Err(((None, Problem::OtherSeparator), Some(WayOut::between(dialect, other))));
            }
            delimited::parse(&text, dialect, request)
        }
        FileFormat::Squad => squad::parse(&text, request),
        FileFormat::Text => text::lines(&text),
        FileFormat::Conll => conll::parse(&text, request),
        FileFormat::Jsonl | FileFormat::Json | FileFormat::Parquet | FileFormat::Arrow => {
            json::parse(&text, request)
        }
    };
    // A single column is doubtful where none was asked for.
    let is_doubtful = |table: &Table| match request.wanted.as_slice() {
        [] => delimited && table.names.len() == 1,
        wanted => wanted.iter().any(|name| !table.has(name)),
    };
    match found {
        Ok(mut table) => {
            table.way_out = if is_doubtful(&table) { way_out() } else { None };
            Ok(table)
        }
        Err(located) => {
            let way_out = if is_of_shape(&located.1) { way_out() } else { None };
            Err((located, way_out))
        }
    }
}

/// Whether a problem may result from reading a file in the wrong format.
fn is_of_shape(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::Ragged { .. }
            | Problem::StrayQuote
            | Problem::Reader(_)
            | Problem::NotAnObject(_)
            | Problem::NotJson(_)
            | Problem::NotSquad(_)
            | Problem::NoRowsInside(_)
    )
}

/// One row for each text file, with the class that its folder is named after.
fn texts_of_classes(
    path: PathBuf,
    all: Vec<(PathBuf, Vec<u8>)>,
    classes: Vec<String>,
    request: &Request<'_>,
) -> Result<Gathered, SourceError> {
    if request.columns.is_some() {
        return Err(SourceError::new(&path, None, Problem::ColumnsGiven));
    }
    let (mut texts, mut starts) = (Vec::with_capacity(all.len()), Vec::with_capacity(all.len()));
    for (row, (file, bytes)) in all.into_iter().enumerate() {
        let text = text::decode(&bytes, request.reading.encoding.as_deref());
        let text = text.map_err(|(place, problem)| SourceError::new(&file, place, problem))?;
        texts.push(text.trim_end_matches(['\r', '\n']).to_owned());
        starts.push((file, row));
    }
    let names = [TEXT, LABEL].map(str::to_owned);
    let columns = [(TEXT, texts), (LABEL, classes)].map(|(name, values)| (name.to_owned(), values));
    let table = Table { rows: starts.len(), names: names.into(), texts: columns.into(), ..Table::default() };
    Ok(Gathered { path, table, starts })
}

/// Checks that a wanted column of one file exists in all of them. A column that none has is the caller's
/// concern.
fn one_shape(tables: &[(PathBuf, Table)], request: &Request<'_>) -> Result<(), SourceError> {
    let wanted = request.wanted.iter().copied().chain(request.answers.then_some(ANSWERS));
    for name in wanted.filter(|name| tables.iter().any(|(_, table)| table.has(name))) {
        if let Some((file, table)) = tables.iter().find(|(_, table)| !table.has(name)) {
            let (place, problem) = table.missing(name);
            return Err(SourceError {
                way_out: table.way_out.clone(),
                ..SourceError::new(file, place, problem)
            });
        }
    }
    Ok(())
}

impl Gathered {
    /// The error of a problem in the table: about the file with the row, or about the path where there is no
    /// row.
    pub(super) fn error(&self, (place, problem): Located) -> SourceError {
        let Some(Place { row: Some(row), line }) = place else {
            let way_out = self.table.way_out.clone();
            return SourceError { way_out, ..SourceError::new(&self.path, place, problem) };
        };
        let file = self.starts.partition_point(|(_, before)| *before < row).saturating_sub(1);
        let (path, before) = &self.starts[file];
        SourceError::new(path, Some(Place { row: Some(row - before), line }), problem)
    }
}
