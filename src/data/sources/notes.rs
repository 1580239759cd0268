//! Owns notes on data that was read but may not be what was meant: each comes once, with the count and the
//! remedy. Changes no data.

use std::fmt;

use super::answers;
use super::columns;
use super::table::{Place, Table};
use crate::tasks::Fields;

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
    columns.retain(|column| Some(*column) != fields.target().column());
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
    if table.quoted_unread > 0 {
        notes.push(Note::Quoted { fields: table.quoted_unread });
    }
    notes
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
