//! Owns the scores of several labels a row, and those of one answer to every row.

use std::collections::BTreeSet;

use super::{HALF, NAME, Threshold};
use crate::tasks::kind::{Answered, Tally};
use crate::tasks::{RowTarget, ranking};
use crate::values::{Count, JudgedRow, Metric, RowAnswer, Scores};

/// The share of rows that have each label.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
pub(super) fn shares(rows: &[RowTarget<&[u32]>], labels: usize) -> Vec<f64> {
    let mut counts = vec![0_u64; labels];
    rows.iter().flat_map(|row| row.list()).for_each(|label| counts[*label as usize] += 1);
    counts.into_iter().map(|count| count as f64 / rows.len().max(1) as f64).collect()
}

/// The scores of always answering one label, with these shares as probabilities; `None` without any row.
pub(super) fn constant(answer: Option<usize>, shares: &[f64], rows: &[RowTarget<&[u32]>]) -> Option<Scores> {
    // A label that no training row has would have an infinite loss.
    const LEAST: f64 = 1e-6;
    let mut tally = Labels::of(shares.len(), Threshold::Fixed(HALF));
    let predicted: Vec<u32> = answer.into_iter().filter_map(|label| u32::try_from(label).ok()).collect();
    for row in rows {
        let loss = |(label, share): (u32, &f64)| {
            let share = share.clamp(LEAST, 1.0 - LEAST);
            -if row.list().contains(&label) { share.ln() } else { (1.0 - share).ln() }
        };
        let losses = (0..).zip(shares).map(loss).sum::<f64>();
        #[expect(clippy::cast_precision_loss, reason = "labels are few")]
        tally.rows.push(LabelRow {
            index: 0,
            loss: losses / shares.len().max(1) as f64,
            target: row.list().to_vec(),
            probabilities: shares.to_vec(),
        });
    }
    (!rows.is_empty()).then(|| tally.scores_of(|_| predicted.clone()))
}

/// The labels of rows, and the probabilities that were answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Labels {
    labels: usize,
    threshold: Threshold,
    rows: Vec<LabelRow>,
}

#[derive(Clone, Debug, PartialEq)]
struct LabelRow {
    index: u32,
    loss: f64,
    target: Vec<u32>,
    probabilities: Vec<f64>,
}

impl Labels {
    /// Nothing yet, with this number of labels.
    pub(super) fn of(labels: usize, threshold: Threshold) -> Self {
        Self { labels, threshold, rows: Vec::new() }
    }

    /// The threshold that these rows are judged by.
    fn threshold(&self) -> f64 {
        match self.threshold {
            Threshold::Fixed(threshold) => threshold,
            Threshold::Validation => {
                let all: Vec<(f64, bool)> = (0..self.labels).flat_map(|label| self.of_label(label)).collect();
                ranking::best_threshold(&all).unwrap_or(HALF)
            }
        }
    }

    /// Each row's probability of a label, with whether the row has it.
    fn of_label(&self, label: usize) -> Vec<(f64, bool)> {
        let has = |row: &LabelRow| row.target.iter().any(|target| *target as usize == label);
        self.rows.iter().map(|row| (row.probabilities[label], has(row))).collect()
    }

    /// The scores where these labels are answered.
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
    fn scores_of(&self, answered: impl Fn(&LabelRow) -> Vec<u32>) -> Scores {
        let mut counts = vec![LabelCounts::default(); self.labels];
        let (mut whole, mut different) = (0_u64, BTreeSet::new());
        for row in &self.rows {
            let predicted = answered(row);
            whole += u64::from(predicted == row.target);
            predicted.iter().for_each(|label| counts[*label as usize].answered += 1);
            row.target.iter().for_each(|label| counts[*label as usize].there += 1);
            let right = predicted.iter().filter(|label| row.target.contains(label));
            right.for_each(|label| counts[*label as usize].right += 1);
            different.insert(predicted);
        }
        let all = counts.iter().fold(LabelCounts::default(), LabelCounts::plus);
        let rows = self.rows.len().max(1) as f64;
        let labels = self.labels.max(1) as f64;
        let precisions: Vec<f64> =
            (0..self.labels).filter_map(|label| ranking::average_precision(&self.of_label(label))).collect();
        let mean = precisions.iter().sum::<f64>() / precisions.len() as f64;
        Scores::of(NAME)
            .with(Metric::Loss, self.rows.iter().map(|row| row.loss).sum::<f64>() / rows)
            .with(Metric::MicroF1, all.f1())
            .with(Metric::MacroF1, counts.iter().map(LabelCounts::f1).sum::<f64>() / labels)
            .with(Metric::SubsetAccuracy, whole as f64 / rows)
            .with_defined(Metric::MeanAveragePrecision, (!precisions.is_empty()).then_some(mean))
            .with_count(Count::Rows, self.rows.len() as u64)
            .with_count(Count::Answers, different.len() as u64)
    }
}

/// How many rows have a label, how many were answered it, and how many of these have it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct LabelCounts {
    there: u64,
    answered: u64,
    right: u64,
}

impl LabelCounts {
    fn plus(self, other: &Self) -> Self {
        Self {
            there: self.there + other.there,
            answered: self.answered + other.answered,
            right: self.right + other.right,
        }
    }

    /// 0 where no row has the label and none was answered it, as scikit-learn's `zero_division=0` has it.
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
    fn f1(&self) -> f64 {
        2.0 * self.right as f64 / (self.there + self.answered).max(1) as f64
    }
}

/// The labels whose probability reaches the threshold, in ascending order.
fn reaching(threshold: f64, row: &LabelRow) -> Vec<u32> {
    let labels = (0..).zip(&row.probabilities).filter(|(_, probability)| **probability >= threshold);
    labels.map(|(label, _)| label).collect()
}

impl Tally for Labels {
    fn add(&mut self, row: &Answered<'_>) {
        let (RowTarget::List(target), [loss]) = (row.row.target, row.losses) else { return };
        self.rows.push(LabelRow {
            index: row.index,
            loss: *loss,
            target: target.to_vec(),
            probabilities: row.answers.to_vec(),
        });
    }

    fn take_rows(&mut self) -> Vec<JudgedRow> {
        let threshold = self.threshold();
        let judged = |row: &LabelRow| {
            #[expect(clippy::cast_possible_truncation, reason = "files keep probabilities in 32 bits")]
            let probabilities = row.probabilities.iter().map(|probability| *probability as f32).collect();
            let (predicted, target) = (reaching(threshold, row), row.target.clone());
            JudgedRow {
                row: row.index,
                loss: row.loss,
                answer: RowAnswer::Classes { predicted, target, probabilities },
            }
        };
        self.rows.iter().map(judged).collect()
    }

    /// Zeros where nothing was counted.
    fn scores(&self) -> Scores {
        let threshold = self.threshold();
        self.scores_of(|row| reaching(threshold, row)).with_threshold(threshold)
    }
}
