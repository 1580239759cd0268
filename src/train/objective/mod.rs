//! Owns how a task's loss is computed from a model's outputs: what a slot's loss averages over, and its
//! gradient in bounded memory. Each kind of task defines its own loss. Optimises nothing.
//!
//! | a row has | one prediction is | a step's loss is the mean over |
//! |---|---|---|
//! | a class, classes or a number | a row's target | its rows |
//! | tokens to be predicted or tagged | one of these tokens | all of these tokens |
//!
//! The means run over all micro-batches of a step, as transformers' do with accumulated gradients. With label
//! smoothing (Szegedy et al. 2016, section 7) a share of each label is spread evenly over all classes or tokens
//! in the training loss; evaluation never smooths.

use tch::{Device, Kind, Tensor};

use super::batch::{Targets, class_weight};
use crate::cost;
use crate::data::store::PartView;
use crate::model::pass::Pass;
use crate::model::{Model, Trunk, device};
use crate::tasks::TaskKind;
use crate::values::Training;

/// Most next-token logits held at once, as the predicted memory has it.
const LOGITS_AT_ONCE: i64 = cost::LOGITS_AT_ONCE as i64;

/// The weights of the terms in the mean loss of these rows, summed: the number of rows or predicted tokens, or what
/// the rows' classes weigh.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "rows and tokens of a step are far below 2^52")]
pub fn weight(kind: &dyn TaskKind, part: &PartView, rows: &[u32], classes: Option<&[f64]>) -> f64 {
    match classes {
        None => units(kind, part, rows) as f64,
        Some(classes) => rows.iter().map(|row| class_weight(part.target(*row), classes)).sum(),
    }
}

/// Number of terms in the mean loss of these rows: rows or predicted tokens.
#[must_use]
pub fn units(kind: &dyn TaskKind, part: &PartView, rows: &[u32]) -> usize {
    rows.iter().map(|row| kind.predictions(part.row(*row)).map_or(1, |all| all.len())).sum()
}

/// The loss that slots are trained with.
#[derive(Debug)]
pub struct TrainingLoss<'a> {
    kind: &'a dyn TaskKind,
    /// Share of each label that a slot spreads evenly over all classes, `[K, 1]`; `None` where no slot does.
    smoothing: Option<Tensor>,
}

/// The share of each label that slots with these settings spread, for [`TrainingLoss::of`].
pub fn smoothing<'s>(slots: impl Iterator<Item = &'s Training>, on: Device) -> Option<Tensor> {
    let shares: Vec<f64> = slots.map(|training| training.label_smoothing).collect();
    let tensor = || device::send(&Tensor::from_slice(&shares).to_kind(Kind::Float).unsqueeze(1), on);
    shares.iter().any(|share| *share > 0.0).then(tensor)
}

impl<'a> TrainingLoss<'a> {
    /// The loss of a kind of task with this [`smoothing`].
    #[must_use]
    pub fn of(kind: &'a dyn TaskKind, smoothing: Option<&Tensor>) -> Self {
        Self { kind, smoothing: smoothing.map(Tensor::shallow_clone) }
    }

    /// The losses of outputs `[K, N, C]`, one by one, `[K, N]`. With label smoothing this is torch's
    /// cross-entropy with its `label_smoothing`, and its mean is that of transformers' `LabelSmoother`.
    fn of_each(&self, outputs: &Tensor, targets: &Tensor) -> Tensor {
        let losses = self.kind.losses(outputs, targets);
        let Some(shares) = &self.smoothing else { return losses };
        let logits = outputs.to_kind(Kind::Float);
        let of_all =
            logits.logsumexp([-1].as_slice(), false) - logits.mean_dim([-1].as_slice(), false, Kind::Float);
        // A share of 0 leaves the loss's bits as they are.
        losses * (1.0 - shares) + of_all * shares
    }
}

/// Each slot's loss, `[K]`; the gradient of their sum is added to the model's tensors. The targets are each
/// slot's own, or stored once for all slots.
pub fn backward(
    loss: &TrainingLoss<'_>,
    model: &Model,
    trunk: &Trunk<'_>,
    targets: &Targets,
    pass: &mut Pass,
) -> Tensor {
    if !pass.recomputes() {
        return backward_at_once(loss, model, trunk, targets, pass);
    }
    let passed = model.pass_layers(trunk, pass);
    let per_slot = backward_at_once(loss, model, passed.top(), targets, pass);
    passed.backward(pass);
    per_slot
}

/// The same in one pass, from the loss down to the trunk.
fn backward_at_once(
    loss: &TrainingLoss<'_>,
    model: &Model,
    trunk: &Trunk<'_>,
    targets: &Targets,
    pass: &mut Pass,
) -> Tensor {
    match &targets.positions {
        None => {
            let losses = loss.of_each(&model.classify(trunk, pass), &targets.wanted);
            let per_slot = weighted(&losses, &targets.weights);
            per_slot.sum(Kind::Float).backward();
            per_slot.detach()
        }
        Some(positions) => {
            if let Some(outputs) = model.tag(trunk, positions, pass) {
                let per_slot = weighted(&loss.of_each(&outputs, &targets.wanted), &targets.weights);
                per_slot.sum(Kind::Float).backward();
                return per_slot.detach();
            }
            let hidden = model.hidden_states(trunk, positions, pass);
            let (per_slot, gradient) = backward_to(loss, &hidden.detach(), model, targets, LOGITS_AT_ONCE);
            // Its gradient at `hidden` is `gradient`.
            (hidden * gradient).sum(Kind::Float).backward();
            per_slot
        }
    }
}

/// Each slot's loss, `[K]`, and its gradient at the hidden states before the output layer, `[K, N, H]`. The
/// gradient of the output layer itself is accumulated in it. At most `logits` logits exist at a time.
fn backward_to(
    loss: &TrainingLoss<'_>,
    hidden: &Tensor,
    model: &Model,
    targets: &Targets,
    logits: i64,
) -> (Tensor, Tensor) {
    let chunks = chunks(hidden, model, logits).map(|[start, length]| {
        let [wanted, weights] = [&targets.wanted, &targets.weights].map(|t| t.narrow(1, start, length));
        let hidden = hidden.narrow(1, start, length).detach().set_requires_grad(true);
        let per_slot = weighted(&loss.of_each(&model.token_logits(&hidden), &wanted), &weights);
        per_slot.sum(Kind::Float).backward();
        (per_slot.detach(), hidden.grad())
    });
    let (per_slot, gradients): (Vec<Tensor>, Vec<Tensor>) = chunks.unzip();
    (
        Tensor::stack(&per_slot, 0).sum_dim_intlist([0].as_slice(), false, Kind::Float),
        Tensor::cat(&gradients, 1),
    )
}

/// The losses of predictions in the order of the rows, `[K, N]`, and what the kind's tally needs besides them,
/// `[K, N, A]`. Keeps no gradient.
pub(super) fn judged(
    kind: &dyn TaskKind,
    model: &Model,
    trunk: &Trunk<'_>,
    targets: &Targets,
) -> (Tensor, Option<Tensor>) {
    let of = |outputs: &Tensor, wanted: &Tensor| (kind.losses(outputs, wanted), kind.answers(outputs));
    tch::no_grad(|| {
        let pass = &mut Pass::evaluation();
        let Some(positions) = &targets.positions else {
            return of(&model.classify(trunk, pass), &targets.wanted);
        };
        if let Some(outputs) = model.tag(trunk, positions, pass) {
            return of(&outputs, &targets.wanted);
        }
        let hidden = model.hidden_states(trunk, positions, pass);
        let parts = chunks(&hidden, model, LOGITS_AT_ONCE).map(|[start, length]| {
            let logits = model.token_logits(&hidden.narrow(1, start, length));
            of(&logits, &targets.wanted.narrow(1, start, length))
        });
        let (losses, answers): (Vec<_>, Vec<_>) = parts.unzip();
        let answers: Option<Vec<Tensor>> = answers.into_iter().collect();
        (Tensor::cat(&losses, 1), answers.map(|answers| Tensor::cat(&answers, 1)))
    })
}

/// Starts and lengths of parts of `hidden`, `[K, N, H]`, along N.
fn chunks(hidden: &Tensor, model: &Model, logits: i64) -> impl Iterator<Item = [i64; 2]> {
    let (slots, all) = (hidden.size()[0], hidden.size()[1]);
    let length = (logits / (slots * model.vocabulary())).clamp(1, all.max(1));
    (0..all.div_euclid(length) + i64::from(all % length > 0))
        .map(move |chunk| [chunk * length, length.min(all - chunk * length)])
}

/// Weighted sums of `[K, N]` over N, `[K]`.
fn weighted(losses: &Tensor, weights: &Tensor) -> Tensor {
    (losses * weights).sum_dim_intlist([1].as_slice(), false, Kind::Float)
}

#[cfg(test)]
mod tests;
