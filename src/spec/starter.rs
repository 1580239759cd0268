//! Owns the starter sweep: a commented sweep file for one's own data file. Guesses the columns from
//! the data; writes nothing.

use std::path::Path;

use crate::data::sources::{self, Fields, SourceError, SurveyRequest};

use super::keys;
use super::tree::{self, Content};

/// Most classes that a label column is thought to have.
const MOST_CLASSES: usize = 200;

/// What a starter sweep is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StarterKind {
    /// A label for each text.
    Classification,
    /// The next token of running text.
    LanguageModelling,
    /// Answers to questions about texts.
    QuestionAnswering,
}

/// What a starter sweep is made from.
#[derive(Clone, Copy, Debug)]
pub struct Starter<'a> {
    /// The data file, which is read.
    pub data: &'a Path,
    /// Its path as seen from where the sweep file will stand.
    pub data_in_sweep: &'a Path,
    /// The model's path as seen from there, or its name on the hub.
    pub model: &'a Path,
    /// The task.
    pub kind: StarterKind,
}

impl Starter<'_> {
    /// A commented sweep. For classification the label is guessed to be the column with the fewest
    /// distinct values (at least two), the text the column with the longest values.
    ///
    /// # Errors
    /// Where the data file cannot be read.
    pub fn text(&self) -> Result<String, SourceError> {
        let survey = self.survey()?;
        let stem = self.data.file_stem().map(|stem| plain(&stem.to_string_lossy()));
        let columns = one_line(&survey.columns.join(", "));
        let data = quote(&self.data_in_sweep.to_string_lossy());
        Ok(format!(
            "\
# A sweep for {data}: {rows} rows, columns {columns}.
# Check it with `lorasweep check`, look at its cost with `lorasweep plan`, start it with `lorasweep run`.
# Paths are relative to this file.
name: {name}

{task}
models:
  base: {{from: {model}}}        # add `layers: 2` to keep the first layers only

# The union of blocks; each block is the product of its lists.
grid:
  - method: lora
    model: base
    rank: [4, 16]
    alpha: [16, 32]
    learning_rate: [2e-3, 5e-3]
  - method: full
    model: base
    learning_rate: 2e-4

{division}

# What no block varies. Each of these can be a list in a block instead.
training:
  epochs: 1
  batch_size: {batch}
  schedule: linear
  warmup: 0.06
  evaluate_every: 25    # optimiser steps
  seed: 42

devices: auto           # or cpu:2, cuda, cuda:1
",
            rows = survey.rows,
            name = stem.unwrap_or_else(|| "sweep".to_owned()),
            task = self.task(&data, &survey),
            model = quote(&self.model.to_string_lossy()),
            division = match self.kind {
                StarterKind::Classification => {
                    "# Each configuration trains k times, every time with another fold held out to select on.\n\
                     kfold: {k: 3, stratified: true, seed: 42}"
                }
                StarterKind::LanguageModelling | StarterKind::QuestionAnswering => {
                    "# A share of the rows is held out to select on; `kfold: {k: 3}` takes turns instead.\n\
                     split: {fraction: 0.1, seed: 42}"
                }
            },
            batch = if self.kind == StarterKind::Classification { 32 } else { 4 },
        ))
    }

    fn survey(&self) -> Result<sources::Survey, SourceError> {
        match self.kind {
            StarterKind::QuestionAnswering => {
                let fields = Fields::Questions { unanswerable: None };
                sources::survey(&SurveyRequest::as_it_is(self.data, fields))
            }
            StarterKind::Classification | StarterKind::LanguageModelling => look(self.data, &[], None),
        }
    }

    fn task(&self, data: &str, survey: &sources::Survey) -> String {
        let (needs, length) = match self.kind {
            StarterKind::Classification => {
                let label = label(self.data, survey);
                let text = quote(&text(self.data, survey, label.as_ref()));
                let (label, classes) = label.unwrap_or_else(|| ("CHANGE_ME".to_owned(), Vec::new()));
                let (label, classes) = (quote(&label), described(&classes));
                (format!("  text: [{text}]\n  label: {label}        # {classes}\n"), 128)
            }
            StarterKind::LanguageModelling => {
                let text = quote(&text(self.data, survey, None));
                (
                    format!(
                        "  text: [{text}]\n  layout: blocks        # or documents: each row on its own\n"
                    ),
                    256,
                )
            }
            StarterKind::QuestionAnswering => {
                let template = serde_json::Value::from(keys::TEMPLATE);
                (format!("  template: {template}\n  max_new_tokens: 32    # longest answer\n"), 384)
            }
        };
        let kind = match self.kind {
            StarterKind::Classification => keys::CLASSIFICATION,
            StarterKind::LanguageModelling => keys::LANGUAGE_MODELLING,
            StarterKind::QuestionAnswering => keys::QUESTION_ANSWERING,
        };
        format!(
            "\
task:
  kind: {kind}
  train: {data}
  # test: test.csv      # evaluated once per trial, never used to select
{needs}  max_length: {length}       # tokens
  # rows: 1000          # draw so many training rows, for a first quick look
"
        )
    }
}

/// The column with the fewest distinct values, if it can be a label, and these values.
fn label(data: &Path, survey: &sources::Survey) -> Option<(String, Vec<String>)> {
    let classes_of = |column: &String| {
        // A column with an empty value is no label; that is all an error means here.
        let found = look(data, &[], Some(column)).ok()?;
        let count = found.label_names.len();
        ((2..=MOST_CLASSES).contains(&count) && count < survey.rows)
            .then(|| (column.clone(), found.label_names))
    };
    survey.columns.iter().filter_map(classes_of).min_by_key(|(_, classes)| classes.len())
}

/// The column other than the label with the longest values.
fn text(data: &Path, survey: &sources::Survey, label: Option<&(String, Vec<String>)>) -> String {
    let length = |column: &String| look(data, std::slice::from_ref(column), None).map_or(0, |s| s.text_bytes);
    let others = survey.columns.iter().filter(|column| label.is_none_or(|(label, _)| *column != label));
    others.max_by_key(|column| length(column)).cloned().unwrap_or_else(|| "CHANGE_ME".to_owned())
}

/// A look at some of the columns.
fn look(data: &Path, text: &[String], label: Option<&str>) -> Result<sources::Survey, SourceError> {
    sources::survey(&SurveyRequest::as_it_is(data, Fields::columns_of(text, &[], label)))
}

fn described(classes: &[String]) -> String {
    match classes {
        [] => "name the column with the label".to_owned(),
        [first, .., last] => one_line(&format!("{} classes, from {first} to {last}", classes.len())),
        [only] => one_line(only),
    }
}

/// Text that is safe in a comment.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(120).collect()
}

/// A YAML text that means just this, whatever is in it (`null` and `2024` need quotes).
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '.' | '/' | '-');
    let reads_back = || match tree::parse(text).map(|node| node.content) {
        Ok(Content::Text(read)) => read == text,
        Ok(_) | Err(_) => false,
    };
    if text.chars().all(plain) && reads_back() {
        return text.to_owned();
    }
    // A JSON string is a YAML double-quoted one.
    serde_json::Value::from(text).to_string()
}

/// A folder name made from a file's.
fn plain(stem: &str) -> String {
    let name: String = stem.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    let name = name.trim_matches('-').to_lowercase();
    if name.is_empty() { "sweep".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_texts_read_back_as_they_are() {
        for text in [
            "a b",
            "null",
            "2024",
            "true",
            "a: b",
            "#x",
            "- x",
            " x ",
            "",
            "it's \"so\"",
            "ü\n\t",
            "../a.csv",
        ] {
            let sweep = format!("key: [{}]        # comment", quote(text));
            let Content::Map(entries) = tree::parse(&sweep).unwrap().content else { panic!("{sweep}") };
            let Content::List(items) = &entries[0].value.content else { panic!("{sweep}") };
            assert!(matches!(&items[0].content, Content::Text(read) if read == text), "{sweep}");
        }
    }
}
