//! Owns the conversion from a placement to a libtorch device. Loads the CUDA library only when a GPU is asked
//! for.

use std::error::Error;

use tch::{Kind, Tensor};

use crate::values::Failure;
use crate::{libtorch, values};

/// Elements to which the places of tensors in a common one are rounded up: 64 bytes of 32-bit numbers, as libtorch's
/// own allocations are, so that no operation sees another alignment than it would on a tensor of its own.
pub const ALIGNED: i64 = 16;

/// The libtorch device of a placement. The process sees only its own GPU, which therefore has index 0.
///
/// # Errors
/// When a GPU is asked for and libtorch's CUDA library cannot be loaded or finds none.
pub fn select(device: values::Device) -> Result<tch::Device, Failure> {
    match device {
        values::Device::Cpu { .. } | values::Device::Host => Ok(tch::Device::Cpu),
        values::Device::Cuda { index } => {
            let advice = "`lorasweep doctor` says more";
            load_cuda().map_err(|said| Failure::BadData { message: format!("{said}; {advice}") })?;
            first_gpu().map_err(|said| {
                let message =
                    format!("libtorch sees no GPU where `cuda:{index}` was expected: {said}; {advice}");
                Failure::DeviceFailed { message }
            })
        }
    }
}

/// The first GPU that this process sees, once the library is loaded.
///
/// # Errors
/// Libtorch sees none; what it says when it is asked to use one all the same.
pub(super) fn first_gpu() -> Result<tch::Device, String> {
    let first = tch::Device::Cuda(0);
    if tch::Cuda::is_available() {
        return Ok(first);
    }
    let used = Tensor::f_zeros([1], (Kind::Float, first)).and_then(|tensor| tensor.f_double_value(&[0]));
    let said = used.err().map_or_else(String::new, |error| error.to_string());
    let said = said.strip_prefix("Internal torch error: ").unwrap_or(&said);
    Err(said.lines().next().filter(|line| !line.is_empty()).unwrap_or("it says no more").to_owned())
}

/// Copies values from the host to a device, without waiting for the device's queued work. A GPU reads them when it
/// comes to them: from a copy in pinned memory, which libtorch keeps until then, so that `values` may be dropped
/// right after.
pub fn send(values: &Tensor, device: tch::Device) -> Tensor {
    let source = match device {
        tch::Device::Cuda(_) => values.internal_pin_memory(device),
        tch::Device::Cpu | tch::Device::Mps | tch::Device::Vulkan => values.shallow_clone(),
    };
    source.to_device_(device, values.kind(), true, false)
}

/// Moves values from the host to a device as [`send`] does: to a GPU those of one kind in one copy, of which they are
/// parts from then on: a copy of a few numbers takes as long as one of thousands.
pub fn send_together(mut values: Vec<&mut Tensor>, device: tch::Device) {
    let is_gpu = matches!(device, tch::Device::Cuda(_));
    while let Some(kind) = values.first().filter(|_| is_gpu).map(|first| first.kind()) {
        let (of_kind, rest): (Vec<_>, Vec<_>) = values.into_iter().partition(|value| value.kind() == kind);
        let mut end = 0;
        let place = |value: &&mut Tensor| {
            let start = (end + ALIGNED - 1) / ALIGNED * ALIGNED;
            end = start + elements(value);
            start
        };
        let starts: Vec<i64> = of_kind.iter().map(place).collect();
        let packed = Tensor::zeros([end], (kind, tch::Device::Cpu)).internal_pin_memory(device);
        let part = |whole: &Tensor, start: i64, value: &Tensor| {
            whole.narrow(0, start, elements(value)).view(value.size().as_slice())
        };
        for (start, value) in starts.iter().zip(&of_kind) {
            part(&packed, *start, value).copy_(value);
        }
        let there = packed.to_device_(device, kind, true, false);
        for (start, value) in starts.iter().zip(of_kind) {
            *value = part(&there, *start, value);
        }
        values = rest;
    }
    // On no GPU.
    for value in values {
        *value = send(value, device);
    }
}

fn elements(value: &Tensor) -> i64 {
    value.size().iter().product()
}

/// Loads `libtorch_cuda.so` into the process, once; its registration makes GPUs usable.
pub(super) fn load_cuda() -> Result<(), String> {
    let name = "libtorch_cuda.so";
    let beside = libtorch::folder().map(|folder| folder.join(name));
    let path = beside.filter(|path| path.exists()).unwrap_or_else(|| name.into());
    #[expect(unsafe_code, reason = "loading a library runs its initialisers; this one is libtorch's own")]
    let loaded = unsafe { libloading::Library::new(&path) };
    match loaded {
        Ok(library) => {
            // Never unloaded: libtorch keeps pointers into it.
            std::mem::forget(library);
            Ok(())
        }
        Err(error) => {
            // The loader's own words name the library that is missing.
            let said = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            Err(format!("cannot load `{}`: {said}", path.display()))
        }
    }
}
