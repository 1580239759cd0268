//! Owns what becomes of a trial that pauses or is stopped. Decides none of it.

use super::{Ledger, TrialState};
use crate::values::{JobKey, Pause, StopReason, TrialId, What};

impl Ledger {
    /// A trial leaves its job at a rung, or as a person ordered.
    pub(super) fn pause(&mut self, key: JobKey, pause: &Pause) {
        if !self.leave(key, pause.trial) {
            return;
        }
        let state = match self.stops.get(&pause.trial) {
            Some(reason) => TrialState::Stopped { reason: reason.clone() },
            None => TrialState::Paused { step: pause.step },
        };
        self.set(pause.trial, state);
        self.trials.entry(pause.trial).or_default().pause = Some(Pause { rows: None, ..pause.clone() });
    }

    /// Takes in what stops trials, or lets them go on.
    pub(super) fn stop_and_let_go(&mut self, what: &What) {
        if let What::RungDecided(decision) = what {
            decision.stopped().for_each(|(trial, reason)| self.stop(trial, reason));
        } else if let What::StopOrdered { trials } = what {
            trials.iter().for_each(|trial| self.stop(*trial, StopReason::ByHand));
        } else if let What::TrialsStopped { trials, reason } = what {
            trials.iter().for_each(|trial| self.stop(*trial, reason.clone()));
        } else if let What::BracketsOpened { brackets } = what {
            // They are compared anew.
            let candidates = brackets.iter().flat_map(|bracket| &bracket.candidates);
            let trials = candidates.flat_map(|one| one.compared.iter().chain(&one.later));
            let trials =
                trials.filter(|trial| matches!(self.stops.get(trial), Some(StopReason::Rung { .. })));
            trials.copied().collect::<Vec<TrialId>>().into_iter().for_each(|trial| self.go_on(trial));
        } else if let What::KeepOrdered { trials } | What::TrialsFreed { trials } = what {
            trials.iter().for_each(|trial| self.go_on(*trial));
        }
    }

    /// Stops a trial that has no fate yet. One that trains leaves its job first.
    fn stop(&mut self, trial: TrialId, reason: StopReason) {
        match self.state(trial) {
            TrialState::Waiting | TrialState::Paused { .. } | TrialState::Interrupted => {
                self.set(trial, TrialState::Stopped { reason: reason.clone() });
            }
            TrialState::Running { .. }
            | TrialState::Done
            | TrialState::Failed { .. }
            | TrialState::Stopped { .. } => {}
        }
        self.stops.insert(trial, reason);
    }

    /// The state of a trial that a job leaves without a fate: it may have been ordered to stop meanwhile.
    pub(super) fn left_behind(&self, trial: TrialId) -> TrialState {
        match self.stops.get(&trial) {
            Some(StopReason::ByHand) => TrialState::Stopped { reason: StopReason::ByHand },
            Some(StopReason::Rung { .. }) | None => TrialState::Interrupted,
        }
    }

    /// Why a trial was stopped, whether it went on later or not; `None` where it never was.
    #[must_use]
    pub fn stop_reason(&self, trial: TrialId) -> Option<&StopReason> {
        self.stops.get(&trial)
    }

    /// Takes back that a trial is stopped.
    fn go_on(&mut self, trial: TrialId) {
        self.stops.remove(&trial);
        if let TrialState::Stopped { .. } = self.state(trial) {
            let never_started = self.trials.get(&trial).is_none_or(|standing| standing.attempts == 0);
            self.set(trial, if never_started { TrialState::Waiting } else { TrialState::Interrupted });
        }
    }

    /// At the start of a run: what was stopped before is stopped again, or goes on, unless a person stopped it.
    pub(super) fn stop_again(&mut self, no_stop: bool) {
        for (trial, reason) in self.stops.clone() {
            if no_stop && reason != StopReason::ByHand {
                self.go_on(trial);
                self.stops.insert(trial, reason);
            } else {
                self.stop(trial, reason);
            }
        }
    }
}
