//! Owns how a trial joins a running pack: in its own slot, with tensors that are frozen for all in memory once.
//! The results of the other slots do not change.

use super::stack::Stack;
use super::{Trainer, family, part, resume, slot, starting_values};
use crate::job::{ChildLine, ToChild};
use crate::train::training::ForwardMode;
use crate::values::{Failure, Part, Trial};

impl<'a> Trainer<'a> {
    /// Takes in the trials that wait to join, from their checkpoints if they have any. Returns whether any slot
    /// has steps left.
    pub(in crate::train) fn admit(&mut self) -> Result<bool, Failure> {
        for ToChild::Join { trial } in (self.context.messages)() {
            let newcomer = self.alone(&trial)?;
            match (self.context.forward_mode, self.stacks.first_mut()) {
                (ForwardMode::Stacked, Some(stack)) => stack.join(newcomer),
                (ForwardMode::Stacked, None) | (ForwardMode::InTurn, _) => self.stacks.push(newcomer),
            }
            (self.context.say)(ChildLine::Joined { trial: trial.id });
            // A trial that was stopped between its last step and its evaluation has no steps left.
            self.evaluate_due()?;
            self.finish_done_slots()?;
        }
        Ok(!self.stacks.is_empty())
    }

    /// A stack of one trial.
    fn alone(&mut self, trial: &Trial) -> Result<Stack<'a>, Failure> {
        let slots = vec![slot(trial, part(&self.store, Part::Train)?, self.context)];
        let start = starting_values(self.pack, std::slice::from_ref(trial), self.frozen)?;
        let mut stack = Stack::of_all(slots, start, family(self.pack));
        resume(&mut stack, self.context)?;
        Ok(stack)
    }
}
