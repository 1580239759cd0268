//! Owns the models: weight files, pack-aware layers, the Transformer, starting weights. Knows trials, never the
//! scheduler, and a family only by its blueprint. Read `transformer.rs` first, then `params.rs`.
//!
//! Plain tensor operations panic on an error inside libtorch; the training process turns such a
//! panic into a typed failure at its edge.

#[cfg(feature = "torch")]
mod assembly;
#[cfg(feature = "torch")]
mod attention;
#[cfg(feature = "torch")]
pub mod build;
#[cfg(feature = "torch")]
pub mod device;
#[cfg(feature = "torch")]
mod embeddings;
#[cfg(feature = "torch")]
mod fresh;
#[cfg(feature = "torch")]
mod generate;
#[cfg(feature = "torch")]
pub mod gpu_memory;
#[cfg(feature = "torch")]
mod head;
#[cfg(feature = "torch")]
mod inputs;
#[cfg(feature = "torch")]
mod layer;
#[cfg(feature = "torch")]
pub mod layers;
#[cfg(feature = "torch")]
pub(crate) mod magnitude;
#[cfg(feature = "torch")]
mod mask;
#[cfg(feature = "torch")]
pub mod norm;
#[cfg(feature = "torch")]
pub mod params;
#[cfg(feature = "torch")]
pub mod pass;
#[cfg(feature = "torch")]
pub mod probe;
#[cfg(feature = "torch")]
mod recompute;
#[cfg(feature = "torch")]
mod rotary;
#[cfg(feature = "torch")]
mod transformer;
pub mod weights;

#[cfg(feature = "torch")]
pub use self::inputs::{InputRow, Inputs, UNSEEN};
#[cfg(feature = "torch")]
pub use self::recompute::Passed;
#[cfg(feature = "torch")]
pub use self::transformer::{Model, Trunk};
