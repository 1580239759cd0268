//! Owns the assumed rates of trials by their width, before anything is measured. Measures nothing: what earlier
//! packs took corrects them in `experience`, and the scheduler goes on with that while a run goes on.

use crate::cost::count;
use crate::values::{Precision, Speed, Width};

/// Floating-point operations per second of one CPU core in single precision.
const CPU_FLOPS_PER_CORE: f64 = 60e9;
/// Floating-point operations per second of one GPU of which nothing else is known.
const GPU_FLOPS: f64 = 10e12;
/// Seconds that launching one layer's forward and backward pass takes on a GPU, however small the layer: about
/// a hundred kernels at ten microseconds each.
const GPU_LAYER_S: f64 = 1e-3;
/// Seconds in which a training process loads libtorch, the weights and the data.
pub(crate) const START_S: f64 = 1.5;

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

    /// The rates of a trial of this width.
    #[must_use]
    pub fn rates(self, width: Width) -> Rates {
        let (flops, layer_s, stacks) = match width {
            Width::Cores(cores) => {
                let cores = count(cores.max(1));
                let flops = CPU_FLOPS_PER_CORE / (self.serial + (1.0 - self.serial) / cores);
                (flops, self.sync_s * cores.log2(), false)
            }
            Width::Gpu => (GPU_FLOPS, GPU_LAYER_S, true),
        };
        Rates { start_s: START_S, flops, layer_s, stacks, memory: 1.0 }
    }
}

/// What a pack's start, operations and bytes cost on a device.
///
/// A layer's pass takes a fixed time and that of its operations. On a GPU all slots pass through it together,
/// on a CPU one after the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Seconds from the launch of a pack to its first step.
    pub(crate) start_s: f64,
    /// Floating-point operations per second.
    pub(super) flops: f64,
    /// Fixed seconds of a layer in a training pass.
    pub(super) layer_s: f64,
    /// Memory in use for each byte that is counted.
    pub(super) memory: f64,
    /// Whether all slots of a pack pass through a layer together.
    pub(super) stacks: bool,
}

impl Rates {
    /// The assumed rates of a trial of this width.
    #[must_use]
    pub fn assumed(width: Width) -> Self {
        Scaling::ASSUMED.rates(width)
    }

    /// The same for a GPU that is thought to be so fast.
    #[must_use]
    pub fn thought(width: Width, speed: Option<Speed>, precision: Precision) -> Self {
        let assumed = Self::assumed(width);
        match (width, speed) {
            (Width::Gpu, Some(speed)) => Self { flops: speed.flops(precision), ..assumed },
            (Width::Gpu, None) | (Width::Cores(_), _) => assumed,
        }
    }

    /// How much longer everything but the start takes than at other rates.
    #[must_use]
    pub(crate) fn slower_than(self, other: Self) -> Slower {
        let passes = if other.layer_s > 0.0 { self.layer_s / other.layer_s } else { 1.0 };
        Slower { operations: other.flops / self.flops, passes }
    }
}

/// How much longer things take than at other rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slower {
    /// Operations.
    pub(crate) operations: f64,
    /// The fixed time of passes.
    pub(crate) passes: f64,
}

impl Slower {
    /// As long.
    pub(crate) const NOT: Self = Self { operations: 1.0, passes: 1.0 };

    /// Everything takes so much longer still.
    pub(crate) fn times(self, factor: f64) -> Self {
        Self { operations: self.operations * factor, passes: self.passes * factor }
    }
}
