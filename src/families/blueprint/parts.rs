//! Owns the parts that have tensors of their own: linear layers, norms, tables. Computes nothing.

use crate::families::tensors::{Init, Place, TensorRole, TensorShape};

/// A normalisation over the width.
#[derive(Clone, Debug, PartialEq)]
pub struct Norm {
    /// Its module.
    pub name: String,
    /// Numbers that are normalised together.
    pub width: usize,
    /// What it computes.
    pub kind: NormKind,
    /// Added to the variance or the mean square, to avoid a division by 0.
    pub epsilon: f64,
}

/// What a norm computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// Mean 0 and variance 1, then a scale and a shift (Ba et al. 2016).
    Layer,
    /// The same without a shift.
    Unshifted,
    /// Mean square 1, then a scale (Zhang and Sennrich 2019).
    Rms,
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

impl Linear {
    /// A layer with this initialisation of its matrix, and a bias that starts at 0.
    #[must_use]
    pub fn new(name: String, [d_in, d_out]: [usize; 2], init: Init) -> Self {
        Self { name, d_in, d_out, is_transposed: false, init, bias: Some(Init::Zeros) }
    }

    /// The same without a bias, unless it has one.
    #[must_use]
    pub fn biased(self, has_bias: bool) -> Self {
        Self { bias: self.bias.filter(|_| has_bias), ..self }
    }

    /// The same, stored as `[in, out]`.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self { is_transposed: true, ..self }
    }

    pub(super) fn tensors(&self, place: Place) -> Vec<TensorShape> {
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

    /// The same without a shift, unless it has one.
    #[must_use]
    pub fn shifted(self, has_shift: bool) -> Self {
        if has_shift { self } else { Self { kind: NormKind::Unshifted, ..self } }
    }

    /// An RMSNorm.
    #[must_use]
    pub fn rms(name: String, width: usize, epsilon: f64) -> Self {
        Self { name, width, kind: NormKind::Rms, epsilon }
    }

    pub(super) fn tensors(&self, place: Place) -> Vec<TensorShape> {
        let tensor = |part: &str, role, init| {
            let name = format!("{}.{part}", self.name);
            TensorShape { name, shape: vec![self.width], role, init, place }
        };
        let scale = tensor("weight", TensorRole::NormScale, Init::Ones);
        match self.kind {
            NormKind::Layer => vec![scale, tensor("bias", TensorRole::NormShift, Init::Zeros)],
            NormKind::Unshifted | NormKind::Rms => vec![scale],
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

    pub(super) fn tensors(&self) -> Vec<TensorShape> {
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
