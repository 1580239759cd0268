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
    /// Mean 0 and variance 1, then a scale and this shift (Ba et al. 2016).
    Layer(Weight),
    /// Mean square 1, then a scale (Zhang and Sennrich 2019).
    Rms,
}

impl Norm {
    /// The norm that a blueprint describes.
    #[must_use]
    pub fn new(params: &Params, part: &blueprint::Norm) -> Self {
        let weight = |name: &str| params.weight(&format!("{}.{name}", part.name));
        let kind = match part.kind {
            NormKind::Layer => Kinds::Layer(weight("bias")),
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
            Kinds::Layer(bias) => self.layer(&x, bias),
            Kinds::Rms => {
                let scale = (x.square().mean_dim([-1].as_slice(), true, Kind::Float) + self.epsilon).rsqrt();
                match &self.weight {
                    Weight::Shared(weight) => x * scale * weight,
                    Weight::Stacked(weight) => x * scale * weight.unsqueeze(1),
                }
            }
        }
    }

    fn layer(&self, x: &Tensor, bias: &Weight) -> Tensor {
        let width = *x.size().last().expect("activations have a width");
        let norm = |weight: Option<&Tensor>, bias: Option<&Tensor>| {
            x.layer_norm([width], weight, bias, self.epsilon, true)
        };
        match (&self.weight, bias) {
            (Weight::Shared(weight), Weight::Shared(bias)) => norm(Some(weight), Some(bias)),
            (weight, bias) if weight.stacked().size()[0] == 1 => {
                norm(Some(&weight.stacked().squeeze_dim(0)), Some(&bias.stacked().squeeze_dim(0)))
            }
            (weight, bias) => norm(None, None) * weight.stacked().unsqueeze(1) + bias.stacked().unsqueeze(1),
        }
    }
}
