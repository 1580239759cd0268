//! Owns the order of ready jobs.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::time::Duration;

use crate::job::Work;
use crate::plan::{Job, JobId};

/// Jobs that could start now.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    /// The last one is the next: the longest, and of equals the first in graph order.
    training: BTreeSet<(Duration, Reverse<JobId>)>,
    /// Preparation first, since training waits for it, then in graph order.
    host: BinaryHeap<Reverse<(bool, JobId)>>,
    /// Jobs that start only while nothing else runs, in graph order.
    alone: BTreeSet<JobId>,
}

impl Queue {
    pub(super) fn push(&mut self, id: JobId, job: &Job) {
        match job.work {
            Work::Train(_) => _ = self.training.insert((job.estimate.duration, Reverse(id))),
            Work::Prepare(_) => self.host.push(Reverse((false, id))),
            Work::Report { .. } => self.host.push(Reverse((true, id))),
        }
    }

    pub(super) fn push_alone(&mut self, id: JobId) {
        self.alone.insert(id);
    }

    pub(super) fn next_training(&mut self) -> Option<JobId> {
        self.training.pop_last().map(|(_, Reverse(id))| id)
    }

    /// Training jobs that may run beside others, from the one that would start last.
    pub(super) fn last_training(&self) -> impl Iterator<Item = JobId> {
        self.training.iter().map(|(_, Reverse(id))| *id)
    }

    /// Takes a training job out. `job` is as it was when it came in.
    pub(super) fn remove_training(&mut self, id: JobId, job: &Job) {
        self.training.remove(&(job.estimate.duration, Reverse(id)));
    }

    pub(super) fn next_host(&mut self) -> Option<JobId> {
        self.host.pop().map(|Reverse((_, id))| id)
    }

    /// The first job to run with nothing beside it. They come last, so that no device has to become
    /// idle while others wait.
    pub(super) fn first_alone(&self) -> Option<JobId> {
        self.alone.first().copied()
    }

    pub(super) fn remove_alone(&mut self, id: JobId) {
        self.alone.remove(&id);
    }

    pub(super) fn wants_alone(&self, id: JobId) -> bool {
        self.alone.contains(&id)
    }

    pub(super) fn clear(&mut self) {
        self.training.clear();
        self.host.clear();
        self.alone.clear();
    }

    /// How many ready jobs go before this one. Looks at all of them.
    pub(super) fn ahead(&self, id: JobId, job: &Job) -> usize {
        if self.wants_alone(id) {
            return self.training.len() + self.host.len() + self.alone.range(..id).count();
        }
        match job.work {
            Work::Train(_) => {
                let mine = (job.estimate.duration, Reverse(id));
                self.training.range(mine..).skip(1).count()
            }
            Work::Prepare(_) => self.host.iter().filter(|Reverse(other)| *other < (false, id)).count(),
            Work::Report { .. } => self.host.iter().filter(|Reverse(other)| *other < (true, id)).count(),
        }
    }
}
