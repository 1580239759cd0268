//! Owns what is to be learned from which data. Reads no file: hashes and labels are facts that
//! the survey of the data found.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::content::ContentHash;

/// A checked task: every column exists, every label is known, no file is empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// What kind of learning it is.
    pub kind: TaskKind,
    /// Rows to train and select on.
    pub train: DataFile,
    /// Rows to select on, where the sweep names a file for them.
    pub validation: Option<DataFile>,
    /// Held-out rows: evaluated once per trial, never used to select.
    pub test: Option<DataFile>,
    /// Names for the columns of files without a header row; `None` where the first row names them.
    pub columns: Option<Vec<String>>,
    /// Columns that make up the text, joined by one space in this order.
    pub text: Vec<String>,
    /// Column that holds the label.
    pub label: String,
    /// Class names, in the order of their indices.
    pub labels: Vec<String>,
    /// Longest sequence, in tokens, special tokens included.
    pub max_length: usize,
    /// Rows to draw from the training file; all where absent.
    pub rows: Option<usize>,
    /// Rows to draw from the test file; all where absent.
    pub test_rows: Option<usize>,
    /// Seed of both draws.
    pub sample_seed: u64,
}

/// What kind of learning a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// One label per text.
    Classification,
}

/// A data file and what the survey found in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Where it is.
    pub path: PathBuf,
    /// Hash of its bytes.
    pub content: ContentHash,
    /// Rows, the header not counted.
    pub rows: usize,
}

/// Which of a task's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The training file's rows (also those that a fold holds out).
    Train,
    /// The validation file's rows.
    Validation,
    /// The test file's rows.
    Test,
}

impl Task {
    /// Number of training rows after the draw.
    #[must_use]
    pub fn train_rows(&self) -> usize {
        self.rows.map_or(self.train.rows, |n| n.min(self.train.rows))
    }

    /// Number of test rows after the draw; zero without a test file.
    #[must_use]
    pub fn test_rows(&self) -> usize {
        let all = self.test.as_ref().map_or(0, |file| file.rows);
        self.test_rows.map_or(all, |n| n.min(all))
    }
}
