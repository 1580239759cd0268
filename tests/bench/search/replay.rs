//! Owns the replay of a grid under a rule: its trials stand at the scores that they had, and who trains on is decided by
//! `lorasweep::search`, as in a run.

use std::collections::BTreeSet;
use std::sync::Arc;

use lorasweep::search::{Brackets, Known, StopRule, Turn};
use lorasweep::values::{
    Configuration, ContentHash, Failure, Lora, Method, Metric, Pause, Scores, Splitting, Training, Trial,
    What,
};

use crate::grid::{Curve, End, Grid, Validation};

/// A rule, and what differs from a run that has it.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) label: &'static str,
    /// `None` trains the whole grid.
    pub(crate) stop: Option<StopRule>,
    /// Rungs stand at this share of where the rule has them.
    pub(crate) rungs_at: f64,
    /// No rung stands before this share of the steps.
    pub(crate) not_before: f64,
    /// Whether it knows the loss of the best constant answer, and so a plateau.
    pub(crate) knows_plateaus: bool,
}

/// What a replay came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// Optimiser steps that were trained.
    pub(crate) steps: u64,
    /// The candidates of which every fold was trained to its end.
    pub(crate) whole: BTreeSet<usize>,
}

/// A leg of a trial: until which step it trains, and how it stands there.
enum Leg<'c> {
    Paused(&'c Validation),
    Ended,
    Diverged,
}

/// The trials of a grid and who is compared with whom, before the first step. It is the same for all grids of a size and
/// a task.
pub(crate) struct Field {
    trials: Vec<Trial>,
    opened: Brackets,
    /// What it was made for.
    of: (usize, usize, f64),
}

impl Field {
    pub(crate) fn of(grid: &Grid, rule: &Rule) -> Self {
        let of = Self::key(grid);
        let trials = trials(of.0, of.1, rule.not_before);
        let untrained = |_: &Configuration| rule.knows_plateaus.then_some(grid.untrained);
        let mut opened = match rule.stop {
            Some(stop) => Brackets::new(stop, Known::of(&trials, &untrained)),
            None => Brackets::default(),
        };
        for brackets in opened.open(&trials, &|_| false) {
            opened.on(&brackets);
        }
        Self { trials, opened, of }
    }

    /// Whether it is that of this grid, too, under the same rule.
    pub(crate) fn is_of(&self, grid: &Grid) -> bool {
        self.of == Self::key(grid)
    }

    fn key(grid: &Grid) -> (usize, usize, f64) {
        (grid.candidates.len(), grid.candidates[0].folds.len(), grid.untrained)
    }
}

/// The outcome of a grid under a rule, this fold being the first. `backwards` visits trials in the opposite order, as
/// though the last ones were the fastest.
pub(crate) fn replay(grid: &Grid, rule: &Rule, field: &Field, first: usize, backwards: bool) -> Outcome {
    let folds = grid.candidates[0].folds.len();
    let order: Vec<usize> = std::iter::once(first).chain((0..folds).filter(|fold| *fold != first)).collect();
    let Field { trials, opened, .. } = field;
    let mut brackets = opened.clone();
    let mut done = vec![0_u64; trials.len()];
    let mut over = vec![false; trials.len()];
    let mut visits: Vec<usize> = (0..trials.len()).collect();
    if backwards {
        visits.reverse();
    }
    loop {
        let mut has_moved = false;
        for n in visits.iter().copied() {
            let curve = &grid.candidates[n / folds].folds[order[n % folds]];
            let leg = match brackets.turn(trials[n].id) {
                _ if over[n] => continue,
                Turn::Waits | Turn::Stopped => continue,
                Turn::Free => to_end(curve),
                Turn::Until(share) => until(curve, share * rule.rungs_at, done[n]),
            };
            has_moved = true;
            over[n] = !matches!(leg, Leg::Paused(_));
            done[n] = match leg {
                Leg::Paused(validation) => validation.step,
                Leg::Ended | Leg::Diverged => curve.trained(),
            };
            brackets.on(&told(rule, &trials[n], curve, &leg));
        }
        while let Some(decision) = brackets.due() {
            has_moved = true;
            brackets.on(&decision);
        }
        if !has_moved {
            break;
        }
    }
    let is_whole = |n: &usize| (n * folds..(n + 1) * folds).all(|trial| over[trial]);
    Outcome { steps: done.iter().sum(), whole: (0..grid.candidates.len()).filter(is_whole).collect() }
}

/// The trials of so many candidates on so many folds, those of a candidate one after the other.
fn trials(candidates: usize, folds: usize, not_before: f64) -> Vec<Trial> {
    let splitting = Splitting::KFold { k: folds, stratified: true, seed: 1 };
    let mut trials = Vec::new();
    for number in 1..=u32::try_from(candidates).unwrap() {
        // A rung never stands within the warm-up.
        let training = Training { warmup: not_before, ..Training::new(1e-6 * f64::from(number)) };
        let configuration = Arc::new(configuration(training));
        trials.extend((0..folds).map(|fold| Trial::new(&configuration, splitting, fold)));
    }
    trials
}

fn configuration(training: Training) -> Configuration {
    use lorasweep::families::{Architecture, BertConfig, ModelSpec, Parts, Weights};
    use lorasweep::tasks::{DataFile, Task};

    let hash = ContentHash::of_bytes(b"");
    let path = std::path::PathBuf::from("rows.csv");
    let file = DataFile { path: path.clone(), content: hash, rows: 1, rows_read: None, text_bytes: 1 };
    let task = Arc::new(Task::classification(file, "text", "label", &["a", "b"]));
    let model = ModelSpec {
        name: "model".to_owned(),
        weights: Weights::Random { seed: 1 },
        tokenizer: path,
        tokenizer_content: hash,
        parts: Parts::default(),
        architecture: Architecture::Bert(BertConfig::default()),
    };
    Configuration::new(&task, &model, Method::Lora(Lora::new(&["query"], 8, 16.0)), training)
}

fn to_end(curve: &Curve) -> Leg<'_> {
    match curve.end {
        End::Scored { .. } => Leg::Ended,
        End::Diverged { .. } => Leg::Diverged,
    }
}

/// To the first validation at or after a share of the steps, or to the end where there is none before it.
fn until(curve: &Curve, share: f64, done: u64) -> Leg<'_> {
    let from = (curve.steps as f64 * share - 1e-6).max(done as f64 + 1.0);
    let next = curve.validations.iter().find(|one| one.step as f64 >= from && one.step < curve.steps);
    next.map_or_else(|| to_end(curve), Leg::Paused)
}

/// What a run would journal of the end of a leg.
fn told(rule: &Rule, trial: &Trial, curve: &Curve, leg: &Leg<'_>) -> What {
    match leg {
        Leg::Paused(at) => {
            let scores =
                Scores::of("classification").with(Metric::Loss, at.loss).with(Metric::Accuracy, at.accuracy);
            // In steps, rungs are told where the rule has them.
            let step = (at.step as f64 / rule.rungs_at).round() as u64;
            What::TrialPaused {
                key: lorasweep::values::JobKey::Train(trial.id),
                pause: Pause {
                    trial: trial.id,
                    step,
                    steps: curve.steps,
                    scores: Some(scores),
                    loss_error: Some(at.loss_error),
                    rows: None,
                },
            }
        }
        Leg::Ended => What::TrialFinished { trial: trial.id, result: None },
        Leg::Diverged => {
            What::TrialFailed { trial: trial.id, failure: Failure::Diverged { step: curve.trained() } }
        }
    }
}
