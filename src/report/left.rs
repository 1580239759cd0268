//! Owns where the configurations left that were stopped early, and the steps that this saved. They are censored: what
//! they would have scored is not known, and nothing here estimates it. Pure.

use std::collections::HashMap;

use crate::record::{RunRecord, TrialRecord, TrialState};
use crate::tasks::Objective;
use crate::values::{Configuration, Method, Metric, StopReason, TrialId, Unit};

/// Where a trial left, or its configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Left {
    /// The trial: of a configuration, the first that was compared.
    pub trial: TrialId,
    /// The rung at which it was not kept; `None` where a person stopped it.
    pub rung: Option<Rung>,
    /// Optimiser steps done.
    pub step: u64,
    /// Optimiser steps in all, where they are known.
    pub steps: Option<u64>,
    /// What `score` is.
    pub metric: Metric,
    /// Its score on validation rows after this step: of a rung, a mean over the trials that were compared.
    pub score: Option<f64>,
    /// Standard error of the score over rows, where one trial was compared and that is its loss.
    pub error: Option<f64>,
}

/// A rung, and how a configuration stood there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rung {
    /// The bracket, from 1.
    pub bracket: usize,
    /// The rung, from 1.
    pub number: usize,
    /// The configuration's rank, from 1.
    pub rank: usize,
    /// Number of configurations that were ranked.
    pub of: usize,
    /// The score of the last one that was kept.
    pub last_kept: Option<f64>,
    /// Whether this trial itself was compared.
    is_compared: bool,
}

impl Left {
    /// Where a trial left; `None` where it was not stopped.
    #[must_use]
    pub fn of_trial(trial: &TrialRecord, objective: &Objective) -> Option<Self> {
        let TrialState::Stopped { reason } = &trial.state else { return None };
        let pause = trial.pause.as_ref();
        let scores = pause.and_then(|pause| pause.scores.as_ref());
        let done = pause.map_or(0, |pause| pause.step);
        let by_hand = Self {
            trial: trial.trial.id,
            rung: None,
            step: done,
            steps: pause.map(|pause| pause.steps),
            metric: loss(objective),
            score: scores.and_then(|scores| scores.loss()),
            error: pause.and_then(|pause| pause.loss_error),
        };
        let &StopReason::Rung { bracket, rung, step, rank, of, score, last_kept, by, is_compared } = reason
        else {
            return Some(by_hand);
        };
        Some(Self {
            rung: Some(Rung { bracket, number: rung, rank, of, last_kept, is_compared }),
            step: if is_compared { step } else { done },
            metric: by.unwrap_or(by_hand.metric),
            score,
            error: by_hand.error.filter(|_| is_compared && by.is_none()),
            ..by_hand
        })
    }

    /// Where a configuration left, given its trials; `None` where none of them is stopped.
    pub(super) fn of<'a>(
        trials: impl Iterator<Item = &'a TrialRecord>,
        objective: &Objective,
    ) -> Option<Self> {
        let all: Vec<Self> = trials.filter_map(|trial| Self::of_trial(trial, objective)).collect();
        let compared = all.iter().filter(|left| left.is_compared()).count();
        let told = all.iter().find(|left| left.is_compared());
        let told =
            told.or_else(|| all.iter().reduce(|most, one| if one.step > most.step { one } else { most }))?;
        let error = told.error.filter(|_| compared < 2);
        Some(Self { error, ..told.clone() })
    }

    fn is_compared(&self) -> bool {
        self.rung.is_some_and(|rung| rung.is_compared)
    }

    /// Its score minus that of the last one that was kept.
    #[must_use]
    pub fn margin(&self) -> Option<f64> {
        Some(self.score? - self.rung?.last_kept?)
    }

    /// The order of tables: bracket by bracket those that came furthest first, then the best of a rung; last what a person
    /// stopped.
    pub(super) fn order(&self) -> impl Ord + use<> {
        let rung = self.rung.map(|rung| (rung.bracket, usize::MAX - rung.number, rung.rank));
        (rung.is_none(), rung, u64::MAX - self.step)
    }
}

/// The loss of a kind of task.
fn loss(objective: &Objective) -> Metric {
    let is_loss = |metric: &&Metric| metric.row().unit == Unit::Loss;
    objective.metrics().iter().find(is_loss).copied().unwrap_or(Metric::Loss)
}

/// Optimiser steps of a sweep, and those that were not taken since trials were stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Of all trials.
    pub all: u64,
    /// Of those trials that the sweep's rule may stop.
    pub stoppable: u64,
    /// Not taken.
    pub left_out: u64,
}

impl Saved {
    /// `None` where the steps of some trial are not known.
    #[must_use]
    pub fn of(record: &RunRecord) -> Option<Self> {
        let known = known_steps(record);
        let mut saved = Self { all: 0, stoppable: 0, left_out: 0 };
        for trial in &record.trials {
            let configuration = &trial.trial.configuration;
            let steps = match (own_steps(trial), &configuration.method) {
                (Some(steps), _) => steps,
                (None, Method::Base) => 0,
                (None, Method::Lora(_) | Method::Dora(_) | Method::Full | Method::Scratch) => {
                    *known.get(&alike(configuration))?
                }
            };
            let is_stopped = matches!(trial.state, TrialState::Stopped { .. });
            saved.all += steps;
            if is_stopped {
                saved.left_out += steps.saturating_sub(trial.pause.as_ref().map_or(0, |pause| pause.step));
            }
            if record.sweep.stop.is_none_or(|rule| rule.may_stop(&configuration.method)) {
                saved.stoppable += steps;
            }
        }
        (saved.stoppable > 0).then_some(saved)
    }
}

/// What decides the number of a trial's steps, but for a row that one fold has more than another.
type Alike<'a> = (&'a str, u64, usize, usize);

fn alike(one: &Configuration) -> Alike<'_> {
    (&one.task, one.training.epochs.to_bits(), one.training.batch_size, one.training.accumulation)
}

fn known_steps(record: &RunRecord) -> HashMap<Alike<'_>, u64> {
    let mut known = HashMap::new();
    for trial in &record.trials {
        if let Some(steps) = own_steps(trial).filter(|steps| *steps > 0) {
            known.entry(alike(&trial.trial.configuration)).or_insert(steps);
        }
    }
    known
}

fn own_steps(trial: &TrialRecord) -> Option<u64> {
    let paused = trial.pause.as_ref().map(|pause| pause.steps);
    trial.finished().map(|result| result.steps).or(paused)
}
