//! Owns the way from data files to batches: reading, drawing rows, tokenising once into a
//! memory-mapped store, folds, the order in which rows are trained on, and the card that tells what
//! there is.
//!
//! Knows no model, no device and no scheduler. Everything random is a function of a seed.

pub mod batches;
pub mod card;
pub(crate) mod clean;
pub mod folds;
pub mod prepare;
pub mod sample;
pub mod sources;
pub mod store;
