//! Owns the architectures: their configuration, and the name and shape of every tensor.
//!
//! Shapes are the one source for parameter counts, memory estimates and model construction.
//! Nothing here allocates a tensor or reads a file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::content::ContentHash;

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
}

/// A BERT encoder's configuration; field names and defaults are those of transformers' `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BertConfig {
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Width of the encoder.
    pub hidden_size: usize,
    /// Encoder layers.
    pub num_hidden_layers: usize,
    /// Attention heads; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Rows of the token-type embedding.
    pub type_vocab_size: usize,
    /// Dropout after embeddings, attention output and feed-forward output.
    pub hidden_dropout_prob: f64,
    /// Dropout on attention probabilities.
    pub attention_probs_dropout_prob: f64,
    /// Dropout before the classifier; `hidden_dropout_prob` when absent.
    pub classifier_dropout: Option<f64>,
    /// Epsilon of every LayerNorm.
    pub layer_norm_eps: f64,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
    /// Activation of the feed-forward layer: only `gelu` (exact) is supported.
    pub hidden_act: String,
    /// Token id of padding.
    pub pad_token_id: usize,
}

impl Default for BertConfig {
    fn default() -> Self {
        Self {
            vocab_size: 30_522,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            hidden_dropout_prob: 0.1,
            attention_probs_dropout_prob: 0.1,
            classifier_dropout: None,
            layer_norm_eps: 1e-12,
            initializer_range: 0.02,
            hidden_act: "gelu".to_owned(),
            pad_token_id: 0,
        }
    }
}

/// What a tensor is for: decides its initialisation and its weight decay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorRole {
    /// A matrix or embedding: drawn from N(0, `initializer_range`), decayed.
    Matrix,
    /// An additive bias: zero at first, not decayed.
    Bias,
    /// A LayerNorm scale: one at first, not decayed.
    NormScale,
    /// A LayerNorm shift: zero at first, not decayed.
    NormShift,
}

/// One tensor of a model, named as in transformers' state dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorShape {
    /// Name, for example `bert.encoder.layer.0.attention.self.query.weight`.
    pub name: String,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: TensorRole,
}

impl TensorShape {
    /// Number of elements.
    #[must_use]
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
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

impl Architecture {
    /// Every tensor of the base model (without a task head), in a stable order.
    #[must_use]
    pub fn tensors(&self) -> Vec<TensorShape> {
        match self {
            Self::Bert(config) => config.tensors(),
        }
    }

    /// What a whole model's weight file puts before the base model's names, and the base model's own
    /// file leaves out.
    #[must_use]
    pub fn base_prefix(&self) -> &'static str {
        match self {
            Self::Bert(_) => "bert.",
        }
    }

    /// The head's tensors.
    #[must_use]
    pub fn head_tensors(&self, head: Head) -> Vec<TensorShape> {
        match (self, head) {
            (Self::Bert(config), Head::Classifier { labels }) => vec![
                tensor("classifier.weight", &[labels, config.hidden_size], TensorRole::Matrix),
                tensor("classifier.bias", &[labels], TensorRole::Bias),
            ],
            (Self::Bert(_), Head::LanguageModel) => Vec::new(),
        }
    }

    /// The linear layers that `targets` select: a target matches a module's whole name or its
    /// last dotted part or parts, as in PEFT.
    #[must_use]
    pub fn lora_targets(&self, targets: &[String]) -> Vec<LinearShape> {
        self.tensors()
            .into_iter()
            .filter(|t| t.role == TensorRole::Matrix && t.shape.len() == 2 && !t.name.contains("embeddings"))
            .filter_map(|t| {
                let name = t.name.strip_suffix(".weight")?.to_owned();
                let chosen = targets.iter().any(|target| {
                    name.strip_suffix(target.as_str())
                        .is_some_and(|head| head.is_empty() || head.ends_with('.'))
                });
                chosen.then(|| LinearShape { name, d_in: t.shape[1], d_out: t.shape[0] })
            })
            .collect()
    }

    /// PEFT's default target modules for this family.
    #[must_use]
    pub fn default_lora_targets(&self) -> &'static [&'static str] {
        match self {
            Self::Bert(_) => &["query", "value"],
        }
    }

    /// Longest sequence the model can read, in tokens.
    #[must_use]
    pub fn max_length(&self) -> usize {
        match self {
            Self::Bert(config) => config.max_position_embeddings,
        }
    }

    /// Rows of the word embedding.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        match self {
            Self::Bert(config) => config.vocab_size,
        }
    }
}

fn tensor(name: &str, shape: &[usize], role: TensorRole) -> TensorShape {
    TensorShape { name: name.to_owned(), shape: shape.to_vec(), role }
}

impl BertConfig {
    fn tensors(&self) -> Vec<TensorShape> {
        let (hidden, inner) = (self.hidden_size, self.intermediate_size);
        let embedding = |name: &str, rows: usize| {
            tensor(&format!("bert.embeddings.{name}.weight"), &[rows, hidden], TensorRole::Matrix)
        };
        let mut all = vec![
            embedding("word_embeddings", self.vocab_size),
            embedding("position_embeddings", self.max_position_embeddings),
            embedding("token_type_embeddings", self.type_vocab_size),
        ];
        push_norm(&mut all, "bert.embeddings.LayerNorm", hidden);
        for layer in 0..self.num_hidden_layers {
            let prefix = format!("bert.encoder.layer.{layer}");
            for part in ["query", "key", "value"] {
                push_linear(&mut all, &format!("{prefix}.attention.self.{part}"), hidden, hidden);
            }
            push_linear(&mut all, &format!("{prefix}.attention.output.dense"), hidden, hidden);
            push_norm(&mut all, &format!("{prefix}.attention.output.LayerNorm"), hidden);
            push_linear(&mut all, &format!("{prefix}.intermediate.dense"), hidden, inner);
            push_linear(&mut all, &format!("{prefix}.output.dense"), inner, hidden);
            push_norm(&mut all, &format!("{prefix}.output.LayerNorm"), hidden);
        }
        push_linear(&mut all, "bert.pooler.dense", hidden, hidden);
        all
    }
}

fn push_linear(all: &mut Vec<TensorShape>, name: &str, d_in: usize, d_out: usize) {
    all.push(tensor(&format!("{name}.weight"), &[d_out, d_in], TensorRole::Matrix));
    all.push(tensor(&format!("{name}.bias"), &[d_out], TensorRole::Bias));
}

fn push_norm(all: &mut Vec<TensorShape>, name: &str, width: usize) {
    all.push(tensor(&format!("{name}.weight"), &[width], TensorRole::NormScale));
    all.push(tensor(&format!("{name}.bias"), &[width], TensorRole::NormShift));
}
