//! Owns the models: weight files, pack-aware layers, architectures, starting weights. Knows trials,
//! never the scheduler.
//!
//! Plain tensor operations panic on an error inside libtorch; the training process turns such a
//! panic into a typed failure at its edge.

#[cfg(feature = "torch")]
pub mod bert;
#[cfg(feature = "torch")]
pub mod build;
#[cfg(feature = "torch")]
pub mod device;
#[cfg(feature = "torch")]
mod family;
#[cfg(feature = "torch")]
mod generate;
#[cfg(feature = "torch")]
pub mod gpt2;
#[cfg(feature = "torch")]
pub mod gptmini;
#[cfg(feature = "torch")]
pub mod layers;
#[cfg(feature = "torch")]
pub mod params;
#[cfg(feature = "torch")]
pub mod pass;
pub mod weights;

#[cfg(feature = "torch")]
pub use self::family::{Inputs, Model, Trunk, UNSEEN};
