//! Owns the interface between families and everything else. Knows no family.

use std::fmt::Debug;

use super::blueprint::{Blueprint, Output};
use super::config::{Common, ConfigError, Variant};
use super::numbers::Numbers;
use super::transformers::{OtherHead, Tokenizers};
use super::{Architecture, Head};
use crate::values::axes::is_same;

/// A model of a family, as its configuration describes it.
pub(super) trait Family: Debug {
    /// What holds for all models of the family.
    fn about(&self) -> &'static About;

    /// The base model: its tensors and what is computed from them.
    fn blueprint(&self) -> Blueprint;

    /// What a head adds to the base; `None` where the family cannot have it.
    fn output(&self, head: Head) -> Option<Output>;

    /// A property of this model that would be computed differently here, and what is supported instead.
    fn variant(&self, common: &Common) -> Variant;

    /// The numbers of the configuration that are checked for impossible values.
    fn numbers(&self) -> Numbers;

    /// Longest sequence the model can read, in tokens.
    fn max_length(&self) -> usize;

    /// Id of the padding token.
    fn padding(&self) -> usize;

    /// How it reads two texts at a time.
    fn pairs(&self) -> Pairs;

    /// The numbers of the configuration that a sweep can set.
    fn settable(&mut self) -> Settable<'_>;
}

/// The numbers of a configuration that a sweep can set.
#[derive(Debug)]
pub(super) struct Settable<'a> {
    /// Rows of the word embedding.
    pub(super) vocabulary: &'a mut usize,
    /// The number of layers, where there can be several.
    pub(super) layers: Option<&'a mut usize>,
    /// Dropout of the layers.
    pub(super) hidden_dropouts: Vec<&'a mut f64>,
    /// Dropout of attention.
    pub(super) attention_dropout: Option<&'a mut f64>,
}

/// What holds for all models of a family: names in files, and keys that a sweep may set.
#[derive(Debug)]
pub struct About {
    /// Its names; the first is the one in sweep files.
    pub names: &'static [Name],
    /// Suffix of transformers' class for language models, if the family has one.
    pub language_model: Option<&'static str>,
    /// Prefix of the base model's tensors in a whole model's weight file; the base model's own file leaves it
    /// out.
    pub prefix: &'static str,
    /// Modules that weights may lack, and that are then initialised at random, as in transformers: the prefix
    /// of their tensors' names, and the module's name in `modules_to_save`.
    pub optional: &'static [(&'static str, &'static str)],
    /// Tensors that files may have only under another name, since both are the same tensor: names without the
    /// prefix, and the other names.
    pub same: &'static [(&'static str, &'static str)],
    /// transformers' models of the family that do not answer for whole texts, in addition to those shared by
    /// many families.
    pub others: &'static [OtherHead],
    /// Its tokenizers that consist of a vocabulary only, if it has any.
    pub tokenizers: Option<Tokenizers>,
    /// A matrix of the first layer's attention, by its name without the prefix.
    pub first_layer: &'static str,
    /// The key of `config.json` with the width.
    pub width: &'static str,
    /// The keys of `config.json` that identify the family where it is not named; `None` where they cannot.
    pub keys: Option<Keys>,
    /// PEFT's default target modules.
    pub targets: &'static [&'static str],
    /// The keys of a sweep's model that this family uses and not every family does.
    pub sizes: &'static [&'static str],
    /// The keys that a model with random weights must have.
    pub needed: &'static [&'static str],
    /// Reads a `config.json`.
    pub read: fn(&[u8]) -> Result<Architecture, ConfigError>,
    /// A model with random weights, with any vocabulary; `None` where a size is missing.
    pub drawn: fn(&Sizes) -> Option<Architecture>,
}

/// A name of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Its `model_type` in `config.json`.
    pub model_type: &'static str,
    /// Prefix of transformers' classes; `None` where there are none, and therefore no folders.
    pub class: Option<&'static str>,
}

/// The keys that every `config.json` of a family has, and keys that only others have.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// All of these must exist.
    pub all: &'static [&'static str],
    /// None of these may exist.
    pub none: &'static [&'static str],
    /// These keys must not all have these values, which are another family's.
    pub unless: &'static [(&'static str, u64)],
}

/// The sizes of a model with random weights, as a sweep has them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sizes {
    /// Layers.
    pub layers: Option<usize>,
    /// Width of the model.
    pub hidden: Option<usize>,
    /// Attention heads.
    pub heads: Option<usize>,
    /// Heads of keys and values, where there may be fewer.
    pub kv_heads: Option<usize>,
    /// Width of the feed-forward layers.
    pub intermediate: Option<usize>,
    /// Longest sequence it can read.
    pub positions: Option<usize>,
    /// Length of every row.
    pub length: Option<usize>,
}

/// A sweep's dropout probabilities; absent ones stay unchanged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dropouts {
    /// Of the layers.
    pub hidden: Option<f64>,
    /// Of attention.
    pub attention: Option<f64>,
}

/// How a model reads two texts at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pairs {
    /// It can distinguish the two.
    Apart,
    /// As one text.
    Joined,
    /// Not at all.
    Refused {
        /// Why not.
        reason: String,
    },
}

impl About {
    /// The family's name in sweep files.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.names[0].model_type
    }

    /// Whether such models exist as folders, because transformers knows the family.
    #[must_use]
    pub fn has_folders(&self) -> bool {
        self.names[0].class.is_some()
    }

    /// Whether this is one of its names.
    #[must_use]
    pub fn is_called(&self, model_type: &str) -> bool {
        self.names.iter().any(|name| name.model_type == model_type)
    }

    /// transformers' class for a model of this family with this `model_type`.
    #[must_use]
    pub fn class(&self, model_type: Option<&str>, head: Head) -> Option<String> {
        let named = self.names.iter().find(|name| Some(name.model_type) == model_type);
        let start = named.unwrap_or(&self.names[0]).class?;
        let end = match head {
            Head::Classifier { .. } => "ForSequenceClassification",
            Head::Tagger { .. } => "ForTokenClassification",
            Head::LanguageModel => self.language_model?,
        };
        Some(format!("{start}{end}"))
    }

    /// Whether a model with random weights may have this size.
    pub(super) const fn has_size(&self, size: &str) -> bool {
        let mut index = 0;
        while index < self.sizes.len() {
            if is_same(self.sizes[index], size) {
                return true;
            }
            index += 1;
        }
        false
    }
}
