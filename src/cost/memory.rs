//! Owns how much memory a training job needs and how much disk space its trials take. Measures none.

use crate::cost::{MIB, Rates, count};
use crate::families::blueprint::Layer;
use crate::families::params::ParamCounts;
use crate::families::{Architecture, Head};
use crate::values::Precision;

/// A process with libtorch loaded but no model, in MiB.
const PROCESS_MIB: f64 = 250.0;
/// GPU memory that CUDA and its libraries take before anything is loaded, in MiB.
const CONTEXT_MIB: f64 = 600.0;
/// Bytes of a parameter in single precision.
const WEIGHT: f64 = 4.0;
/// Bytes of AdamW's two moments.
const MOMENTS: f64 = 8.0;
/// Bytes of a gradient. The buffers in which weights, gradients and moments lie side by side are their only
/// copies while a slot trains alone, as on a CPU. The copy in rows that an optimiser step makes for several slots
/// on a GPU is less than the activations that a step has given back before.
const GRADIENT: f64 = 4.0;

/// Bytes that slots need together.
///
/// Frozen weights exist once. A CPU computes slots one after the other, so it holds the activations of one slot
/// at a time; a GPU computes all slots at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Footprint {
    frozen: f64,
    /// Trained weights, with their gradients and moments.
    trained: f64,
    largest_activations: f64,
    all_activations: f64,
}

impl Footprint {
    /// The footprint of one slot whose frozen weights have this precision and whose batches need this many
    /// bytes of activations.
    pub(super) fn of_slot(counts: ParamCounts, precision: Precision, activations: f64) -> Self {
        Self {
            frozen: count(precision.bytes()) * parameters(counts.total - counts.trainable),
            trained: (WEIGHT + GRADIENT + MOMENTS) * parameters(counts.trainable),
            largest_activations: activations,
            all_activations: activations,
        }
    }

    /// The footprint of both sets of slots together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            frozen: self.frozen.max(other.frozen),
            trained: self.trained + other.trained,
            largest_activations: self.largest_activations.max(other.largest_activations),
            all_activations: self.all_activations + other.all_activations,
        }
    }

    /// How many slots like this fit into memory, at least one.
    #[must_use]
    pub fn fit(self, mem_mib: f64, rates: Rates) -> usize {
        let (start, each, once) = if rates.stacks {
            (CONTEXT_MIB, self.trained + self.all_activations, 0.0)
        } else {
            (PROCESS_MIB, self.trained, self.largest_activations)
        };
        let room = (mem_mib / rates.memory - start) * MIB - self.frozen - once;
        if each > 0.0 { floor(room / each).max(1) } else { usize::MAX }
    }

    /// Whether a slot needs no more memory than another.
    #[must_use]
    pub fn needs_no_more_than(self, other: Self) -> bool {
        self.frozen <= other.frozen
            && self.trained <= other.trained
            && self.all_activations <= other.all_activations
    }

    /// Largest memory of the process (on a GPU, of the device) while it trains, in MiB.
    #[must_use]
    pub fn mib(self, rates: Rates) -> f64 {
        let (start, activations) = if rates.stacks {
            (CONTEXT_MIB, self.all_activations)
        } else {
            (PROCESS_MIB, self.largest_activations)
        };
        rates.memory * (start + (self.frozen + self.trained + activations) / MIB)
    }
}

/// Bytes of activations that the backward pass of one row of `tokens` tokens needs: equation 1 of Korthikanti
/// et al. 2022, `34 s h + 5 a s^2` per layer in half precision (of which the dropout masks are one byte each),
/// with the feed-forward layer's width as its own term and values in single precision. Frozen layers keep less,
/// so this is an upper bound for adapters. A language model's logits count three times: themselves, their
/// logarithmic probabilities, and the gradient.
pub(super) fn activations_per_row(architecture: &Architecture, head: Head, tokens: f64) -> f64 {
    let blueprint = architecture.blueprint();
    let (tokens, width) = (blueprint.computed_tokens(tokens), count(blueprint.width()));
    let layer = |layer: &Layer| {
        let (inner, heads) = (count(layer.inner()), count(layer.attention.heads));
        tokens * (4.0 * (8.0 * width + 2.0 * inner) + 2.0 * width) + 9.0 * heads * tokens * tokens
    };
    let embeddings = 2.0 * WEIGHT * tokens * width;
    let logits = match head {
        Head::LanguageModel => 3.0 * WEIGHT * tokens * count(architecture.vocab_size()),
        Head::Classifier { .. } => 0.0,
    };
    blueprint.layers.iter().map(layer).sum::<f64>() + embeddings + logits
}

/// Disk space that a trial takes, in MiB: the last checkpoint with the optimiser's state, and the best one
/// without; frozen weights are in neither.
pub(super) fn disk_mib(counts: ParamCounts) -> f64 {
    (2.0 * WEIGHT + MOMENTS) * parameters(counts.trainable) / MIB
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn parameters(n: u64) -> f64 {
    n as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "too large a number is the most")]
fn floor(number: f64) -> usize {
    number.floor() as usize
}
