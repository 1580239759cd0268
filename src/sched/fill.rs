//! Owns who takes the place of a trial that ended while its pack goes on: a trial of a job that waits.
//!
//! A pack never grows beyond what it was launched with, so that it needs no more memory than it did.
//! Trials come from the job that would start last, and from the end of that.

#[cfg(test)]
mod tests;

use crate::job::Work;
use crate::plan::{JobId, pack};
use crate::sched::retry::Past;
use crate::sched::step::index;
use crate::sched::{GraphAction, GraphScheduler, JobState};
use crate::values::stream::StreamKey;
use crate::values::{Device, Trial, TrialId};

/// Whether anything is gained where a trial joins these on a device, of which one has just ended. It
/// starts at its first step, so that it has no trunk in common with them: it has to go through the model
/// together with them, in a pack that has no trunk to lose by it, and that goes on for a while.
fn gains(device: Device, open: &[&Trial], ended: &Trial, failed: bool) -> bool {
    let has_trunk = open.len() > 1
        && open.iter().all(|trial| StreamKey::of(trial) == StreamKey::of(open[0]))
        && open[0].configuration.method.lora().is_some();
    let epochs = |trial: &Trial| trial.configuration.training.epochs;
    // Trials of one length end together, and those that wait are better off as a pack of their own.
    let goes_on = open.iter().any(|trial| failed || epochs(trial) > epochs(ended));
    match device {
        Device::Cuda { .. } => goes_on && !has_trunk,
        Device::Cpu { .. } | Device::Host => false,
    }
}

/// Whether one trial needs no more memory than another that it could train with.
fn fits(newcomer: &Trial, ended: &Trial) -> bool {
    let rank = |trial: &Trial| trial.configuration.method.lora().map_or(0, |lora| lora.rank);
    rank(newcomer) <= rank(ended)
}

impl GraphScheduler {
    /// Gives the place of a trial that ended to one that waits, where there is one that it suits.
    ///
    /// Jobs that wait have no place to start in: otherwise they would have been launched.
    pub(super) fn fill(&mut self, job: JobId, ended: TrialId, failed: bool) -> Vec<GraphAction> {
        let Some((from, trial)) = self.newcomer(job, ended, failed) else { return Vec::new() };
        self.move_trial(from, job, trial);
        if let Some(limit) = self.policy.trial_timeout {
            self.places.extend(job, limit);
        }
        vec![GraphAction::Join { job, trial }]
    }

    /// A trial that may take the place of one of a job's, and the job that it waits in. Jobs that
    /// failed before take and give nothing: nobody knows which of their trials is to blame.
    fn newcomer(&self, job: JobId, ended: TrialId, failed: bool) -> Option<(JobId, TrialId)> {
        let JobState::Running { placement, .. } = self.states.get(index(job))? else { return None };
        let Work::Train(pack) = &self.graph.job(job).work else { return None };
        let ended = pack.slots.iter().find(|trial| trial.id == ended)?;
        let open: Vec<&Trial> = self.open(&pack.slots).collect();
        let is_sound = self.past[index(job)].launches == 1;
        if !is_sound || !gains(placement.device, &open, ended, failed) {
            return None;
        }
        self.queue.last_training().find_map(|waiting| {
            let Work::Train(other) = &self.graph.job(waiting).work else { return None };
            let is_fresh = self.past[index(waiting)] == Past::default();
            let is_alike = other.slots.first().is_some_and(|first| pack::compatible(first, ended));
            let newcomer = other.slots.iter().rfind(|trial| is_fresh && is_alike && fits(trial, ended))?;
            Some((waiting, newcomer.id))
        })
    }

    /// Moves a trial from a job that waits to one at work. Who needed the first needs both, or the
    /// second alone where nothing is left of the first.
    fn move_trial(&mut self, from: JobId, to: JobId, trial: TrialId) {
        self.queue.remove_training(from, self.graph.job(from));
        let Some(taken) = self.graph.withdraw(from, trial) else { return };
        let dependants = self.dependants[index(from)].clone();
        let new: Vec<JobId> =
            dependants.iter().copied().filter(|id| !self.dependants[index(to)].contains(id)).collect();
        self.graph.hand_over(to, taken, &new);
        self.await_too(&new);
        self.dependants[index(to)].extend(new);
        if self.graph.job(from).trials().is_empty() {
            self.states[index(from)] = JobState::Replaced { by: vec![to] };
            self.settle(from);
        } else {
            self.queue.push(from, self.graph.job(from));
        }
    }

    /// Makes a trial wait again that a job was given and did not take: in a job of its own.
    pub(super) fn take_back(&mut self, job: JobId, trial: TrialId) {
        let is_active = self.states.get(index(job)).is_some_and(JobState::is_active);
        if !is_active || self.settled.contains(&trial) {
            return;
        }
        let Work::Train(pack) = &self.graph.job(job).work else { return };
        let alone: Vec<Trial> = pack.slots.iter().filter(|slot| slot.id == trial).cloned().collect();
        if alone.is_empty() {
            return;
        }
        let dependants = self.dependants[index(job)].clone();
        for part in self.graph.divide(job, vec![alone], &dependants) {
            self.graph.withdraw(job, trial);
            self.states.push(JobState::Cancelled);
            self.past.push(Past::default());
            self.dependants.push(dependants.clone());
            if self.ending.is_none() {
                self.await_too(&dependants);
                self.make_ready(part);
            }
        }
    }

    /// Counts one more job that these need.
    fn await_too(&mut self, dependants: &[JobId]) {
        for dependant in dependants {
            if let JobState::Blocked { unmet } = &mut self.states[index(*dependant)] {
                *unmet += 1;
            }
        }
    }
}
