//! Owns BERT encoders (Devlin et al. 2019), equal to transformers' `BertForSequenceClassification`, and the
//! keys of configurations that families derived from BERT share.

use serde::{Deserialize, Serialize};

use super::blueprint::{Activation, Blueprint, Output, Reads, Step};
use super::config::{self, Common, MOST_LAYERS, MOST_WORDS, Variant, WIDEST, parsed};
use super::encoder::Encoder;
use super::family::{About, Family, Keys, Name, Pairs, Settable};
use super::numbers::Numbers;
use super::transformers::{OtherHead, Tokenizers, Vocabulary};
use super::{Architecture, Head};

/// The configuration of a BERT encoder, or of an encoder of a derived family; field names and defaults are
/// those of transformers' `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BertConfig {
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Width of the embedding, in families where it may differ from the encoder's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_size: Option<usize>,
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
            embedding_size: None,
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

/// BERT's vocabulary; a text that contains a special token has it as that token.
pub(super) const VOCABULARY: Vocabulary = Vocabulary::Pieces(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]);

/// BERT's names, and the keys that a sweep may set.
pub(super) const ABOUT: About = About {
    names: &[Name { model_type: "bert", class: Some("Bert") }],
    language_model: None,
    prefix: "bert.",
    optional: &[("bert.pooler.", "pooler")],
    same: &[("embeddings.word_embeddings.weight", "cls.predictions.decoder.weight")],
    others: &[
        OtherHead::masked_words(
            "BertForMaskedLM",
            &["cls.predictions.transform.dense.weight", "cls.predictions.bias"],
        ),
        OtherHead {
            class: "ForNextSentencePrediction",
            tensors: &[],
            called: "model for the next sentence",
            does: "it says whether one text follows another",
        },
        OtherHead::decoder("BertLMHeadModel"),
    ],
    tokenizers: Some(Tokenizers {
        // Also models that are not trained here, whose vocabularies are like BERT's.
        classes: &[
            "BertTokenizer",
            "MobileBertTokenizer",
            "ConvBertTokenizer",
            "SqueezeBertTokenizer",
            "LxmertTokenizer",
            "DPRContextEncoderTokenizer",
            "DPRQuestionEncoderTokenizer",
            "DPRReaderTokenizer",
        ],
        vocabulary: VOCABULARY,
    }),
    first_layer: "encoder.layer.0.attention.self.query.weight",
    width: "hidden_size",
    keys: Some(Keys {
        all: &[
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "type_vocab_size",
        ],
        // ALBERT and ELECTRA, DeBERTa, LayoutLM, DistilBERT, BigBird.
        none: &[
            "embedding_size",
            "relative_attention",
            "pos_att_type",
            "max_2d_position_embeddings",
            "dim",
            "attention_type",
        ],
        // RoBERTa has BERT's keys. Its padding is token 1, and it knows one type of token.
        unless: &[("pad_token_id", 1), ("type_vocab_size", 1)],
    }),
    targets: &["query", "value"],
    sizes: &["layers", "heads", "intermediate", "positions", "hidden_dropout", "attention_dropout"],
    needed: &["layers", "hidden", "heads", "intermediate"],
    read: |json| Ok(Architecture::Bert(parsed(json)?)),
    drawn: |sizes| Some(Architecture::Bert(BertConfig::default().with_sizes(sizes)?)),
};

impl BertConfig {
    fn encoder(&self) -> Encoder<'_> {
        Encoder { prefix: ABOUT.prefix, config: self }
    }
}

impl Family for BertConfig {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn blueprint(&self) -> Blueprint {
        let encoder = self.encoder();
        let dense = encoder.linear("pooler.dense", [self.hidden_size; 2]);
        let pooler = vec![Step::Linear(dense), Step::Activation(Activation::Tanh)];
        Blueprint { pooler, ..encoder.blueprint() }
    }

    /// Dropout and a linear layer.
    fn output(&self, head: Head) -> Option<Output> {
        let encoder = self.encoder();
        match head {
            Head::Classifier { labels } => {
                let steps = vec![encoder.classifier_dropout(), encoder.of_head("classifier", labels)];
                Some(Output::Text { reads: Reads::First, steps })
            }
            Head::Tagger { labels } => Some(encoder.tagger(labels)),
            Head::LanguageModel => None,
        }
    }

    fn variant(&self, common: &Common) -> Variant {
        let other = || config::other_activation(&self.hidden_act, ["gelu", "activation `gelu`"]);
        common.not_an_encoder().or_else(other)
    }

    fn numbers(&self) -> Numbers {
        let mut sizes = vec![
            ("num_hidden_layers", self.num_hidden_layers, MOST_LAYERS),
            ("hidden_size", self.hidden_size, WIDEST),
            ("num_attention_heads", self.num_attention_heads, WIDEST),
            ("intermediate_size", self.intermediate_size, WIDEST),
            ("max_position_embeddings", self.max_position_embeddings, WIDEST),
            ("type_vocab_size", self.type_vocab_size, WIDEST),
            ("vocab_size", self.vocab_size, MOST_WORDS),
        ];
        sizes.extend(self.embedding_size.map(|size| ("embedding_size", size, WIDEST)));
        Numbers {
            sizes,
            divisors: vec![[
                ("num_attention_heads", self.num_attention_heads),
                ("hidden_size", self.hidden_size),
            ]],
            even: Vec::new(),
            shares: vec![
                ("hidden_dropout_prob", self.hidden_dropout_prob),
                ("attention_probs_dropout_prob", self.attention_probs_dropout_prob),
                ("classifier_dropout", self.classifier_dropout.unwrap_or_default()),
            ],
        }
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
