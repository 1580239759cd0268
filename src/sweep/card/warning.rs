//! Owns the possible problems of a task's rows, and of the number of steps they give, as data. Finds none
//! itself.

use serde::{Deserialize, Serialize};

use super::{FileRows, Shared};
use crate::values::Part;

/// A problem that could spoil a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Warning {
    /// Rows without any text.
    EmptyTexts {
        /// For each file: its part, the number of such rows, the number of all rows.
        files: Vec<(Part, usize, usize)>,
    },
    /// Validation or test rows whose text is trained on.
    Leak {
        /// The rows and their number.
        shared: Shared,
        /// Number of splits.
        folds: usize,
    },
    /// Texts with more than one label.
    Contradicting {
        /// Number of such texts.
        texts: usize,
        /// Number of rows with them.
        rows: usize,
    },
    /// Values that mean a missing label. Only in records of earlier versions: the check of labels now reports
    /// them.
    NoLabel {
        /// Each value with its number of rows.
        values: Vec<(String, usize)>,
    },
    /// Class names that differ only in case or white space. Only in records of earlier versions, as above.
    Spellings {
        /// Groups of equal names, each name with its number of rows, the most frequent first.
        groups: Vec<Vec<(String, usize)>>,
    },
    /// Measurements, used as classes.
    Numbers {
        /// The column.
        column: String,
        /// Number of distinct values.
        different: usize,
        /// The least.
        least: f64,
        /// The greatest.
        most: f64,
    },
    /// All rows have the same target number.
    OneNumber {
        /// The column.
        column: String,
        /// The number.
        number: f64,
    },
    /// Classes with one row, which a split leaves in training.
    OneRow {
        /// Their names.
        classes: Vec<String>,
    },
    /// Classes that have all their rows in one fold, which then does not train on them.
    InOneFold {
        /// Their names.
        classes: Vec<String>,
    },
    /// With a row of each class, more rows are held out than were requested.
    MoreHeldOut {
        /// The key of the share.
        key: String,
        /// Number of rows held out.
        held: usize,
        /// Number of rows in the requested share.
        wanted: usize,
    },
    /// Rows that are cut.
    Cut {
        /// Number of such rows.
        cut: usize,
        /// Number of rows that were measured.
        of: usize,
        /// Length at which they are cut.
        max_length: usize,
        /// Length that would cut no more than 5 %.
        enough: usize,
        /// The longest sequence that the models read.
        longest: usize,
        /// The models whose tokenizer was used; empty in records of earlier versions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        models: Vec<String>,
    },
    /// Rows that are left out because not even their beginning fits.
    Unfit {
        /// Number of such rows.
        rows: usize,
        /// Number of rows that were looked at.
        of: usize,
        /// The longest sequence.
        max_length: usize,
    },
    /// A validation or test file is the training file.
    SameFile {
        /// The use of that file.
        part: Part,
    },
    /// The learning rate rises until the end.
    AllWarmUp {
        /// Number of such configurations, and of all configurations.
        configurations: (usize, usize),
        /// The fewest and the most steps of these.
        steps: (u64, u64),
    },
    /// Training ends before much can be learned.
    FewSteps {
        /// Number of such configurations, and of all configurations.
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
