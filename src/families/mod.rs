//! Owns the architectures: their configuration, and the name, shape and start of every tensor.
//!
//! What a `config.json` may say is judged in `config`, for everybody who reads one; `detect` says which
//! family it is of, `classifier` what a finished classifier's classes are.
//!
//! Shapes are the one source for parameter counts, memory estimates and model construction.
//! Nothing here allocates a tensor or reads a file.

mod bert;
mod classifier;
mod config;
mod detect;
mod gpt2;
mod gptmini;
pub mod params;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::bert::BertConfig;
pub use self::classifier::{are_unnamed, classes};
pub use self::config::{ConfigError, MOST_LAYERS, WIDEST};
pub use self::detect::{Evidence, family_of_tensors};
pub use self::gpt2::Gpt2Config;
pub use self::gptmini::GptMiniConfig;
use crate::values::{ContentHash, Lora};

/// A model that trials may start from, as the checked sweep names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// The name given in the sweep's `models`.
    pub name: String,
    /// Where its weights come from.
    pub weights: Weights,
    /// The folder or file with the tokenizer (`tokenizer.json` or `vocab.txt`).
    pub tokenizer: PathBuf,
    /// Hash of the tokenizer's files.
    pub tokenizer_content: ContentHash,
    /// Shapes and constants, with any layer truncation applied.
    pub architecture: Architecture,
    /// What its folder has beside the base model, or lacks of it. Not written where there is nothing to
    /// say of it.
    #[serde(default, skip_serializing_if = "Parts::are_usual")]
    pub parts: Parts,
}

/// What a model folder has beside the base model, or lacks of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Parts {
    /// Modules of the base that its weights lack, by their names in `modules_to_save`: each trial draws
    /// its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fresh: Vec<String>,
    /// The classes that its own classifier tells apart, in the order of its outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
}

impl Parts {
    /// Whether it is a base model, whole and alone.
    #[must_use]
    pub fn are_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// Where a model's starting weights come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Weights {
    /// A folder in transformers' layout.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Hash of the weight files.
        content: ContentHash,
    },
    /// Drawn from a seed: the trial's own for the `scratch` method, this one where the weights are
    /// an untrained base.
    Random {
        /// Seed of the untrained base.
        seed: u64,
    },
    /// Only the configuration is at hand: such a model can be planned with, not trained.
    Absent,
}

/// What a task needs on top of a base model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Head {
    /// Logits for classes.
    Classifier {
        /// Number of classes.
        labels: usize,
    },
    /// Logits for the next token: the output layer is the word embedding, so there is no tensor.
    LanguageModel,
}

/// A model family with its configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "model_type", rename_all = "snake_case")]
pub enum Architecture {
    /// A BERT encoder.
    Bert(BertConfig),
    /// A GPT-2 decoder.
    Gpt2(Gpt2Config),
    /// One block of attention.
    #[serde(rename = "gptmini")]
    GptMini(GptMiniConfig),
}

/// What a tensor is for: decides its weight decay, and whether an adapter fits on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorRole {
    /// A table of vectors, decayed.
    Embedding,
    /// A matrix `[out, in]`, decayed.
    Linear,
    /// A matrix `[in, out]`, as GPT-2 stores them, decayed.
    Conv1d,
    /// An additive bias, not decayed.
    Bias,
    /// A LayerNorm scale, not decayed.
    NormScale,
    /// A LayerNorm shift, not decayed.
    NormShift,
}

impl TensorRole {
    /// Whether weight decay applies.
    #[must_use]
    pub fn decays(self) -> bool {
        match self {
            Self::Embedding | Self::Linear | Self::Conv1d => true,
            Self::Bias | Self::NormScale | Self::NormShift => false,
        }
    }
}

/// How a fresh tensor is filled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// From N(0, s^2), with the standard deviation s.
    Normal(f64),
    /// From U(-b, b), with the bound b.
    Uniform(f64),
    /// With 0.
    Zeros,
    /// With 1.
    Ones,
}

/// One tensor of a model, named as in transformers' state dictionary.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorShape {
    /// Name, for example `bert.encoder.layer.0.attention.self.query.weight`.
    pub name: String,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: TensorRole,
    /// How it starts when it is fresh.
    pub init: Init,
}

impl TensorShape {
    /// Number of elements.
    #[must_use]
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it belongs to a module that `modules` name whole or by its last dotted part or parts.
    fn is_in(&self, modules: &[String]) -> bool {
        let path = format!(".{}", self.name);
        modules.iter().any(|module| path.contains(&format!(".{module}.")))
    }
}

/// A linear layer that an adapter can be put on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinearShape {
    /// Module name without `.weight`.
    pub name: String,
    /// Input width.
    pub d_in: usize,
    /// Output width.
    pub d_out: usize,
}

/// The sizes of an architecture's stack of attention layers, for estimates of cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Layers.
    pub layers: usize,
    /// Width of the activations.
    pub width: usize,
    /// Width of the feed-forward layers; 0 where there are none.
    pub inner: usize,
    /// Attention heads per layer.
    pub heads: usize,
}

impl Architecture {
    /// Every tensor of the base model (without a task head), in a stable order.
    #[must_use]
    pub fn tensors(&self) -> Vec<TensorShape> {
        match self {
            Self::Bert(config) => config.tensors(),
            Self::Gpt2(config) => config.tensors(),
            Self::GptMini(config) => config.tensors(),
        }
    }

    /// What a whole model's weight file puts before the base model's names, and the base model's own
    /// file leaves out.
    #[must_use]
    pub fn base_prefix(&self) -> &'static str {
        match self {
            Self::Bert(_) => "bert.",
            Self::Gpt2(_) => "transformer.",
            Self::GptMini(_) => "",
        }
    }

    /// The module of a base model's tensor, where weights may be without it and a fresh one takes its
    /// place, as in transformers: the pooler, which masked language models do not have.
    #[must_use]
    pub fn optional_module_of(&self, tensor: &str) -> Option<&'static str> {
        match self {
            Self::Bert(_) => tensor.starts_with("bert.pooler.").then_some("pooler"),
            Self::Gpt2(_) | Self::GptMini(_) => None,
        }
    }

    /// Whether the family can have this head.
    #[must_use]
    pub fn supports(&self, head: Head) -> bool {
        match (self, head) {
            (_, Head::Classifier { .. }) | (Self::Gpt2(_), Head::LanguageModel) => true,
            (Self::Bert(_) | Self::GptMini(_), Head::LanguageModel) => false,
        }
    }

    /// The head's tensors.
    #[must_use]
    pub fn head_tensors(&self, head: Head) -> Vec<TensorShape> {
        match self {
            Self::Bert(config) => config.head_tensors(head),
            Self::Gpt2(config) => config.head_tensors(head),
            Self::GptMini(config) => config.head_tensors(head),
        }
    }

    /// The linear layers that `targets` select: a target matches a module's whole name or its
    /// last dotted part or parts, as in PEFT.
    #[must_use]
    pub fn lora_targets(&self, targets: &[String]) -> Vec<LinearShape> {
        let is_chosen = |name: &str| {
            targets.iter().any(|target| {
                name.strip_suffix(target.as_str())
                    .is_some_and(|before| before.is_empty() || before.ends_with('.'))
            })
        };
        let layers = self.tensors().into_iter().filter_map(|t| {
            let (d_in, d_out) = match t.role {
                TensorRole::Linear => (t.shape[1], t.shape[0]),
                TensorRole::Conv1d => (t.shape[0], t.shape[1]),
                TensorRole::Embedding | TensorRole::Bias | TensorRole::NormScale | TensorRole::NormShift => {
                    return None;
                }
            };
            Some(LinearShape { name: t.name.strip_suffix(".weight")?.to_owned(), d_in, d_out })
        });
        layers.filter(|layer| is_chosen(&layer.name)).collect()
    }

    /// The tensors of base and head in the modules that `modules` select, by whole name or last dotted
    /// part or parts as in PEFT's `modules_to_save`; [`Lora::HEAD`] is the whole head.
    #[must_use]
    pub fn saved_tensors(&self, head: Head, modules: &[String]) -> Vec<TensorShape> {
        let whole_head = modules.iter().any(|module| module == Lora::HEAD);
        let base = self.tensors().into_iter().filter(|tensor| tensor.is_in(modules));
        let head = self.head_tensors(head).into_iter();
        base.chain(head.filter(|tensor| whole_head || tensor.is_in(modules))).collect()
    }

    /// PEFT's default target modules for this family.
    #[must_use]
    pub fn default_lora_targets(&self) -> &'static [&'static str] {
        match self {
            Self::Bert(_) | Self::GptMini(_) => &["query", "value"],
            Self::Gpt2(_) => &["c_attn"],
        }
    }

    /// Longest sequence the model can read, in tokens.
    #[must_use]
    pub fn max_length(&self) -> usize {
        match self {
            Self::Bert(config) => config.max_position_embeddings,
            Self::Gpt2(config) => config.n_positions,
            Self::GptMini(config) => config.length,
        }
    }

    /// Rows of the word embedding.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        match self {
            Self::Bert(config) => config.vocab_size,
            Self::Gpt2(config) => config.vocab_size,
            Self::GptMini(config) => config.vocab_size,
        }
    }

    /// Token id that fills rows up.
    #[must_use]
    pub fn padding(&self) -> usize {
        match self {
            Self::Bert(config) => config.pad_token_id,
            Self::Gpt2(config) => config.pad_token_id.unwrap_or(0),
            Self::GptMini(config) => config.pad_token_id,
        }
    }

    /// The sizes of its attention layers.
    #[must_use]
    pub fn stack(&self) -> Stack {
        match self {
            Self::Bert(config) => Stack {
                layers: config.num_hidden_layers,
                width: config.hidden_size,
                inner: config.intermediate_size,
                heads: config.num_attention_heads,
            },
            Self::Gpt2(config) => Stack {
                layers: config.n_layer,
                width: config.n_embd,
                inner: config.inner(),
                heads: config.n_head,
            },
            Self::GptMini(config) => Stack { layers: 1, width: config.hidden_size, inner: 0, heads: 1 },
        }
    }
}

fn tensor(name: &str, shape: &[usize], role: TensorRole, init: Init) -> TensorShape {
    TensorShape { name: name.to_owned(), shape: shape.to_vec(), role, init }
}

fn table(name: &str, shape: [usize; 2], init: Init) -> TensorShape {
    tensor(name, &shape, TensorRole::Embedding, init)
}

fn matrix(name: &str, shape: [usize; 2], init: Init) -> TensorShape {
    tensor(name, &shape, TensorRole::Linear, init)
}

fn bias(name: &str, width: usize) -> TensorShape {
    tensor(&format!("{name}.bias"), &[width], TensorRole::Bias, Init::Zeros)
}

fn linear(name: &str, [d_in, d_out]: [usize; 2], init: Init) -> [TensorShape; 2] {
    [matrix(&format!("{name}.weight"), [d_out, d_in], init), bias(name, d_out)]
}

fn conv1d(name: &str, [d_in, d_out]: [usize; 2], init: Init) -> [TensorShape; 2] {
    let weight = tensor(&format!("{name}.weight"), &[d_in, d_out], TensorRole::Conv1d, init);
    [weight, bias(name, d_out)]
}

fn norm(name: &str, width: usize) -> [TensorShape; 2] {
    [
        tensor(&format!("{name}.weight"), &[width], TensorRole::NormScale, Init::Ones),
        tensor(&format!("{name}.bias"), &[width], TensorRole::NormShift, Init::Zeros),
    ]
}
