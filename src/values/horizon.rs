//! Owns at which of its steps a trial is validated. Pure.

/// The length of a trial's training, in optimiser steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// Steps in all.
    pub steps: u64,
    /// Steps of an epoch, at least 1.
    pub per_epoch: u64,
    /// Steps between two validations within an epoch, if there are any.
    pub every: Option<u64>,
}

impl Horizon {
    /// Whether there is a validation after this step: at regular steps, at the end of each epoch, and at the end.
    #[must_use]
    pub fn validates_after(self, step: u64) -> bool {
        let regular = self.every.is_some_and(|every| step.is_multiple_of(every));
        step >= self.steps || (step > 0 && (regular || step.is_multiple_of(self.per_epoch)))
    }

    /// The step of the first validation at or after this share of the steps; `None` where that is the last one.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a number of steps, which are far below 2^52"
    )]
    pub fn pause(self, share: f64) -> Option<u64> {
        // A fifth of 100 steps is 20, whatever binary makes of a fifth.
        let from = ((self.steps as f64 * share - 1e-6).ceil() as u64).max(1);
        let next = |every: u64| from.div_ceil(every) * every;
        let first = self.every.map_or(u64::MAX, next).min(next(self.per_epoch));
        Some(first).filter(|step| *step < self.steps)
    }

    /// Whether a validation after this step is of all rows where others are of some: the first from each tenth of
    /// the steps on is, and the last.
    #[must_use]
    pub fn validates_all_after(self, step: u64) -> bool {
        step >= self.steps || self.tenths().any(|at| at == step)
    }

    /// The step of the first such validation at or after this share of the steps; `None` where that is the last one.
    #[must_use]
    pub fn pause_on_all(self, share: f64) -> Option<u64> {
        let first = self.pause(share)?;
        self.tenths().find(|step| *step >= first)
    }

    fn tenths(self) -> impl Iterator<Item = u64> {
        (1..10_u32).filter_map(move |tenth| self.pause(f64::from(tenth) / 10.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rows_are_judged_once_a_tenth_and_at_the_end() {
        let often = Horizon { steps: 100, per_epoch: 100, every: Some(3) };
        let all: Vec<u64> = (1..=100).filter(|step| often.validates_all_after(*step)).collect();
        assert_eq!(all, [12, 21, 30, 42, 51, 60, 72, 81, 90, 100]);
        assert_eq!([0.0, 0.1, 0.11, 0.3].map(|share| often.pause_on_all(share)), [12, 12, 12, 30].map(Some));
        assert_eq!((often.pause_on_all(0.34), often.pause_on_all(0.91)), (Some(42), None));
        // Where validations are few, all of them are.
        let rarely = Horizon { steps: 100, per_epoch: 40, every: None };
        let all: Vec<u64> = (1..=100).filter(|step| rarely.validates_all_after(*step)).collect();
        assert_eq!(all, [40, 80, 100]);
        for share in [0.0, 0.2, 0.5, 0.9] {
            assert_eq!(rarely.pause_on_all(share), rarely.pause(share));
        }
    }

    #[test]
    fn a_pause_is_the_first_validation_from_a_share_on() {
        for steps in 1..60 {
            for per_epoch in [1, 7, 20, 60] {
                for every in [None, Some(1), Some(6), Some(15)] {
                    let horizon = Horizon { steps, per_epoch, every };
                    for tenth in 0..10_u32 {
                        let from = (steps * u64::from(tenth)).div_ceil(10).max(1);
                        let first = (from..steps).find(|step| horizon.validates_after(*step));
                        assert_eq!(horizon.pause(f64::from(tenth) / 10.0), first, "{horizon:?} {tenth}");
                    }
                }
            }
        }
    }
}
