//! Owns the recognition of a file by its first bytes, where these contradict its name, and the keys that would
//! read it. Reads no row.

use std::fmt;

use super::delimited::{self, Dialect};
use super::table::Request;
use crate::tasks::{FileFormat, Reading};

/// The kind of a file that is read as something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its name, with an article.
    pub name: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// First bytes, whether a text could begin with them, and the kind of file that begins with them.
const KINDS: [(&[u8], bool, Kind); 16] = [
    kind(b"PAR1", false, "a Parquet file", "set `format: parquet`, or let its name end in .parquet"),
    kind(
        b"PK\x03\x04",
        false,
        "an Excel workbook or another ZIP archive",
        "save the sheet as CSV (UTF-8), or unpack the archive",
    ),
    kind(b"\xd0\xcf\x11\xe0", false, "an Excel workbook", "save the sheet as CSV (UTF-8)"),
    kind(b"\x1f\x8b", false, "a file packed by gzip", "let its name end in .gz, or unpack it"),
    kind(b"\x28\xb5\x2f\xfd", false, "a file packed by zstd", "let its name end in .zst, or unpack it"),
    kind(b"\xfd7zXZ", false, "a file packed by xz", "unpack it"),
    kind(b"BZh", true, "a file packed by bzip2", "unpack it"),
    kind(b"ARROW1", true, "an Arrow file (Feather)", "save the table as Parquet"),
    kind(b"\xff\xff\xff\xff", false, "an Arrow stream", "set `format: arrow`, or let its name end in .arrow"),
    kind(b"SQLite format 3", true, "an SQLite database", "export the table as CSV"),
    kind(b"%PDF-", true, "a PDF", "extract its text first"),
    kind(
        b"\x80\x04\x95",
        false,
        "a Python pickle",
        "save the table as Parquet: a pickle would have to be executed",
    ),
    kind(
        b"\x80\x05\x95",
        false,
        "a Python pickle",
        "save the table as Parquet: a pickle would have to be executed",
    ),
    kind(
        b"version https://git-lfs",
        true,
        "a pointer of Git LFS",
        "fetch the file itself with `git lfs pull`",
    ),
    kind(b"<html", true, "a web page", "download the file itself: a page was saved in its place"),
    kind(b"<!doctype html", true, "a web page", "download the file itself: a page was saved in its place"),
];

const fn kind(
    start: &'static [u8],
    text: bool,
    name: &'static str,
    remedy: &'static str,
) -> (&'static [u8], bool, Kind) {
    (start, text, Kind { name, remedy })
}

/// The kind of a file that is to be read as `format`; `None` where it may have that format.
pub(super) fn other_kind(bytes: &[u8], format: FileFormat) -> Option<Kind> {
    let own: &[u8] = match format {
        FileFormat::Parquet => b"PAR1",
        // Its own reader distinguishes the two Arrow formats.
        FileFormat::Arrow => return None,
        FileFormat::Csv
        | FileFormat::Tsv
        | FileFormat::Jsonl
        | FileFormat::Json
        | FileFormat::Squad
        | FileFormat::Conll
        | FileFormat::Text => b"",
    };
    let is = |start: &[u8]| bytes.get(..start.len()).is_some_and(|first| first.eq_ignore_ascii_case(start));
    let table = format != FileFormat::Text;
    let found = KINDS.iter().find(|(start, text, _)| *start != own && (table || !text) && is(start));
    found.map(|(.., kind)| *kind)
}

/// The keys of a task that would read a file as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WayOut {
    /// Its format.
    pub format: Option<FileFormat>,
    /// The character that separates its columns.
    pub separator: Option<char>,
    /// The character that quotes its fields.
    pub quote: Option<char>,
    /// Whether its fields may be quoted.
    pub quoting: Option<bool>,
}

/// How to read a text that does not match `format` and the task's keys.
pub(super) fn way_out(text: &str, format: FileFormat, request: &Request<'_>) -> Option<WayOut> {
    let text = text.trim_start_matches('\u{feff}');
    let delimited = matches!(format, FileFormat::Csv | FileFormat::Tsv);
    if delimited || format == FileFormat::Text {
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(first).is_ok();
        let array = text.trim_start().starts_with(['[', '{'])
            && serde_json::from_str::<serde_json::Value>(text).is_ok();
        let json = if object { Some(FileFormat::Jsonl) } else { array.then_some(FileFormat::Json) };
        if json.is_some() && request.columns.is_none() {
            return Some(WayOut { format: json, ..WayOut::default() });
        }
    }
    let own = if delimited { format } else { FileFormat::Csv };
    let dialect = Dialect::of(own, request.reading);
    if !delimited {
        let tabs = Dialect::of(FileFormat::Tsv, &Reading::default());
        for (format, dialect) in [(FileFormat::Tsv, tabs), (FileFormat::Csv, dialect)] {
            if delimited::fits(delimited::sample(text), dialect, request).is_some() {
                return Some(WayOut { format: Some(format), ..WayOut::default() });
            }
        }
    }
    let other = delimited::other_dialect(text, dialect, request)?;
    let format = (!delimited).then_some(FileFormat::Csv);
    Some(WayOut { format, ..WayOut::between(dialect, other) })
}

impl WayOut {
    /// The keys that change one dialect into another.
    pub(super) fn between(from: Dialect, to: Dialect) -> Self {
        let quote = to.quote.filter(|quote| from.quote != to.quote && *quote != b'"').map(char::from);
        let quoting = match (from.quote, to.quote) {
            (Some(_), None) => Some(false),
            (None, Some(b'"')) => Some(true),
            (_, _) => None,
        };
        let separator = (from.separator != to.separator).then(|| char::from(to.separator));
        Self { format: None, separator, quote, quoting }
    }

    /// The task's keys, with these values replacing its own.
    pub(super) fn beside(&self, said: &Reading) -> Reading {
        Reading {
            format: self.format.or(said.format),
            separator: self.separator.or(said.separator),
            quote: self.quote.or(said.quote),
            quoting: self.quoting.or(said.quoting),
            encoding: said.encoding.clone(),
        }
    }
}

impl fmt::Display for WayOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |separator: char| match separator {
            '\t' => "tabs",
            ';' => "semicolons",
            '|' => "vertical bars (pipes)",
            ',' => "commas",
            _ => "other characters",
        };
        match (self.separator.map(name), self.format, self.quoting) {
            (Some(name), ..) => write!(f, "{name} separate its columns: ")?,
            (None, Some(FileFormat::Tsv), _) => write!(f, "tabs separate its columns: ")?,
            (None, Some(FileFormat::Csv), _) => write!(f, "commas separate its columns: ")?,
            (None, Some(_), _) => write!(f, "its content is JSON: ")?,
            (None, None, Some(true)) => write!(f, "its fields are quoted: ")?,
            (None, None, None) => write!(f, "its fields are quoted by another character: ")?,
            (None, None, Some(false)) => write!(f, "its quotes are text: ")?,
        }
        let keys = self.beside(&Reading::default()).keys();
        write!(f, "set `{}` in the task", keys.join("` and `"))
    }
}
