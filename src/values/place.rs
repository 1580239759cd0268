//! Owns where jobs run: devices, and the cores that go with them.

use serde::{Deserialize, Serialize};

/// The cores and the accelerator that a job may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The device.
    pub device: Device,
    /// Host cores to bind to, by kernel number; empty binds to none.
    pub cores: Vec<usize>,
}

/// Something that trains one pack at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Device {
    /// A share of the CPU's cores.
    Cpu {
        /// Slot number from 0.
        slot: usize,
    },
    /// An NVIDIA GPU.
    Cuda {
        /// Number among the visible GPUs, as torch counts them.
        index: usize,
    },
    /// No device: short work that runs alongside training.
    Host,
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu { slot } => write!(f, "cpu:{slot}"),
            Self::Cuda { index } => write!(f, "cuda:{index}"),
            Self::Host => write!(f, "host"),
        }
    }
}
