//! Owns norms: what they compute over the last dimension, for one slot or for all of a pack.

use tch::{Kind, Tensor};

use super::params::{Params, Weight};
use crate::families::blueprint::{self, NormKind};

/// A norm over the last dimension, in 32 bits.
#[derive(Debug)]
pub struct Norm {
    weight: Weight,
    /// What it computes, with the shift where it has one.
    kind: Kinds,
    epsilon: f64,
}

#[derive(Debug)]
enum Kinds {
    /// Mean 0 and variance 1, then a scale and this shift, where it has one (Ba et al. 2016).
    Layer(Option<Weight>),
    /// Mean square 1, then a scale (Zhang and Sennrich 2019).
    Rms,
}

impl Norm {
    /// The norm that a blueprint describes.
    #[must_use]
    pub fn new(params: &Params, part: &blueprint::Norm) -> Self {
        let weight = |name: &str| params.weight(&format!("{}.{name}", part.name));
        let kind = match part.kind {
            NormKind::Layer => Kinds::Layer(Some(weight("bias"))),
            NormKind::Unshifted => Kinds::Layer(None),
            NormKind::Rms => Kinds::Rms,
        };
        Self { weight: weight("weight"), kind, epsilon: part.epsilon }
    }

    /// Whether all slots have the same norm.
    pub fn is_shared(&self) -> bool {
        self.weight.is_shared()
    }

    /// `[K, n, width]` to the same, in 32 bits.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let x = x.to_kind(Kind::Float);
        match &self.kind {
            Kinds::Layer(shift) => self.layer(&x, shift.as_ref()),
            Kinds::Rms => {
                let scale = (x.square().mean_dim([-1].as_slice(), true, Kind::Float) + self.epsilon).rsqrt();
                match &self.weight {
                    Weight::Shared(weight) => x * scale * weight,
                    Weight::Stacked(weight) => x * scale * weight.unsqueeze(1),
                }
            }
        }
    }

    fn layer(&self, x: &Tensor, shift: Option<&Weight>) -> Tensor {
        let width = *x.size().last().expect("activations have a width");
        let norm = |weight: Option<&Tensor>, shift: Option<Tensor>| {
            x.layer_norm([width], weight, shift.as_ref(), self.epsilon, true)
        };
        match &self.weight {
            Weight::Shared(weight) => norm(Some(weight), shift.map(|shift| shift.shared().shallow_clone())),
            Weight::Stacked(weight) if weight.size()[0] == 1 => {
                norm(Some(&weight.squeeze_dim(0)), shift.map(|shift| shift.stacked().squeeze_dim(0)))
            }
            Weight::Stacked(weight) => {
                let scaled = norm(None, None) * weight.unsqueeze(1);
                match shift {
                    Some(shift) => scaled + shift.stacked().unsqueeze(1),
                    None => scaled,
                }
            }
        }
    }
}
