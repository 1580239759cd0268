//! Owns the results of a trial: its metric lines and its final result. Its failures are [`super::Failure`].
//!
//! The training process writes these, the record and the report read them. Units are in the names.

use serde::{Deserialize, Serialize};

use super::{Scores, TrialId};

/// Weight of the previous average in the exponential moving average of the loss, per step. The average starts
/// at the first step's loss.
pub const EMA_DECAY: f64 = 0.98;

/// One line of a trial's `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum MetricLine {
    /// The state of training after an optimiser step.
    Train {
        /// Optimiser steps so far.
        step: u64,
        /// Passes over the training rows so far.
        epoch: f64,
        /// Mean training loss since the line before, in nats per row or token.
        loss: f64,
        /// Exponential moving average of the steps' losses; see [`EMA_DECAY`].
        ema_loss: f64,
        /// Learning rate of the step.
        learning_rate: f64,
        /// Gradient norm before clipping.
        grad_norm: f64,
        /// Training rows per second since the line before.
        rows_per_s: f64,
        /// Training tokens per second since the line before, padding not counted.
        tokens_per_s: f64,
    },
    /// An evaluation on the validation rows.
    Validation {
        /// Optimiser steps so far.
        step: u64,
        /// Passes over the training rows so far.
        epoch: f64,
        /// What was measured.
        scores: Scores,
        /// Standard error of the loss, over rows; absent for fewer than two rows, and in files of versions that did
        /// not compute it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        loss_error: Option<f64>,
        /// How many of the rows it was measured on; absent where it was all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rows: Option<u64>,
    },
}

/// A finished trial's `result.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialResult {
    /// Which trial.
    pub trial: TrialId,
    /// Scores on the validation rows of the weights that `keep` chooses; `None` where every row was trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<Scores>,
    /// Step at which those weights were taken.
    pub kept_step: u64,
    /// Scores on the test rows of the same weights, evaluated once.
    pub test: Option<Scores>,
    /// Optimiser steps in all.
    pub steps: u64,
    /// Exact count, taken from the tensors that were trained.
    pub trainable_params: u64,
    /// All tensors, each counted once.
    pub total_params: u64,
    /// What it cost.
    pub cost: Cost,
    /// Rows per class that it was trained and judged on; `None` where there are no classes, and in results of
    /// versions that did not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_rows: Option<ClassRows>,
    /// The scores of the best constant answer on the same rows, where class counts do not give them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Reference>,
}

/// The scores of one constant answer, on the same rows that a trial was judged on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// The answer.
    pub answer: String,
    /// Its scores on the validation rows.
    pub validation: Scores,
    /// Its scores on the test rows; `None` without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Scores>,
}

/// Number of rows of each class, by the class's index.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClassRows {
    /// Among the rows that the trial trained on.
    pub train: Vec<u64>,
    /// Among its validation rows.
    pub validation: Vec<u64>,
    /// Among the test rows; empty without any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<u64>,
}

/// What a trial cost, over all its attempts.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// Seconds from the first step to the result, evaluation included.
    pub wall_s: f64,
    /// Seconds in training steps.
    pub train_s: f64,
    /// Seconds in evaluation.
    pub evaluate_s: f64,
    /// Training rows seen.
    pub train_rows: u64,
    /// Training tokens seen, padding not counted.
    pub train_tokens: u64,
    /// Rows evaluated.
    pub evaluated_rows: u64,
    /// Largest memory of its process while the trial was in it, in MiB: on a GPU what libtorch held of the GPU's
    /// memory, on cores its resident memory.
    pub peak_memory_mib: f64,
}
