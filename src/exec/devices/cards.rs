//! Owns what is asked of the driver while a run lasts: whether others have filled a card since it was taken.
//! Chooses nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::nvml::Driver;
use super::visible::Memory;
use super::{MIB, Machine};
use crate::values::Device;

/// Memory of a card that others may take during a run without being in its way, as a part of what was free.
const LITTLE: f64 = 0.1;
/// Where less than this part of a card is free, one over it, there is no room for anything.
const HARDLY_ANY: u64 = 20;

/// The GPUs of a run. While this exists, the driver is not stopped: without its persistence mode it would start anew
/// for every process.
#[derive(Clone, Debug, Default)]
pub struct Cards {
    driver: Option<Arc<Driver>>,
    known: BTreeMap<Device, Card>,
}

#[derive(Clone, Debug)]
struct Card {
    uuid: String,
    /// What was free when the run began, or when others were last found to have taken some.
    free_mib: Arc<AtomicU64>,
}

/// Memory of a card, in MiB, that others hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::exec) struct Taken {
    device: Device,
    taken_mib: u64,
    total_mib: u64,
}

impl Cards {
    pub(super) fn new(driver: Option<Arc<Driver>>, machine: &Machine) -> Self {
        let card = |gpu: &super::Gpu| {
            let card = Card { uuid: gpu.uuid.clone(), free_mib: Arc::new(gpu.mem_free_mib.into()) };
            (Device::Cuda { index: gpu.index }, card)
        };
        Self { driver, known: machine.gpus.iter().map(card).collect() }
    }

    /// The GPUs of a machine whose driver is not asked.
    #[must_use]
    pub fn of(machine: &Machine) -> Self {
        Self::new(None, machine)
    }

    /// The UUID of a GPU.
    pub(in crate::exec) fn uuid(&self, device: Device) -> Option<&str> {
        self.known.get(&device).map(|card| card.uuid.as_str())
    }

    /// What others hold of a card that no child of ours is on, where they have taken it since the run began, or since
    /// [`Cards::go_on_without`].
    pub(in crate::exec) fn taken(&self, device: Device) -> Option<Taken> {
        let card = self.known.get(&device)?;
        let memory = self.driver.as_ref()?.memory(&card.uuid)?;
        taken(device, memory, card.free_mib.load(Ordering::Relaxed))
    }

    /// From now on the card has what is left of it. Others may stay: what then does not fit is too large.
    pub(in crate::exec) fn go_on_without(&self, taken: Taken) {
        if let Some(card) = self.known.get(&taken.device) {
            card.free_mib.store(taken.total_mib - taken.taken_mib, Ordering::Relaxed);
        }
    }
}

fn taken(device: Device, now: Memory, free_mib: u64) -> Option<Taken> {
    let (now_mib, total_mib) = (now.free / MIB, now.total / MIB);
    #[expect(clippy::cast_precision_loss, reason = "a part of it is asked for")]
    let is_less = (now_mib as f64) < free_mib as f64 * (1.0 - LITTLE);
    is_less.then_some(Taken { device, taken_mib: total_mib.saturating_sub(now_mib), total_mib })
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, taken_mib, total_mib } = self;
        write!(f, "{taken_mib} of {total_mib} MiB of {device} are taken by others")
    }
}

/// Whether hardly any memory is free of the card that this process was given, where the driver tells.
#[must_use]
pub fn own_card_is_full() -> Option<bool> {
    let uuid = std::env::var("CUDA_VISIBLE_DEVICES").ok().filter(|uuid| !uuid.is_empty())?;
    let memory = Driver::ask().ok()?.memory(&uuid)?;
    Some(memory.free < memory.total / HARDLY_ANY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_take_counts_where_it_is_in_the_way() {
        let device = Device::Cuda { index: 2 };
        let now = |free_mib: u64| {
            let free = free_mib * MIB;
            let memory = Memory { total: 80_000 * MIB, free, in_use: 80_000 * MIB - free };
            taken(device, memory, 60_000).map(|taken| taken.to_string())
        };
        assert_eq!([79_000, 60_000, 54_000].map(now), [const { None }; 3]);
        let told = "30000 of 80000 MiB of cuda:2 are taken by others".to_owned();
        assert_eq!(now(50_000), Some(told));
    }

    #[test]
    fn what_others_have_left_is_what_a_card_has_from_then_on() {
        let device = Device::Cuda { index: 0 };
        let cards = Cards::of(&Machine::example(vec![super::super::Gpu::example(0)]));
        let free_mib = |cards: &Cards| cards.known[&device].free_mib.load(Ordering::Relaxed);
        assert_eq!(free_mib(&cards), 80_000);
        let taken = Taken { device, taken_mib: 60_000, total_mib: 81_559 };
        // A copy is of the same cards.
        cards.clone().go_on_without(taken);
        assert_eq!(free_mib(&cards), 21_559);
        let memory = Memory { total: 81_559 * MIB, free: 21_559 * MIB, in_use: 60_000 * MIB };
        assert_eq!(super::taken(device, memory, free_mib(&cards)), None, "they stay");
    }
}
