//! Owns multi-label classification: any number of labels for each text, or for each pair of texts, every label judged
//! by itself; binary cross-entropy as transformers has it (`problem_type: multi_label_classification`), and
//! scikit-learn's metrics. Reads no file and trains nothing.

mod tally;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::tally::{Labels, constant, shares};
use super::keys::{Given, KeyFault, KeyValue, TaskKey};
use super::kind::{
    Constant, EncodeError, EncodedRow, Encoder, Measured, Tally, TargetFacts, TaskKind, TrialTargets, Words,
};
use super::{Classes, Examples, Fields, Objective, Problem, Purpose, RowTarget, Target, Written, labelled};
use crate::families::Head;
use crate::values::{Count, Metric, Reference, Scores, TrialResult, quantity};

const NAME: &str = "multi_label";

/// Any number of labels for each text, or for each pair of texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MultiLabel {
    /// Columns that make up the text, joined by one space in this order.
    pub text: Vec<String>,
    /// Columns that make up the second text of a pair; empty for single texts.
    pub pair: Vec<String>,
    /// Column that holds the labels of a row; empty where each label has a column.
    pub label: String,
    /// What separates labels in that column, where it does not hold lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
    /// The column of each label, with 0 and 1 in it; empty where one column holds them all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub label_columns: Vec<String>,
    /// Names of the labels after the map, in the order of their indices.
    pub labels: Vec<String>,
    /// From a label in the file to its name; labels that are not in it keep theirs.
    pub label_map: BTreeMap<String, String>,
    /// Labels in the file that are none: rows that have them are kept without them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub dropped_labels: BTreeSet<String>,
    /// From which probability on a label is answered.
    pub threshold: Threshold,
}

/// From which probability on a label is answered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Threshold {
    /// From this one on.
    Fixed(f64),
    /// From the one on with the highest micro F1 on the validation rows, for each validation anew; test rows are
    /// judged by that of the kept weights, and by one half where a trial has no validation rows.
    Validation,
}

/// The probability from which on a label is more likely than not.
const HALF: f64 = 0.5;
const VALIDATION: &str = "validation";
const LABEL: &str = "label";
const LABEL_COLUMNS: &str = "label_columns";
const SEPARATOR: &str = "label_separator";
const THRESHOLD: &str = "threshold";

const KEYS: &[TaskKey] = &[
    TaskKey::TEXT,
    TaskKey::PAIR,
    TaskKey::optional(
        LABEL,
        KeyValue::Column,
        "Column with the labels of a row: a list, or labels between separators",
    ),
    TaskKey::optional(
        SEPARATOR,
        KeyValue::Text,
        "What separates the labels in that column, such as \",\" (default: each field is a list, or one label)",
    ),
    TaskKey::optional(
        LABEL_COLUMNS,
        KeyValue::Columns,
        "Columns with 0 and 1, one for each label, instead of `label`",
    ),
    TaskKey::optional(
        "labels",
        KeyValue::Labels,
        "Names of labels: {value: name} renames and merges, {value: drop} takes a label out; a list names 0, 1, 2 … \
         in order",
    ),
    TaskKey::optional(
        THRESHOLD,
        KeyValue::Text,
        "From which probability on a label is answered: a number (default: 0.5), or `validation` for the one with the \
         highest micro F1 on the validation rows",
    ),
];

const METRICS: &[Metric] =
    &[Metric::MicroF1, Metric::MacroF1, Metric::SubsetAccuracy, Metric::MeanAveragePrecision, Metric::Loss];

const WORDS: Words = Words {
    loss_unit: "nats per label",
    shown: &[Metric::MicroF1, Metric::MacroF1, Metric::SubsetAccuracy, Metric::MeanAveragePrecision],
    headline: &[Metric::MicroF1, Metric::MacroF1],
    metrics_note: Some(
        "Micro F1 counts the labels of all rows together, macro F1 is the mean of the labels' own, and subset accuracy \
         the share of rows of which every label is right, as scikit-learn has them; mean average precision runs over \
         the labels that some of the rows have. Loss is the mean binary cross-entropy over labels and rows.",
    ),
    baseline: Some("most frequent label"),
    baseline_note: "The most frequent label is the one that most training rows have ({}); its row is what always \
                    answering it alone scores on the very same rows, with the loss and the average precision of \
                    giving each label its share of the training rows as probability.",
    constant: Constant {
        does: "answers the same labels",
        do_plural: "answer the same labels",
        what: "the same labels",
        note: Some(
            "A trial answers the same labels where it gives every row the same ones, or none. Configurations that do \
             so on all folds are neither tested nor ranked among themselves.",
        ),
    },
};

impl MultiLabel {
    /// Without any settings.
    pub const EMPTY: Self = Self {
        text: Vec::new(),
        pair: Vec::new(),
        label: String::new(),
        separator: None,
        label_columns: Vec::new(),
        labels: Vec::new(),
        label_map: BTreeMap::new(),
        dropped_labels: BTreeSet::new(),
        threshold: Threshold::Fixed(HALF),
    };

    fn written(&self) -> Written<'_> {
        if self.label_columns.is_empty() {
            Written::Listed { column: &self.label, separator: self.separator.as_deref() }
        } else {
            Written::Flags(&self.label_columns)
        }
    }
}

/// The threshold that a key's text means.
fn threshold(text: Option<&str>) -> Option<Threshold> {
    match text {
        None => Some(Threshold::Fixed(HALF)),
        Some(VALIDATION) => Some(Threshold::Validation),
        Some(number) => {
            let number: f64 = number.parse().ok()?;
            (number > 0.0 && number < 1.0).then_some(Threshold::Fixed(number))
        }
    }
}

impl TaskKind for MultiLabel {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "Any number of labels for each text"
    }

    fn keys(&self) -> &'static [TaskKey] {
        KEYS
    }

    fn faults(&self, given: &Given) -> Vec<KeyFault> {
        let mut faults = labelled::faults(given);
        let found = |key: &'static str, found: &str, allowed| KeyFault::Value {
            key,
            found: found.to_owned(),
            allowed,
        };
        match (given.text(LABEL), given.texts(LABEL_COLUMNS)) {
            (None, []) => faults.push(KeyFault::Missing {
                key: LABEL,
                hint: "the column with the labels, or `label_columns` where each label has a column of 0 and 1",
            }),
            (Some(_), [_, ..]) => {
                faults.push(found(LABEL_COLUMNS, "beside `label`", "one of the two"));
            }
            (None, [_]) => faults.push(found(LABEL_COLUMNS, "one column", "two columns or more")),
            (Some(_), []) => {}
            (None, columns) => {
                let twice = columns.iter().enumerate().find(|(at, name)| columns[..*at].contains(name));
                faults.extend(twice.map(|(_, name)| {
                    found(LABEL_COLUMNS, &format!("`{name}` twice"), "each column once")
                }));
            }
        }
        if given.text(SEPARATOR).is_some_and(str::is_empty) {
            faults.push(found(SEPARATOR, "an empty text", "the text between labels, such as `\",\"`"));
        }
        let text = given.text(THRESHOLD);
        if threshold(text).is_none() {
            let text = format!("`{}`", text.unwrap_or_default());
            faults.push(found(THRESHOLD, &text, "a number between 0 and 1, or `validation`"));
        }
        faults
    }

    fn objective(&self, given: &Given, classes: Classes) -> Option<Objective> {
        let objective = Self {
            text: given.texts("text").to_vec(),
            pair: given.texts("pair").to_vec(),
            label: given.text(LABEL).unwrap_or_default().to_owned(),
            separator: given.text(SEPARATOR).filter(|text| !text.is_empty()).map(str::to_owned),
            label_columns: given.texts(LABEL_COLUMNS).to_vec(),
            labels: classes.labels,
            label_map: classes.map,
            dropped_labels: classes.dropped,
            threshold: threshold(given.text(THRESHOLD)).unwrap_or(Threshold::Fixed(HALF)),
        };
        Some(Objective::MultiLabel(objective))
    }

    fn fields(&self) -> Fields<'_> {
        let (written, map, dropped) = (self.written(), &self.label_map, &self.dropped_labels);
        let target = Target::Classes { written, map, dropped };
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

    /// The mean over a row's labels, as transformers' mean over rows and labels has it.
    #[cfg(feature = "torch")]
    fn losses(&self, outputs: &tch::Tensor, targets: &tch::Tensor) -> tch::Tensor {
        use tch::{Kind, Reduction, Tensor};
        let targets = targets.expand_as(outputs);
        let of_each = outputs.to_kind(Kind::Float).binary_cross_entropy_with_logits::<&Tensor>(
            &targets,
            None,
            None,
            Reduction::None,
        );
        of_each.mean_dim([-1].as_slice(), false, Kind::Float)
    }

    /// The probability of each label.
    #[cfg(feature = "torch")]
    fn answers(&self, outputs: &tch::Tensor) -> Option<tch::Tensor> {
        Some(outputs.to_kind(tch::Kind::Double).sigmoid())
    }

    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn tally(&self) -> Box<dyn Tally + '_> {
        Box::new(Labels::of(self.labels.len(), self.threshold))
    }

    fn tally_after(&self, validation: Option<&Scores>) -> Box<dyn Tally + '_> {
        let chosen = validation.and_then(Scores::threshold).unwrap_or(HALF);
        let threshold = match self.threshold {
            Threshold::Fixed(threshold) => threshold,
            Threshold::Validation => chosen,
        };
        Box::new(Labels::of(self.labels.len(), Threshold::Fixed(threshold)))
    }

    fn is_constant(&self, scores: &Scores) -> bool {
        scores.count(Count::Answers) == Some(1) && scores.count(Count::Rows) > Some(1)
    }

    fn target_facts(&self, targets: &TrialTargets<'_>) -> TargetFacts {
        let shares = shares(&targets.train, self.labels.len());
        let most = (0..shares.len()).rev().max_by(|a, b| shares[*a].total_cmp(&shares[*b]));
        let scores = |rows: &[RowTarget<&[u32]>]| constant(most, &shares, rows);
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
        Purpose::Classification {
            labels: self.labels.clone(),
            pairs: !self.pair.is_empty(),
            problem: Problem::MultiLabel,
        }
    }

    fn words(&self) -> &'static Words {
        &WORDS
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let threshold = match self.threshold {
            Threshold::Fixed(threshold) => threshold.to_string(),
            Threshold::Validation => "the one with the highest micro F1 on the validation rows".to_owned(),
        };
        vec![("labels", quantity::listed(&self.labels)), ("threshold of probability", threshold)]
    }

    fn data_told(&self) -> Option<String> {
        let text = [&self.text[..], &self.pair].concat().join("`, `");
        let labels = quantity::counted(self.labels.len(), "label");
        Some(match self.written() {
            Written::Listed { column, .. } => {
                format!("with any of {labels} in `{column}`, text from `{text}`")
            }
            Written::Flags(_) => format!("with any of {labels} in columns of their own, text from `{text}`"),
        })
    }
}

#[cfg(test)]
mod tests;
