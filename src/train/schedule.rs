//! Owns the learning rate schedule. Pure.

use crate::values::{Schedule, Training};

/// The learning rate of optimiser step `step` (from 0) of `total`: linear warm-up from 0 over the first
/// `warmup` share of the steps (rounded up), then the schedule, as transformers'
/// `get_*_schedule_with_warmup`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
pub fn learning_rate(training: &Training, step: u64, total: u64) -> f64 {
    let (step, total) = (step as f64, total as f64);
    let warmup = (training.warmup * total).ceil();
    if step < warmup {
        return training.learning_rate * step / warmup;
    }
    let done = ((step - warmup) / (total - warmup).max(1.0)).min(1.0);
    let factor = match training.schedule {
        Schedule::Linear => 1.0 - done,
        Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        Schedule::Constant => 1.0,
    };
    training.learning_rate * factor
}

/// Number of warm-up steps among `total` optimiser steps.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "steps are far below 2^52, and a share of them lies between none and all"
)]
pub fn warmup_steps(training: &Training, total: u64) -> u64 {
    (training.warmup * total as f64).ceil() as u64
}

/// Optimiser steps per epoch and in all, for this number of training rows.
#[must_use]
pub fn steps(training: &Training, rows: usize) -> (u64, u64) {
    let per_epoch = rows.div_ceil(training.batch_size).div_ceil(training.accumulation);
    #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
    let total = (training.epochs * per_epoch as f64).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be positive and small"
    )]
    let total = total as u64;
    (per_epoch as u64, total.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::Keep;

    fn training(schedule: Schedule) -> Training {
        Training {
            learning_rate: 0.01,
            epochs: 2.5,
            batch_size: 4,
            accumulation: 2,
            schedule,
            warmup: 0.2,
            weight_decay: 0.0,
            clip_norm: None,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            evaluate_every: None,
            keep: Keep::Last,
            seed: 0,
            ..Training::default()
        }
    }

    /// Values from `get_linear_schedule_with_warmup` and its cosine sister, 2 of 10 steps warm up.
    #[test]
    fn schedules_agree_with_transformers() {
        let close = |schedule, expected: [f64; 10]| {
            for (step, expected) in (0..).zip(expected) {
                let rate = learning_rate(&training(schedule), step, 10);
                assert!((rate - expected).abs() < 1e-12, "step {step}: {rate} is not {expected}");
            }
        };
        close(
            Schedule::Linear,
            [0.0, 0.005, 0.01, 0.00875, 0.0075, 0.00625, 0.005, 0.00375, 0.0025, 0.00125],
        );
        close(
            Schedule::Cosine,
            [
                0.0,
                0.005,
                0.01,
                0.009619397662556433,
                0.008535533905932738,
                0.00691341716182545,
                0.005,
                0.0030865828381745515,
                0.0014644660940672626,
                0.0003806023374435663,
            ],
        );
        assert_eq!(learning_rate(&training(Schedule::Constant), 9, 10), 0.01);
    }

    #[test]
    fn steps_round_up_within_an_epoch_and_over_all() {
        // 17 rows are 5 batches, 3 steps of two batches; 2.5 epochs are 7.5 steps.
        assert_eq!(steps(&training(Schedule::Linear), 17), (3, 8));
        assert_eq!(steps(&training(Schedule::Linear), 1), (1, 3));
    }
}
