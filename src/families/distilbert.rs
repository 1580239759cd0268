//! Owns DistilBERT encoders (Sanh et al. 2019), equal to transformers'
//! `DistilBertForSequenceClassification`.

use serde::{Deserialize, Serialize};

use super::bert;
use super::blueprint::{
    Activation, Attention, Blueprint, Embedding, Gate, Layer, Linear, Mlp, Norm, Output, Projections, Reads,
    Sees, Step, Table, Wiring,
};
use super::config::{self, Common, MOST_LAYERS, MOST_WORDS, Variant, WIDEST, parsed};
use super::family::{About, Family, Keys, Name, Pairs, Settable};
use super::numbers::Numbers;
use super::tensors::Init;
use super::transformers::{OtherHead, Tokenizers};
use super::{Architecture, Head};

/// A DistilBERT encoder's configuration; field names and defaults are those of transformers' `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DistilBertConfig {
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Whether the table of positions starts with sinusoids rather than random values.
    pub sinusoidal_pos_embds: bool,
    /// Encoder layers.
    pub n_layers: usize,
    /// Attention heads; divides `dim`.
    pub n_heads: usize,
    /// Width of the encoder.
    pub dim: usize,
    /// Width of the feed-forward layer.
    pub hidden_dim: usize,
    /// Dropout after embeddings and feed-forward output.
    pub dropout: f64,
    /// Dropout on attention probabilities.
    pub attention_dropout: f64,
    /// Dropout in the classifier.
    pub seq_classif_dropout: f64,
    /// Activation of the feed-forward layer: only `gelu` (exact) is supported.
    pub activation: String,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
    /// Token id of padding.
    pub pad_token_id: usize,
}

impl Default for DistilBertConfig {
    fn default() -> Self {
        Self {
            vocab_size: 30_522,
            max_position_embeddings: 512,
            sinusoidal_pos_embds: false,
            n_layers: 6,
            n_heads: 12,
            dim: 768,
            hidden_dim: 3072,
            dropout: 0.1,
            attention_dropout: 0.1,
            seq_classif_dropout: 0.2,
            activation: "gelu".to_owned(),
            initializer_range: 0.02,
            pad_token_id: 0,
        }
    }
}

/// Epsilon of every norm; no configuration has it.
const NORM_EPSILON: f64 = 1e-12;

/// DistilBERT's names, and the keys that a sweep may set.
pub(super) static ABOUT: About = About {
    names: &[Name { model_type: "distilbert", class: Some("DistilBert") }],
    prefix: "distilbert.",
    optional: &[],
    same: &[("embeddings.word_embeddings.weight", "vocab_projector.weight")],
    others: &[OtherHead::masked_words("DistilBertForMaskedLM", &["vocab_transform.weight"])],
    tokenizers: Some(Tokenizers {
        classes: &["BertTokenizer", "DistilBertTokenizer"],
        vocabulary: bert::VOCABULARY,
    }),
    first_layer: "transformer.layer.0.attention.q_lin.weight",
    width: "dim",
    keys: Some(Keys { all: &["dim", "n_heads", "n_layers", "hidden_dim"], none: &[], unless: &[] }),
    targets: &["q_lin", "v_lin"],
    read: |json| Ok(Architecture::DistilBert(parsed(json)?)),
    drawn: |sizes| {
        let config = DistilBertConfig::default();
        Some(Architecture::DistilBert(DistilBertConfig {
            n_layers: sizes.layers?,
            dim: sizes.hidden?,
            n_heads: sizes.heads?,
            hidden_dim: sizes.intermediate?,
            max_position_embeddings: sizes.positions.unwrap_or(config.max_position_embeddings),
            ..config
        }))
    },
    ..bert::ABOUT
};

impl DistilBertConfig {
    fn linear(&self, name: String, size: [usize; 2]) -> Linear {
        Linear::new(name, size, Init::Normal(self.initializer_range))
    }

    fn norm(&self, name: &str) -> Norm {
        Norm::layer(format!("{}{name}", ABOUT.prefix), self.dim, NORM_EPSILON)
    }

    fn layer(&self, index: usize) -> Layer {
        let (width, inner) = (self.dim, self.hidden_dim);
        let linear =
            |name: &str, size| self.linear(format!("{}transformer.layer.{index}.{name}", ABOUT.prefix), size);
        let projection = |part: &str| linear(&format!("attention.{part}"), [width, width]);
        Layer {
            wiring: Wiring::NormAfter,
            attention: Attention {
                dropout: Some(self.attention_dropout),
                ..Attention::new(
                    self.n_heads,
                    Projections::Separate(["q_lin", "k_lin", "v_lin"].map(projection)),
                    projection("out_lin"),
                )
            },
            attention_norm: Some(self.norm(&format!("transformer.layer.{index}.sa_layer_norm"))),
            mlp: Some(Mlp {
                input: linear("ffn.lin1", [width, inner]),
                gate: Gate::Nothing,
                activation: Activation::Gelu,
                inner_dropout: None,
                output: linear("ffn.lin2", [inner, width]),
                dropout: Some(self.dropout),
            }),
            mlp_norm: Some(self.norm(&format!("transformer.layer.{index}.output_layer_norm"))),
        }
    }
}

impl Family for DistilBertConfig {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn blueprint(&self) -> Blueprint {
        let fresh = Init::Normal(self.initializer_range);
        let table = |name: &str, rows: usize, init| {
            let tensor = format!("{}embeddings.{name}.weight", ABOUT.prefix);
            Table::new(tensor, [rows, self.dim], init)
        };
        let words = table("word_embeddings", self.vocab_size, fresh).padded(self.pad_token_id);
        let places = if self.sinusoidal_pos_embds { Init::Sinusoids } else { fresh };
        let positions = table("position_embeddings", self.max_position_embeddings, places);
        Blueprint {
            embedding: Embedding {
                norm: Some(self.norm("embeddings.LayerNorm")),
                dropout: Some(self.dropout),
                ..Embedding::new(words, positions)
            },
            layers: (0..self.n_layers).map(|index| self.layer(index)).collect(),
            norm: None,
            pooler: Vec::new(),
            sees: Sees::Tokens,
        }
    }

    /// Two linear layers with a ReLU between them, and dropout.
    fn output(&self, head: Head) -> Option<Output> {
        let classes = |labels| Step::Linear(self.linear("classifier".to_owned(), [self.dim, labels]));
        match head {
            Head::Classifier { labels } => {
                let steps = vec![
                    Step::Linear(self.linear("pre_classifier".to_owned(), [self.dim; 2])),
                    Step::Activation(Activation::Relu),
                    Step::Dropout(self.seq_classif_dropout),
                    classes(labels),
                ];
                Some(Output::Text { reads: Reads::First, steps })
            }
            Head::Tagger { labels } => Some(Output::Tokens {
                pooled: false,
                steps: vec![Step::Dropout(self.dropout), classes(labels)],
            }),
            Head::LanguageModel => None,
        }
    }

    fn variant(&self, common: &Common) -> Variant {
        let other = || config::other_activation(&self.activation, ["gelu", "activation `gelu`"]);
        common.not_an_encoder().or_else(other)
    }

    fn numbers(&self) -> Numbers {
        Numbers {
            sizes: vec![
                ("n_layers", self.n_layers, MOST_LAYERS),
                ("dim", self.dim, WIDEST),
                ("n_heads", self.n_heads, WIDEST),
                ("hidden_dim", self.hidden_dim, WIDEST),
                ("max_position_embeddings", self.max_position_embeddings, WIDEST),
                ("vocab_size", self.vocab_size, MOST_WORDS),
            ],
            divisors: vec![[("n_heads", self.n_heads), ("dim", self.dim)]],
            even: Vec::new(),
            shares: vec![
                ("dropout", self.dropout),
                ("attention_dropout", self.attention_dropout),
                ("seq_classif_dropout", self.seq_classif_dropout),
            ],
        }
    }

    fn max_length(&self) -> usize {
        self.max_position_embeddings
    }

    fn padding(&self) -> usize {
        self.pad_token_id
    }

    /// Its tokenizers put a token between the texts.
    fn pairs(&self) -> Pairs {
        Pairs::Apart
    }

    fn settable(&mut self) -> Settable<'_> {
        Settable {
            vocabulary: &mut self.vocab_size,
            layers: Some(&mut self.n_layers),
            hidden_dropouts: vec![&mut self.dropout],
            attention_dropout: Some(&mut self.attention_dropout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::params::count;
    use crate::values::{Lora, Method};

    #[test]
    fn distilbert_base_has_its_published_size() {
        let base = Architecture::from_config(br#"{"model_type": "distilbert"}"#).unwrap();
        let counts = |method: &Method| count(&base, Head::Classifier { labels: 2 }, method);
        let of_base: usize = base.tensors().iter().map(|tensor| tensor.numel()).sum();
        assert_eq!(of_base, 66_362_880);
        assert_eq!(counts(&Method::Full).total, 66_955_010);
        let lora = |rank| Method::Lora(Lora::new(base.default_lora_targets(), rank, 16.0));
        assert_eq!([8, 16].map(|rank| counts(&lora(rank)).adapter), [147_456, 294_912]);
        let head = 768 * 768 + 768 + 2 * 768 + 2;
        assert_eq!(counts(&lora(8)).trainable, 147_456 + head);
    }
    #[test]
    fn only_the_last_layer_of_its_head_has_a_row_for_each_class() {
        let architecture = Architecture::DistilBert(DistilBertConfig::default());
        let by_class = |name: &&str| architecture.is_by_class(Head::Classifier { labels: 2 }, name);
        assert!(["classifier.weight", "classifier.bias"].iter().all(by_class));
        assert!(!["pre_classifier.weight", "pre_classifier.bias"].iter().any(by_class));
    }
}
