//! Owns what the parent's messages change in a running pack. A trial joins in its own slot, with tensors that are
//! frozen for all in memory once. A trial that is to stop leaves with a checkpoint. The results of the other
//! slots do not change.

use super::stack::Stack;
use super::{Trainer, failed, family, part, resume, slot, starting_values};
use crate::disk::files;
use crate::job::{ChildLine, ToChild};
use crate::record::rows;
use crate::train::slot::Slot;
use crate::train::training::ForwardMode;
use crate::values::{Failure, Part, Trial};

impl<'a> Trainer<'a> {
    /// Does as the messages say that came during the last step: takes in the trials that are to join, from their
    /// checkpoints if they have any, and lets those leave that are to stop. Returns whether any slot has steps
    /// left.
    pub(in crate::train) fn heed(&mut self) -> Result<bool, Failure> {
        for message in (self.context.messages)() {
            match message {
                ToChild::Join { trial, until } => self.join(&trial, until)?,
                ToChild::Stop { trial, step } => {
                    // One that has ended, or is not here, has nothing to stop.
                    let slots = self.stacks.iter_mut().flat_map(|stack| &mut stack.slots);
                    for slot in slots.filter(|slot| slot.trial.id == trial) {
                        slot.stop_after = Some(slot.stop_after.map_or(step, |before| before.min(step)));
                    }
                }
            }
        }
        self.release_stopped()?;
        Ok(!self.stacks.is_empty())
    }

    fn join(&mut self, trial: &Trial, until: Option<f64>) -> Result<(), Failure> {
        self.read_back();
        let newcomer = self.alone(trial, until)?;
        match (self.context.forward_mode, self.stacks.first_mut()) {
            (ForwardMode::Stacked, Some(stack)) => stack.join(newcomer),
            (ForwardMode::Stacked, None) | (ForwardMode::InTurn, _) => self.stacks.push(newcomer),
        }
        (self.context.say)(ChildLine::Joined { trial: trial.id });
        // A trial that was stopped between its last step and its evaluation has no steps left.
        self.evaluate_due()?;
        self.finish_done_slots()
    }

    /// Lets the slots leave that have done the step after which they are to stop.
    fn release_stopped(&mut self) -> Result<(), Failure> {
        let is_due = |slot: &Slot| slot.stop_after.is_some_and(|step| step <= slot.state.step);
        if !self.slots().any(is_due) {
            return Ok(());
        }
        // The losses of the last steps may show that one has diverged.
        self.read_back();
        self.quarantine_diverged()?;
        let stopped = self.indices(is_due);
        for index in &stopped {
            self.save(*index)?;
            let slot = self.slot(*index);
            let (trial, step, steps) = (slot.trial.id, slot.state.step, slot.total);
            rows::sync(&self.context.layout, trial).map_err(failed)?;
            files::sync(&self.context.layout.last_checkpoint(trial)).map_err(failed)?;
            (self.context.say)(ChildLine::Stopped { trial, step, steps });
            self.kept += 1;
        }
        self.release(&stopped);
        Ok(())
    }

    /// A stack of one trial.
    fn alone(&mut self, trial: &Trial, until: Option<f64>) -> Result<Stack<'a>, Failure> {
        let train = part(&self.store, Part::Train)?;
        let slots = vec![slot(trial, until, (train, &self.pack.task), self.context)];
        let start = starting_values(self.pack, std::slice::from_ref(trial), self.frozen)?;
        let mut stack = Stack::of_all(slots, start, family(self.pack));
        resume(&mut stack, self.context)?;
        Ok(stack)
    }
}
