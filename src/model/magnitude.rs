//! Owns what DoRA adds to adapters (Liu et al. 2024): the lengths of a weight's rows, which train by themselves, and
//! what they multiply the rows by. Multiplies no activation.
//!
//! A row of a weight `[out, in]` is what one output is computed with; the paper's columns are those of its transpose.

use tch::{Kind, Tensor};

use super::params::Weight;

/// The lengths of the rows of one adapted weight, for each slot.
#[derive(Debug)]
pub(super) struct Magnitude {
    /// `[K, out]`: m, which trains.
    lengths: Tensor,
    /// `[1, out]`: the squared lengths of the base's rows, where they are the same for all slots and at all times.
    squares: Option<Tensor>,
}

impl Magnitude {
    /// Of these lengths, for a base's weight `[out, in]`.
    pub(super) fn new(lengths: Tensor, weight: &Weight) -> Self {
        let squares = match weight {
            Weight::Shared(weight) => Some(squares(weight, -1).unsqueeze(0)),
            Weight::Stacked(_) => None,
        };
        Self { lengths, squares }
    }

    /// `[K, out]`: the lengths that train.
    #[cfg(test)]
    pub(super) fn lengths(&self) -> &Tensor {
        &self.lengths
    }

    /// What each row of `W + B A` is multiplied by to have its length, `[K, 1, out]`: m over the row's own length,
    /// which is a constant for the gradient (section 4.3). `weight` is `[out, in]`, or one for each slot, `a` is
    /// `[K, r, in]`, and `b` `[K, out, r]` with the adapter's scale.
    pub(super) fn factor(&self, weight: &Weight, a: &Tensor, b: &Tensor) -> Tensor {
        let own = tch::no_grad(|| self.own_lengths(weight, a, b));
        (&self.lengths / own).unsqueeze(1)
    }

    /// `|w + b A|² = |w|² + 2 b (A w) + b (A Aᵀ) bᵀ` for each row w of W and b of B: nothing as large as W is made
    /// for each slot.
    fn own_lengths(&self, weight: &Weight, a: &Tensor, b: &Tensor) -> Tensor {
        let [slots, rank, width] = a.size()[..] else { unreachable!("A is `[K, r, in]`") };
        let (of_base, seen) = match weight {
            Weight::Shared(weight) => {
                let low =
                    a.reshape([slots * rank, width]).linear(&weight.to_kind(Kind::Float), None::<&Tensor>);
                (None, low.view([slots, rank, -1]))
            }
            Weight::Stacked(weight) => {
                let weight = weight.to_kind(Kind::Float);
                (Some(squares(&weight, -1)), a.bmm(&weight.transpose(1, 2)))
            }
        };
        let of_base = of_base.as_ref().or(self.squares.as_ref()).expect("a shared weight's were computed");
        let twice = seen.transpose(1, 2) * 2.0 + b.bmm(&a.bmm(&a.transpose(1, 2)));
        (of_base + (twice * b).sum_dim_intlist([-1].as_slice(), false, Kind::Float)).sqrt()
    }
}

/// The lengths of a weight's rows, in 32 bits, where `inputs` is the dimension of its inputs: what m starts with, as
/// B starts with zeros.
pub(crate) fn lengths(weight: &Tensor, inputs: i64) -> Tensor {
    squares(weight, inputs).sqrt()
}

fn squares(weight: &Tensor, inputs: i64) -> Tensor {
    let weight = weight.detach().to_kind(Kind::Float);
    weight.square().sum_dim_intlist([inputs].as_slice(), false, Kind::Float)
}
