//! Owns what a tensor of a model is: its name, shape, role, place and start. Allocates none.

/// What a tensor is for: decides its weight decay, and whether an adapter fits on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorRole {
    /// A table of vectors, decayed.
    Embedding,
    /// A matrix `[out, in]`, decayed.
    Linear,
    /// A matrix `[in, out]`, as GPT-2 stores them, decayed.
    Conv1d,
    /// An additive bias, not decayed.
    Bias,
    /// The scale of a norm, not decayed.
    NormScale,
    /// The shift of a norm, not decayed.
    NormShift,
}

impl TensorRole {
    /// Whether weight decay applies.
    #[must_use]
    pub fn decays(self) -> bool {
        match self {
            Self::Embedding | Self::Linear | Self::Conv1d => true,
            Self::Bias | Self::NormScale | Self::NormShift => false,
        }
    }
}

/// Which part of a model a tensor belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In front of the first layer.
    Embedding,
    /// In a layer, counted from 0 at the embedding.
    Layer(usize),
    /// Behind the last layer: the last norm, the pooler.
    Top,
    /// The head that a task needs on top of the base.
    Head,
}

impl Place {
    /// The layer's number, where it is in one.
    #[must_use]
    pub fn layer(self) -> Option<usize> {
        match self {
            Self::Layer(layer) => Some(layer),
            Self::Embedding | Self::Top | Self::Head => None,
        }
    }
}

/// How a fresh tensor is filled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// From N(0, s^2), with the standard deviation s.
    Normal(f64),
    /// From U(-b, b), with the bound b.
    Uniform(f64),
    /// With sines and cosines of a row's number at falling frequencies (Vaswani et al. 2017, section 3.5).
    Sinusoids,
    /// With 0.
    Zeros,
    /// With 1.
    Ones,
}

/// One tensor of a model, named as in transformers' state dictionary.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorShape {
    /// Name, for example `bert.encoder.layer.0.attention.self.query.weight`.
    pub name: String,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: TensorRole,
    /// How it starts when it is fresh.
    pub init: Init,
    /// Where it is.
    pub place: Place,
}

impl TensorShape {
    /// Number of elements.
    #[must_use]
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }

    /// The linear layer whose matrix it is.
    pub(super) fn linear(&self) -> Option<LinearShape> {
        let [rows, columns] = self.shape[..] else { return None };
        let (d_in, d_out) = match self.role {
            TensorRole::Linear => (columns, rows),
            TensorRole::Conv1d => (rows, columns),
            TensorRole::Embedding | TensorRole::Bias | TensorRole::NormScale | TensorRole::NormShift => {
                return None;
            }
        };
        let is_transposed = self.role == TensorRole::Conv1d;
        let name = self.name.strip_suffix(".weight")?.to_owned();
        Some(LinearShape { name, d_in, d_out, is_transposed, place: self.place })
    }

    /// Whether it belongs to a module that `modules` name whole or by its last dotted part or parts.
    pub(super) fn is_in(&self, modules: &[String]) -> bool {
        let path = format!(".{}", self.name);
        modules.iter().any(|module| path.contains(&format!(".{module}.")))
    }
}

/// A linear layer of a base model: what an adapter can be put on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinearShape {
    /// Module name without `.weight`.
    pub name: String,
    /// Input width.
    pub d_in: usize,
    /// Output width.
    pub d_out: usize,
    /// Whether its matrix is stored as `[in, out]`, as GPT-2's are: PEFT's `fan_in_fan_out`.
    pub is_transposed: bool,
    /// Where it is.
    pub place: Place,
}

impl LinearShape {
    /// Whether a target is its whole name or the last dotted part or parts of it, as in PEFT.
    #[must_use]
    pub fn is_called(&self, target: &str) -> bool {
        let before = self.name.strip_suffix(target);
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    }
}
