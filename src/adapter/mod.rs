//! Owns models outside of sweeps: PEFT's and transformers' folders in and out, merging, and asking a
//! model. Trains nothing, and knows no scheduler.
//!
//! Whatever comes out of an adapter's files is compared with the base before it is used: every tensor
//! has its module, its shape and finite values, and the base is the one that the adapter was made on.
//! Nothing in them is executed, and no path in them but an absolute one to the base is followed.

pub mod base;
pub mod card;
pub mod error;
#[cfg(feature = "torch")]
pub mod export;
pub mod features;
pub mod fit;
pub mod folder;
pub mod heads;
pub mod import;
pub mod labels;
pub mod manifest;
#[cfg(feature = "torch")]
pub mod model;
pub mod names;
pub mod peft;
#[cfg(feature = "torch")]
pub mod predict;
mod python;
pub mod rules;
#[cfg(feature = "torch")]
mod start;

pub use error::AdapterError;
