//! Owns the embedding, which turns token ids into the first layer's input: the sum of tables, a norm, dropout.
//! Owns no weights: they are the pack's.

use tch::{Kind, Tensor};

use super::assembly::Assembly;
use super::inputs::Inputs;
use super::layers::{Embedding, Linear};
use super::norm::Norm;
use super::params::index;
use super::pass::Pass;
use crate::families::Blueprint;
use crate::families::blueprint::Sees;

/// The part of a model before its layers.
#[derive(Debug)]
pub(super) struct Embeddings {
    pub(super) words: Embedding,
    /// `None` where attention alone knows positions.
    positions: Option<Embedding>,
    /// The padding token, where it takes no position of a row; it is also the row of its own position vector,
    /// and positions count from the row after it.
    unplaced: Option<i64>,
    token_types: Option<Embedding>,
    /// Whether the second part of a pair uses a different row of the token types than the first.
    reads_types: bool,
    norm: Option<Norm>,
    dropout: Option<f64>,
    projection: Option<Linear>,
    /// Minimum length of rows and the padding token for it; this padding is read like any other token.
    filling: Option<[i64; 2]>,
}

impl Embeddings {
    /// The embedding of a model whose padding token is `padding`.
    pub(super) fn new(blueprint: &Blueprint, padding: usize, assembly: Assembly<'_>) -> Self {
        let part = &blueprint.embedding;
        Self {
            words: assembly.table(&part.words),
            positions: part.positions.as_ref().map(|table| assembly.table(table)),
            unplaced: part.positions.as_ref().and_then(|table| table.padding).map(index),
            reads_types: part.reads_types,
            token_types: part.token_types.as_ref().map(|table| assembly.table(table)),
            norm: part.norm.as_ref().map(|norm| assembly.norm(norm)),
            dropout: part.dropout,
            projection: part.projection.as_ref().map(|linear| assembly.linear(linear)),
            filling: match blueprint.sees {
                Sees::Filling { length } => Some([length, padding].map(index)),
                Sees::Tokens | Sees::Earlier => None,
            },
        }
    }

    /// Whether all slots have the same embedding.
    pub(super) fn is_shared(&self) -> bool {
        let tables = [Some(&self.words), self.positions.as_ref(), self.token_types.as_ref()];
        tables.into_iter().flatten().all(Embedding::is_shared)
            && self.norm.iter().all(Norm::is_shared)
            && self.projection.iter().all(Linear::is_shared)
    }

    /// `[K, B * T, H]`.
    pub(super) fn forward(&self, inputs: &Inputs, pass: &mut Pass) -> Tensor {
        let [slots, rows, mut tokens] = inputs.shape;
        let mut ids = inputs.ids.shallow_clone();
        if let Some([length, padding]) = self.filling {
            #[expect(clippy::cast_precision_loss, reason = "token ids are small")]
            let padded = ids.pad([0, length - tokens], "constant", padding as f64);
            (ids, tokens) = (padded, length);
        }
        let flat = [slots, rows * tokens];
        let words = self.words.forward(&ids.view(flat));
        // Vectors that all rows have in common are summed first, since they are few.
        let (of_tokens, of_places) = match (&self.positions, self.unplaced) {
            (None, _) => (words, None),
            (Some(table), None) => {
                let tokens = usize::try_from(tokens).expect("lengths are positive");
                (words, Some(table.head(tokens)))
            }
            (Some(table), Some(padding)) => (words + table.forward(&places(&ids, padding).view(flat)), None),
        };
        let types = inputs.token_types.as_ref().filter(|_| self.reads_types);
        let (of_tokens, of_places) = match (&self.token_types, types) {
            (None, _) => (of_tokens, of_places),
            (Some(table), None) => {
                let one = table.head(1);
                (of_tokens, Some(of_places.map_or(one.shallow_clone(), |positions| positions + one)))
            }
            (Some(table), Some(types)) => (of_tokens + table.forward(&types.view(flat)), of_places),
        };
        let by_rows = of_tokens.view([of_tokens.size()[0], rows, tokens, -1]);
        let sum =
            of_places.map_or_else(|| by_rows.shallow_clone(), |of_places| &by_rows + of_places.unsqueeze(1));
        self.finish(sum.flatten(1, 2), pass)
    }

    /// `[1, n, H]` of ids `[1, n]` at these positions `[1, n]` of their rows, without token types.
    pub(super) fn at(&self, ids: &Tensor, places: &Tensor, pass: &mut Pass) -> Tensor {
        let words = self.words.forward(ids);
        let sum = self
            .positions
            .as_ref()
            .map_or_else(|| words.shallow_clone(), |table| &words + table.forward(places));
        self.finish(sum, pass)
    }

    fn finish(&self, sum: Tensor, pass: &mut Pass) -> Tensor {
        let x = self.norm.as_ref().map_or_else(|| sum.shallow_clone(), |norm| norm.forward(&sum));
        let x = self.dropout.map_or_else(|| x.shallow_clone(), |dropout| pass.dropout(&x, dropout));
        self.projection.as_ref().map_or_else(|| x.shallow_clone(), |linear| linear.forward(&x, pass))
    }
}

/// The positions of `ids` `[K, B, T]` in their rows, counted from `padding + 1`; padding tokens are not counted
/// and get position `padding`.
fn places(ids: &Tensor, padding: i64) -> Tensor {
    let is_token = ids.ne(padding).to_kind(Kind::Int64);
    is_token.cumsum(-1, Kind::Int64) * is_token + padding
}
