//! Owns what BERT has in common with the families made from it: embedding and layers (Devlin et al. 2019),
//! by the names that transformers gives them, and the keys of their configurations.

use super::blueprint::{
    Activation, Attention, Blueprint, Embedding, Layer, Linear, Mlp, Norm, Output, Projections, Reads, Sees,
    Step, Table, Wiring,
};
use super::config::{self, Common, MOST_LAYERS, MOST_WORDS, Numbers, Variant, WIDEST};
use super::tensors::Init;

/// The sizes and constants of an encoder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoder<'a> {
    /// What stands before the names of all its tensors.
    pub(super) prefix: &'static str,
    /// Rows of the tables of words, positions and token types.
    pub(super) rows: [usize; 3],
    /// Token id of padding.
    pub(super) padding: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) hidden: usize,
    pub(super) inner: usize,
    pub(super) activation: &'a str,
    pub(super) epsilon: f64,
    /// Standard deviation of fresh weights.
    pub(super) deviation: f64,
    pub(super) hidden_dropout: f64,
    pub(super) attention_dropout: f64,
    /// In the classifier; that of the layers when absent.
    pub(super) classifier_dropout: Option<f64>,
}

impl Encoder<'_> {
    /// A linear layer of the encoder.
    pub(super) fn linear(&self, name: &str, size: [usize; 2]) -> Linear {
        Linear::new(format!("{}{name}", self.prefix), size, Init::Normal(self.deviation))
    }

    /// The encoder without a pooler, its tables of this width.
    pub(super) fn blueprint(&self, width: usize) -> Blueprint {
        Blueprint {
            embedding: self.embedding(width),
            layers: (0..self.layers).map(|index| self.layer(index)).collect(),
            norm: None,
            pooler: None,
            sees: Sees::Tokens,
        }
    }

    fn embedding(&self, width: usize) -> Embedding {
        let table = |name: &str, rows: usize| {
            let tensor = format!("{}embeddings.{name}.weight", self.prefix);
            Table::new(tensor, [rows, width], Init::Normal(self.deviation))
        };
        let [words, positions, token_types] = self.rows;
        let words = table("word_embeddings", words).padded(self.padding);
        Embedding {
            token_types: Some(table("token_type_embeddings", token_types)),
            norm: Some(Norm::layer(format!("{}embeddings.LayerNorm", self.prefix), width, self.epsilon)),
            dropout: Some(self.hidden_dropout),
            ..Embedding::new(words, table("position_embeddings", positions))
        }
    }

    /// Dropout in front of a classifier's linear layers.
    pub(super) fn classifier_dropout(&self) -> Step {
        Step::Dropout(self.classifier_dropout.unwrap_or(self.hidden_dropout))
    }

    /// A layer of a classifier with so many outputs.
    pub(super) fn of_head(&self, name: &str, outputs: usize) -> Step {
        Step::Linear(Linear::new(name.to_owned(), [self.hidden, outputs], Init::Normal(self.deviation)))
    }

    /// Two linear layers with an activation between them, each behind dropout, over the first token.
    pub(super) fn two_layer_head(&self, labels: usize, activation: Activation) -> Output {
        let steps = vec![
            self.classifier_dropout(),
            self.of_head("classifier.dense", self.hidden),
            Step::Activation(activation),
            self.classifier_dropout(),
            self.of_head("classifier.out_proj", labels),
        ];
        Output::Text { reads: Reads::First, steps }
    }

    /// What a configuration has that would be computed otherwise here.
    pub(super) fn variant(&self, common: &Common) -> Variant {
        let other = || config::other_activation(self.activation, ["gelu", "activation `gelu`"]);
        common.not_an_encoder().or_else(other)
    }

    /// The numbers of a configuration, by BERT's keys.
    pub(super) fn numbers(&self) -> Numbers {
        let [words, positions, token_types] = self.rows;
        Numbers {
            sizes: vec![
                ("num_hidden_layers", self.layers, MOST_LAYERS),
                ("hidden_size", self.hidden, WIDEST),
                ("num_attention_heads", self.heads, WIDEST),
                ("intermediate_size", self.inner, WIDEST),
                ("max_position_embeddings", positions, WIDEST),
                ("type_vocab_size", token_types, WIDEST),
                ("vocab_size", words, MOST_WORDS),
            ],
            heads: Some([("num_attention_heads", self.heads), ("hidden_size", self.hidden)]),
            shares: vec![
                ("hidden_dropout_prob", self.hidden_dropout),
                ("attention_probs_dropout_prob", self.attention_dropout),
                ("classifier_dropout", self.classifier_dropout.unwrap_or_default()),
            ],
        }
    }

    fn layer(&self, index: usize) -> Layer {
        let linear = |name: &str, size| self.linear(&format!("encoder.layer.{index}.{name}"), size);
        let norm = |name: &str| {
            let name = format!("{}encoder.layer.{index}.{name}.LayerNorm", self.prefix);
            Some(Norm::layer(name, self.hidden, self.epsilon))
        };
        let (hidden, inner) = (self.hidden, self.inner);
        let projection = |part: &str| linear(&format!("attention.self.{part}"), [hidden, hidden]);
        Layer {
            wiring: Wiring::NormAfter,
            attention: Attention {
                heads: self.heads,
                projections: Projections::Separate(["query", "key", "value"].map(projection)),
                output: linear("attention.output.dense", [hidden, hidden]),
                dropout: Some(self.attention_dropout),
                output_dropout: Some(self.hidden_dropout),
            },
            attention_norm: norm("attention.output"),
            mlp: Some(Mlp {
                input: linear("intermediate.dense", [hidden, inner]),
                activation: Activation::Gelu,
                output: linear("output.dense", [inner, hidden]),
                dropout: Some(self.hidden_dropout),
            }),
            mlp_norm: norm("output"),
        }
    }
}
