//! Owns the input of every model: a batch of rows, and how to pick tokens from them. Computes no part of a
//! model.

use tch::{Kind, Tensor};

use super::layers::for_slots;
use super::params::index;
use crate::tokenizer::Sequence;

/// Added to the attention score of a token that must not be seen. It is finite, also in bf16, so that rows of
/// nothing but padding stay finite too.
pub const UNSEEN: f32 = -1e38;

/// A batch as a model reads it: K slots of B rows of T tokens. Where all slots see the same rows, the rows are
/// stored once and K is 1, whatever the model's number of slots.
#[derive(Debug)]
pub struct Inputs {
    /// `[K, B, T]`.
    pub shape: [i64; 3],
    /// Token ids, `[K, B, T]`, 64-bit integers; rows are padded on the right.
    pub ids: Tensor,
    /// Token types, in the same shape; `None` where all are 0.
    pub token_types: Option<Tensor>,
    /// Added to attention scores, `[K * B, 1, 1, T]`: 0 at tokens, [`UNSEEN`] at
    /// padding; `None` where there is no padding.
    pub mask: Option<Tensor>,
}

/// A row, before it is put into a batch.
#[derive(Clone, Copy, Debug)]
pub struct InputRow<'a> {
    /// Its token ids, special tokens included.
    pub tokens: &'a [u32],
    /// Where its tokens of type 1 begin; the number of tokens where it has none.
    pub second: usize,
}

impl<'a> From<&'a Sequence> for InputRow<'a> {
    fn from(sequence: &'a Sequence) -> Self {
        Self { tokens: &sequence.tokens, second: sequence.second as usize }
    }
}

impl Inputs {
    /// A batch on the host from the rows of each slot, padded on the right to the longest of all. Slots with fewer rows
    /// than others are filled up with empty ones.
    #[must_use]
    pub fn of_rows(slots: &[Vec<InputRow<'_>>], padding: usize) -> Self {
        let rows = slots.iter().map(Vec::len).max().unwrap_or(0);
        let width = slots.iter().flatten().map(|row| row.tokens.len()).max().unwrap_or(0).max(1);
        let size = slots.len() * rows * width;
        let (mut ids, mut types) = (vec![index(padding); size], vec![0_i64; size]);
        let mut mask = vec![UNSEEN; size];
        for (k, slot) in slots.iter().enumerate() {
            for (b, InputRow { tokens, second }) in slot.iter().enumerate() {
                let at = (k * rows + b) * width;
                let end = at + tokens.len();
                ids[at..end].iter_mut().zip(*tokens).for_each(|(id, token)| *id = i64::from(*token));
                types[at + second..end].fill(1);
                mask[at..end].fill(0.0);
            }
        }
        let shape = [slots.len(), rows, width].map(index);
        let [slots, rows, width] = shape;
        let types = types.contains(&1).then(|| Tensor::from_slice(&types).view(shape));
        let mask =
            mask.contains(&UNSEEN).then(|| Tensor::from_slice(&mask).view([slots * rows, 1, 1, width]));
        Self { shape, ids: Tensor::from_slice(&ids).view(shape), token_types: types, mask }
    }

    /// What a device needs of it.
    pub fn tensors(&mut self) -> impl Iterator<Item = &mut Tensor> {
        std::iter::once(&mut self.ids).chain(&mut self.token_types).chain(&mut self.mask)
    }

    /// Of `[K, B * T, H]` the first token of each row, `[K, B, H]`.
    pub fn first_tokens(&self, x: &Tensor) -> Tensor {
        self.by_rows(x).select(2, 0)
    }

    /// Of `[K, B * T, H]` the mean of each row's tokens that are not padding, `[K, B, H]`.
    pub fn mean_tokens(&self, x: &Tensor) -> Tensor {
        let [_, rows, tokens] = self.shape;
        let x = self.by_rows(x);
        let slots = x.size()[0];
        let Some(mask) = self.mask_for(slots) else {
            return x.mean_dim([2].as_slice(), false, x.kind());
        };
        let counts = mask.eq(0.0).to_kind(x.kind()).view([slots, rows, tokens, 1]);
        let sum_of = |x: &Tensor| x.sum_dim_intlist([2].as_slice(), false, x.kind());
        // A row that only pads a slot has no token; its result has no weight.
        sum_of(&(x * &counts)) / sum_of(&counts).clamp_min(1)
    }

    /// The mask for queries of `slots` slots, `[slots * B, 1, 1, T]`.
    pub(super) fn mask_for(&self, slots: i64) -> Option<Tensor> {
        let [own, rows, tokens] = self.shape;
        self.mask.as_ref().map(|mask| match slots {
            slots if slots == own => mask.shallow_clone(),
            slots => for_slots(&mask.view([own, rows, tokens]), slots).reshape([-1, 1, 1, tokens]),
        })
    }

    /// `[K, B * T, H]` as `[K, B, T, H]`.
    fn by_rows(&self, x: &Tensor) -> Tensor {
        let [_, rows, tokens] = self.shape;
        x.view([x.size()[0], rows, tokens, -1])
    }

    /// Of `[K, B * T, H]` the last token of each row that is not padding, `[K, B, H]`.
    pub fn last_tokens(&self, x: &Tensor) -> Tensor {
        let [_, rows, tokens] = self.shape;
        let x = self.by_rows(x);
        let slots = x.size()[0];
        let Some(mask) = self.mask_for(slots) else { return x.select(2, tokens - 1) };
        let lengths = mask.eq(0.0).sum_dim_intlist([-1].as_slice(), false, Kind::Int64);
        // A row that only pads a slot has no token; its result has no weight.
        let last = (lengths - 1).clamp_min(0).view([slots, rows, 1, 1]);
        x.gather(2, &last.expand([slots, rows, 1, x.size()[3]], false), false).squeeze_dim(2)
    }
}
