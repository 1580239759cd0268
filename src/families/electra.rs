//! Owns ELECTRA encoders (Clark et al. 2020), equal to transformers' `ElectraForSequenceClassification`.

use serde::{Deserialize, Serialize};

use super::bert::{self, BertConfig};
use super::blueprint::{Activation, Blueprint, Output};
use super::config::{Common, Variant, parsed};
use super::encoder::Encoder;
use super::family::{About, Family, Name, Pairs, Settable};
use super::numbers::Numbers;
use super::transformers::{OtherHead, Tokenizers};
use super::{Architecture, Head};

/// An ELECTRA encoder's configuration: BERT's keys, and a separate width of the embedding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ElectraConfig(BertConfig);

impl Default for ElectraConfig {
    fn default() -> Self {
        Self(BertConfig {
            embedding_size: Some(128),
            hidden_size: 256,
            num_attention_heads: 4,
            intermediate_size: 1024,
            ..BertConfig::default()
        })
    }
}

/// ELECTRA's names, and the keys that a sweep may set; everything else is BERT's.
pub(super) static ABOUT: About = About {
    names: &[Name { model_type: "electra", class: Some("Electra") }],
    prefix: "electra.",
    optional: &[],
    same: &[("embeddings.word_embeddings.weight", "generator_lm_head.weight")],
    others: &[OtherHead {
        class: "ElectraForPreTraining",
        tensors: &["discriminator_predictions.dense.weight"],
        called: "model for replaced words",
        does: "it tells which words of a text were replaced",
    }],
    tokenizers: Some(Tokenizers {
        classes: &["BertTokenizer", "ElectraTokenizer"],
        vocabulary: bert::VOCABULARY,
    }),
    // Several families have the same keys.
    keys: None,
    read: |json| Ok(Architecture::Electra(parsed(json)?)),
    drawn: |sizes| {
        let config = ElectraConfig::default().0.with_sizes(sizes)?;
        let embedding_size = Some(config.hidden_size);
        Some(Architecture::Electra(ElectraConfig(BertConfig { embedding_size, ..config })))
    },
    ..bert::ABOUT
};

impl ElectraConfig {
    fn encoder(&self) -> Encoder<'_> {
        Encoder { prefix: ABOUT.prefix, config: &self.0 }
    }
}

impl Family for ElectraConfig {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn blueprint(&self) -> Blueprint {
        self.encoder().blueprint()
    }

    fn output(&self, head: Head) -> Option<Output> {
        match head {
            Head::Classifier { labels } => Some(self.encoder().two_layer_head(labels, Activation::Gelu)),
            Head::Tagger { labels } => Some(self.encoder().tagger(labels)),
            Head::LanguageModel => None,
        }
    }

    fn variant(&self, common: &Common) -> Variant {
        self.0.variant(common)
    }

    fn numbers(&self) -> Numbers {
        self.0.numbers()
    }

    fn max_length(&self) -> usize {
        self.0.max_length()
    }

    fn padding(&self) -> usize {
        self.0.padding()
    }

    fn pairs(&self) -> Pairs {
        self.0.pairs()
    }

    fn settable(&mut self) -> Settable<'_> {
        self.0.settable()
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
