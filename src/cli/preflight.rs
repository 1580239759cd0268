//! Owns the checks before the first second of training: the build, folders, disk, memory. Trains nothing.

use std::path::Path;

use super::DeviceArgs;
use super::ahead::Ahead;
use crate::disk::{FileError, files};
use crate::error::AppError;
use crate::exec::devices::{self, Machine};
use crate::libtorch;
use crate::sched::{Limits, Simulated, SimulatedJob};
use crate::sweep::{DeviceRequest, SweepSpec};
use crate::ui::output;
use crate::values::{Device, Precision, Resources, Width, quantity};

/// Required free disk space, as a multiple of the estimate.
const DISK_MARGIN: f64 = 1.2;
/// An estimate of this many times the existing memory cannot be wrong by so much, so the job cannot fit.
const MEMORY_MARGIN: f64 = 2.0;

/// Checks that this program can train at all.
pub(super) fn build() -> Result<(), AppError> {
    if cfg!(feature = "torch") {
        return Ok(());
    }
    Err(AppError::Environment {
        message: "this program was built without libtorch and cannot train".to_owned(),
        hint: Some("`make build` builds one that can; `lorasweep doctor` says more".to_owned()),
    })
}

/// Checks that files can be written to the folder of an option, or where it will be created.
pub(super) fn folder(folder: &Path, option: &str) -> Result<(), AppError> {
    let Err(source) = files::try_write(folder) else { return Ok(()) };
    let refused = FileError::new("write to", folder, source);
    let (message, otherwise) = (refused.to_string(), format!("choose another folder with `{option} DIR`"));
    Err(if refused.is_of_disk() {
        let hint = Some(format!("free some space or make the disk writable, or {otherwise}"));
        AppError::Environment { message, hint }
    } else {
        AppError::Input { message, hint: Some(format!("change its permissions, or {otherwise}")) }
    })
}

/// Checks that there is room under `results` for the files of a run's jobs.
pub(super) fn disk(run: &Simulated, results: &Path) -> Result<(), AppError> {
    let needed: f64 = run.jobs.iter().map(|job| job.estimate.disk_mib).sum();
    let free = devices::disk_free_mib(results).map_err(FileError::of("look at", results))?;
    if mib(free) >= needed * DISK_MARGIN {
        return Ok(());
    }
    Err(AppError::Environment {
        message: format!(
            "the sweep leaves about {needed:.0} MiB, but `{}` has {free} MiB free",
            results.display()
        ),
        hint: Some("free some space, or choose another disk with `--results DIR`".to_owned()),
    })
}

/// Warns of a pack that may not fit into memory; an error where a trial cannot, on any GPU, whatever packs took
/// before.
pub(super) fn memory(ahead: &Ahead, resources: &Resources, host: &Machine) -> Result<(), AppError> {
    let memories = memories(resources, host);
    let largest = memories.iter().max_by(|one, other| one.total.total_cmp(&other.total));
    let Some(Memory { total, of, .. }) = largest else { return Ok(()) };
    let least_mib = ahead.least_mib;
    if least_mib > total * MEMORY_MARGIN {
        return Err(AppError::Environment {
            message: format!("a trial needs about {least_mib:.0} MiB, but {of} has {total:.0} MiB"),
            hint: Some(
                "set a smaller `training.batch_size` with as much more `training.accumulation`, \
                 `training.recompute: true`, or a smaller `task.max_length`"
                    .to_owned(),
            ),
        });
    }
    let training = ahead.run.jobs.iter().filter(|job| !job.trials.is_empty());
    let needed = training.filter_map(|job| {
        let memory = memories.iter().find(|memory| memory.is_for(job.placement.device))?;
        Some((job.estimate.mem_mib, memory)).filter(|(needed, memory)| *needed > memory.free)
    });
    if let Some((needed, Memory { total, free, of, .. })) =
        needed.max_by(|one, other| one.0.total_cmp(&other.0))
    {
        output::warning(&format!(
            "a trial may need up to {needed:.0} MiB, and {of} has {free:.0} MiB free of {total:.0} MiB"
        ));
    }
    Ok(())
}

/// Most packs that may train on the CPU at the same time: as many as the user allows, and fewer, with a warning,
/// where their memory is not free. Nobody's width changes by that.
pub(super) fn at_once(run: &Simulated, resources: &Resources, host: &Machine) -> Option<usize> {
    let on_cpu = |job: &&SimulatedJob| !job.trials.is_empty() && job.placement.width() != Width::Gpu;
    let needed = run.jobs.iter().filter(on_cpu).map(|job| job.estimate.mem_mib).fold(0.0, f64::max);
    let most = run.jobs.iter().filter(on_cpu).map(|job| resources.packs(job.placement.width())).max()?;
    let have_memory = (1..=most).rev().find(|packs| mib(*packs as u64) * needed <= mib(host.ram_free_mib));
    let have_memory = have_memory.unwrap_or(1);
    if have_memory >= most {
        return resources.at_once;
    }
    output::warning(&format!(
        "{} instead of {most} at the same time: a pack may need {needed:.0} MiB, and {} MiB are free",
        quantity::counted(have_memory, "pack"),
        host.ram_free_mib
    ));
    Some(have_memory)
}

/// Checks that libtorch can use the GPUs of a run. Without, each of its trials would fail for good.
pub(super) fn cuda(resources: &Resources) -> Result<(), AppError> {
    let Some(folder) = libtorch::folder().filter(|_| !resources.gpus.is_empty()) else { return Ok(()) };
    if libtorch::cuda_library(&folder).is_some() {
        return Ok(());
    }
    Err(AppError::Environment {
        message: format!(
            "libtorch in {} has no CUDA library, so it cannot use {resources}",
            folder.display()
        ),
        hint: Some(format!(
            "`{}`; `--devices cpu` trains on the CPU",
            libtorch::reinstall(libtorch::own_origin())
        )),
    })
}

/// Warns of GPUs that are left out, shared or unlike.
pub(super) fn gpus(resources: &Resources, request: &DeviceRequest, host: &Machine) {
    for warning in devices::warnings(host, resources, request) {
        output::warning(&warning);
    }
}

/// Warns of 16-bit products on cores without vector instructions for them.
pub(super) fn precision(sweep: &SweepSpec, resources: &Resources) {
    let bf16 = sweep.configurations.iter().any(|one| one.training.precision == Precision::Bf16);
    let on_cpu = !resources.cores.is_empty();
    if bf16 && on_cpu && !devices::has_bf16_vectors() {
        output::warning(
            "these cores have no vector instructions for bf16: matrix products can take hundreds of times \
             as long as in fp32",
        );
    }
}

/// The limits of packs: as requested, and on the CPU by the memory that is free for each core. That of each GPU is
/// known with it.
pub(super) fn limits(devices: &DeviceArgs, resources: &Resources, host: &Machine) -> Limits {
    let unlimited = Limits::default();
    Limits {
        slots: devices.pack_slots.map_or(unlimited.slots, usize::from),
        mem_mib: match resources.equal_width() {
            width @ Width::Cores(cores) => {
                let used = resources.packs(width) * cores;
                mib(host.ram_free_mib) / mib(used.max(1) as u64)
            }
            Width::Gpu => unlimited.mem_mib,
        },
    }
}

/// Memory for training, in MiB.
struct Memory {
    total: f64,
    free: f64,
    /// The GPU that has it; `None` where it is the host's.
    gpu: Option<Device>,
    /// What has it, for people.
    of: String,
}

impl Memory {
    /// Whether a pack on this device uses it.
    fn is_for(&self, device: Device) -> bool {
        self.gpu.is_none_or(|gpu| gpu == device)
    }
}

/// The memory of each GPU, or of the host, where packs train on its cores.
fn memories(resources: &Resources, host: &Machine) -> Vec<Memory> {
    if !resources.cores.is_empty() {
        let [total, free] = [host.ram_total_mib, host.ram_free_mib].map(mib);
        return vec![Memory { total, free, gpu: None, of: "this machine".to_owned() }];
    }
    let memories = host.used(resources).map(|gpu| {
        let [total, free] = [gpu.mem_total_mib, gpu.mem_free_mib].map(mib);
        let device = Device::Cuda { index: gpu.index };
        Memory { total, free, gpu: Some(device), of: device.to_string() }
    });
    memories.collect()
}

#[expect(clippy::cast_precision_loss, reason = "sizes in MiB are far below 2^52")]
fn mib(size: u64) -> f64 {
    size as f64
}

/// The error of commands that need libtorch.
#[cfg(not(feature = "torch"))]
pub(super) fn no_torch() -> AppError {
    AppError::Environment {
        message: "this program was built without libtorch, so it cannot run models".to_owned(),
        hint: Some("`make build` builds one that can".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::devices::Gpu;
    use crate::sweep::DeviceRequest;

    #[test]
    fn each_gpu_has_its_own_memory_and_a_trial_is_refused_where_it_fits_into_none() {
        let gpu =
            |index, mem_total_mib, mem_free_mib| Gpu { mem_total_mib, mem_free_mib, ..Gpu::example(index) };
        let host = Machine::example(vec![gpu(0, 40_000, 20_000), gpu(1, 80_000, 79_000)]);
        let request: DeviceRequest = "cuda".parse().unwrap();
        let resources = devices::resources(&request, &host).unwrap();
        let known = |index| resources.known(Device::Cuda { index }).unwrap().mem_mib;
        assert_eq!([0, 1].map(known), [20_000, 79_000]);
        let refused = |least_mib| {
            let run = Simulated { jobs: Vec::new(), makespan: std::time::Duration::ZERO };
            let ahead = Ahead {
                done: 0,
                failed: 0,
                stopped: 0,
                stopping: None,
                to_propose: None,
                run,
                least_mib,
                basis: None,
            };
            memory(&ahead, &resources, &host).err().map(|error| error.to_string())
        };
        assert_eq!(refused(150_000.0), None);
        let told = "a trial needs about 170000 MiB, but cuda:1 has 80000 MiB";
        assert_eq!(refused(170_000.0).as_deref(), Some(told));
    }
}
