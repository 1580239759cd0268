//! Owns ELECTRA encoders (Clark et al. 2020), equal to transformers' `ElectraForSequenceClassification`.

use serde::{Deserialize, Serialize};

use super::blueprint::{Activation, Blueprint, Output};
use super::config::{Common, Numbers, Variant, WIDEST, parsed};
use super::encoder::Encoder;
use super::family::{About, Family, Name, Pairs, Settable};
use super::{Architecture, Head};

/// An ELECTRA encoder's configuration; field names and defaults are those of transformers' `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ElectraConfig {
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Width of the embedding.
    pub embedding_size: usize,
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
    /// Dropout in the classifier; `hidden_dropout_prob` when absent.
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

impl Default for ElectraConfig {
    fn default() -> Self {
        Self {
            vocab_size: 30_522,
            embedding_size: 128,
            hidden_size: 256,
            num_hidden_layers: 12,
            num_attention_heads: 4,
            intermediate_size: 1024,
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

/// What ELECTRA is called, and what a sweep may say of one.
pub(super) static ABOUT: About = About {
    names: &[Name { model_type: "electra", class: Some("Electra") }],
    language_model: None,
    prefix: "electra.",
    optional: &[],
    same: &[("embeddings.word_embeddings.weight", "generator_lm_head.weight")],
    first_layer: "encoder.layer.0.attention.self.query.weight",
    width: "hidden_size",
    // Several families have its keys.
    keys: None,
    targets: &["query", "value"],
    sizes: &["layers", "heads", "intermediate", "positions", "hidden_dropout", "attention_dropout"],
    needed: &["layers", "hidden", "heads", "intermediate"],
    read: |json| Ok(Architecture::Electra(parsed(json)?)),
    drawn: |sizes| {
        let config = ElectraConfig::default();
        let hidden = sizes.hidden?;
        Some(Architecture::Electra(ElectraConfig {
            num_hidden_layers: sizes.layers?,
            hidden_size: hidden,
            embedding_size: hidden,
            num_attention_heads: sizes.heads?,
            intermediate_size: sizes.intermediate?,
            max_position_embeddings: sizes.positions.unwrap_or(config.max_position_embeddings),
            ..config
        }))
    },
};

impl ElectraConfig {
    fn encoder(&self) -> Encoder<'_> {
        Encoder {
            prefix: ABOUT.prefix,
            rows: [self.vocab_size, self.max_position_embeddings, self.type_vocab_size],
            padding: self.pad_token_id,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            hidden: self.hidden_size,
            inner: self.intermediate_size,
            activation: &self.hidden_act,
            epsilon: self.layer_norm_eps,
            deviation: self.initializer_range,
            hidden_dropout: self.hidden_dropout_prob,
            attention_dropout: self.attention_probs_dropout_prob,
            classifier_dropout: self.classifier_dropout,
        }
    }
}

impl Family for ElectraConfig {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn blueprint(&self) -> Blueprint {
        let (encoder, sizes) = (self.encoder(), [self.embedding_size, self.hidden_size]);
        let mut blueprint = encoder.blueprint(self.embedding_size);
        blueprint.embedding.projection =
            (sizes[0] != sizes[1]).then(|| encoder.linear("embeddings_project", sizes));
        blueprint
    }

    fn output(&self, head: Head) -> Option<Output> {
        let Head::Classifier { labels } = head else { return None };
        Some(self.encoder().two_layer_head(labels, Activation::Gelu))
    }

    fn variant(&self, common: &Common) -> Variant {
        self.encoder().variant(common)
    }

    fn numbers(&self) -> Numbers {
        let mut numbers = self.encoder().numbers();
        numbers.sizes.push(("embedding_size", self.embedding_size, WIDEST));
        numbers
    }

    fn max_length(&self) -> usize {
        self.max_position_embeddings
    }

    fn padding(&self) -> usize {
        self.pad_token_id
    }

    fn pairs(&self) -> Pairs {
        if self.type_vocab_size > 1 {
            Pairs::Apart
        } else {
            Pairs::Refused { reason: "its `type_vocab_size` is 1".to_owned() }
        }
    }

    fn settable(&mut self) -> Settable<'_> {
        Settable {
            vocabulary: &mut self.vocab_size,
            layers: Some(&mut self.num_hidden_layers),
            hidden_dropouts: vec![&mut self.hidden_dropout_prob],
            attention_dropout: Some(&mut self.attention_probs_dropout_prob),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::params::count;
    use crate::values::{Lora, Method};

    /// As `google/electra-small-discriminator` and `google/electra-base-discriminator` say.
    #[test]
    fn both_sizes_have_as_many_parameters_as_transformers_counts() {
        let small = r#"{"model_type": "electra", "embedding_size": 128, "hidden_size": 256, "num_attention_heads": 4}"#;
        let base = r#"{"model_type": "electra", "embedding_size": 768, "hidden_size": 768,
            "num_attention_heads": 12, "intermediate_size": 3072}"#;
        for (json, of_base, total, adapter) in
            [(small, 13_483_008, 13_549_314, 98_304), (base, 108_891_648, 109_483_778, 294_912)]
        {
            let architecture = Architecture::from_config(json.as_bytes()).unwrap();
            let counts = |method: &Method| count(&architecture, Head::Classifier { labels: 2 }, method);
            assert_eq!(architecture.tensors().iter().map(|tensor| tensor.numel()).sum::<usize>(), of_base);
            assert_eq!(counts(&Method::Full).total, total);
            let lora = Lora::new(architecture.default_lora_targets(), 8, 16.0);
            assert_eq!(counts(&Method::Lora(lora)).adapter, adapter);
        }
    }
}
