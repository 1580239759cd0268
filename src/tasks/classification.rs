//! Owns classification: one label per text, or per pair of texts; cross-entropy over the classes, and
//! scikit-learn's metrics. Reads no file and trains nothing.

mod confusion;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::confusion::{Confusion, constant};
use super::keys::{Given, KeyFault, KeyValue, TaskKey};
use super::kind::{
    Constant, EncodeError, EncodedRow, Encoder, Measured, Tally, TargetFacts, TaskKind, TrialTargets, Words,
};
use super::{Classes, Examples, Fields, Objective, Problem, Purpose, RowTarget, Target, labelled};
use crate::families::Head;
use crate::values::{ClassRows, Metric, Reference, Scores, TrialResult, quantity};

const NAME: &str = "classification";

/// One label per text, or per pair of texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classification {
    /// Columns that make up the text, joined by one space in this order.
    pub text: Vec<String>,
    /// Columns that make up the second text of a pair; empty for single texts.
    pub pair: Vec<String>,
    /// Column that holds the label.
    pub label: String,
    /// Class names after the map, in the order of their indices.
    pub labels: Vec<String>,
    /// From a class in the file to the class's name: renames, and merges where names repeat. Values that are
    /// not in it keep their name.
    pub label_map: BTreeMap<String, String>,
    /// Labels in the file whose rows are left out; includes the empty text if rows without a label are left
    /// out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub dropped_labels: BTreeSet<String>,
    /// How much each class counts in the training loss; the same where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
}

/// How much each class counts in the training loss. Validation and test count every row the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// In inverse proportion to its rows among those that a trial trains on, so that all classes together count
    /// the same: rows by classes and by rows of the class, as scikit-learn's `class_weight="balanced"` has it.
    Balanced,
    /// By its name; 1 for a class that is not named.
    Named(BTreeMap<String, f64>),
}

/// The word for weights in inverse proportion to the classes' rows.
const BALANCED: &str = "balanced";
const WEIGHTS: &str = "class_weights";

const KEYS: &[TaskKey] = &[
    TaskKey::TEXT,
    TaskKey::PAIR,
    TaskKey::required("label", KeyValue::Column, "Column with the label"),
    TaskKey::optional(
        "labels",
        KeyValue::Labels,
        "Class names: {value: name} renames and merges, {value: drop} leaves rows out (\"\" is a missing label); \
         a list names 0, 1, 2 … in order",
    ),
    TaskKey::optional(
        WEIGHTS,
        KeyValue::Weights(&[BALANCED]),
        "How much each class counts in the training loss: balanced, in inverse proportion to its training rows, or \
         {name: weight} (default: all the same)",
    ),
];

const METRICS: &[Metric] = &[
    Metric::Accuracy,
    Metric::MacroF1,
    Metric::MacroPrecision,
    Metric::MacroRecall,
    Metric::WeightedF1,
    Metric::Matthews,
    Metric::Loss,
    Metric::Auroc,
];

const WORDS: Words = Words {
    loss_unit: "nats per row",
    shown: &[Metric::Accuracy, Metric::MacroF1],
    headline: &[Metric::Accuracy],
    metrics_note: None,
    baseline: Some("majority class"),
    baseline_note: "The majority class is the one that most training rows have ({}); its row is what always \
                    answering it scores on the very same rows, with the loss of answering the classes' shares of \
                    the training rows.",
    constant: Constant {
        does: "answers one class",
        do_plural: "answer one class",
        what: "one class",
        note: Some(
            "A trial answers one class where its macro averages are those of one answer to every row. \
             Configurations that do so on all folds are neither tested nor ranked among themselves.",
        ),
    },
};

impl Classification {
    /// Without any settings.
    pub const EMPTY: Self = Self {
        text: Vec::new(),
        pair: Vec::new(),
        label: String::new(),
        labels: Vec::new(),
        label_map: BTreeMap::new(),
        dropped_labels: BTreeSet::new(),
        class_weights: None,
    };
}

impl Classification {
    /// How often each class is among these targets.
    fn counts(&self, targets: &[RowTarget<&[u32]>]) -> Vec<u64> {
        let mut counts = vec![0_u64; self.labels.len()];
        targets.iter().filter_map(|target| target.class()).for_each(|class| counts[class as usize] += 1);
        counts
    }

    /// A class without training rows has no loss that a weight could multiply.
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
    fn balanced(&self, train: &[RowTarget<&[u32]>]) -> Vec<f64> {
        let counts = self.counts(train);
        let there = counts.iter().filter(|rows| **rows > 0).count();
        let share = train.len() as f64 / there.max(1) as f64;
        counts.iter().map(|rows| if *rows == 0 { 1.0 } else { share / *rows as f64 }).collect()
    }
}

impl TaskKind for Classification {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "A label for each text"
    }

    fn keys(&self) -> &'static [TaskKey] {
        KEYS
    }

    fn faults(&self, given: &Given) -> Vec<KeyFault> {
        labelled::faults(given)
    }

    fn objective(&self, given: &Given, classes: Classes) -> Option<Objective> {
        Some(Objective::Classification(Self {
            text: given.texts("text").to_vec(),
            pair: given.texts("pair").to_vec(),
            label: given.text("label").unwrap_or_default().to_owned(),
            labels: classes.labels,
            label_map: classes.map,
            dropped_labels: classes.dropped,
            class_weights: weights(given),
        }))
    }

    fn fields(&self) -> Fields<'_> {
        let (column, map, dropped) = (self.label.as_str(), &self.label_map, &self.dropped_labels);
        let target = Target::Class { column, map, dropped };
        Fields::Texts { text: &self.text, pair: &self.pair, target }
    }

    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn head(&self) -> Head {
        Head::Classifier { labels: self.labels.len() }
    }

    fn encode(&self, rows: &Examples, by: Encoder<'_>) -> Result<Vec<EncodedRow>, EncodeError> {
        labelled::encode(rows, by)
    }

    fn measure(&self, rows: &Examples, by: Encoder<'_>) -> Result<Measured, EncodeError> {
        labelled::measure(rows, by)
    }

    /// The most probable class, and its probability.
    #[cfg(feature = "torch")]
    fn answers(&self, outputs: &tch::Tensor) -> Option<tch::Tensor> {
        let (probability, class) = outputs.softmax(-1, tch::Kind::Double).max_dim(-1, false);
        Some(tch::Tensor::stack(&[class.to_kind(tch::Kind::Double), probability], -1))
    }

    /// The area under the ROC curve is that of two classes.
    /// As torch's cross-entropy takes them.
    fn class_weights(&self, train: &[RowTarget<&[u32]>]) -> Option<Vec<f64>> {
        let weights = self.class_weights.as_ref()?;
        Some(match weights {
            ClassWeights::Named(named) => {
                self.labels.iter().map(|label| named.get(label).copied().unwrap_or(1.0)).collect()
            }
            ClassWeights::Balanced => self.balanced(train),
        })
    }

    fn metrics(&self) -> &'static [Metric] {
        let (_, others) = METRICS.split_last().unwrap_or((&Metric::Loss, METRICS));
        if self.labels.len() > 2 { others } else { METRICS }
    }

    fn tally(&self) -> Box<dyn Tally + '_> {
        Box::new(Confusion::new(self.labels.len()))
    }

    /// With a constant answer, all three macro averages follow from the accuracy and the number of classes,
    /// since all other classes add nothing to them.
    fn is_constant(&self, scores: &Scores) -> bool {
        const ROUNDING: f64 = 1e-9;
        let of = |metric| scores.get(metric).unwrap_or(f64::NAN);
        let (accuracy, recall) = (of(Metric::Accuracy), of(Metric::MacroRecall));
        let classes = (1.0 / recall).round();
        let is = |value: f64, sum: f64| (value - sum / classes).abs() < ROUNDING;
        classes.is_finite()
            && classes >= 2.0
            && is(recall, 1.0)
            && is(of(Metric::MacroPrecision), accuracy)
            && is(of(Metric::MacroF1), 2.0 * accuracy / (1.0 + accuracy))
    }

    fn target_facts(&self, targets: &TrialTargets<'_>) -> TargetFacts {
        let class_rows = ClassRows {
            train: self.counts(&targets.train),
            validation: self.counts(&targets.validation),
            test: if targets.test.is_empty() { Vec::new() } else { self.counts(&targets.test) },
        };
        TargetFacts { class_rows: Some(class_rows), baseline: None }
    }

    /// The scores of the class with the most training rows, the first of equals.
    fn baseline(&self, result: &TrialResult) -> Option<Reference> {
        let rows = result.class_rows.as_ref()?;
        let most = rows.train.iter().max()?;
        let answer = rows.train.iter().position(|count| count == most)?;
        Some(Reference {
            answer: self.labels.get(answer).cloned().unwrap_or_default(),
            validation: constant(answer, &rows.train, &rows.validation)?,
            test: constant(answer, &rows.train, &rows.test),
        })
    }

    fn purpose(&self) -> Purpose {
        Purpose::Classification {
            labels: self.labels.clone(),
            pairs: !self.pair.is_empty(),
            problem: Problem::SingleLabel,
        }
    }

    fn words(&self) -> &'static Words {
        &WORDS
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![("labels", quantity::listed(&self.labels))];
        settings.extend(self.class_weights.as_ref().map(|weights| {
            let told = match weights {
                ClassWeights::Balanced => "in inverse proportion to their training rows".to_owned(),
                ClassWeights::Named(named) => {
                    let each: Vec<String> =
                        named.iter().map(|(name, weight)| format!("{name} {weight}")).collect();
                    quantity::listed(&each)
                }
            };
            ("weights of the classes in the training loss", told)
        }));
        settings
    }

    fn data_told(&self) -> Option<String> {
        Some(format!(
            "with {} in `{}`, text from `{}`",
            quantity::counted(self.labels.len(), "label"),
            self.label,
            [&self.text[..], &self.pair].concat().join("`, `"),
        ))
    }
}

/// The weights of a sweep file.
fn weights(given: &Given) -> Option<ClassWeights> {
    if given.text(WEIGHTS) == Some(BALANCED) {
        return Some(ClassWeights::Balanced);
    }
    given.weights(WEIGHTS).map(|named| ClassWeights::Named(named.clone()))
}

#[cfg(test)]
mod tests;
