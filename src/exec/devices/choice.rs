//! Owns which of a machine's devices a sweep's request names. Pure.

use super::left_out::{self, LeftOut};
use super::{Gpu, Machine};
use crate::sweep::DeviceRequest;
use crate::values::{Device, KnownGpu, Placement, Resources};

/// Requested devices that do not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Others use every GPU.
    #[error("every GPU here is in use ({visible})")]
    AllBusy {
        /// The GPUs and by whom they are used, for people.
        visible: String,
    },
    /// There are GPUs, but none can be used.
    #[error("{told}")]
    NoneUsable {
        /// Which and why, for people.
        told: String,
        /// What to do about it.
        mend: String,
    },
    /// The GPU with this index cannot be used.
    #[error("`cuda:{index}` cannot be used: {told}")]
    Unusable {
        /// The index.
        index: usize,
        /// Which it is and why, for people.
        told: String,
        /// What to do about it.
        mend: String,
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
    /// None of a machine's GPUs can be used.
    pub(super) fn none_usable(machine: &Machine) -> Self {
        let (_, mend) = told(&machine.left_out);
        Self::NoneUsable { told: left_out::all_told(&machine.left_out), mend }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::AllBusy { .. } => {
                "wait, or share them with `--devices cuda`, or use `--devices cpu:1`".to_owned()
            }
            Self::NoneUsable { mend, .. } => format!("{mend}; `--devices cpu` trains on the CPU"),
            Self::Unusable { mend, .. } => mend.clone(),
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
/// is free or busy. `auto` is the CPU only where there is no GPU at all: one that is there and cannot be used is
/// for the user to mend, or to do without.
///
/// # Errors
/// The machine has less than was asked for; the message says what it has.
pub fn resources(request: &DeviceRequest, machine: &Machine) -> Result<Resources, DeviceError> {
    match request {
        DeviceRequest::Auto if machine.gpus.is_empty() && machine.left_out.is_empty() => {
            Ok(cpu(machine, None))
        }
        DeviceRequest::Auto => {
            some_gpu(machine)?;
            let free: Vec<&Gpu> = machine.gpus.iter().filter(|gpu| gpu.busy.is_none()).collect();
            if free.is_empty() {
                return Err(DeviceError::AllBusy { visible: busy_list(machine) });
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
    Resources { cores: machine.cores.clone(), at_once, ..Resources::default() }
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
    gpus.sort_by_key(|gpu| gpu.busy.is_some());
    gpus.truncate(wanted);
    Ok(with_cores(&gpus, machine))
}

/// The GPUs with these indices, in this order.
fn by_index(indices: &[usize], machine: &Machine) -> Result<Resources, DeviceError> {
    some_gpu(machine)?;
    let found = |index: &usize| machine.gpus.iter().find(|gpu| gpu.index == *index).ok_or(*index);
    match indices.iter().map(found).collect::<Result<Vec<&Gpu>, usize>>() {
        Ok(gpus) => Ok(with_cores(&gpus, machine)),
        Err(index) => match machine.left_out.iter().find(|one| one.index == Some(index)) {
            Some(one) => {
                let (told, mend) = told(std::slice::from_ref(one));
                Err(DeviceError::Unusable { index, told, mend })
            }
            None => Err(DeviceError::NoSuchGpu { index, visible: gpu_list(machine) }),
        },
    }
}

fn some_gpu(machine: &Machine) -> Result<(), DeviceError> {
    if !machine.gpus.is_empty() {
        return Ok(());
    }
    if machine.left_out.is_empty() {
        return Err(DeviceError::NoGpu);
    }
    Err(DeviceError::none_usable(machine))
}

/// Which are left out and why, and what to do about the first.
fn told(left_out: &[LeftOut]) -> (String, String) {
    let groups = left_out::groups(left_out);
    let told: Vec<String> = groups.iter().map(left_out::Group::told).collect();
    (told.join("; "), groups.first().map_or_else(String::new, left_out::Group::mend))
}

fn gpu_list(machine: &Machine) -> String {
    let names: Vec<String> =
        machine.gpus.iter().map(|gpu| format!("cuda:{} {}", gpu.index, gpu.name)).collect();
    if machine.left_out.is_empty() {
        return names.join(", ");
    }
    format!("{}; of no use: {}", names.join(", "), told(&machine.left_out).0)
}

fn busy_list(machine: &Machine) -> String {
    let name = |gpu: &Gpu| match &gpu.busy {
        Some(busy) => format!("cuda:{} {}: {busy}", gpu.index, gpu.name),
        None => format!("cuda:{} {}", gpu.index, gpu.name),
    };
    let names: Vec<String> = machine.gpus.iter().map(name).collect();
    names.join(", ")
}

/// GPUs, each with cores of its own for the process that uses it.
fn with_cores(gpus: &[&Gpu], machine: &Machine) -> Resources {
    let shares = share_out(&machine.cores, gpus.len());
    let device = |gpu: &Gpu| Device::Cuda { index: gpu.index };
    let known = |gpu: &&Gpu| KnownGpu {
        device: device(gpu),
        name: gpu.name.clone(),
        mem_mib: gpu.mem_free_mib,
        speed: gpu.speed,
    };
    let known = gpus.iter().map(known).collect();
    let gpus = gpus.iter().zip(shares).map(|(gpu, cores)| Placement { device: device(gpu), cores });
    Resources { gpus: gpus.collect(), known, ..Resources::default() }
}

/// Neighbouring cores for each of `n` users, sizes differing by one at most; users share cores only
/// where there are fewer cores than users.
pub(super) fn share_out(cores: &[usize], n: usize) -> Vec<Vec<usize>> {
    if cores.len() < n {
        return cores.iter().cycle().take(n).map(|&core| vec![core]).collect();
    }
    let bound = |user: usize| user * cores.len() / n;
    (0..n).map(|user| cores[bound(user)..bound(user + 1)].to_vec()).collect()
}
