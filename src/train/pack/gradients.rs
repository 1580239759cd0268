//! Owns the forward and backward passes of a step, shared by stacks that see the same batch. Changes no weights.

use std::rc::Rc;

use tch::{Kind, Tensor};

use super::stack::Stack;
use crate::data::store::PartView;
use crate::model::params::index;
use crate::model::pass::{Pass, Stream};
use crate::train::batch::{self, Collator};
use crate::train::objective::{TrainingLoss, backward, weight};
use crate::train::slot::Slot;

/// The result of a step for a stack's slots.
pub(super) struct Seen {
    /// Their losses, `[K]`.
    pub(super) losses: Tensor,
    /// Rows and tokens per slot.
    pub(super) sizes: Vec<[u64; 2]>,
}

/// The stacks, grouped by what they share in their next step.
pub(super) fn groups<'s, 'a>(stacks: &'s mut [Stack<'a>]) -> Vec<Vec<&'s mut Stack<'a>>> {
    let mut groups: Vec<Vec<&mut Stack<'a>>> = Vec::new();
    for stack in stacks {
        let batch = stack.shared_batch();
        match groups.iter_mut().find(|group| batch.is_some() && group[0].shared_batch() == batch) {
            Some(group) => group.push(stack),
            None => groups.push(vec![stack]),
        }
    }
    groups
}

/// Forward and backward passes over the micro-batches of a step, for stacks that see the same ones.
pub(super) fn accumulate_gradients<'s, 'a>(
    mut group: Vec<&'s mut Stack<'a>>,
    collator: &Collator<'_>,
    train: &PartView,
) -> Vec<(&'s mut Stack<'a>, Seen)> {
    let first = &mut group[0];
    // Slots in step see the same rows, which are stored in the batch once.
    let distinct = if first.in_step() { 1 } else { first.slots.len() };
    let readers = &mut first.slots[..distinct];
    let steps: Vec<Vec<Vec<u32>>> = readers.iter_mut().map(Slot::micro_batches).collect();
    let rows: Vec<Vec<u32>> = steps.iter().map(|step| step.concat()).collect();
    let classes: Vec<Option<Rc<[f64]>>> = readers.iter().map(|slot| slot.class_weights.clone()).collect();
    let weights: Vec<f64> = rows
        .iter()
        .zip(&classes)
        .map(|(rows, classes)| 1.0 / weight(collator.kind, train, rows, classes.as_deref()))
        .collect();
    let zeros =
        |stack: &&mut Stack<'_>| Tensor::zeros([index(stack.slots.len())], (Kind::Float, collator.device));
    let mut losses: Vec<Tensor> = group.iter().map(zeros).collect();
    let loss = |stack: &&mut Stack<'_>| TrainingLoss::of(collator.kind, stack.smoothing.as_ref());
    let loss: Vec<TrainingLoss<'_>> = group.iter().map(loss).collect();
    let of_slots = |micro: usize| {
        let rows = steps.iter().map(|step| step.get(micro).map_or(&[][..], Vec::as_slice));
        let weighed = weights.iter().zip(&classes);
        rows.zip(weighed)
            .map(|(rows, (weight, classes))| batch::Seen {
                rows,
                weight: *weight,
                classes: classes.as_deref(),
            })
            .collect()
    };
    let micros: Vec<_> = (0..steps.iter().map(Vec::len).max().unwrap_or(0)).map(of_slots).collect();
    let recomputes = group[0].slots[0].trial.configuration.training.recompute;
    for (micro, batch) in collator.collate_all(train, &micros).into_iter().enumerate() {
        let streams = group[0].slots.iter().zip(&steps).map(|(slot, step)| Stream {
            key: slot.key,
            step: slot.state.step,
            first_row: step.iter().take(micro).map(|rows| rows.len() as u64).sum(),
        });
        let pass = Pass::training(streams.collect(), batch.inputs.shape[1]).recomputing(recomputes);
        // Masks are kept for the next stack, unless memory is what counts.
        let mut pass = if group.len() > 1 && !recomputes { pass.repeated() } else { pass };
        let trunk = group[0].model.trunk(&batch.inputs, &mut pass);
        for ((stack, losses), loss) in group.iter().zip(&mut losses).zip(&loss) {
            *losses += backward(loss, &stack.model, &trunk, &batch.targets, &mut pass);
        }
    }
    let tokens = |rows: &Vec<u32>| rows.iter().map(|row| u64::from(train.length(*row))).sum();
    let sizes: Vec<[u64; 2]> = rows.iter().map(|rows| [rows.len() as u64, tokens(rows)]).collect();
    let seen = group.into_iter().zip(losses);
    seen.map(|(stack, losses)| {
        let sizes = sizes.iter().cycle().take(stack.slots.len()).copied().collect();
        (stack, Seen { losses, sizes })
    })
    .collect()
}
