//! Owns what trials cost that train together: time, memory and disk of a pack.

use std::time::Duration;

use crate::cost::slot::LONGEST_S;
use crate::cost::{Estimate, Footprint, SlotCost, Speed, TRAIN_START, count};

/// The sum of some slots. Slots with the same batches share the trunk, the operations below the first
/// adapter; its cost is the largest that any of them needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Together {
    n: usize,
    tail: f64,
    /// Seeds and folds, and the operations that their slots share.
    trunks: Vec<((u64, usize), f64)>,
    layer_passes: f64,
    footprint: Footprint,
    disk_mib: f64,
}

impl<'a> FromIterator<&'a SlotCost> for Together {
    fn from_iter<I: IntoIterator<Item = &'a SlotCost>>(slots: I) -> Self {
        let mut sum = Self::default();
        slots.into_iter().for_each(|slot| sum.add(slot));
        sum
    }
}

impl Together {
    /// Takes in one more slot.
    pub fn add(&mut self, slot: &SlotCost) {
        self.n += 1;
        self.tail += slot.tail;
        self.share(slot.batches, slot.trunk);
        self.layer_passes = self.layer_passes.max(slot.layer_passes);
        self.footprint = self.footprint.and(slot.footprint);
        self.disk_mib += slot.disk_mib;
    }

    fn share(&mut self, batches: (u64, usize), trunk: f64) {
        // Slots come sorted, or are few.
        match self.trunks.iter_mut().rfind(|(of, _)| *of == batches) {
            Some((_, most)) => *most = most.max(trunk),
            None => self.trunks.push((batches, trunk)),
        }
    }

    /// How many slots there are.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.n
    }

    /// Seconds of what one slot has to itself, in the mean.
    #[must_use]
    pub fn mean_tail_s(&self, speed: Speed) -> f64 {
        self.tail / speed.flops / count(self.n.max(1))
    }

    /// Seconds of passes that take as long for one slot as for many.
    #[must_use]
    pub fn passes_s(&self, speed: Speed) -> f64 {
        self.layer_passes * speed.layer_s
    }

    /// Seconds of what slots have in common, the process's start included.
    #[must_use]
    pub fn common_s(&self, speed: Speed) -> f64 {
        TRAIN_START.as_secs_f64() + self.passes_s(speed) + self.trunk() / speed.flops
    }

    /// Seconds on a place.
    #[must_use]
    pub fn seconds(&self, speed: Speed) -> f64 {
        self.common_s(speed) + self.tail / speed.flops
    }

    /// Operations that slots share.
    #[must_use]
    pub fn trunk(&self) -> f64 {
        self.trunks.iter().map(|(_, trunk)| trunk).sum()
    }

    /// Memory.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        self.footprint
    }

    /// What a job with these slots costs.
    #[must_use]
    pub fn estimate(&self, speed: Speed) -> Estimate {
        Estimate {
            duration: Duration::from_secs_f64(self.seconds(speed).min(LONGEST_S)),
            mem_mib: self.footprint.mib(speed),
            disk_mib: self.disk_mib,
        }
    }
}
