//! Owns the model families, one file each, and the list of them.
//!
//! A family reads a `config.json` and gives a [`blueprint`]: named tensors with their roles, and switches for
//! what is computed from them. Shapes, parameter counts, costs, targets of adapters and the model itself are
//! derived from it. The content of a file is checked in `config`, for all families; `detect` finds the family
//! of a file, `classifier` the classes of a finished classifier. Read `bert` first for an example.
//!
//! Only this file knows which families exist: a new one is its own file, and its name in [`Architecture`],
//! `ALL` and the two matches below them. Nothing here allocates a tensor or reads a file.

mod adapted;
mod architecture;
mod bert;
pub mod blueprint;
mod classifier;
mod config;
mod decoder;
mod detect;
mod distilbert;
mod electra;
mod encoder;
mod family;
mod gpt2;
mod gptmini;
mod llama;
mod mistral;
mod model_spec;
mod modernbert;
mod numbers;
pub mod params;
mod qwen2;
mod qwen3;
mod roberta;
mod tensors;
mod transformers;

use serde::{Deserialize, Serialize};

pub use self::adapted::{Known, Misfit, Nameable};
pub use self::architecture::{NAMES, count_with, named, names_with};
pub use self::bert::BertConfig;
pub use self::blueprint::Blueprint;
pub use self::classifier::{are_unnamed, classes, gives_number};
pub use self::config::{ConfigError, MOST_LAYERS, WIDEST, keys as config_keys};
pub use self::decoder::{Decoder, DecoderConfig, RopeConfig};
pub use self::detect::{Evidence, family_of_tensors};
pub use self::distilbert::DistilBertConfig;
pub use self::electra::ElectraConfig;
use self::family::Family;
pub use self::family::{About, Dropouts, Name, Pairs, Sizes};
pub use self::gpt2::Gpt2Config;
pub use self::gptmini::GptMiniConfig;
pub use self::llama::Llama;
pub use self::mistral::Mistral;
pub use self::model_spec::{ModelSpec, Parts, Weights};
pub use self::modernbert::{ModernBertConfig, RopeConfigs};
pub use self::qwen2::Qwen2;
pub use self::qwen3::Qwen3;
pub use self::roberta::RobertaConfig;
pub use self::tensors::{Init, LinearShape, Place, TensorRole, TensorShape};
pub use self::transformers::{Around, OtherHead, TOKEN_CLASSES, Tokenizers, Vocabulary};

/// The head that a task needs on a base model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Head {
    /// Logits for classes.
    Classifier {
        /// Number of classes.
        labels: usize,
    },
    /// Logits for the tags of single tokens.
    Tagger {
        /// Number of tags.
        labels: usize,
    },
    /// Logits for the next token, by an output layer that belongs to the base: the word embedding, or its own.
    LanguageModel,
}

/// A model family with its configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "model_type", rename_all = "snake_case")]
pub enum Architecture {
    /// A BERT encoder.
    Bert(BertConfig),
    /// A GPT-2 decoder.
    Gpt2(Gpt2Config),
    /// One block of attention.
    #[serde(rename = "gptmini")]
    GptMini(GptMiniConfig),
    /// An encoder of RoBERTa, XLM-R or CamemBERT.
    Roberta(RobertaConfig),
    /// A DistilBERT encoder.
    #[serde(rename = "distilbert")]
    DistilBert(DistilBertConfig),
    /// An ELECTRA encoder.
    Electra(ElectraConfig),
    /// A ModernBERT encoder.
    #[serde(rename = "modernbert")]
    ModernBert(ModernBertConfig),
    /// A Llama decoder.
    Llama(Decoder<Llama>),
    /// A Mistral decoder.
    Mistral(Decoder<Mistral>),
    /// A decoder of Qwen2 or Qwen2.5.
    Qwen2(Decoder<Qwen2>),
    /// A Qwen3 decoder.
    Qwen3(Decoder<Qwen3>),
}

/// What holds for each family, in the order in which messages name them.
pub const ALL: [&About; 11] = [
    &bert::ABOUT,
    &gpt2::ABOUT,
    &gptmini::ABOUT,
    &roberta::ABOUT,
    &distilbert::ABOUT,
    &electra::ABOUT,
    &modernbert::ABOUT,
    &llama::ABOUT,
    &mistral::ABOUT,
    &qwen2::ABOUT,
    &qwen3::ABOUT,
];

impl Architecture {
    fn family(&self) -> &dyn Family {
        match self {
            Self::Bert(config) => config,
            Self::Gpt2(config) => config,
            Self::GptMini(config) => config,
            Self::Roberta(config) => config,
            Self::DistilBert(config) => config,
            Self::Electra(config) => config,
            Self::ModernBert(config) => config,
            Self::Llama(config) => config,
            Self::Mistral(config) => config,
            Self::Qwen2(config) => config,
            Self::Qwen3(config) => config,
        }
    }

    fn family_mut(&mut self) -> &mut dyn Family {
        match self {
            Self::Bert(config) => config,
            Self::Gpt2(config) => config,
            Self::GptMini(config) => config,
            Self::Roberta(config) => config,
            Self::DistilBert(config) => config,
            Self::Electra(config) => config,
            Self::ModernBert(config) => config,
            Self::Llama(config) => config,
            Self::Mistral(config) => config,
            Self::Qwen2(config) => config,
            Self::Qwen3(config) => config,
        }
    }
}
