//! Owns a model's sizes as given by its keys. Pure.

use crate::families::{Dropouts, Sizes};

use super::raw::RawModel;

/// The sizes of a model with random weights.
pub(super) fn sizes(raw: &RawModel) -> Sizes {
    let value = |at: &Option<super::source::At<usize>>| at.as_ref().map(|at| at.value);
    Sizes {
        layers: value(&raw.layers),
        hidden: value(&raw.hidden),
        heads: value(&raw.heads),
        kv_heads: value(&raw.kv_heads),
        intermediate: value(&raw.intermediate),
        positions: value(&raw.positions),
        length: value(&raw.length),
    }
}

/// The dropout rates of a model, which its weights do not fix.
pub(super) fn dropouts(raw: &RawModel) -> Dropouts {
    let value = |at: &Option<super::source::At<f64>>| at.as_ref().map(|at| at.value);
    Dropouts { hidden: value(&raw.hidden_dropout), attention: value(&raw.attention_dropout) }
}
