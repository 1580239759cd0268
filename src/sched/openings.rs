//! Owns what is told of a free place or slot to the function that says who starts there: what else trains and for
//! how long, which trials its memory holds, which trials trust it. Chooses no trials.

use std::time::SystemTime;

use crate::sched::jobs::Job;
use crate::sched::pack::{self, Knowledge, Opening, Place, Trust, units};
use crate::sched::scheduler::Scheduler;
use crate::sched::workload::{Fit, GpuKind, TrialNo};
use crate::values::{Device, Placement, Width};

impl Scheduler {
    /// The trials that start in this place.
    pub(super) fn next_of(&self, now: SystemTime, at: &Placement, within_s: f64) -> Option<Vec<TrialNo>> {
        let (width, device) = (at.width(), at.device);
        let memory = self.places.memory(device);
        let kinds = if width == Width::Gpu { self.unlike_kinds() } else { Vec::new() };
        let busy_s = if kinds.is_empty() { self.busy_s(now, width) } else { self.busy_s_of_gpus(now) };
        let smallest = self.places.smallest().filter(|(_, least)| memory.is_larger_than(*least));
        self.next(Opening::Place(Place {
            width,
            device,
            kind: self.places.kind(device),
            memory,
            has_larger: self.places.has_larger(memory),
            smallest: smallest.map(|(device, _)| device),
            free: self.places.free(width),
            busy_s: &busy_s,
            kinds: &kinds,
            within_s,
        }))
    }

    /// Remaining seconds of each core, or of each GPU, in service, before their pace is considered: of GPUs, this
    /// does not say which is which.
    fn busy_s(&self, now: SystemTime, width: Width) -> Vec<f64> {
        let on_gpus = width == Width::Gpu;
        let in_service = match width {
            Width::Cores(_) => self.places.cores_in_service(&self.work.widths),
            Width::Gpu => self.places.gpus_in_service(),
        };
        let mut busy_s = vec![0.0; in_service];
        let beside = self.trainings().filter(|(job, _)| (job.placement.width() == Width::Gpu) == on_gpus);
        let beside = beside.flat_map(|(job, training)| {
            std::iter::repeat_n(self.left_s(now, job, training), units(job.placement.width()))
        });
        let rests = self.places.rests().filter(|_| on_gpus).map(|until| seconds(now, until));
        busy_s.iter_mut().zip(beside.chain(rests)).for_each(|(busy_s, left_s)| *busy_s = left_s);
        busy_s
    }

    /// The kinds of the GPUs in service; none where all are of one kind.
    fn unlike_kinds(&self) -> Vec<GpuKind> {
        let mut kinds = self.places.in_service().map(|(_, kind, _)| kind);
        let Some(first) = kinds.next() else { return Vec::new() };
        if kinds.all(|kind| kind == first) {
            return Vec::new();
        }
        self.places.in_service().map(|(_, kind, _)| kind).collect()
    }

    /// Remaining seconds of each GPU in service, in the order of [`Scheduler::unlike_kinds`], at the pace of what
    /// trains there.
    fn busy_s_of_gpus(&self, now: SystemTime) -> Vec<f64> {
        let trains = |device: Device| {
            let is_there = |(job, _): &(&Job, _)| job.placement.device == device;
            let (job, training) = self.trainings().find(is_there)?;
            Some(self.pace.of(training.shape, training.on) * self.left_s(now, job, training))
        };
        let busy_s = |(device, _, until): (Device, _, Option<SystemTime>)| {
            until.map(|until| seconds(now, until)).or_else(|| trains(device)).unwrap_or(0.0)
        };
        self.places.in_service().map(busy_s).collect()
    }

    pub(super) fn next(&self, opening: Opening<'_>) -> Option<Vec<TrialNo>> {
        let known = Knowledge {
            work: &self.work,
            limits: self.limits,
            memory: &self.memory,
            pace: &self.pace,
            is_prepared: &|store| self.chores.is_prepared(store),
            trust: &|trial, device| self.trust(trial, device),
            fit: &|shape, device| self.fit(shape, device),
        };
        pack::next(&self.pool, opening, &known)
    }

    /// Which trials of a shape a device's memory holds.
    fn fit(&self, shape: usize, device: Device) -> Fit {
        let memory = self.places.memory(device);
        if self.memory.allowed(shape, memory).elsewhere {
            return Fit::None;
        }
        self.work.shapes[shape].fit(pack::limit(self.limits, memory))
    }

    /// Whether a trial may start in a device's memory: where that is too small, a larger one is waited for, if one
    /// is in service.
    pub(super) fn holds(&self, trial: TrialNo, device: Device) -> bool {
        !self.places.has_larger(self.places.memory(device))
            || self.fit(self.work.shape_of(trial), device).holds(&self.work, trial, self.places.kind(device))
    }

    /// Whether a trial may start on a device, by what it lost before.
    fn trust(&self, trial: TrialNo, device: Device) -> Trust {
        let past = &self.trials[trial].past;
        if !past.has_lost(device) {
            Trust::Full
        } else if self.places.has_others(|other| past.has_lost(other) || !self.holds(trial, other)) {
            Trust::None
        } else {
            Trust::Last
        }
    }
}

fn seconds(now: SystemTime, until: SystemTime) -> f64 {
    until.duration_since(now).unwrap_or_default().as_secs_f64()
}
