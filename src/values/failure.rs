//! Owns how a trial or a job can fail, and what a message of the system or of a library means. Decides on no
//! retry.

use std::any::Any;
use std::error::Error;
use std::io::{self, ErrorKind};

use serde::{Deserialize, Serialize};

use crate::values::Device;

/// Why a job did not finish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Failure {
    /// Memory ran out, on the host or the device.
    OutOfMemory,
    /// The loss or a gradient was no longer finite.
    Diverged {
        /// Optimiser step at which it was seen.
        step: u64,
    },
    /// It ran longer than allowed.
    TimedOut,
    /// It gave no sign of life any more and was killed. Earlier versions also wrote this when its machine was
    /// lost.
    #[serde(alias = "host_lost")]
    Hung,
    /// The process ended by itself with this code and no result.
    Exited {
        /// Exit code.
        code: i32,
    },
    /// A signal ended the process.
    Killed {
        /// Signal number.
        signal: i32,
    },
    /// The device does not work: its driver or its library says so.
    DeviceFailed {
        /// What it said.
        message: String,
    },
    /// Others have filled the memory of the device since the run began.
    DeviceTaken {
        /// How much of it.
        message: String,
    },
    /// Its process could not be started.
    NotStarted {
        /// What the system said.
        message: String,
    },
    /// Files cannot be written: the disk is full or was made read-only. This is not a failure of a trial; the
    /// run stops.
    Unwritable {
        /// What the system said.
        message: String,
    },
    /// The data or the model does not match what the check had found.
    BadData {
        /// What was wrong.
        message: String,
    },
}

/// What cuBLAS says where it has no handle. One takes memory of the card.
const NO_HANDLE: &str = "CUBLAS_STATUS_NOT_INITIALIZED";

/// What allocators say that are out of memory: Rust's, libtorch's on the host and on a GPU, cuBLAS's, cuDNN's,
/// C++'s, libgomp's, the kernel's. libtorch's on a GPU first asks the driver who uses the card; where the driver
/// does not tell, that is what it says. cuBLAS that cannot make a handle has most often found no memory for it.
const OUT_OF_MEMORY: [&str; 12] = [
    "memory allocation of",
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "_STATUS_ALLOC_FAILED",
    "_ALLOCATION_FAILED",
    "NVML_SUCCESS ==",
    "CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate",
    "std::bad_alloc",
    "Out of memory allocating",
    "Cannot allocate memory",
    "failed to allocate",
];

/// What a sound GPU says of what it was given: an index beyond its table, a grid beyond its limits.
const BAD_DATA: [&str; 2] = ["device-side assert triggered", "invalid configuration argument"];

/// What libtorch says of a GPU that fails whatever it is given.
const DEVICE_FAILED: [&str; 8] = [
    "CUDA error",
    "CUDA driver",
    "CUDA-capable device",
    "cuDNN error",
    "cudaGetDeviceCount",
    "No CUDA GPUs are available",
    "_STATUS_NOT_INITIALIZED",
    "uncorrectable ECC",
];

impl Failure {
    /// The failure of memory or of a device, or caused on a sound device, that a message of a library or of the
    /// system reports.
    #[must_use]
    pub fn told_by(message: &str) -> Option<Self> {
        let line = |signs: &[&str]| {
            let mut lines = lines(message);
            lines.find(|line| signs.iter().any(|sign| line.contains(sign))).map(str::to_owned)
        };
        if line(&OUT_OF_MEMORY).is_some() {
            return Some(Self::OutOfMemory);
        }
        let told = line(&BAD_DATA).map(|message| Self::BadData { message });
        told.or_else(|| Some(Self::DeviceFailed { message: line(&DEVICE_FAILED)? }))
    }

    /// The same of a process of whose card it is known whether it is full.
    fn told_on(message: &str, is_full: Option<bool>) -> Option<Self> {
        let handle = lines(message).find(|line| line.contains(NO_HANDLE));
        match is_full.zip(handle) {
            Some((true, _)) => Some(Self::OutOfMemory),
            Some((false, line)) => Some(Self::DeviceFailed { message: line.to_owned() }),
            None => Self::told_by(message),
        }
    }

    /// What a panic means. libtorch's plain operations panic with its message, also when memory runs out; any
    /// other panic is a bug in the program. `is_full` tells of the process's card, where that is known.
    #[must_use]
    pub fn of_panic(panic: &(dyn Any + Send), is_full: Option<bool>) -> Self {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref().copied()).unwrap_or("no message");
        Self::told_on(text, is_full).unwrap_or_else(|| {
            // Below its first line libtorch appends its own call stack.
            let first = lines(text).next().unwrap_or_default();
            Self::BadData { message: format!("the program panicked, which is a fault of lorasweep: {first}") }
        })
    }

    /// What an error means for a trial. A system error among its sources can mean memory or a full disk;
    /// anything else is wrong with the data or the model.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        Self::told(error.to_string(), error)
    }

    /// The same, with this message.
    #[must_use]
    pub fn told(message: String, error: &(dyn Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(system) = error.downcast_ref() {
                return Self::of_system(message, system);
            }
            cause = error.source();
        }
        Self::BadData { message }
    }

    /// The same for a system error, with this message.
    #[must_use]
    pub fn of_system(message: String, error: &io::Error) -> Self {
        if error.kind() == ErrorKind::OutOfMemory {
            return Self::OutOfMemory;
        }
        let is_of_disk = matches!(
            error.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem
        );
        if is_of_disk { Self::Unwritable { message } } else { Self::BadData { message } }
    }

    /// Its kind in a few words, for counting failures.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::OutOfMemory => "out of memory",
            Self::Diverged { .. } => "diverged",
            Self::TimedOut => "timeout",
            Self::Hung => "no sign of life",
            Self::Exited { .. } => "ended without a result",
            Self::Killed { .. } => "killed by a signal",
            Self::DeviceFailed { .. } => "device failure",
            Self::DeviceTaken { .. } => "device taken by others",
            Self::NotStarted { .. } => "start failure",
            Self::Unwritable { .. } => "write failure",
            Self::BadData { .. } => "bad data",
        }
    }

    /// Whether another start can succeed. Failures caused by memory, numbers, time or data happen again.
    #[must_use]
    pub fn is_mendable(&self) -> bool {
        match self {
            Self::Hung
            | Self::Exited { .. }
            | Self::Killed { .. }
            | Self::DeviceFailed { .. }
            | Self::DeviceTaken { .. }
            | Self::NotStarted { .. }
            | Self::Unwritable { .. } => true,
            Self::OutOfMemory | Self::TimedOut | Self::Diverged { .. } | Self::BadData { .. } => false,
        }
    }

    /// Whether it is the fault of the device on which it happened, or of those who use it too, rather than the
    /// job's. A job that hangs on a GPU waits for it.
    #[must_use]
    pub fn blames(&self, device: Device) -> bool {
        match self {
            Self::DeviceFailed { .. } | Self::DeviceTaken { .. } | Self::Hung => {
                matches!(device, Device::Cuda { .. })
            }
            Self::OutOfMemory
            | Self::Diverged { .. }
            | Self::TimedOut
            | Self::Exited { .. }
            | Self::Killed { .. }
            | Self::NotStarted { .. }
            | Self::Unwritable { .. }
            | Self::BadData { .. } => false,
        }
    }
}

/// The lines of a message. A panic holds libtorch's message as Rust writes a text within code: on one line.
fn lines(message: &str) -> impl Iterator<Item = &str> {
    let written = message.lines().flat_map(|line| line.split("\\n"));
    written.map(|line| line.split_once("Torch(\"").map_or(line, |(_, told)| told))
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OutOfMemory => write!(f, "out of memory"),
            Self::Diverged { step } => write!(f, "diverged at step {step}: the loss was no longer finite"),
            Self::TimedOut => write!(f, "ran longer than allowed"),
            Self::Hung => write!(f, "gave no sign of life for minutes and was killed"),
            Self::Exited { code } => write!(f, "the process ended with exit code {code} and no result"),
            Self::Killed { signal } => write!(f, "the process was killed by signal {signal}"),
            Self::DeviceFailed { message } => write!(f, "the device failed: {message}"),
            Self::NotStarted { message } => write!(f, "cannot start its process: {message}"),
            Self::DeviceTaken { message } | Self::Unwritable { message } | Self::BadData { message } => {
                write!(f, "{message}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error of our own with one of the system behind it.
    #[derive(Debug, thiserror::Error)]
    #[error("cannot write `x`: {0}")]
    struct Write(#[source] io::Error);

    /// Written as libtorch's errors are.
    #[derive(Debug)]
    struct Torch(#[expect(dead_code, reason = "it is only written")] String);

    #[test]
    fn the_error_of_the_system_decides_however_deep_it_lies() {
        let of = |errno: i32| {
            let error = Write(io::Error::from_raw_os_error(errno));
            (Failure::of(&error), error.to_string())
        };
        // ENOSPC, EROFS and EDQUOT.
        for errno in [28, 30, 122] {
            let (failure, message) = of(errno);
            assert_eq!(failure, Failure::Unwritable { message });
        }
        // ENOMEM
        assert_eq!(of(12).0, Failure::OutOfMemory);
        // ENOENT
        let (failure, message) = of(2);
        assert_eq!(failure, Failure::BadData { message });
        // The words alone mean nothing.
        let words = io::Error::other("(os error 28)").to_string();
        let plain: Box<dyn Error> = words.clone().into();
        assert_eq!(Failure::of(&*plain), Failure::BadData { message: words });
    }

    /// As libtorch 2.11, cuBLAS, cuDNN and the system write them.
    #[test]
    fn what_a_library_says_of_memory_and_devices_is_understood() {
        let lack = [
            "DefaultCPUAllocator: not enough memory: you tried to allocate 64 bytes.",
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.15 GiB of which",
            "CUDA error: out of memory",
            "CUDA driver error: out of memory",
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
            "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
            "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
            "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
            "NVML_SUCCESS == r INTERNAL ASSERT FAILED at \"/pytorch/c10/cuda/CUDACachingAllocator.cpp\":1165, \
             please report a bug to PyTorch.",
            "terminate called after throwing an instance of 'std::bad_alloc'",
            "libgomp: Out of memory allocating 8 bytes",
        ];
        for text in lack {
            assert_eq!(Failure::told_by(text), Some(Failure::OutOfMemory), "{text}");
        }
        let faults = [
            "CUDA error: an illegal memory access was encountered",
            "CUDA error: uncorrectable ECC error encountered",
            "CUDA error: unspecified launch failure",
            "CUDA error: unknown error",
            "CUDA error: the launch timed out and was terminated",
            "CUDA error: CUDA-capable device(s) is/are busy or unavailable",
            "CUDA error: no kernel image is available for execution on the device",
            "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle, opa, opb, m, n, k, &al",
            "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasSetStream(handle, stream)`",
            "CUDA driver error: unknown error",
            "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
            "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
            "Unexpected error from cudaGetDeviceCount(). Error 802: system not yet initialized",
            "No CUDA GPUs are available",
        ];
        for text in faults {
            let failed = Failure::DeviceFailed { message: text.to_owned() };
            assert_eq!(Failure::told_by(&format!("before\n{text}\nbehind")), Some(failed), "{text}");
        }
        for text in ["CUDA error: device-side assert triggered", "CUDA error: invalid configuration argument"]
        {
            let failed = Failure::BadData { message: text.to_owned() };
            // The last line is below every error of CUDA.
            let hint = "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.";
            assert_eq!(Failure::told_by(&format!("{text}\n{hint}")), Some(failed), "{text}");
        }
        for text in ["index out of range in self", "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"]
        {
            assert_eq!(Failure::told_by(text), None, "{text}");
        }
    }

    #[test]
    fn a_missing_handle_is_a_lack_of_memory_where_the_card_is_full() {
        let [made, used] = ["cublasCreate(handle)", "cublasSetStream(handle, stream)"];
        let of = |call: &str, is_full| {
            let said = format!("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `{call}`");
            Failure::of_panic(&format!("{said}\nException raised from getCurrentCUDABlasHandle"), is_full)
        };
        let lacks =
            |call: &str| [None, Some(true), Some(false)].map(|full| of(call, full) == Failure::OutOfMemory);
        assert_eq!((lacks(made), lacks(used)), ([true, true, false], [false, true, false]));
        assert!(matches!(of(made, Some(false)), Failure::DeviceFailed { message } if message.contains(made)));
    }

    #[test]
    fn only_a_gpu_is_to_blame_for_what_hangs_on_it() {
        let failed = Failure::DeviceFailed { message: "CUDA error".to_owned() };
        for (device, is_one) in [(Device::Cuda { index: 3 }, true), (Device::Cpu { slot: 0 }, false)] {
            assert_eq!([&failed, &Failure::Hung].map(|failure| failure.blames(device)), [is_one; 2]);
            assert!(!Failure::OutOfMemory.blames(device) && !Failure::Killed { signal: 9 }.blames(device));
        }
    }

    #[test]
    fn a_panic_tells_of_memory_or_is_a_fault_of_the_program() {
        let of = |panic: Box<dyn Any + Send>| Failure::of_panic(&*panic, None);
        assert_eq!(of(Box::new("std::bad_alloc")), Failure::OutOfMemory);
        let fault = of(Box::new("shapes differ\nframe #0: libc10.so".to_owned())).to_string();
        assert_eq!(fault, "the program panicked, which is a fault of lorasweep: shapes differ");
        assert!(of(Box::new(3)).to_string().ends_with("no message"));
        let told = "CUDA error: an illegal memory access was encountered";
        let torch = Torch(format!("{told}\nframe #0: libc10.so"));
        let panicked = format!("called `Result::unwrap()` on an `Err` value: {torch:?}");
        assert_eq!(of(Box::new(panicked)), Failure::DeviceFailed { message: told.to_owned() });
    }
}
