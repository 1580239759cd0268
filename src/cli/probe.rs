//! Owns when GPUs are tried, and what follows for a command: `run` leaves out those that do not compute. Tries
//! none itself.

use std::time::Duration;

use crossbeam::channel::Receiver;

use crate::error::AppError;
use crate::exec::devices::{self, Busy, Cards, Fault, Gpu, Machine, Reserved};
use crate::exec::probe::{LIMIT, Probe};
use crate::run::StopRequest;
use crate::sched::Simulated;
use crate::sweep::DeviceRequest;
use crate::ui::output;
use crate::ui::waiting::Waiting;
use crate::values::{Device, Placement, quantity};

/// Tries the GPUs on which trials are about to train, and leaves out those that do not compute, with a warning.
/// Where any of so many would do, others are tried in their place. Returns whether that changed anything.
///
/// # Errors
/// No GPU is left, or the user stops it.
pub(super) fn leave_out_broken(
    reserved: &mut Reserved,
    request: &DeviceRequest,
    ahead: &Simulated,
    stop: &Receiver<StopRequest>,
    is_quiet: bool,
) -> Result<bool, AppError> {
    if ahead.training().is_none() {
        return Ok(false);
    }
    let (mut works, mut changed) = (Vec::<Device>::new(), false);
    loop {
        let mut new = reserved.resources.gpus.clone();
        new.retain(|gpu| !works.contains(&gpu.device));
        let waiting = Waiting::new(&told(new.len()), is_quiet);
        let found = call(&new, &reserved.machine, &mut |so_far| {
            waiting.tell(so_far);
            stop.is_empty()
        })?;
        drop(waiting);
        let found = found.ok_or_else(|| AppError::Interrupted {
            hint: "nothing was started; the same command starts it".to_owned(),
        })?;
        let mut faults = Vec::new();
        for (gpu, found) in new.into_iter().zip(found) {
            match found {
                Ok(()) => works.push(gpu.device),
                Err(fault) => faults.push((gpu.device, fault)),
            }
        }
        if faults.is_empty() {
            return Ok(changed);
        }
        changed = true;
        let known = reserved.machine.left_out.len();
        reserved.leave_out(request, faults)?;
        for group in devices::groups(&reserved.machine.left_out[known..]) {
            output::warning(&group.warning());
        }
    }
}

/// Tries all GPUs of a machine but those of runs, which tried them and need their memory. Leaves out those that do
/// not compute, and returns those that do.
pub(super) fn leave_out_all_broken(machine: &mut Machine) -> Result<Vec<Device>, AppError> {
    let is_of_run = |gpu: &&Gpu| matches!(gpu.busy, Some(Busy::Claimed(_)));
    let devices = machine.gpus.iter().filter(|gpu| !is_of_run(gpu)).map(|gpu| gpu.index);
    let resources = devices::resources(&DeviceRequest::Indices(devices.collect()), machine)?;
    let waiting = Waiting::new(&told(resources.gpus.len()), false);
    let goes_on = &mut |so_far| {
        waiting.tell(so_far);
        true
    };
    let found = call(&resources.gpus, machine, goes_on)?.unwrap_or_default();
    let mut works = Vec::new();
    for (gpu, found) in resources.gpus.iter().zip(found) {
        match found {
            Ok(()) => works.push(gpu.device),
            Err(fault) => machine.leave_out(gpu.device, fault),
        }
    }
    Ok(works)
}

/// Whether each of these GPUs computes; nothing where it was stopped.
fn call(
    gpus: &[Placement],
    machine: &Machine,
    goes_on: &mut dyn FnMut(Duration) -> bool,
) -> Result<Option<Vec<Result<(), Fault>>>, AppError> {
    let program = super::own_program()?;
    Ok(Probe { program: &program, cards: &Cards::of(machine), limit: LIMIT }.call(gpus, goes_on))
}

fn told(gpus: usize) -> String {
    format!("trying {}", quantity::counted(gpus, "GPU"))
}
