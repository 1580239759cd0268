//! Owns the assumed speed of places, before anything is measured. Measures nothing: the scheduler corrects it
//! while a run goes on.

use crate::cost::count;
use crate::values::{Device, Placement};

/// Floating-point operations per second of one CPU core in single precision.
const CPU_FLOPS_PER_CORE: f64 = 60e9;
/// Floating-point operations per second of one GPU in single precision.
const GPU_FLOPS: f64 = 10e12;
/// Seconds that launching one layer's forward and backward pass takes on a GPU, however small the layer: about
/// a hundred kernels at ten microseconds each.
const GPU_LAYER_S: f64 = 1e-3;

/// The speed of a place, and of the host next to it.
///
/// A pass on a GPU takes a fixed time for each layer, once for all slots, plus the operations of all slots. On
/// a CPU the fixed time is zero, and slots are computed one after the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Floating-point operations per second of a place: the mean over all.
    pub(super) flops: f64,
    /// Fixed seconds of a layer in a training pass.
    pub(super) layer_s: f64,
    /// Cores for a job without a device before the training starts.
    pub(super) host_cores: f64,
    /// Whether all slots of a pack pass through a layer together.
    pub(super) stacks: bool,
}

impl Speed {
    /// The speed of these places, from their kind and their cores; without any place, of one core.
    #[must_use]
    pub fn of(places: &[Placement]) -> Self {
        let flops: f64 = places.iter().map(flops_per_s).sum();
        let cores: usize = places.iter().map(|place| place.cores.len()).sum();
        let stacks = places.iter().any(|place| matches!(place.device, Device::Cuda { .. }));
        Self {
            flops: flops.max(CPU_FLOPS_PER_CORE) / count(places.len().max(1)),
            layer_s: if stacks { GPU_LAYER_S } else { 0.0 },
            host_cores: count(cores.max(1)),
            stacks,
        }
    }
}

fn flops_per_s(place: &Placement) -> f64 {
    match place.device {
        Device::Cuda { .. } => GPU_FLOPS,
        Device::Cpu { .. } | Device::Host => CPU_FLOPS_PER_CORE * count(place.cores.len().max(1)),
    }
}
