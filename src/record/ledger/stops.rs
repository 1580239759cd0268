//! Owns what becomes of a trial that pauses or is stopped. Decides none of it.

use super::{Ledger, TrialState};
use crate::values::{JobKey, Pause, StopReason, TrialId};

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

    /// Stops a trial that has no fate yet. One that trains leaves its job first.
    pub(super) fn stop(&mut self, trial: TrialId, reason: StopReason) {
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

    /// Takes back that a trial, and the others of its configuration, are stopped.
    pub(super) fn go_on(&mut self, trial: TrialId) {
        self.stops.remove(&trial);
        if let TrialState::Stopped { .. } = self.state(trial) {
            let never_started = self.trials.get(&trial).is_none_or(|standing| standing.attempts == 0);
            self.set(trial, if never_started { TrialState::Waiting } else { TrialState::Interrupted });
        }
    }

    /// At the start of a run: what was stopped before is stopped again, or goes on.
    pub(super) fn stop_again(&mut self, no_stop: bool) {
        for (trial, reason) in self.stops.clone() {
            if no_stop {
                self.go_on(trial);
                self.stops.insert(trial, reason);
            } else {
                self.stop(trial, reason);
            }
        }
    }
}
