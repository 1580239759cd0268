//! Owns UTF-8 text: the text in a file's bytes, and plain text files, whose rows are their lines.

use super::Problem;
use super::table::{Located, Place, TEXT, Table};

/// The file's text without its byte order mark.
pub(super) fn body(bytes: &[u8]) -> Result<&str, Located> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = 1 + bytes[..e.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        (Some(Place { row: None, line: Some(line) }), Problem::NotUtf8)
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The lines of a text, without their ends.
pub(super) fn parse(text: &str) -> Result<Table, Located> {
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        return Err((None, Problem::NoRows));
    }
    let (rows, texts) = (lines.len(), [(TEXT.to_owned(), lines)].into());
    Ok(Table { rows, names: vec![TEXT.to_owned()], texts, lines: (1..=rows).collect(), ..Table::default() })
}
