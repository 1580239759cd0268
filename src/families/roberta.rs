//! Owns RoBERTa encoders (Liu et al. 2019) and those of XLM-R (Conneau et al. 2020) and CamemBERT (Martin et
//! al. 2020), which differ in words alone: equal to transformers' `RobertaForSequenceClassification`.

use serde::{Deserialize, Serialize};

use super::blueprint::{Activation, Blueprint, Embedding, Linear, Output, Reads, Sees, Step};
use super::config::{self, Common, MOST_LAYERS, MOST_WORDS, Numbers, Variant, WIDEST, parsed};
use super::encoder::Encoder;
use super::family::{About, Dropouts, Family, Name, Pairs};
use super::tensors::Init;
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
    fn encoder(&self) -> Encoder {
        Encoder {
            prefix: ABOUT.prefix,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            hidden: self.hidden_size,
            inner: self.intermediate_size,
            epsilon: self.layer_norm_eps,
            deviation: self.initializer_range,
            hidden_dropout: self.hidden_dropout_prob,
            attention_dropout: self.attention_probs_dropout_prob,
        }
    }
}

impl Family for RobertaConfig {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    /// Without the pooler, which transformers' classifier does not have either.
    fn blueprint(&self) -> Blueprint {
        let encoder = self.encoder();
        let rows = [self.vocab_size, self.max_position_embeddings, self.type_vocab_size];
        let embedding = encoder.embedding(rows, self.hidden_size, self.pad_token_id);
        let positions = embedding.positions.padded(self.pad_token_id);
        Blueprint {
            embedding: Embedding { positions, ..embedding },
            layers: encoder.layers(),
            norm: None,
            pooler: None,
            sees: Sees::Tokens,
        }
    }

    /// Two linear layers with a tanh between them, each behind dropout.
    fn output(&self, head: Head) -> Option<Output> {
        let Head::Classifier { labels } = head else { return None };
        let linear = |name: &str, outputs: usize| {
            let name = format!("classifier.{name}");
            Step::Linear(Linear::new(name, [self.hidden_size, outputs], Init::Normal(self.initializer_range)))
        };
        let dropout = Step::Dropout(self.classifier_dropout.unwrap_or(self.hidden_dropout_prob));
        let steps = vec![
            dropout.clone(),
            linear("dense", self.hidden_size),
            Step::Activation(Activation::Tanh),
            dropout,
            linear("out_proj", labels),
        ];
        Some(Output::Text { reads: Reads::First, steps })
    }

    fn variant(&self, common: &Common) -> Variant {
        common
            .not_an_encoder()
            .or_else(|| config::other_activation(&self.hidden_act, ["gelu", "activation `gelu`"]))
    }

    fn numbers(&self) -> Numbers {
        Numbers {
            sizes: vec![
                ("num_hidden_layers", self.num_hidden_layers, MOST_LAYERS),
                ("hidden_size", self.hidden_size, WIDEST),
                ("num_attention_heads", self.num_attention_heads, WIDEST),
                ("intermediate_size", self.intermediate_size, WIDEST),
                ("type_vocab_size", self.type_vocab_size, WIDEST),
                ("vocab_size", self.vocab_size, MOST_WORDS),
                ("max_position_embeddings", self.max_position_embeddings, WIDEST),
                ("max_position_embeddings - pad_token_id - 1", self.max_length(), WIDEST),
            ],
            heads: Some([
                ("num_attention_heads", self.num_attention_heads),
                ("hidden_size", self.hidden_size),
            ]),
            shares: vec![
                ("hidden_dropout_prob", self.hidden_dropout_prob),
                ("attention_probs_dropout_prob", self.attention_probs_dropout_prob),
                ("classifier_dropout", self.classifier_dropout.unwrap_or_default()),
            ],
        }
    }

    fn vocab_size(&self) -> usize {
        self.vocab_size
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

    fn set_vocabulary(&mut self, rows: usize) {
        self.vocab_size = rows;
    }

    fn layers(&self) -> usize {
        self.num_hidden_layers
    }

    fn layers_mut(&mut self) -> Option<&mut usize> {
        Some(&mut self.num_hidden_layers)
    }

    fn set_dropouts(&mut self, dropouts: Dropouts) {
        self.hidden_dropout_prob = dropouts.hidden.unwrap_or(self.hidden_dropout_prob);
        self.attention_probs_dropout_prob = dropouts.attention.unwrap_or(self.attention_probs_dropout_prob);
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
