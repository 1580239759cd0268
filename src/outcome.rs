//! Owns what a trial leaves behind: its metric lines, its result, and how it can fail.
//!
//! The training process writes these, the record and the report read them. Units are in the names.

use serde::{Deserialize, Serialize};

use crate::trial::TrialId;

/// Scores of a classifier on a set of rows; precision, recall and F1 as scikit-learn defines them,
/// averaged over all classes, absent ones included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Mean cross-entropy, in nats per row.
    pub loss: f64,
    /// Share of rows classified correctly, in [0, 1].
    pub accuracy: f64,
    /// Macro-averaged precision, in [0, 1].
    pub macro_precision: f64,
    /// Macro-averaged recall, in [0, 1].
    pub macro_recall: f64,
    /// Macro-averaged F1, in [0, 1].
    pub macro_f1: f64,
}

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
        /// Mean training loss since the line before, in nats per row.
        loss: f64,
        /// Learning rate of the step.
        learning_rate: f64,
        /// Gradient norm before clipping.
        grad_norm: f64,
        /// Training rows per second since the line before.
        rows_per_s: f64,
    },
    /// An evaluation on the validation rows.
    Validation {
        /// Optimiser steps so far.
        step: u64,
        /// Passes over the training rows so far.
        epoch: f64,
        /// What was measured.
        scores: Scores,
    },
}

/// A finished trial's `result.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialResult {
    /// Which trial.
    pub trial: TrialId,
    /// Scores on the validation rows of the weights that `keep` names.
    pub validation: Scores,
    /// Step at which those weights were taken.
    pub kept_step: u64,
    /// Scores on the test rows of the same weights, evaluated once.
    pub test: Option<Scores>,
    /// Optimiser steps in all.
    pub steps: u64,
    /// Exact counts, taken from the tensors that were trained.
    pub trainable_params: u64,
    /// All tensors, each counted once.
    pub total_params: u64,
    /// What it cost.
    pub cost: Cost,
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
    /// Largest resident memory of the process on the host, in MiB.
    pub peak_memory_mib: f64,
}

/// Why a job did not finish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Failure {
    /// Memory ran out, on the host or the device.
    OutOfMemory,
    /// The loss or a gradient was no longer finite.
    Diverged {
        /// Optimiser step at which it was seen.
        step: u64,
    },
    /// It ran longer than allowed.
    TimedOut,
    /// The process ended by itself with this code and no result.
    Exited {
        /// Exit code.
        code: i32,
    },
    /// A signal ended the process.
    Killed {
        /// Signal number.
        signal: i32,
    },
    /// The machine that ran it is gone.
    HostLost,
    /// The data or the model did not hold what the check had found.
    BadData {
        /// What was wrong.
        message: String,
    },
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OutOfMemory => write!(f, "out of memory"),
            Self::Diverged { step } => write!(f, "diverged at step {step}: the loss was no longer finite"),
            Self::TimedOut => write!(f, "ran longer than allowed"),
            Self::Exited { code } => write!(f, "the process ended with exit code {code} and no result"),
            Self::Killed { signal } => write!(f, "the process was killed by signal {signal}"),
            Self::HostLost => write!(f, "the machine that ran it is gone"),
            Self::BadData { message } => write!(f, "{message}"),
        }
    }
}
