//! Owns the description of a model: named tensors with their roles, and switches for what is computed from
//! them. Each family gives one; the Transformer, parameter counts, costs and the targets of adapters are
//! derived from it. Computes nothing.

mod output;

pub use self::output::{Output, Reads, Step};
use super::tensors::{Init, Place, TensorRole, TensorShape};

/// A base model, without the head of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Blueprint {
    /// From token ids to the first layer.
    pub embedding: Embedding,
    /// The layers, the lowest first.
    pub layers: Vec<Layer>,
    /// The norm after the last layer.
    pub norm: Option<Norm>,
    /// The linear layer between a classifier and the token it reads, if it belongs to the base.
    pub pooler: Option<Linear>,
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
    /// By position in the row. If the table has a row for padding, positions count from the row after it, and
    /// padding tokens are not counted.
    pub positions: Table,
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
    /// Heads; divides the width.
    pub heads: usize,
    /// Queries, keys and values.
    pub projections: Projections,
    /// The layer after the heads.
    pub output: Linear,
    /// Dropout on the attention weights.
    pub dropout: Option<f64>,
    /// Dropout after the output layer.
    pub output_dropout: Option<f64>,
}

/// How queries, keys and values are computed.
#[derive(Clone, Debug, PartialEq)]
pub enum Projections {
    /// By one linear layer each: query, key, value.
    Separate([Linear; 3]),
    /// By one linear layer, side by side.
    Fused(Linear),
}

/// Two linear layers with an activation between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    /// To the inner width.
    pub input: Linear,
    /// Between the two layers.
    pub activation: Activation,
    /// Back to the layers' width.
    pub output: Linear,
    /// Dropout after the output layer.
    pub dropout: Option<f64>,
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
}

/// A normalisation over the width.
#[derive(Clone, Debug, PartialEq)]
pub struct Norm {
    /// Its module.
    pub name: String,
    /// Numbers that are normalised together.
    pub width: usize,
    /// What it computes.
    pub kind: NormKind,
    /// Added to the variance, to avoid a division by 0.
    pub epsilon: f64,
}

/// What a norm computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// Mean 0 and variance 1, then a scale and a shift (Ba et al. 2016).
    Layer,
}

/// `x W^T + b`.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Its module.
    pub name: String,
    /// Input width.
    pub d_in: usize,
    /// Output width.
    pub d_out: usize,
    /// Whether the matrix is stored as `[in, out]`: transformers' `Conv1D`.
    pub is_transposed: bool,
    /// Initialisation of the matrix.
    pub init: Init,
    /// Initialisation of the bias; `None` where there is none.
    pub bias: Option<Init>,
}

/// A table of vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The name of the tensor itself.
    pub tensor: String,
    /// Number of vectors.
    pub rows: usize,
    /// Numbers per vector.
    pub width: usize,
    /// Its initialisation.
    pub init: Init,
    /// The row that gets no gradient.
    pub padding: Option<usize>,
    /// Initialisation of the bias, where the table is the matrix `[width, rows]` of a linear layer over one-hot
    /// rows.
    pub one_hot: Option<Init>,
}

impl Blueprint {
    /// Every tensor, in a stable order.
    #[must_use]
    pub fn tensors(&self) -> Vec<TensorShape> {
        let Embedding { words, positions, token_types, norm, projection, .. } = &self.embedding;
        let mut all: Vec<TensorShape> = Vec::new();
        for table in [Some(words), Some(positions), token_types.as_ref()].into_iter().flatten() {
            all.extend(table.tensors());
        }
        all.extend(norm.iter().flat_map(|norm| norm.tensors(Place::Embedding)));
        all.extend(projection.iter().flat_map(|linear| linear.tensors(Place::Embedding)));
        for (index, layer) in self.layers.iter().enumerate() {
            all.extend(layer.tensors(Place::Layer(index)));
        }
        all.extend(self.norm.iter().flat_map(|norm| norm.tensors(Place::Top)));
        all.extend(self.pooler.iter().flat_map(|pooler| pooler.tensors(Place::Top)));
        all
    }

    /// Width of the activations between layers.
    #[must_use]
    pub fn width(&self) -> usize {
        self.layers.first().map_or(self.embedding.words.width, |layer| layer.attention.output.d_out)
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
        self.mlp.as_ref().map_or(0, |mlp| mlp.input.d_out)
    }

    fn tensors(&self, place: Place) -> Vec<TensorShape> {
        let attention = self.attention.linears();
        let attention = attention.into_iter().flat_map(|linear| linear.tensors(place));
        let mlp = self.mlp.iter().flat_map(|mlp| [&mlp.input, &mlp.output]);
        let mlp = mlp.flat_map(|linear| linear.tensors(place));
        let norm = |norm: &Option<Norm>| norm.iter().flat_map(|norm| norm.tensors(place)).collect::<Vec<_>>();
        let (first, second) = (norm(&self.attention_norm), norm(&self.mlp_norm));
        match self.wiring {
            Wiring::NormBefore => first.into_iter().chain(attention).chain(second).chain(mlp).collect(),
            Wiring::NormAfter | Wiring::Bare => attention.chain(first).chain(mlp).chain(second).collect(),
        }
    }
}

impl Attention {
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
        Self {
            words,
            positions,
            token_types: None,
            reads_types: false,
            norm: None,
            dropout: None,
            projection: None,
        }
    }
}

impl Linear {
    /// A layer with this initialisation of its matrix, and a bias that starts at 0.
    #[must_use]
    pub fn new(name: String, [d_in, d_out]: [usize; 2], init: Init) -> Self {
        Self { name, d_in, d_out, is_transposed: false, init, bias: Some(Init::Zeros) }
    }

    /// The same, stored as `[in, out]`.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self { is_transposed: true, ..self }
    }

    fn tensors(&self, place: Place) -> Vec<TensorShape> {
        let Self { name, d_in, d_out, .. } = self;
        let (role, shape) = if self.is_transposed {
            (TensorRole::Conv1d, vec![*d_in, *d_out])
        } else {
            (TensorRole::Linear, vec![*d_out, *d_in])
        };
        let weight = TensorShape { name: format!("{name}.weight"), shape, role, init: self.init, place };
        let bias = |init| {
            let name = format!("{name}.bias");
            TensorShape { name, shape: vec![*d_out], role: TensorRole::Bias, init, place }
        };
        std::iter::once(weight).chain(self.bias.map(bias)).collect()
    }
}

impl Norm {
    /// A LayerNorm.
    #[must_use]
    pub fn layer(name: String, width: usize, epsilon: f64) -> Self {
        Self { name, width, kind: NormKind::Layer, epsilon }
    }

    fn tensors(&self, place: Place) -> Vec<TensorShape> {
        let tensor = |part: &str, role, init| {
            let name = format!("{}.{part}", self.name);
            TensorShape { name, shape: vec![self.width], role, init, place }
        };
        let scale = tensor("weight", TensorRole::NormScale, Init::Ones);
        match self.kind {
            NormKind::Layer => vec![scale, tensor("bias", TensorRole::NormShift, Init::Zeros)],
        }
    }
}

impl Table {
    /// A table with this initialisation.
    #[must_use]
    pub fn new(tensor: String, [rows, width]: [usize; 2], init: Init) -> Self {
        Self { tensor, rows, width, init, padding: None, one_hot: None }
    }

    /// The same, with a row that gets no gradient.
    #[must_use]
    pub fn padded(self, row: usize) -> Self {
        Self { padding: Some(row), ..self }
    }

    fn tensors(&self) -> Vec<TensorShape> {
        let tensor = |name: &str, shape: Vec<usize>, role, init| TensorShape {
            name: name.to_owned(),
            shape,
            role,
            init,
            place: Place::Embedding,
        };
        let Self { tensor: name, rows, width, init, .. } = self;
        let Some(bias) = self.one_hot else {
            return vec![tensor(name, vec![*rows, *width], TensorRole::Embedding, *init)];
        };
        vec![
            tensor(name, vec![*width, *rows], TensorRole::Embedding, *init),
            tensor(&self.bias(), vec![*width], TensorRole::Bias, bias),
        ]
    }

    /// The name of the bias, where the table is a linear layer over one-hot rows.
    #[must_use]
    pub fn bias(&self) -> String {
        format!("{}bias", self.tensor.trim_end_matches("weight"))
    }
}
