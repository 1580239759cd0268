//! Owns the assumed speed of trials by their width, before anything is measured. Measures nothing: the scheduler
//! corrects it while a run goes on.

use crate::cost::count;
use crate::values::Width;

/// Floating-point operations per second of one CPU core in single precision.
const CPU_FLOPS_PER_CORE: f64 = 60e9;
/// Floating-point operations per second of one GPU in single precision.
const GPU_FLOPS: f64 = 10e12;
/// Seconds that launching one layer's forward and backward pass takes on a GPU, however small the layer: about
/// a hundred kernels at ten microseconds each.
const GPU_LAYER_S: f64 = 1e-3;

/// How training gets faster with more cores: Amdahl's law, and the time in which threads wait for each other
/// after every operation, which grows with the depth of a tree over them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// Share of a step on one core that more cores make no faster.
    pub serial: f64,
    /// Seconds in which two threads wait for each other in a layer's forward and backward pass.
    pub sync_s: f64,
}

impl Scaling {
    /// Two cores are 1.8 times as fast as one, as measured on a small encoder, and no faster where a layer
    /// takes a fraction of a millisecond.
    pub const ASSUMED: Self = Self { serial: 0.11, sync_s: 1e-4 };

    /// The speed of a trial of this width.
    #[must_use]
    pub fn speed(self, width: Width) -> Speed {
        match width {
            Width::Cores(cores) => {
                let cores = count(cores.max(1));
                let flops = CPU_FLOPS_PER_CORE / (self.serial + (1.0 - self.serial) / cores);
                Speed { flops, layer_s: self.sync_s * cores.log2(), stacks: false }
            }
            Width::Gpu => Speed { flops: GPU_FLOPS, layer_s: GPU_LAYER_S, stacks: true },
        }
    }
}

/// The speed at which a pack trains.
///
/// A layer's pass takes a fixed time and that of its operations. On a GPU all slots pass through it together,
/// on a CPU one after the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Floating-point operations per second.
    pub(super) flops: f64,
    /// Fixed seconds of a layer in a training pass.
    pub(super) layer_s: f64,
    /// Whether all slots of a pack pass through a layer together.
    pub(super) stacks: bool,
}

impl Speed {
    /// The assumed speed of a trial of this width.
    #[must_use]
    pub fn of(width: Width) -> Self {
        Scaling::ASSUMED.speed(width)
    }
}
