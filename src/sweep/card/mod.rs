//! Owns the data card of a task as plain data: how many rows there are of each kind, what they have in common,
//! their lengths, and what could spoil a result. `data::card` computes it.

mod told;
mod warning;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::told::{named, percent};
pub use self::warning::{Warning, empty_texts};
use crate::tasks::Task;
use crate::values::Part;

/// Facts about a task's rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Name of the task.
    pub task: String,
    /// Position of the task in the sweep file: `sweep.yaml:3:1`.
    pub place: String,
    /// The task's files, the training file first.
    pub files: Vec<FileRows>,
    /// The rows for training, validation and testing.
    pub used: Used,
    /// Each class, in the order of the task's labels; empty where there are no classes.
    pub classes: Vec<ClassRows>,
    /// What has these classes.
    #[serde(default, skip_serializing_if = "ClassesOf::are_rows")]
    pub classes_of: ClassesOf,
    /// The target numbers, where rows have numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
    /// What the texts of the used rows have in common.
    pub texts: Texts,
    /// For question answering: facts about contexts and answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub questions: Option<Questions>,
    /// Token lengths, for each tokenizer of the task's models. Empty where rows are joined into blocks.
    pub lengths: Vec<Lengths>,
    /// The tokens of the training rows, where these are joined into blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<Blocks>,
    /// What could spoil a result.
    pub warnings: Vec<Warning>,
}

/// What has classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassesOf {
    /// Rows, each one of them.
    #[default]
    Rows,
    /// Rows, each any number of them.
    Sets,
    /// The words of rows, each one of them.
    Words,
}

impl ClassesOf {
    fn are_rows(&self) -> bool {
        *self == Self::Rows
    }
}

/// The rows of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileRows {
    /// The file's use.
    pub part: Part,
    /// Its path.
    pub path: PathBuf,
    /// Rows in the file.
    pub read: usize,
    /// Rows that are left out, by reason.
    pub left_out: BTreeMap<String, usize>,
    /// Rows that remain.
    pub kept: usize,
    /// Rows among these without any text.
    pub empty: usize,
}

/// How many rows a sweep uses; for text joined into blocks, how many blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Used {
    /// Rows drawn from the training file, including those held out as test rows.
    pub drawn: usize,
    /// Training rows; in k-fold cross-validation the rows of all folds.
    pub training: usize,
    /// Validation rows; none in k-fold cross-validation.
    pub validation: usize,
    /// Test rows.
    pub test: usize,
    /// Rows held out by each fold, in k-fold cross-validation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folds: Vec<usize>,
}

/// The rows of a class, as [`Used`] counts them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassRows {
    /// Its name.
    pub name: String,
    /// Training rows.
    pub training: usize,
    /// Validation rows.
    pub validation: usize,
    /// Test rows.
    pub test: usize,
    /// Rows held out by each fold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folds: Vec<usize>,
}

/// The target numbers of the rows drawn for training and validation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    /// Column that holds them.
    pub column: String,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub most: f64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, over all of them.
    pub deviation: f64,
    /// Number of distinct values.
    pub different: usize,
}

/// Facts about question answering, in the used rows of the training file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Questions {
    /// Different contexts.
    pub contexts: usize,
    /// Gold answers to all questions together.
    pub answers: usize,
    /// Questions whose first gold answer does not occur literally in the context.
    pub elsewhere: usize,
}

/// What texts have in common. Rows without a text are not counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Texts {
    /// Training rows, and validation rows of the same file, whose text occurs in an earlier row.
    pub duplicates: usize,
    /// Texts among these that have more than one label.
    pub contradicting: usize,
    /// Rows with such texts.
    pub contradicting_rows: usize,
    /// Validation and test rows whose text occurs in training rows.
    pub shared: Vec<Shared>,
}

/// Rows whose text occurs in training rows too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// The use of these rows.
    pub part: Part,
    /// Number of such rows.
    pub rows: usize,
    /// Number of all rows of that use.
    pub of: usize,
}

/// Lengths of rows in tokens, with their special tokens.
///
/// For question answering: the prompt with the whole context, and room for the longest answer that may be
/// generated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lengths {
    /// The models that read with this tokenizer.
    pub models: Vec<String>,
    /// Rows that were tokenised.
    pub rows: usize,
    /// Number of training rows, of which those were a sample or all.
    pub of: usize,
    /// Median length; the mean of the two middle lengths where the number of rows is even.
    pub median: f64,
    /// The shortest length that at least 95 % of the rows do not exceed.
    pub p95: usize,
    /// The longest of these rows.
    pub longest: usize,
    /// Length at which longer rows are cut.
    pub max_length: usize,
    /// Rows that are cut.
    pub cut: usize,
}

/// The training text of a language model, joined into blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocks {
    /// Its tokens.
    pub tokens: usize,
    /// Tokens of a block.
    pub max_length: usize,
    /// Whether the number of tokens is an estimate, from a sample of rows.
    pub estimated: bool,
}

impl Card {
    /// The loss of the best constant answer, as far as it is known: the entropy of the classes in nats, its mean
    /// over labels that are judged one by one, or the variance of the numbers. What has learned nothing does not get below it.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
    pub fn untrained_loss(&self) -> Option<f64> {
        let all = self.with_a_class() as f64;
        let shares = self.classes.iter().map(|class| class.training as f64 / all);
        let part = |share: f64| if share > 0.0 { -share * share.ln() } else { 0.0 };
        let entropy = match self.classes_of {
            ClassesOf::Rows | ClassesOf::Words => shares.map(part).sum::<f64>(),
            ClassesOf::Sets => {
                shares.map(|share| part(share) + part(1.0 - share)).sum::<f64>()
                    / self.classes.len().max(1) as f64
            }
        };
        let all = if self.classes.is_empty() { 0.0 } else { all };
        let variance = self.numbers.as_ref().map(|numbers| numbers.deviation.powi(2));
        variance.or((all > 0.0).then_some(entropy))
    }

    /// The class with the most training rows, or words, and its share of them; `None` where there are no classes.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
    pub fn majority(&self) -> Option<(&ClassRows, f64)> {
        let most = self.classes.iter().rev().max_by_key(|class| class.training)?;
        Some((most, most.training as f64 / self.with_a_class().max(1) as f64))
    }

    /// The number of training rows, or words, of which a class has its share.
    fn with_a_class(&self) -> usize {
        match self.classes_of {
            ClassesOf::Rows | ClassesOf::Words => self.classes.iter().map(|class| class.training).sum(),
            ClassesOf::Sets => self.used.training,
        }
    }

    /// The smallest number of sequences that a trial trains on.
    #[must_use]
    pub fn least_training(&self) -> usize {
        self.used.training - self.used.folds.iter().max().copied().unwrap_or(0)
    }

    /// The warnings, each with the task's position, and its name where tasks have names.
    pub fn warning_lines(&self) -> impl Iterator<Item = String> + '_ {
        let task = match self.task.as_str() {
            Task::ONLY => String::new(),
            name => format!("task `{name}`: "),
        };
        self.warnings.iter().map(move |warning| format!("{}: {task}{warning}", self.place))
    }
}
