//! Owns the way from token ids to what the first layer reads: the sum of tables, a norm, dropout.

use tch::Tensor;

use super::assembly::Assembly;
use super::inputs::Inputs;
use super::layers::{Embedding, LayerNorm};
use super::params::index;
use super::pass::Pass;
use crate::families::Blueprint;
use crate::families::blueprint::Sees;

/// The part of a model in front of its layers.
#[derive(Debug)]
pub(super) struct Embeddings {
    pub(super) words: Embedding,
    positions: Embedding,
    token_types: Option<Embedding>,
    norm: Option<LayerNorm>,
    dropout: Option<f64>,
    /// Rows are filled up to so many tokens with this one, which is read like any other.
    filling: Option<[i64; 2]>,
}

impl Embeddings {
    /// The embedding of a model whose rows are filled up with the token `padding`.
    pub(super) fn new(blueprint: &Blueprint, padding: usize, assembly: Assembly<'_>) -> Self {
        let part = &blueprint.embedding;
        Self {
            words: assembly.table(&part.words),
            positions: assembly.table(&part.positions),
            token_types: part.token_types.as_ref().map(|table| assembly.table(table)),
            norm: part.norm.as_ref().map(|norm| assembly.norm(norm)),
            dropout: part.dropout,
            filling: match blueprint.sees {
                Sees::Filling { length } => Some([length, padding].map(index)),
                Sees::Tokens | Sees::Earlier => None,
            },
        }
    }

    /// Whether all slots have the same.
    pub(super) fn is_shared(&self) -> bool {
        let tables = [Some(&self.words), Some(&self.positions), self.token_types.as_ref()];
        tables.into_iter().flatten().all(Embedding::is_shared) && self.norm.iter().all(LayerNorm::is_shared)
    }

    /// `[K, B * T, H]`.
    pub(super) fn forward(&self, inputs: &Inputs, pass: &mut Pass) -> Tensor {
        let [slots, rows, mut tokens] = inputs.shape;
        let mut ids = inputs.ids.shallow_clone();
        if let Some([length, padding]) = self.filling {
            #[expect(clippy::cast_precision_loss, reason = "token ids are small")]
            let padded = ids.pad([0, length - tokens], "constant", padding as f64);
            (ids, tokens) = (padded, length);
            pass.read_filling(length);
        }
        let words = self.words.forward(&ids.view([slots, rows * tokens]));
        let positions = self.positions.head(usize::try_from(tokens).expect("lengths are positive"));
        let by_rows = |x: &Tensor| x.view([x.size()[0], rows, tokens, -1]);
        let sum = match (&self.token_types, &inputs.token_types) {
            (None, _) => by_rows(&words) + positions.unsqueeze(1),
            // One type only: added to the few positions rather than to every token.
            (Some(table), None) => by_rows(&words) + (positions + table.head(1)).unsqueeze(1),
            (Some(table), Some(types)) => {
                let types = table.forward(&types.view([slots, rows * tokens]));
                by_rows(&(words + types)) + positions.unsqueeze(1)
            }
        };
        self.finish(sum.flatten(1, 2), pass)
    }

    /// `[1, n, H]` of ids `[1, n]` at these places of their rows, `[1, n]`, without token types.
    pub(super) fn at(&self, ids: &Tensor, places: &Tensor, pass: &mut Pass) -> Tensor {
        self.finish(self.words.forward(ids) + self.positions.forward(places), pass)
    }

    fn finish(&self, sum: Tensor, pass: &mut Pass) -> Tensor {
        let x = self.norm.as_ref().map_or_else(|| sum.shallow_clone(), |norm| norm.forward(&sum));
        self.dropout.map_or_else(|| x.shallow_clone(), |dropout| pass.dropout(&x, dropout))
    }
}
