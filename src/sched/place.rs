//! Owns the places: which are free, who sits where and since when, and which are out of service.
//!
//! A place trains one pack at a time. Jobs that need no device run beside the training, one at a
//! time, and never hold a place.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, SystemTime};

use crate::plan::JobId;
use crate::sched::GRACE;
use crate::sched::queue::Queue;
use crate::values::{Device, Placement};

/// Where an active job sits.
#[derive(Clone, Copy, Debug)]
struct Seat {
    /// Index of its place; none for a job beside the training.
    place: Option<usize>,
    since: SystemTime,
    /// Others drew from the same memory meanwhile.
    shared: bool,
    /// When it must end, or have ended if it was asked to already.
    limit: Option<Limit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Limit {
    at: SystemTime,
    asked: bool,
}

/// The places and who is there.
#[derive(Clone, Debug)]
pub(super) struct Places {
    all: Vec<Placement>,
    /// By place: the last job that ended there, where that told of a device that does not work.
    blamed_by: Vec<Option<JobId>>,
    /// Indices of free places, lowest first. A place out of service never comes back.
    free: BinaryHeap<Reverse<usize>>,
    seats: BTreeMap<JobId, Seat>,
    host_is_free: bool,
    /// The job that sits here wants nobody beside it.
    closed: bool,
}

impl Places {
    pub(super) fn new(all: Vec<Placement>) -> Self {
        Self {
            blamed_by: vec![None; all.len()],
            free: (0..all.len()).map(Reverse).collect(),
            all,
            seats: BTreeMap::new(),
            host_is_free: true,
            closed: false,
        }
    }

    /// Seats the next training job, if there is a place and a job.
    pub(super) fn seat_training(&mut self, queue: &mut Queue, now: SystemTime) -> Option<(JobId, Placement)> {
        if self.closed || self.free.is_empty() {
            return None;
        }
        let job = queue.next_training()?;
        self.sit(job, true, now).map(|placement| (job, placement))
    }

    /// Seats the next job beside the training, if none is there. It may use the cores of free places
    /// (all cores while nothing trains); with an empty list it has none of its own.
    pub(super) fn seat_host(&mut self, queue: &mut Queue, now: SystemTime) -> Option<(JobId, Placement)> {
        if self.closed || !self.host_is_free {
            return None;
        }
        let job = queue.next_host()?;
        self.sit(job, false, now).map(|placement| (job, placement))
    }

    /// Seats a job where nobody else sits, until it leaves.
    pub(super) fn seat_alone(&mut self, job: JobId, trains: bool, now: SystemTime) -> Option<Placement> {
        let placement = if self.seats.is_empty() { self.sit(job, trains, now) } else { None };
        self.closed |= placement.is_some();
        placement
    }

    fn sit(&mut self, job: JobId, trains: bool, now: SystemTime) -> Option<Placement> {
        let place = if trains { Some(self.free.pop()?.0) } else { None };
        let placement = place.map_or_else(|| self.beside(), |place| self.all[place].clone());
        self.host_is_free &= trains;
        let shared = !self.seats.is_empty();
        self.seats.values_mut().for_each(|seat| seat.shared = true);
        self.seats.insert(job, Seat { place, since: now, shared, limit: None });
        Some(placement)
    }

    fn beside(&self) -> Placement {
        let free = self.free.iter().flat_map(|Reverse(place)| &self.all[*place].cores);
        let mut cores: Vec<usize> = free.copied().collect();
        cores.sort_unstable();
        cores.dedup();
        Placement { device: Device::Host, cores }
    }

    /// Sets how long a job may sit.
    pub(super) fn limit(&mut self, job: JobId, limit: Duration) {
        if let Some(seat) = self.seats.get_mut(&job) {
            seat.limit = seat.since.checked_add(limit).map(|at| Limit { at, asked: false });
        }
    }

    /// Lets a job that has a limit sit for longer.
    pub(super) fn extend(&mut self, job: JobId, by: Duration) {
        if let Some(limit) = self.seats.get_mut(&job).and_then(|seat| seat.limit.as_mut())
            && !limit.asked
        {
            limit.at += by;
        }
    }

    /// When the next job will have sat for too long.
    pub(super) fn next_limit(&self) -> Option<SystemTime> {
        self.seats.values().filter_map(|seat| seat.limit).map(|limit| limit.at).min()
    }

    /// A job that has sat for too long, and whether it was asked to end before. Each is told twice.
    pub(super) fn overdue(&mut self, now: SystemTime) -> Option<(JobId, bool)> {
        let late = |seat: &Seat| seat.limit.is_some_and(|limit| limit.at <= now);
        let (job, seat) = self.seats.iter_mut().find(|(_, seat)| late(seat))?;
        let asked = seat.limit.is_some_and(|limit| limit.asked);
        seat.limit = if asked { None } else { Some(Limit { at: now + GRACE, asked: true }) };
        Some((*job, asked))
    }

    /// Whether nothing else drew from a job's memory while it sat.
    pub(super) fn is_alone(&self, job: JobId) -> bool {
        self.has_own_memory(job) || self.seats.get(&job).is_some_and(|seat| !seat.shared)
    }

    /// Whether a job sits on a device whose memory no other job draws from.
    pub(super) fn has_own_memory(&self, job: JobId) -> bool {
        let place = self.seats.get(&job).and_then(|seat| seat.place);
        place.is_some_and(|place| match self.all[place].device {
            Device::Cuda { .. } => true,
            Device::Cpu { .. } | Device::Host => false,
        })
    }

    /// Frees what a job held. `broken` says that its end told of a device that does not work: told
    /// by two different jobs in a row, that device is out of service, and is returned.
    pub(super) fn leave(&mut self, job: JobId, broken: bool) -> Option<Device> {
        let seat = self.seats.remove(&job)?;
        self.closed = false;
        let Some(place) = seat.place else {
            self.host_is_free = true;
            return None;
        };
        let before = std::mem::replace(&mut self.blamed_by[place], broken.then_some(job));
        if broken && before.is_some_and(|other| other != job) {
            return Some(self.all[place].device);
        }
        self.free.push(Reverse(place));
        None
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
