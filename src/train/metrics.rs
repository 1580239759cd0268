//! Owns the classification metrics, with scikit-learn's definitions. Pure.

use crate::outcome::ClassificationScores;

/// Counts of (true class, predicted class) with the summed loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    classes: usize,
    counts: Vec<u64>,
    loss: f64,
}

impl Tally {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes], loss: 0.0 }
    }

    /// Counts one row.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        self.counts[truth * self.classes + predicted] += 1;
    }

    /// Adds a summed loss, in nats.
    pub fn add_loss(&mut self, loss: f64) {
        self.loss += loss;
    }

    /// The scores of what was counted. Macro averages run over all classes; a class without true
    /// or predicted rows counts as 0, as scikit-learn's `zero_division=0` with all labels given.
    ///
    /// An empty tally has zeros throughout.
    #[must_use]
    pub fn scores(&self) -> ClassificationScores {
        let cell = |truth: usize, predicted: usize| self.counts[truth * self.classes + predicted];
        let all = 0..self.classes;
        let (mut correct, mut precision, mut recall, mut f1) = (0, 0.0, 0.0, 0.0);
        for class in all.clone() {
            let hits = cell(class, class);
            let predicted: u64 = all.clone().map(|truth| cell(truth, class)).sum();
            let actual: u64 = all.clone().map(|guess| cell(class, guess)).sum();
            correct += hits;
            precision += ratio(hits, predicted);
            recall += ratio(hits, actual);
            f1 += ratio(2 * hits, predicted + actual);
        }
        let rows: u64 = self.counts.iter().sum();
        let mean = |sum: f64| sum / self.classes.max(1) as f64;
        ClassificationScores {
            loss: if rows == 0 { 0.0 } else { self.loss / rows as f64 },
            accuracy: ratio(correct, rows),
            macro_precision: mean(precision),
            macro_recall: mean(recall),
            macro_f1: mean(f1),
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from scikit-learn 1.x: `precision_recall_fscore_support(average='macro', labels=[0, 1, 2, 3], zero_division=0)`.
    #[test]
    fn macro_averages_agree_with_scikit_learn() {
        let truth = [0, 0, 0, 1, 1, 2, 2, 2, 2, 0];
        let guess = [0, 1, 0, 1, 1, 2, 0, 2, 2, 2];
        let mut tally = Tally::new(4);
        truth.iter().zip(guess).for_each(|(truth, guess)| tally.add(*truth, guess));
        tally.add_loss(5.0);
        let scores = tally.scores();
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        close(scores.accuracy, 0.7);
        close(scores.loss, 0.5);
        close(scores.macro_precision, 0.520_833_333_333_333_3);
        close(scores.macro_recall, 0.562_5);
        close(scores.macro_f1, 0.530_357_142_857_142_9);
    }

    #[test]
    fn nothing_counted_scores_zero_not_nan() {
        let scores = Tally::new(3).scores();
        assert_eq!([scores.loss, scores.accuracy, scores.macro_f1], [0.0; 3]);
    }
}
