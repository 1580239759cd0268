//! Owns regression: one number per text, or per pair of texts; squared error on a head of one output, as
//! transformers has it (`num_labels=1`), and the metrics of scikit-learn and scipy. Reads no file and trains
//! nothing.

use serde::{Deserialize, Serialize};

use super::keys::{Given, KeyFault, KeyValue, TaskKey};
use super::kind::{
    Answered, Constant, EncodeError, EncodedRow, Encoder, Measured, Tally, TargetFacts, TaskKind,
    TrialTargets, Words,
};
use super::{Classes, Examples, Fields, Objective, Problem, Purpose, RowTarget, Target, labelled};
use crate::families::Head;
use crate::values::{Count, JudgedRow, Metric, Reference, RowAnswer, Scores, TrialResult, quantity};

const NAME: &str = "regression";

/// Numbers in 32 bits may differ by this share through rounding alone.
const ROUNDING: f64 = 2.4e-7;

/// One number per text, or per pair of texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    /// Columns that make up the text, joined by one space in this order.
    pub text: Vec<String>,
    /// Columns that make up the second text of a pair; empty for single texts.
    pub pair: Vec<String>,
    /// Column that holds the number.
    pub label: String,
}

const KEYS: &[TaskKey] =
    &[TaskKey::TEXT, TaskKey::PAIR, TaskKey::required("label", KeyValue::Column, "Column with the number")];

const METRICS: &[Metric] =
    &[Metric::Pearson, Metric::Spearman, Metric::Mse, Metric::Rmse, Metric::Mae, Metric::R2];

const WORDS: Words = Words {
    loss_unit: "squared error",
    shown: &[Metric::Pearson, Metric::Spearman, Metric::Mse, Metric::Mae],
    headline: &[Metric::Pearson, Metric::Spearman],
    metrics_note: Some(
        "MSE is the mean squared error of the answers, in squared units of the numbers to be learned, RMSE its \
         root and MAE the mean absolute error, and R² the share of the numbers' variance that is explained, below 0 where \
         their mean would have been nearer, as scikit-learn has them; correlations are Pearson's, and Spearman's \
         with average ranks for ties, as scipy has them. Of answers that are all the same no correlation is defined: \
         it is shown as –, and has no mean with others.",
    ),
    baseline: Some("training mean"),
    baseline_note: "The training mean is that of the numbers of the training rows ({}); its row is what always \
                    answering it scores on the very same rows. No correlation is defined for it.",
    constant: Constant {
        does: "answers one number",
        do_plural: "answer one number",
        what: "one number",
        note: Some(
            "A trial answers one number where its answers differ by no more than the rounding of 32 bits. \
             Configurations that do so on all folds are neither tested nor ranked among themselves.",
        ),
    },
};

impl Regression {
    /// Without any settings.
    pub const EMPTY: Self = Self { text: Vec::new(), pair: Vec::new(), label: String::new() };
    /// The largest size of a number to be learned: squared errors, in 32 bits, and the gradients that go
    /// by them stay far from their range's end.
    pub const LARGEST: f64 = 1e18;
}

impl TaskKind for Regression {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "A number for each text"
    }

    fn keys(&self) -> &'static [TaskKey] {
        KEYS
    }

    fn faults(&self, given: &Given) -> Vec<KeyFault> {
        labelled::faults(given)
    }

    fn objective(&self, given: &Given, _classes: Classes) -> Option<Objective> {
        Some(Objective::Regression(Self {
            text: given.texts("text").to_vec(),
            pair: given.texts("pair").to_vec(),
            label: given.text("label").unwrap_or_default().to_owned(),
        }))
    }

    fn fields(&self) -> Fields<'_> {
        let target = Target::Number { column: &self.label };
        Fields::Texts { text: &self.text, pair: &self.pair, target }
    }

    fn head(&self) -> Head {
        Head::Classifier { labels: 1 }
    }

    fn encode(&self, rows: &Examples, by: Encoder<'_>) -> Result<Vec<EncodedRow>, EncodeError> {
        labelled::encode(rows, by)
    }

    fn measure(&self, rows: &Examples, by: Encoder<'_>) -> Result<Measured, EncodeError> {
        labelled::measure(rows, by)
    }

    #[cfg(feature = "torch")]
    fn losses(&self, outputs: &tch::Tensor, targets: &tch::Tensor) -> tch::Tensor {
        (outputs.squeeze_dim(-1).to_kind(tch::Kind::Float) - targets).square()
    }

    #[cfg(feature = "torch")]
    fn answers(&self, outputs: &tch::Tensor) -> Option<tch::Tensor> {
        Some(outputs.shallow_clone())
    }

    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn tally(&self) -> Box<dyn Tally + '_> {
        Box::new(Numbers::default())
    }

    fn is_constant(&self, scores: &Scores) -> bool {
        scores.count(Count::Answers) == Some(1) && scores.count(Count::Rows) > Some(1)
    }

    fn target_facts(&self, targets: &TrialTargets<'_>) -> TargetFacts {
        let of =
            |targets: &[RowTarget<&[u32]>]| targets.iter().filter_map(|target| target.number()).collect();
        let train: Vec<f64> = of(&targets.train);
        let mean = mean(&train);
        let scores = |truths: Vec<f64>| {
            let answers = vec![mean; truths.len()];
            (!truths.is_empty()).then(|| Numbers { truths, answers, rows: Vec::new() }.scores())
        };
        let baseline = scores(of(&targets.validation)).map(|validation| Reference {
            answer: quantity::significant(mean, 4),
            validation,
            test: scores(of(&targets.test)),
        });
        TargetFacts { class_rows: None, baseline }
    }

    fn baseline(&self, result: &TrialResult) -> Option<Reference> {
        result.baseline.clone()
    }

    fn purpose(&self) -> Purpose {
        let (labels, pairs) = (Purpose::numbered(1), !self.pair.is_empty());
        Purpose::Classification { labels, pairs, problem: Problem::Regression }
    }

    fn words(&self) -> &'static Words {
        &WORDS
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("number to be learned", self.label.clone())]
    }

    fn data_told(&self) -> Option<String> {
        let columns = [&self.text[..], &self.pair].concat().join("`, `");
        Some(format!("with a number in `{}`, text from `{columns}`", self.label))
    }
}

/// The target numbers of rows, and the answers to them.
#[derive(Clone, Debug, Default, PartialEq)]
struct Numbers {
    truths: Vec<f64>,
    answers: Vec<f64>,
    rows: Vec<u32>,
}

impl Tally for Numbers {
    fn add(&mut self, row: &Answered<'_>) {
        let (Some(truth), [answer]) = (row.row.target.number(), row.answers) else { return };
        self.truths.push(truth);
        self.answers.push(*answer);
        self.rows.push(row.index);
    }

    /// The losses are squared here, since the model's are rounded to 32 bits.
    fn take_rows(&mut self) -> Vec<JudgedRow> {
        let numbers = self.answers.iter().zip(&self.truths);
        let judged = |(row, (&predicted, &target)): (u32, (&f64, &f64))| {
            let error = predicted - target;
            JudgedRow { row, loss: error * error, answer: RowAnswer::Number { predicted, target } }
        };
        std::mem::take(&mut self.rows).into_iter().zip(numbers).map(judged).collect()
    }

    /// Zeros and no correlation where nothing was counted.
    fn scores(&self) -> Scores {
        let errors = || self.answers.iter().zip(&self.truths).map(|(answer, truth)| answer - truth);
        let squares: Vec<f64> = errors().map(|error| error * error).collect();
        let sizes: Vec<f64> = errors().map(f64::abs).collect();
        let varied = !is_one(&self.answers, ROUNDING) && !is_one(&self.truths, 0.0);
        let pair = || varied.then_some([&self.answers, &self.truths]);
        let pearson = pair().map(|[a, b]| correlation(a, b));
        let spearman = pair().map(|[a, b]| correlation(&ranks(a), &ranks(b)));
        Scores::of(NAME)
            .with(Metric::Mse, mean(&squares))
            .with(Metric::Mae, mean(&sizes))
            .with_defined(Metric::R2, explained(&squares, &self.truths))
            .with_defined(Metric::Pearson, pearson)
            .with_defined(Metric::Spearman, spearman)
            .with_count(Count::Rows, self.truths.len() as u64)
            .with_count(Count::Answers, different(&self.answers))
    }
}

/// R² of answers with these squared errors; `None` where the numbers are all the same.
fn explained(squares: &[f64], truths: &[f64]) -> Option<f64> {
    let middle = mean(truths);
    let spread: f64 = truths.iter().map(|truth| (truth - middle).powi(2)).sum();
    (!is_one(truths, 0.0)).then(|| 1.0 - squares.iter().sum::<f64>() / spread)
}

/// Number of distinct answers; one where they differ only by rounding.
fn different(answers: &[f64]) -> u64 {
    if !answers.is_empty() && is_one(answers, ROUNDING) {
        return 1;
    }
    let mut sorted = answers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.dedup();
    sorted.len() as u64
}

#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Whether numbers are equal up to a share of the largest.
fn is_one(values: &[f64], share: f64) -> bool {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    values.len() < 2 || most - least <= share * least.abs().max(most.abs())
}

/// Pearson's correlation of numbers that vary, in [-1, 1].
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let deviations = |values: &[f64]| {
        let mean = mean(values);
        let all: Vec<f64> = values.iter().map(|value| value - mean).collect();
        let norm = all.iter().map(|value| value * value).sum::<f64>().sqrt();
        all.into_iter().map(move |value| value / norm)
    };
    deviations(a).zip(deviations(b)).map(|(a, b)| a * b).sum::<f64>().clamp(-1.0, 1.0)
}

/// Each number's rank, from 1; equal numbers share the mean of their ranks.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for equal in order.chunk_by(|a, b| values[*a].total_cmp(&values[*b]).is_eq()) {
        let rank = before as f64 + (equal.len() + 1) as f64 / 2.0;
        equal.iter().for_each(|row| ranks[*row] = rank);
        before += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests;
