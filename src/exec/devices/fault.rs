//! Owns why a GPU of which the driver says nothing bad does not compute, and what mends that. Tries nothing.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::libtorch::{self, Origin};
use crate::values::{Failure, quantity};

/// Why a GPU did not do a small computation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It had not ended after this time.
    NoAnswer(Duration),
    /// There was no room for two small matrices.
    NoMemory,
    /// Libtorch has no code for it.
    NoCode,
    /// The driver is older than the CUDA that libtorch was built for.
    DriverTooOld,
    /// Its memory had an error that could not be corrected.
    MemoryErrors,
    /// The service that connects the GPUs of this machine does not run.
    NoFabric,
    /// Another process has it for itself.
    Taken,
    /// Libtorch's CUDA library cannot be loaded, which says this.
    NotLoaded(String),
    /// Its product is not the CPU's.
    Wrong(String),
    /// It or libtorch says something else.
    Other(String),
}

/// What CUDA and libtorch 2.11 say of a card, and what that means.
const SAID: [(&str, Fault); 7] = [
    ("no kernel image is available", Fault::NoCode),
    ("driver on your system is too old", Fault::DriverTooOld),
    ("driver version is insufficient", Fault::DriverTooOld),
    ("uncorrectable ECC", Fault::MemoryErrors),
    ("system not yet initialized", Fault::NoFabric),
    ("busy or unavailable", Fault::Taken),
    ("exclusive-thread device already in use", Fault::Taken),
];

impl Fault {
    /// What a failure of a computation means.
    #[must_use]
    pub fn of(failure: &Failure) -> Self {
        if *failure == Failure::OutOfMemory {
            return Self::NoMemory;
        }
        if let Failure::DeviceFailed { message } | Failure::BadData { message } = failure {
            let known = SAID.iter().find(|(words, _)| message.contains(words));
            return known.map_or_else(|| Self::Other(message.clone()), |(_, fault)| fault.clone());
        }
        Self::Other(failure.to_string())
    }

    /// What a message of libtorch means.
    #[must_use]
    pub fn told_by(message: &str) -> Self {
        let first = message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let whatever = Failure::BadData { message: first.to_owned() };
        Self::of(&Failure::told_by(message).unwrap_or(whatever))
    }

    /// What to do about it, for cards with these numbers, and a program that was installed in this way.
    pub(super) fn mend(&self, numbers: &str, origin: Origin) -> String {
        let another = |cuda| libtorch::install_for(cuda, origin);
        match self {
            Self::NoAnswer(_) => format!(
                "reboot, or `sudo nvidia-smi --gpu-reset -i {numbers}`; `sudo dmesg | grep Xid` may say why"
            ),
            Self::NoMemory => {
                format!("wait for those who use it, whom `nvidia-smi -i {numbers}` lists, or end them")
            }
            Self::NoCode => {
                format!(
                    "install another libtorch, such as one for cards of before 2018: {}",
                    another((12, 6))
                )
            }
            Self::DriverTooOld => {
                format!("install driver 580 or newer, or another libtorch: {}", another((12, 6)))
            }
            Self::MemoryErrors => format!("`sudo nvidia-smi --gpu-reset -i {numbers}`, or reboot"),
            Self::NoFabric => "`sudo systemctl start nvidia-fabricmanager`, or reboot".to_owned(),
            Self::Taken => {
                format!("wait for that process, or `sudo nvidia-smi -i {numbers} -c 0` lets several use it")
            }
            Self::NotLoaded(_) => format!("`{}`", libtorch::reinstall(origin)),
            Self::Wrong(_) => {
                format!("`sudo nvidia-smi --gpu-reset -i {numbers}`; replace it if that does not help")
            }
            Self::Other(_) => {
                format!("`nvidia-smi -i {numbers}` and `sudo dmesg | grep -e NVRM -e Xid` say more")
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(after) => {
                write!(f, "a small product was not done in {}", quantity::predicted(after.as_secs_f64()))
            }
            Self::NoMemory => f.write_str("its memory is full"),
            Self::NoCode => f.write_str("libtorch has no code for cards like it"),
            Self::DriverTooOld => f.write_str("its driver is older than libtorch's CUDA"),
            Self::MemoryErrors => f.write_str("its memory had an error that could not be corrected"),
            Self::NoFabric => f.write_str("the service that connects this machine's GPUs does not run"),
            Self::Taken => f.write_str("another process has it for itself"),
            Self::NotLoaded(said) | Self::Wrong(said) | Self::Other(said) => f.write_str(said),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cuda_says_of_a_card_is_understood() {
        let advice = "\nCUDA kernel errors might be asynchronously reported at some other API call";
        for (said, fault) in [
            ("CUDA error: no kernel image is available for execution on the device", Fault::NoCode),
            ("CUDA error: uncorrectable ECC error encountered", Fault::MemoryErrors),
            ("CUDA error: CUDA-capable device(s) is/are busy or unavailable", Fault::Taken),
            ("CUDA out of memory. Tried to allocate 2.00 MiB. GPU 0 has", Fault::NoMemory),
            ("CUDA error: out of memory", Fault::NoMemory),
            ("CUDA error: CUDA driver version is insufficient for CUDA runtime version", Fault::DriverTooOld),
            (
                "The NVIDIA driver on your system is too old (found version 12040). Please update",
                Fault::DriverTooOld,
            ),
            (
                "Unexpected error from cudaGetDeviceCount(). Error 802: system not yet initialized",
                Fault::NoFabric,
            ),
            ("CUDA error: unknown error", Fault::Other("CUDA error: unknown error".to_owned())),
            ("\n  what is this", Fault::Other("what is this".to_owned())),
        ] {
            assert_eq!(Fault::told_by(&format!("{said}{advice}")), fault, "{said}");
        }
    }

    #[test]
    fn a_fault_goes_from_one_process_to_another() {
        for fault in
            [Fault::NoCode, Fault::Wrong("3 for 4".to_owned()), Fault::NoAnswer(Duration::from_mins(1))]
        {
            let text = serde_json::to_string(&fault).unwrap();
            assert_eq!(serde_json::from_str::<Fault>(&text).unwrap(), fault);
        }
        assert_eq!(
            Fault::NoAnswer(Duration::from_mins(1)).to_string(),
            "a small product was not done in 1 min 00 s"
        );
    }
}
