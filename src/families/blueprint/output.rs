//! Owns the tensors and steps that a head adds to a base model. Computes nothing.

use super::{Activation, Linear, Norm};
use crate::families::tensors::{Place, TensorShape};

/// The head that a task needs on a base.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Logits for a whole text.
    Text {
        /// Which tokens are read.
        reads: Reads,
        /// What is applied to them, in order, after the base's last norm and pooler.
        steps: Vec<Step>,
    },
    /// Logits for single tokens.
    Tokens {
        /// Whether each goes through the base's pooler first.
        pooled: bool,
        /// What is applied to each, in order, after the base's last norm.
        steps: Vec<Step>,
    },
    /// Logits for the next token: products with the word embedding.
    TiedWords,
    /// Logits for the next token by a layer of its own, which was pretrained with the base and belongs to it.
    Words(Linear),
}

/// Which tokens' activations a head for whole texts reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// The first.
    First,
    /// The last one that is not padding.
    Last,
    /// The mean of those that are not padding.
    Mean,
    /// All of them, side by side.
    Every,
}

/// A step of a head or a pooler.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A linear layer.
    Linear(Linear),
    /// An activation.
    Activation(Activation),
    /// A norm.
    Norm(Norm),
    /// Dropout.
    Dropout(f64),
}

impl Step {
    /// The linear layer, where it is one.
    #[must_use]
    pub fn linear(&self) -> Option<&Linear> {
        match self {
            Self::Linear(linear) => Some(linear),
            Self::Activation(_) | Self::Norm(_) | Self::Dropout(_) => None,
        }
    }

    pub(super) fn tensors(&self, place: Place) -> Vec<TensorShape> {
        match self {
            Self::Linear(linear) => linear.tensors(place),
            Self::Norm(norm) => norm.tensors(place),
            Self::Activation(_) | Self::Dropout(_) => Vec::new(),
        }
    }
}

impl Output {
    /// Its tensors that do not belong to the base.
    #[must_use]
    pub fn tensors(&self) -> Vec<TensorShape> {
        self.steps().iter().flat_map(|step| step.tensors(Place::Head)).collect()
    }

    /// Its tensors that belong to the base, besides the word embedding.
    #[must_use]
    pub fn of_base(&self) -> Vec<TensorShape> {
        match self {
            Self::Words(linear) => linear.tensors(Place::Top),
            Self::Text { .. } | Self::Tokens { .. } | Self::TiedWords => Vec::new(),
        }
    }

    /// Whether it reads the base's pooler, where the base has one.
    #[must_use]
    pub fn reads_pooler(&self) -> bool {
        match self {
            Self::Text { .. } => true,
            Self::Tokens { pooled, .. } => *pooled,
            Self::TiedWords | Self::Words(_) => false,
        }
    }

    /// The layer whose outputs are the logits, if it does not belong to the base.
    #[must_use]
    pub fn last_linear(&self) -> Option<&Linear> {
        self.linears().last()
    }

    /// Its linear layers that do not belong to the base, in their order.
    pub fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.steps().iter().filter_map(Step::linear)
    }

    fn steps(&self) -> &[Step] {
        match self {
            Self::Text { steps, .. } | Self::Tokens { steps, .. } => steps,
            Self::TiedWords | Self::Words(_) => &[],
        }
    }
}
