//! Owns the claims of orchestrators on GPUs: a lock for each, so that two runs do not take the same one unless
//! they are told to.
//!
//! The locks are in the folder for temporary files. Where two orchestrators have different ones, as in two
//! containers, they see of each other what the driver shows: processes and memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::choice::{DeviceError, resources};
use super::nvml::Driver;
use super::{Busy, Cards, Fault, Gpu, Machine};
use crate::disk::lock::{self, Lock, LockError};
use crate::sweep::DeviceRequest;
use crate::values::{Device, Resources};

/// How long processes that end may take to free their GPU; a hundred gigabytes take seconds.
const DEATH: Duration = Duration::from_secs(10);
/// Time between two looks at the machine.
const LOOK: Duration = Duration::from_millis(250);
/// How often another orchestrator may be faster.
const RACES: usize = 5;

/// What a run may use, and nobody else takes while this exists.
#[derive(Debug)]
pub struct Reserved {
    /// The machine, as it was before.
    pub machine: Machine,
    /// The part of it that was asked for.
    pub resources: Resources,
    claims: Vec<Lock>,
    /// Asked first and last, so that it is started once.
    driver: Option<Arc<Driver>>,
}

impl Reserved {
    /// Its GPUs, for whoever starts processes there.
    #[must_use]
    pub fn cards(&self) -> Cards {
        Cards::new(self.driver.clone(), &self.machine)
    }

    /// Leaves out these of its GPUs, which do not compute. Where any of so many would do, others take their place.
    ///
    /// # Errors
    /// None is left.
    pub fn leave_out(
        &mut self,
        request: &DeviceRequest,
        faults: Vec<(Device, Fault)>,
    ) -> Result<(), DeviceError> {
        for (device, fault) in faults {
            self.machine.leave_out(device, fault);
        }
        let left: Vec<usize> = self.machine.used(&self.resources).map(|gpu| gpu.index).collect();
        let request = match request {
            DeviceRequest::Gpus(Some(wanted)) => {
                DeviceRequest::Gpus(Some((*wanted).min(self.machine.gpus.len())))
            }
            DeviceRequest::Auto
            | DeviceRequest::Cpu(_)
            | DeviceRequest::Gpus(None)
            | DeviceRequest::Indices(_) => DeviceRequest::Indices(left),
        };
        self.resources = resources(&request, &self.machine)?;
        if self.resources.gpus.is_empty() {
            return Err(DeviceError::none_usable(&self.machine));
        }
        self.claims.extend(claim(&self.resources, &self.machine).0);
        Ok(())
    }
}

/// Chooses what a request may use of this machine and claims its GPUs. Those that are asked for by name or number
/// may be shared; `auto` takes none that is in use. `is_ending` tells of a process that it is about to end; what
/// such processes hold is waited for.
///
/// # Errors
/// The machine has less than was asked for; the message says what it has.
pub fn reserve(request: &DeviceRequest, is_ending: &dyn Fn(u32) -> bool) -> Result<Reserved, DeviceError> {
    let begun = Instant::now();
    let driver = Driver::ask().ok().map(Arc::new);
    let (mut races, mut waited) = (0, false);
    loop {
        let machine = super::detect();
        if matches!(request, DeviceRequest::Cpu(_)) {
            let resources = resources(request, &machine)?;
            return Ok(Reserved { machine, resources, claims: Vec::new(), driver: None });
        }
        let ending = machine.gpus.iter().any(|gpu| is_left_by(gpu, is_ending, waited));
        if ending && begun.elapsed() < DEATH {
            waited = true;
            std::thread::sleep(LOOK);
            continue;
        }
        let resources = resources(request, &machine)?;
        let (claims, missed) = claim(&resources, &machine);
        if missed && *request == DeviceRequest::Auto && races < RACES {
            races += 1;
            continue;
        }
        return Ok(Reserved { machine, resources, claims, driver });
    }
}

/// Whether a GPU is in use by nothing but processes that end. Their memory may be freed a moment after they have
/// gone from the driver's list.
fn is_left_by(gpu: &Gpu, is_ending: &dyn Fn(u32) -> bool, waited: bool) -> bool {
    match &gpu.busy {
        Some(Busy::Processes(pids)) => pids.iter().all(|pid| is_ending(*pid)),
        Some(Busy::Memory) => waited,
        Some(Busy::Claimed(_)) | None => false,
    }
}

/// Claims the GPUs of these resources. Also returns whether one is claimed already.
fn claim(resources: &Resources, machine: &Machine) -> (Vec<Lock>, bool) {
    let (mut claims, mut missed) = (Vec::new(), false);
    for gpu in machine.used(resources) {
        match Lock::of_all_users(&path(&gpu.uuid)) {
            Ok(lock) => claims.push(lock),
            Err(LockError::InUse { .. }) => missed = true,
            // Where no file can be made, nobody can be told.
            Err(LockError::File(_)) => {}
        }
    }
    (claims, missed)
}

/// The orchestrator that has claimed a GPU, for people.
pub(super) fn holder(uuid: &str) -> Option<String> {
    lock::holder(&path(uuid))
}

fn path(uuid: &str) -> PathBuf {
    std::env::temp_dir().join(format!("lorasweep-{}.lock", uuid.replace('/', "-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ending_processes_hold_is_waited_for() {
        let gpu = |busy| Gpu { busy, ..Gpu::example(0) };
        let ends = |pid: u32| pid < 10;
        for (busy, waited, left) in [
            (Some(Busy::Processes(vec![1, 2])), false, true),
            (Some(Busy::Processes(vec![1, 12])), true, false),
            (Some(Busy::Memory), false, false),
            (Some(Busy::Memory), true, true),
            (Some(Busy::Claimed("process 1".to_owned())), true, false),
            (None, true, false),
        ] {
            assert_eq!(is_left_by(&gpu(busy.clone()), &ends, waited), left, "{busy:?} {waited}");
        }
    }
}
