//! Owns the description of a model in a checked sweep, from which trials start. Reads no file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Architecture;
use crate::values::ContentHash;

/// A model that trials may start from, as the checked sweep names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// The name given in the sweep's `models`.
    pub name: String,
    /// Where its weights come from.
    pub weights: Weights,
    /// The folder or file with the tokenizer (`tokenizer.json` or `vocab.txt`).
    pub tokenizer: PathBuf,
    /// Hash of the tokenizer's files.
    pub tokenizer_content: ContentHash,
    /// Shapes and constants, with any layer truncation applied.
    pub architecture: Architecture,
    /// What its folder has besides the base model, or lacks. Not written where there is nothing to say.
    #[serde(default, skip_serializing_if = "Parts::are_usual")]
    pub parts: Parts,
}

/// What a model folder has besides the base model, or lacks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Parts {
    /// Modules of the base that its weights lack, by their names in `modules_to_save`: each trial initialises
    /// its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fresh: Vec<String>,
    /// The classes of its own classifier, in the order of its outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// Whether it lacks the output layer for words that a language model of its configuration has.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_words: bool,
    /// Whether its own head gives a number, as in a finished regression model.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub number: bool,
}

impl Parts {
    /// Whether the folder holds exactly a base model.
    #[must_use]
    pub fn are_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// Where a model's starting weights come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Weights {
    /// A folder in transformers' layout.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Hash of the weight files.
        content: ContentHash,
    },
    /// Random, from a seed: the trial's own for the `scratch` method, or this one where the weights are an
    /// untrained base.
    Random {
        /// Seed of the untrained base.
        seed: u64,
    },
    /// Only the configuration exists here: such a model can be planned with, but not trained.
    Absent,
}
