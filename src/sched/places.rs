//! Owns the places: which are free, and which are out of service. A place trains one pack at a time. Chooses no
//! trials.

use std::collections::BTreeSet;

use crate::sched::workload::TrialNo;
use crate::values::{Device, Placement};

/// The places of a run.
#[derive(Clone, Debug)]
pub(super) struct Places {
    all: Vec<Placement>,
    free: BTreeSet<usize>,
    retired: BTreeSet<usize>,
    /// For each place: the trials of the last pack that ended there, if it reported a broken device.
    blamed_by: Vec<Vec<TrialNo>>,
}

impl Places {
    pub(super) fn new(all: Vec<Placement>) -> Self {
        Self {
            free: (0..all.len()).collect(),
            retired: BTreeSet::new(),
            blamed_by: vec![Vec::new(); all.len()],
            all,
        }
    }

    /// The next place to take: the first free one; a place whose last pack reported a broken device comes last.
    pub(super) fn next_free(&self) -> Option<usize> {
        self.free.iter().copied().min_by_key(|place| !self.blamed_by[*place].is_empty())
    }

    /// The place with this device.
    pub(super) fn with_device(&self, device: Device) -> Option<usize> {
        self.all.iter().position(|place| place.device == device)
    }

    pub(super) fn placement(&self, place: usize) -> &Placement {
        &self.all[place]
    }

    /// Number of free places.
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    /// Number of places in service.
    pub(super) fn in_service(&self) -> usize {
        self.all.len() - self.retired.len()
    }

    pub(super) fn take(&mut self, place: usize) {
        self.free.remove(&place);
    }

    /// Frees a place where these trials trained. `broken` says that their end pointed to a broken device. If
    /// two packs in a row without a common trial do so, the device is out of service and is returned.
    pub(super) fn leave(&mut self, place: usize, trials: &[TrialNo], broken: bool) -> Option<Device> {
        let now = if broken { trials.to_vec() } else { Vec::new() };
        let before = std::mem::replace(&mut self.blamed_by[place], now);
        if broken && !before.is_empty() && !before.iter().any(|trial| trials.contains(trial)) {
            self.retired.insert(place);
            return Some(self.all[place].device);
        }
        self.free.insert(place);
        None
    }

    /// The cores of free places, for jobs alongside training: all cores while nothing trains.
    pub(super) fn free_cores(&self) -> Vec<usize> {
        let mut cores: Vec<usize> =
            self.free.iter().flat_map(|place| &self.all[*place].cores).copied().collect();
        cores.sort_unstable();
        cores.dedup();
        cores
    }
}
