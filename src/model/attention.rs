//! Owns scaled dot-product attention (Vaswani et al. 2017, equation 1), for all models, whole rows and
//! generated tokens.
//!
//! Queries are `[K * B, heads, T, width]`, keys and values the same with their own number of heads. Owns no weights:
//! they are the pack's.

use tch::{Device, Kind, Tensor};

use super::assembly::Assembly;
use super::inputs::Inputs;
use super::layers::{Linear, for_slots};
use super::norm::Norm;
use super::params::index;
use super::pass::Pass;
use super::rotary::Turns;
use crate::families::blueprint::{self, Projections as Parts, Rotary, Sees, Window};

/// Attention with its projections and its output layer.
#[derive(Debug)]
pub(super) struct Attention {
    projections: Projections,
    output: Linear,
    heads: i64,
    /// Heads of keys and values.
    kv_heads: i64,
    /// Norms of each head's queries and of its keys.
    head_norms: Option<[Norm; 2]>,
    /// Which of the model's rotations turns queries and keys.
    rotary: Option<usize>,
    /// The tokens that a token attends to, of those that it sees.
    window: Option<Window>,
    dropout: Option<f64>,
    output_dropout: Option<f64>,
}

#[derive(Debug)]
enum Projections {
    /// Query, key and value.
    Separate([Linear; 3]),
    /// All three side by side.
    Fused(Linear),
}

/// Which tokens can be attended to.
#[derive(Debug)]
pub(super) enum Visibility<'a> {
    /// The tokens of whole rows.
    Rows { inputs: &'a Inputs, sees: Sees, turns: &'a [Turns] },
    /// New tokens, in the columns from `column` on, and all tokens before them.
    Cached {
        cache: &'a mut Cache,
        column: i64,
        /// Added to scores, `[B, 1, new, so far]`.
        mask: &'a Tensor,
        /// Of the new tokens, by each of the model's rotations.
        turns: &'a [Turns],
    },
}

/// One layer's keys and values so far, each `[B, heads, capacity, width]`.
#[derive(Debug)]
pub(super) struct Cache {
    /// Number of columns that fit.
    capacity: i64,
    /// `None` before the first token.
    columns: Option<[Tensor; 2]>,
}

/// What is hidden from queries.
enum Mask {
    Nothing,
    /// Added to the scores.
    Added(Tensor),
    /// All tokens after each query.
    Later,
}

impl Attention {
    /// The attention of a model with these rotations.
    pub(super) fn new(part: &blueprint::Attention, rotaries: &[&Rotary], assembly: Assembly<'_>) -> Self {
        let projections = match &part.projections {
            Parts::Separate(parts) => {
                Projections::Separate(parts.each_ref().map(|part| assembly.linear(part)))
            }
            Parts::Fused(part) => Projections::Fused(assembly.linear(part)),
        };
        Self {
            projections,
            output: assembly.linear(&part.output),
            heads: index(part.heads),
            kv_heads: index(part.kv_heads),
            head_norms: part
                .head_norms
                .as_ref()
                .map(|norms| norms.each_ref().map(|norm| assembly.norm(norm))),
            rotary: part.rotary.as_ref().and_then(|own| rotaries.iter().position(|rotary| *rotary == own)),
            window: part.window,
            dropout: part.dropout,
            output_dropout: part.output_dropout,
        }
    }

    fn projections(&self) -> &[Linear] {
        match &self.projections {
            Projections::Separate(parts) => parts,
            Projections::Fused(all) => std::slice::from_ref(all),
        }
    }

    /// Whether all slots have the same attention.
    pub(super) fn is_shared(&self) -> bool {
        self.projections().iter().chain([&self.output]).all(Linear::is_shared)
            && self.head_norms.iter().flatten().all(Norm::is_shared)
    }

    /// Whether all slots have the same projections apart from their adapters.
    pub(super) fn projections_are_shared(&self) -> bool {
        self.projections().iter().all(Linear::base_is_shared)
    }

    /// The projections of `x` `[K, n, H]` without adapters; queries only of `asking` `[K, m, H]`.
    pub(super) fn project(&self, x: &Tensor, asking: &Tensor) -> Vec<Tensor> {
        match &self.projections {
            Projections::Separate([query, key, value]) => {
                vec![query.base(asking), key.base(x), value.base(x)]
            }
            Projections::Fused(all) => vec![all.base(x)],
        }
    }

    /// The attention's output `[K, m, H]`, after output layer and dropout. `x` and `asking` are the inputs of
    /// [`Attention::project`], `products` its result.
    pub(super) fn forward(
        &self,
        [x, asking]: [&Tensor; 2],
        products: &[Tensor],
        visibility: Visibility<'_>,
        pass: &mut Pass,
    ) -> Tensor {
        let rows = visibility.rows();
        let [query, key, value] = self.parts([x, asking], products, rows, pass);
        let slots = query.size()[0] / rows;
        let turned = self.rotary.map(|which| [&query, &key].map(|part| visibility.turns()[which].turn(part)));
        let [query, key] = turned.unwrap_or([query, key]);
        let ([query, key, value], mask) = visibility.masked([query, key, value], slots);
        let mask = self.within_window(mask, [query.size()[2], key.size()[2]], query.device());
        let parts = [query, self.for_queries(&key), self.for_queries(&value)];
        let context = attend(parts, mask, self.dropout, pass);
        let [_, heads, _, width] = context.size()[..] else { unreachable!("parts have four dimensions") };
        let context = context.transpose(1, 2).reshape([slots, -1, heads * width]);
        let attended = self.output.forward(&context, pass);
        self.output_dropout.map_or_else(|| attended.shallow_clone(), |p| pass.dropout(&attended, p))
    }

    /// Keys or values for each head of queries: `[K * B, kv_heads, T, width]` to `[K * B, heads, T, width]`.
    fn for_queries(&self, part: &Tensor) -> Tensor {
        let [rows, heads, tokens, width] = part.size()[..] else {
            unreachable!("parts have four dimensions")
        };
        if self.kv_heads == self.heads {
            return part.shallow_clone();
        }
        let each = self.heads / self.kv_heads;
        part.unsqueeze(2).expand([rows, heads, each, tokens, width], false).reshape([rows, -1, tokens, width])
    }

    /// The mask that hides what is out of the window as well, for the last `queries` of `keys` tokens.
    fn within_window(&self, mask: Mask, [queries, keys]: [i64; 2], device: Device) -> Mask {
        let hides = |window: &Window| keys > index(window.hides_beyond());
        let Some(window) = self.window.filter(hides) else { return mask };
        let window = out_of_window(window, [queries, keys], device);
        match mask {
            Mask::Nothing => Mask::Added(window),
            Mask::Added(mask) => Mask::Added(mask + window),
            Mask::Later => Mask::Added(window + later_tokens(keys, device)),
        }
    }

    /// Queries, keys and values of `rows` rows, adapters included; values shared by all slots are repeated for
    /// each.
    fn parts(
        &self,
        [x, asking]: [&Tensor; 2],
        products: &[Tensor],
        rows: i64,
        pass: &mut Pass,
    ) -> [Tensor; 3] {
        match (&self.projections, products) {
            (Projections::Separate([query, key, value]), [asked, keys, values]) => {
                let query = query.adapt(asked, asking, pass);
                let key = key.adapt(keys, x, pass);
                let value = value.adapt(values, x, pass);
                let width = query.size()[2] / self.heads;
                let [query, key] = match &self.head_norms {
                    None => [query, key],
                    Some([of_query, of_key]) => {
                        [normed(of_query, &query, width), normed(of_key, &key, width)]
                    }
                };
                // With `precision: bf16` one that trains as a whole is in 32 bits.
                let is_alike = query.kind() == key.kind() && key.kind() == value.kind();
                let kind = if is_alike { query.kind() } else { Kind::Float };
                let parts = [query, key, value].map(|part| part.to_kind(kind));
                let slots = parts.iter().map(|part| part.size()[0]).max().unwrap_or(1);
                parts.map(|part| {
                    let heads = part.size()[2] / width;
                    for_slots(&part, slots).reshape([slots * rows, -1, heads, width]).transpose(1, 2)
                })
            }
            (Projections::Fused(all), [product]) => {
                let parts = all.adapt(product, x, pass);
                let [slots, width] = [parts.size()[0], parts.size()[2] / 3];
                let parts = parts.view([slots * rows, -1, 3, self.heads, width / self.heads]);
                [0, 1, 2].map(|part| parts.select(2, part).transpose(1, 2))
            }
            (_, _) => unreachable!("`project` gives a product for each projection"),
        }
    }
}

/// Each head of `[K, n, heads * width]`, normalised.
fn normed(norm: &Norm, x: &Tensor, width: i64) -> Tensor {
    let [slots, n, all] = x.size()[..] else { unreachable!("products have three dimensions") };
    let heads = norm.forward(&x.reshape([slots, -1, width]));
    heads.view([-1, n, all]).to_kind(x.kind())
}

impl Visibility<'_> {
    /// The turns of the tokens, by each of the model's rotations.
    fn turns(&self) -> &[Turns] {
        match self {
            Self::Rows { turns, .. } | Self::Cached { turns, .. } => turns,
        }
    }

    /// Number of rows per slot.
    fn rows(&self) -> i64 {
        match self {
            Self::Rows { inputs, .. } => inputs.shape[1],
            Self::Cached { mask, .. } => mask.size()[0],
        }
    }

    /// Queries with all keys and values that they may attend to, and the mask on those.
    fn masked(self, parts: [Tensor; 3], slots: i64) -> ([Tensor; 3], Mask) {
        match self {
            Self::Rows { inputs, sees: Sees::Tokens, .. } => {
                (parts, inputs.mask_for(slots).map_or(Mask::Nothing, Mask::Added))
            }
            Self::Rows { sees: Sees::Earlier, .. } => (parts, Mask::Later),
            Self::Rows { sees: Sees::Filling { .. }, .. } => (parts, Mask::Nothing),
            Self::Cached { cache, column, mask, .. } => {
                (cache.extend(parts, column), Mask::Added(mask.shallow_clone()))
            }
        }
    }
}

impl Cache {
    /// An empty cache for `capacity` columns.
    pub(super) fn new(capacity: i64) -> Self {
        Self { capacity, columns: None }
    }

    /// The new tokens' queries, and the keys and values of all tokens so far; the new ones start at `column`.
    fn extend(&mut self, [query, key, value]: [Tensor; 3], column: i64) -> [Tensor; 3] {
        let (mut size, new) = (key.size(), key.size()[2]);
        size[2] = self.capacity;
        let empty = || Tensor::zeros(&size, (key.kind(), key.device()));
        let columns = self.columns.get_or_insert_with(|| [empty(), empty()]);
        let [keys, values] = [0, 1].map(|part| {
            columns[part].narrow(2, column, new).copy_([&key, &value][part]);
            columns[part].narrow(2, 0, column + new)
        });
        [query, keys, values]
    }
}

/// The context of the queries, in their shape. Dropout needs the attention weights written out.
fn attend([query, key, value]: [Tensor; 3], mask: Mask, dropout: Option<f64>, pass: &mut Pass) -> Tensor {
    let Some(dropout) = dropout.filter(|dropout| pass.drops(*dropout)) else {
        let (mask, is_causal) = match mask {
            Mask::Nothing => (None, false),
            Mask::Added(mask) => (Some(mask.to_kind(query.kind())), false),
            Mask::Later => (None, true),
        };
        return Tensor::scaled_dot_product_attention(&query, &key, &value, mask, 0.0, is_causal, None, false);
    };
    let (tokens, width) = (query.size()[2], query.size()[3]);
    #[expect(clippy::cast_precision_loss, reason = "a head's width is far below 2^52")]
    let scale = (width as f64).sqrt().recip();
    let scores = (query * scale).matmul(&key.transpose(2, 3));
    let scores = match mask {
        Mask::Nothing => scores,
        Mask::Added(mask) => scores + mask,
        Mask::Later => &scores + later_tokens(tokens, scores.device()),
    };
    let shares = scores.softmax(-1, Kind::Float);
    pass.dropout(&shares, dropout).to_kind(value.kind()).matmul(&value)
}

/// `[T, T]`: 0 for each token and those before it, minus infinity for those after it.
fn later_tokens(tokens: i64, device: Device) -> Tensor {
    hidden([tokens, tokens], device).triu(1)
}

/// `[queries, keys]`: 0 for the keys in each query's window, minus infinity for those out of it; a window of earlier
/// tokens hides nothing of those after the query. The queries are the last of the keys.
fn out_of_window(window: Window, [queries, keys]: [i64; 2], device: Device) -> Tensor {
    let (own, hidden) = (keys - queries, hidden([queries, keys], device));
    let before = hidden.tril(own - index(window.hides_beyond()));
    match window {
        Window::Earlier(_) => before,
        Window::Around(_) => before + hidden.triu(own + index(window.hides_beyond())),
    }
}

/// Minus infinity everywhere.
fn hidden(size: [i64; 2], device: Device) -> Tensor {
    Tensor::full(size, f64::NEG_INFINITY, (Kind::Float, device))
}
