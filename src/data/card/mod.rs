//! Owns what is worth knowing of a task's rows before they train: how many there are of what, what
//! they have in common, how long they are. Computed from rows in memory, of the same draws and splits
//! that training makes; reads no file and prints nothing. What would spoil a result is a [`Warning`].

mod division;
mod labels;
mod lengths;
mod texts;
mod warning;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::labels::numbers;
pub use self::lengths::{Blocks, Lengths};
pub use self::texts::{Shared, Texts};
pub use self::warning::{Warning, named};

use self::division::Division;
use crate::data::questions::PromptError;
use crate::data::sources::Examples;
use crate::tasks::{Objective, Task};
use crate::tokenizer::Tokenizer;
use crate::values::{Part, Splitting};

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

/// A task's files as rows, before any draw.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    /// The training file's.
    pub train: &'a Examples,
    /// The validation file's.
    pub validation: Option<&'a Examples>,
    /// The test file's.
    pub test: Option<&'a Examples>,
}

/// A task's rows, with the division that the sweep makes of them.
#[derive(Debug)]
pub struct Look<'a> {
    task: &'a Task,
    splitting: &'a Splitting,
    files: Files<'a>,
    division: Division,
}

impl<'a> Look<'a> {
    /// Draws and divides the rows as training does.
    #[must_use]
    pub fn new(task: &'a Task, splitting: &'a Splitting, files: Files<'a>) -> Self {
        let test = files.test.map(Examples::labels);
        let division = Division::of(task, splitting, &files.train.labels(), test.as_deref());
        Self { task, splitting, files, division }
    }

    /// The card without the lengths, which take a tokenizer. `files` tells what was read of each.
    #[must_use]
    pub fn card(&self, place: String, files: Vec<FileRows>) -> Card {
        let classes = self.classes();
        let texts = texts::of(self.files, &self.division);
        let mut warnings = Vec::new();
        warnings.extend(warning::empty_texts(&files));
        if let Objective::Classification(objective) = &self.task.objective {
            let in_file = labels::counts(&self.files.train.labels(), &objective.labels);
            let of_labels = labels::warnings(&objective.label, &in_file);
            let too_small = labels::too_small(&classes, (self.splitting, self.task), &of_labels);
            // The check of the label column tells of single labels, where the sweep names the column.
            let is_number = |warning: &Warning| matches!(warning, Warning::Numbers { .. });
            warnings.extend(of_labels.into_iter().filter(is_number));
            warnings.extend(too_small);
        }
        warnings.extend(texts.warnings(self.splitting));
        Card {
            task: self.task.name.clone(),
            place,
            files,
            used: self.division.used_rows(self.files.validation.map_or(0, Examples::rows)),
            classes,
            texts,
            questions: self.questions(),
            lengths: Vec::new(),
            blocks: None,
            warnings,
        }
    }

    /// Adds the token lengths of the training rows to a card. `models` are those that read with this
    /// tokenizer, and `longest` is the longest sequence that all of them can read.
    ///
    /// # Errors
    /// Where the tokenizer rejects a text.
    pub fn measure(
        &self,
        card: &mut Card,
        tokenizer: &Tokenizer,
        (models, longest): (Vec<String>, usize),
    ) -> Result<(), PromptError> {
        match lengths::of(self, tokenizer)? {
            lengths::Measured::Rows(mut all) => {
                let Some(lengths) = Lengths::new(&mut all, self.task.max_length, models) else {
                    return Ok(());
                };
                let lengths = Lengths { of: self.division.used.len(), ..lengths };
                card.warnings.extend(lengths.warning(longest));
                card.lengths.push(lengths);
            }
            lengths::Measured::Text(blocks) => {
                if card.blocks.is_none() {
                    card.used = blocks.divide(self);
                    card.blocks = Some(blocks);
                }
            }
        }
        Ok(())
    }

    /// The rows of each class; none where there are no classes.
    fn classes(&self) -> Vec<ClassRows> {
        let names = self.task.objective.labels();
        let mut classes: Vec<ClassRows> = names
            .iter()
            .map(|name| ClassRows {
                name: name.clone(),
                folds: vec![0; if self.splitting.splits() > 1 { self.splitting.splits() } else { 0 }],
                ..ClassRows::default()
            })
            .collect();
        if names.is_empty() {
            return classes;
        }
        let train = self.files.train.labels();
        let class = |row: u32| train[row as usize] as usize;
        let Division { used, held_out, tested } = &self.division;
        used.iter().for_each(|row| classes[class(*row)].training += 1);
        for (fold, rows) in held_out.iter().enumerate() {
            for row in rows {
                let rows = &mut classes[class(used[*row as usize])];
                if rows.folds.is_empty() {
                    rows.training -= 1;
                    rows.validation += 1;
                } else {
                    rows.folds[fold] += 1;
                }
            }
        }
        let test = self.files.test.map_or(train.clone(), Examples::labels);
        tested.iter().for_each(|row| classes[test[*row as usize] as usize].test += 1);
        let validation = self.files.validation.map(Examples::labels).unwrap_or_default();
        validation.iter().for_each(|label| classes[*label as usize].validation += 1);
        classes
    }

    fn questions(&self) -> Option<Questions> {
        let Examples::Questions(all) = self.files.train else { return None };
        let used = || self.division.used.iter().map(|row| &all[*row as usize]);
        let contexts: std::collections::HashSet<&str> = used().map(|asked| asked.context.as_str()).collect();
        Some(Questions {
            contexts: contexts.len(),
            answers: used().map(|asked| asked.answers.len()).sum(),
            elsewhere: used()
                .filter(|asked| asked.answers.first().is_some_and(|answer| !asked.context.contains(answer)))
                .count(),
        })
    }
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
