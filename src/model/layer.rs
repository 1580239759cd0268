//! Owns a layer of a model: attention and feed-forward part, with their norms and residual sums.
//!
//! Activations are `[K, B * T, H]`: K slots, B rows, T tokens, width H; those that all slots share are
//! `[1, B * T, H]`. Owns no weights: they are the pack's.

use tch::Tensor;

use super::assembly::Assembly;
use super::attention::{Attention, Visibility};
use super::layers::{Linear, activate};
use super::norm::Norm;
use super::pass::Pass;
use crate::families::blueprint::{self, Activation, Rotary, Wiring};

/// A layer.
#[derive(Debug)]
pub(super) struct Layer {
    wiring: Wiring,
    attention: Attention,
    attention_norm: Option<Norm>,
    mlp: Option<Mlp>,
    mlp_norm: Option<Norm>,
    /// Whether only the first token of each row is needed.
    first_only: bool,
}

#[derive(Debug)]
struct Mlp {
    input: Linear,
    gate: Option<Linear>,
    activation: Activation,
    output: Linear,
    dropout: Option<f64>,
}

/// The first computations of a layer, up to its adapters.
#[derive(Debug)]
pub(super) struct Projected {
    /// The attention's input, `[K, n, H]`.
    read: Tensor,
    /// The result of [`Attention::project`].
    products: Vec<Tensor>,
}

impl Layer {
    pub(super) fn new(part: &blueprint::Layer, rotaries: &[&Rotary], assembly: Assembly<'_>) -> Self {
        let norm = |norm: &Option<blueprint::Norm>| norm.as_ref().map(|norm| assembly.norm(norm));
        Self {
            wiring: part.wiring,
            attention: Attention::new(&part.attention, rotaries, assembly),
            attention_norm: norm(&part.attention_norm),
            mlp: part.mlp.as_ref().map(|mlp| Mlp {
                input: assembly.linear(&mlp.input),
                gate: mlp.gate.as_ref().map(|gate| assembly.linear(gate)),
                activation: mlp.activation,
                output: assembly.linear(&mlp.output),
                dropout: mlp.dropout,
            }),
            mlp_norm: norm(&part.mlp_norm),
            first_only: false,
        }
    }

    /// Restricts the output to the first token of each row, where this saves work: everything but keys and
    /// values is then computed for those tokens only. Returns whether it does.
    pub(super) fn ask_first_only(&mut self) -> bool {
        self.first_only = self.wiring == Wiring::NormAfter && self.attention.can_ask_less();
        self.first_only
    }

    /// Whether all slots have the same layer.
    pub(super) fn is_shared(&self) -> bool {
        let linear = self.mlp.iter().flat_map(Mlp::linears);
        let norms = [&self.attention_norm, &self.mlp_norm].into_iter().flatten();
        self.attention.is_shared()
            && linear.into_iter().all(Linear::is_shared)
            && norms.into_iter().all(Norm::is_shared)
    }

    /// Whether [`Layer::project`] is the same for all slots.
    pub(super) fn projections_are_shared(&self) -> bool {
        let norm = self.attention_norm.iter().filter(|_| self.wiring == Wiring::NormBefore);
        self.attention.projections_are_shared() && norm.into_iter().all(Norm::is_shared)
    }

    /// The layer's computations up to its adapters.
    pub(super) fn project(&self, x: &Tensor, visibility: &Visibility<'_>) -> Projected {
        let read = self.read(self.attention_norm.as_ref(), x);
        let products = self.attention.project(&read, &self.asking(&read, visibility));
        Projected { read, products }
    }

    /// `[K, B * T, H]` to the same, or to `[K, B, H]` where only the first tokens are needed; starts from the
    /// result of [`Layer::project`], where that is known.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        known: Option<&Projected>,
        visibility: Visibility<'_>,
        pass: &mut Pass,
    ) -> Tensor {
        let residual = self.asking(x, &visibility);
        let made;
        let Projected { read, products } = match known {
            Some(known) => known,
            None => {
                made = self.project(x, &visibility);
                &made
            }
        };
        let asking = if self.first_only { &residual } else { read };
        let attended = self.attention.forward([read, asking], products, visibility, pass);
        let x = self.join(self.attention_norm.as_ref(), residual, attended);
        let Some(mlp) = &self.mlp else { return x };
        let inner = mlp.forward(&self.read(self.mlp_norm.as_ref(), &x), pass);
        self.join(self.mlp_norm.as_ref(), x, inner)
    }

    /// The tokens whose output is needed.
    fn asking(&self, x: &Tensor, visibility: &Visibility<'_>) -> Tensor {
        match visibility {
            Visibility::Rows { inputs, .. } if self.first_only => inputs.first_tokens(x),
            Visibility::Rows { .. } | Visibility::Cached { .. } => x.shallow_clone(),
        }
    }

    /// The input of a part with this norm, made from `x`.
    fn read(&self, norm: Option<&Norm>, x: &Tensor) -> Tensor {
        match (self.wiring, norm) {
            (Wiring::NormBefore, Some(norm)) => norm.forward(x),
            (Wiring::NormBefore, None) | (Wiring::NormAfter | Wiring::Bare, _) => x.shallow_clone(),
        }
    }

    /// Joins `x` with `part`, the output that a part with this norm computed from it.
    fn join(&self, norm: Option<&Norm>, x: Tensor, part: Tensor) -> Tensor {
        match (self.wiring, norm) {
            (Wiring::Bare, _) => part,
            (Wiring::NormAfter, Some(norm)) => norm.forward(&(part + x)),
            (Wiring::NormAfter, None) | (Wiring::NormBefore, _) => x + part,
        }
    }
}

impl Mlp {
    fn linears(&self) -> impl Iterator<Item = &Linear> {
        [Some(&self.input), self.gate.as_ref(), Some(&self.output)].into_iter().flatten()
    }

    fn forward(&self, x: &Tensor, pass: &mut Pass) -> Tensor {
        let inner = self.input.forward(x, pass);
        let inner = match &self.gate {
            None => activate(&inner, self.activation),
            Some(gate) => activate(&gate.forward(x, pass), self.activation) * inner,
        };
        let inner = self.output.forward(&inner, pass);
        self.dropout.map_or_else(|| inner.shallow_clone(), |dropout| pass.dropout(&inner, dropout))
    }
}
