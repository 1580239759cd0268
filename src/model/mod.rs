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
mod classifier;
#[cfg(feature = "torch")]
pub mod device;
#[cfg(feature = "torch")]
pub mod layers;
#[cfg(feature = "torch")]
pub mod params;
#[cfg(feature = "torch")]
pub mod pass;
pub mod weights;

#[cfg(feature = "torch")]
pub use self::classifier::{Classifier, Inputs};
