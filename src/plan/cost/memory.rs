//! Owns how much memory a training job needs and how much disk its trials leave.

use crate::arch::{Architecture, Head, ModelSpec};
use crate::job::Pack;
use crate::plan::cost::{MIB, count};
use crate::plan::params;
use crate::trial::Trial;

/// A process with libtorch in it that has loaded no model, in MiB.
const PROCESS_MIB: f64 = 250.0;
/// Bytes of a parameter in single precision.
const WEIGHT: f64 = 4.0;
/// Bytes of AdamW's two moments.
const MOMENTS: f64 = 8.0;
/// Bytes of a gradient.
const GRADIENT: f64 = 4.0;

/// Largest memory of a pack's process while it trains, in MiB: one copy of the base for all slots
/// that leave it frozen, gradients and moments of what trains, activations of one batch per slot.
#[must_use]
pub fn training_mib(pack: &Pack) -> f64 {
    let ModelSpec { architecture, .. } = &pack.model;
    let head = pack.task.objective.head();
    let mut shared: f64 = 0.0;
    let mut slots = 0.0;
    for trial in &pack.slots {
        let counts = params::count(architecture, head, &trial.configuration.method);
        let [trainable, total] = [counts.trainable, counts.total].map(parameters);
        shared = shared.max(count(trial.configuration.training.precision.bytes()) * (total - trainable));
        slots += (WEIGHT + GRADIENT + MOMENTS) * trainable;
        let rows = count(trial.configuration.training.batch_size);
        slots += rows * activations_per_row(architecture, head, count(pack.task.max_length));
    }
    PROCESS_MIB + (shared + slots) / MIB
}

/// Bytes of activations that the backward pass of one row of `tokens` tokens needs: equation 1 of
/// Korthikanti et al. 2022, `34 s h + 5 a s^2` per layer in half precision (of which the dropout masks
/// are one byte each), with the feed-forward layer's width apart and values in single precision.
/// Frozen layers keep less, so that this is an upper bound for adapters.
/// A language model's logits are kept three times over: themselves, their logarithmic shares, and the
/// gradient.
fn activations_per_row(architecture: &Architecture, head: Head, tokens: f64) -> f64 {
    let tokens = match architecture {
        Architecture::Bert(_) | Architecture::Gpt2(_) => tokens,
        Architecture::GptMini(config) => count(config.length),
    };
    let stack = architecture.stack();
    let (width, inner, heads) = (count(stack.width), count(stack.inner), count(stack.heads));
    let layer = tokens * (4.0 * (8.0 * width + 2.0 * inner) + 2.0 * width) + 9.0 * heads * tokens * tokens;
    let embeddings = 2.0 * WEIGHT * tokens * width;
    let logits = match head {
        Head::LanguageModel => 3.0 * WEIGHT * tokens * count(architecture.vocab_size()),
        Head::Classifier { .. } => 0.0,
    };
    count(stack.layers) * layer + embeddings + logits
}

/// Disk that a trial leaves, in MiB: the last checkpoint with the optimiser's state, and the best
/// one without; frozen weights are in neither.
#[must_use]
pub fn disk_mib(model: &ModelSpec, head: Head, trial: &Trial) -> f64 {
    let counts = params::count(&model.architecture, head, &trial.configuration.method);
    (2.0 * WEIGHT + MOMENTS) * parameters(counts.trainable) / MIB
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn parameters(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const CLASSES: Head = Head::Classifier { labels: 4 };
    use crate::content::ContentHash;
    use crate::plan::example;

    fn pack(trial: usize) -> Pack {
        let sweep = example::sweep();
        let slots = vec![sweep.trials().swap_remove(trial)];
        let model = sweep.models[&slots[0].configuration.model].clone();
        Pack { task: Arc::clone(sweep.first_task()), model, store: ContentHash::of_bytes(b""), slots }
    }

    #[test]
    fn training_everything_adds_gradient_and_moments_of_every_weight() {
        let (lora, full) = (pack(0), pack(6));
        let difference = (training_mib(&full) - training_mib(&lora)) * MIB;
        let weights =
            params::count(&full.model.architecture, CLASSES, &full.slots[0].configuration.method).total;
        let expected = 12.0 * parameters(weights);
        assert!((difference / expected - 1.0).abs() < 0.01, "{difference} {expected}");
    }

    #[test]
    fn adapters_leave_little_on_disk() {
        let mib = |pack: Pack| disk_mib(&pack.model, CLASSES, &pack.slots[0]);
        assert!(mib(pack(0)) < 0.5);
        assert!(mib(pack(6)) > 100.0);
    }

    #[test]
    fn slots_share_the_frozen_base() {
        let alone = pack(0);
        let mut both = alone.clone();
        both.slots.push(alone.slots[0].clone());
        let base = 4.0
            * parameters(params::count(&alone.model.architecture, CLASSES, &example::lora(4)).total)
            / MIB;
        assert!(training_mib(&both) < 2.0 * training_mib(&alone) - PROCESS_MIB - 0.9 * base);
    }
}
