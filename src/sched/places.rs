//! Owns what trains: which cores and GPUs are free, and which GPUs are out of service. A core, like a GPU,
//! trains one pack at a time. Chooses no trials.

use std::collections::BTreeSet;

use crate::sched::reserve::Free;
use crate::sched::workload::TrialNo;
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
}

#[derive(Clone, Debug)]
struct Gpu {
    placement: Placement,
    state: GpuState,
    /// The trials of the last pack that ended there, if it reported a broken device.
    blamed_by: Vec<TrialNo>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GpuState {
    Free,
    Busy,
    Retired,
}

impl Places {
    pub(super) fn new(resources: Resources) -> Self {
        let Resources { cores, gpus, at_once } = resources;
        let gpu = |placement| Gpu { placement, state: GpuState::Free, blamed_by: Vec::new() };
        Self {
            free: (0..cores.len()).collect(),
            cores,
            at_once: at_once.unwrap_or(usize::MAX),
            on_cpu: 0,
            gpus: gpus.into_iter().map(gpu).collect(),
        }
    }

    /// Where the next pack of this width trains: on the first free cores that are neighbours, on the first free
    /// ones where none are; on the first free GPU, those whose last pack reported a broken device last.
    pub(super) fn room(&self, width: Width) -> Option<Placement> {
        if self.free(width) == 0 {
            return None;
        }
        match width {
            Width::Cores(wanted) => {
                let free: Vec<usize> = self.free.iter().copied().collect();
                let neighbours = free.windows(wanted).find(|some| some[wanted - 1] - some[0] < wanted);
                let taken = neighbours.unwrap_or(&free[..wanted]);
                let cores = taken.iter().map(|core| self.cores[*core]).collect();
                Some(Placement { device: Device::Cpu { slot: taken[0] }, cores })
            }
            Width::Gpu => {
                let free = self.gpus.iter().filter(|gpu| gpu.state == GpuState::Free);
                free.min_by_key(|gpu| !gpu.blamed_by.is_empty()).map(|gpu| gpu.placement.clone())
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

    /// Frees a place where these trials trained. `broken` says that their end pointed to a broken device. If
    /// two packs in a row without a common trial do so, a GPU is out of service and is returned.
    pub(super) fn leave(
        &mut self,
        placement: &Placement,
        trials: &[TrialNo],
        broken: bool,
    ) -> Option<Device> {
        match placement.width() {
            Width::Cores(_) => {
                self.on_cpu -= 1;
                let left = self.positions(placement);
                self.free.extend(left);
                None
            }
            Width::Gpu => {
                let gpu = self.gpu(placement.device)?;
                gpu.state = GpuState::Free;
                let now = if broken { trials.to_vec() } else { Vec::new() };
                let before = std::mem::replace(&mut gpu.blamed_by, now);
                if !broken || before.is_empty() || before.iter().any(|trial| trials.contains(trial)) {
                    return None;
                }
                gpu.state = GpuState::Retired;
                Some(placement.device)
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

    /// All free cores, those of free GPUs included, for jobs alongside training.
    pub(super) fn free_cores(&self) -> Vec<usize> {
        let gpus = self.gpus.iter().filter(|gpu| gpu.state == GpuState::Free);
        let of_gpus = gpus.flat_map(|gpu| &gpu.placement.cores).copied();
        let mut cores: Vec<usize> = self.free.iter().map(|core| self.cores[*core]).chain(of_gpus).collect();
        cores.sort_unstable();
        cores.dedup();
        cores
    }
}
