//! Owns learning curves: a measure over training as one curve over a configuration's folds, smoothing, and
//! convergence. Pure.

use crate::values::Metric;

use super::statistics::mean;

/// Evaluations that the smoothed validation score averages: one before, itself, one after.
const EVALUATION_WINDOW: usize = 3;
/// A configuration counts as converged at this share of its best smoothed validation score; for a metric that
/// is not a share, at this share of the way from its first to its best value.
pub const CONVERGED_SHARE: f64 = 0.95;

/// A measure over training, averaged over folds.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Curve {
    /// Optimiser steps; their mean, where folds of unequal size were measured at unequal steps.
    pub steps: Vec<f64>,
    /// Mean over folds at each step.
    pub mean: Vec<f64>,
    /// Smallest over folds at each step.
    pub low: Vec<f64>,
    /// Largest over folds at each step.
    pub high: Vec<f64>,
    /// Number of folds averaged, the same at each step.
    pub folds: usize,
}

impl Curve {
    /// The curve with mean and band smoothed by a centred moving average.
    #[must_use]
    pub fn smoothed(&self, window: usize) -> Self {
        Self {
            steps: self.steps.clone(),
            mean: smooth(&self.mean, window),
            low: smooth(&self.low, window),
            high: smooth(&self.high, window),
            folds: self.folds,
        }
    }

    /// For a share, the first step at which the smoothed mean reaches [`CONVERGED_SHARE`] of its own best. For
    /// other metrics, the first step at which it has come that share of the way from its first value to its
    /// best, since a loss has no natural zero. `None` without training.
    #[must_use]
    pub fn convergence_step(&self, metric: Metric) -> Option<u64> {
        self.steps.last().filter(|&&step| step > 0.0)?;
        let smoothed = smooth(&self.mean, EVALUATION_WINDOW);
        let best =
            smoothed.iter().copied().reduce(|best, one| if metric.better(one, best) { one } else { best })?;
        let from = if metric.is_share() { 0.0 } else { *smoothed.first()? };
        let goal = from + CONVERGED_SHARE * (best - from);
        let first = smoothed.iter().position(|&value| !metric.better(goal, value))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "steps are counts")]
        Some(self.steps[first].round() as u64)
    }
}

/// A centred moving average; near both ends it averages the values that exist.
#[must_use]
pub fn smooth(values: &[f64], window: usize) -> Vec<f64> {
    let half = window / 2;
    (0..values.len())
        .map(|i| mean(&values[i.saturating_sub(half)..(i + half + 1).min(values.len())]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(mean: &[f64]) -> Curve {
        let steps = (1..).map(|i| f64::from(i) * 25.0).take(mean.len()).collect();
        Curve { steps, mean: mean.to_vec(), low: mean.to_vec(), high: mean.to_vec(), folds: 1 }
    }

    #[test]
    fn smoothing_averages_neighbours_and_keeps_the_length() {
        assert_eq!(smooth(&[1.0, 4.0, 7.0, 1.0], 3), [2.5, 4.0, 4.0, 4.0]);
        assert_eq!(smooth(&[1.0, 4.0], 1), [1.0, 4.0]);
        assert!(smooth(&[], 3).is_empty());
    }

    /// Smoothed: 0.35, 0.5, 0.7, 0.8, 0.8, 0.8; 95 % of 0.8 is 0.76.
    #[test]
    fn convergence_is_the_first_step_near_the_best() {
        let step = |mean: &[f64]| curve(mean).convergence_step(Metric::Accuracy);
        assert_eq!(step(&[0.2, 0.5, 0.8, 0.8, 0.8, 0.8]), Some(100));
        assert_eq!(step(&[0.6]), Some(25));
        assert_eq!(step(&[]), None);
    }

    /// Smoothed: 7, 6, 4, 3, 3, 3.5; 95 % of the way from 7 to 3 is 3.2.
    #[test]
    fn a_loss_converges_downwards() {
        let step = |mean: &[f64]| curve(mean).convergence_step(Metric::Loss);
        assert_eq!(step(&[8.0, 6.0, 4.0, 2.0, 3.0, 4.0]), Some(100));
        assert_eq!(step(&[3.0, 4.0, 5.0, 6.0]), Some(25), "it was best at once");
    }

    #[test]
    fn what_does_not_train_does_not_converge() {
        let base = Curve { steps: vec![0.0], ..curve(&[0.25]) };
        assert_eq!(base.convergence_step(Metric::Accuracy), None);
    }
}
