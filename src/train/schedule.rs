//! Owns the course of the learning rate. Pure.

use crate::trial::{Schedule, Training};

/// The learning rate of optimiser step `step` (from 0) of `total`: linear warm-up from 0 over the
/// first `warmup` share of the steps (rounded up), then the schedule, as transformers' `get_*_schedule_with_warmup`.
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

/// Optimiser steps per epoch and in all, for so many training rows.
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
