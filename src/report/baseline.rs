//! Owns the baseline of a task: the score of the best constant answer, such as the majority class, on the same
//! rows that trials were judged on. Each kind of task computes it from what its trials store with their scores.
//! Pure.

use crate::record::{RunRecord, TrialRecord};
use crate::tasks::Task;
use crate::values::{ClassRows, Metric, Reference};

use super::statistics::Spread;

/// The baseline of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// Its name in tables: `majority class`.
    pub label: &'static str,
    /// Its answers, each once: they may differ between folds.
    pub answers: Vec<String>,
    /// Each fold with a finished trial, in order.
    pub folds: Vec<FoldBaseline>,
}

/// The baseline on one fold.
#[derive(Clone, Debug, PartialEq)]
pub struct FoldBaseline {
    /// Index of the fold, from 0.
    pub fold: usize,
    /// The classes of the rows, where they have classes.
    pub class_rows: Option<ClassRows>,
    /// Its answer, and the scores of that.
    pub reference: Reference,
}

impl Baseline {
    /// The baseline of a task; `None` where it has none, or no finished trial stores its score.
    #[must_use]
    pub fn of(record: &RunRecord, task: &Task) -> Option<Self> {
        let label = task.objective.words().baseline?;
        let trials: Vec<&TrialRecord> =
            record.trials.iter().filter(|trial| trial.trial.configuration.task == task.name).collect();
        let on_fold = |fold: usize| {
            let results = trials.iter().filter(|trial| trial.trial.fold == fold).filter_map(|t| t.finished());
            results
                .filter_map(|result| {
                    let reference = task.objective.baseline(result)?;
                    Some(FoldBaseline { fold, class_rows: result.class_rows.clone(), reference })
                })
                .next()
        };
        let folds: Vec<FoldBaseline> = (0..record.sweep.splitting.splits()).filter_map(on_fold).collect();
        let mut answers: Vec<String> = Vec::new();
        for fold in &folds {
            if !answers.contains(&fold.reference.answer) {
                answers.push(fold.reference.answer.clone());
            }
        }
        (!folds.is_empty()).then_some(Self { label, answers, folds })
    }

    /// A metric on the validation rows, over folds.
    #[must_use]
    pub fn validation(&self, metric: Metric) -> Option<Spread> {
        Spread::of(&self.scores(metric).into_iter().map(|(_, score)| score).collect::<Vec<_>>())
    }

    /// A metric on the validation rows of each fold, by the fold's index.
    #[must_use]
    pub fn scores(&self, metric: Metric) -> Vec<(usize, f64)> {
        let score = |fold: &FoldBaseline| Some((fold.fold, fold.reference.validation.get(metric)?));
        self.folds.iter().filter_map(score).collect()
    }

    /// A metric on the test rows, over folds, whose answers may differ.
    #[must_use]
    pub fn test(&self, metric: Metric) -> Option<Spread> {
        let score = |fold: &FoldBaseline| fold.reference.test.as_ref()?.get(metric);
        Spread::of(&self.folds.iter().filter_map(score).collect::<Vec<_>>())
    }

    /// A metric on test rows where there are any, else on validation rows.
    #[must_use]
    pub fn reported(&self, metric: Metric) -> Option<Spread> {
        self.test(metric).or_else(|| self.validation(metric))
    }
}
