//! Owns the result of every reader: a file's columns as text, with the positions of its rows. Reads nothing.

use std::collections::{BTreeMap, HashMap};

use super::Problem;
use super::sniff::WayOut;
use crate::tasks::{Conversation, Reading};

/// Column of the text that a question is about.
pub(super) const CONTEXT: &str = "context";
/// Column of the questions.
pub(super) const QUESTION: &str = "question";
/// Column of the gold answers.
pub(super) const ANSWERS: &str = "answers";
/// Column that marks a question without an answer.
pub(super) const IS_IMPOSSIBLE: &str = "is_impossible";
/// Column of a text's class, where its folder names it.
pub(super) const LABEL: &str = "label";
/// The one column of a plain text file.
pub(super) const TEXT: &str = "text";

/// A place in a data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The row, counted from 1 without the header; `None` where no row is known.
    pub row: Option<usize>,
    /// The line at which it begins, counted from 1; `None` in files without lines.
    pub line: Option<usize>,
}

/// A problem and its position, before the file is known.
pub(super) type Located = (Option<Place>, Problem);

/// A file's shape, and the wanted columns that exist.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) rows: usize,
    /// Names of all columns.
    pub(super) names: Vec<String>,
    /// Values by column.
    pub(super) texts: HashMap<String, Vec<String>>,
    /// Each row's gold answers, if wanted and present.
    pub(super) answers: Vec<Vec<String>>,
    /// Each row's conversation, if wanted and present.
    pub(super) conversations: Vec<Conversation>,
    /// Line at which each row begins, counted from 1 in its file; empty where rows have no lines.
    pub(super) lines: Vec<usize>,
    /// Columns that were read and lack values in some rows, where their text is empty.
    pub(super) gaps: BTreeMap<String, Gap>,
    /// Names of the classes behind whole numbers, by column, where the file records them.
    pub(super) class_names: HashMap<String, Vec<String>>,
    /// Number of fields that look quoted, in a file that is read without quotes.
    pub(super) quoted_unread: usize,
    /// How to read the file, where it lacks wanted columns and looks like another format.
    pub(super) way_out: Option<WayOut>,
}

/// Rows without a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) rows: usize,
    /// The first such row, counted from 0.
    pub(super) first: usize,
}

impl Gap {
    /// Counts a row; rows must come in ascending order.
    pub(super) fn note(&mut self, row: usize) {
        if self.rows == 0 {
            self.first = row;
        }
        self.rows += 1;
    }
}

/// What to read from a file.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// Names of all columns, where the first row does not name them.
    pub(super) columns: Option<&'a [String]>,
    /// Columns to read as text; missing ones are left out.
    pub(super) wanted: Vec<&'a str>,
    /// Those of them that may hold lists, which become text as JSON has it.
    pub(super) lists: Vec<&'a str>,
    /// Whether to read gold answers too.
    pub(super) answers: bool,
    /// Whether to read conversations; each is then a row.
    pub(super) conversations: bool,
    /// The task's keys about reading files.
    pub(super) reading: &'a Reading,
}

impl<'a> Request<'a> {
    /// The wanted columns that exist, each once.
    pub(super) fn existing(&self, names: &[String]) -> Vec<&'a str> {
        let mut wanted: Vec<&str> =
            self.wanted.iter().copied().filter(|wanted| names.iter().any(|name| name == wanted)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }
}

impl Table {
    /// Appends the rows of another file. The first file's columns are the table's.
    pub(super) fn append(&mut self, other: Self) {
        if self.rows == 0 {
            *self = other;
            return;
        }
        for (name, gap) in other.gaps {
            let (first, rows) = (self.rows + gap.first, gap.rows);
            self.gaps.entry(name).and_modify(|known| known.rows += rows).or_insert(Gap { rows, first });
        }
        self.rows += other.rows;
        self.quoted_unread += other.quoted_unread;
        for (name, values) in other.texts {
            self.texts.entry(name).or_default().extend(values);
        }
        self.answers.extend(other.answers);
        self.conversations.extend(other.conversations);
        self.lines.extend(other.lines);
    }

    /// The position of a row, counted from 0.
    pub(super) fn place(&self, row: usize) -> Place {
        Place { row: Some(row + 1), line: self.lines.get(row).copied() }
    }

    /// Whether there is a column of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|column| column == name)
    }

    /// The values of a wanted column.
    pub(super) fn column(&self, name: &str) -> Result<&[String], Located> {
        self.texts.get(name).map(Vec::as_slice).ok_or_else(|| self.missing(name))
    }

    /// The error that there is no such column.
    pub(super) fn missing(&self, name: &str) -> Located {
        (None, Problem::MissingColumn { column: name.to_owned(), columns: self.names.clone() })
    }

    /// The columns' values, joined by one space in the given order.
    pub(super) fn join(&self, names: &[String]) -> Result<Vec<String>, Located> {
        let mut joined = vec![String::new(); self.rows];
        for (position, name) in names.iter().enumerate() {
            for (text, value) in joined.iter_mut().zip(self.column(name)?) {
                if position > 0 {
                    text.push(' ');
                }
                text.push_str(value);
            }
        }
        Ok(joined)
    }
}
