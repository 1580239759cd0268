//! Owns the description of a model: named tensors with their roles, and switches for what is computed from
//! them. Each family gives one; the Transformer, parameter counts, costs and the targets of adapters are
//! derived from it. Computes nothing.

mod output;
mod parts;
mod rotary;

pub use self::output::{Output, Reads, Step};
pub use self::parts::{Linear, Norm, NormKind, Table};
pub use self::rotary::{Rotary, Scaling};
use super::tensors::{Place, TensorShape};

/// A base model, without the head of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Blueprint {
    /// From token ids to the first layer.
    pub embedding: Embedding,
    /// The layers, the lowest first.
    pub layers: Vec<Layer>,
    /// The norm after the last layer.
    pub norm: Option<Norm>,
    /// What lies between a classifier and the tokens it reads, if it belongs to the base.
    pub pooler: Vec<Step>,
    /// Which tokens a token attends to.
    pub sees: Sees,
}

/// Which tokens of its row a token attends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sees {
    /// All of them; padding is hidden.
    Tokens,
    /// Itself and those before it. Rows are padded at the end, so no token sees padding.
    Earlier,
    /// All of them and the padding: rows have one length, and padding is read like any other token.
    Filling {
        /// Length of every row, in tokens.
        length: usize,
    },
}

/// From token ids to the first layer: the sum of tables, a norm, dropout.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// By token.
    pub words: Table,
    /// By position in the row; `None` where attention alone knows positions. If the table has a row for padding,
    /// positions count from the row after it, and padding tokens are not counted.
    pub positions: Option<Table>,
    /// By the part of a pair.
    pub token_types: Option<Table>,
    /// Whether the second part of a pair reads the second row of that table; otherwise all tokens read the
    /// first.
    pub reads_types: bool,
    /// After the sum.
    pub norm: Option<Norm>,
    /// After the norm; `None` where there is no dropout layer.
    pub dropout: Option<f64>,
    /// From the tables' width to the layers' width, where they differ.
    pub projection: Option<Linear>,
}

/// A layer: attention and, in most models, a feed-forward part.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Where norms and residual sums are placed.
    pub wiring: Wiring,
    /// The attention part.
    pub attention: Attention,
    /// The attention's norm.
    pub attention_norm: Option<Norm>,
    /// The feed-forward part, which treats each token separately.
    pub mlp: Option<Mlp>,
    /// The feed-forward part's norm.
    pub mlp_norm: Option<Norm>,
}

/// Where norms and residual sums are placed around a part f of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// `norm(x + f(x))`, as in Vaswani et al. 2017.
    NormAfter,
    /// `x + f(norm(x))`, as in Radford et al. 2019.
    NormBefore,
    /// `f(x)`.
    Bare,
}

/// Scaled dot-product attention.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// Heads of queries; divides the width of the output layer's input.
    pub heads: usize,
    /// Heads of keys and values; divides `heads`, and each serves as many heads of queries (Ainslie et al. 2023).
    pub kv_heads: usize,
    /// Queries, keys and values.
    pub projections: Projections,
    /// Norms of each head's queries and of each head's keys.
    pub head_norms: Option<[Norm; 2]>,
    /// The rotation of queries and keys by their positions.
    pub rotary: Option<Rotary>,
    /// The tokens that a token attends to, of those that it sees; `None` for all of them.
    pub window: Option<Window>,
    /// The layer after the heads.
    pub output: Linear,
    /// Dropout on the attention weights.
    pub dropout: Option<f64>,
    /// Dropout after the output layer.
    pub output_dropout: Option<f64>,
}

/// Which of the tokens around it a token attends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// So many: itself and those before it.
    Earlier(usize),
    /// Itself and so many on either side.
    Around(usize),
}

/// How queries, keys and values are computed.
#[derive(Clone, Debug, PartialEq)]
pub enum Projections {
    /// By one linear layer each: query, key, value.
    Separate([Linear; 3]),
    /// By one linear layer, side by side.
    Fused(Linear),
}

/// Two linear layers with an activation between them, or with a gate too: `output(activation(gate(x)) * input(x))`
/// (Shazeer 2020).
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    /// To the inner width.
    pub input: Linear,
    /// Its activation multiplies the first layer's output.
    pub gate: Gate,
    /// Of the gate, or of the first layer where there is none.
    pub activation: Activation,
    /// Dropout before the output layer.
    pub inner_dropout: Option<f64>,
    /// Back to the layers' width.
    pub output: Linear,
    /// Dropout after the output layer.
    pub dropout: Option<f64>,
}

/// The gate of a feed-forward part.
#[derive(Clone, Debug, PartialEq)]
pub enum Gate {
    /// There is none.
    Nothing,
    /// A linear layer of its own, to the inner width.
    Separate(Linear),
    /// The first half of what the first layer gives; it multiplies the second.
    FirstHalf,
}

/// A function applied to each number separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x Φ(x)` (Hendrycks and Gimpel 2016).
    Gelu,
    /// The same, approximated by tanh: transformers' `gelu_new`.
    GeluTanh,
    /// The hyperbolic tangent.
    Tanh,
    /// The number, or 0 where it is negative.
    Relu,
    /// `x` times its logistic function (Elfwing et al. 2017): transformers' `silu`.
    Silu,
}

impl Blueprint {
    /// Every tensor, in a stable order.
    #[must_use]
    pub fn tensors(&self) -> Vec<TensorShape> {
        let Embedding { words, positions, token_types, norm, projection, .. } = &self.embedding;
        let mut all: Vec<TensorShape> = Vec::new();
        for table in [Some(words), positions.as_ref(), token_types.as_ref()].into_iter().flatten() {
            all.extend(table.tensors());
        }
        all.extend(norm.iter().flat_map(|norm| norm.tensors(Place::Embedding)));
        all.extend(projection.iter().flat_map(|linear| linear.tensors(Place::Embedding)));
        for (index, layer) in self.layers.iter().enumerate() {
            all.extend(layer.tensors(Place::Layer(index)));
        }
        all.extend(self.norm.iter().flat_map(|norm| norm.tensors(Place::Top)));
        all.extend(self.pooler.iter().flat_map(|step| step.tensors(Place::Top)));
        all
    }

    /// Width of the activations between layers.
    #[must_use]
    pub fn width(&self) -> usize {
        self.layers.first().map_or(self.embedding.words.width, |layer| layer.attention.output.d_out)
    }

    /// Whether this head needs the last layer's output for the first token of each row alone, and that layer can do
    /// without the others': everything but its keys and values is then computed for those tokens only.
    #[must_use]
    pub fn asks_first_only(&self, output: &Output) -> bool {
        let reads_first = matches!(output, Output::Text { reads: Reads::First, .. });
        let can_ask_less = self.layers.last().is_some_and(|last| {
            last.wiring == Wiring::NormAfter && matches!(last.attention.projections, Projections::Separate(_))
        });
        reads_first && self.norm.is_none() && can_ask_less
    }

    /// The rotations of its layers, each once.
    #[must_use]
    pub fn rotaries(&self) -> Vec<&Rotary> {
        let mut all: Vec<&Rotary> = Vec::new();
        for rotary in self.layers.iter().filter_map(|layer| layer.attention.rotary.as_ref()) {
            if !all.contains(&rotary) {
                all.push(rotary);
            }
        }
        all
    }

    /// Length in tokens at which a row of `tokens` tokens is computed.
    #[must_use]
    pub fn computed_tokens(&self, tokens: f64) -> f64 {
        match self.sees {
            Sees::Tokens | Sees::Earlier => tokens,
            #[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^52")]
            Sees::Filling { length } => length as f64,
        }
    }
}

impl Layer {
    /// Width of the feed-forward part; 0 where there is none.
    #[must_use]
    pub fn inner(&self) -> usize {
        self.mlp.as_ref().map_or(0, |mlp| mlp.output.d_in)
    }

    fn tensors(&self, place: Place) -> Vec<TensorShape> {
        let attention = self.attention.linears().into_iter().flat_map(|linear| linear.tensors(place));
        let head_norms = self.attention.head_norms.iter().flatten().flat_map(|norm| norm.tensors(place));
        let attention = attention.chain(head_norms);
        let mlp = self.mlp.iter().flat_map(Mlp::linears).flat_map(|linear| linear.tensors(place));
        let norm = |norm: &Option<Norm>| norm.iter().flat_map(|norm| norm.tensors(place)).collect::<Vec<_>>();
        let (first, second) = (norm(&self.attention_norm), norm(&self.mlp_norm));
        match self.wiring {
            Wiring::NormBefore => first.into_iter().chain(attention).chain(second).chain(mlp).collect(),
            Wiring::NormAfter | Wiring::Bare => attention.chain(first).chain(mlp).chain(second).collect(),
        }
    }
}

impl Mlp {
    /// Its linear layers.
    pub fn linears(&self) -> impl Iterator<Item = &Linear> {
        let gate = match &self.gate {
            Gate::Separate(gate) => Some(gate),
            Gate::Nothing | Gate::FirstHalf => None,
        };
        [Some(&self.input), gate, Some(&self.output)].into_iter().flatten()
    }
}

impl Window {
    /// The longest rows of which it hides nothing, in tokens.
    #[must_use]
    pub fn hides_beyond(self) -> usize {
        match self {
            Self::Earlier(tokens) => tokens,
            Self::Around(tokens) => tokens + 1,
        }
    }
}

impl Attention {
    /// Attention of a head for each query, key and value, without positions and without dropout.
    #[must_use]
    pub fn new(heads: usize, projections: Projections, output: Linear) -> Self {
        Self {
            heads,
            kv_heads: heads,
            projections,
            head_norms: None,
            rotary: None,
            window: None,
            output,
            dropout: None,
            output_dropout: None,
        }
    }

    /// Its linear layers.
    #[must_use]
    pub fn linears(&self) -> Vec<&Linear> {
        let projections = match &self.projections {
            Projections::Separate(parts) => parts.iter().collect(),
            Projections::Fused(one) => vec![one],
        };
        projections.into_iter().chain([&self.output]).collect()
    }
}

impl Embedding {
    /// The sum of two tables, and nothing else.
    #[must_use]
    pub fn new(words: Table, positions: Table) -> Self {
        Self { positions: Some(positions), ..Self::of_words(words) }
    }

    /// A table alone.
    #[must_use]
    pub fn of_words(words: Table) -> Self {
        Self {
            words,
            positions: None,
            token_types: None,
            reads_types: false,
            norm: None,
            dropout: None,
            projection: None,
        }
    }
}
