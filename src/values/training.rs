//! Owns the settings of the training loop, and their rows in the table of axes. Trains nothing.

use serde::{Deserialize, Serialize};

use super::axes::{Axis, WithinPack, field, scientific};
use super::domain::MANY;
use super::setting::words;
use super::{Domain, Metric, Precision, Range};

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
    /// Optimiser steps between validations; `None` validates only at the end of each epoch.
    pub evaluate_every: Option<usize>,
    /// Validation rows of the validations between those of all rows; `None`, which is not written so that ids stay the
    /// same, takes all rows each time. See [`super::Horizon::validates_all_after`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluate_rows: Option<usize>,
    /// Which weights the trial is judged by.
    pub keep: Keep,
    /// Seed of initialisation, dropout and data order.
    pub seed: u64,
    /// Format in which the base is stored and multiplied. [`Precision::Fp32`] is not written, so that ids of
    /// versions without this setting stay the same.
    #[serde(default, skip_serializing_if = "Precision::is_fp32")]
    pub precision: Precision,
    /// Share of each label that is spread evenly over all classes, or all tokens, in training; in [0, 1). 0 is
    /// not written, so that ids of versions without this setting stay the same.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub label_smoothing: f64,
    /// Whether each layer is computed again in the backward pass rather than its activations kept. No result depends on
    /// it, and so no id; only `true` is written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recompute: bool,
    /// The metric that [`Keep::Best`] judges by, where it differs from the task's own; otherwise not written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_by: Option<Metric>,
}

/// The row of each field of [`Training`] that a sweep file names.
pub(super) const TRAINING_AXES: [Axis; 18] = [
    Axis::new(
        "learning_rate",
        Domain::Number(Range::Positive),
        WithinPack::MayDiffer,
        field!(Training.learning_rate),
        "Peak learning rate; required here or there",
    )
    .shown("learning rate", "lr ")
    .leading()
    .written(scientific)
    .defaults_to("")
    .called(&[(&["lr", "learning_rates", "base_lr", "max_lr"], "")]),
    Axis::new(
        "epochs",
        Domain::Number(Range::Positive),
        WithinPack::MayDiffer,
        field!(Training.epochs),
        "Passes over the training rows",
    )
    .shown("epochs", "epochs ")
    .called(&[
        (&["num_train_epochs", "num_epochs", "max_epochs", "n_epochs", "nepochs"], ""),
        (&["max_steps", "num_steps", "total_steps"], "in passes over the training rows, not in steps"),
    ]),
    Axis::new(
        "batch_size",
        Domain::Count(1, MANY),
        WithinPack::Equal,
        field!(Training.batch_size),
        "Rows per forward pass",
    )
    .always()
    .shown("batch size", "batch ")
    .called(&[(
        &[
            "per_device_train_batch_size",
            "per_gpu_train_batch_size",
            "train_batch_size",
            "micro_batch_size",
            "batch",
            "bs",
            "batchsize",
        ],
        "",
    )]),
    Axis::new(
        "accumulation",
        Domain::Count(1, MANY),
        WithinPack::Equal,
        field!(Training.accumulation),
        "Forward passes per optimiser step",
    )
    .shown("accumulation", "acc ")
    .called(&[(&["gradient_accumulation_steps", "grad_accum", "accumulate_grad_batches"], "")]),
    Axis::new(
        "schedule",
        Domain::Choice(Schedule::WORDS),
        WithinPack::MayDiffer,
        field!(Training.schedule),
        "Course of the learning rate after warm-up",
    )
    .called(&[(&["lr_scheduler_type", "lr_scheduler", "scheduler", "lr_schedule"], "")]),
    Axis::new(
        "warmup",
        Domain::Number(Range::Share),
        WithinPack::MayDiffer,
        field!(Training.warmup),
        "Share of the steps that warm up",
    )
    .shown("warm-up", "warm-up ")
    .called(&[
        (&["warmup_ratio", "warmup_fraction", "pct_start"], ""),
        (&["warmup_steps", "num_warmup_steps"], "a share of all steps, for example 0.06"),
    ]),
    Axis::new(
        "weight_decay",
        Domain::Number(Range::NotNegative),
        WithinPack::MayDiffer,
        field!(Training.weight_decay),
        "AdamW's weight decay",
    )
    .shown("weight decay", "decay ")
    .called(&[(&["wd", "decay", "l2"], "")]),
    Axis::new(
        "clip_norm",
        Domain::OrNull(&Domain::Number(Range::Positive)),
        WithinPack::MayDiffer,
        field!(Training.clip_norm),
        "Largest gradient norm; null does not clip",
    )
    .shown("clip norm", "clip ")
    .called(&[(&["max_grad_norm", "gradient_clip_val", "grad_clip", "gradient_clipping"], "")]),
    Axis::new(
        "beta1",
        Domain::Number(Range::Share),
        WithinPack::Equal,
        field!(Training.beta1),
        "AdamW's decay of the first moment",
    )
    .shown("beta1", "β1=")
    .called(&[(&["adam_beta1"], "")]),
    Axis::new(
        "beta2",
        Domain::Number(Range::Share),
        WithinPack::Equal,
        field!(Training.beta2),
        "AdamW's decay of the second moment",
    )
    .shown("beta2", "β2=")
    .called(&[(&["adam_beta2"], "")]),
    Axis::new(
        "epsilon",
        Domain::Number(Range::Positive),
        WithinPack::Equal,
        field!(Training.epsilon),
        "AdamW's epsilon",
    )
    .shown("epsilon", "ε=")
    .written(scientific)
    .called(&[(&["adam_epsilon", "adam_eps", "eps"], "")]),
    Axis::new(
        "label_smoothing",
        Domain::Number(Range::Share),
        WithinPack::MayDiffer,
        field!(Training.label_smoothing),
        "Share of each label that is spread evenly over all classes or tokens, in the training loss alone",
    )
    .shown("label smoothing", "smoothing ")
    .called(&[(&["label_smoothing_factor", "smoothing", "label_smooth"], "")]),
    Axis::new(
        "evaluate_every",
        Domain::OrNull(&Domain::Count(1, MANY)),
        WithinPack::MayDiffer,
        field!(Training.evaluate_every),
        "Optimiser steps between validations; null validates only after each epoch",
    )
    .shown("evaluate every", "eval ")
    .column("evaluate_every_steps")
    .called(&[(&["eval_steps", "eval_interval", "val_check_interval"], "in optimiser steps")]),
    Axis::new(
        "evaluate_rows",
        Domain::OrNull(&Domain::Count(1, MANY)),
        WithinPack::MayDiffer,
        field!(Training.evaluate_rows),
        "Rows of validations in between, the same for all trials; the first from each tenth of the steps on and the \
         last take all, as null always does",
    )
    .shown("evaluate rows", "eval rows ")
    .called(&[(&["max_eval_samples", "max_val_samples", "limit_val_batches"], "in validation rows")]),
    Axis::new(
        "keep",
        Domain::Choice(Keep::WORDS),
        WithinPack::MayDiffer,
        field!(Training.keep),
        "Judge a trial by its last weights or by those with the best validation score",
    )
    .shown("keep", "keep ")
    .called(&[(&["load_best_model_at_end"], "`best` or `last`")]),
    Axis::new(
        "precision",
        Domain::Choice(Precision::WORDS),
        WithinPack::Equal,
        field!(Training.precision),
        "bf16 stores a frozen base and multiplies with any base in 16 bits, the rest in 32",
    )
    .always()
    .called(&[(&["bf16", "fp16", "mixed_precision", "torch_dtype", "dtype"], "`fp32` or `bf16`")]),
    Axis::new(
        "recompute",
        Domain::Flag,
        WithinPack::Equal,
        field!(Training.recompute),
        "Compute each layer again in the backward pass instead of keeping its activations: less memory for long rows, \
         more time, the same results",
    )
    .shown("recompute", "recompute ")
    .without_effect()
    .called(&[(
        &[
            "gradient_checkpointing",
            "use_gradient_checkpointing",
            "activation_checkpointing",
            "enable_activation_checkpointing",
            "checkpoint_activations",
        ],
        "",
    )]),
    Axis::new(
        "seed",
        Domain::Count(0, u64::MAX),
        WithinPack::MayDiffer,
        field!(Training.seed),
        "Seed of initialisation, dropout and data order",
    )
    .always()
    .shown("seed", "seed ")
    .called(&[(&["random_seed", "random_state", "data_seed"], "")]),
];

impl Training {
    /// The default settings with this learning rate, which has no default.
    #[must_use]
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, ..Self::default() }
    }

    /// The same, without what no result depends on.
    #[must_use]
    pub fn deciding(&self) -> Self {
        Self { recompute: Self::default().recompute, ..self.clone() }
    }
}

impl Default for Training {
    /// The defaults of a sweep file's trials; the learning rate must be given.
    fn default() -> Self {
        Self {
            learning_rate: 0.0,
            epochs: 1.0,
            batch_size: 32,
            accumulation: 1,
            schedule: Schedule::Linear,
            warmup: 0.0,
            weight_decay: 0.0,
            clip_norm: Some(1.0),
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            evaluate_every: None,
            evaluate_rows: None,
            keep: Keep::Last,
            seed: 42,
            precision: Precision::Fp32,
            label_smoothing: 0.0,
            recompute: false,
            keep_by: None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(share: &f64) -> bool {
    *share == 0.0
}

/// Course of the learning rate after warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Straight down to zero.
    Linear,
    /// Half a cosine down to zero.
    Cosine,
    /// Stays at the peak.
    Constant,
}

words!(Schedule { Linear = "linear", Cosine = "cosine", Constant = "constant" });

/// Which weights a trial is judged by, on validation and test rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The weights at the end of training: nothing is chosen by looking at the validation rows.
    Last,
    /// The weights with the best validation score, by the metric that selects.
    Best,
}

words!(Keep { Last = "last", Best = "best" });
