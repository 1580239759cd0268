//! Owns GPTMini: one block of attention, without mask or residual, between a one-hot dense layer and a
//! dense head, over rows of a fixed length.

use serde::{Deserialize, Serialize};

use super::blueprint::{
    Attention, Blueprint, Embedding, Layer, Linear, Norm, Output, Projections, Reads, Sees, Step, Table,
    Wiring,
};
use super::config::{Common, MOST_WORDS, Variant, WIDEST, parsed};
use super::family::{About, Family, Name, Pairs, Settable};
use super::numbers::Numbers;
use super::tensors::Init;
use super::{Architecture, Head};

/// GPTMini's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GptMiniConfig {
    /// Words of the one-hot input.
    pub vocab_size: usize,
    /// Width of the block, d.
    pub hidden_size: usize,
    /// Length of every row, in tokens; shorter ones are padded.
    pub length: usize,
    /// Token id of padding, which the model reads like any other token.
    pub pad_token_id: usize,
}

impl Default for GptMiniConfig {
    fn default() -> Self {
        Self { vocab_size: 30_522, hidden_size: 64, length: 128, pad_token_id: 0 }
    }
}

/// Standard deviation of fresh positions.
const POSITIONS_STD: f64 = 0.02;
/// Epsilon of the norm; torch's default.
const NORM_EPSILON: f64 = 1e-5;

/// GPTMini's names, and the keys that a sweep may set.
pub(super) static ABOUT: About = About {
    names: &[Name { model_type: "gptmini", class: None }],
    language_model: None,
    prefix: "",
    optional: &[],
    same: &[],
    others: &[],
    tokenizers: None,
    first_layer: "attention.query.weight",
    width: "hidden_size",
    keys: None,
    targets: &["query", "value"],
    sizes: &["length"],
    needed: &["hidden", "length"],
    read: |json| Ok(Architecture::GptMini(parsed(json)?)),
    drawn: |sizes| {
        let config = GptMiniConfig::default();
        Some(Architecture::GptMini(GptMiniConfig {
            hidden_size: sizes.hidden?,
            length: sizes.length?,
            ..config
        }))
    },
};

impl Family for GptMiniConfig {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn blueprint(&self) -> Blueprint {
        let width = self.hidden_size;
        let projection = |part: &str| dense(&format!("attention.{part}"), [width, width]);
        let fresh = start(self.vocab_size);
        let words = Table {
            one_hot: Some(fresh),
            ..Table::new("embedding.weight".to_owned(), [self.vocab_size, width], fresh)
        };
        let positions = Table::new("positions".to_owned(), [self.length, width], Init::Normal(POSITIONS_STD));
        Blueprint {
            embedding: Embedding::new(words, positions),
            layers: vec![Layer {
                wiring: Wiring::Bare,
                attention: Attention::new(
                    1,
                    Projections::Separate(["query", "key", "value"].map(projection)),
                    projection("output"),
                ),
                attention_norm: None,
                mlp: None,
                mlp_norm: None,
            }],
            norm: Some(Norm::layer("norm".to_owned(), width, NORM_EPSILON)),
            pooler: Vec::new(),
            sees: Sees::Filling { length: self.length },
        }
    }

    /// A linear layer over all positions.
    fn output(&self, head: Head) -> Option<Output> {
        let Head::Classifier { labels } = head else { return None };
        let classifier = dense("classifier", [self.length * self.hidden_size, labels]);
        Some(Output::Text { reads: Reads::Every, steps: vec![Step::Linear(classifier)] })
    }

    fn variant(&self, _: &Common) -> Variant {
        None
    }

    fn numbers(&self) -> Numbers {
        Numbers {
            sizes: vec![
                ("hidden_size", self.hidden_size, WIDEST),
                ("length", self.length, WIDEST),
                ("vocab_size", self.vocab_size, MOST_WORDS),
            ],
            divisors: Vec::new(),
            even: Vec::new(),
            shares: Vec::new(),
        }
    }

    fn max_length(&self) -> usize {
        self.length
    }

    fn padding(&self) -> usize {
        self.pad_token_id
    }

    fn pairs(&self) -> Pairs {
        Pairs::Joined
    }

    fn settable(&mut self) -> Settable<'_> {
        Settable {
            vocabulary: &mut self.vocab_size,
            layers: None,
            hidden_dropouts: Vec::new(),
            attention_dropout: None,
        }
    }
}

/// A linear layer with torch's initialisation of `nn.Linear`, the same for weight and bias.
fn dense(name: &str, size: [usize; 2]) -> Linear {
    let fresh = start(size[0]);
    Linear { bias: Some(fresh), ..Linear::new(name.to_owned(), size, fresh) }
}

/// U(-1/sqrt(in), 1/sqrt(in)).
fn start(d_in: usize) -> Init {
    #[expect(clippy::cast_precision_loss, reason = "widths are far below 2^52")]
    Init::Uniform((d_in as f64).sqrt().recip())
}
