//! Owns the order of ready jobs, and which places are free.
//!
//! A place trains one pack at a time. Jobs that need no device run beside the training, one at a
//! time, and never hold a place.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, SystemTime};

use crate::job::{Device, Placement, Work};
use crate::plan::{Job, JobId};

/// Jobs that could start now.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    /// Longest first, then in graph order.
    training: BinaryHeap<(Duration, Reverse<JobId>)>,
    /// Preparation first, since training waits for it, then in graph order.
    host: BinaryHeap<Reverse<(bool, JobId)>>,
}

impl Queue {
    pub(super) fn push(&mut self, id: JobId, job: &Job) {
        match job.work {
            Work::Train(_) => self.training.push((job.estimate.duration, Reverse(id))),
            Work::Prepare(_) => self.host.push(Reverse((false, id))),
            Work::Summarise { .. } | Work::Report { .. } => self.host.push(Reverse((true, id))),
        }
    }

    pub(super) fn next_training(&mut self) -> Option<JobId> {
        self.training.pop().map(|(_, Reverse(id))| id)
    }

    pub(super) fn next_host(&mut self) -> Option<JobId> {
        self.host.pop().map(|Reverse((_, id))| id)
    }

    pub(super) fn clear(&mut self) {
        self.training.clear();
        self.host.clear();
    }

    /// How many ready jobs go before this one. Looks at all of them.
    pub(super) fn ahead(&self, id: JobId, job: &Job) -> usize {
        match job.work {
            Work::Train(_) => {
                let mine = (job.estimate.duration, Reverse(id));
                self.training.iter().filter(|other| **other > mine).count()
            }
            Work::Prepare(_) => self.host.iter().filter(|Reverse(other)| *other < (false, id)).count(),
            Work::Summarise { .. } | Work::Report { .. } => {
                self.host.iter().filter(|Reverse(other)| *other < (true, id)).count()
            }
        }
    }
}

/// Where an active job sits.
#[derive(Clone, Copy, Debug)]
struct Seat {
    /// Index of its place; none for a job beside the training.
    place: Option<usize>,
    since: SystemTime,
}

/// The places and who is there.
#[derive(Clone, Debug)]
pub(super) struct Places {
    all: Vec<Placement>,
    /// Indices of free places, lowest first.
    free: BinaryHeap<Reverse<usize>>,
    seats: BTreeMap<JobId, Seat>,
    host_is_free: bool,
}

impl Places {
    pub(super) fn new(all: Vec<Placement>) -> Self {
        let free = (0..all.len()).map(Reverse).collect();
        Self { all, free, seats: BTreeMap::new(), host_is_free: true }
    }

    /// Seats the next training job, if there is a place and a job.
    pub(super) fn seat_training(&mut self, queue: &mut Queue, now: SystemTime) -> Option<(JobId, Placement)> {
        let Reverse(place) = *self.free.peek()?;
        let job = queue.next_training()?;
        self.free.pop();
        self.seats.insert(job, Seat { place: Some(place), since: now });
        Some((job, self.all[place].clone()))
    }

    /// Seats the next job beside the training, if none is there. It may use the cores of free places
    /// (all cores while nothing trains); with an empty list it has none of its own.
    pub(super) fn seat_host(&mut self, queue: &mut Queue, now: SystemTime) -> Option<(JobId, Placement)> {
        if !self.host_is_free {
            return None;
        }
        let job = queue.next_host()?;
        self.host_is_free = false;
        self.seats.insert(job, Seat { place: None, since: now });
        let mut cores: Vec<usize> =
            self.free.iter().flat_map(|Reverse(place)| &self.all[*place].cores).copied().collect();
        cores.sort_unstable();
        cores.dedup();
        Some((job, Placement { device: Device::Host, cores }))
    }

    /// Frees what a job held.
    pub(super) fn leave(&mut self, job: JobId) {
        match self.seats.remove(&job) {
            Some(Seat { place: Some(place), .. }) => self.free.push(Reverse(place)),
            Some(Seat { place: None, .. }) => self.host_is_free = true,
            None => {}
        }
    }

    /// Jobs that sit somewhere, in graph order.
    pub(super) fn seated(&self) -> impl Iterator<Item = JobId> {
        self.seats.keys().copied()
    }

    pub(super) fn nobody_is_seated(&self) -> bool {
        self.seats.is_empty()
    }

    /// When a job took its seat.
    pub(super) fn since(&self, job: JobId) -> Option<SystemTime> {
        self.seats.get(&job).map(|seat| seat.since)
    }
}
