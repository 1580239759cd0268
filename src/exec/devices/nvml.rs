//! Owns what the NVIDIA driver says of its cards, asked through its management library. Each card is asked by
//! itself, so that one that does not answer hides no other. Chooses nothing.

use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError};
use nvml_wrapper::enums::device::{SampleValue, UsedGpuMemory};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id::{NVML_FI_DEV_REMAPPED_FAILURE, NVML_FI_DEV_REMAPPED_PENDING};
use nvml_wrapper::{Device, Nvml};

use super::left_out::Why;
use super::speed::{Processors, cores_of_multiprocessor};
use super::visible::{Card, Facts, Memory, Part};

/// The driver, for as long as it is asked.
#[derive(Debug)]
pub(super) struct Driver {
    nvml: Nvml,
    /// Its version, such as `580.95.05`.
    pub(super) version: Option<String>,
    /// The CUDA version that it is for.
    pub(super) cuda: Option<(u32, u32)>,
}

impl Driver {
    /// # Errors
    /// There is none, or it does not answer; why a card that is there nevertheless cannot be used.
    pub(super) fn ask() -> Result<Self, Why> {
        let nvml = Nvml::init().map_err(|error| no_answer(&error))?;
        let version = nvml.sys_driver_version().ok();
        let cuda = nvml.sys_cuda_driver_version().ok().and_then(|cuda| u32::try_from(cuda).ok());
        Ok(Self { nvml, version, cuda: cuda.map(|cuda| (cuda / 1000, cuda % 1000 / 10)) })
    }

    /// Its cards in its order, which is that of their PCI addresses. It counts those that this process may not
    /// use, too.
    ///
    /// # Errors
    /// It does not count them.
    pub(super) fn cards(&self) -> Result<Vec<Card>, Why> {
        let count = self.nvml.device_count().map_err(|error| no_answer(&error))?;
        Ok((0..count).map(|number| self.card(number)).collect())
    }

    fn card(&self, number: u32) -> Card {
        let mut card = Card { number: number as usize, uuid: None, parts: Ok(Vec::new()) };
        let known = self.nvml.device_by_index(number).and_then(|device| Ok((device.uuid()?, device)));
        card.parts = match known {
            Ok((uuid, device)) => {
                card.uuid = Some(uuid.clone());
                if device.mig_mode().is_ok_and(|mode| mode.current == 1) {
                    instances(&device)
                } else {
                    Ok(vec![Part { uuid, facts: facts(&device, None) }])
                }
            }
            Err(error) => Err(why(&error)),
        };
        card
    }

    /// The memory of a card or of an instance, where it tells.
    pub(super) fn memory(&self, uuid: &str) -> Option<Memory> {
        memory(&self.nvml.device_by_uuid(uuid).ok()?).ok()?
    }

    /// The MIG instance with this UUID.
    pub(super) fn instance(&self, uuid: &str) -> Option<Part> {
        let device = self.nvml.device_by_uuid(uuid).ok()?;
        Some(Part { uuid: uuid.to_owned(), facts: facts(&device, None) })
    }
}

/// The instances of a card in MIG mode.
fn instances(card: &Device<'_>) -> Result<Vec<Part>, Why> {
    let most = card.mig_device_count().map_err(|error| why(&error))?;
    // Those that are not there are gaps.
    let instances = (0..most).filter_map(|number| card.mig_device_by_index(number).ok());
    let parts: Vec<Part> = instances
        .filter_map(|instance| {
            let uuid = instance.uuid().ok()?;
            Some(Part { uuid, facts: facts(&instance, Some(card)) })
        })
        .collect();
    if parts.is_empty() { Err(Why::NoInstance) } else { Ok(parts) }
}

/// What is known of a card, or of an instance of one.
fn facts(device: &Device<'_>, card: Option<&Device<'_>>) -> Result<Facts, Why> {
    let whole = card.unwrap_or(device);
    let name = device.name().map_err(|error| why(&error))?;
    let memory = memory(device)?;
    damage(whole).map_or(Ok(()), Err)?;
    let capability = device.cuda_compute_capability().or_else(|_| whole.cuda_compute_capability());
    let capability = capability
        .ok()
        .and_then(|found| Some((u32::try_from(found.major).ok()?, u32::try_from(found.minor).ok()?)));
    let processes = device.running_compute_processes();
    Ok(Facts {
        name,
        memory,
        capability,
        speed: capability.and_then(|capability| Some(processors(device, card, capability)?.speed())),
        processes: processes.ok().map(|processes| processes.iter().map(|process| process.pid).collect()),
    })
}

/// The processors of a card, or of an instance of one, which has some of its multiprocessors.
fn processors(device: &Device<'_>, card: Option<&Device<'_>>, capability: (u32, u32)) -> Option<Processors> {
    // Only instances have attributes.
    let multiprocessors = device.attributes().ok().map(|of| of.multiprocessor_count);
    let of_instance = || multiprocessors?.checked_mul(cores_of_multiprocessor(capability));
    let cores = of_instance().or_else(|| device.num_cores().ok().filter(|_| card.is_none()))?;
    let clock_mhz = card.unwrap_or(device).max_clock_info(Clock::SM).ok()?;
    Some(Processors { cores, clock_mhz, capability }).filter(|of| of.cores > 0 && of.clock_mhz > 0)
}

/// A device's memory; None where it has none of its own, as on chips that share the machine's.
fn memory(device: &Device<'_>) -> Result<Option<Memory>, Why> {
    let memory = match device.memory_info() {
        Ok(memory) => memory,
        Err(NvmlError::NotSupported) => return Ok(None),
        Err(error) => return Err(why(&error)),
    };
    let of_screens = device.running_graphics_processes().unwrap_or_default();
    let of_screens = of_screens.iter().map(|process| match process.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => bytes,
        UsedGpuMemory::Unavailable => 0,
    });
    let in_use = memory.used.saturating_sub(of_screens.sum());
    Ok(Some(Memory { total: memory.total, free: memory.free, in_use }))
}

/// Damage to a card's memory. Cards that do not count it have none that is known.
fn damage(card: &Device<'_>) -> Option<Why> {
    let [pending, failed] = remapped(card);
    if failed {
        return Some(Why::MemoryRepairFailed);
    }
    let errors = card.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile).unwrap_or(0);
    if errors > 0 {
        return Some(Why::MemoryErrors(errors));
    }
    (pending || card.are_pages_pending_retired().unwrap_or(false)).then_some(Why::MemoryRepairPending)
}

/// Whether rows of a card's memory wait to be replaced by spare ones, and whether spare ones were missing.
fn remapped(card: &Device<'_>) -> [bool; 2] {
    let fields = [NVML_FI_DEV_REMAPPED_PENDING, NVML_FI_DEV_REMAPPED_FAILURE].map(FieldId);
    let samples = card.field_values_for(&fields).unwrap_or_default();
    [0, 1].map(|at| {
        let value = samples.get(at).and_then(|sample| sample.as_ref().ok()?.value.as_ref().ok());
        matches!(value, Some(SampleValue::U32(1..) | SampleValue::U64(1..)))
    })
}

/// Why a card that the driver counts cannot be used.
fn why(error: &NvmlError) -> Why {
    if matches!(error, NvmlError::GpuLost) {
        Why::Lost
    } else if matches!(error, NvmlError::ResetRequired) {
        Why::NeedsReset
    } else if matches!(error, NvmlError::NoPermission) {
        Why::NoPermission
    } else {
        Why::Other(error.to_string())
    }
}

/// Why a card cannot be used if its driver does not answer.
fn no_answer(error: &NvmlError) -> Why {
    if matches!(error, NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound) {
        Why::NoLibrary
    } else if matches!(error, NvmlError::LibRmVersionMismatch) {
        Why::Mismatch
    } else {
        Why::NoAnswer(error.to_string())
    }
}
