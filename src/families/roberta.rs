//! Owns RoBERTa encoders (Liu et al. 2019) and those of XLM-R (Conneau et al. 2020) and CamemBERT (Martin et
//! al. 2020), which differ only in their vocabulary: equal to transformers' `RobertaForSequenceClassification`.

use serde::{Deserialize, Serialize};

use super::bert::{self, BertConfig};
use super::blueprint::{Activation, Blueprint, Output};
use super::config::{Common, Variant, WIDEST, parsed};
use super::encoder::Encoder;
use super::family::{About, Family, Name, Pairs, Settable};
use super::numbers::Numbers;
use super::transformers::{Around, OtherHead, Tokenizers, Vocabulary};
use super::{Architecture, Head};

/// A RoBERTa encoder's configuration, with BERT's keys. The rows of its position embedding up to `pad_token_id`
/// are not used for tokens of a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RobertaConfig(BertConfig);

impl Default for RobertaConfig {
    fn default() -> Self {
        Self(BertConfig { vocab_size: 50_265, pad_token_id: 1, ..BertConfig::default() })
    }
}

/// RoBERTa's names, and the keys that a sweep may set; everything else is BERT's.
pub(super) static ABOUT: About = About {
    names: &[
        Name { model_type: "roberta", class: Some("Roberta") },
        Name { model_type: "xlm-roberta", class: Some("XLMRoberta") },
        Name { model_type: "camembert", class: Some("Camembert") },
    ],
    prefix: "roberta.",
    optional: &[],
    same: &[("embeddings.word_embeddings.weight", "lm_head.decoder.weight")],
    others: &[
        OtherHead::masked_words("RobertaForMaskedLM", &["lm_head.dense.weight"]),
        OtherHead::decoder("RobertaForCausalLM"),
    ],
    tokenizers: Some(Tokenizers {
        classes: &["RobertaTokenizer"],
        vocabulary: Vocabulary::Bytes(Around::Tokens(["<pad>", "<unk>", "<s>", "</s>", "<mask>"])),
    }),
    // Its keys are BERT's.
    keys: None,
    read: |json| Ok(Architecture::Roberta(parsed(json)?)),
    drawn: |sizes| {
        let config = RobertaConfig::default().0.with_sizes(sizes)?;
        Some(Architecture::Roberta(RobertaConfig(BertConfig {
            // The same as in `roberta-base`.
            max_position_embeddings: config.max_position_embeddings + config.pad_token_id + 1,
            type_vocab_size: 1,
            layer_norm_eps: 1e-5,
            ..config
        })))
    },
    ..bert::ABOUT
};

impl RobertaConfig {
    fn encoder(&self) -> Encoder<'_> {
        Encoder { prefix: ABOUT.prefix, config: &self.0 }
    }
}

impl Family for RobertaConfig {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    /// Without the pooler, which transformers' classifier does not have either. Its tokenizers give no token
    /// types, whatever `type_vocab_size` is, and the model then takes all of them to be 0.
    fn blueprint(&self) -> Blueprint {
        let mut blueprint = self.encoder().blueprint();
        blueprint.embedding.positions =
            blueprint.embedding.positions.map(|table| table.padded(self.padding()));
        blueprint.embedding.reads_types = false;
        blueprint
    }

    fn output(&self, head: Head) -> Option<Output> {
        match head {
            Head::Classifier { labels } => Some(self.encoder().two_layer_head(labels, Activation::Tanh)),
            Head::Tagger { labels } => Some(self.encoder().tagger(labels)),
            Head::LanguageModel => None,
        }
    }

    fn variant(&self, common: &Common) -> Variant {
        self.0.variant(common)
    }

    fn numbers(&self) -> Numbers {
        let mut numbers = self.0.numbers();
        numbers.sizes.push(("max_position_embeddings - pad_token_id - 1", self.max_length(), WIDEST));
        numbers
    }

    fn max_length(&self) -> usize {
        self.0.max_length().saturating_sub(self.padding().saturating_add(1))
    }

    fn padding(&self) -> usize {
        self.0.padding()
    }

    /// Its tokenizers put two tokens between the texts.
    fn pairs(&self) -> Pairs {
        Pairs::Apart
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
        let all = base.linears(classes).iter().map(|linear| 8 * (linear.d_in + linear.d_out)).sum::<usize>();
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
