//! Owns the checks before the first second of training: the build, folders, disk, memory. Trains nothing.

use std::path::Path;

use super::DeviceArgs;
use crate::disk::{FileError, files};
use crate::error::AppError;
use crate::exec::devices::{self, Machine};
use crate::sched::{Limits, Simulated};
use crate::sweep::SweepSpec;
use crate::ui::output;
use crate::values::{Device, Placement, Precision, Resources, Width};

/// Required free disk space, as a multiple of the estimate.
const DISK_MARGIN: f64 = 1.2;
/// Memory estimates are upper bounds. An estimate this many times the existing memory cannot be wrong by so
/// much, so the job cannot fit.
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

/// Warns of jobs that may not fit on their places; an error where they cannot.
pub(super) fn memory(run: &Simulated, places: &[Placement], machine: &Machine) -> Result<(), AppError> {
    let training = run.jobs.iter().filter(|job| !job.trials.is_empty());
    let needed = training.map(|job| job.estimate.mem_mib).fold(0.0, f64::max);
    let Some((total, free, what)) = smallest(places, machine) else { return Ok(()) };
    if needed > total * MEMORY_MARGIN {
        return Err(AppError::Environment {
            message: format!("a trial needs about {needed:.0} MiB, but {what} has {total:.0} MiB"),
            hint: Some(
                "set a smaller `training.batch_size` with as much more `training.accumulation`, \
                 or a smaller `task.max_length`"
                    .to_owned(),
            ),
        });
    }
    if needed > free {
        output::warning(&format!(
            "a trial may need up to {needed:.0} MiB, and {what} has {free:.0} MiB free of {total:.0} MiB"
        ));
    }
    Ok(())
}

/// Warns of 16-bit products on cores without vector instructions for them.
pub(super) fn precision(sweep: &SweepSpec, places: &[Placement]) {
    let bf16 = sweep.configurations.iter().any(|one| one.training.precision == Precision::Bf16);
    let on_cpu = places.iter().any(|place| matches!(place.device, Device::Cpu { .. }));
    if bf16 && on_cpu && !devices::has_bf16_vectors() {
        output::warning(
            "these cores have no vector instructions for bf16: matrix products can take hundreds of times \
             as long as in fp32",
        );
    }
}

/// The limits of packs: as requested, and by the free memory of the place that has least, for each of its cores.
pub(super) fn limits(devices: &DeviceArgs, places: &[Placement], machine: &Machine) -> Limits {
    let cores = match Resources::from(places).equal_width() {
        Width::Cores(cores) => mib(cores as u64),
        Width::Gpu => 1.0,
    };
    let free = smallest(places, machine).map(|(_, free, _)| free / cores);
    Limits {
        slots: devices.pack_slots.map_or(Limits::default().slots, usize::from),
        mem_mib: free.unwrap_or(f64::INFINITY),
    }
}

/// Memory of the smallest place: total and free, in MiB, and its name. CPU slots share the host's memory
/// evenly.
fn smallest(places: &[Placement], machine: &Machine) -> Option<(f64, f64, String)> {
    let slots = places.iter().filter(|place| matches!(place.device, Device::Cpu { .. })).count();
    let slots = mib(slots as u64);
    let memory = |device: Device| match device {
        Device::Cuda { index } => {
            let gpu = machine.gpus.iter().find(|gpu| gpu.index == index)?;
            Some((mib(gpu.mem_total_mib), mib(gpu.mem_free_mib), device.to_string()))
        }
        Device::Cpu { .. } => {
            let [total, free] = [machine.ram_total_mib, machine.ram_free_mib].map(|all| mib(all) / slots);
            Some((total, free, device.to_string()))
        }
        Device::Host => None,
    };
    places.iter().filter_map(|place| memory(place.device)).min_by(|a, b| a.0.total_cmp(&b.0))
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
