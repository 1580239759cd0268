//! Owns how a model is trained: the methods, an adapter's settings, and their rows in the table of axes. Knows
//! no model.

use serde::{Deserialize, Serialize};

use super::axes::{Axis, WithinPack, field};
use super::setting::{Value, words};
use super::{Domain, Range, Setting};

/// How a model is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Method {
    /// Low-rank adapters and the head train; the base is frozen (Hu et al. 2021).
    Lora(Lora),
    /// The same, and the length of each row of the adapted weights trains by itself (DoRA, Liu et al. 2024).
    Dora(Lora),
    /// Every weight trains, from the pretrained ones.
    Full,
    /// Every weight trains, from random ones.
    Scratch,
    /// Nothing trains: the model is evaluated as it is. It uses its own head where that head predicts the
    /// task's classes, else a fresh one where the task needs one.
    Base,
}

/// A method without its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MethodKind {
    /// [`Method::Lora`].
    Lora,
    /// [`Method::Dora`].
    Dora,
    /// [`Method::Full`].
    Full,
    /// [`Method::Scratch`].
    Scratch,
    /// [`Method::Base`].
    Base,
}

words!(MethodKind { Lora = "lora", Dora = "dora", Full = "full", Scratch = "scratch", Base = "base" });

impl MethodKind {
    /// Its name in texts.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Lora => "LoRA",
            Self::Dora => "DoRA",
            Self::Full => "full fine-tuning",
            Self::Scratch => "from scratch",
            Self::Base => "base, not trained",
        }
    }

    /// Whether it trains adapters on a frozen base.
    #[must_use]
    pub const fn adapts(self) -> bool {
        match self {
            Self::Lora | Self::Dora => true,
            Self::Full | Self::Scratch | Self::Base => false,
        }
    }

    /// The method that a setting names.
    #[must_use]
    pub fn of_setting(setting: &Setting) -> Option<Self> {
        Value::of(setting)
    }
}

impl Method {
    /// The method of this kind with its default settings.
    #[must_use]
    pub fn of(kind: MethodKind) -> Self {
        match kind {
            MethodKind::Lora => Self::Lora(Lora::default()),
            MethodKind::Dora => Self::Dora(Lora::default()),
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
            Self::Dora(_) => MethodKind::Dora,
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
            Self::Lora(lora) | Self::Dora(lora) => Some(lora),
            Self::Full | Self::Scratch | Self::Base => None,
        }
    }
}

/// An adapter's settings, with PEFT's meaning: `h = W0 x + scale * B A dropout(x)`. DoRA has the same ones.
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
    /// Modules that train as a whole besides the adapters, by name or suffix; [`Lora::HEAD`] is the task's
    /// head. Head modules not listed keep their random initialisation.
    pub modules_to_save: Vec<String>,
    /// Only these layers, counted from 0, get adapters, except on targets given by their whole name; `None` for
    /// all layers. `None` is not written, so that ids of versions without this setting stay the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers_to_transform: Option<Vec<usize>>,
    /// The learning rate of B, and of biases and norms that train besides, over that of all else (LoRA+, Hayou et al.
    /// 2024), as in PEFT's `create_loraplus_optimizer`. One is not written, so that ids stay the same.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub lora_plus: f64,
}

const fn one() -> f64 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
fn is_one(number: &f64) -> bool {
    number.to_bits() == one().to_bits()
}

/// The row of each field of [`Lora`].
pub(super) const LORA_AXES: [Axis; 8] = [
    Axis::new(
        "rank",
        Domain::Count(1, 100_000),
        WithinPack::MayDiffer,
        field!(Lora.rank),
        "LoRA: inner width of the adapter",
    )
    .shown("rank", "r=")
    .leading()
    .called(&[(&["lora_r", "lora_rank", "r", "peft_lora_r"], "")]),
    Axis::new(
        "alpha",
        Domain::Number(Range::Positive),
        WithinPack::MayDiffer,
        field!(Lora.alpha),
        "LoRA: the scale is alpha / rank",
    )
    .shown("alpha", "α=")
    .leading()
    .called(&[(&["lora_alpha", "peft_lora_alpha"], "")]),
    Axis::new(
        "dropout",
        Domain::Number(Range::Share),
        WithinPack::MayDiffer,
        field!(Lora.dropout),
        "LoRA: dropout on the adapter's input",
    )
    .shown("dropout", "dropout ")
    .leading()
    .called(&[(&["lora_dropout", "peft_lora_dropout"], "")]),
    Axis::new(
        "targets",
        Domain::Texts,
        WithinPack::Equal,
        field!(Lora.targets),
        "LoRA: modules with an adapter; all-linear is every linear layer but the output layer or head",
    )
    .called(&[(&["target_modules", "lora_target_modules", "lora_target", "lora_targets"], "")])
    .defaults_to("the architecture's"),
    Axis::new(
        "layers_to_transform",
        Domain::OrNull(&Domain::Counts),
        WithinPack::Equal,
        field!(Lora.layers_to_transform),
        "LoRA: layers, from 0, whose targets get an adapter; null for all of them",
    )
    .shown("layers", "layers ")
    .written(layers),
    Axis::new(
        "modules_to_save",
        Domain::TextsOrNone,
        WithinPack::Equal,
        field!(Lora.modules_to_save),
        "LoRA: modules that train besides the adapters; `head` is the task's head",
    )
    .shown("saved modules", "with ")
    .column("saved_modules")
    .defaults_to("[head]"),
    Axis::new(
        "rslora",
        Domain::Flag,
        WithinPack::MayDiffer,
        field!(Lora.rslora),
        "LoRA: scale by alpha / sqrt(rank)",
    )
    .shown("scale", "")
    .written(scale)
    .called(&[(&["use_rslora"], "")]),
    Axis::new(
        "lora_plus",
        Domain::Number(Range::Positive),
        WithinPack::MayDiffer,
        field!(Lora.lora_plus),
        "LoRA: learning rate of B, and of biases that train, over `learning_rate` (LoRA+)",
    )
    .shown("LoRA+", "LoRA+ ")
    .called(&[(&["loraplus_lr_ratio", "lora_plus_ratio", "lr_ratio"], "")]),
];

fn layers(layers: &Setting) -> String {
    if *layers == Setting::Null { "all".to_owned() } else { layers.to_string() }
}

fn scale(rslora: &Setting) -> String {
    if *rslora == Setting::Flag(true) { "α/√r" } else { "α/r" }.to_owned()
}

impl Default for Lora {
    /// The defaults of a sweep file's adapters; the architecture chooses the targets.
    fn default() -> Self {
        Self::new(&[], 8, 16.0)
    }
}

impl Lora {
    /// The name of the task's head among `modules_to_save`, whatever the architecture calls it.
    pub const HEAD: &'static str = "head";

    /// The word among `targets` for every linear layer of the base, as in PEFT: the pooler's too, but not the
    /// head's or the output layer.
    pub const ALL_LINEAR: &'static str = "all-linear";

    /// Adapters on these modules, with a head that trains as well.
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
            lora_plus: one(),
        }
    }

    /// The same settings with each list sorted and without duplicates; neither changes what is trained.
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

    /// Factor on the adapter's output.
    #[must_use]
    pub fn scale(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "ranks are far below 2^52")]
        let rank = self.rank as f64;
        self.alpha / if self.rslora { rank.sqrt() } else { rank }
    }
}
