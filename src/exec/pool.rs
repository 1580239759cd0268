//! Owns which worker processes there are, what each is doing, and which may be given the next job. Pure: starts
//! and ends no process.
//!
//! A worker that has ended a pack stays for a while, with libtorch, base and store in memory. The next job gets
//! it only where a new process would be started in exactly the same way for it.

use std::collections::BTreeMap;

use crate::values::{ContentHash, Device, JobKey, Placement};

/// A worker process of this executor, numbered by its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WorkerId(u64);

/// Everything that decides how a worker is started, and what it holds in memory after a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WorkerKey {
    /// The program as it is on disk.
    pub(super) program: FileId,
    /// Where it runs.
    pub(super) placement: Placement,
    /// Its environment, besides what it inherits.
    pub(super) environment: Vec<(&'static str, String)>,
    /// Hash of what a pack loads: base, precision and token store; `None` for other work, after which no worker
    /// stays.
    pub(super) loads: Option<ContentHash>,
}

impl WorkerKey {
    /// Whether two workers have a core or a GPU in common.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let [ours, theirs] = [self, other].map(|key| &key.placement);
        let same_gpu = ours.device == theirs.device && matches!(ours.device, Device::Cuda { .. });
        same_gpu || ours.cores.iter().any(|core| theirs.cores.contains(core))
    }
}

/// What changes when a file is replaced: device, inode, size, and the time of its last change in nanoseconds.
pub(super) type FileId = (u64, u64, u64, i128);

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A job.
    Busy(JobKey),
    /// It waits for a job.
    Idle,
    /// It has no job and will be gone soon.
    Ending,
}

#[derive(Debug)]
struct Worker {
    key: WorkerKey,
    state: State,
}

/// The workers that have not been reaped.
#[derive(Debug, Default)]
pub(super) struct Pool {
    workers: BTreeMap<WorkerId, Worker>,
    started: u64,
}

impl Pool {
    /// Gives a job to an idle worker with this key, where there is one.
    pub(super) fn reuse(&mut self, key: &WorkerKey, job: JobKey) -> Option<WorkerId> {
        let alike = |worker: &Worker| worker.state == State::Idle && worker.key == *key;
        let (id, worker) = self.workers.iter_mut().find(|(_, worker)| alike(worker))?;
        worker.state = State::Busy(job);
        Some(*id)
    }

    /// Ends idle workers: returns them, and from now on they count as ending.
    pub(super) fn dismiss(&mut self, is_one: impl Fn(&WorkerKey) -> bool) -> Vec<WorkerId> {
        let mut ending = Vec::new();
        for (id, worker) in &mut self.workers {
            if worker.state == State::Idle && is_one(&worker.key) {
                worker.state = State::Ending;
                ending.push(*id);
            }
        }
        ending
    }

    /// Adds a new worker with its first job.
    pub(super) fn add(&mut self, key: WorkerKey, job: JobKey) -> WorkerId {
        let id = WorkerId(self.started);
        self.started += 1;
        self.workers.insert(id, Worker { key, state: State::Busy(job) });
        id
    }

    /// The worker that does a job.
    pub(super) fn at(&self, job: JobKey) -> Option<WorkerId> {
        let busy = |worker: &Worker| worker.state == State::Busy(job);
        self.workers.iter().find(|(_, worker)| busy(worker)).map(|(id, _)| *id)
    }

    /// A worker has ended its job and waits for another. Returns the job, unless it had none.
    pub(super) fn rest(&mut self, id: WorkerId) -> Option<JobKey> {
        let worker = self.workers.get_mut(&id)?;
        let State::Busy(job) = worker.state else { return None };
        worker.state = State::Idle;
        Some(job)
    }

    /// A worker is gone. Returns the job that it was doing.
    pub(super) fn remove(&mut self, id: WorkerId) -> Option<JobKey> {
        match self.workers.remove(&id)?.state {
            State::Busy(job) => Some(job),
            State::Idle | State::Ending => None,
        }
    }

    /// Whether a job is being done.
    pub(super) fn is_busy(&self) -> bool {
        self.workers.values().any(|worker| matches!(worker.state, State::Busy(_)))
    }
}

#[cfg(test)]
mod tests;
