//! Owns what is worth knowing of a task's rows before they train, as plain data: how many there are of
//! what, what they have in common, how long they are, and what would spoil a result. `data::card` finds it.

mod warning;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::warning::{Warning, empty_texts, named, percent};
use crate::tasks::Task;
use crate::values::Part;

/// What is worth knowing of a task's rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Name of the task.
    pub task: String,
    /// Where the sweep file has the task: `sweep.yaml:3:1`.
    pub place: String,
    /// The task's files, the training file first.
    pub files: Vec<FileRows>,
    /// What is trained on, validated on and tested on.
    pub used: Used,
    /// Each class, in the order of the task's labels; none where there are no classes.
    pub classes: Vec<ClassRows>,
    /// The numbers to be learned, where rows have numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
    /// What the texts of the used rows have in common.
    pub texts: Texts,
    /// Of question answering: what there is beside the questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub questions: Option<Questions>,
    /// Token lengths, for each tokenizer of the task's models. None where rows are joined into blocks.
    pub lengths: Vec<Lengths>,
    /// The tokens of the training rows, where these are joined into blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<Blocks>,
    /// What would spoil a result.
    pub warnings: Vec<Warning>,
}

/// The rows of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileRows {
    /// What the file is for.
    pub part: Part,
    /// Where it is.
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

/// How many rows a sweep uses; of text that is joined into blocks, how many blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Used {
    /// Rows drawn from the training file, those included that are held out as test rows.
    pub drawn: usize,
    /// Those to train on; in k-fold cross-validation those of all folds.
    pub training: usize,
    /// Those to select on; none in k-fold cross-validation.
    pub validation: usize,
    /// Those to test on.
    pub test: usize,
    /// In k-fold cross-validation, those that each fold holds out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folds: Vec<usize>,
}

/// The rows of a class, as [`Used`] counts them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassRows {
    /// Its name.
    pub name: String,
    /// Rows to train on.
    pub training: usize,
    /// Rows to select on.
    pub validation: usize,
    /// Rows to test on.
    pub test: usize,
    /// Rows that each fold holds out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folds: Vec<usize>,
}

/// The numbers of the rows that are drawn to train on and to validate on.
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
    /// How many different ones there are.
    pub different: usize,
}

/// What question answering has beside questions, in the used rows of the training file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Questions {
    /// Different contexts.
    pub contexts: usize,
    /// Gold answers to all questions together.
    pub answers: usize,
    /// Questions whose first gold answer does not stand in the context as it is written.
    pub elsewhere: usize,
}

/// What texts have in common. Rows without a text count nowhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Texts {
    /// Rows to train on, and to validate on where these are of the same file, whose text an earlier
    /// one has too.
    pub duplicates: usize,
    /// Texts among these that have more than one label.
    pub contradicting: usize,
    /// Rows with such texts.
    pub contradicting_rows: usize,
    /// Rows to validate on and to test on whose text is trained on as well.
    pub shared: Vec<Shared>,
}

/// Rows whose text is trained on as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// What these rows are for.
    pub part: Part,
    /// How many there are.
    pub rows: usize,
    /// Of how many.
    pub of: usize,
}

/// How long rows are, in tokens, with their special tokens.
///
/// Of question answering: the prompt with the whole context, and room for the longest answer that may
/// be generated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lengths {
    /// The models that read with this tokenizer.
    pub models: Vec<String>,
    /// Rows that were tokenised.
    pub rows: usize,
    /// Of so many training rows.
    pub of: usize,
    /// Half of the rows are at most that long, half at least: between the two in the middle where the
    /// number of rows is even.
    pub median: f64,
    /// The shortest length that at least 95 % of the rows do not exceed.
    pub p95: usize,
    /// The longest of these rows.
    pub longest: usize,
    /// Where longer rows are cut.
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
    /// The class with most rows to train on, and its share of them; `None` where there are no classes.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
    pub fn majority(&self) -> Option<(&ClassRows, f64)> {
        let most = self.classes.iter().rev().max_by_key(|class| class.training)?;
        let all: usize = self.classes.iter().map(|class| class.training).sum();
        Some((most, most.training as f64 / all.max(1) as f64))
    }

    /// The fewest sequences that one trial trains on.
    #[must_use]
    pub fn least_training(&self) -> usize {
        self.used.training - self.used.folds.iter().max().copied().unwrap_or(0)
    }

    /// What would spoil a result, each with the task's place, and its name where tasks have names.
    pub fn warning_lines(&self) -> impl Iterator<Item = String> + '_ {
        let task = match self.task.as_str() {
            Task::ONLY => String::new(),
            name => format!("task `{name}`: "),
        };
        self.warnings.iter().map(move |warning| format!("{}: {task}{warning}", self.place))
    }
}
