//! Owns how a model is trained: the methods, an adapter's settings, and their rows in the table of axes. Knows
//! no model.

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Pack, field};
use super::setting::{Value, words};
use super::{Domain, Range, Setting};

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

/// A method without its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MethodKind {
    /// [`Method::Lora`].
    Lora,
    /// [`Method::Full`].
    Full,
    /// [`Method::Scratch`].
    Scratch,
    /// [`Method::Base`].
    Base,
}

words!(MethodKind { Lora = "lora", Full = "full", Scratch = "scratch", Base = "base" });

impl MethodKind {
    /// What texts call it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Lora => "LoRA",
            Self::Full => "full fine-tuning",
            Self::Scratch => "from scratch",
            Self::Base => "base, not trained",
        }
    }

    /// The method that a setting names.
    #[must_use]
    pub fn of_setting(setting: &Setting) -> Option<Self> {
        Value::of(setting)
    }
}

impl Method {
    /// The method of this kind, with the settings that it has where nobody says others.
    #[must_use]
    pub fn of(kind: MethodKind) -> Self {
        match kind {
            MethodKind::Lora => Self::Lora(Lora::default()),
            MethodKind::Full => Self::Full,
            MethodKind::Scratch => Self::Scratch,
            MethodKind::Base => Self::Base,
        }
    }

    /// The method without its settings.
    #[must_use]
    pub fn kind(&self) -> MethodKind {
        match self {
            Self::Lora(_) => MethodKind::Lora,
            Self::Full => MethodKind::Full,
            Self::Scratch => MethodKind::Scratch,
            Self::Base => MethodKind::Base,
        }
    }

    /// The name used in sweep files and tables.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.kind().name()
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
    /// Modules that get an adapter, by name or suffix; [`Lora::ALL_LINEAR`] alone is every linear layer.
    pub targets: Vec<String>,
    /// Scale by alpha / sqrt(r) (rsLoRA) where true, by alpha / r where false.
    pub rslora: bool,
    /// Modules that train as a whole beside the adapters, by name or suffix; [`Lora::HEAD`] is the
    /// task's head. Head modules not listed keep their random
    /// initialisation.
    pub modules_to_save: Vec<String>,
    /// The layers, from 0, outside of which no module gets an adapter unless its whole name is among the
    /// targets; `None` for all. Not written then: ids from before there was a choice stay what they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers_to_transform: Option<Vec<usize>>,
}

/// The row of each field of [`Lora`].
pub(super) const LORA_AXES: [Axis; 7] = [
    Axis::new(
        "rank",
        Domain::Count(1, 100_000),
        Pack::PerSlot,
        field!(Lora.rank),
        "LoRA: inner width of the adapter",
    )
    .shown("rank", "r=")
    .leading()
    .called(&[(&["lora_r", "lora_rank", "r", "peft_lora_r"], "")]),
    Axis::new(
        "alpha",
        Domain::Number(Range::Positive),
        Pack::PerSlot,
        field!(Lora.alpha),
        "LoRA: the scale is alpha / rank",
    )
    .shown("alpha", "α=")
    .leading()
    .called(&[(&["lora_alpha", "peft_lora_alpha"], "")]),
    Axis::new(
        "dropout",
        Domain::Number(Range::Share),
        Pack::PerSlot,
        field!(Lora.dropout),
        "LoRA: dropout on the adapter's input",
    )
    .shown("dropout", "dropout ")
    .leading()
    .called(&[(&["lora_dropout", "peft_lora_dropout"], "")]),
    Axis::new(
        "targets",
        Domain::Texts,
        Pack::Alike,
        field!(Lora.targets),
        "LoRA: modules with an adapter; all-linear is every linear layer but the output layer or head",
    )
    .called(&[(&["target_modules", "lora_target_modules", "lora_target", "lora_targets"], "")])
    .defaults_to("the architecture's"),
    Axis::new(
        "layers_to_transform",
        Domain::OrNull(&Domain::Counts),
        Pack::Alike,
        field!(Lora.layers_to_transform),
        "LoRA: layers, from 0, whose targets get an adapter; null for all of them",
    )
    .shown("layers", "layers ")
    .written(layers),
    Axis::new(
        "modules_to_save",
        Domain::TextsOrNone,
        Pack::Alike,
        field!(Lora.modules_to_save),
        "LoRA: modules that train beside the adapters; `head` is the task's head",
    )
    .shown("saved modules", "with ")
    .column("saved_modules")
    .defaults_to("[head]"),
    Axis::new(
        "rslora",
        Domain::Flag,
        Pack::PerSlot,
        field!(Lora.rslora),
        "LoRA: scale by alpha / sqrt(rank)",
    )
    .shown("scale", "")
    .written(scale)
    .called(&[(&["use_rslora"], "")]),
];

fn layers(layers: &Setting) -> String {
    if *layers == Setting::Null { "all".to_owned() } else { layers.to_string() }
}

fn scale(rslora: &Setting) -> String {
    if *rslora == Setting::Flag(true) { "α/√r" } else { "α/r" }.to_owned()
}

impl Default for Lora {
    /// What a sweep file's adapters have where it does not say; the architecture decides on targets.
    fn default() -> Self {
        Self::new(&[], 8, 16.0)
    }
}

impl Lora {
    /// The name of the task's head among `modules_to_save`, whatever the architecture calls it.
    pub const HEAD: &'static str = "head";

    /// The word among `targets` that stands for every linear layer of the base, as in PEFT: those of the
    /// pooler too, and not the head or the output layer.
    pub const ALL_LINEAR: &'static str = "all-linear";

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
            layers_to_transform: None,
        }
    }

    /// The same settings with each list in one order and each of its items once: neither changes anything.
    pub fn put_in_order(&mut self) {
        for names in [&mut self.targets, &mut self.modules_to_save] {
            names.sort();
            names.dedup();
        }
        if let Some(layers) = &mut self.layers_to_transform {
            layers.sort_unstable();
            layers.dedup();
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
