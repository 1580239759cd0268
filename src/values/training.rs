//! Owns the settings of the training loop.

use serde::{Deserialize, Serialize};

use crate::values::{Metric, Precision};

/// The training loop's settings; each can be an axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Passes over the training rows, may be a fraction.
    pub epochs: f64,
    /// Rows per forward pass.
    pub batch_size: usize,
    /// Forward passes per optimiser step; the effective batch is the product.
    pub accumulation: usize,
    /// Course of the learning rate after warm-up.
    pub schedule: Schedule,
    /// Share of all optimiser steps that warm up, in [0, 1).
    pub warmup: f64,
    /// AdamW's decoupled weight decay, on matrices only.
    pub weight_decay: f64,
    /// Largest gradient norm; `None` does not clip.
    pub clip_norm: Option<f64>,
    /// AdamW's decay of the first moment.
    pub beta1: f64,
    /// AdamW's decay of the second moment.
    pub beta2: f64,
    /// AdamW's epsilon.
    pub epsilon: f64,
    /// Validation every so many optimiser steps; `None` evaluates at the end of each epoch only.
    pub evaluate_every: Option<usize>,
    /// Which weights the trial is judged by.
    pub keep: Keep,
    /// Seed of initialisation, dropout and data order.
    pub seed: u64,
    /// What the base is stored and multiplied in. Not written where it is [`Precision::Fp32`]: ids from
    /// before there was a choice stay what they were.
    #[serde(default, skip_serializing_if = "Precision::is_fp32")]
    pub precision: Precision,
    /// The metric that [`Keep::Best`] judges by, where it is not the task's own; not written otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_by: Option<Metric>,
}

/// Course of the learning rate after warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Straight down to zero.
    Linear,
    /// Half a cosine down to zero.
    Cosine,
    /// Stays at the peak.
    Constant,
}

/// Which weights a trial is judged by, on validation and test rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Those at the end of training: nothing is chosen by looking at the validation rows.
    Last,
    /// Those with the best validation score, by the metric that selects.
    Best,
}
