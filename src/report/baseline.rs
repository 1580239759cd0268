//! Owns the majority baseline: what always answering the class that most training rows have scores on
//! the very rows that trials were judged on. Pure.
//!
//! Made from the class counts that each trial leaves beside its scores. Its loss is that of answering
//! with the shares of the classes among the training rows.

use crate::record::{RunRecord, TrialRecord};
use crate::tasks::Task;
use crate::train::metrics::Tally;
use crate::values::{ClassRows, ClassificationScores, Metric, Scores};

use super::statistics::Spread;
use super::summary::finished;

/// The majority baseline of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// Its classes' names, one for each class that is the largest on some fold.
    pub classes: Vec<String>,
    /// Each fold that some trial is done with, in order.
    pub folds: Vec<FoldBaseline>,
}

/// The majority baseline on one fold.
#[derive(Clone, Debug, PartialEq)]
pub struct FoldBaseline {
    /// Index of the fold, from 0.
    pub fold: usize,
    /// The classes of the rows.
    pub rows: ClassRows,
    /// What it scores on the validation rows.
    pub validation: Scores,
    /// What it scores on the test rows; `None` without any.
    pub test: Option<Scores>,
}

impl Baseline {
    /// What the baseline is called in tables.
    pub const LABEL: &str = "majority class";

    /// The baseline of a task; `None` where no done trial says what classes its rows have.
    #[must_use]
    pub fn of(record: &RunRecord, task: &Task) -> Option<Self> {
        let trials: Vec<&TrialRecord> =
            record.trials.iter().filter(|trial| trial.trial.configuration.task == task.name).collect();
        let on_fold = |fold: usize| {
            let here = trials.iter().filter(|trial| trial.trial.fold == fold);
            here.filter_map(|trial| finished(trial)?.class_rows.as_ref()).find_map(|rows| on(fold, rows))
        };
        let folds: Vec<FoldBaseline> = (0..record.sweep.splitting.splits()).filter_map(on_fold).collect();
        let mut classes: Vec<String> = Vec::new();
        for name in folds.iter().filter_map(|fold| task.objective.labels().get(majority(&fold.rows)?)) {
            if !classes.contains(name) {
                classes.push(name.clone());
            }
        }
        (!folds.is_empty()).then_some(Self { classes, folds })
    }

    /// A metric on the validation rows, over folds.
    #[must_use]
    pub fn validation(&self, metric: Metric) -> Option<Spread> {
        Spread::of(&self.scores(metric).into_iter().map(|(_, score)| score).collect::<Vec<_>>())
    }

    /// A metric on the validation rows of each fold, by the fold's index.
    #[must_use]
    pub fn scores(&self, metric: Metric) -> Vec<(usize, f64)> {
        self.folds.iter().filter_map(|fold| Some((fold.fold, fold.validation.get(metric)?))).collect()
    }

    /// A metric on the test rows: folds may differ in the class that they answer.
    #[must_use]
    pub fn test(&self, metric: Metric) -> Option<Spread> {
        Spread::of(&self.folds.iter().filter_map(|fold| fold.test?.get(metric)).collect::<Vec<_>>())
    }

    /// A metric on test rows where there are any, else on validation rows.
    #[must_use]
    pub fn reported(&self, metric: Metric) -> Option<Spread> {
        self.test(metric).or_else(|| self.validation(metric))
    }
}

/// The class that most training rows have, the first of equals.
fn majority(rows: &ClassRows) -> Option<usize> {
    let most = rows.train.iter().max()?;
    rows.train.iter().position(|count| count == most)
}

fn on(fold: usize, rows: &ClassRows) -> Option<FoldBaseline> {
    let answer = majority(rows)?;
    Some(FoldBaseline {
        fold,
        rows: rows.clone(),
        validation: constant(answer, &rows.train, &rows.validation)?,
        test: constant(answer, &rows.train, &rows.test),
    })
}

/// What one answer scores on rows of these classes; `None` without any row.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
fn constant(answer: usize, trained: &[u64], judged: &[u64]) -> Option<Scores> {
    if judged.iter().sum::<u64>() == 0 || trained.len() != judged.len() {
        return None;
    }
    let mut tally = Tally::new(judged.len());
    let all = trained.iter().sum::<u64>().max(1) as f64;
    for (class, (&rows, &known)) in judged.iter().zip(trained).enumerate() {
        tally.add_rows(class, answer, rows);
        // A class that no training row has counts as if one had it: its loss would have no bound.
        tally.add_loss(rows as f64 * -(known.max(1) as f64 / all).ln());
    }
    let scores: ClassificationScores = tally.scores();
    Some(Scores::Classification(scores))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(train: &[u64], validation: &[u64]) -> ClassRows {
        ClassRows { train: train.to_vec(), validation: validation.to_vec(), test: Vec::new() }
    }

    /// 6 of 10 validation rows have the class of 60 of 100 training rows: F1 is 2 × 6 / (10 + 6) on it.
    #[test]
    fn one_answer_scores_its_share() {
        let fold = on(0, &rows(&[60, 30, 10], &[6, 3, 1])).unwrap();
        let Scores::Classification(scores) = fold.validation else { panic!("it classifies") };
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        close(scores.accuracy, 0.6);
        close(scores.macro_recall, 1.0 / 3.0);
        close(scores.macro_precision, 0.2);
        close(scores.macro_f1, 0.25);
        close(scores.loss, -(0.6 * 0.6_f64.ln() + 0.3 * 0.3_f64.ln() + 0.1 * 0.1_f64.ln()));
        assert!(scores.answers_one_class());
        assert_eq!(fold.test, None);
    }

    /// The third class has no validation row, and most training rows: it is answered and never right.
    #[test]
    fn a_majority_that_the_validation_rows_lack_is_never_right() {
        let fold = on(0, &rows(&[1, 2, 5], &[4, 4, 0])).unwrap();
        assert_eq!(fold.validation.get(Metric::Accuracy), Some(0.0));
        let binary = on(0, &rows(&[5, 2, 0], &[3, 1, 0])).unwrap();
        // Of the two classes that are seen.
        assert_eq!(binary.validation.get(Metric::MacroRecall), Some(0.5));
        assert!(binary.validation.answers_one_class());
        assert!(binary.validation.loss().is_finite());
    }

    #[test]
    fn half_of_each_of_two_classes_right_is_not_one_answer() {
        let mut tally = Tally::new(2);
        for (truth, guess, rows) in [(0, 0, 60), (0, 1, 40), (1, 1, 40), (1, 0, 60)] {
            tally.add_rows(truth, guess, rows);
        }
        let scores = tally.scores();
        assert_eq!((scores.accuracy, scores.macro_recall), (0.5, 0.5));
        assert!(!scores.answers_one_class());
    }
}
