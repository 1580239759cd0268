//! Owns what will run: exact parameter counts, cost estimates, packs and the graph of jobs.
//!
//! Pure: no I/O, no clock. The same sweep, devices and resume plan always give the same graph.

#[cfg(test)]
pub(crate) mod example;
pub mod graph;
pub mod overview;
pub mod pack;
mod table;

pub use overview::overview;

use serde::{Deserialize, Serialize};

use crate::cost::Estimate;
use crate::job::{Pack, Work};
use crate::values::{JobKey, Trial, TrialId};

/// A job's position in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub u32);

/// A node of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its stable name.
    pub key: JobKey,
    /// What it does.
    pub work: Work,
    /// Jobs that must be done before it starts. For the report "done" includes
    /// failed and skipped: it tells what there is.
    pub needs: Vec<JobId>,
    /// What it is thought to cost.
    pub estimate: Estimate,
}

/// The jobs of a run. Acyclic: a job only needs jobs that stand before it, parts of those, and packs
/// that took trials of those. Only the report needs packs.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct JobGraph {
    jobs: Vec<Job>,
}

impl JobGraph {
    /// A graph without jobs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a job behind those it needs.
    ///
    /// # Panics
    /// When it needs a job that is not in the graph yet: that would allow a cycle.
    pub fn push(&mut self, job: Job) -> JobId {
        let id = JobId(u32::try_from(self.jobs.len()).expect("fewer than 2^32 jobs"));
        assert!(job.needs.iter().all(|need| *need < id), "job `{}` needs a job that comes after it", job.key);
        self.jobs.push(job);
        id
    }

    /// Puts jobs with these parts of a pack at the end; those that need the pack (`dependants`) need
    /// them too. Other work cannot be divided.
    pub fn divide(&mut self, id: JobId, parts: Vec<Vec<Trial>>, dependants: &[JobId]) -> Vec<JobId> {
        let Job { work: Work::Train(pack), needs, estimate, .. } = self.job(id).clone() else {
            return Vec::new();
        };
        let divided = parts.into_iter().map(|slots| {
            let estimate = estimate.share(slots.len() as f64 / pack.slots.len() as f64);
            let key = JobKey::Train(slots[0].id);
            let work = Work::Train(Box::new(Pack { slots, ..(*pack).clone() }));
            self.push(Job { key, work, needs: needs.clone(), estimate })
        });
        let divided: Vec<JobId> = divided.collect();
        for dependant in dependants {
            self.jobs[dependant.0 as usize].needs.extend(&divided);
        }
        divided
    }

    /// Takes a trial out of a pack, with its share of what the pack is thought to cost. `None` where
    /// the job does not train it.
    pub fn withdraw(&mut self, id: JobId, trial: TrialId) -> Option<(Trial, Estimate)> {
        let Job { work: Work::Train(pack), estimate, .. } = &mut self.jobs[id.0 as usize] else {
            return None;
        };
        let slot = pack.slots.iter().position(|other| other.id == trial)?;
        let share = estimate.share(1.0 / pack.slots.len() as f64);
        *estimate = estimate.less(share);
        Some((pack.slots.remove(slot), share))
    }

    /// Puts a trial into a pack; those that needed it where it was (`dependants`) need the pack too. Its
    /// memory is what another trial of the pack has given back.
    pub fn hand_over(&mut self, id: JobId, (trial, share): (Trial, Estimate), dependants: &[JobId]) {
        let Job { work: Work::Train(pack), estimate, .. } = &mut self.jobs[id.0 as usize] else { return };
        pack.slots.push(trial);
        estimate.duration += share.duration;
        estimate.disk_mib += share.disk_mib;
        for dependant in dependants {
            self.jobs[dependant.0 as usize].needs.push(id);
        }
    }

    /// A job.
    #[must_use]
    pub fn job(&self, id: JobId) -> &Job {
        &self.jobs[id.0 as usize]
    }

    /// All jobs in their order.
    pub fn iter(&self) -> impl Iterator<Item = (JobId, &Job)> {
        (0..).map(JobId).zip(&self.jobs)
    }

    /// Number of jobs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
}

impl Job {
    /// The trials it trains; none for other work.
    #[must_use]
    pub fn trials(&self) -> Vec<TrialId> {
        match &self.work {
            Work::Train(pack) => pack.slots.iter().map(|trial| trial.id).collect(),
            Work::Prepare(_) | Work::Report { .. } => Vec::new(),
        }
    }
}
