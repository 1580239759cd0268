//! Owns the second look at the data of a sweep without errors: its rows are read and tokenised for the data
//! cards. Only a part of large files is tokenised.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::data::card::{self, Look};
use crate::data::sources::{self, LeftOut, SourceError};
use crate::sweep::card::{Card, FileRows};
use crate::tasks::{DataFile, EncodeError, Task};
use crate::tokenizer::Tokenizer;
use crate::values::Part;

use super::check;
use super::error::{Problem, Report};
use super::raw::RawSweep;
use super::raw::task::RawTask;
use super::survey::{DataFacts, Survey, TaskFacts};
use crate::sweep::SweepParts;

/// Tokenizers by path, since tasks often share one.
type Tokenizers = HashMap<PathBuf, Tokenizer>;

/// The card of every task of a sweep without errors, in the tasks' order. Data that can no longer be read, or
/// cannot be tokenised, is an error.
pub(super) fn cards(raw: &RawSweep, survey: &Survey, sweep: &SweepParts, report: &mut Report) -> Vec<Card> {
    let mut tokenizers = Tokenizers::new();
    let mut cards = Vec::with_capacity(sweep.tasks.len());
    for (raw, facts) in raw.tasks.iter().zip(&survey.tasks) {
        let Some(task) = sweep.tasks.get(&raw.name.value) else { continue };
        let spot = report.sources.spot(raw.name.place);
        let place = format!("{}:{}:{}", spot.source, spot.line, spot.column);
        match card(task, facts, (sweep, place), &mut tokenizers) {
            Ok(card) => {
                if card.used.training == 0 {
                    let place = raw.train.as_ref().map_or(raw.place, |at| at.place);
                    report.warn(place, NOTHING_TO_TRAIN_ON.to_owned());
                }
                cards.push(card);
            }
            Err(fault) => note(&fault, raw, report),
        }
    }
    cards
}

/// For a text that is cut into blocks: all blocks of a short one may be held out.
const NOTHING_TO_TRAIN_ON: &str = "the text is too short: no block of `max_length` tokens is left to train on, and scores \
                                   mean nothing; use more text, or a smaller `max_length`";

/// Why there is no card.
enum Fault {
    Data(SourceError),
    Tokens(EncodeError),
}

fn note(fault: &Fault, raw: &RawTask, report: &mut Report) {
    let place = raw.train.as_ref().map_or(raw.place, |at| at.place);
    match fault {
        Fault::Data(error) => report.error(place, Problem::DataFile(error.to_string())).hint(error.hint()),
        Fault::Tokens(error) => report
            .error(place, Problem::DataFile(error.to_string()))
            .hint("use the tokenizer that belongs to the model, or correct the file"),
    };
}

fn card(
    task: &Task,
    facts: &TaskFacts,
    (sweep, place): (&SweepParts, String),
    tokenizers: &mut Tokenizers,
) -> Result<Card, Fault> {
    let read = |file: &DataFile| sources::read(file, task).map_err(Fault::Data);
    let train = read(&task.train)?;
    let validation = task.validation.as_ref().map(read).transpose()?;
    let test = task.test.as_ref().map(read).transpose()?;
    let files = card::Files { train: &train, validation: validation.as_ref(), test: test.as_ref() };
    let look = Look::new(task, &sweep.splitting, files);
    let mut card = look.card(place, file_rows(facts));
    let configurations = || sweep.configurations.iter().filter(|one| one.task == task.name);
    let models: BTreeSet<&str> = configurations().map(|one| one.model.as_str()).collect();
    for (path, (models, longest)) in by_tokenizer(&models, sweep) {
        if !tokenizers.contains_key(path) {
            let loaded = Tokenizer::load(path).map_err(|error| Fault::Tokens(error.into()))?;
            tokenizers.insert(path.to_path_buf(), loaded);
        }
        look.measure(&mut card, &tokenizers[path], (models, longest)).map_err(Fault::Tokens)?;
    }
    let steps = check::steps::warnings(&card, configurations().map(AsRef::as_ref));
    card.warnings.extend(steps);
    Ok(card)
}

/// For each tokenizer, the models that use it, and the longest sequence that all of them can read.
fn by_tokenizer<'a>(
    models: &BTreeSet<&str>,
    sweep: &'a SweepParts,
) -> BTreeMap<&'a Path, (Vec<String>, usize)> {
    let mut tokenizers = BTreeMap::new();
    for model in models.iter().filter_map(|name| sweep.models.get(*name)) {
        let (names, longest) =
            tokenizers.entry(model.tokenizer.as_path()).or_insert((Vec::new(), usize::MAX));
        names.push(model.name.clone());
        *longest = model.architecture.max_length().min(*longest);
    }
    tokenizers
}

/// The numbers of rows read and left out of each file.
fn file_rows(facts: &TaskFacts) -> Vec<FileRows> {
    let one = |part, facts: Option<&DataFacts>| {
        let facts = facts?;
        let survey = facts.found.as_ref().ok()?;
        Some(FileRows {
            part,
            path: facts.path.clone(),
            read: survey.rows_read,
            left_out: left_out(&survey.left_out),
            kept: survey.rows,
            empty: survey.empty_texts,
        })
    };
    [
        one(Part::Train, facts.train.as_ref()),
        one(Part::Validation, facts.validation.as_ref()),
        one(Part::Test, facts.test.as_ref()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The reasons that apply to some row, in words.
fn left_out(rows: &LeftOut) -> BTreeMap<String, usize> {
    let LeftOut { missing_label, dropped_label, few_words, rare_class, blank, unanswered } = *rows;
    let all = [
        ("no label", missing_label),
        ("label left out", dropped_label),
        ("too few words", few_words),
        ("rare class", rare_class),
        ("no text", blank),
        ("no answer", unanswered),
    ];
    let some = all.into_iter().filter(|(_, rows)| *rows > 0);
    some.map(|(reason, rows)| (reason.to_owned(), rows)).collect()
}
