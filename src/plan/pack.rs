//! Owns who trains together: trials that can share one process and one copy of the base weights.
//!
//! Knows places and predicted times, and nothing of results. What a pack holds never changes what a
//! trial learns.

mod divide;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::cost::{Estimate, Prices, SlotCost, Speed};
use crate::plan::pack::divide::Divider;
use crate::values::{PackKey, Placement, Trial};

/// How large a pack may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Most trials per pack, at least 1.
    pub slots: usize,
    /// Memory of a place, in MiB. A trial that needs more than that trains alone.
    pub mem_mib: f64,
}

impl Limits {
    /// Every trial in a pack of its own.
    pub const ALONE: Self = Self { slots: 1, mem_mib: f64::INFINITY };
}

impl Default for Limits {
    fn default() -> Self {
        Self { slots: usize::MAX, mem_mib: f64::INFINITY }
    }
}

/// The places that packs are made for.
#[derive(Clone, Copy, Debug)]
pub struct Room<'a> {
    /// Where packs train, one at a time in each.
    pub places: &'a [Placement],
    /// How large a pack may be in any of them.
    pub limits: Limits,
}

/// Trials that train together.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    /// The trials.
    pub slots: Vec<Trial>,
    /// What training them together is thought to cost.
    pub estimate: Estimate,
}

/// What trials must have in common to train together.
fn shape(trial: &Trial) -> PackKey {
    PackKey::of(&trial.configuration)
}

/// Whether two trials of a sweep could train in one pack.
#[must_use]
pub fn compatible(a: &Trial, b: &Trial) -> bool {
    shape(a) == shape(b)
}

/// Divides trials into packs of compatible ones, of a size that keeps all places busy to the end.
/// Packs stand in the order of their first trial, and trials keep their order within a pack.
pub fn packs<'a>(prices: &mut Prices<'a>, trials: &'a [Trial], room: Room<'_>) -> Vec<Packed> {
    let costs: Vec<SlotCost> = trials.iter().map(|trial| prices.slot(trial)).collect();
    let mut shapes: HashMap<PackKey, usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (n, trial) in trials.iter().enumerate() {
        let group = *shapes.entry(shape(trial)).or_insert(groups.len());
        if group == groups.len() {
            groups.push(Vec::new());
        }
        groups[group].push(n);
    }
    let speed = Speed::of(room.places);
    let places = room.places.len().max(1);
    let mut packs = Divider { costs: &costs, speed, limits: room.limits, places }.divide(groups);
    packs.iter_mut().for_each(|(slots, _)| slots.sort_unstable());
    packs.sort_unstable_by_key(|(slots, _)| slots[0]);
    let pack = |(slots, estimate): (Vec<usize>, Estimate)| Packed {
        slots: slots.into_iter().map(|n| trials[n].clone()).collect(),
        estimate,
    };
    packs.into_iter().map(pack).collect()
}
