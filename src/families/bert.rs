//! Owns the shapes of BERT encoders (Devlin et al. 2019).

use serde::{Deserialize, Serialize};

use super::{Head, Init, TensorShape, linear, norm, table};

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

impl BertConfig {
    pub(super) fn tensors(&self) -> Vec<TensorShape> {
        let (hidden, inner) = (self.hidden_size, self.intermediate_size);
        let fresh = Init::Normal(self.initializer_range);
        let embedding =
            |name: &str, rows: usize| table(&format!("bert.embeddings.{name}.weight"), [rows, hidden], fresh);
        let mut all = vec![
            embedding("word_embeddings", self.vocab_size),
            embedding("position_embeddings", self.max_position_embeddings),
            embedding("token_type_embeddings", self.type_vocab_size),
        ];
        all.extend(norm("bert.embeddings.LayerNorm", hidden));
        for layer in 0..self.num_hidden_layers {
            let prefix = format!("bert.encoder.layer.{layer}");
            for part in ["query", "key", "value"] {
                all.extend(linear(&format!("{prefix}.attention.self.{part}"), [hidden, hidden], fresh));
            }
            all.extend(linear(&format!("{prefix}.attention.output.dense"), [hidden, hidden], fresh));
            all.extend(norm(&format!("{prefix}.attention.output.LayerNorm"), hidden));
            all.extend(linear(&format!("{prefix}.intermediate.dense"), [hidden, inner], fresh));
            all.extend(linear(&format!("{prefix}.output.dense"), [inner, hidden], fresh));
            all.extend(norm(&format!("{prefix}.output.LayerNorm"), hidden));
        }
        all.extend(linear("bert.pooler.dense", [hidden, hidden], fresh));
        all
    }

    pub(super) fn head_tensors(&self, head: Head) -> Vec<TensorShape> {
        match head {
            Head::Classifier { labels } => {
                linear("classifier", [self.hidden_size, labels], Init::Normal(self.initializer_range)).into()
            }
            Head::LanguageModel => Vec::new(),
        }
    }
}
