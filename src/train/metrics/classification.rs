//! Owns the classification metrics, with scikit-learn's definitions. Pure.

use crate::values::ClassificationScores;

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
        self.add_rows(truth, predicted, 1);
    }

    /// Counts rows of one class that were given the same answer.
    pub fn add_rows(&mut self, truth: usize, predicted: usize, rows: u64) {
        self.counts[truth * self.classes + predicted] += rows;
    }

    /// Adds a summed loss, in nats.
    pub fn add_loss(&mut self, loss: f64) {
        self.loss += loss;
    }

    /// The scores of what was counted. As by scikit-learn's defaults, macro averages run over the classes
    /// that some row has or was given, so that a class which these rows lack does not lower them; one
    /// of the two without the other counts as 0.
    ///
    /// An empty tally has zeros throughout.
    #[must_use]
    pub fn scores(&self) -> ClassificationScores {
        let cell = |truth: usize, predicted: usize| self.counts[truth * self.classes + predicted];
        let all = 0..self.classes;
        let (mut seen, mut correct) = (0_usize, 0);
        let (mut precision, mut recall, mut f1) = (0.0, 0.0, 0.0);
        for class in all.clone() {
            let hits = cell(class, class);
            let predicted: u64 = all.clone().map(|truth| cell(truth, class)).sum();
            let actual: u64 = all.clone().map(|guess| cell(class, guess)).sum();
            seen += usize::from(predicted + actual > 0);
            correct += hits;
            precision += ratio(hits, predicted);
            recall += ratio(hits, actual);
            f1 += ratio(2 * hits, predicted + actual);
        }
        let rows: u64 = self.counts.iter().sum();
        let mean = |sum: f64| sum / seen.max(1) as f64;
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
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Fixtures {
        classifications: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        classes: usize,
        truth: Vec<usize>,
        predicted: Vec<usize>,
        accuracy: f64,
        macro_precision: f64,
        macro_recall: f64,
        macro_f1: f64,
    }

    /// Recorded by `tests/fixtures/make_metrics.py`; some classes are never true or never predicted.
    #[test]
    fn scores_agree_with_scikit_learn() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/metrics.json");
        let fixtures: Fixtures = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert!(fixtures.classifications.len() >= 30);
        for case in fixtures.classifications {
            let mut tally = Tally::new(case.classes);
            case.truth.iter().zip(&case.predicted).for_each(|(truth, guess)| tally.add(*truth, *guess));
            let scores = tally.scores();
            let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
            close(scores.accuracy, case.accuracy);
            close(scores.macro_precision, case.macro_precision);
            close(scores.macro_recall, case.macro_recall);
            close(scores.macro_f1, case.macro_f1);
        }
    }

    /// Of three classes the rows have two, and the third is never answered: F1 is (0.8 + 2/3) / 2. Once
    /// it is answered it counts as 0: F1 is (2/3 + 2/3 + 0) / 3.
    #[test]
    fn a_class_counts_once_a_row_has_it_or_was_given_it() {
        let scores = |rows: &[(usize, usize, u64)]| {
            let mut tally = Tally::new(3);
            rows.iter().for_each(|(truth, guess, n)| tally.add_rows(*truth, *guess, *n));
            tally.scores()
        };
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        let two = scores(&[(0, 0, 2), (1, 0, 1), (1, 1, 1)]);
        close(two.macro_precision, f64::midpoint(2.0 / 3.0, 1.0));
        close(two.macro_recall, 0.75);
        close(two.macro_f1, f64::midpoint(0.8, 2.0 / 3.0));
        let three = scores(&[(0, 0, 1), (0, 2, 1), (1, 1, 1), (1, 2, 1)]);
        close(three.macro_precision, 2.0 / 3.0);
        close(three.macro_recall, 1.0 / 3.0);
        close(three.macro_f1, 4.0 / 9.0);
        let perfect = scores(&[(0, 0, 10), (1, 1, 10)]);
        assert_eq!([perfect.macro_precision, perfect.macro_recall, perfect.macro_f1], [1.0; 3]);
    }

    #[test]
    fn the_loss_is_a_mean_over_rows() {
        let mut tally = Tally::new(2);
        (0..10).for_each(|row| tally.add(row % 2, 0));
        tally.add_loss(5.0);
        assert_eq!(tally.scores().loss, 0.5);
    }

    #[test]
    fn nothing_counted_scores_zero_not_nan() {
        let scores = Tally::new(3).scores();
        assert_eq!([scores.loss, scores.accuracy, scores.macro_f1], [0.0; 3]);
    }
}
