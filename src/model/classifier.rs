//! Owns the choice of model family, and what every family reads. Computes nothing itself.

use tch::Tensor;

use super::bert::BertClassifier;
use super::layers::AdapterSettings;
use super::params::Params;
use super::pass::Pass;
use crate::arch::Architecture;

/// A batch as a model reads it: K slots of B rows of T tokens.
#[derive(Debug)]
pub struct Inputs {
    /// `[K, B, T]`.
    pub shape: [i64; 3],
    /// Token ids, `[K, B, T]`, 64-bit integers.
    pub ids: Tensor,
    /// Token types, likewise; `None` where all are 0.
    pub token_types: Option<Tensor>,
    /// Added to attention scores, `[K * B, 1, 1, T]`: 0 at tokens, a large negative number at
    /// padding; `None` where there is no padding.
    pub mask: Option<Tensor>,
}

impl Inputs {
    /// Of `[K, B * T, H]` the first token of each row, `[K, B, H]`.
    pub fn first_tokens(&self, x: &Tensor) -> Tensor {
        let [slots, rows, tokens] = self.shape;
        x.view([slots, rows, tokens, -1]).select(2, 0)
    }
}

/// A classifier of some family over a pack's tensors.
#[derive(Debug)]
pub enum Classifier {
    /// A BERT encoder with a head.
    Bert(BertClassifier),
}

impl Classifier {
    /// The classifier over these tensors; it shares their storage and gradients.
    #[must_use]
    pub fn new(architecture: &Architecture, params: &Params, adapters: Option<&AdapterSettings>) -> Self {
        match architecture {
            Architecture::Bert(config) => Self::Bert(BertClassifier::new(config, params, adapters)),
        }
    }

    /// Logits, `[K, B, classes]`.
    pub fn forward(&self, inputs: &Inputs, pass: &mut Pass) -> Tensor {
        match self {
            Self::Bert(bert) => bert.forward(inputs, pass),
        }
    }
}
