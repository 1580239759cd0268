//! Owns the rotation of queries and keys by their positions (Su et al. 2021). Knows no layer.

use tch::{Device, Kind, Tensor};

use super::device;
use crate::families::blueprint::Rotary;

/// The angles of some tokens: how far their queries and keys are turned.
#[derive(Debug)]
pub(super) struct Turns {
    /// `[B or 1, 1, T, width / 2]`, in 32 bits.
    cos: Tensor,
    /// In the same shape.
    sin: Tensor,
}

impl Turns {
    /// Of the positions `[B or 1, T]`, by these [`angles`].
    pub(super) fn of(angles: &Tensor, positions: &Tensor) -> Self {
        let turned = (positions.to_kind(Kind::Float).unsqueeze(-1) * angles).unsqueeze(1);
        Self { cos: turned.cos(), sin: turned.sin() }
    }

    /// Turns the numbers i and i + width / 2 of every head together: `x` `[K * B, heads, T, width]` to the same. With
    /// fewer tokens than there are angles, these are the first.
    pub(super) fn turn(&self, x: &Tensor) -> Tensor {
        let [_, _, tokens, width] = x.size()[..] else { unreachable!("heads have four dimensions") };
        let part = |angles: &Tensor| angles.narrow(2, 0, tokens).to_kind(x.kind());
        let (cos, sin) = (part(&self.cos), part(&self.sin));
        let [first, second] = [0, width / 2].map(|from| x.narrow(3, from, width / 2));
        Tensor::cat(&[&first * &cos - &second * &sin, &second * &cos + &first * &sin], 3)
    }
}

/// The angles of a rotation per position, `[width / 2]`, in 32 bits.
pub(super) fn angles(rotary: &Rotary, device: Device) -> Tensor {
    device::send(&Tensor::from_slice(&rotary.angles()).to_kind(Kind::Float), device)
}
