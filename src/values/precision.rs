//! Owns the choice of number formats, and what it means. Computes nothing.

use serde::{Deserialize, Serialize};

use super::setting::words;

/// Number format in which a model's base is computed, in training and evaluation. Adapters, heads, norms, the
/// softmax of attention, losses, gradients of trained weights and the optimiser always use 32 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32 bits.
    #[default]
    Fp32,
    /// A frozen base is stored and multiplied in bfloat16; weights that train have 32 bits and are
    /// rounded for each product, as by `torch.autocast`.
    Bf16,
}

words!(Precision { Fp32 = "fp32", Bf16 = "bf16" });

impl Precision {
    /// Bytes of a frozen parameter.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Fp32 => 4,
            Self::Bf16 => 2,
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) fn is_fp32(&self) -> bool {
        *self == Self::Fp32
    }
}
