//! Owns how much memory a training job needs and how much disk space its trials take. Measures none.

mod again;

pub(super) use self::again::kept_recomputing;

use crate::cost::{MIB, Rates, count};
use crate::families::blueprint::{Gate, Layer};
use crate::families::params::ParamCounts;
use crate::families::{Architecture, Head, Place};
use crate::values::{Method, Precision, Width};

/// A process with libtorch loaded but no model, in MiB.
const PROCESS_MIB: f64 = 250.0;
/// GPU memory that CUDA and its libraries take before anything is loaded, in MiB.
const CONTEXT_MIB: f64 = 600.0;
/// The part of a pack's predicted memory that is not in what is measured of it, in MiB: on a GPU, where libtorch
/// counts what it holds, that which CUDA takes.
#[must_use]
pub fn unmeasured_mib(width: Width) -> f64 {
    match width {
        Width::Gpu => CONTEXT_MIB,
        Width::Cores(_) => 0.0,
    }
}

/// Bytes of a parameter in single precision.
const WEIGHT: f64 = 4.0;
/// Bytes of AdamW's two moments.
const MOMENTS: f64 = 8.0;
/// Bytes of a gradient. The buffers in which weights, gradients and moments lie side by side are their only
/// copies while a slot trains alone, as on a CPU. The copy in rows that an optimiser step makes for several slots
/// on a GPU is less than the activations that a step has given back before.
const GRADIENT: f64 = 4.0;

/// Most next-token logits that exist at once, of all slots of a pack together: 256 MiB in 32 bits. A batch of
/// 4 x 512 tokens over GPT-2's vocabulary has 400 MB, and the backward pass needs them several times.
pub const LOGITS_AT_ONCE: u32 = 1 << 26;
/// The same in bytes: themselves, their logarithmic probabilities, and the gradient.
const LOGITS_BYTES: f64 = 3.0 * WEIGHT * LOGITS_AT_ONCE as f64;

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
    largest_again: f64,
    all_again: f64,
    largest_logits: f64,
    all_logits: f64,
}

/// Bytes that the backward pass needs of a row, or of a batch of rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Kept {
    /// Activations and dropout masks.
    pub(super) activations: f64,
    /// Those of a layer that is computed again, of which there is one at a time, when there are no logits.
    pub(super) again: f64,
    /// A language model's logits, all of them; only some exist at a time.
    pub(super) logits: f64,
}

impl Kept {
    pub(super) fn of_rows(self, rows: f64) -> Self {
        let Self { activations, again, logits } = self;
        Self { activations: activations * rows, again: again * rows, logits: logits * rows }
    }
}

impl Footprint {
    /// The footprint of one slot whose frozen weights have this precision and whose batches need so many bytes.
    pub(super) fn of_slot(counts: ParamCounts, precision: Precision, batch: Kept) -> Self {
        let Kept { activations, again, logits } = batch;
        Self {
            frozen: count(precision.bytes()) * parameters(counts.total - counts.trainable),
            trained: (WEIGHT + GRADIENT + MOMENTS) * parameters(counts.trainable),
            largest_activations: activations,
            all_activations: activations,
            largest_again: again,
            all_again: again,
            largest_logits: logits,
            all_logits: logits,
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
            largest_again: self.largest_again.max(other.largest_again),
            all_again: self.all_again + other.all_again,
            largest_logits: self.largest_logits.max(other.largest_logits),
            all_logits: self.all_logits + other.all_logits,
        }
    }

    /// How many slots like this fit into memory, at least one.
    #[must_use]
    pub fn fit(self, mem_mib: f64, rates: Rates) -> usize {
        let room = |start: f64| (mem_mib / rates.memory - start) * MIB - self.frozen;
        let slots = if rates.stacks {
            let (room, each) = (room(CONTEXT_MIB), self.trained + self.all_activations);
            // As long as all logits exist at once, and when only some do; and while a layer is computed again.
            let all = room / (each + self.all_logits);
            let some = (room - LOGITS_BYTES) / each;
            let again = room / (each + self.all_again);
            if each > 0.0 { all.floor().max(some.floor()).min(again.floor()) } else { f64::INFINITY }
        } else {
            let logits = self.largest_logits.min(LOGITS_BYTES);
            let once = self.largest_activations + self.largest_again.max(logits);
            let room = room(PROCESS_MIB) - once;
            if self.trained > 0.0 { (room / self.trained).floor() } else { f64::INFINITY }
        };
        most(slots).max(1)
    }

    /// Whether a slot needs no more memory than another.
    #[must_use]
    pub fn needs_no_more_than(self, other: Self) -> bool {
        self.frozen <= other.frozen
            && self.trained <= other.trained
            && self.all_activations <= other.all_activations
            && self.all_again <= other.all_again
            && self.all_logits <= other.all_logits
    }

    /// Largest memory of the process (on a GPU, of the device) while it trains, in MiB.
    #[must_use]
    pub fn mib(self, rates: Rates) -> f64 {
        let (start, activations, again, logits) = if rates.stacks {
            (CONTEXT_MIB, self.all_activations, self.all_again, self.all_logits)
        } else {
            (PROCESS_MIB, self.largest_activations, self.largest_again, self.largest_logits)
        };
        let kept = activations + again.max(logits.min(LOGITS_BYTES));
        rates.memory * (start + (self.frozen + self.trained + kept) / MIB)
    }
}

/// Bytes that the backward pass of one row of `tokens` tokens needs: equation 1 of Korthikanti et al. 2022,
/// `34 s h + 5 a s^2` per layer in half precision, with the feed-forward layer's width as its own term, values in
/// single precision, and dropout masks of four bytes where there is dropout. Frozen layers keep less, so this is an
/// upper bound for adapters; DoRA's keep more. A language model's logits count three times: themselves, their
/// logarithmic probabilities, and the gradient.
///
/// Where layers are computed again, it is another: [`again`].
pub(super) fn kept_per_row(architecture: &Architecture, head: Head, method: &Method, tokens: f64) -> Kept {
    let blueprint = architecture.base(head);
    let (tokens, width) = (blueprint.computed_tokens(tokens), count(blueprint.width()));
    let layer = |layer: &Layer| {
        let (attended, heads) = (count(layer.attention.output.d_in), count(layer.attention.heads));
        // A gate keeps its own output, and the product's other factor.
        let kept_inner =
            if layer.mlp.as_ref().is_some_and(|mlp| mlp.gate != Gate::Nothing) { 4.0 } else { 2.0 };
        let inner_mask = layer.mlp.as_ref().is_some_and(|mlp| drops(&mlp.inner_dropout));
        let inner = (kept_inner + f64::from(u8::from(inner_mask))) * count(layer.inner());
        let mlp = layer.mlp.as_ref().and_then(|mlp| mlp.dropout);
        let masks = count([layer.attention.output_dropout, mlp].into_iter().filter(drops).count());
        let of_scores = if drops(&layer.attention.dropout) { 3.0 } else { 2.0 };
        tokens * WEIGHT * (4.0 * (width + attended) + inner + masks * width)
            + WEIGHT * of_scores * heads * tokens * tokens
    };
    let embeddings = 2.0 * WEIGHT * tokens * width;
    let lengths = kept_for_lengths((architecture, head), method, tokens, &|_| true);
    Kept {
        activations: blueprint.layers.iter().map(layer).sum::<f64>() + embeddings + lengths,
        again: 0.0,
        logits: logits(architecture, head, tokens),
    }
}

/// Bytes of a row's logits.
fn logits(architecture: &Architecture, head: Head, tokens: f64) -> f64 {
    match head {
        Head::LanguageModel => 3.0 * WEIGHT * tokens * count(architecture.vocab_size()),
        Head::Classifier { .. } | Head::Tagger { .. } => 0.0,
    }
}

/// Bytes of what the lengths of DoRA's weights at some places multiply, and of what dropout leaves of its inputs, with
/// the masks.
fn kept_for_lengths(
    (architecture, head): (&Architecture, Head),
    method: &Method,
    tokens: f64,
    at: &dyn Fn(Place) -> bool,
) -> f64 {
    let lora = match method {
        Method::Dora(lora) => lora,
        Method::Lora(_) | Method::Full | Method::Scratch | Method::Base => return 0.0,
    };
    let of_input = if lora.dropout > 0.0 { 2.0 } else { 0.0 };
    let targets = architecture.adapted(head, lora);
    let values = targets.iter().filter(|target| at(target.place));
    let values = values.map(|target| count(target.d_out) + of_input * count(target.d_in));
    WEIGHT * tokens * values.sum::<f64>()
}

/// Whether a dropout layer drops anything.
fn drops(dropout: &Option<f64>) -> bool {
    dropout.is_some_and(|probability| probability > 0.0)
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
fn most(whole: f64) -> usize {
    whole as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::families::params;
    use crate::plan::example;
    use crate::values::{Lora, Width};

    /// So many slots of a footprint.
    fn together(one: Footprint, slots: usize) -> Footprint {
        (1..slots).fold(one, |sum, _| sum.and(one))
    }

    #[test]
    fn logits_count_up_to_those_that_exist_at_once() {
        let model = &example::sweep().models["minilm-2"].architecture;
        let kept = |head| kept_per_row(model, head, &example::lora(8), 512.0);
        let (text, classes) = (kept(Head::LanguageModel), kept(Head::Classifier { labels: 2 }));
        assert_eq!((text.activations, classes.logits), (classes.activations, 0.0));
        let a_row = 12.0 * 512.0 * count(model.vocab_size());
        assert!((text.logits / a_row - 1.0).abs() < 1e-9);
        let counts = params::count(model, Head::LanguageModel, &example::lora(8));
        let slot = |kept: Kept| Footprint::of_slot(counts, Precision::Fp32, kept.of_rows(4.0));
        let gpu = Rates::assumed(Width::Gpu);
        let of_logits = |slots| {
            let [with, without] =
                [text, Kept { logits: 0.0, ..text }].map(|kept| together(slot(kept), slots).mib(gpu));
            with - without
        };
        assert!((of_logits(1) - 4.0 * a_row / MIB).abs() < 1e-3, "717 MiB: all of one slot");
        assert!((of_logits(2) - 768.0).abs() < 1e-3 && (of_logits(32) - 768.0).abs() < 1e-3);
    }

    #[test]
    fn dora_keeps_the_outputs_that_its_lengths_multiply() {
        let model = &example::sweep().models["minilm-2"].architecture;
        let lora = example::lora(8).lora().unwrap().clone();
        let kept = |method: fn(Lora) -> Method, dropout| {
            let method = method(Lora { dropout, ..lora.clone() });
            kept_per_row(model, Head::Classifier { labels: 2 }, &method, 100.0).activations
        };
        let more = |dropout| kept(Method::Dora, dropout) - kept(Method::Lora, dropout);
        // Query and value of two layers of width 384.
        assert_eq!([0.0, 0.1].map(more), [1.0, 3.0].map(|values| values * 4.0 * 384.0 * 4.0 * 100.0));
    }

    proptest! {
        #[test]
        fn as_many_slots_fit_as_have_room(
            frozen in 0.0..1e9, trained in 1e5..1e9, activations in 1e6..1e9, again in 0.0..2e9, logits in 0.0..2e9,
            mem_mib in 300.0..100_000.0, on_gpu: bool,
        ) {
            let one = Footprint {
                frozen,
                trained,
                largest_activations: activations,
                all_activations: activations,
                largest_again: again,
                all_again: again,
                largest_logits: logits,
                all_logits: logits,
            };
            let rates = Rates::assumed(if on_gpu { Width::Gpu } else { Width::Cores(1) });
            let slots = one.fit(mem_mib, rates);
            prop_assert!(slots == 1 || together(one, slots).mib(rates) <= mem_mib * (1.0 + 1e-9));
            prop_assert!(together(one, slots + 1).mib(rates) >= mem_mib * (1.0 - 1e-9));
        }
    }
}
