//! Owns how a model is trained: the methods, and an adapter's settings.

use serde::{Deserialize, Serialize};

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
