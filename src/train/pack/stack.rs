//! Owns slots that pass through the model together: their tensors, their optimiser, joining and leaving.
//! Decides neither when they step nor when they leave.

use std::collections::BTreeMap;
use std::io;

use tch::Tensor;

use super::unread::Unread;
use crate::disk::layout::Layout;
use crate::families::{Architecture, Head};
use crate::model::Model;
use crate::model::build::Start;
use crate::model::layers::AdapterSettings;
use crate::model::params::{Params, fill};
use crate::train::checkpoint::{self, CheckpointError, State};
use crate::train::objective::smoothing;
use crate::train::optimiser::{AdamW, SlotStep};
use crate::train::schedule::learning_rate;
use crate::train::slot::Slot;
use crate::values::stream::StreamKey;

/// Slots stacked in one set of tensors, `[K, …]`.
pub(super) struct Stack<'a> {
    pub(super) slots: Vec<Slot>,
    pub(super) params: Params,
    pub(super) model: Model,
    /// Of the slots' labels.
    pub(super) smoothing: Option<Tensor>,
    adapters: Option<AdapterSettings>,
    optimiser: AdamW,
    family: (&'a Architecture, Head),
    /// Results of its steps that still have to be read from the device.
    pub(super) unread: Unread,
}

impl<'a> Stack<'a> {
    /// All slots in one stack.
    pub(super) fn of_all(slots: Vec<Slot>, start: Start, family: (&'a Architecture, Head)) -> Self {
        let Start { params, adapters } = start;
        let model = Model::new(family.0, family.1, &params, adapters.as_ref());
        let optimiser = AdamW::new(&params);
        let smoothing = smoothing_of(&slots, &params);
        Self { slots, params, model, smoothing, adapters, optimiser, family, unread: Unread::default() }
    }

    /// A stack for each slot. Tensors frozen for all are in memory once.
    pub(super) fn of_each(slots: Vec<Slot>, start: Start, family: (&'a Architecture, Head)) -> Vec<Self> {
        if slots.len() == 1 {
            return vec![Self::of_all(slots, start, family)];
        }
        let alone = |k: usize| Start {
            params: start.params.retain(&[k]),
            adapters: start.adapters.as_ref().map(|settings| settings.retain(&[k])),
        };
        let each = slots.into_iter().enumerate();
        each.map(|(k, slot)| Self::of_all(vec![slot], alone(k), family)).collect()
    }

    /// Whether all slots see the same batch with the same random stream.
    pub(super) fn in_step(&self) -> bool {
        self.slots.iter().all(|slot| seen_by(slot) == seen_by(&self.slots[0]))
    }

    /// The key that stacks must have in common to share their trunk; `None` where this one has no trunk to
    /// share.
    pub(super) fn shared_batch(&self) -> Option<(StreamKey, u64)> {
        (self.in_step() && self.model.shares_trunk()).then(|| seen_by(&self.slots[0]))
    }

    /// One optimiser step on the accumulated gradients, for slots that saw `sizes` rows and tokens. Waits for
    /// nothing: the results stay unread.
    pub(super) fn optimise(&mut self, losses: &Tensor, sizes: &[[u64; 2]]) {
        let steps = self.slots.iter().map(|slot| {
            let training = &slot.trial.configuration.training;
            let learning_rate = learning_rate(training, slot.state.step, slot.total);
            let ratio = slot.trial.configuration.method.lora().map_or(1.0, |lora| lora.lora_plus);
            SlotStep { training, done: slot.state.step, learning_rate, ratio }
        });
        let norms = self.optimiser.step(&steps.collect::<Vec<_>>());
        for (slot, sizes) in self.slots.iter_mut().zip(sizes) {
            slot.state.advance(*sizes);
        }
        self.unread.push(losses, &norms);
    }

    /// Reads the results that were not read yet, step by step.
    pub(super) fn read_back(&mut self) {
        let results = self.unread.take();
        for (before, of_step) in (0..results.len() as u64).rev().zip(&results) {
            for (slot, [loss, norm]) in self.slots.iter_mut().zip(of_step) {
                slot.take_in(slot.state.step - before, *loss, *norm);
            }
        }
    }

    /// A model of some slots' current weights, for evaluation; `None` where these are all slots, so that the
    /// stack's own model serves.
    pub(super) fn model_of(&self, slots: &[usize]) -> Option<Model> {
        let params = match slots {
            all if all.len() == self.slots.len() => return None,
            [alone] => self.params.only(*alone),
            some => self.params.retain(some),
        };
        let adapters = self.adapters.as_ref().map(|settings| settings.retain(slots));
        Some(Model::new(self.family.0, self.family.1, &params, adapters.as_ref()))
    }

    /// Removes all slots that are not in `kept`.
    pub(super) fn retain(&mut self, kept: &[usize]) {
        if kept.len() == self.slots.len() {
            return;
        }
        debug_assert!(self.unread.is_empty(), "results belong to the slots of their step");
        let mut position = 0..;
        self.slots.retain(|_| position.next().is_some_and(|k| kept.contains(&k)));
        if kept.is_empty() {
            return;
        }
        let moments: Vec<_> = kept.iter().map(|k| self.optimiser.slot(&self.params, *k)).collect();
        self.params = self.params.retain(kept);
        self.smoothing = smoothing_of(&self.slots, &self.params);
        self.optimiser = AdamW::resumed(&self.params, &moments);
        self.adapters = self.adapters.as_ref().map(|settings| settings.retain(kept));
        self.model = Model::new(self.family.0, self.family.1, &self.params, self.adapters.as_ref());
    }

    /// Takes in the slots of another stack. The weights and moments of both are copied.
    pub(super) fn join(&mut self, newcomers: Self) {
        debug_assert!(self.unread.is_empty(), "results belong to the slots of their step");
        let moments: Vec<_> = [&*self, &newcomers]
            .into_iter()
            .flat_map(|stack| (0..stack.slots.len()).map(|k| stack.optimiser.slot(&stack.params, k)))
            .collect();
        self.params = self.params.join(&newcomers.params);
        self.optimiser = AdamW::resumed(&self.params, &moments);
        self.adapters = match (self.adapters.take(), newcomers.adapters) {
            (Some(ours), Some(theirs)) => Some(ours.join(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        self.slots.extend(newcomers.slots);
        self.smoothing = smoothing_of(&self.slots, &self.params);
        self.model = Model::new(self.family.0, self.family.1, &self.params, self.adapters.as_ref());
    }

    /// All of a slot's tensors that change, sharing their storage.
    pub(super) fn tensors(&self, k: usize) -> BTreeMap<String, Tensor> {
        let mut tensors = self.params.slot(k);
        tensors.extend(self.optimiser.slot(&self.params, k));
        tensors
    }

    /// Restores a slot from its checkpoint; without one it stays at its start. Where the checkpoint cannot be
    /// used, the slot starts over and the reason is returned.
    pub(super) fn resume(&mut self, k: usize, layout: &Layout) -> Option<CheckpointError> {
        match self.restore(k, layout) {
            Ok(state) => self.slots[k].state = state,
            Err(CheckpointError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Some(error),
        }
        None
    }

    /// Fills a slot's tensors from its checkpoint; on an error they stay unchanged.
    fn restore(&self, k: usize, layout: &Layout) -> Result<State, CheckpointError> {
        let id = self.slots[k].trial.id;
        let damaged = |what: String| CheckpointError::Damaged(what);
        let (state, values) = checkpoint::load(&layout.last_checkpoint(id))?;
        if state.trial != id {
            return Err(damaged(format!("it belongs to trial {}", state.trial)));
        }
        if state.best.is_some() {
            // The best weights so far cannot be computed again from here.
            let best = checkpoint::load(&layout.best_checkpoint(id));
            best.map_err(|error| damaged(format!("of the best weights, {error}")))?;
        }
        // A finished slot's checkpoint has no optimiser state.
        let done = state.step >= self.slots[k].total;
        let tensors = if done { self.params.slot(k) } else { self.tensors(k) };
        fill(&tensors, &values).map_err(damaged)?;
        Ok(state)
    }
}

fn smoothing_of(slots: &[Slot], params: &Params) -> Option<Tensor> {
    smoothing(slots.iter().map(|slot| &slot.trial.configuration.training), params.device())
}

/// What decides a slot's batch and dropout masks in its next step.
fn seen_by(slot: &Slot) -> (StreamKey, u64) {
    (slot.key, slot.state.step)
}
