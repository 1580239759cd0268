//! Owns the heads for whole texts: which tokens they read, and the steps to their logits, a pooler's first. Owns no
//! weights: they are the pack's.

use tch::Tensor;

use super::assembly::Assembly;
use super::layers::{Linear, activate};
use super::norm::Norm;
use super::pass::Pass;
use crate::families::blueprint::{self, Activation, Reads};

/// A head for whole texts.
#[derive(Debug)]
pub(super) struct TextHead {
    pub(super) reads: Reads,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Linear(Linear),
    Activation(Activation),
    Norm(Norm),
    Dropout(f64),
}

impl TextHead {
    pub(super) fn new<'a>(
        reads: Reads,
        steps: impl Iterator<Item = &'a blueprint::Step>,
        assembly: Assembly<'_>,
    ) -> Self {
        let step = |step: &blueprint::Step| match step {
            blueprint::Step::Linear(part) => Step::Linear(assembly.linear(part)),
            blueprint::Step::Activation(activation) => Step::Activation(*activation),
            blueprint::Step::Norm(norm) => Step::Norm(assembly.norm(norm)),
            blueprint::Step::Dropout(dropout) => Step::Dropout(*dropout),
        };
        Self { reads, steps: steps.map(step).collect() }
    }

    /// Logits `[K, B, classes]` from the tokens that the head reads, `[K, B, H]`.
    pub(super) fn forward(&self, read: &Tensor, pass: &mut Pass) -> Tensor {
        self.steps.iter().fold(read.shallow_clone(), |x, step| match step {
            Step::Linear(linear) => linear.forward(&x, pass),
            Step::Activation(activation) => activate(&x, *activation),
            Step::Norm(norm) => norm.forward(&x),
            Step::Dropout(dropout) => pass.dropout(&x, *dropout),
        })
    }
}
