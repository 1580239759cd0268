//! Owns the smallest things that train: configurations, trials and their ids.
//!
//! An id is a hash of everything that decides a result, and of nothing else: not of the place in
//! the grid, not of paths, not of packs or devices.

mod family;
mod own_head;
mod precision;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::family::Family;
pub use self::own_head::{By, OwnHead};
pub use self::precision::Precision;
use crate::arch::ModelSpec;
use crate::content::ContentHash;
use crate::outcome::Metric;
use crate::task::Task;

/// One point of the grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// Hash of everything that decides the configuration's results, on any split.
    pub id: ConfigurationId,
    /// Name of the task in the sweep's `tasks`.
    pub task: String,
    /// Name of the model in the sweep's `models`.
    pub model: String,
    /// How the model is trained.
    pub method: Method,
    /// The training loop's settings.
    pub training: Training,
}

/// How a model is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Method {
    /// Low-rank adapters and the head train; the base is frozen (Hu et al. 2021).
    Lora(Lora),
    /// Every weight trains, from the pretrained ones.
    Full,
    /// Every weight trains, from random ones.
    Scratch,
    /// Nothing trains: the model is evaluated as it is, with its own head where that tells the task's
    /// classes apart, else with a fresh one where the task needs one.
    Base,
}

impl Method {
    /// The name used in sweep files and tables.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Lora(_) => "lora",
            Self::Full => "full",
            Self::Scratch => "scratch",
            Self::Base => "base",
        }
    }

    /// The adapter's settings, where there is an adapter.
    #[must_use]
    pub fn lora(&self) -> Option<&Lora> {
        match self {
            Self::Lora(lora) => Some(lora),
            Self::Full | Self::Scratch | Self::Base => None,
        }
    }
}

/// An adapter's settings, with PEFT's meaning: `h = W0 x + scale * B A dropout(x)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lora {
    /// Inner width r of the adapter, at least 1.
    pub rank: usize,
    /// Numerator of the scale.
    pub alpha: f64,
    /// Dropout on the adapter's input, in [0, 1).
    pub dropout: f64,
    /// Modules that get an adapter, by name or suffix.
    pub targets: Vec<String>,
    /// Scale by alpha / sqrt(r) (rsLoRA) where true, by alpha / r where false.
    pub rslora: bool,
    /// Modules that train as a whole beside the adapters, by name or suffix; [`Lora::HEAD`] is the
    /// task's head. What of the head is not in it stays as it was drawn.
    pub modules_to_save: Vec<String>,
}

impl Lora {
    /// The name of the task's head among `modules_to_save`, whatever the architecture calls it.
    pub const HEAD: &'static str = "head";

    /// Adapters on these modules, with a head that trains beside them.
    #[must_use]
    pub fn new(targets: &[&str], rank: usize, alpha: f64) -> Self {
        Self {
            rank,
            alpha,
            dropout: 0.0,
            targets: targets.iter().map(ToString::to_string).collect(),
            rslora: false,
            modules_to_save: vec![Self::HEAD.to_owned()],
        }
    }

    /// What the adapter's output is multiplied by.
    #[must_use]
    pub fn scale(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "ranks are far below 2^52")]
        let rank = self.rank as f64;
        self.alpha / if self.rslora { rank.sqrt() } else { rank }
    }
}

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

/// How the training file is divided.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Splitting {
    /// k-fold cross-validation.
    KFold {
        /// Number of folds, at least 2.
        k: usize,
        /// Each fold has the classes in the file's proportions.
        stratified: bool,
        /// Seed of the division.
        seed: u64,
    },
    /// One share of the rows is held out.
    HoldOut {
        /// Share held out, in (0, 1).
        fraction: f64,
        /// The share has the classes in the file's proportions.
        stratified: bool,
        /// Seed of the division.
        seed: u64,
    },
    /// A file of its own.
    File,
}

impl Splitting {
    /// Number of trials per configuration.
    #[must_use]
    pub fn splits(&self) -> usize {
        match self {
            Self::KFold { k, .. } => *k,
            Self::HoldOut { .. } | Self::File => 1,
        }
    }
}

/// The smallest thing that trains: a configuration on one split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Hash of everything that decides the result.
    pub id: TrialId,
    /// What is trained.
    pub configuration: Arc<Configuration>,
    /// How rows are divided.
    pub splitting: Splitting,
    /// Which split is held out: the fold's index from 0; 0 where there is one split only.
    pub fold: usize,
}

impl Trial {
    /// The trial of a configuration on one split.
    #[must_use]
    pub fn new(configuration: &Arc<Configuration>, splitting: Splitting, fold: usize) -> Self {
        let id = TrialId(ContentHash::of_json(&(configuration.id, splitting, fold)).leading_u64());
        Self { id, configuration: Arc::clone(configuration), splitting, fold }
    }
}

impl Configuration {
    /// Peak learning rate, where anything trains.
    #[must_use]
    pub fn learning_rate(&self) -> Option<f64> {
        match self.method {
            Method::Lora(_) | Method::Full | Method::Scratch => Some(self.training.learning_rate),
            Method::Base => None,
        }
    }

    /// A configuration, its id made from everything that decides its results.
    #[must_use]
    pub fn new(task: &Task, model: &ModelSpec, method: Method, training: Training) -> Self {
        Family::of(task, model, method == Method::Scratch).configuration(method, training)
    }
}

/// Defines a 64-bit id that reads and writes as 16 hexadecimal digits.
macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match u64::from_str_radix(text, 16) {
                    Ok(bits) if text.len() == 16 => Ok(Self(bits)),
                    Ok(_) | Err(_) => Err(format!("`{text}` is not an id of 16 hexadecimal digits")),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
    };
}

hex_id! {
    /// A trial's id: 16 hexadecimal digits.
    TrialId
}
hex_id! {
    /// A configuration's id: 16 hexadecimal digits.
    ConfigurationId
}
