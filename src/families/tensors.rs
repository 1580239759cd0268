//! Owns the description of a model's tensor: its name, shape, role, place and initialisation. Allocates none.

/// The role of a tensor, which decides its weight decay and whether it can have an adapter.
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
    /// Before the first layer.
    Embedding,
    /// In a layer, counted from 0 at the embedding.
    Layer(usize),
    /// After the last layer: the last norm, the pooler.
    Top,
    /// The head that a task needs on the base.
    Head,
}

impl Place {
    /// The layer's number, if it is in a layer.
    #[must_use]
    pub fn layer(self) -> Option<usize> {
        match self {
            Self::Layer(layer) => Some(layer),
            Self::Embedding | Self::Top | Self::Head => None,
        }
    }
}

/// How a fresh tensor is initialised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// From N(0, s^2), with the standard deviation s.
    Normal(f64),
    /// From the same, without what is further than so many standard deviations from 0.
    Truncated {
        /// The standard deviation before that.
        std: f64,
        /// So many.
        cutoff: f64,
    },
    /// From U(-b, b), with the bound b.
    Uniform(f64),
    /// With sines and cosines of the row's number at decreasing frequencies (Vaswani et al. 2017, section 3.5).
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
    /// Its role.
    pub role: TensorRole,
    /// Its initialisation, when it is fresh.
    pub init: Init,
    /// Its place in the model.
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

    /// Whether it belongs to a module that `modules` name in full or by its last dotted parts.
    pub(super) fn is_in(&self, modules: &[String]) -> bool {
        let path = format!(".{}", self.name);
        modules.iter().any(|module| path.contains(&format!(".{module}.")))
    }
}

/// A linear layer of a base model, which can have an adapter.
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
    /// Its place in the model.
    pub place: Place,
}

impl LinearShape {
    /// Whether a target is its full name or its last dotted parts, as in PEFT.
    #[must_use]
    pub fn is_called(&self, target: &str) -> bool {
        let before = self.name.strip_suffix(target);
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    }
}
