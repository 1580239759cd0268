//! Owns what BERT has in common with the families derived from it: embedding and layers (Devlin et al. 2019),
//! under transformers' names, and the allowed values of their configurations.

use super::bert::BertConfig;
use super::blueprint::{
    Activation, Attention, Blueprint, Embedding, Gate, Layer, Linear, Mlp, Norm, Output, Projections, Reads,
    Sees, Step, Table, Wiring,
};
use super::family::Sizes;
use super::tensors::Init;

/// An encoder as in transformers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoder<'a> {
    /// Prefix of the names of all its tensors.
    pub(super) prefix: &'static str,
    /// Its sizes and constants.
    pub(super) config: &'a BertConfig,
}

impl BertConfig {
    /// The same with a sweep's sizes; `None` where one is missing.
    pub(super) fn with_sizes(self, sizes: &Sizes) -> Option<Self> {
        Some(Self {
            num_hidden_layers: sizes.layers?,
            hidden_size: sizes.hidden?,
            num_attention_heads: sizes.heads?,
            intermediate_size: sizes.intermediate?,
            max_position_embeddings: sizes.positions.unwrap_or(self.max_position_embeddings),
            ..self
        })
    }
}

impl Encoder<'_> {
    /// A linear layer of the encoder.
    pub(super) fn linear(&self, name: &str, size: [usize; 2]) -> Linear {
        Linear::new(format!("{}{name}", self.prefix), size, self.fresh())
    }

    /// Initialisation of its matrices and tables.
    fn fresh(&self) -> Init {
        Init::Normal(self.config.initializer_range)
    }

    /// The encoder without a pooler.
    pub(super) fn blueprint(&self) -> Blueprint {
        Blueprint {
            embedding: self.embedding(),
            layers: (0..self.config.num_hidden_layers).map(|index| self.layer(index)).collect(),
            norm: None,
            pooler: Vec::new(),
            sees: Sees::Tokens,
        }
    }

    /// Tables with a different width are projected to the encoder's.
    fn embedding(&self) -> Embedding {
        let config = self.config;
        let (own, hidden) = (config.embedding_size.unwrap_or(config.hidden_size), config.hidden_size);
        let table = |name: &str, rows: usize| {
            let tensor = format!("{}embeddings.{name}.weight", self.prefix);
            Table::new(tensor, [rows, own], self.fresh())
        };
        let words = table("word_embeddings", config.vocab_size).padded(config.pad_token_id);
        Embedding {
            token_types: Some(table("token_type_embeddings", config.type_vocab_size)),
            reads_types: config.type_vocab_size > 1,
            norm: Some(Norm::layer(
                format!("{}embeddings.LayerNorm", self.prefix),
                own,
                config.layer_norm_eps,
            )),
            dropout: Some(config.hidden_dropout_prob),
            projection: (own != hidden).then(|| self.linear("embeddings_project", [own, hidden])),
            ..Embedding::new(words, table("position_embeddings", config.max_position_embeddings))
        }
    }

    /// Dropout before a classifier's linear layers.
    pub(super) fn classifier_dropout(&self) -> Step {
        Step::Dropout(self.config.classifier_dropout.unwrap_or(self.config.hidden_dropout_prob))
    }

    /// A layer of a classifier with this number of outputs.
    pub(super) fn of_head(&self, name: &str, outputs: usize) -> Step {
        Step::Linear(Linear::new(name.to_owned(), [self.config.hidden_size, outputs], self.fresh()))
    }

    /// A linear layer for each token, after dropout.
    pub(super) fn tagger(&self, labels: usize) -> Output {
        Output::Tokens {
            pooled: false,
            steps: vec![self.classifier_dropout(), self.of_head("classifier", labels)],
        }
    }

    /// Two linear layers with an activation between them, each after dropout, on the first token.
    pub(super) fn two_layer_head(&self, labels: usize, activation: Activation) -> Output {
        let steps = vec![
            self.classifier_dropout(),
            self.of_head("classifier.dense", self.config.hidden_size),
            Step::Activation(activation),
            self.classifier_dropout(),
            self.of_head("classifier.out_proj", labels),
        ];
        Output::Text { reads: Reads::First, steps }
    }

    fn layer(&self, index: usize) -> Layer {
        let config = self.config;
        let linear = |name: &str, size| self.linear(&format!("encoder.layer.{index}.{name}"), size);
        let norm = |name: &str| {
            let name = format!("{}encoder.layer.{index}.{name}.LayerNorm", self.prefix);
            Some(Norm::layer(name, config.hidden_size, config.layer_norm_eps))
        };
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let projection = |part: &str| linear(&format!("attention.self.{part}"), [hidden, hidden]);
        Layer {
            wiring: Wiring::NormAfter,
            attention: Attention {
                dropout: Some(config.attention_probs_dropout_prob),
                output_dropout: Some(config.hidden_dropout_prob),
                ..Attention::new(
                    config.num_attention_heads,
                    Projections::Separate(["query", "key", "value"].map(projection)),
                    linear("attention.output.dense", [hidden, hidden]),
                )
            },
            attention_norm: norm("attention.output"),
            mlp: Some(Mlp {
                input: linear("intermediate.dense", [hidden, inner]),
                gate: Gate::Nothing,
                activation: Activation::Gelu,
                inner_dropout: None,
                output: linear("output.dense", [inner, hidden]),
                dropout: Some(config.hidden_dropout_prob),
            }),
            mlp_norm: norm("output"),
        }
    }
}
