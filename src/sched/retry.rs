//! Owns what a job's earlier starts mean for its next one: how often, how soon, with how many trials
//! and rows, and beside whom.

use std::time::{Duration, SystemTime};

use crate::job::Work;
use crate::plan::JobId;
use crate::sched::ladder::{self, Load, Rung};
use crate::sched::state::{Again, Circumstances};
use crate::sched::step::index;
use crate::sched::{GraphScheduler, JobState};
use crate::values::Trial;

/// What the starts of a job so far have shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Past {
    pub(super) launches: u32,
    /// Starts that did not fail for lack of memory.
    pub(super) failures: u32,
    pub(super) alone: bool,
    pub(super) micro_rows: Option<usize>,
}

impl Past {
    /// Steps down the ladder. Who must be alone once stays so; who has memory of its own need not be.
    pub(super) fn ask_for_less(&mut self, rung: Rung, own_memory: bool) {
        match rung {
            Rung::Alone => self.alone = true,
            Rung::Rows(rows) => {
                self.alone |= !own_memory;
                self.micro_rows = Some(rows);
            }
            Rung::Halves | Rung::Floor => {}
        }
    }
}

impl GraphScheduler {
    /// What the end of a job is judged by.
    pub(super) fn circumstances(&self, now: SystemTime, job: JobId) -> Circumstances {
        let past = self.past[index(job)];
        let failures = past.failures + 1;
        let again = match self.policy.pause(failures) {
            _ if failures >= self.policy.attempts => Again::Never,
            Duration::ZERO => Again::AtOnce,
            pause => Again::At(now + pause),
        };
        let alone = self.places.is_alone(job);
        let (settled, load) = match &self.graph.job(job).work {
            Work::Train(pack) => {
                let trials = self.open(&pack.slots).count();
                let batch = pack.slots.first().map_or(1, |trial| trial.configuration.training.batch_size);
                let rows = past.micro_rows.unwrap_or(batch);
                (trials == 0 && !pack.slots.is_empty(), Load { trials, rows, alone })
            }
            Work::Prepare(_) | Work::Report { .. } => (false, Load { trials: 0, rows: 1, alone }),
        };
        Circumstances { again, rung: ladder::below(load), settled, ending: self.ending.is_some() }
    }

    /// The trials that have no fate yet.
    pub(super) fn open<'a>(&'a self, slots: &'a [Trial]) -> impl Iterator<Item = &'a Trial> {
        slots.iter().filter(|trial| !self.settled.contains(&trial.id))
    }

    /// Replaces a pack by two of half its open trials each. Who needed it needs both.
    pub(super) fn halve(&mut self, job: JobId) {
        let Work::Train(pack) = &self.graph.job(job).work else { return };
        let open: Vec<Trial> = self.open(&pack.slots).cloned().collect();
        let (first, second) = open.split_at(open.len().div_ceil(2));
        let dependants = std::mem::take(&mut self.dependants[index(job)]);
        let by = self.graph.divide(job, vec![first.to_vec(), second.to_vec()], &dependants);
        for part in &by {
            self.states.push(JobState::Ready);
            self.past.push(self.past[index(job)]);
            self.dependants.push(dependants.clone());
            self.make_ready(*part);
        }
        for dependant in dependants {
            if let JobState::Blocked { unmet } = &mut self.states[index(dependant)] {
                *unmet += by.len() - 1;
            }
        }
        self.states[index(job)] = JobState::Replaced { by };
    }

    /// How many starts of a job failed for another reason than memory.
    pub(super) fn failures(&self, job: JobId) -> u32 {
        self.past[index(job)].failures
    }
}
