//! Owns the assembly of layers from a blueprint's parts and a pack's tensors. Computes nothing.

use super::layers::{AdapterSettings, Embedding, Linear};
use super::norm::Norm;
use super::params::{Params, index};
use crate::families::blueprint;

/// A pack's tensors, of which layers are made: the layers share their storage and gradients.
#[derive(Clone, Copy, Debug)]
pub(super) struct Assembly<'a> {
    pub(super) params: &'a Params,
    /// Scale and dropout of each slot's adapters, if there are any.
    pub(super) adapters: Option<&'a AdapterSettings>,
}

impl Assembly<'_> {
    /// A linear layer, with its adapters.
    pub(super) fn linear(&self, part: &blueprint::Linear) -> Linear {
        if part.is_transposed {
            Linear::conv1d(self.params, &part.name, self.adapters)
        } else {
            Linear::new(self.params, &part.name, self.adapters)
        }
    }

    /// A norm.
    pub(super) fn norm(&self, part: &blueprint::Norm) -> Norm {
        Norm::new(self.params, part)
    }

    /// A table of vectors.
    pub(super) fn table(&self, part: &blueprint::Table) -> Embedding {
        let padding = part.padding.map_or(-1, index);
        let bias = part.one_hot.map(|_| part.bias());
        Embedding::new(self.params, &part.tensor, bias.as_deref(), padding)
    }
}
