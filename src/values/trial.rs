//! Owns configurations, trials and their ids.
//!
//! An id is a hash of everything that decides a result, and of nothing else: not of the position in the grid,
//! of paths, packs or devices.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::values::{ContentHash, Keep, Method, Training};

/// One point of the grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// Hash of everything that decides the configuration's results, on any split.
    pub id: ConfigurationId,
    /// Name of the task in the sweep's `tasks`.
    pub task: String,
    /// Name of the model in the sweep's `models`.
    pub model: String,
    /// How the model is trained.
    pub method: Method,
    /// The training loop's settings.
    pub training: Training,
}

/// How the training file is divided.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Splitting {
    /// k-fold cross-validation.
    KFold {
        /// Number of folds, at least 2.
        k: usize,
        /// Each fold has the classes in the file's proportions.
        stratified: bool,
        /// Seed of the division.
        seed: u64,
    },
    /// One share of the rows is held out.
    HoldOut {
        /// Share held out, in (0, 1).
        fraction: f64,
        /// The share has the classes in the file's proportions.
        stratified: bool,
        /// Seed of the division.
        seed: u64,
    },
    /// A file of its own.
    File,
    /// None is held out: every row is trained on, and there is none to validate on.
    All,
}

impl Splitting {
    /// Number of trials per configuration.
    #[must_use]
    pub fn splits(&self) -> usize {
        match self {
            Self::KFold { k, .. } => *k,
            Self::HoldOut { .. } | Self::File | Self::All => 1,
        }
    }

    /// Whether there are rows to validate on.
    #[must_use]
    pub fn validates(&self) -> bool {
        match self {
            Self::KFold { .. } | Self::HoldOut { .. } | Self::File => true,
            Self::All => false,
        }
    }
}

/// The smallest thing that trains: a configuration on one split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Hash of everything that decides the result.
    pub id: TrialId,
    /// What is trained.
    pub configuration: Arc<Configuration>,
    /// How rows are divided.
    pub splitting: Splitting,
    /// Which split is held out: the fold's index from 0; 0 where there is one split only.
    pub fold: usize,
}

impl Trial {
    /// The trial of a configuration on one split.
    #[must_use]
    pub fn new(configuration: &Arc<Configuration>, splitting: Splitting, fold: usize) -> Self {
        let id = TrialId::of(ContentHash::of_json(&(configuration.id, splitting, fold)));
        Self { id, configuration: Arc::clone(configuration), splitting, fold }
    }

    /// Which weights it is judged by: its setting `keep`, and the last ones where nothing tells which are best.
    #[must_use]
    pub fn keep(&self) -> Keep {
        if self.splitting.validates() { self.configuration.training.keep } else { Keep::Last }
    }
}

impl Configuration {
    /// Peak learning rate, where anything trains.
    #[must_use]
    pub fn learning_rate(&self) -> Option<f64> {
        match self.method {
            Method::Lora(_) | Method::Dora(_) | Method::Full | Method::Scratch => {
                Some(self.training.learning_rate)
            }
            Method::Base => None,
        }
    }
}

/// Defines a 64-bit id that reads and writes as 16 hexadecimal digits.
macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(u64);

        impl $name {
            /// The id made from this hash.
            #[must_use]
            pub fn of(content: ContentHash) -> Self {
                Self(content.leading_u64())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match u64::from_str_radix(text, 16) {
                    Ok(bits) if text.len() == 16 => Ok(Self(bits)),
                    Ok(_) | Err(_) => Err(format!("`{text}` is not an id of 16 hexadecimal digits")),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
    };
}

hex_id! {
    /// A trial's id: 16 hexadecimal digits.
    TrialId
}
hex_id! {
    /// A configuration's id: 16 hexadecimal digits.
    ConfigurationId
}
