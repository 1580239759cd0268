//! Owns tagging: a tag for each word of a text, such as the names in it; cross-entropy on each word's first token, as
//! transformers' token classification has it, and the scores of spans as seqeval has them. Reads no file and trains
//! nothing.
//!
//! A row's target lists two numbers for each word: its tag, and the token that carries it, or [`CUT`].

mod spans;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::spans::Scheme;
use super::keys::{Given, KeyFault, KeyValue, TaskKey};
use super::kind::{
    Answered, Constant, EncodeError, EncodedRow, Encoder, Measured, Prediction, Row, Tally, TargetFacts,
    TaskKind, TrialTargets, Words,
};
use super::{Classes, Examples, Fields, Objective, Purpose, RowTarget};
use crate::families::Head;
use crate::tokenizer::Placed;
use crate::values::{Count, JudgedRow, Metric, Reference, RowAnswer, Scores, TrialResult, quantity};

pub use self::spans::is_unbegun;

const NAME: &str = "tagging";

/// In place of a token, for a word that has none: `max_length` cut it off.
const CUT: u32 = Placed::CUT;

/// A tag for each word of a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tagging {
    /// Column with the words: lists, or words between blanks.
    pub words: String,
    /// Column with the tags, written as the words are.
    pub tags: String,
    /// Names of the tags after the map, in the order of their indices.
    pub labels: Vec<String>,
    /// From a tag in the file to its name; tags that are not in it keep theirs.
    pub label_map: BTreeMap<String, String>,
}

const KEYS: &[TaskKey] = &[
    TaskKey::required(
        "words",
        KeyValue::Column,
        "Column with the words of a text: a list, or words between blanks",
    ),
    TaskKey::required("tags", KeyValue::Column, "Column with a tag for each of the words"),
    TaskKey::optional(
        "labels",
        KeyValue::Labels,
        "Names of tags: {value: name} renames and merges; a list names 0, 1, 2 … in order",
    ),
];

const METRICS: &[Metric] =
    &[Metric::F1, Metric::Precision, Metric::Recall, Metric::TokenAccuracy, Metric::Loss];
/// Of tags that are not parts of spans, such as parts of speech.
const OF_WORDS: &[Metric] = &[Metric::TokenAccuracy, Metric::Loss];

const WORDS: Words = Words {
    loss_unit: "nats per word",
    shown: METRICS,
    headline: &[Metric::F1, Metric::Precision, Metric::Recall, Metric::TokenAccuracy],
    metrics_note: Some(
        "F1, precision and recall count whole spans, right in their type and both ends, over all rows, as seqeval has \
         them; token accuracy counts words. A word that `max_length` cuts off is answered `O`. Loss is taken on the \
         first token of each word.",
    ),
    baseline: Some("most frequent tag"),
    baseline_note: "The most frequent tag is the one that most words of the training rows have ({}); its row is what \
                    always answering it scores on the very same rows, with the loss of answering the tags' shares of \
                    these words.",
    constant: Constant {
        does: "answers one tag",
        do_plural: "answer one tag",
        what: "one tag",
        note: Some(
            "A trial answers one tag where it gives every word the same one. Configurations that do so on all folds \
             are neither tested nor ranked among themselves.",
        ),
    },
};

impl Tagging {
    /// Without any settings.
    pub const EMPTY: Self =
        Self { words: String::new(), tags: String::new(), labels: Vec::new(), label_map: BTreeMap::new() };
}

impl TaskKind for Tagging {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "A tag for each word of a text"
    }

    fn keys(&self) -> &'static [TaskKey] {
        KEYS
    }

    fn faults(&self, given: &Given) -> Vec<KeyFault> {
        let same = given.text("words").is_some() && given.text("words") == given.text("tags");
        let fault = KeyFault::Value {
            key: "tags",
            found: "the column of the words".to_owned(),
            allowed: "another column",
        };
        same.then_some(fault).into_iter().collect()
    }

    fn objective(&self, given: &Given, classes: Classes) -> Option<Objective> {
        Some(Objective::Tagging(Self {
            words: given.text("words").unwrap_or_default().to_owned(),
            tags: given.text("tags").unwrap_or_default().to_owned(),
            labels: classes.labels,
            label_map: classes.map,
        }))
    }

    fn fields(&self) -> Fields<'_> {
        Fields::Words { words: &self.words, tags: &self.tags, map: &self.label_map }
    }

    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn head(&self) -> Head {
        Head::Tagger { labels: self.labels.len() }
    }

    fn encode(&self, rows: &Examples, by: Encoder<'_>) -> Result<Vec<EncodedRow>, EncodeError> {
        let Examples::Words { words, tags } = rows else { unreachable!("rows are read as words") };
        let placed = by.tokenizer.encode_words(words, by.max_length)?;
        let row = |(Placed { sequence, first }, tags): (Placed, &Vec<u32>)| EncodedRow {
            sequence,
            target: RowTarget::List(tags.iter().copied().zip(first).flat_map(<[u32; 2]>::from).collect()),
            answers: Vec::new(),
        };
        Ok(placed.into_iter().zip(tags).map(row).collect())
    }

    fn measure(&self, rows: &Examples, by: Encoder<'_>) -> Result<Measured, EncodeError> {
        let Examples::Words { words, .. } = rows else { unreachable!("rows are read as words") };
        let texts: Vec<String> = words.iter().map(|words| words.join(" ")).collect();
        super::labelled::lengths(&texts, None, by)
    }

    fn predictions(&self, row: Row<'_>) -> Option<Vec<Prediction>> {
        let seen = words(row).filter(|[_, token]| *token != CUT);
        Some(seen.map(|[wanted, reads]| Prediction { reads, wanted }).collect())
    }

    /// The most probable tag.
    #[cfg(feature = "torch")]
    fn answers(&self, outputs: &tch::Tensor) -> Option<tch::Tensor> {
        Some(outputs.argmax(-1, true))
    }

    fn metrics(&self) -> &'static [Metric] {
        let are_spans = self.labels.is_empty() || Scheme::of(&self.labels).is_some();
        if are_spans { METRICS } else { OF_WORDS }
    }

    fn tally(&self) -> Box<dyn Tally + '_> {
        Box::new(Tags::of(&self.labels))
    }

    fn is_constant(&self, scores: &Scores) -> bool {
        scores.count(Count::Answers) == Some(1) && scores.count(Count::Tokens) > Some(1)
    }

    fn target_facts(&self, targets: &TrialTargets<'_>) -> TargetFacts {
        let mut counts = vec![0_u64; self.labels.len()];
        targets.train.iter().flat_map(|row| tags(*row)).for_each(|tag| counts[tag as usize] += 1);
        let most = counts.iter().max().and_then(|most| counts.iter().position(|count| count == most));
        let scores = |rows: &[RowTarget<&[u32]>]| constant(&self.labels, most?, &counts, rows);
        let baseline = scores(&targets.validation).map(|validation| Reference {
            answer: most.and_then(|most| self.labels.get(most)).cloned().unwrap_or_default(),
            validation,
            test: scores(&targets.test),
        });
        TargetFacts { class_rows: None, baseline }
    }

    fn baseline(&self, result: &TrialResult) -> Option<Reference> {
        result.baseline.clone()
    }

    fn purpose(&self) -> Purpose {
        Purpose::Tagging { labels: self.labels.clone() }
    }

    fn words(&self) -> &'static Words {
        &WORDS
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("tags", quantity::listed(&self.labels))]
    }

    fn data_told(&self) -> Option<String> {
        let tags = quantity::counted(self.labels.len(), "tag");
        Some(format!("with {tags} in `{}`, words from `{}`", self.tags, self.words))
    }
}

/// The tag of each word of a row, and the token that carries it.
fn words(row: Row<'_>) -> impl Iterator<Item = [u32; 2]> + '_ {
    row.target.list().as_chunks().0.iter().copied()
}

/// The tags of a row's words.
fn tags(target: RowTarget<&[u32]>) -> impl Iterator<Item = u32> + '_ {
    target.list().as_chunks::<2>().0.iter().map(|[tag, _]| *tag)
}

/// The scores of always answering one tag, with the tags' shares of the training words; `None` without any row.
#[expect(clippy::cast_precision_loss, reason = "word counts are far below 2^52")]
fn constant(labels: &[String], answer: usize, counts: &[u64], rows: &[RowTarget<&[u32]>]) -> Option<Scores> {
    let (mut tally, all) = (Tags::of(labels), counts.iter().sum::<u64>().max(1) as f64);
    let answer = u32::try_from(answer).ok()?;
    for row in rows {
        let target: Vec<u32> = tags(*row).collect();
        // A tag that no training word has is counted as if one had it, since its loss would be infinite.
        let losses: Vec<f64> =
            target.iter().map(|tag| -(counts[*tag as usize].max(1) as f64 / all).ln()).collect();
        tally.count(0, vec![answer; target.len()], target, &losses);
    }
    (!rows.is_empty()).then(|| tally.scores())
}

/// Counts of words and spans, with the summed loss.
#[derive(Clone, Debug)]
struct Tags<'a> {
    labels: &'a [String],
    /// How tags make spans; `None` where they do not.
    scheme: Option<Scheme>,
    loss: f64,
    /// Words that have a loss.
    seen: u64,
    words: u64,
    right_words: u64,
    /// Spans that are there, that were answered, and that are both.
    spans: [u64; 3],
    answers: BTreeSet<u32>,
    rows: Vec<JudgedRow>,
}

impl<'a> Tags<'a> {
    fn of(labels: &'a [String]) -> Self {
        Self {
            labels,
            scheme: Scheme::of(labels),
            loss: 0.0,
            seen: 0,
            words: 0,
            right_words: 0,
            spans: [0; 3],
            answers: BTreeSet::new(),
            rows: Vec::new(),
        }
    }

    /// Counts a row with the tags answered, [`RowAnswer::CUT`] for words that were cut off, and the right ones.
    fn count(&mut self, index: u32, predicted: Vec<u32>, target: Vec<u32>, losses: &[f64]) {
        let loss: f64 = losses.iter().sum();
        self.loss += loss;
        self.seen += losses.len() as u64;
        self.words += target.len() as u64;
        let outside = self.scheme.as_ref().and_then(|scheme| scheme.outside);
        let told = |tag: &u32| if *tag == RowAnswer::CUT { outside } else { Some(*tag) };
        let answered: Vec<Option<u32>> = predicted.iter().map(told).collect();
        self.answers.extend(answered.iter().flatten());
        let right = answered.iter().zip(&target).filter(|(answer, truth)| **answer == Some(**truth));
        self.right_words += right.count() as u64;
        if let Some(scheme) = &self.scheme {
            let there = scheme.spans(target.iter().map(|tag| Some(*tag)));
            let given = scheme.spans(answered.into_iter());
            let both = there.intersection(&given).count();
            for (sum, more) in self.spans.iter_mut().zip([there.len(), given.len(), both]) {
                *sum += more as u64;
            }
        }
        let tokens = u32::try_from(losses.len()).expect("rows are short");
        self.rows.push(JudgedRow { row: index, loss, answer: RowAnswer::Tags { predicted, target, tokens } });
    }
}

impl Tally for Tags<'_> {
    fn add(&mut self, row: &Answered<'_>) {
        let mut answers = row.answers.iter();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a tag's index")]
        let mut answer =
            |[_, token]: [u32; 2]| if token == CUT { None } else { answers.next().map(|tag| *tag as u32) };
        let predicted = words(row.row).map(|word| answer(word).unwrap_or(RowAnswer::CUT)).collect();
        self.count(row.index, predicted, tags(row.row.target).collect(), row.losses);
    }

    fn take_rows(&mut self) -> Vec<JudgedRow> {
        std::mem::take(&mut self.rows)
    }

    /// Zeros where nothing was counted, as seqeval has it where there are no spans.
    #[expect(clippy::cast_precision_loss, reason = "word counts are far below 2^52")]
    fn scores(&self) -> Scores {
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let [there, given, both] = self.spans;
        let scores = Scores::of(NAME)
            .with(Metric::Loss, self.loss / self.seen.max(1) as f64)
            .with(Metric::TokenAccuracy, share(self.right_words, self.words))
            .with_count(Count::Tokens, self.seen)
            .with_count(Count::Answers, self.answers.len() as u64);
        if self.scheme.is_none() && !self.labels.is_empty() {
            return scores;
        }
        scores
            .with(Metric::Precision, share(both, given))
            .with(Metric::Recall, share(both, there))
            .with(Metric::F1, share(2 * both, there + given))
    }
}

#[cfg(test)]
mod tests;
