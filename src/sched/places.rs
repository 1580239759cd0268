//! Owns what trains: which cores and GPUs are free, and which GPUs rest or are out of service because packs lost
//! them. A core, like a GPU, trains one pack at a time. Chooses no trials.
//!
//! One loss may be chance, so a GPU that was lost is tried again, after a while; one that is lost by two packs in a
//! row fails whatever trains there. The same trials again tell of them as much as of the GPU.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use crate::sched::memory::Memory;
use crate::sched::reserve::Free;
use crate::sched::workload::{GpuKind, TrialNo};
use crate::values::{Device, Placement, Resources, Width};

/// The cores and GPUs of a run.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// The cores for packs on the CPU, by kernel number.
    cores: Vec<usize>,
    /// The positions of the free ones.
    free: BTreeSet<usize>,
    /// Most packs on the CPU, and how many there are.
    at_once: usize,
    on_cpu: usize,
    gpus: Vec<Gpu>,
    /// How long a GPU rests after a pack lost it, for the first time.
    rest: Duration,
}

#[derive(Clone, Debug)]
struct Gpu {
    placement: Placement,
    kind: GpuKind,
    /// How many kinds are faster.
    rank: usize,
    memory: Memory,
    state: GpuState,
    /// How many packs lost it.
    lost: u32,
    /// How many packs finished there.
    finished: u32,
    /// How many packs in a row lost it, up to now, and the trials of the last.
    in_row: u32,
    lost_by: Vec<TrialNo>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GpuState {
    Free,
    Busy,
    /// It was lost, and is not used before this time.
    Resting {
        until: SystemTime,
    },
    Retired,
}

/// What the end of a pack tells of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told<'a> {
    /// The pack finished: the place works.
    Works,
    /// The pack, of these trials, lost it.
    Lost(&'a [TrialNo]),
    /// Nothing.
    Nothing,
}

/// A GPU that a trial lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) device: Device,
    /// How many packs had finished there by then.
    finished: u32,
}

impl Loss {
    /// Whether the GPU had worked before.
    pub(super) fn had_worked(&self) -> bool {
        self.finished > 0
    }
}

impl Places {
    /// `kind` gives the kind of the GPUs of a name, and how many kinds are faster.
    pub(super) fn new(resources: Resources, rest: Duration, kind: &dyn Fn(&str) -> (GpuKind, usize)) -> Self {
        let known = |placement: &Placement| {
            let known = resources.known(placement.device);
            let (kind, rank) = known.map_or((0, 0), |gpu| kind(&gpu.name));
            (kind, rank, Memory::Gpu { mib: known.map_or(u64::MAX, |gpu| gpu.mem_mib) })
        };
        let known: Vec<_> = resources.gpus.iter().map(known).collect();
        let Resources { cores, gpus, at_once, .. } = resources;
        let gpu = |(placement, (kind, rank, memory))| Gpu {
            placement,
            kind,
            rank,
            memory,
            state: GpuState::Free,
            lost: 0,
            finished: 0,
            in_row: 0,
            lost_by: Vec::new(),
        };
        Self {
            free: (0..cores.len()).collect(),
            cores,
            at_once: at_once.unwrap_or(usize::MAX),
            on_cpu: 0,
            gpus: gpus.into_iter().zip(known).map(gpu).collect(),
            rest,
        }
    }

    /// Where the next pack of this width can train, best first: on the first free cores that are neighbours, on
    /// the first free ones where none are; on any free GPU, the fastest first, and those that were lost last.
    pub(super) fn rooms(&self, width: Width) -> Vec<Placement> {
        match width {
            Width::Cores(_) if self.free(width) == 0 => Vec::new(),
            Width::Cores(wanted) => {
                let free: Vec<usize> = self.free.iter().copied().collect();
                let neighbours = free.windows(wanted).find(|some| some[wanted - 1] - some[0] < wanted);
                let taken = neighbours.unwrap_or(&free[..wanted]);
                let cores = taken.iter().map(|core| self.cores[*core]).collect();
                vec![Placement { device: Device::Cpu { slot: taken[0] }, cores }]
            }
            Width::Gpu => {
                let mut free: Vec<&Gpu> =
                    self.gpus.iter().filter(|gpu| gpu.state == GpuState::Free).collect();
                free.sort_by_key(|gpu| (gpu.in_row, gpu.rank));
                free.into_iter().map(|gpu| gpu.placement.clone()).collect()
            }
        }
    }

    /// Number of packs of this width that can start now.
    pub(super) fn free(&self, width: Width) -> usize {
        match width {
            Width::Cores(wanted) => {
                let Free { cores, packs } = self.free_on_cpu();
                (cores / wanted.max(1)).min(packs)
            }
            Width::Gpu => self.gpus.iter().filter(|gpu| gpu.state == GpuState::Free).count(),
        }
    }

    /// What is free on the CPU.
    pub(super) fn free_on_cpu(&self) -> Free {
        Free { cores: self.free.len(), packs: self.at_once.saturating_sub(self.on_cpu) }
    }

    /// Number of cores that packs of these widths, the widest first, can use at the same time.
    pub(super) fn cores_in_service(&self, widths: &[Width]) -> usize {
        let cores = |width: &Width| match width {
            Width::Cores(cores) => Some((*cores).max(1)),
            Width::Gpu => None,
        };
        let (widest, narrowest) = (widths.iter().find_map(cores), widths.last().and_then(cores));
        let (widest, narrowest) = (widest.unwrap_or(1), narrowest.unwrap_or(1));
        self.cores.len().min(self.at_once.saturating_mul(widest)) / narrowest * narrowest
    }

    /// The kind of a GPU; 0 for cores.
    pub(super) fn kind(&self, device: Device) -> GpuKind {
        self.gpus.iter().find(|gpu| gpu.placement.device == device).map_or(0, |gpu| gpu.kind)
    }

    /// The memory of a pack that trains there.
    pub(super) fn memory(&self, device: Device) -> Memory {
        let gpu = self.gpus.iter().find(|gpu| gpu.placement.device == device);
        gpu.map_or(Memory::Host, |gpu| gpu.memory)
    }

    /// The GPUs in service, each with its kind, and when its rest ends, if it rests.
    pub(super) fn in_service(&self) -> impl Iterator<Item = (Device, GpuKind, Option<SystemTime>)> {
        let in_service = self.gpus.iter().filter(|gpu| gpu.state != GpuState::Retired);
        in_service.map(|gpu| {
            let until = match gpu.state {
                GpuState::Resting { until } => Some(until),
                GpuState::Free | GpuState::Busy | GpuState::Retired => None,
            };
            (gpu.placement.device, gpu.kind, until)
        })
    }

    /// The GPU in service with the smallest memory.
    pub(super) fn smallest(&self) -> Option<(Device, Memory)> {
        let in_service = self.gpus.iter().filter(|gpu| gpu.state != GpuState::Retired);
        in_service.map(|gpu| (gpu.placement.device, gpu.memory)).min_by_key(|(_, memory)| *memory)
    }

    /// Whether a GPU in service has more memory than this.
    pub(super) fn has_larger(&self, memory: Memory) -> bool {
        let mut in_service = self.gpus.iter().filter(|gpu| gpu.state != GpuState::Retired);
        in_service.any(|gpu| gpu.memory.is_larger_than(memory))
    }

    /// Number of GPUs in service.
    pub(super) fn gpus_in_service(&self) -> usize {
        self.gpus.iter().filter(|gpu| gpu.state != GpuState::Retired).count()
    }

    /// Whether these cores, or this GPU, are the run's.
    pub(super) fn has(&self, placement: &Placement) -> bool {
        match placement.width() {
            Width::Cores(_) => placement.cores.iter().all(|core| self.cores.contains(core)),
            Width::Gpu => self.gpus.iter().any(|gpu| gpu.placement.device == placement.device),
        }
    }

    pub(super) fn take(&mut self, placement: &Placement) {
        match placement.width() {
            Width::Cores(_) => {
                self.on_cpu += 1;
                let taken = self.positions(placement);
                self.free.retain(|core| !taken.contains(core));
            }
            Width::Gpu => {
                if let Some(gpu) = self.gpu(placement.device) {
                    gpu.state = GpuState::Busy;
                }
            }
        }
    }

    /// Frees a place, whose pack has ended and tells this of it. A GPU that was lost rests. If the pack before, of
    /// other trials, or two before lost it too, it is out of service and is returned.
    pub(super) fn leave(&mut self, now: SystemTime, placement: &Placement, told: Told<'_>) -> Option<Device> {
        match placement.width() {
            Width::Cores(_) => {
                self.on_cpu -= 1;
                let left = self.positions(placement);
                self.free.extend(left);
                None
            }
            Width::Gpu => {
                let rest = self.rest;
                let gpu = self.gpu(placement.device)?;
                gpu.leave(now, told, rest);
                (gpu.state == GpuState::Retired).then_some(placement.device)
            }
        }
    }

    /// A loss of this GPU now.
    pub(super) fn loss(&self, device: Device) -> Loss {
        let gpu = self.gpus.iter().find(|gpu| gpu.placement.device == device);
        Loss { device, finished: gpu.map_or(0, |gpu| gpu.finished) }
    }

    /// Whether a pack has finished where this was lost since.
    pub(super) fn works_since(&self, loss: &Loss) -> bool {
        self.loss(loss.device).finished > loss.finished
    }

    /// Whether a GPU is in service that is none of these.
    pub(super) fn has_others(&self, lost: impl Fn(Device) -> bool) -> bool {
        self.gpus.iter().any(|gpu| gpu.state != GpuState::Retired && !lost(gpu.placement.device))
    }

    /// When each rest ends.
    pub(super) fn rests(&self) -> impl Iterator<Item = SystemTime> {
        self.gpus.iter().filter_map(|gpu| match gpu.state {
            GpuState::Resting { until } => Some(until),
            GpuState::Free | GpuState::Busy | GpuState::Retired => None,
        })
    }

    /// Frees the GPUs whose rest is over.
    pub(super) fn end_rests(&mut self, now: SystemTime) {
        for gpu in &mut self.gpus {
            if matches!(gpu.state, GpuState::Resting { until } if until <= now) {
                gpu.state = GpuState::Free;
            }
        }
    }

    fn gpu(&mut self, device: Device) -> Option<&mut Gpu> {
        self.gpus.iter_mut().find(|gpu| gpu.placement.device == device)
    }

    /// The positions of a placement's cores.
    fn positions(&self, placement: &Placement) -> Vec<usize> {
        let position = |core: &usize| self.cores.iter().position(|known| known == core);
        placement.cores.iter().filter_map(position).collect()
    }

    /// All free cores, those of idle GPUs included, for jobs alongside training.
    pub(super) fn free_cores(&self) -> Vec<usize> {
        let is_idle = |gpu: &&Gpu| matches!(gpu.state, GpuState::Free | GpuState::Resting { .. });
        let gpus = self.gpus.iter().filter(is_idle);
        let of_gpus = gpus.flat_map(|gpu| &gpu.placement.cores).copied();
        let mut cores: Vec<usize> = self.free.iter().map(|core| self.cores[*core]).chain(of_gpus).collect();
        cores.sort_unstable();
        cores.dedup();
        cores
    }
}

impl Gpu {
    fn leave(&mut self, now: SystemTime, told: Told<'_>, rest: Duration) {
        self.state = match told {
            Told::Nothing => GpuState::Free,
            Told::Works => {
                self.finished += 1;
                (self.in_row, self.lost_by) = (0, Vec::new());
                GpuState::Free
            }
            Told::Lost(by) => {
                let are_others = !self.lost_by.iter().any(|trial| by.contains(trial));
                let is_last = self.in_row >= 2 || (self.in_row == 1 && are_others);
                let rest = rest.saturating_mul(1 << self.lost.min(2));
                (self.lost, self.in_row, self.lost_by) = (self.lost + 1, self.in_row + 1, by.to_vec());
                if is_last { GpuState::Retired } else { GpuState::Resting { until: now + rest } }
            }
        };
    }
}
