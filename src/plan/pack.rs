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
use crate::values::{Placement, Precision, Trial};

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
#[derive(PartialEq, Eq, Hash)]
struct Shape<'a> {
    task: &'a str,
    model: &'a str,
    batch_size: usize,
    accumulation: usize,
    /// The base is frozen for all slots, or starts from the pretrained weights in all, or from
    /// random ones in all.
    method: &'static str,
    /// Modules with an adapter, and modules that train as a whole: a module is so for every slot, or for none.
    targets: &'a [String],
    modules_to_save: &'a [String],
    /// The bits of AdamW's decays and epsilon, which one step applies to all slots at once.
    optimiser: [u64; 3],
    precision: Precision,
}

impl<'a> Shape<'a> {
    fn of(trial: &'a Trial) -> Self {
        let configuration = &trial.configuration;
        let training = &configuration.training;
        Self {
            task: &configuration.task,
            model: &configuration.model,
            batch_size: training.batch_size,
            accumulation: training.accumulation,
            targets: configuration.method.lora().map_or(&[], |lora| lora.targets.as_slice()),
            modules_to_save: configuration.method.lora().map_or(&[], |lora| lora.modules_to_save.as_slice()),
            optimiser: [training.beta1, training.beta2, training.epsilon].map(f64::to_bits),
            precision: training.precision,
            method: configuration.method.name(),
        }
    }
}

/// Whether two trials of a sweep could train in one pack.
#[must_use]
pub fn compatible(a: &Trial, b: &Trial) -> bool {
    Shape::of(a) == Shape::of(b)
}

/// Divides trials into packs of compatible ones, of a size that keeps all places busy to the end.
/// Packs stand in the order of their first trial, and trials keep their order within a pack.
pub fn packs<'a>(prices: &mut Prices<'a>, trials: &'a [Trial], room: Room<'_>) -> Vec<Packed> {
    let costs: Vec<SlotCost> = trials.iter().map(|trial| prices.slot(trial)).collect();
    let mut shapes: HashMap<Shape<'_>, usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (n, trial) in trials.iter().enumerate() {
        let group = *shapes.entry(Shape::of(trial)).or_insert(groups.len());
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
