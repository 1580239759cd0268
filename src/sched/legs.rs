//! Owns how far trials train before a decision on them, and what follows from one. What is decided, and when, is in
//! [`search`](crate::search).

use std::sync::Arc;

use crate::sched::Action;
use crate::sched::pool::Pool;
use crate::sched::scheduler::{Scheduler, Vacancy};
use crate::sched::trial::{self, Change, Part, TrialState};
use crate::sched::workload::{TrialNo, Workload};
use crate::search::{Brackets, Turn};
use crate::values::{JobKey, Pause, TrialId, What};

impl Scheduler {
    /// The same at the start of a run in which trials are compared: those wait that these brackets say, and those are
    /// over that are stopped.
    #[must_use]
    pub fn comparing(mut self, brackets: Brackets) -> Self {
        self.brackets = brackets;
        for trial in 0..self.trials.len() {
            let id = self.work.id(trial);
            let state = match self.brackets.turn(id) {
                Turn::Free | Turn::Until(_) => {
                    self.begin_part(trial);
                    continue;
                }
                Turn::Waits => TrialState::Held,
                Turn::Stopped => TrialState::Stopped,
            };
            self.open -= usize::from(state.is_over());
            self.trials[trial].state = state;
        }
        let waits = |trial: TrialNo| matches!(self.trials[trial].state, TrialState::Waiting { .. });
        self.pool = Pool::of(&self.work, &waits);
        self
    }

    /// Who is compared with whom.
    #[must_use]
    pub fn brackets(&self) -> &Brackets {
        &self.brackets
    }

    /// Sets what a trial does next. It must not be in the pool, which is sorted by what trials cost.
    fn begin_part(&mut self, trial: TrialNo) {
        let id = self.work.id(trial);
        let until = match self.brackets.turn(id) {
            Turn::Until(share) => Some(share),
            Turn::Free | Turn::Waits | Turn::Stopped => None,
        };
        let part = Part { from: self.brackets.paused_at(id), until };
        if part != self.trials[trial].part {
            self.trials[trial].part = part;
            Arc::<Workload>::make_mut(&mut self.work).set_part(trial, part.share());
        }
    }

    /// Leaves the report to a scheduler of further trials, before anything runs.
    pub fn leave_out_report(&mut self) {
        self.chores.leave_out_report();
    }

    /// The share of its steps from which on a trial pauses; `None` where it does not.
    #[must_use]
    pub fn pauses_from(&self, id: TrialId) -> Option<f64> {
        self.work.number(id).and_then(|trial| self.trials[trial].part.until)
    }

    /// Takes in that a trial has left its job at a pause.
    pub(super) fn pause(&mut self, pause: &Pause) -> Option<Vacancy> {
        let is_told =
            |trial: TrialNo| self.trials[trial].part.until.is_some() || self.trials[trial].is_ordered;
        let was_told = self.work.number(pause.trial).is_some_and(is_told);
        let vacancy = self.end_trial(pause.trial, Change::Held);
        if let Some(Vacancy { ended, .. }) = vacancy {
            // That start has done its work.
            self.trials[ended].past.starts -= 1;
        }
        match self.brackets.turn(pause.trial) {
            Turn::Waits => {}
            Turn::Stopped => self.stop_early(pause.trial),
            // A person has said meanwhile that it is to go on.
            Turn::Free | Turn::Until(_) if was_told => self.release(pause.trial),
            // Nobody told it to pause; it would do so again.
            Turn::Free | Turn::Until(_) => {
                if let Some(trial) = self.work.number(pause.trial) {
                    self.change(trial, Change::Cancelled);
                }
            }
        }
        vacancy
    }

    /// Lets a trial go on, if a decision on it is what it waited for.
    pub(super) fn release(&mut self, id: TrialId) {
        let Some(trial) = self.work.number(id) else { return };
        if !matches!(self.brackets.turn(id), Turn::Free | Turn::Until(_)) {
            // A person has stopped it meanwhile.
            return;
        }
        match self.trials[trial].state {
            // A pack is called after its first trial. Its job may not have ended yet that others trained in too.
            TrialState::Held | TrialState::Stopped if self.jobs.contains_key(&JobKey::Train(id)) => {
                self.change(trial, Change::Held);
                self.after_namesake.insert(trial);
            }
            TrialState::Held | TrialState::Stopped if !self.ending => {
                self.begin_part(trial);
                let turn = self.turn_to_go_on(trial);
                self.change(trial, Change::Released { turn });
                // What a person lets go on may come after the report.
                self.chores.report_again();
            }
            TrialState::Held
            | TrialState::Stopped
            | TrialState::Waiting { .. }
            | TrialState::Paused { .. }
            | TrialState::Placed { .. }
            | TrialState::Done
            | TrialState::Failed { .. }
            | TrialState::Skipped { .. }
            | TrialState::Cancelled => {}
        }
    }

    /// What a trial may start with that goes on: what its failed starts have shown of memory and devices still holds.
    fn turn_to_go_on(&mut self, trial: TrialNo) -> trial::Turn {
        let past = &self.trials[trial].past;
        if past.alone {
            return trial::Turn::Alone;
        }
        if past.lost.is_empty() {
            return trial::Turn::InLane;
        }
        self.groups += 1;
        trial::Turn::Together { group: self.groups - 1 }
    }

    /// Lets the trial go on that a job was called after which has ended.
    pub(super) fn release_namesake(&mut self, key: JobKey) {
        let JobKey::Train(id) = key else { return };
        if self.work.number(id).is_some_and(|trial| self.after_namesake.remove(&trial)) {
            self.release(id);
        }
    }

    /// Stops a trial again that came back from its job, if a person has ordered that meanwhile.
    pub(super) fn stay_stopped(&mut self, trial: TrialNo) {
        if self.brackets.turn(self.work.id(trial)) == Turn::Stopped {
            self.change(trial, Change::Stopped);
        }
    }

    /// Whether a decision waits for the failure of a trial that was given up.
    pub(super) fn awaits_failure(&self) -> bool {
        let is_awaited = |trial: &TrialNo| self.brackets.awaits(self.work.id(*trial));
        !self.ending && self.given_up.iter().any(is_awaited)
    }

    /// Leaves the trials for the next run that wait for a decision which does not come in this one, since a trial that
    /// it needs was interrupted too often. Whether there are any: all others may be over then, and the report due.
    pub(super) fn leave_held(&mut self) -> bool {
        let is_held = |trial: &TrialNo| self.trials[*trial].state == TrialState::Held;
        let held: Vec<TrialNo> = (0..self.trials.len()).filter(is_held).collect();
        held.iter().for_each(|trial| self.change(*trial, Change::Cancelled));
        !held.is_empty() && !self.ending
    }

    pub(super) fn stop_early(&mut self, id: TrialId) {
        if let Some(trial) = self.work.number(id) {
            self.change(trial, Change::Stopped);
        }
    }

    /// Stops a trial as a person wants: one that trains has to write its checkpoint first.
    pub(super) fn stop_by_hand(&mut self, id: TrialId) -> Option<Action> {
        let trial = self.work.number(id)?;
        if let TrialState::Placed { job } = self.trials[trial].state {
            self.trials[trial].is_ordered = true;
            return Some(Action::Pause { job, trial: id });
        }
        self.change(trial, Change::Stopped);
        None
    }

    /// Lets a trial go on to its end, as a person wants. One that trains does so after its next pause.
    pub(super) fn keep_by_hand(&mut self, id: TrialId) {
        let Some(trial) = self.work.number(id) else { return };
        if let TrialState::Waiting { .. } = self.trials[trial].state {
            self.change(trial, Change::Held);
        }
        self.release(id);
    }

    /// On a simulated clock: the trials of a job that pause do so now.
    pub(super) fn pause_all(&mut self, key: JobKey) {
        let Some(training) = self.jobs.get(&key).and_then(|job| job.training()) else { return };
        let pauses = training.open.iter().filter_map(|trial| {
            let until = self.trials[*trial].part.until?;
            Some(foreseen(self.work.id(*trial), until))
        });
        for pause in pauses.collect::<Vec<Pause>>() {
            self.brackets.on(&What::TrialPaused { key, pause: pause.clone() });
            self.pause(&pause);
        }
    }
}

/// A pause after this share of a trial's steps, at which nothing was measured.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a million")]
fn foreseen(trial: TrialId, until: f64) -> Pause {
    const STEPS: u32 = 1_000_000;
    let step = (f64::from(STEPS) * until).ceil() as u64;
    Pause { trial, step, steps: STEPS.into(), scores: None, loss_error: None, rows: None }
}
