//! Owns the results of a stack's steps until they are read from the device: all at once, since each read waits
//! for the device to do all that is queued. Knows no slot.

use tch::{Device, Kind, Tensor};

use crate::model::params::index;

/// Most steps whose results wait to be read.
const MOST: usize = 10;

/// A slot's loss and gradient norm in a step.
type Seen = [f64; 2];

/// Results of the last steps.
#[derive(Debug, Default)]
pub(super) struct Unread {
    steps: usize,
    /// Losses and gradient norms, `[MOST, 2, K]`, of which the first steps are there; `None` before any step.
    results: Option<Tensor>,
}

impl Unread {
    pub(super) fn is_empty(&self) -> bool {
        self.steps == 0
    }

    /// Whether the next step would have no place.
    pub(super) fn is_full(&self) -> bool {
        self.steps == MOST
    }

    /// Adds the losses and norms of a step, `[K]` each, in 32 bits.
    ///
    /// # Panics
    /// Where it is full.
    pub(super) fn push(&mut self, losses: &Tensor, norms: &Tensor) {
        assert!(!self.is_full(), "results are read before that");
        let size = [index(MOST), 2, losses.size()[0]];
        let results = self.results.take().filter(|results| results.size() == size);
        let results = results.unwrap_or_else(|| Tensor::empty(size, (Kind::Float, losses.device())));
        let _ = Tensor::stack_out(&results.get(index(self.steps)), &[losses, norms], 0);
        self.results = Some(results);
        self.steps += 1;
    }

    /// What each step gave each slot, the earliest first. Waits until the device has done all of them.
    pub(super) fn take(&mut self) -> Vec<Vec<Seen>> {
        let Some(results) = self.results.as_ref().filter(|_| self.steps > 0) else { return Vec::new() };
        let slots = usize::try_from(results.size()[2]).expect("sizes are positive");
        let there = results.narrow(0, 0, index(self.steps)).to_device(Device::Cpu).view(-1);
        let numbers: Vec<f32> = Vec::try_from(there).expect("numbers in 32 bits");
        self.steps = 0;
        let of_step = |step: &[f32]| {
            let (losses, norms) = step.split_at(slots);
            losses.iter().zip(norms).map(|(loss, norm)| [f64::from(*loss), f64::from(*norm)]).collect()
        };
        numbers.chunks(2 * slots).map(of_step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_read_once_and_in_order() {
        let mut unread = Unread::default();
        assert_eq!(unread.take(), Vec::<Vec<Seen>>::new());
        for (slots, steps) in [(1, 1), (3, MOST), (3, 2), (2, 1)] {
            let losses = |step: usize| Tensor::arange(slots, (Kind::Float, Device::Cpu)) + step as f64;
            for step in 0..steps {
                assert!(!unread.is_full());
                unread.push(&losses(step), &(losses(step) * 10.0));
            }
            assert_eq!(unread.is_full(), steps == MOST);
            let of_step =
                |step: usize| (0..slots).map(move |k| (k + index(step)) as f64).map(|x| [x, 10.0 * x]);
            let expected: Vec<Vec<Seen>> = (0..steps).map(|step| of_step(step).collect()).collect();
            assert_eq!(unread.take(), expected);
            assert!(unread.is_empty());
        }
    }
}
