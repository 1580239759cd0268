//! Owns what is learned from which data: tasks, with each kind of task in its own file behind [`TaskKind`],
//! listed in `kinds`. Reads no file: hashes, labels and counts come from the survey of the data; tokenizer,
//! rows and tensors are arguments. Read `kind.rs` first, then `classification.rs`.

mod chat;
mod classification;
mod examples;
mod fields;
mod keys;
mod kind;
mod kinds;
mod labelled;
mod language_modelling;
#[cfg(feature = "torch")]
mod loss;
mod multi_label;
mod purpose;
mod question_answering;
mod ranking;
mod reading;
mod regression;
mod tagging;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::values::ContentHash;

pub use chat::{Chat, LossOn};
pub use classification::{ClassWeights, Classification};
pub use examples::{Conversation, Examples, Question, RowTarget, Targets};
pub use fields::{Fields, Target, Written};
pub use keys::{Classes, Given, KeyFault, KeyValue, TaskKey};
pub use kind::{
    Answered, Constant, EncodeError, EncodedRow, Encoder, Measured, Prediction, Row, Tally, TargetFacts,
    TaskKind, TrialTargets, Words,
};
pub use kinds::{DEFAULT_KIND, KINDS, Objective, kind, selecting};
pub use language_modelling::{LanguageModelling, TextLayout};
pub use multi_label::{MultiLabel, Threshold};
pub use purpose::{Problem, Purpose};
pub use question_answering::{Prompts, QuestionAnswering, Unanswerable, fill};
pub use reading::{FileFormat, Reading};
pub use regression::Regression;
pub use tagging::{Tagging, is_unbegun};

/// A checked task: every column exists, every label is known, no file is empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its name in the sweep's `tasks`; [`Task::ONLY`] where the sweep has one task.
    pub name: String,
    /// What is learned.
    pub objective: Objective,
    /// Rows to train and select on.
    pub train: DataFile,
    /// Rows to select on, where the sweep names a file for them.
    pub validation: Option<DataFile>,
    /// Held-out rows: evaluated once per trial, never used to select.
    pub test: Option<DataFile>,
    /// Share of the drawn training rows that is held out as test rows, where there is no test file:
    /// in (0, 1), classes in proportion.
    pub test_fraction: Option<f64>,
    /// Number of these test rows, where rare classes change it from the share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<usize>,
    /// Names for the columns of files without a header row; `None` where the first row names them.
    pub columns: Option<Vec<String>>,
    /// How to read files whose names and bytes do not say it.
    #[serde(default, skip_serializing_if = "Reading::is_default")]
    pub reading: Reading,
    /// How texts are cleaned, and which rows are left out, before anything else.
    pub cleaning: Cleaning,
    /// Longest sequence, in tokens, special tokens included.
    pub max_length: usize,
    /// Rows to draw from the training file; all where absent.
    pub rows: Option<usize>,
    /// Rows to draw from the test file; all where absent.
    pub test_rows: Option<usize>,
    /// Seed of the draws.
    pub sample_seed: u64,
}

/// How texts are cleaned, and which rows are left out, before anything else.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Cleaning {
    /// Remove HTML tags and replace HTML entities with their characters.
    pub strip_html: bool,
    /// Replace everything that is not a letter, a digit or white space with a space.
    pub strip_symbols: bool,
    /// Leave out rows whose text has fewer words.
    pub min_words: Option<usize>,
    /// Leave out classes with fewer rows.
    pub min_label_rows: Option<usize>,
}

/// A data file and the facts that the survey found in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Its path.
    pub path: PathBuf,
    /// Hash of its bytes.
    pub content: ContentHash,
    /// Rows after cleaning, without the header.
    pub rows: usize,
    /// Rows before cleaning; `None` in records of versions that did not store it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_read: Option<usize>,
    /// Bytes of these rows' texts, from which token counts are estimated.
    pub text_bytes: u64,
}

/// Approximate bytes per token of English text, in a 50,000-word byte-pair encoding; for estimates only.
const BYTES_PER_TOKEN: u64 = 4;

impl Task {
    /// A sweep's only task, with these labels for this text and the defaults of a sweep file.
    #[must_use]
    pub fn classification(train: DataFile, text: &str, label: &str, labels: &[&str]) -> Self {
        let objective = Objective::Classification(Classification {
            text: vec![text.to_owned()],
            label: label.to_owned(),
            labels: labels.iter().map(ToString::to_string).collect(),
            ..Classification::EMPTY
        });
        Self::new(Self::ONLY, objective, train)
    }

    /// A task with the defaults of a sweep file.
    #[must_use]
    pub fn new(name: &str, objective: Objective, train: DataFile) -> Self {
        Self {
            name: name.to_owned(),
            objective,
            train,
            validation: None,
            test: None,
            test_fraction: None,
            held_out: None,
            columns: None,
            reading: Reading::default(),
            cleaning: Cleaning::default(),
            max_length: Self::DEFAULT_MAX_LENGTH,
            rows: None,
            test_rows: None,
            sample_seed: 42,
        }
    }

    /// Default of the longest sequence, in tokens.
    pub const DEFAULT_MAX_LENGTH: usize = 128;

    /// The name of a sweep's only task.
    pub const ONLY: &'static str = "task";

    /// Rows drawn from the training file, including those held out as test rows.
    #[must_use]
    pub fn drawn_rows(&self) -> usize {
        self.rows.map_or(self.train.rows, |n| n.min(self.train.rows))
    }

    /// Number of training rows after the draw.
    #[must_use]
    pub fn train_rows(&self) -> usize {
        self.drawn_rows() - self.held_out()
    }

    /// Number of test rows after the draw; zero without any.
    #[must_use]
    pub fn test_rows(&self) -> usize {
        let all = self.test.as_ref().map_or(self.held_out(), |file| file.rows);
        self.test_rows.map_or(all, |n| n.min(all))
    }

    /// Whether trials have test rows.
    #[must_use]
    pub fn is_tested(&self) -> bool {
        self.test.is_some() || self.test_fraction.is_some()
    }

    /// Number of sequences made from `rows` rows of a file: an estimate from the texts' length where rows are
    /// joined into blocks, else the number itself.
    #[must_use]
    pub fn sequences(&self, file: &DataFile, rows: usize) -> usize {
        if !self.objective.joins_rows() {
            return rows;
        }
        let tokens = file.text_bytes / BYTES_PER_TOKEN * rows as u64 / file.rows.max(1) as u64;
        usize::try_from(tokens).unwrap_or(usize::MAX).div_ceil(self.max_length).max(1)
    }

    /// Hashes of the files' bytes.
    #[must_use]
    pub fn contents(&self) -> [Option<ContentHash>; 3] {
        [Some(&self.train), self.validation.as_ref(), self.test.as_ref()].map(|f| f.map(|f| f.content))
    }

    /// Rows of the training file that are held out as test rows.
    fn held_out(&self) -> usize {
        match (&self.test, self.test_fraction) {
            (None, Some(fraction)) => {
                self.held_out.unwrap_or_else(|| held_out_rows(self.drawn_rows(), fraction))
            }
            (Some(_), _) | (None, None) => 0,
        }
    }
}

/// Number of rows in a share of `rows`, for testing or validation: at least one, and at least one is left where
/// there are two.
/// left where there are two.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "row counts are far below 2^52, and a share of one lies between 0 and it"
)]
pub fn held_out_rows(rows: usize, fraction: f64) -> usize {
    let wanted = (rows as f64 * fraction).round() as usize;
    wanted.clamp(1.min(rows), rows.saturating_sub(1).max(1.min(rows)))
}
