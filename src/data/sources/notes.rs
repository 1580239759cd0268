//! Owns notes on data that was read but may not be what was meant: each comes once, with the count and the
//! remedy. Changes no data.

use std::fmt;

use super::answers;
use super::columns;
use super::many;
use super::table::{Place, Table};
use crate::tasks::{Fields, is_unbegun};

/// Something that was read but may not be what was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A text column has no value in some rows: null, or a missing key.
    Gaps {
        /// The column.
        column: String,
        /// Number of such rows.
        rows: usize,
        /// The first of them.
        first: Place,
    },
    /// Fields of a file that is read without quotes look as if they were quoted.
    Quoted {
        /// Number of such fields.
        fields: usize,
    },
    /// Tags go on with spans that no tag began.
    Unbegun {
        /// The column.
        column: String,
        /// Number of rows with such a tag.
        rows: usize,
        /// The first of them.
        first: Place,
    },
    /// A text column holds lists or dicts in text form.
    Structured {
        /// The column.
        column: String,
        /// One of them, shortened.
        example: String,
    },
}

/// Notes on the columns that an objective reads.
pub(super) fn of(table: &Table, fields: Fields<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut columns = columns(fields);
    if let Fields::Words { .. } = fields {
        columns.clear();
    }
    columns.retain(|column| fields.target().columns().all(|target| target != *column));
    columns.dedup();
    for column in columns {
        if let Some(gap) = table.gaps.get(column) {
            let (column, rows, first) = (column.to_owned(), gap.rows, table.place(gap.first));
            notes.push(Note::Gaps { column, rows, first });
        }
        if let Some(example) = table.texts.get(column).and_then(|values| answers::structured(values)) {
            let (column, example) = (column.to_owned(), answers::beginning(example));
            notes.push(Note::Structured { column, example });
        }
    }
    if let Fields::Words { tags, .. } = fields {
        notes.extend(unbegun(table, tags));
    }
    if table.quoted_unread > 0 {
        notes.push(Note::Quoted { fields: table.quoted_unread });
    }
    notes
}

/// The note on spans of tags without a beginning.
fn unbegun(table: &Table, column: &str) -> Option<Note> {
    let all = many::tags(table, column).ok()?;
    let is = |tags: &Vec<String>| is_unbegun(tags.iter().map(String::as_str));
    let mut rows = all.iter().enumerate().filter(|(_, tags)| is(tags));
    let (first, _) = rows.next()?;
    Some(Note::Unbegun { column: column.to_owned(), rows: 1 + rows.count(), first: table.place(first) })
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gaps { column, rows, first } => {
                let line = first.line.map(|line| format!(" (line {line})")).unwrap_or_default();
                let first = first.row.unwrap_or_default();
                let (noun, which) = if *rows == 1 { ("row", "it is") } else { ("rows", "the first is") };
                write!(
                    f,
                    "column `{column}` has no value in {rows} {noun}, {which} row {first}{line}; \
                     an empty text is used"
                )
            }
            Self::Unbegun { column, rows, first } => {
                let line = first.line.map(|line| format!(" (line {line})")).unwrap_or_default();
                let noun = if *rows == 1 { "row has" } else { "rows have" };
                write!(
                    f,
                    "column `{column}`: {rows} {noun} a tag inside a span that no tag before it begins, first in row \
                     {}{line}; such a tag begins a span, as in seqeval",
                    first.row.unwrap_or_default()
                )
            }
            Self::Quoted { fields } => {
                let noun = if *fields == 1 { "field stands" } else { "fields stand" };
                write!(
                    f,
                    "{fields} {noun} in double quotes with doubled quotes inside, as CSV writes them; \
                     set `quoting: true` to read them so"
                )
            }
            Self::Structured { column, example } => write!(
                f,
                "column `{column}` holds lists or dicts written as text, such as `{example}`, \
                 and is read as that text; write the text itself into the file if it was meant"
            ),
        }
    }
}
