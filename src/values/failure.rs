//! Owns how a trial or a job can fail, and what a message of the system or of a library means.

use serde::{Deserialize, Serialize};

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
    /// It gave no sign of life any more, and was killed.
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
    /// The machine that ran it is gone.
    HostLost,
    /// The device does not work: its driver or its library says so.
    DeviceFailed {
        /// What it said.
        message: String,
    },
    /// Its process could not be started.
    NotStarted {
        /// What the system said.
        message: String,
    },
    /// Files cannot be written: the disk is full, or was made read-only. That is no failure of a
    /// trial, and the run stops for it.
    Unwritable {
        /// What the system said.
        message: String,
    },
    /// The data or the model did not hold what the check had found.
    BadData {
        /// What was wrong.
        message: String,
    },
}

/// What allocators say when there is no more: Rust's, libtorch's on the host and on a GPU, cuBLAS's,
/// C++'s, libgomp's, the kernel's.
const OUT_OF_MEMORY: [&str; 9] = [
    "memory allocation of",
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "_STATUS_ALLOC_FAILED",
    "std::bad_alloc",
    "Out of memory allocating",
    "Cannot allocate memory",
    "failed to allocate",
];

/// What libtorch says of a GPU that does not do its work, whatever it was given.
const DEVICE_FAILED: [&str; 5] =
    ["CUDA error", "CUDA driver", "CUDA-capable device", "_STATUS_NOT_INITIALIZED", "uncorrectable ECC"];

/// ENOSPC, EROFS and EDQUOT.
const UNWRITABLE: [i32; 3] = [28, 30, 122];

impl Failure {
    /// The failure of memory or of a device that a library's or the system's message tells of.
    #[must_use]
    pub fn told_by(message: &str) -> Option<Self> {
        let speaks_of = |text: &str, signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
        if speaks_of(message, &OUT_OF_MEMORY) {
            return Some(Self::OutOfMemory);
        }
        let line = message.lines().find(|line| speaks_of(line, &DEVICE_FAILED))?;
        Some(Self::DeviceFailed { message: line.to_owned() })
    }

    /// The failure that a message means which may hold what the system said of memory, a device or a
    /// disk; one of the data otherwise.
    #[must_use]
    pub fn meant_by(message: String) -> Self {
        let unwritable = UNWRITABLE.iter().any(|errno| message.contains(&format!("(os error {errno})")));
        match Self::told_by(&message) {
            Some(told) => told,
            None if unwritable => Self::Unwritable { message },
            None => Self::BadData { message },
        }
    }

    /// Its kind in a few words, to count failures by.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::OutOfMemory => "out of memory",
            Self::Diverged { .. } => "diverged",
            Self::TimedOut => "ran longer than allowed",
            Self::Hung => "hung",
            Self::Exited { .. } => "ended without a result",
            Self::Killed { .. } => "killed by a signal",
            Self::HostLost => "lost with their machine",
            Self::DeviceFailed { .. } => "lost with their device",
            Self::NotStarted { .. } => "not started",
            Self::Unwritable { .. } => "that could not write",
            Self::BadData { .. } => "with bad data",
        }
    }

    /// Whether the same start can go better the next time. What memory, numbers, time or data decide
    /// happens again.
    #[must_use]
    pub fn is_mendable(&self) -> bool {
        match self {
            Self::Hung
            | Self::Exited { .. }
            | Self::Killed { .. }
            | Self::HostLost
            | Self::DeviceFailed { .. }
            | Self::NotStarted { .. }
            | Self::Unwritable { .. } => true,
            Self::OutOfMemory | Self::TimedOut | Self::Diverged { .. } | Self::BadData { .. } => false,
        }
    }

    /// Whether it tells of the device rather than of the job.
    #[must_use]
    pub fn blames_device(&self) -> bool {
        match self {
            Self::HostLost | Self::DeviceFailed { .. } => true,
            Self::OutOfMemory
            | Self::Diverged { .. }
            | Self::TimedOut
            | Self::Hung
            | Self::Exited { .. }
            | Self::Killed { .. }
            | Self::NotStarted { .. }
            | Self::Unwritable { .. }
            | Self::BadData { .. } => false,
        }
    }
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
            Self::HostLost => write!(f, "the machine that ran it is gone"),
            Self::DeviceFailed { message } => write!(f, "the device failed: {message}"),
            Self::NotStarted { message } => write!(f, "cannot start its process: {message}"),
            Self::Unwritable { message } | Self::BadData { message } => write!(f, "{message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_told_apart() {
        let meant = |errno: i32| {
            let message = format!("cannot write `x`: {}", std::io::Error::from_raw_os_error(errno));
            (Failure::meant_by(message.clone()), message)
        };
        for errno in UNWRITABLE {
            let (failure, message) = meant(errno);
            assert_eq!(failure, Failure::Unwritable { message });
        }
        assert_eq!(meant(12).0, Failure::OutOfMemory);
        // ENOENT
        let (failure, message) = meant(2);
        assert_eq!(failure, Failure::BadData { message });
        assert_eq!(
            Failure::meant_by("DefaultCPUAllocator: not enough memory".to_owned()),
            Failure::OutOfMemory
        );
    }
}
