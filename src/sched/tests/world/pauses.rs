//! What becomes of trials of the world that are compared, or that a person stops and keeps.

use std::collections::BTreeSet;

use rand::Rng;
use rand::seq::IndexedRandom;

use super::children::Child;
use super::{Happens, World};
use crate::sched::trial::TrialState;
use crate::values::{JobKey, Metric, Pause, Scores, TrialId, What};

/// Steps of each trial.
const STEPS: u64 = 100;

impl World {
    /// A child's trial comes to where it pauses. Some have their only validation at their end, and finish.
    pub(super) fn come_to_a_rung(&mut self, job: JobKey, trial: TrialId, share: f64) {
        let step = (STEPS as f64 * share).ceil() as u64;
        if self.chance(5) {
            self.children.get_mut(&job).expect("it is at work").until.remove(&trial);
            self.end_trial(job, trial);
            return;
        }
        let before = self.paused.insert(trial, step).unwrap_or_default();
        assert!(step > before, "{trial} went from {before} to {step}");
        // Equal ones too, and one that was not validated.
        let loss = self.chance(95).then(|| f64::from(self.rng.random_range(0..20_u8)));
        self.pause(job, trial, step, loss);
    }

    /// A child lets a trial go that was not over by then.
    pub(super) fn let_go(&mut self, job: JobKey, trial: TrialId) {
        // A later job may have the same name.
        let heeds = |child: &Child| child.open.contains(&trial) && child.ordered.contains(&trial);
        if self.children.get(&job).is_some_and(heeds) {
            let step = self.paused.get(&trial).copied().unwrap_or_default();
            self.pause(job, trial, step, None);
        }
    }

    fn pause(&mut self, job: JobKey, trial: TrialId, step: u64, loss: Option<f64>) {
        let child = self.children.get_mut(&job).expect("it is at work");
        child.open.retain(|open| *open != trial);
        child.until.remove(&trial);
        if child.open.is_empty() {
            self.expect(1, Happens::Ends(job, super::children::Exit::Done));
        }
        if let Some(past) = self.pasts.get_mut(&trial) {
            // It has shown that it can train.
            past.company = self.trials.iter().copied().collect();
        }
        let scores = loss.map(|loss| Scores::of("classification").with(Metric::Loss, loss));
        let pause = Pause { trial, step, steps: STEPS, scores, loss_error: None, rows: None };
        self.happen(What::TrialPaused { key: job, pause });
    }

    /// A person stops a trial that has no fate, or lets one go on to its end.
    pub(super) fn order(&mut self) {
        if self.ending || self.ended {
            return;
        }
        let keeps = self.chance(50);
        let state = |trial: &TrialId| self.scheduler.state(*trial).unwrap();
        let is_stopped = |trial: &&TrialId| *state(trial) == TrialState::Stopped;
        let trials: Vec<TrialId> = match keeps {
            true => self.trials.iter().filter(is_stopped).copied().collect(),
            false => self.trials.iter().filter(|trial| !state(trial).is_over()).copied().collect(),
        };
        let Some(trial) = trials.choose(&mut self.rng).copied() else { return };
        let trials = self.scheduler.brackets.company(trial);
        let no_fate = |trial: &TrialId| !self.fates.contains_key(trial);
        let trials: Vec<TrialId> = trials.into_iter().filter(no_fate).collect();
        if keeps {
            // A person's word ends a pause, and what failed starts had shown of company.
            let all: BTreeSet<TrialId> = self.trials.iter().copied().collect();
            for (_, past) in self.pasts.iter_mut().filter(|(trial, _)| trials.contains(trial)) {
                (past.not_before_ms, past.company) = (0, all.clone());
            }
        }
        self.happen(if keeps { What::KeepOrdered { trials } } else { What::StopOrdered { trials } });
    }
}
