//! Owns what can be wrong with a task's rows, and with the steps that they give, as data. Finds none itself.

use serde::{Deserialize, Serialize};

use super::{FileRows, Shared};
use crate::values::Part;

/// What would spoil a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Warning {
    /// Rows without any text.
    EmptyTexts {
        /// By file: its part, such rows, all rows.
        files: Vec<(Part, usize, usize)>,
    },
    /// Rows to judge by whose text is trained on.
    Leak {
        /// Which rows, and how many.
        shared: Shared,
        /// Number of splits.
        folds: usize,
    },
    /// Texts with more than one label.
    Contradicting {
        /// Such texts.
        texts: usize,
        /// Rows with them.
        rows: usize,
    },
    /// Values that say that there is no label: of versions before, since the check of labels tells it.
    NoLabel {
        /// Each with its rows.
        values: Vec<(String, usize)>,
    },
    /// Class names that differ by case or white space: of versions before, since the check of labels tells it.
    Spellings {
        /// What is one, each with its rows, the most frequent first.
        groups: Vec<Vec<(String, usize)>>,
    },
    /// Numbers that measure something, used as classes.
    Numbers {
        /// The column.
        column: String,
        /// How many there are.
        different: usize,
        /// The least.
        least: f64,
        /// The greatest.
        most: f64,
    },
    /// All rows have the same number to be learned.
    OneNumber {
        /// The column.
        column: String,
        /// The number.
        number: f64,
    },
    /// Classes of one row: a split leaves them in training.
    OneRow {
        /// Their names.
        classes: Vec<String>,
    },
    /// Classes that have all their rows in one fold, which then does not train on them.
    InOneFold {
        /// Their names.
        classes: Vec<String>,
    },
    /// A row of each class makes more rows held out than were asked for.
    MoreHeldOut {
        /// The key that asks for a share.
        key: String,
        /// Rows that are held out.
        held: usize,
        /// Rows that the share would be.
        wanted: usize,
    },
    /// Rows that lose their end.
    Cut {
        /// Such rows.
        cut: usize,
        /// Of so many.
        of: usize,
        /// Where they are cut.
        max_length: usize,
        /// The length that cuts no more than 5 %.
        enough: usize,
        /// The longest sequence that the models read.
        longest: usize,
        /// The models whose tokenizer makes the sequences; none in records of versions before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        models: Vec<String>,
    },
    /// A file to judge by is the training file.
    SameFile {
        /// What it judges.
        part: Part,
    },
    /// The learning rate never ends its rise.
    AllWarmUp {
        /// In how many of how many configurations.
        configurations: (usize, usize),
        /// The fewest and the most steps of these.
        steps: (u64, u64),
    },
    /// Training ends before much can be learned.
    FewSteps {
        /// In how many of how many configurations.
        configurations: (usize, usize),
        /// The fewest and the most steps of these.
        steps: (u64, u64),
    },
    /// Nothing is known of the course of training.
    OneEvaluation {
        /// In how many of how many configurations.
        configurations: (usize, usize),
        /// A sensible number of steps between evaluations.
        every: u64,
    },
}

/// The files that have rows without text.
pub fn empty_texts(files: &[FileRows]) -> Option<Warning> {
    let with: Vec<_> = files.iter().filter(|file| file.empty > 0).collect();
    let files = with.iter().map(|file| (file.part, file.empty, file.kept)).collect();
    (!with.is_empty()).then_some(Warning::EmptyTexts { files })
}
