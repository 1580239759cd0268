//! Owns what a refit ends with, in words: for each task the configuration, its scores on the test rows and where
//! its model is. Chooses nothing among seeds: the first one is the model, since a choice by test rows would be a
//! selection on them. Pure.

use crate::record::{RunRecord, TrialRecord};
use crate::sweep::Refit;
use crate::tasks::Task;
use crate::values::{Configuration, Count, Scores, quantity};

use super::measure::Measure;
use super::statistics::Spread;

/// A refitted configuration.
pub struct Refitted<'a> {
    /// What it was chosen from.
    pub from: &'a Refit,
    /// Its trials, one for each seed. The first is the model.
    pub trials: Vec<&'a TrialRecord>,
    /// Its task.
    pub task: &'a Task,
    shown: Vec<Measure>,
}

impl<'a> Refitted<'a> {
    /// Those of a refit's record, in the order in which they were chosen.
    #[must_use]
    pub fn all(record: &'a RunRecord) -> Vec<Self> {
        let of = |from: &'a Refit| {
            let is_own = |trial: &&TrialRecord| trial.trial.configuration.task == from.task;
            let trials: Vec<_> = record.trials.iter().filter(is_own).collect();
            let task = record.sweep.task(&trials.first()?.trial.configuration);
            let shown = Measure::shown(record.sweep.selecting(task), &task.objective);
            Some(Self { from, trials, task, shown })
        };
        record.sweep.refits.iter().filter_map(of).collect()
    }

    /// The configuration with its first seed.
    #[must_use]
    pub fn configuration(&self) -> &'a Configuration {
        &self.trials[0].trial.configuration
    }

    /// What was trained on which rows: `LoRA r=16 α=16 of model `minilm`, on all 1,500 training rows`.
    #[must_use]
    pub fn title(&self) -> String {
        let task = if self.task.name == Task::ONLY { String::new() } else { format!("{}: ", self.task.name) };
        format!(
            "{task}{} of model `{}`, on all {}",
            self.from.label,
            self.configuration().model,
            quantity::counted(self.task.train_rows(), "training row")
        )
    }

    /// Why it is this configuration: `selected in `demo` by validation accuracy 62.4 ± 1.1 % over 3 trials`.
    #[must_use]
    pub fn chosen(&self) -> String {
        let Refit { of, selected, validation, .. } = self.from;
        let values = |measure: Measure| validation.iter().filter_map(move |one| one.get(measure.metric));
        let measure = self.shown[0];
        let spread = Spread::of(&values(measure).collect::<Vec<_>>());
        let trials = quantity::counted(validation.len(), "trial");
        let score = format!("validation {} over {trials}", measure.said(&measure.spread(spread.as_ref())));
        match selected {
            true => format!("selected in `{of}` by {score}"),
            false => format!("named by you; in `{of}` it has {score}"),
        }
    }

    /// The test scores, one line for each seed, and one for all of them where there are several.
    #[must_use]
    pub fn tested(&self) -> Vec<String> {
        if !self.task.is_tested() {
            return vec![
                "no test rows: what is known of it are its validation scores in the sweep".to_owned(),
            ];
        }
        let tests: Vec<&Scores> =
            self.trials.iter().filter_map(|trial| trial.finished()?.test.as_ref()).collect();
        let rows = self.rows(tests.first().copied());
        if let [only] = self.trials[..] {
            let said = only.finished().and_then(|result| result.test.as_ref());
            return vec![said.map_or_else(|| state(only), |scores| format!("{}{rows}", self.scores(scores)))];
        }
        let seed = |(number, trial): (usize, &&TrialRecord)| {
            let test = trial.finished().and_then(|result| result.test.as_ref());
            let said = test.map_or_else(|| state(trial), |scores| self.scores(scores));
            let model = if number == 0 { ", the model" } else { "" };
            format!("seed {}{model}: {said}", trial.trial.configuration.training.seed)
        };
        let mut lines: Vec<String> = self.trials.iter().enumerate().map(seed).collect();
        let all = match (tests.len(), self.trials.len()) {
            (0, _) => return lines,
            (done, planned) if done < planned => format!("{done} of {planned} seeds"),
            _ => "all seeds".to_owned(),
        };
        lines.push(format!("{all}: {}{rows}", self.spread(&tests)));
        lines
    }

    fn scores(&self, scores: &Scores) -> String {
        let said = |measure: &Measure| Some(measure.said(&measure.value(scores.get(measure.metric)?)));
        self.shown.iter().filter_map(said).collect::<Vec<_>>().join(", ")
    }

    fn spread(&self, tests: &[&Scores]) -> String {
        let said = |measure: &Measure| {
            let values: Vec<f64> = tests.iter().filter_map(|scores| scores.get(measure.metric)).collect();
            Some(measure.said(&measure.spread(Some(&Spread::of(&values)?))))
        };
        self.shown.iter().filter_map(said).collect::<Vec<_>>().join(", ")
    }

    /// What the scores were measured on: ` on 3,000 test rows`.
    fn rows(&self, scores: Option<&Scores>) -> String {
        match scores.and_then(|scores| scores.count(Count::Tokens)) {
            Some(tokens) => format!(" on {} tokens of the test rows", quantity::count(tokens)),
            None => format!(" on {}", quantity::counted(self.task.test_rows(), "test row")),
        }
    }
}

fn state(trial: &TrialRecord) -> String {
    format!("none yet: the trial is {}", trial.state.name())
}
