//! Owns the computation of a data card: how many rows there are of each kind, what they have in common, and
//! their lengths. Works on rows in memory, with the same draws and splits as training; reads no file and prints
//! nothing. What could spoil a result is a [`Warning`].

mod division;
mod labels;
mod lengths;
mod numbers;
mod texts;

pub use self::labels::numbers;

use self::division::Division;
use crate::sweep::card::{
    Card, ClassRows, ClassesOf, FileRows, Lengths, Numbers, Questions, Texts, Warning, empty_texts,
};
use crate::tasks::{EncodeError, Examples, Fields, Target, Task};
use crate::tokenizer::Tokenizer;
use crate::values::{Part, Splitting};

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

    /// The card without lengths, which need a tokenizer. `files` has the counts of rows read from each file.
    #[must_use]
    pub fn card(&self, place: String, files: Vec<FileRows>) -> Card {
        let classes = self.classes();
        let texts = texts::of(self.files, &self.division);
        let mut warnings = Vec::new();
        warnings.extend(empty_texts(&files));
        if let Target::Class { column, .. } = self.task.objective.fields().target() {
            let in_file = labels::counts(&self.files.train.labels(), self.task.objective.labels());
            match labels::numbers(column, &in_file) {
                // For a column of numbers, this one warning is enough.
                Some(numbers) => warnings.push(numbers),
                None => warnings.extend(labels::of_one_row(&classes, self.splitting)),
            }
            warnings.extend(labels::unevenly_divided(&classes, self.splitting, self.task));
        }
        let numbers = self.numbers();
        warnings.extend(numbers.as_ref().and_then(Numbers::warning));
        warnings.extend(texts.warnings(self.splitting));
        warnings.extend(self.same_files(&texts));
        Card {
            task: self.task.name.clone(),
            place,
            files,
            used: self.division.used_rows(self.files.validation.map_or(0, Examples::rows)),
            classes,
            classes_of: self.classes_of(),
            numbers,
            texts,
            questions: self.questions(),
            lengths: Vec::new(),
            blocks: None,
            warnings,
        }
    }

    /// Adds the token lengths of the training rows to a card. `models` are the models with this tokenizer, and
    /// `longest` is the longest sequence that all of them can read.
    ///
    /// # Errors
    /// Where the tokenizer rejects a text.
    pub fn measure(
        &self,
        card: &mut Card,
        tokenizer: &Tokenizer,
        (models, longest): (Vec<String>, usize),
    ) -> Result<(), EncodeError> {
        match lengths::of(self, tokenizer)? {
            lengths::Lined::Rows(mut all) => {
                let Some(lengths) = Lengths::new(&mut all, self.task.max_length, models) else {
                    return Ok(());
                };
                let lengths = Lengths { of: self.division.used.len(), ..lengths };
                card.warnings.extend(lengths.warning(longest));
                card.warnings.extend(lengths::unfit(self, tokenizer)?);
                card.lengths.push(lengths);
            }
            lengths::Lined::Text(blocks) => {
                if card.blocks.is_none() {
                    card.used = blocks.divide(self);
                    card.blocks = Some(blocks);
                }
            }
        }
        Ok(())
    }

    /// Warnings about validation and test files that are the training file, for running text, where a
    /// comparison of texts does not show it.
    fn same_files(&self, texts: &Texts) -> Vec<Warning> {
        let is_told = |part: Part| texts.shared.iter().any(|shared| shared.part == part && shared.rows > 0);
        let files = [(Part::Validation, &self.task.validation), (Part::Test, &self.task.test)];
        let same = files.into_iter().filter(|(part, file)| {
            file.as_ref().is_some_and(|file| file.content == self.task.train.content) && !is_told(*part)
        });
        same.map(|(part, _)| Warning::SameFile { part }).collect()
    }

    fn classes_of(&self) -> ClassesOf {
        match self.task.objective.fields() {
            Fields::Texts { target: Target::Classes { .. }, .. } => ClassesOf::Sets,
            Fields::Words { .. } => ClassesOf::Words,
            Fields::Texts { .. }
            | Fields::Documents { .. }
            | Fields::Questions { .. }
            | Fields::Conversations => ClassesOf::Rows,
        }
    }

    /// The rows of each class; empty where there are no classes.
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
        let train = self.files.train;
        let Division { used, held_out, tested } = &self.division;
        let mut count = |rows: &Examples, row: u32, add: &dyn Fn(&mut ClassRows)| {
            rows.classes(row as usize).iter().for_each(|class| add(&mut classes[*class as usize]));
        };
        used.iter().for_each(|row| count(train, *row, &|class| class.training += 1));
        for (fold, rows) in held_out.iter().enumerate() {
            for row in rows {
                count(train, used[*row as usize], &|class| match class.folds.get_mut(fold) {
                    Some(rows) => *rows += 1,
                    None => {
                        class.training -= 1;
                        class.validation += 1;
                    }
                });
            }
        }
        let test = self.files.test.unwrap_or(train);
        tested.iter().for_each(|row| count(test, *row, &|class| class.test += 1));
        if let Some(validation) = self.files.validation {
            let rows = (0..).take(validation.rows());
            rows.for_each(|row| count(validation, row, &|class| class.validation += 1));
        }
        classes
    }

    /// The target numbers of the training and validation rows.
    fn numbers(&self) -> Option<Numbers> {
        let all = self.files.train.numbers()?;
        let used = self.division.used.iter().map(|row| all[*row as usize]).collect();
        Numbers::of(self.task.objective.fields().target().column()?, used)
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
