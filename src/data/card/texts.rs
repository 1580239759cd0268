//! Owns the comparison of texts: repeated rows, rows with contradicting labels, rows used both for training and
//! for evaluation. Texts count as equal if they differ only in case and white space. Pure.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use rayon::prelude::*;

use super::Files;
use super::division::Division;
use crate::sweep::card::{Shared, Texts, Warning};
use crate::tasks::Examples;
use crate::values::{Part, Splitting};

/// In running text, headings and short lines repeat without being copies.
const FEWEST_WORDS_OF_A_DOCUMENT: usize = 10;
/// A few copies on both sides of a split change no score; more than this many percent do.
const COPIES_PERCENT: usize = 1;

/// What the texts of a task's rows have in common.
pub(super) fn of(files: Files<'_>, division: &Division) -> Texts {
    let keys = keys(files.train, &division.used);
    let labels = files.train.labels();
    let known: HashSet<u64> = keys.iter().flatten().copied().collect();
    let copies = keys.iter().flatten().count() - known.len();
    let (contradicting, contradicting_rows) =
        contradictions(keys.iter().zip(&division.used).map(|(key, row)| (*key, labels[*row as usize])));
    let among = |part, keys: &[Option<u64>], known: &HashSet<u64>| Shared {
        part,
        rows: keys.iter().flatten().filter(|key| known.contains(key)).count(),
        of: keys.len(),
    };
    let mut shared = Vec::new();
    match division.held_out.as_slice() {
        [] => {}
        [only] => {
            let held: HashSet<u32> = only.iter().copied().collect();
            let (validated, trained): (Vec<_>, Vec<_>) =
                (0..).zip(keys.iter().copied()).partition(|(row, _)| held.contains(row));
            let bare = |rows: Vec<(u32, Option<u64>)>| rows.into_iter().map(|(_, key)| key);
            let validated: Vec<_> = bare(validated).collect();
            shared.push(among(Part::Train, &validated, &bare(trained).flatten().collect()));
        }
        folds => shared.push(across(folds, &keys)),
    }
    if let Some(validation) = files.validation {
        let all: Vec<u32> = (0..).take(validation.rows()).collect();
        shared.push(among(Part::Validation, &self::keys(validation, &all), &known));
    }
    if !division.tested.is_empty() {
        let tested = self::keys(files.test.unwrap_or(files.train), &division.tested);
        shared.push(among(Part::Test, &tested, &known));
    }
    Texts { duplicates: copies, contradicting, contradicting_rows, shared }
}

/// Rows of all folds whose text occurs in another fold too, so that it is trained on while they are validated
/// on.
fn across(folds: &[Vec<u32>], keys: &[Option<u64>]) -> Shared {
    let mut fold_of: HashMap<u64, Option<usize>> = HashMap::new();
    for (fold, rows) in folds.iter().enumerate() {
        for key in rows.iter().filter_map(|row| keys[*row as usize]) {
            let known = fold_of.entry(key).or_insert(Some(fold));
            if *known != Some(fold) {
                *known = None;
            }
        }
    }
    let rows = keys.iter().flatten().filter(|key| fold_of.get(key) == Some(&None)).count();
    Shared { part: Part::Train, rows, of: keys.len() }
}

/// Number of texts with more than one label, and number of rows with such texts.
fn contradictions(rows: impl Iterator<Item = (Option<u64>, u32)>) -> (usize, usize) {
    let mut texts: HashMap<u64, (u32, bool, usize)> = HashMap::new();
    for (key, label) in rows {
        let Some(key) = key else { continue };
        let (first, mixed, count) = texts.entry(key).or_insert((label, false, 0));
        *mixed |= *first != label;
        *count += 1;
    }
    let mixed = texts.values().filter(|(_, mixed, _)| *mixed);
    mixed.fold((0, 0), |(texts, rows), (_, _, count)| (texts + 1, rows + count))
}

/// A key that is equal for rows with equal text; `None` for a row without one. Lines of a running text are not
/// texts of their own.
fn keys(examples: &Examples, rows: &[u32]) -> Vec<Option<u64>> {
    let rows = rows.par_iter().map(|row| *row as usize);
    match examples {
        Examples::Texts { texts, pairs: None, .. } => rows.map(|row| key(&[&texts[row]], 1)).collect(),
        Examples::Texts { texts, pairs: Some(pairs), .. } => {
            rows.map(|row| key(&[&texts[row], &pairs[row]], 1)).collect()
        }
        Examples::Words { words, .. } => rows.map(|row| key(&[&words[row].join(" ")], 1)).collect(),
        Examples::Documents(texts) => {
            rows.map(|row| key(&[&texts[row]], FEWEST_WORDS_OF_A_DOCUMENT)).collect()
        }
        Examples::Lines(_) => rows.map(|_| None).collect(),
        Examples::Questions(all) => {
            rows.map(|row| key(&[&all[row].context, &all[row].question], 1)).collect()
        }
        Examples::Conversations(all) => {
            let said = |row: usize| all[row].turns.iter().map(|turn| turn.content.as_str());
            rows.map(|row| key(&said(row).collect::<Vec<_>>(), 1)).collect()
        }
    }
}

fn key(texts: &[&str], fewest_words: usize) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    let mut words = 0;
    for text in texts {
        for word in text.to_lowercase().split_whitespace() {
            word.hash(&mut hasher);
            words += 1;
        }
        hasher.write_u8(0);
    }
    (words >= fewest_words).then(|| hasher.finish())
}

impl Texts {
    /// Warnings about them.
    pub(super) fn warnings(&self, splitting: &Splitting) -> Vec<Warning> {
        let folds = splitting.splits();
        let spoils = |shared: &&Shared| match shared.part {
            Part::Train => shared.rows * 100 > shared.of * COPIES_PERCENT,
            Part::Validation | Part::Test => shared.rows > 0,
        };
        let leaks = self.shared.iter().filter(spoils).map(|shared| Warning::Leak { shared: *shared, folds });
        let contradicting = (self.contradicting > 0)
            .then_some(Warning::Contradicting { texts: self.contradicting, rows: self.contradicting_rows });
        leaks.chain(contradicting).collect()
    }
}
