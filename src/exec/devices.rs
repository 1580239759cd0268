//! Owns what the machine has, and which of it a sweep's request names.
//!
//! [`detect`] asks the driver (`nvml`) and the kernel (`host`); what `CUDA_VISIBLE_DEVICES` means (`visible`) and
//! what a request may use ([`resources`]) is pure; [`reserve`] claims it. Starts nothing, binds nothing.

mod cards;
mod choice;
mod claim;
mod fault;
mod host;
mod left_out;
mod nvml;
mod speed;
mod visible;

use std::fmt;
use std::path::Path;

use serde::Serialize;
use sysinfo::System;

pub use self::cards::{Cards, own_card_is_full};
pub use self::choice::{DeviceError, resources};
pub use self::claim::{Reserved, reserve};
pub use self::fault::Fault;
pub(super) use self::host::memory_is_short;
pub use self::host::{disk_free_mib, has_bf16_vectors};
pub use self::left_out::{Group, LeftOut, Why, groups};
use self::nvml::Driver;
use self::visible::{Card, Facts, Seen};
use crate::cost::Processors;
use crate::libtorch;
use crate::sweep::DeviceRequest;
use crate::values::{Device, Resources, Speed, quantity};

const MIB: u64 = 1 << 20;
/// The part of a GPU's memory that may be in use while nobody uses the GPU.
const IDLE_USE: f64 = 0.1;

/// The hardware to train on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Its host name.
    pub hostname: String,
    /// The processor's name.
    pub cpu_name: String,
    /// Cores this process may use, by kernel number; threads of one physical core are next to each other.
    pub cores: Vec<usize>,
    /// Memory, in MiB: the machine's or the container's limit, whichever is less.
    pub ram_total_mib: u64,
    /// The part of it that is free, in MiB.
    pub ram_free_mib: u64,
    /// The NVIDIA driver's version, where there is one.
    pub driver: Option<String>,
    /// The CUDA version that the driver is for.
    pub cuda: Option<(u32, u32)>,
    /// NVIDIA GPUs that `CUDA_VISIBLE_DEVICES` does not hide and that can be used, in its order.
    pub gpus: Vec<Gpu>,
    /// Those that it does not hide, and that cannot be used.
    pub left_out: Vec<LeftOut>,
    /// `CUDA_VISIBLE_DEVICES` counts unlike GPUs, and nothing says in which order CUDA counts them.
    pub order_is_unsure: bool,
}

impl Machine {
    /// Its processors that these resources have.
    #[must_use]
    pub fn processors(&self, resources: &Resources) -> Processors {
        Processors::new(&self.cpu_name, resources)
    }

    /// Leaves out a GPU that does not compute.
    pub fn leave_out(&mut self, device: Device, fault: Fault) {
        let is_it = |gpu: &Gpu| Device::Cuda { index: gpu.index } == device;
        let Some(at) = self.gpus.iter().position(is_it) else { return };
        let Gpu { index, number, uuid, .. } = self.gpus.remove(at);
        self.left_out.push(LeftOut::new(index, number, uuid, Why::DoesNotCompute(fault)));
    }

    /// Its GPUs that these resources have.
    pub fn used<'a>(&'a self, resources: &'a Resources) -> impl Iterator<Item = &'a Gpu> {
        self.gpus.iter().filter(|gpu| {
            let device = Device::Cuda { index: gpu.index };
            resources.gpus.iter().any(|place| place.device == device)
        })
    }
}

/// An NVIDIA GPU, or an instance of one that is in MIG mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gpu {
    /// Index among the GPUs that `CUDA_VISIBLE_DEVICES` leaves visible, in its order: torch's `cuda:N`. Without
    /// that variable GPUs are ordered by PCI address.
    pub index: usize,
    /// The number of its card in the driver's order, as `nvidia-smi` shows it.
    pub number: Option<usize>,
    /// `GPU-…` or `MIG-…`: names it whatever else is visible.
    pub uuid: String,
    /// Product name.
    pub name: String,
    /// Its memory, in MiB; the machine's, where it has none of its own.
    pub mem_total_mib: u64,
    /// The part of it that is free, in MiB.
    pub mem_free_mib: u64,
    /// How fast it is thought to be, where the driver tells enough.
    pub speed: Option<Speed>,
    /// Who uses it.
    pub busy: Option<Busy>,
}

/// Who uses a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Busy {
    /// Another orchestrator, which is named for people.
    Claimed(String),
    /// These processes compute on it.
    Processes(Vec<u32>),
    /// Nobody who can be seen, but its memory is in use.
    Memory,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claimed(holder) => write!(f, "taken by another lorasweep, {holder}"),
            Self::Processes(pids) => {
                let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
                let them = if pids.len() == 1 { "process" } else { "processes" };
                write!(f, "used by {them} {}", pids.join(", "))
            }
            Self::Memory => f.write_str("its memory is in use"),
        }
    }
}

/// Looks at the machine. A missing NVIDIA driver means no GPUs, not an error.
#[must_use]
pub fn detect() -> Machine {
    let host = host::detect();
    let mut machine = Machine {
        hostname: System::host_name().unwrap_or_else(|_| "localhost".to_owned()),
        cpu_name: host.cpu_name,
        cores: host::detect_cores(),
        ram_total_mib: host.ram_total / MIB,
        ram_free_mib: host.ram_free / MIB,
        driver: None,
        cuda: None,
        gpus: Vec::new(),
        left_out: Vec::new(),
        order_is_unsure: false,
    };
    let wanted = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    detect_gpus(&mut machine, wanted.as_deref());
    machine
}

fn detect_gpus(machine: &mut Machine, wanted: Option<&str>) {
    let known = Driver::ask().and_then(|driver| Ok((driver.cards()?, driver)));
    let (cards, driver) = match known {
        Ok((cards, driver)) => (cards, Some(driver)),
        // Its device files show that there is a card, unless they are hidden on purpose.
        Err(why) => (unanswering(&host::device_files(Path::new("/dev")), &why), None),
    };
    let instance = |uuid: &str| driver.as_ref()?.instance(uuid);
    let found = match wanted {
        Some(wanted) => visible::named(wanted, &cards, &instance),
        None => visible::all(&cards),
    };
    let order_is_pci = std::env::var("CUDA_DEVICE_ORDER").is_ok_and(|order| order == "PCI_BUS_ID");
    machine.order_is_unsure = !order_is_pci && wanted.is_some_and(visible::counts) && are_unlike(&cards);
    if let Some(driver) = driver {
        (machine.driver, machine.cuda) = (driver.version, driver.cuda);
    }
    machine.left_out = found.left_out;
    let needs = libtorch::folder().and_then(|folder| libtorch::cuda(&folder)).unwrap_or(libtorch::CUDA);
    for seen in found.seen {
        let number = number(&seen.uuid, &cards);
        match unfit(&seen.facts, machine.cuda, needs) {
            None => machine.gpus.push(gpu(seen, number, machine)),
            Some(why) => machine.left_out.push(LeftOut::new(seen.index, number, seen.uuid, why)),
        }
    }
}

/// Cards that are known by their device files alone.
fn unanswering(files: &[usize], why: &Why) -> Vec<Card> {
    files.iter().map(|&number| Card { number, uuid: None, parts: Err(why.clone()) }).collect()
}

/// Whether some cards have another name than others.
fn are_unlike(cards: &[Card]) -> bool {
    let parts = cards.iter().flat_map(|card| card.parts.iter().flatten());
    let mut names = parts.filter_map(|part| Some(&part.facts.as_ref().ok()?.name));
    let first = names.next();
    names.any(|name| Some(name) != first)
}

/// Why a libtorch that was built for this CUDA cannot use a GPU.
fn unfit(facts: &Facts, driver: Option<(u32, u32)>, needs: (u32, u32)) -> Option<Why> {
    let oldest = facts.capability.and_then(libtorch::oldest_cuda_for);
    let driver_will_do = |(major, _): &(u32, u32)| driver.is_none_or(|has| has.0 >= *major);
    let instead = oldest.filter(driver_will_do).filter(|instead| *instead != needs);
    // Any driver for a version of CUDA runs all with its first number.
    if let Some(has) = driver.filter(|has| has.0 < needs.0) {
        return Some(Why::DriverTooOld { has, needs: (needs.0, 0), instead });
    }
    let has = facts.capability?;
    if let Some(oldest) = oldest.filter(|oldest| *oldest > needs) {
        return Some(Why::CardTooNew { has, built_for: needs, instead: oldest });
    }
    let least = libtorch::least_capability(needs);
    let has = Some(has).filter(|has| *has < least)?;
    Some(Why::CardTooOld { has, needs: least, instead })
}

/// The number of the card of which this is a part.
fn number(uuid: &str, cards: &[Card]) -> Option<usize> {
    let is_part = |card: &&Card| card.parts.iter().flatten().any(|part| part.uuid == uuid);
    cards.iter().find(is_part).map(|card| card.number)
}

fn gpu(seen: Seen, number: Option<usize>, machine: &Machine) -> Gpu {
    let Seen { index, uuid, facts } = seen;
    let memory = facts.memory.map(|memory| (memory.total / MIB, memory.free / MIB));
    let (mem_total_mib, mem_free_mib) = memory.unwrap_or((machine.ram_total_mib, machine.ram_free_mib));
    let busy = busy(claim::holder(&uuid), &facts);
    Gpu { index, number, uuid, name: facts.name, mem_total_mib, mem_free_mib, speed: facts.speed, busy }
}

/// Who uses a GPU that an orchestrator may have claimed.
fn busy(holder: Option<String>, facts: &Facts) -> Option<Busy> {
    if let Some(holder) = holder {
        return Some(Busy::Claimed(holder));
    }
    if let Some(processes) = facts.processes.as_ref().filter(|processes| !processes.is_empty()) {
        return Some(Busy::Processes(processes.clone()));
    }
    // In a container the driver shows no processes of others.
    #[expect(clippy::cast_precision_loss, reason = "a tenth of it is asked for")]
    let is_used = |memory: &visible::Memory| memory.in_use as f64 > memory.total as f64 * IDLE_USE;
    facts.memory.filter(is_used).map(|_| Busy::Memory)
}

/// What a user should know of the GPUs of a machine, and of those that a sweep is about to use by this request.
#[must_use]
pub fn warnings(machine: &Machine, resources: &Resources, request: &DeviceRequest) -> Vec<String> {
    if resources.gpus.is_empty() {
        return Vec::new();
    }
    // Nobody misses what belongs to others.
    let left_out = groups(&machine.left_out).into_iter().filter(|group| !group.is_of_others());
    let mut told: Vec<String> = left_out.map(|group| group.warning()).collect();
    // Whoever names GPUs wants no others.
    told.extend(busy_elsewhere(machine, resources).filter(|_| *request == DeviceRequest::Auto));
    told.extend(machine.used(resources).filter_map(|gpu| {
        let busy = gpu.busy.as_ref()?;
        Some(format!("cuda:{} is shared: {busy}", gpu.index))
    }));
    let mut names: Vec<&str> = machine.used(resources).map(|gpu| gpu.name.as_str()).collect();
    names.dedup();
    if names.len() > 1 {
        told.push(format!(
            "the {} are unlike ({}); each gets packs by its own speed and memory, and what does not fit into one \
             waits for another",
            quantity::counted(resources.gpus.len(), "GPU"),
            names.join(", ")
        ));
    }
    if machine.order_is_unsure {
        told.push(
            "CUDA_VISIBLE_DEVICES counts unlike GPUs without CUDA_DEVICE_ORDER=PCI_BUS_ID: here they are counted \
             as `nvidia-smi` does, elsewhere the fastest may be the first; UUIDs name them for all"
                .to_owned(),
        );
    }
    told
}

/// The GPUs that others use, where for that reason alone they are not used.
fn busy_elsewhere(machine: &Machine, resources: &Resources) -> Option<String> {
    let is_used = |gpu: &&Gpu| machine.used(resources).any(|used| used.index == gpu.index);
    let (busy, idle): (Vec<&Gpu>, Vec<&Gpu>) =
        machine.gpus.iter().filter(|gpu| !is_used(gpu)).partition(|gpu| gpu.busy.is_some());
    if busy.is_empty() || !idle.is_empty() {
        return None;
    }
    let told = busy.iter().filter_map(|gpu| Some(format!("cuda:{} ({})", gpu.index, gpu.busy.as_ref()?)));
    let told = told.collect::<Vec<_>>().join(", ");
    Some(format!("not used, since others use it: {told}; `--devices cuda` shares what there is"))
}

#[cfg(test)]
impl Gpu {
    /// A GPU that nobody uses.
    pub(crate) fn example(index: usize) -> Self {
        Self {
            index,
            number: Some(index),
            uuid: format!("GPU-{index}"),
            name: "NVIDIA H100".to_owned(),
            mem_total_mib: 81_559,
            mem_free_mib: 80_000,
            speed: None,
            busy: None,
        }
    }
}

#[cfg(test)]
impl Machine {
    /// A machine with these GPUs.
    pub(crate) fn example(gpus: Vec<Gpu>) -> Self {
        Self {
            hostname: "node1".to_owned(),
            cpu_name: "AMD EPYC".to_owned(),
            cores: (0..4).collect(),
            ram_total_mib: 24_103,
            ram_free_mib: 22_000,
            driver: Some("580.95.05".to_owned()),
            cuda: Some((13, 0)),
            gpus,
            left_out: Vec::new(),
            order_is_unsure: false,
        }
    }
}

#[cfg(test)]
mod tests;
