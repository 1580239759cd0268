//! Owns where records and fields of delimited text begin and end, by RFC 4180 and no more: it is
//! what makes a malformed file an error with a line number.
//!
//! A quote opens a quoted field only at the field's start, and a quoted field ends at its closing
//! quote. Elsewhere quotes are allowed in pairs: a reader that cuts the text at line breaks outside
//! of quotes then finds the same records.

use super::Problem;

/// The records of delimited text, one after the other.
pub(super) struct Records<'a> {
    text: &'a [u8],
    separator: u8,
    at: usize,
    line: usize,
}

/// One record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Line at which it begins, counted from 1.
    pub(super) line: usize,
    /// Number of fields; an empty line has one.
    pub(super) fields: usize,
    /// Whether nothing stands on its line.
    pub(super) blank: bool,
    /// Offset of the byte behind it and its line end.
    pub(super) end: usize,
}

/// What ends a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Separator,
    Record,
}

impl<'a> Records<'a> {
    pub(super) fn new(text: &'a str, separator: u8) -> Self {
        Self { text: text.as_bytes(), separator, at: 0, line: 1 }
    }

    /// Goes past the next field. Gives the field without its line end, and what ended it.
    fn field(&mut self) -> Result<(&'a [u8], End), Problem> {
        let rest = &self.text[self.at..];
        let quoted = if rest.first() == Some(&b'"') { quoted_length(rest)? } else { 0 };
        let behind = rest[quoted..].iter().position(|byte| *byte == self.separator || *byte == b'\n');
        let length = behind.map_or(rest.len(), |behind| quoted + behind);
        let end = if rest.get(length) == Some(&self.separator) { End::Separator } else { End::Record };
        let field = match end {
            End::Separator => &rest[..length],
            End::Record => rest[..length].strip_suffix(b"\r").unwrap_or(&rest[..length]),
        };
        let bare = &field[quoted..];
        let bare_quotes = bare.iter().filter(|byte| **byte == b'"').count();
        if (quoted > 0 && !bare.is_empty()) || !bare_quotes.is_multiple_of(2) {
            return Err(Problem::StrayQuote);
        }
        self.line += rest[..quoted].iter().filter(|byte| **byte == b'\n').count();
        self.line += usize::from(end == End::Record);
        self.at += (length + 1).min(rest.len());
        Ok((field, end))
    }

    /// The fields of the next record as text, quotes undone.
    pub(super) fn next_fields(&mut self) -> Result<Vec<String>, Problem> {
        let mut fields = Vec::new();
        loop {
            let (field, end) = self.field()?;
            let text = String::from_utf8_lossy(field);
            let text = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(&text);
            fields.push(text.replace("\"\"", "\""));
            if end == End::Record {
                return Ok(fields);
            }
        }
    }

    /// Offset of the next record.
    pub(super) fn offset(&self) -> usize {
        self.at
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, (usize, Problem)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.text.len() {
            return None;
        }
        let (line, mut fields) = (self.line, 0);
        loop {
            fields += 1;
            match self.field() {
                Ok((_, End::Separator)) => {}
                Ok((field, End::Record)) => {
                    let blank = fields == 1 && field.is_empty();
                    return Some(Ok(Record { line, fields, blank, end: self.at }));
                }
                Err(problem) => return Some(Err((line, problem))),
            }
        }
    }
}

/// Length of the quoted field at the start of a text, quotes included.
fn quoted_length(text: &[u8]) -> Result<usize, Problem> {
    let mut at = 1;
    loop {
        let quote = text[at..].iter().position(|byte| *byte == b'"').ok_or(Problem::StrayQuote)?;
        at += quote + 1;
        if text.get(at) != Some(&b'"') {
            return Ok(at);
        }
        at += 1;
    }
}
