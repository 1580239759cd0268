//! Owns the scores of classes, from counts of true and predicted ones, and those of one answer to every row.

use super::NAME;
use crate::tasks::kind::{Answered, Tally};
use crate::tasks::ranking;
use crate::values::{JudgedRow, Metric, RowAnswer, Scores};

/// The scores of one answer on rows of these classes; `None` without any row.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
pub(super) fn constant(answer: usize, trained: &[u64], judged: &[u64]) -> Option<Scores> {
    if judged.iter().sum::<u64>() == 0 || trained.len() != judged.len() {
        return None;
    }
    let mut tally = Confusion::new(judged.len());
    let all = trained.iter().sum::<u64>().max(1) as f64;
    for (class, (&rows, &known)) in judged.iter().zip(trained).enumerate() {
        tally.count(class, answer, rows);
        // A class without training rows is counted as if it had one, since its loss would be infinite.
        tally.loss += rows as f64 * -(known.max(1) as f64 / all).ln();
    }
    Some(tally.scores())
}

/// Counts of (true class, predicted class), with the summed loss.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Confusion {
    classes: usize,
    counts: Vec<u64>,
    loss: f64,
    rows: Vec<JudgedRow>,
    /// Of two classes, the probability of the second one for each row, with whether it is the right one.
    second: Vec<(f64, bool)>,
}

impl Confusion {
    /// Empty counts.
    pub(super) fn new(classes: usize) -> Self {
        let counts = vec![0; classes * classes];
        Self { classes, counts, loss: 0.0, rows: Vec::new(), second: Vec::new() }
    }

    /// Counts rows of one class with the same answer.
    pub(super) fn count(&mut self, truth: usize, predicted: usize, rows: u64) {
        self.counts[truth * self.classes + predicted] += rows;
    }
}

impl Tally for Confusion {
    fn add(&mut self, row: &Answered<'_>) {
        let (Some(target), [loss], [answer, probability]) = (row.row.target.class(), row.losses, row.answers)
        else {
            return;
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a class's index")]
        let predicted = *answer as u32;
        self.loss += loss;
        self.count(target as usize, predicted as usize, 1);
        if self.classes == 2 {
            self.second.push((if predicted == 1 { *probability } else { 1.0 - probability }, target == 1));
        }
        #[expect(clippy::cast_possible_truncation, reason = "files keep probabilities in 32 bits")]
        let answer = RowAnswer::Class { predicted, target, probability: Some(*probability as f32) };
        self.rows.push(JudgedRow { row: row.index, loss: *loss, answer });
    }

    fn take_rows(&mut self) -> Vec<JudgedRow> {
        std::mem::take(&mut self.rows)
    }

    /// As by scikit-learn's defaults, macro averages run over the classes that occur as truth or as prediction,
    /// so that a class missing from these rows does not lower them; a class with only one of the two counts as
    /// 0. An empty tally gives zeros.
    fn scores(&self) -> Scores {
        let cell = |truth: usize, predicted: usize| self.counts[truth * self.classes + predicted];
        let all = 0..self.classes;
        let (mut seen, mut correct) = (0_usize, 0);
        let (mut precision, mut recall, mut f1, mut weighted) = (0.0, 0.0, 0.0, 0.0);
        let mut totals = Vec::with_capacity(self.classes);
        for class in all.clone() {
            let hits = cell(class, class);
            let predicted: u64 = all.clone().map(|truth| cell(truth, class)).sum();
            let actual: u64 = all.clone().map(|guess| cell(class, guess)).sum();
            seen += usize::from(predicted + actual > 0);
            correct += hits;
            precision += ratio(hits, predicted);
            recall += ratio(hits, actual);
            f1 += ratio(2 * hits, predicted + actual);
            weighted += ratio(2 * hits * actual, predicted + actual);
            totals.push([actual, predicted]);
        }
        let rows: u64 = self.counts.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "classes and rows are far below 2^52")]
        let (mean, by_row) =
            (|sum: f64| sum / seen.max(1) as f64, |sum: f64| if rows == 0 { 0.0 } else { sum / rows as f64 });
        Scores::of(NAME)
            .with(Metric::Loss, by_row(self.loss))
            .with(Metric::Accuracy, ratio(correct, rows))
            .with(Metric::MacroPrecision, mean(precision))
            .with(Metric::MacroRecall, mean(recall))
            .with(Metric::MacroF1, mean(f1))
            .with(Metric::WeightedF1, by_row(weighted))
            .with(Metric::Matthews, matthews(correct, rows, &totals))
            .with_defined(Metric::Auroc, ranking::auroc(&self.second))
    }
}

/// Matthews' correlation of `rows` rows with so many right answers, from the number of rows that have each class and that
/// were given it; 0 where all have one class or were given one.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
fn matthews(correct: u64, rows: u64, totals: &[[u64; 2]]) -> f64 {
    let rows = rows as f64;
    let sum = |of: fn(&[u64; 2]) -> f64| totals.iter().map(of).sum::<f64>();
    let by_chance = sum(|[actual, predicted]| *actual as f64 * *predicted as f64);
    let actual = rows * rows - sum(|[actual, _]| (*actual as f64).powi(2));
    let predicted = rows * rows - sum(|[_, predicted]| (*predicted as f64).powi(2));
    let spread = (actual * predicted).sqrt();
    if spread == 0.0 { 0.0 } else { (correct as f64 * rows - by_chance) / spread }
}

#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
