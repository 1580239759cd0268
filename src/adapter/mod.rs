//! Owns models outside sweeps: import and export of PEFT's and transformers' folders, merging, and prediction.
//! Trains nothing and knows no scheduler. Read `model.rs` first.
//!
//! Everything in an adapter's files is checked against the base before use: every tensor has its module, its
//! shape and finite values, and the base is the one that the adapter was trained on. Nothing in the files is
//! executed, and the only path in them that is followed is an absolute one to the base.

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
