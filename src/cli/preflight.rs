//! Owns the checks before the first second of training: the build, folders, disk, memory. Trains nothing.

use std::path::Path;

use super::DeviceArgs;
use super::ahead::Ahead;
use crate::disk::{FileError, files};
use crate::error::AppError;
use crate::exec::devices::{self, Machine};
use crate::libtorch;
use crate::sched::{Limits, Simulated, SimulatedJob};
use crate::sweep::SweepSpec;
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

/// Warns of a pack that may not fit into memory; an error where a trial cannot, whatever packs took before.
pub(super) fn memory(ahead: &Ahead, resources: &Resources, host: &Machine) -> Result<(), AppError> {
    let training = || ahead.run.jobs.iter().filter(|job| !job.trials.is_empty());
    let needed = training().map(|job| job.estimate.mem_mib).fold(0.0, f64::max);
    let Some(Memory { total, of, .. }) = least(resources, host, |memory| memory.total) else { return Ok(()) };
    let least_mib = ahead.least_mib;
    if least_mib > total * MEMORY_MARGIN {
        return Err(AppError::Environment {
            message: format!("a trial needs about {least_mib:.0} MiB, but {of} has {total:.0} MiB"),
            hint: Some(
                "set a smaller `training.batch_size` with as much more `training.accumulation`, \
                 or a smaller `task.max_length`"
                    .to_owned(),
            ),
        });
    }
    if let Some(Memory { total, free, of }) = least(resources, host, |memory| memory.free)
        && needed > free
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
pub(super) fn gpus(resources: &Resources, host: &Machine) {
    for warning in devices::warnings(host, resources) {
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

/// The limits of packs: as requested, and by the memory that is free, on the CPU for each core.
pub(super) fn limits(devices: &DeviceArgs, resources: &Resources, host: &Machine) -> Limits {
    let shares = match resources.equal_width() {
        width @ Width::Cores(cores) => resources.packs(width) * cores,
        Width::Gpu => 1,
    };
    Limits {
        slots: devices.pack_slots.map_or(Limits::default().slots, usize::from),
        mem_mib: least(resources, host, |memory| memory.free)
            .map_or(f64::INFINITY, |memory| memory.free / mib(shares.max(1) as u64)),
    }
}

/// Memory for training, in MiB.
struct Memory {
    total: f64,
    free: f64,
    /// What has it, for people.
    of: String,
}

/// The memory of the GPU that has least, counted in this way, or of the host, where packs train on its cores.
fn least(resources: &Resources, host: &Machine, counted: fn(&Memory) -> f64) -> Option<Memory> {
    if !resources.cores.is_empty() {
        let [total, free] = [host.ram_total_mib, host.ram_free_mib].map(mib);
        return Some(Memory { total, free, of: "this machine".to_owned() });
    }
    let memories = host.used(resources).map(|gpu| {
        let [total, free] = [gpu.mem_total_mib, gpu.mem_free_mib].map(mib);
        Memory { total, free, of: Device::Cuda { index: gpu.index }.to_string() }
    });
    memories.min_by(|one, other| counted(one).total_cmp(&counted(other)))
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
    fn a_pack_is_no_larger_than_the_least_free_memory_of_its_gpus() {
        let gpu =
            |index, mem_total_mib, mem_free_mib| Gpu { mem_total_mib, mem_free_mib, ..Gpu::example(index) };
        let host =
            Machine::example(vec![gpu(0, 80_000, 79_000), gpu(1, 80_000, 20_000), gpu(2, 40_000, 39_000)]);
        let limit = |request: &str, at: fn(&Memory) -> f64| {
            let request: DeviceRequest = request.parse().unwrap();
            let resources = devices::resources(&request, &host).unwrap();
            let least = least(&resources, &host, at).unwrap();
            (at(&least), least.of)
        };
        assert_eq!(limit("cuda", |memory| memory.free), (20_000.0, "cuda:1".to_owned()));
        assert_eq!(limit("cuda", |memory| memory.total), (40_000.0, "cuda:2".to_owned()));
        assert_eq!(limit("cuda:0", |memory| memory.free), (79_000.0, "cuda:0".to_owned()));
    }
}
