//! Owns the processors that the packs of a run train on. Looks at no machine.

use crate::values::{Resources, Speed};

/// The processors that packs train on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processors {
    /// The CPU's name.
    pub cpu: String,
    /// The kinds of GPU, each once.
    pub gpus: Vec<GpuKind>,
}

/// GPUs that are equally fast.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpuKind {
    /// Their product name.
    pub name: String,
    /// How fast they are thought to be, where anything tells.
    pub speed: Option<Speed>,
}

impl Processors {
    /// The CPU of this name and the GPUs of these resources.
    #[must_use]
    pub fn new(cpu: &str, resources: &Resources) -> Self {
        let mut processors = Self { cpu: cpu.to_owned(), gpus: Vec::new() };
        for gpu in &resources.known {
            if processors.gpus.iter().all(|kind| kind.name != gpu.name) {
                processors.gpus.push(GpuKind { name: gpu.name.clone(), speed: gpu.speed });
            }
        }
        processors
    }
}
