//! Owns RoBERTa encoders (Liu et al. 2019) and those of XLM-R (Conneau et al. 2020) and CamemBERT (Martin et
//! al. 2020), which differ in words alone: equal to transformers' `RobertaForSequenceClassification`.

use serde::{Deserialize, Serialize};

use super::blueprint::{Activation, Blueprint, Output};
use super::config::{Common, Numbers, Variant, WIDEST, parsed};
use super::encoder::Encoder;
use super::family::{About, Family, Name, Pairs, Settable};
use super::{Architecture, Head};

/// A RoBERTa encoder's configuration; field names and defaults are those of transformers' `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RobertaConfig {
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
    /// Rows of the position embedding. Those up to `pad_token_id` belong to no token of a text.
    pub max_position_embeddings: usize,
    /// Rows of the token-type embedding, of which only the first is used.
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
    /// Token id of padding, and the row of its position.
    pub pad_token_id: usize,
}

impl Default for RobertaConfig {
    fn default() -> Self {
        Self {
            vocab_size: 50_265,
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
            pad_token_id: 1,
        }
    }
}

/// What RoBERTa is called, and what a sweep may say of one.
pub(super) static ABOUT: About = About {
    names: &[
        Name { model_type: "roberta", class: Some("Roberta") },
        Name { model_type: "xlm-roberta", class: Some("XLMRoberta") },
        Name { model_type: "camembert", class: Some("Camembert") },
    ],
    language_model: None,
    prefix: "roberta.",
    optional: &[],
    same: &[("embeddings.word_embeddings.weight", "lm_head.decoder.weight")],
    first_layer: "encoder.layer.0.attention.self.query.weight",
    width: "hidden_size",
    // Its keys are BERT's.
    keys: None,
    targets: &["query", "value"],
    sizes: &["layers", "heads", "intermediate", "positions", "hidden_dropout", "attention_dropout"],
    needed: &["layers", "hidden", "heads", "intermediate"],
    read: |json| Ok(Architecture::Roberta(parsed(json)?)),
    drawn: |sizes| {
        let config = RobertaConfig::default();
        let positions = sizes.positions.unwrap_or(config.max_position_embeddings);
        Some(Architecture::Roberta(RobertaConfig {
            num_hidden_layers: sizes.layers?,
            hidden_size: sizes.hidden?,
            num_attention_heads: sizes.heads?,
            intermediate_size: sizes.intermediate?,
            // As `roberta-base` has them.
            max_position_embeddings: positions + config.pad_token_id + 1,
            type_vocab_size: 1,
            layer_norm_eps: 1e-5,
            ..config
        }))
    },
};

impl RobertaConfig {
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

impl Family for RobertaConfig {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    /// Without the pooler, which transformers' classifier does not have either.
    fn blueprint(&self) -> Blueprint {
        let mut blueprint = self.encoder().blueprint(self.hidden_size);
        blueprint.embedding.positions.padding = Some(self.pad_token_id);
        blueprint
    }

    fn output(&self, head: Head) -> Option<Output> {
        let Head::Classifier { labels } = head else { return None };
        Some(self.encoder().two_layer_head(labels, Activation::Tanh))
    }

    fn variant(&self, common: &Common) -> Variant {
        self.encoder().variant(common)
    }

    fn numbers(&self) -> Numbers {
        let mut numbers = self.encoder().numbers();
        numbers.sizes.push(("max_position_embeddings - pad_token_id - 1", self.max_length(), WIDEST));
        numbers
    }

    fn max_length(&self) -> usize {
        self.max_position_embeddings.saturating_sub(self.pad_token_id.saturating_add(1))
    }

    fn padding(&self) -> usize {
        self.pad_token_id
    }

    /// Its tokenizers put two tokens between the texts.
    fn pairs(&self) -> Pairs {
        Pairs::Apart
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

    #[test]
    fn roberta_base_has_its_published_size() {
        let json = r#"{"model_type": "roberta", "max_position_embeddings": 514, "type_vocab_size": 1,
            "layer_norm_eps": 1e-5}"#;
        let base = Architecture::from_config(json.as_bytes()).unwrap();
        let classes = Head::Classifier { labels: 2 };
        let counts = |method: &Method| count(&base, classes, method);
        // Published is the base with its pooler, which the classifier lacks.
        let of_base: usize = base.tensors().iter().map(|tensor| tensor.numel()).sum();
        assert_eq!(of_base + 768 * 768 + 768, 124_645_632);
        assert_eq!(counts(&Method::Full).total, 124_647_170);
        let targets = base.default_lora_targets();
        assert_eq!(counts(&Method::Lora(Lora::new(targets, 8, 16.0))).adapter, 294_912);
        assert_eq!(counts(&Method::Lora(Lora::new(targets, 16, 16.0))).adapter, 589_824);
        let all = base.linears().iter().map(|linear| 8 * (linear.d_in + linear.d_out)).sum::<usize>();
        assert_eq!(all, 1_327_104);
        assert_eq!((base.max_length(), base.padding()), (512, 1));
    }

    #[test]
    fn its_sisters_are_read_as_it_is() {
        for name in ["roberta", "xlm-roberta", "camembert"] {
            let json = format!(r#"{{"model_type": "{name}", "vocab_size": 250002}}"#);
            let architecture = Architecture::from_config(json.as_bytes()).unwrap();
            assert_eq!(architecture.vocab_size(), 250_002);
            assert_eq!(architecture.about().name(), "roberta");
        }
        let about = Architecture::Roberta(RobertaConfig::default()).about();
        let class = |named| about.class(named, Head::Classifier { labels: 2 }).unwrap();
        assert_eq!(class(Some("xlm-roberta")), "XLMRobertaForSequenceClassification");
        assert_eq!(class(None), "RobertaForSequenceClassification");
        let short = br#"{"model_type": "roberta", "max_position_embeddings": 2}"#;
        assert!(Architecture::from_config(short).unwrap_err().to_string().contains("is 0"));
    }
}
