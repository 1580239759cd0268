//! Owns where jobs run: devices, the cores that go with them, and what a run may use of a machine.

use serde::{Deserialize, Serialize};

use crate::values::{Precision, quantity};

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
    /// Some of the CPU's cores.
    Cpu {
        /// The position of the first of them among the cores that the run may use, from 0.
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

/// How much of a machine a trial trains on. The bits of its result depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Width {
    /// So many cores of the CPU, at least one.
    Cores(usize),
    /// One GPU.
    Gpu,
}

impl Speed {
    /// Floating-point operations per second in this precision.
    #[must_use]
    pub fn flops(self, precision: Precision) -> f64 {
        let gflops = match precision {
            Precision::Fp32 => self.fp32_gflops,
            Precision::Bf16 => self.bf16_gflops,
        };
        #[expect(clippy::cast_precision_loss, reason = "it is no more than a guess")]
        let gflops = gflops.max(1) as f64;
        gflops * 1e9
    }
}

impl Placement {
    /// How wide it is.
    #[must_use]
    pub fn width(&self) -> Width {
        match self.device {
            Device::Cuda { .. } => Width::Gpu,
            Device::Cpu { .. } | Device::Host => Width::Cores(self.cores.len().max(1)),
        }
    }
}

/// What a run may use of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Cores for packs that train on the CPU, by kernel number; those next to each other share most.
    pub cores: Vec<usize>,
    /// GPUs, with cores for the processes that use them.
    pub gpus: Vec<Placement>,
    /// Most packs on the CPU at the same time; `None` for as many as the cores allow.
    pub at_once: Option<usize>,
    /// What is known of GPUs; those that are not among these are taken to be alike.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<KnownGpu>,
}

/// What decides which packs a GPU gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownGpu {
    /// Which it is.
    pub device: Device,
    /// Its product name: GPUs of one name are equally fast.
    pub name: String,
    /// Memory that was free at the start of the run, in MiB.
    pub mem_mib: u64,
    /// How fast it is thought to be; absent where nothing tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<Speed>,
}

/// Billions of floating-point operations per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speed {
    /// In single precision.
    pub fp32_gflops: u64,
    /// In bf16.
    pub bf16_gflops: u64,
}

impl Resources {
    /// The width of trials that share all of it equally: a GPU, where there is one.
    #[must_use]
    pub fn equal_width(&self) -> Width {
        if !self.gpus.is_empty() {
            return Width::Gpu;
        }
        let packs = self.at_once.unwrap_or(self.cores.len()).max(1);
        Width::Cores((self.cores.len() / packs).max(1))
    }
}

impl Resources {
    /// How many packs of this width can train at the same time.
    #[must_use]
    pub fn packs(&self, width: Width) -> usize {
        match width {
            Width::Cores(cores) => (self.cores.len() / cores.max(1)).min(self.at_once.unwrap_or(usize::MAX)),
            Width::Gpu => self.gpus.len(),
        }
    }

    /// What is known of a GPU.
    #[must_use]
    pub fn known(&self, device: Device) -> Option<&KnownGpu> {
        self.known.iter().find(|gpu| gpu.device == device)
    }
}

/// Fixed places, as earlier versions had them: each trains one pack at a time.
impl From<&[Placement]> for Resources {
    fn from(places: &[Placement]) -> Self {
        let (gpus, cpus): (Vec<Placement>, Vec<Placement>) =
            places.iter().cloned().partition(|place| place.width() == Width::Gpu);
        let at_once = (!cpus.is_empty()).then_some(cpus.len());
        let cores = cpus.into_iter().flat_map(|place| place.cores).collect();
        Self { cores, gpus, at_once, known: Vec::new() }
    }
}

impl std::fmt::Display for Width {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cores(cores) => f.write_str(&quantity::counted(*cores, "core")),
            Self::Gpu => f.write_str("a GPU"),
        }
    }
}

impl std::fmt::Display for Resources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let gpus = self.gpus.iter().map(|gpu| gpu.device.to_string());
        let cores = Some(self.cores.len()).filter(|cores| *cores > 0);
        let cores = cores.map(|cores| quantity::counted(cores, "core"));
        f.write_str(&gpus.chain(cores).collect::<Vec<_>>().join(", "))?;
        self.at_once.map_or(Ok(()), |packs| write!(f, ", {} at a time", quantity::counted(packs, "pack")))
    }
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
