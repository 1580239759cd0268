//! Owns which fields of each row a kind of task reads. Reads none.

use std::collections::{BTreeMap, BTreeSet};

use super::{TextLayout, Unanswerable};

/// No label is renamed.
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
        /// The target of each text.
        target: Target<'a>,
    },
    /// Texts as lists of words, each word with a tag.
    Words {
        /// Column of the words: a list, or words between blanks.
        words: &'a str,
        /// Column of the tags, written as the words are.
        tags: &'a str,
        /// From tags in the file to their names; other tags are names already.
        map: &'a BTreeMap<String, String>,
    },
    /// Independent texts; a plain text file has the single column `text`.
    Documents {
        /// Columns of the text, joined by one space; `text` where none is named.
        text: &'a [String],
        /// Whether a plain text file is one text or many.
        layout: TextLayout,
    },
    /// The columns `context`, `question` and `answers`.
    Questions {
        /// What to do with questions without an answer; where absent, they are an error.
        unanswerable: Option<&'a Unanswerable>,
    },
    /// Conversations, in whichever of the known columns a file has them.
    Conversations,
}

/// The target of a text.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// None: only the texts are needed.
    None,
    /// The class in a column.
    Class {
        /// The column; empty where the sweep does not name it.
        column: &'a str,
        /// From values in that column to class names; other values are names already.
        map: &'a BTreeMap<String, String>,
        /// Values of that column whose rows are left out.
        dropped: &'a BTreeSet<String>,
    },
    /// The number in a column.
    Number {
        /// The column; empty where the sweep does not name it.
        column: &'a str,
    },
    /// Any number of classes.
    Classes {
        /// Where they stand.
        written: Written<'a>,
        /// From values in the file to class names; other values are names already.
        map: &'a BTreeMap<String, String>,
        /// Values that are no class.
        dropped: &'a BTreeSet<String>,
    },
}

/// How a file has any number of classes for each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written<'a> {
    /// In one column: as a list, or as values between separators.
    Listed {
        /// The column; empty where the sweep does not name it.
        column: &'a str,
        /// What separates values; `None` where each field is a list or a single value.
        separator: Option<&'a str>,
    },
    /// In a column for each class: 1 or true in rows that have it, 0 or false in others.
    Flags(&'a [String]),
}

impl<'a> Fields<'a> {
    /// Texts, with labels that keep their names.
    #[must_use]
    pub fn columns_of(text: &'a [String], pair: &'a [String], label: Option<&'a str>) -> Self {
        let target = label.map_or(Target::None, |column| Target::Class {
            column,
            map: &NO_NAMES,
            dropped: &NOTHING_DROPPED,
        });
        Self::Texts { text, pair, target }
    }

    /// The target of each text, where a column holds it.
    #[must_use]
    pub fn target(self) -> Target<'a> {
        match self {
            Self::Texts { target, .. } => target,
            Self::Words { .. } | Self::Documents { .. } | Self::Questions { .. } | Self::Conversations => {
                Target::None
            }
        }
    }

    /// Whether each row has one class.
    #[must_use]
    pub fn has_classes(self) -> bool {
        matches!(self.target(), Target::Class { .. })
    }

    /// Whether labels in the files are named: of whole rows or of words.
    #[must_use]
    pub fn has_labels(self) -> bool {
        match self {
            Self::Texts { target: Target::Class { .. } | Target::Classes { .. }, .. }
            | Self::Words { .. } => true,
            Self::Texts { target: Target::None | Target::Number { .. }, .. }
            | Self::Documents { .. }
            | Self::Questions { .. }
            | Self::Conversations => false,
        }
    }

    /// Whether rows have target numbers.
    #[must_use]
    pub fn has_numbers(self) -> bool {
        matches!(self.target(), Target::Number { .. })
    }
}

impl<'a> Target<'a> {
    /// The target's column, if it has one only.
    #[must_use]
    pub fn column(self) -> Option<&'a str> {
        match self {
            Self::Class { column, .. }
            | Self::Number { column }
            | Self::Classes { written: Written::Listed { column, .. }, .. } => {
                Some(column).filter(|it| !it.is_empty())
            }
            Self::Classes { written: Written::Flags(_), .. } | Self::None => None,
        }
    }

    /// Where any number of classes stand.
    #[must_use]
    pub fn written(self) -> Option<Written<'a>> {
        match self {
            Self::Classes { written, .. } => Some(written),
            Self::Class { .. } | Self::Number { .. } | Self::None => None,
        }
    }

    /// Every column of the target.
    pub fn columns(self) -> impl Iterator<Item = &'a str> {
        let flags = match self {
            Self::Classes { written: Written::Flags(columns), .. } => columns,
            Self::Classes { .. } | Self::Class { .. } | Self::Number { .. } | Self::None => &[],
        };
        self.column().into_iter().chain(flags.iter().map(String::as_str))
    }
}
