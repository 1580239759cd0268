//! Owns the cost of trials that train together: time, memory and disk of a pack. Decides no pack.

use std::time::Duration;

use crate::cost::slot::LONGEST_S;
use crate::cost::{Estimate, Footprint, Rates, SlotCost};

/// The cost of a pack. Slots with the same batches share the trunk (the operations below the first adapter),
/// whose cost is the largest that any of them needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PackCost {
    tail: f64,
    /// For each seed and fold, the operations that their slots share.
    trunks: Vec<((u64, usize), f64)>,
    /// Of all slots, and of the slot with most.
    layer_passes: f64,
    most_layer_passes: f64,
    footprint: Footprint,
    disk_mib: f64,
}

impl<'a> FromIterator<&'a SlotCost> for PackCost {
    fn from_iter<I: IntoIterator<Item = &'a SlotCost>>(slots: I) -> Self {
        let mut sum = Self::default();
        slots.into_iter().for_each(|slot| sum.add(slot));
        sum
    }
}

impl PackCost {
    /// Adds one more slot.
    fn add(&mut self, slot: &SlotCost) {
        self.tail += slot.tail;
        self.share(slot.batches, slot.trunk);
        self.layer_passes += slot.layer_passes;
        self.most_layer_passes = self.most_layer_passes.max(slot.layer_passes);
        self.footprint = self.footprint.and(slot.footprint);
        self.disk_mib += slot.disk_mib;
    }

    fn share(&mut self, batches: (u64, usize), trunk: f64) {
        // Slots come sorted, or are few, so the search from the end is short.
        match self.trunks.iter_mut().rfind(|(of, _)| *of == batches) {
            Some((_, most)) => *most = most.max(trunk),
            None => self.trunks.push((batches, trunk)),
        }
    }

    /// Seconds at these rates: start of the process, the fixed time of passes, which on a GPU is the same for
    /// one slot and for many, and the operations.
    #[must_use]
    pub fn seconds(&self, rates: Rates) -> f64 {
        let trunks: f64 = self.trunks.iter().map(|(_, trunk)| trunk).sum();
        let passes = if rates.stacks { self.most_layer_passes } else { self.layer_passes };
        let passes_s = passes * rates.layer_s;
        rates.start_s + passes_s + (trunks + self.tail) / rates.flops
    }

    /// The predicted cost of a job with these slots. No time is longer than `LONGEST_S`.
    #[must_use]
    pub fn estimate(&self, rates: Rates) -> Estimate {
        Estimate {
            duration: Duration::from_secs_f64(self.seconds(rates).min(LONGEST_S)),
            mem_mib: self.footprint.mib(rates),
            disk_mib: self.disk_mib,
        }
    }
}
