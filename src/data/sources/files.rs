//! Owns which files a path names, and their reading as one table: the rows of the files one after
//! the other. Judges no row.
//!
//! A path is one file, or a pattern: a `*` in its last part stands for any part of a file's name. Its
//! files are taken in the order of their names; those that begin with a dot are hidden, as in a shell.
//! The pattern's ending is that of all its files, so they are of one format.

use std::fs;
use std::path::{Path, PathBuf};

use super::format::{self, Format, Packing};
use super::table::{ANSWERS, Located, Place, Request, Table};
use super::{Fields, Problem, SourceError, SurveyRequest};
use super::{delimited, json_lines, parquet, plain, squad};
use crate::content::ContentHash;

/// The bytes of all files of a path.
pub(super) struct Files {
    path: PathBuf,
    format: Format,
    packing: Option<Packing>,
    /// In the order of their names.
    all: Vec<(PathBuf, Vec<u8>)>,
}

/// The rows of all files, and from which file each is.
pub(super) struct Gathered {
    path: PathBuf,
    pub(super) table: Table,
    /// Each file with the number of rows before its own.
    starts: Vec<(PathBuf, usize)>,
}

/// Reads the bytes of the files that a path names.
pub(super) fn open(path: &Path) -> Result<Files, SourceError> {
    let (format, packing) = format::of(path).ok_or_else(|| SourceError::new(path, None, Problem::Ending))?;
    let read = |path: PathBuf| match fs::read(&path) {
        Ok(bytes) => Ok((path, bytes)),
        Err(error) => Err(SourceError::new(&path, None, Problem::Unreadable(error))),
    };
    let all = named(path)?.into_iter().map(read).collect::<Result<_, _>>()?;
    Ok(Files { path: path.to_path_buf(), format, packing, all })
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
        // A link that leads nowhere stays: leaving it out would leave rows out.
        if matches(&entry.file_name().to_string_lossy(), &pattern) && !entry.path().is_dir() {
            files.push(path.with_file_name(entry.file_name()));
        }
    }
    files.sort_unstable();
    if files.is_empty() { Err(SourceError::new(path, None, Problem::NoMatch)) } else { Ok(files) }
}

/// Whether a name is the pattern with something, or nothing, for each `*`.
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

/// The path that names just these files, given in the order of their names: one file itself, several
/// by a pattern. `None` where there is no such path.
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

/// Bytes that two texts have in common where they begin.
fn shared(pairs: impl Iterator<Item = (char, char)>) -> usize {
    pairs.take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
}

impl Files {
    /// Hash of a file's bytes; of several, that of their hashes in order.
    pub(super) fn content(&self) -> ContentHash {
        let hashes: Vec<_> = self.all.iter().map(|(_, bytes)| ContentHash::of_bytes(bytes)).collect();
        if let [only] = hashes.as_slice() { *only } else { ContentHash::of_json(&hashes) }
    }

    /// Whether these are plain text files.
    pub(super) fn are_plain(&self) -> bool {
        self.format == Format::Plain
    }

    /// Reads the wanted columns of every file.
    pub(super) fn gather(self, request: &SurveyRequest<'_>) -> Result<Gathered, SourceError> {
        let Self { path, format, packing, all } = self;
        if request.columns.is_some() && !matches!(format, Format::Delimited { .. }) {
            return Err(SourceError::new(&path, None, Problem::ColumnsGiven));
        }
        let answers = matches!(request.fields, Fields::Questions);
        let request = Request { columns: request.columns, wanted: request.fields.columns(), answers };
        let mut tables = Vec::with_capacity(all.len());
        for (file, bytes) in all {
            let table = table(&bytes, (format, packing), &request);
            let table = table.map_err(|(place, problem)| SourceError::new(&file, place, problem))?;
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
    (format, packing): (Format, Option<Packing>),
    request: &Request<'_>,
) -> Result<Table, Located> {
    let bytes = format::unpack(bytes, packing).map_err(|problem| (None, problem))?;
    match format {
        Format::Delimited { separator } => delimited::parse(plain::body(&bytes)?, separator, request),
        Format::JsonLines => json_lines::parse(plain::body(&bytes)?, request),
        Format::Parquet => parquet::parse(&bytes, request),
        Format::Plain => plain::parse(plain::body(&bytes)?),
        Format::Squad => squad::parse(plain::body(&bytes)?, request),
    }
}

/// A wanted column that one file has is in all of them. One that none has is the caller's to judge.
fn one_shape(tables: &[(PathBuf, Table)], request: &Request<'_>) -> Result<(), SourceError> {
    let wanted = request.wanted.iter().copied().chain(request.answers.then_some(ANSWERS));
    for name in wanted.filter(|name| tables.iter().any(|(_, table)| table.has(name))) {
        if let Some((file, table)) = tables.iter().find(|(_, table)| !table.has(name)) {
            let (place, problem) = table.missing(name);
            return Err(SourceError::new(file, place, problem));
        }
    }
    Ok(())
}

impl Gathered {
    /// A problem of the table, told of the file that has it; of the path where it has no row.
    pub(super) fn error(&self, (place, problem): Located) -> SourceError {
        let Some(Place { row: Some(row), line }) = place else {
            return SourceError::new(&self.path, place, problem);
        };
        let file = self.starts.partition_point(|(_, before)| *before < row).saturating_sub(1);
        let (path, before) = &self.starts[file];
        SourceError::new(path, Some(Place { row: Some(row - before), line }), problem)
    }
}
