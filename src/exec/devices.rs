//! Owns what the machine has, and which of it a sweep's request names.
//!
//! [`detect`] asks the driver and the kernel; [`resources`] is pure. Starts nothing, binds nothing.

use std::path::Path;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use serde::Serialize;
use sysinfo::{CpuRefreshKind, System};

use crate::cost::Processors;
use crate::sweep::DeviceRequest;
use crate::values::{Device, Placement, Resources};

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
    /// NVIDIA GPUs that `CUDA_VISIBLE_DEVICES` does not hide, in its order.
    pub gpus: Vec<Gpu>,
}

impl Machine {
    /// The names of its processors.
    #[must_use]
    pub fn processors(&self) -> Processors {
        Processors { cpu: self.cpu_name.clone(), gpu: self.gpus.first().map(|gpu| gpu.name.clone()) }
    }
}

/// An NVIDIA GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gpu {
    /// Index among the GPUs that `CUDA_VISIBLE_DEVICES` leaves visible, in its order: torch's `cuda:N`. Without
    /// that variable GPUs are ordered by PCI address.
    pub index: usize,
    /// Product name.
    pub name: String,
    /// Its memory, in MiB.
    pub mem_total_mib: u64,
    /// The part of it that is free, in MiB.
    pub mem_free_mib: u64,
    /// Whether another process computes on it.
    pub busy: bool,
}

const MIB: u64 = 1 << 20;

/// Looks at the machine. A missing NVIDIA driver means no GPUs, not an error.
#[must_use]
pub fn detect() -> Machine {
    let host = System::new().map(detect_host).unwrap_or_default();
    let (driver, gpus) = match Nvml::init() {
        Ok(nvml) => (nvml.sys_driver_version().ok(), detect_gpus(&nvml).unwrap_or_default()),
        Err(_) => (None, Vec::new()),
    };
    Machine {
        hostname: System::host_name().unwrap_or_else(|_| "localhost".to_owned()),
        cpu_name: host.cpu_name,
        cores: detect_cores(),
        ram_total_mib: host.ram_total / MIB,
        ram_free_mib: host.ram_free / MIB,
        driver,
        gpus,
    }
}

/// What the kernel reports of processor and memory, in bytes.
#[derive(Default)]
struct Host {
    cpu_name: String,
    ram_total: u64,
    ram_free: u64,
}

fn detect_host(mut system: System) -> Host {
    system.refresh_cpu_list(CpuRefreshKind::nothing());
    let (ram_total, ram_free) = detect_memory(&mut system);
    Host {
        cpu_name: system.cpus().first().map_or_else(String::new, |cpu| cpu.brand().trim().to_owned()),
        ram_total,
        ram_free,
    }
}

/// Total and free memory, in bytes: the machine's or the container's, whichever is less.
fn detect_memory(system: &mut System) -> (u64, u64) {
    system.refresh_memory();
    let (total, free) = (system.total_memory(), system.available_memory());
    let limit = system.cgroup_limits();
    limit.map_or((total, free), |limit| (limit.total_memory.min(total), limit.free_memory.min(free)))
}

/// Whether less than a twentieth of the memory is free.
pub(super) fn memory_is_short() -> bool {
    System::new().is_ok_and(|mut system| {
        let (total, free) = detect_memory(&mut system);
        free < total / 20
    })
}

fn detect_gpus(nvml: &Nvml) -> Result<Vec<Gpu>, NvmlError> {
    let devices =
        (0..nvml.device_count()?).map(|i| nvml.device_by_index(i)).collect::<Result<Vec<_>, _>>()?;
    let uuids = devices.iter().map(nvml_wrapper::Device::uuid).collect::<Result<Vec<_>, _>>()?;
    let wanted = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    visible(wanted.as_deref(), &uuids)
        .into_iter()
        .enumerate()
        .map(|(index, number)| {
            let device = &devices[number];
            let memory = device.memory_info()?;
            Ok(Gpu {
                index,
                name: device.name()?,
                mem_total_mib: memory.total / MIB,
                mem_free_mib: memory.free / MIB,
                busy: device.running_compute_processes_count()? > 0,
            })
        })
        .collect()
}

/// The GPUs that `CUDA_VISIBLE_DEVICES` leaves visible, by NVML's number. The variable lists numbers or UUIDs
/// (a unique prefix is enough); the first entry that names no GPU hides itself and all after it (CUDA C++
/// Programming Guide, "CUDA Environment Variables").
fn visible(wanted: Option<&str>, uuids: &[String]) -> Vec<usize> {
    let Some(wanted) = wanted else {
        return (0..uuids.len()).collect();
    };
    let mut indices = Vec::new();
    for entry in wanted.split(',').map(str::trim) {
        let index =
            entry.parse().ok().filter(|&index: &usize| index < uuids.len()).or_else(|| {
                uuids.iter().position(|uuid| entry.starts_with("GPU-") && uuid.starts_with(entry))
            });
        match index {
            Some(index) if !indices.contains(&index) => indices.push(index),
            Some(_) | None => break,
        }
    }
    indices
}

/// The value of `CUDA_VISIBLE_DEVICES` that leaves one GPU visible, given its index among those this process
/// sees: the variable's entry at that position.
pub(super) fn name_for_cuda(index: usize, visible: Option<&str>) -> String {
    let entry = visible.and_then(|visible| visible.split(',').nth(index));
    entry.map_or_else(|| index.to_string(), |entry| entry.trim().to_owned())
}

/// Cores that the affinity mask allows, but no more than the container's CPU quota pays for.
fn detect_cores() -> Vec<usize> {
    let quota = std::thread::available_parallelism().map_or(1, usize::from);
    let Ok(mask) = rustix::thread::sched_getaffinity(None) else {
        return (0..quota).collect();
    };
    let mut cores: Vec<usize> =
        (0..rustix::thread::CpuSet::MAX_CPU).filter(|&core| mask.is_set(core)).collect();
    if quota < cores.len() {
        // All containers of a machine see the same cores. Starting from the core we run on keeps them from all
        // binding to the first ones.
        let here = rustix::thread::sched_getcpu();
        let start = cores.iter().position(|&core| core == here).unwrap_or(0);
        cores.rotate_left(start);
        cores.truncate(quota);
    }
    cores.sort_by_key(|&core| (physical_core(core), core));
    cores
}

/// The lowest-numbered hardware thread of a core's physical core; the core itself where that is unknown.
fn physical_core(core: usize) -> usize {
    let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    let siblings = std::fs::read_to_string(path).unwrap_or_default();
    let first = siblings.trim().split([',', '-']).next().unwrap_or_default();
    first.parse().unwrap_or(core)
}

/// Requested devices that do not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Other processes compute on every GPU.
    #[error("other processes compute on every GPU here ({visible})")]
    AllBusy {
        /// The GPUs, for people.
        visible: String,
    },
    /// There are fewer GPUs.
    #[error("{wanted} GPUs are asked for, {have} visible here ({visible})")]
    TooFewGpus {
        /// How many are asked for.
        wanted: usize,
        /// How many there are.
        have: usize,
        /// The GPUs, for people.
        visible: String,
    },
    /// No GPU has this index.
    #[error("there is no GPU `cuda:{index}`; visible here: {visible}")]
    NoSuchGpu {
        /// The index.
        index: usize,
        /// The GPUs, for people.
        visible: String,
    },
    /// There is no GPU.
    #[error("no NVIDIA GPU is visible")]
    NoGpu,
    /// There are fewer cores.
    #[error("{wanted} packs at a time are asked for, each needs a core, and {have} may be used here")]
    TooFewCores {
        /// How many packs are asked for.
        wanted: usize,
        /// How many cores there are.
        have: usize,
    },
}

impl DeviceError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::AllBusy { .. } => {
                "wait, or share them with `--devices cuda`, or use `--devices cpu:1`".to_owned()
            }
            Self::TooFewGpus { have, .. } => {
                format!("ask for `gpus:{have}` or less, and look at CUDA_VISIBLE_DEVICES")
            }
            Self::NoSuchGpu { .. } => {
                "indices count from 0, among the GPUs that CUDA_VISIBLE_DEVICES leaves; `gpus:N` takes any N"
                    .to_owned()
            }
            Self::NoGpu => "`lorasweep doctor` shows what is; `--devices cpu:1` uses the CPU".to_owned(),
            Self::TooFewCores { have, .. } => format!("use `cpu:1` up to `cpu:{have}`"),
        }
    }
}

/// What a request may use of a machine: whole GPUs, or cores of the CPU. For the CPU that does not depend on what
/// is free or busy.
///
/// # Errors
/// The machine has less than was asked for; the message says what it has.
pub fn resources(request: &DeviceRequest, machine: &Machine) -> Result<Resources, DeviceError> {
    match request {
        DeviceRequest::Auto if machine.gpus.is_empty() => Ok(cpu(machine, None)),
        DeviceRequest::Auto => {
            let free: Vec<&Gpu> = machine.gpus.iter().filter(|gpu| !gpu.busy).collect();
            if free.is_empty() {
                return Err(DeviceError::AllBusy { visible: gpu_list(machine) });
            }
            Ok(with_cores(&free, machine))
        }
        DeviceRequest::Cpu(packs) => {
            let have = machine.cores.len();
            if *packs == 0 || *packs > have {
                return Err(DeviceError::TooFewCores { wanted: *packs, have });
            }
            Ok(cpu(machine, Some(*packs)))
        }
        DeviceRequest::Gpus(wanted) => gpus(*wanted, machine),
        DeviceRequest::Indices(indices) => by_index(indices, machine),
    }
}

fn cpu(machine: &Machine, at_once: Option<usize>) -> Resources {
    Resources { cores: machine.cores.clone(), gpus: Vec::new(), at_once }
}

/// `wanted` GPUs, or all of them: idle ones first, otherwise in their order.
fn gpus(wanted: Option<usize>, machine: &Machine) -> Result<Resources, DeviceError> {
    some_gpu(machine)?;
    let have = machine.gpus.len();
    let wanted = wanted.unwrap_or(have);
    if wanted > have {
        return Err(DeviceError::TooFewGpus { wanted, have, visible: gpu_list(machine) });
    }
    let mut gpus: Vec<&Gpu> = machine.gpus.iter().collect();
    gpus.sort_by_key(|gpu| gpu.busy);
    gpus.truncate(wanted);
    Ok(with_cores(&gpus, machine))
}

/// The GPUs with these indices, in this order.
fn by_index(indices: &[usize], machine: &Machine) -> Result<Resources, DeviceError> {
    some_gpu(machine)?;
    let found = |index: &usize| machine.gpus.iter().find(|gpu| gpu.index == *index).ok_or(*index);
    match indices.iter().map(found).collect::<Result<Vec<&Gpu>, usize>>() {
        Ok(gpus) => Ok(with_cores(&gpus, machine)),
        Err(index) => Err(DeviceError::NoSuchGpu { index, visible: gpu_list(machine) }),
    }
}

fn some_gpu(machine: &Machine) -> Result<(), DeviceError> {
    if machine.gpus.is_empty() { Err(DeviceError::NoGpu) } else { Ok(()) }
}

fn gpu_list(machine: &Machine) -> String {
    let names: Vec<String> =
        machine.gpus.iter().map(|gpu| format!("cuda:{} {}", gpu.index, gpu.name)).collect();
    names.join(", ")
}

/// GPUs, each with cores of its own for the process that uses it.
fn with_cores(gpus: &[&Gpu], machine: &Machine) -> Resources {
    let shares = share_out(&machine.cores, gpus.len());
    let gpus = gpus
        .iter()
        .zip(shares)
        .map(|(gpu, cores)| Placement { device: Device::Cuda { index: gpu.index }, cores })
        .collect();
    Resources { cores: Vec::new(), gpus, at_once: None }
}

/// Neighbouring cores for each of `n` users, sizes differing by one at most; users share cores only
/// where there are fewer cores than users.
fn share_out(cores: &[usize], n: usize) -> Vec<Vec<usize>> {
    if cores.len() < n {
        return cores.iter().cycle().take(n).map(|&core| vec![core]).collect();
    }
    let bound = |user: usize| user * cores.len() / n;
    (0..n).map(|user| cores[bound(user)..bound(user + 1)].to_vec()).collect()
}

/// Whether libtorch multiplies bf16 matrices on these cores with vector instructions. Without them, two Zen 3
/// cores multiply 2048 x 2048 matrices at 0.27 GFLOP/s, against 137 in fp32.
#[must_use]
pub fn has_bf16_vectors() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx512bw")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        true
    }
}

/// Free space of the file system that holds a path, or will hold it, in MiB.
///
/// # Errors
/// The file system cannot be asked.
pub fn disk_free_mib(path: &Path) -> std::io::Result<u64> {
    let existing = path.ancestors().find(|folder| folder.exists()).unwrap_or_else(|| Path::new("."));
    let facts = rustix::fs::statvfs(existing)?;
    Ok(facts.f_bavail * facts.f_frsize / MIB)
}

#[cfg(test)]
mod tests;
