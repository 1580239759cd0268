//! Owns what a kind of task reads of each row of a file. Reads none.

use std::collections::{BTreeMap, BTreeSet};

use super::{TextLayout, Unanswerable};

/// No label has another name.
static NO_NAMES: BTreeMap<String, String> = BTreeMap::new();
/// No label is left out.
static NOTHING_DROPPED: BTreeSet<String> = BTreeSet::new();

/// The columns that a task reads.
#[derive(Clone, Copy, Debug)]
pub enum Fields<'a> {
    /// Texts, each with a target.
    Texts {
        /// Columns of the text, joined by one space.
        text: &'a [String],
        /// Columns of the second text; empty for single texts.
        pair: &'a [String],
        /// What is to be learned of each.
        target: Target<'a>,
    },
    /// Texts alone; a plain text file has the one column `text`.
    Documents {
        /// Columns of the text, joined by one space; `text` where none is named.
        text: &'a [String],
        /// Whether a plain text file is one text or many.
        layout: TextLayout,
    },
    /// The columns `context`, `question` and `answers`.
    Questions {
        /// What becomes of questions without an answer; where nobody says, they are an error.
        unanswerable: Option<&'a Unanswerable>,
    },
}

/// What is to be learned of a text.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// Nothing: the texts alone are asked for.
    None,
    /// The class that a column names.
    Class {
        /// The column; empty where the sweep does not name it.
        column: &'a str,
        /// Values of that column to the names of their classes; others are names already.
        map: &'a BTreeMap<String, String>,
        /// Values of that column whose rows are left out.
        dropped: &'a BTreeSet<String>,
    },
    /// The number in a column.
    Number {
        /// The column; empty where the sweep does not name it.
        column: &'a str,
    },
}

impl<'a> Fields<'a> {
    /// Texts, and labels that keep their names.
    #[must_use]
    pub fn columns_of(text: &'a [String], pair: &'a [String], label: Option<&'a str>) -> Self {
        let target = label.map_or(Target::None, |column| Target::Class {
            column,
            map: &NO_NAMES,
            dropped: &NOTHING_DROPPED,
        });
        Self::Texts { text, pair, target }
    }

    /// What is to be learned of each text, where a column holds it.
    #[must_use]
    pub fn target(self) -> Target<'a> {
        match self {
            Self::Texts { target, .. } => target,
            Self::Documents { .. } | Self::Questions { .. } => Target::None,
        }
    }

    /// Whether rows have classes.
    #[must_use]
    pub fn has_classes(self) -> bool {
        matches!(self.target(), Target::Class { .. })
    }

    /// Whether rows have numbers to be learned.
    #[must_use]
    pub fn has_numbers(self) -> bool {
        matches!(self.target(), Target::Number { .. })
    }
}

impl<'a> Target<'a> {
    /// The column that holds it, where there is one.
    #[must_use]
    pub fn column(self) -> Option<&'a str> {
        match self {
            Self::Class { column, .. } | Self::Number { column } => Some(column).filter(|it| !it.is_empty()),
            Self::None => None,
        }
    }
}
