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
    gate: Gate,
    activation: Activation,
    inner_dropout: Option<f64>,
    output: Linear,
    dropout: Option<f64>,
}

#[derive(Debug)]
enum Gate {
    Nothing,
    Separate(Linear),
    FirstHalf,
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
            mlp: part.mlp.as_ref().map(|mlp| Mlp::new(mlp, assembly)),
            mlp_norm: norm(&part.mlp_norm),
            first_only: false,
        }
    }

    /// Restricts the output to the first token of each row, as [`blueprint::Blueprint::asks_first_only`] allows.
    pub(super) fn ask_first_only(&mut self) {
        self.first_only = true;
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
    fn new(part: &blueprint::Mlp, assembly: Assembly<'_>) -> Self {
        Self {
            input: assembly.linear(&part.input),
            gate: match &part.gate {
                blueprint::Gate::Nothing => Gate::Nothing,
                blueprint::Gate::Separate(gate) => Gate::Separate(assembly.linear(gate)),
                blueprint::Gate::FirstHalf => Gate::FirstHalf,
            },
            activation: part.activation,
            inner_dropout: part.inner_dropout,
            output: assembly.linear(&part.output),
            dropout: part.dropout,
        }
    }

    fn linears(&self) -> impl Iterator<Item = &Linear> {
        let gate = match &self.gate {
            Gate::Separate(gate) => Some(gate),
            Gate::Nothing | Gate::FirstHalf => None,
        };
        [Some(&self.input), gate, Some(&self.output)].into_iter().flatten()
    }

    fn forward(&self, x: &Tensor, pass: &mut Pass) -> Tensor {
        let inner = self.input.forward(x, pass);
        let inner = match &self.gate {
            Gate::Nothing => activate(&inner, self.activation),
            Gate::Separate(gate) => activate(&gate.forward(x, pass), self.activation) * inner,
            Gate::FirstHalf => {
                let [gate, inner] = halves(&inner);
                activate(&gate, self.activation) * inner
            }
        };
        let inner = dropped(inner, self.inner_dropout, pass);
        dropped(self.output.forward(&inner, pass), self.dropout, pass)
    }
}

/// The halves of the last dimension.
fn halves(x: &Tensor) -> [Tensor; 2] {
    let half = x.size().last().expect("activations have a width") / 2;
    [0, half].map(|from| x.narrow(-1, from, half))
}

/// After a dropout layer, where there is one.
fn dropped(x: Tensor, dropout: Option<f64>, pass: &mut Pass) -> Tensor {
    match dropout {
        Some(dropout) => pass.dropout(&x, dropout),
        None => x,
    }
}
