//! Owns what a loss is: which predictions a row stands for, what a slot's loss is the mean of, and how
//! its gradient is had in bounded memory. Optimises nothing.
//!
//! | objective | one prediction is | a step's loss is the mean over |
//! |---|---|---|
//! | classification | a row's class | its rows |
//! | language modelling | any token but a row's first | all of its predicted tokens |
//! | question answering | a token of the answer or its end | all of its predicted tokens |
//!
//! The means run over all micro-batches of a step, as transformers' do with accumulated gradients.

use std::ops::Range;

use tch::{Kind, Tensor};

use super::batch::Targets;
use crate::data::store::PartView;
use crate::model::params::index;
use crate::model::pass::Pass;
use crate::model::{Model, Trunk};
use crate::tasks::Objective;

/// Logits of next tokens that are held at once: 256 MiB in 32 bits. A batch of 4 x 512 tokens over
/// GPT-2's vocabulary has 400 MB, and backward needs them several times.
const LOGITS_AT_ONCE: i64 = 1 << 26;

/// What the loss of these rows is a mean of: rows or predicted tokens.
#[must_use]
pub fn units(objective: &Objective, part: &PartView, rows: &[u32]) -> usize {
    match objective {
        Objective::Classification(_) => rows.len(),
        Objective::LanguageModelling(_) | Objective::QuestionAnswering(_) => {
            rows.iter().map(|row| predicted(objective, part, *row).len()).sum()
        }
    }
}

/// The tokens of a row that are to be predicted from those before them; none where it has a class.
#[must_use]
pub fn predicted(objective: &Objective, part: &PartView, row: u32) -> Range<usize> {
    let end = part.tokens(row).len();
    let start = match objective {
        Objective::Classification(_) => end,
        Objective::LanguageModelling(_) => 1,
        Objective::QuestionAnswering(_) => (part.second(row) as usize).max(1),
    };
    start..end
}

/// What rows of `width` tokens are to predict, row by row: the token behind which it stands, counted
/// over all rows, and the class or token.
pub(super) fn predictions(
    objective: &Objective,
    part: &PartView,
    rows: &[u32],
    width: usize,
) -> Vec<[i64; 2]> {
    let of_row = |(b, row): (usize, &u32)| match objective {
        Objective::Classification(_) => vec![[index(b * width), i64::from(part.label(*row))]],
        Objective::LanguageModelling(_) | Objective::QuestionAnswering(_) => {
            let tokens = part.tokens(*row);
            predicted(objective, part, *row)
                .map(|t| [index(b * width + t - 1), i64::from(tokens[t])])
                .collect()
        }
    };
    rows.iter().enumerate().flat_map(of_row).collect()
}

/// Each slot's loss, `[K]`, in nats; the gradient of their sum is added to the model's tensors. The
/// targets are each slot's own, or stand there once for all.
pub fn backward(model: &Model, trunk: &Trunk<'_>, targets: &Targets, pass: &mut Pass) -> Tensor {
    match &targets.positions {
        None => {
            let losses = cross_entropy(&model.classify(trunk, pass), &targets.labels);
            let per_slot = weighted(&losses, &targets.weights);
            per_slot.sum(Kind::Float).backward();
            per_slot.detach()
        }
        Some(positions) => {
            let hidden = model.hidden_states(trunk, positions, pass);
            let (per_slot, gradient) = backward_to(&hidden.detach(), model, targets, LOGITS_AT_ONCE);
            // Its gradient at `hidden` is `gradient`.
            (hidden * gradient).sum(Kind::Float).backward();
            per_slot
        }
    }
}

/// Each slot's loss, `[K]`, and its gradient at the hidden states before the output layer, `[K, N, H]`;
/// the gradient at the output layer itself is added to it. No more than so many logits exist at a time.
fn backward_to(hidden: &Tensor, model: &Model, targets: &Targets, logits: i64) -> (Tensor, Tensor) {
    let chunks = chunks(hidden, model, logits).map(|[start, length]| {
        let [labels, weights] = [&targets.labels, &targets.weights].map(|t| t.narrow(1, start, length));
        let hidden = hidden.narrow(1, start, length).detach().set_requires_grad(true);
        let per_slot = weighted(&cross_entropy(&model.token_logits(&hidden), &labels), &weights);
        per_slot.sum(Kind::Float).backward();
        (per_slot.detach(), hidden.grad())
    });
    let (per_slot, gradients): (Vec<Tensor>, Vec<Tensor>) = chunks.unzip();
    (
        Tensor::stack(&per_slot, 0).sum_dim_intlist([0].as_slice(), false, Kind::Float),
        Tensor::cat(&gradients, 1),
    )
}

/// The losses of predicted tokens in the order of the rows, `[K, N]`, in nats. Keeps no gradient.
pub(super) fn token_losses(model: &Model, trunk: &Trunk<'_>, targets: &Targets) -> Tensor {
    let positions = targets.positions.as_ref().expect("only language models predict tokens");
    tch::no_grad(|| {
        let hidden = model.hidden_states(trunk, positions, &mut Pass::evaluation());
        let parts = chunks(&hidden, model, LOGITS_AT_ONCE).map(|[start, length]| {
            let logits = model.token_logits(&hidden.narrow(1, start, length));
            cross_entropy(&logits, &targets.labels.narrow(1, start, length))
        });
        Tensor::cat(&parts.collect::<Vec<_>>(), 1)
    })
}

/// Starts and lengths of parts of `hidden`, `[K, N, H]`, along N.
fn chunks(hidden: &Tensor, model: &Model, logits: i64) -> impl Iterator<Item = [i64; 2]> {
    let (slots, all) = (hidden.size()[0], hidden.size()[1]);
    let length = (logits / (slots * model.vocabulary())).clamp(1, all.max(1));
    (0..all.div_euclid(length) + i64::from(all % length > 0))
        .map(move |chunk| [chunk * length, length.min(all - chunk * length)])
}

/// Cross-entropy of logits `[K, N, C]` with labels `[K or 1, N]`, one by one, `[K, N]`, in nats.
pub(super) fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    let [slots, n, classes] = logits.size()[..] else { panic!("logits have three dimensions") };
    let labels = labels.expand([slots, n], false).reshape([-1]);
    let flat = logits.view([-1, classes]).to_kind(Kind::Float);
    flat.cross_entropy_loss::<&Tensor>(&labels, None, tch::Reduction::None, -100, 0.0).view([slots, n])
}

/// Sums of `[K, N]` over N with weights, `[K]`.
fn weighted(losses: &Tensor, weights: &Tensor) -> Tensor {
    (losses * weights).sum_dim_intlist([1].as_slice(), false, Kind::Float)
}

#[cfg(test)]
mod tests;
