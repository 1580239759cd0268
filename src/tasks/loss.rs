//! Owns the losses shared by kinds of tasks.

use tch::{Kind, Reduction, Tensor};

/// Cross-entropy of logits `[K, N, C]` with labels `[K or 1, N]`, one by one, `[K, N]`, in nats.
pub(super) fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    let [slots, n, classes] = logits.size()[..] else { panic!("logits have three dimensions") };
    let labels = labels.expand([slots, n], false).reshape([-1]);
    let flat = logits.view([-1, classes]).to_kind(Kind::Float);
    flat.cross_entropy_loss::<&Tensor>(&labels, None, Reduction::None, -100, 0.0).view([slots, n])
}
