//! Owns the task of a starter sweep for tagging: which columns hold words and tags. Writes nothing.

use crate::data::sources::{self, SourceError, SurveyRequest};
use crate::tasks::{Fields, TaskKind};

use super::columns::File;
use super::lines::{draw, encoder_grid, line, listed};
use super::settings::{Model, Settings};
use super::{Parts, look};

/// What files call their words.
const WORDS: [&str; 5] = ["words", "tokens", "word", "token", "text"];
/// What files call their tags.
const TAGS: [&str; 7] = ["tags", "ner_tags", "ner", "labels", "tag", "label", "pos_tags"];

/// The parts of a starter for tags of words.
pub(super) fn parts(
    kind: &'static dyn TaskKind,
    file: File<'_>,
    model: &Model,
) -> Result<Parts, SourceError> {
    let survey = look(file)?;
    let named = |names: &[&str]| {
        let found = names.iter().find(|name| survey.columns.iter().any(|column| column == *name));
        found.map(ToString::to_string).into_iter().collect::<Vec<_>>()
    };
    let (words, tags) = (named(&WORDS), named(&TAGS));
    let mut task = String::from("  # test: test.conll    # evaluated once per trial, never used to select\n");
    line(&mut task, &format!("words: {}", listed(&words)), "lists, or words between blanks");
    line(&mut task, &format!("tags: {}", listed(&tags)), &counted(file, &words, &tags));
    line(&mut task, "max_length: 128", "tokens; what is cut off counts as missed");
    let settings = Settings::classification(survey.rows, survey.rows, 128);
    draw(&mut task, settings.rows, survey.rows, 500);
    let grid = encoder_grid(model);
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

/// How many different tags there are, where the columns can be read.
fn counted(file: File<'_>, words: &[String], tags: &[String]) -> String {
    let ([words], [tags]) = (words, tags) else { return "a tag for each word".to_owned() };
    let fields = Fields::Words { words, tags, map: &std::collections::BTreeMap::new() };
    let request = SurveyRequest { reading: file.reading, ..SurveyRequest::as_it_is(file.path, fields) };
    match sources::survey(&request) {
        Ok(found) => format!("{} different tags", found.label_names.len()),
        Err(_) => "a tag for each word".to_owned(),
    }
}
