//! Owns the choice of a first sweep's settings from the rows and their lengths: a few hundred optimiser steps,
//! ten validations, and minutes rather than hours on two cores. Pure, except that it reads the model folder's
//! configuration and tokenizer.

use std::path::Path;

use crate::families::{Architecture, Head, LinearShape, Pairs};
use crate::tokenizer::Tokenizer;

/// Intended number of optimiser steps of a trial.
const STEPS: usize = 250;
/// Validations of a trial.
const VALIDATIONS: usize = 10;
/// Longest sequence for which a first sweep is quick on a CPU, in tokens.
const LONGEST: usize = 128;
/// Training rows with which a first sweep is quick.
const MOST_ROWS: usize = 2_000;
/// Number of folds, if rows are few and each class has enough of them.
const FOLDS: usize = 3;
/// Most rows for which folds are worth their time: beyond, one held-out share is large enough for selection.
const FEW_ROWS: usize = 1_200;
/// Most tokens of all rows for which folds take minutes on two cores.
const FEW_TOKENS: usize = 70_000;
/// Most passes over the training rows: further ones only repeat what is memorised.
const MOST_EPOCHS: usize = 10;
/// Texts whose lengths are measured.
const MEASURED: usize = 2_000;
/// Number of top layers that get adapters, if a model has more layers.
const TOP_LAYERS: usize = 2;

/// A model, as far as its folder shows it.
#[derive(Debug, Default)]
pub(super) struct Model {
    tokenizer: Option<Tokenizer>,
    architecture: Option<Architecture>,
}

/// Lengths of the texts in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lengths {
    /// Length that 95 % of the texts do not exceed.
    pub(super) p95: usize,
    /// Whether the model's tokenizer counted the tokens; otherwise they are estimated from words.
    pub(super) counted: bool,
}

/// How the rows are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Division {
    /// Each row is held out once.
    Folds(usize),
    /// One row in this many is held out.
    HoldOut(usize),
}

/// The training settings of a first sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// Rows to draw, where there are more than a first sweep needs.
    pub(super) rows: Option<usize>,
    pub(super) division: Division,
    pub(super) batch: usize,
    pub(super) epochs: usize,
    /// Optimiser steps of a trial.
    pub(super) steps: usize,
    /// Optimiser steps between two validations.
    pub(super) evaluate_every: usize,
}

impl Model {
    /// The model in a folder; an unknown one where there is no folder or it cannot be read.
    pub(super) fn read(folder: Option<&Path>) -> Self {
        let Some(folder) = folder else { return Self::default() };
        let config = std::fs::read(folder.join("config.json")).ok();
        Self {
            tokenizer: Tokenizer::load(folder).ok(),
            architecture: config.and_then(|config| Architecture::from_config(&config).ok()),
        }
    }

    /// The lengths of texts or pairs of texts; `None` where there are none.
    pub(super) fn lengths(&self, texts: &[String], pairs: Option<&[String]>) -> Option<Lengths> {
        let step = texts.len().div_ceil(MEASURED).max(1);
        let some = |all: &[String]| all.iter().step_by(step).cloned().collect::<Vec<_>>();
        let (texts, pairs) = (some(texts), pairs.map(some));
        let encode =
            |tokenizer: &Tokenizer| tokenizer.encode_rows(&texts, pairs.as_deref(), usize::MAX / 2).ok();
        let counted = self.tokenizer.as_ref().and_then(encode);
        let mut lengths: Vec<usize> = match &counted {
            Some(rows) => rows.iter().map(|row| row.tokens.len()).collect(),
            None => (0..texts.len())
                .map(|row| tokens_of_words(&texts[row], pairs.as_ref().map(|pairs| pairs[row].as_str())))
                .collect(),
        };
        lengths.sort_unstable();
        let at = (lengths.len() * 95).div_ceil(100).checked_sub(1)?;
        Some(Lengths { p95: lengths[at], counted: counted.is_some() })
    }

    /// Longest sequence of a first sweep: enough for 95 % of the texts, as long as training stays quick.
    pub(super) fn max_length(&self, p95: usize) -> usize {
        let most = self.architecture.as_ref().map_or(LONGEST, |model| model.max_length().min(LONGEST));
        p95.next_multiple_of(8).max(16).min(most)
    }

    /// Targets for adapters in the top layers only, which is quick because all trials of a pack share the
    /// layers below. `None` where the model is too small for that to matter, or unknown.
    pub(super) fn top_targets(&self) -> Option<Vec<String>> {
        let model = self.architecture.as_ref().filter(|model| model.layers() > TOP_LAYERS + 1)?;
        let first = model.layers() - TOP_LAYERS;
        let all = model.default_lora_targets().iter().map(ToString::to_string).collect::<Vec<_>>();
        let from_number = |linear: LinearShape| {
            let layer = linear.place.layer().filter(|layer| *layer >= first)?;
            let at = linear.name.find(&format!(".{layer}."))?;
            Some(linear.name[at + 1..].to_owned())
        };
        let targets: Vec<String> =
            model.lora_targets(Head::LanguageModel, &all).into_iter().filter_map(from_number).collect();
        Some(targets).filter(|targets| !targets.is_empty())
    }

    /// Whether it can distinguish the two texts of a pair; assumed of an unknown model.
    pub(super) fn takes_pairs(&self) -> bool {
        self.architecture.as_ref().is_none_or(|model| model.pairs() == Pairs::Apart)
    }
}

/// Estimated number of tokens that an encoder makes of a text, special tokens included.
fn tokens_of_words(text: &str, pair: Option<&str>) -> usize {
    let words = |text: &str| {
        text.split_whitespace().count().max(text.chars().filter(|c| u32::from(*c) >= 0x2E80).count())
    };
    (words(text) + pair.map_or(0, |pair| words(pair) + 1)) * 13 / 10 + 2
}

impl Settings {
    /// Settings for a classification of `rows` rows of up to `max_length` tokens, whose smallest class has
    /// `smallest` rows.
    pub(super) fn classification(rows: usize, smallest: usize, max_length: usize) -> Self {
        let used = rows.min(MOST_ROWS);
        let enough = smallest >= 2 * FOLDS && used.saturating_mul(max_length) <= FEW_TOKENS;
        let division = if enough && used <= FEW_ROWS { Division::Folds(FOLDS) } else { Division::HoldOut(5) };
        Self::with(rows, used, division, &[4, 8, 16, 32])
    }

    /// Settings for texts or questions that a language model learns, as `sequences` sequences.
    pub(super) fn language(rows: usize, sequences: usize) -> Self {
        let used = sequences.min(MOST_ROWS);
        let rows = if used < sequences { rows } else { 0 };
        Self::with(rows, used, Division::HoldOut(10), &[4])
    }

    /// The smallest of these batch sizes, and the number of epochs, that give about the intended number of
    /// steps.
    fn with(rows: usize, used: usize, division: Division, batches: &[usize]) -> Self {
        let training = match division {
            Division::Folds(k) => used - used.div_ceil(k),
            Division::HoldOut(share) => used - used.div_ceil(share),
        }
        .max(1);
        let epochs_with = |batch: usize| ((STEPS * batch + training / 2) / training).max(1);
        // A few passes, so that every row is seen again at another learning rate.
        let enough = |batch: &&usize| epochs_with(**batch) >= 3;
        let batch = *batches.iter().find(enough).unwrap_or(&batches[batches.len() - 1]);
        let epochs = epochs_with(batch).min(MOST_EPOCHS);
        let steps = training.div_ceil(batch) * epochs;
        Self {
            rows: (used < rows).then_some(used),
            division,
            batch,
            epochs,
            steps,
            evaluate_every: (steps / VALIDATIONS).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_have_a_few_hundred_steps_and_at_least_eight_validations() {
        for rows in [60, 200, 500, 900, 1_000, 1_200, 1_500, 5_000, 1_000_000] {
            let settings = Settings::classification(rows, 20, 64);
            let Settings { steps, evaluate_every, epochs, batch, .. } = settings;
            assert!(steps >= 200 || (epochs == MOST_EPOCHS && batch == 4), "{rows}: {settings:?}");
            assert!(steps <= 500, "{rows}: {settings:?}");
            assert!(steps / evaluate_every >= 8, "{rows}: {settings:?}");
            assert_eq!(settings.rows, (rows > MOST_ROWS).then_some(MOST_ROWS));
        }
        let few = Settings::classification(900, 20, 64);
        assert_eq!((few.division, few.batch, few.epochs, few.steps), (Division::Folds(3), 8, 3, 225));
        assert_eq!(few.evaluate_every, 22);
        let long = Settings::classification(900, 20, 128);
        assert_eq!((long.division, long.batch, long.epochs, long.steps), (Division::HoldOut(5), 8, 3, 270));
    }

    #[test]
    fn a_class_that_is_too_small_for_folds_gets_one_held_out_share() {
        assert_eq!(Settings::classification(900, 5, 64).division, Division::HoldOut(5));
        assert_eq!(Settings::classification(900, 6, 64).division, Division::Folds(3));
    }

    #[test]
    fn lengths_are_counted_in_words_where_there_is_no_tokenizer() {
        let texts: Vec<String> = (1..=100).map(|words| vec!["word"; words].join(" ")).collect();
        let lengths = Model::default().lengths(&texts, None).unwrap();
        assert_eq!(lengths, Lengths { p95: 95 * 13 / 10 + 2, counted: false });
        assert_eq!(Model::default().lengths(&[], None), None);
        let length = |p95| Model::default().max_length(p95);
        assert_eq!([length(3), length(41), length(48), length(500)], [16, 48, 48, 128]);
    }
}
