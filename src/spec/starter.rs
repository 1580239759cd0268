//! Owns the starter sweep: a commented sweep file for the user's own data file, with settings that suit its
//! rows. Guesses the columns from the data; writes nothing.

mod columns;
mod guess;
mod lines;
mod settings;
mod words;

use std::path::Path;

use crate::data::sources::{self, SourceError, SurveyRequest};
use crate::tasks::{self, Fields, QuestionAnswering, TaskKind, Unanswerable};
use crate::values::quantity;

use self::columns::{Column, File};
use self::guess::Guess;
use self::lines::{
    decoder_grid, division, draw, encoder_grid, label_lines, line, listed, others, quoted_short, training,
};
use self::settings::{Model, Settings};
use super::tree::{self, Content};

/// What a starter sweep is made from.
#[derive(Clone, Copy, Debug)]
pub struct Starter<'a> {
    /// The data file, which is read.
    pub data: &'a Path,
    /// Its path, seen from the folder of the future sweep file.
    pub data_in_sweep: &'a Path,
    /// The model's path from the same folder, or its name on the hub.
    pub model: &'a Path,
    /// The model's folder, if it is on this machine: its tokenizer measures the texts.
    pub model_folder: Option<&'a Path>,
    /// The kind of task; if absent, the most likely label column decides between classes and numbers.
    pub kind: Option<&'static dyn TaskKind>,
}

/// The parts of a starter that depend on the kind of task.
struct Parts {
    kind: &'static dyn TaskKind,
    /// Why it has this kind, if the user did not choose it.
    reason: String,
    rows: usize,
    /// Names of the file's columns.
    columns: Vec<String>,
    /// The lines of `task` after `train`.
    task: String,
    settings: Settings,
    /// The blocks of the grid.
    grid: String,
}

impl Starter<'_> {
    /// Placeholder for a column whose name could not be guessed.
    pub const TO_CHANGE: &'static str = "CHANGE_ME";

    /// A commented sweep, with the keys that read the file. The label of a classification is guessed from the
    /// columns' names and their numbers of distinct values, the number of a regression from names and values,
    /// the text from the number of words.
    ///
    /// # Errors
    /// Where the data file cannot be read.
    pub fn text(&self) -> Result<String, SourceError> {
        let reading = sources::fitting(self.data, &[]);
        let file = File { path: self.data, reading: &reading };
        let model = Model::read(self.model_folder);
        let stem = self.data.file_stem().map(|stem| plain(&stem.to_string_lossy()));
        let data = quote(&self.data_in_sweep.to_string_lossy());
        let parts = match self.kind.map_or(Fields::columns_of(&[], &[], None), TaskKind::fields) {
            Fields::Texts { .. } => self.texts(file, &model)?,
            Fields::Words { .. } => words::parts(self.kind_or_default(), file, &model)?,
            Fields::Documents { .. } => Self::documents(self.kind_or_default(), file, &model)?,
            Fields::Questions { .. } => Self::questions(self.kind_or_default(), file)?,
            Fields::Conversations => Self::conversations(self.kind_or_default(), file, &model)?,
        };
        let (mut kind, mut keys) = (String::new(), String::new());
        line(&mut kind, &format!("kind: {}", parts.kind.name()), &parts.reason);
        for key in reading.keys() {
            let is_guess = key.starts_with("encoding");
            let what = if is_guess { "as it seems: are all letters right?" } else { "of this file" };
            line(&mut keys, &key, what);
        }
        Ok(format!(
            "\
# A sweep for {data}: {rows} rows, columns {columns}.
# Check it with `lorasweep check`, look at its cost with `lorasweep plan`, start it with `lorasweep run`.
# Paths are relative to this file.
name: {name}

task:
{kind}  train: {data}
{keys}{task}
models:
  base: {{from: {model}}}        # add `layers: 2` to keep the first layers only

# The union of blocks; each block is the product of its lists.
grid:
{grid}
{division}

# What no block varies. Each of these can be a list in a block instead.
training:
{training}
devices: auto           # or cpu:2 (two slots), cuda (every GPU), cuda:0 (that GPU), gpus:2 (any two)
",
            rows = quantity::count(parts.rows as u64),
            columns = one_line(&parts.columns.join(", ")),
            name = stem.unwrap_or_else(|| "sweep".to_owned()),
            task = parts.task,
            model = quote(&self.model.to_string_lossy()),
            grid = parts.grid,
            division = division(parts.kind, parts.settings.division),
            training = training(&parts.settings),
        ))
    }

    fn kind_or_default(&self) -> &'static dyn TaskKind {
        self.kind.or_else(|| tasks::kind(tasks::DEFAULT_KIND)).unwrap_or(tasks::KINDS[0])
    }

    /// The kind of task, the reason for it if the user did not choose it, and the columns for it.
    fn labelled(&self, columns: &[Column]) -> (&'static dyn TaskKind, String, Guess) {
        let kind = self.kind_or_default();
        let guess = Guess::labelled(columns, kind.fields().has_numbers());
        let with_numbers = tasks::KINDS.into_iter().find(|kind| kind.fields().has_numbers());
        let (None, Some(other)) = (self.kind, with_numbers) else { return (kind, String::new(), guess) };
        let numbers = Guess::labelled(columns, true);
        match &numbers.label {
            Some(label) if label.is_likelier_to_be_learned_than(guess.label.as_ref()) => {
                let reason = format!(
                    "{} holds numbers that measure something; `kind: {}` makes each a class",
                    quoted_short(&label.name),
                    kind.name()
                );
                (other, reason, numbers)
            }
            Some(_) | None => (kind, String::new(), guess),
        }
    }

    fn texts(&self, file: File<'_>, model: &Model) -> Result<Parts, SourceError> {
        let survey = look(file)?;
        let header = columns::without_header(file, &survey.columns);
        let names = header.as_ref().unwrap_or(&survey.columns);
        let rows = survey.rows + usize::from(header.is_some());
        let columns = columns::look(file, &survey.columns, names);
        let (kind, reason, mut guess) = self.labelled(&columns);
        if !model.takes_pairs() {
            guess.text.extend(guess.pair.take());
        }
        let mut task =
            String::from("  # test: test.csv      # evaluated once per trial, never used to select\n");
        if header.is_some() {
            let names: Vec<String> = names.iter().map(|name| quote(name)).collect();
            line(
                &mut task,
                &format!("columns: [{}]", names.join(", ")),
                "the file has no row with their names",
            );
        }
        line(&mut task, &format!("text: [{}]", listed(&guess.text)), "");
        if let Some(pair) = &guess.pair {
            line(&mut task, &format!("pair: {}", quote(pair)), "the second text of each row");
        }
        others(&mut task, "text", guess.other_texts.iter().map(|name| quote(name)).collect());
        task += &label_lines(&guess);
        let texts = guess.texts(file, (&survey.columns, names));
        if texts.0.iter().any(|text| text.trim().is_empty()) {
            let empty = texts.0.iter().filter(|text| text.trim().is_empty()).count();
            let what = format!("{} without text are left out", quantity::counted(empty, "row"));
            line(&mut task, "cleaning: {min_words: 1}", &what);
        }
        let lengths = model.lengths(&texts.0, texts.1.as_deref());
        let p95 = lengths.map_or(128, |lengths| lengths.p95);
        let by = if lengths.is_none_or(|lengths| lengths.counted) { "" } else { "about " };
        let max_length = model.max_length(p95);
        line(
            &mut task,
            &format!("max_length: {max_length}"),
            &format!("tokens; 95 % of the rows have up to {by}{p95}"),
        );
        let settings =
            Settings::classification(rows, guess.label.as_ref().map_or(0, Column::fewest), max_length);
        draw(&mut task, settings.rows, rows, 500);
        let columns = names.clone();
        Ok(Parts { kind, reason, rows, columns, task, settings, grid: encoder_grid(model) })
    }

    fn documents(kind: &'static dyn TaskKind, file: File<'_>, model: &Model) -> Result<Parts, SourceError> {
        const BLOCK: usize = 256;
        let survey = look(file)?;
        let columns = columns::look(file, &survey.columns, &survey.columns);
        let guess = Guess::text_alone(&columns);
        let texts = guess.texts(file, (&survey.columns, &survey.columns));
        // A token of English has about four bytes.
        let bytes: usize = texts.0.iter().map(String::len).sum();
        let blocks = (bytes / 4 / BLOCK).max(1);
        let mut task =
            String::from("  # test: test.txt      # evaluated once per trial, never used to select\n");
        line(&mut task, &format!("text: [{}]", listed(&guess.text)), "");
        others(&mut task, "text", guess.other_texts.iter().map(|name| quote(name)).collect());
        line(&mut task, "layout: blocks", "or documents: each row on its own");
        line(&mut task, &format!("max_length: {BLOCK}"), "tokens");
        let settings = Settings::language(survey.rows, blocks);
        let rows = settings.rows.map(|drawn| (survey.rows * drawn / blocks).max(1));
        draw(&mut task, rows, survey.rows, 1000);
        Ok(Parts {
            kind,
            reason: String::new(),
            rows: survey.rows,
            columns: survey.columns,
            task,
            settings,
            grid: decoder_grid(model),
        })
    }

    fn conversations(
        kind: &'static dyn TaskKind,
        file: File<'_>,
        model: &Model,
    ) -> Result<Parts, SourceError> {
        let request = SurveyRequest::as_it_is(file.path, Fields::Conversations);
        let survey = sources::survey(&SurveyRequest { reading: file.reading, ..request })?;
        let mut task =
            String::from("  # test: test.jsonl    # evaluated once per trial, never used to select\n");
        line(&mut task, "loss_on: assistant", "or all: the user's text is learned too");
        line(&mut task, "max_length: 512", "tokens; longer conversations lose their last turns");
        let settings = Settings::language(survey.rows, survey.rows);
        draw(&mut task, settings.rows, survey.rows, 500);
        Ok(Parts {
            kind,
            reason: String::new(),
            rows: survey.rows,
            columns: survey.columns,
            task,
            settings,
            grid: decoder_grid(model),
        })
    }

    fn questions(kind: &'static dyn TaskKind, file: File<'_>) -> Result<Parts, SourceError> {
        let fields = Fields::Questions { unanswerable: Some(&Unanswerable::Drop) };
        let request = SurveyRequest::as_it_is(file.path, fields);
        let survey = sources::survey(&SurveyRequest { reading: file.reading, ..request })?;
        let mut task =
            String::from("  # test: test.json     # evaluated once per trial, never used to select\n");
        if survey.left_out.unanswered > 0 {
            let open = quantity::counted(survey.left_out.unanswered, "question");
            line(&mut task, "unanswerable: drop", &format!("{open} without an answer; or a text to answer"));
        }
        let template = serde_json::Value::from(QuestionAnswering::TEMPLATE);
        line(&mut task, &format!("template: {template}"), "");
        line(&mut task, "max_new_tokens: 32", "longest answer");
        line(&mut task, "max_length: 384", "tokens");
        let settings = Settings::language(survey.rows, survey.rows);
        draw(&mut task, settings.rows, survey.rows, 500);
        let grid = decoder_grid(&Model::default());
        Ok(Parts {
            kind,
            reason: String::new(),
            rows: survey.rows,
            columns: survey.columns,
            task,
            settings,
            grid,
        })
    }
}

/// A look at the whole file.
fn look(file: File<'_>) -> Result<sources::Survey, SourceError> {
    let request = SurveyRequest::as_it_is(file.path, Fields::columns_of(&[], &[], None));
    sources::survey(&SurveyRequest { reading: file.reading, ..request })
}

/// Text that is safe in a comment.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(120).collect()
}

/// A YAML text with exactly this content (`null` and `2024` need quotes).
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '.' | '/' | '-');
    let reads_back = || match tree::parse(text).map(|node| node.content) {
        Ok(Content::Text(read)) => read == text,
        Ok(_) | Err(_) => false,
    };
    if text.chars().all(plain) && reads_back() {
        return text.to_owned();
    }
    // A JSON string is a valid double-quoted YAML string.
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
