//! Owns the way from data files to batches: reading, drawing rows, tokenising once into a memory-mapped store,
//! folds, the order of training rows, and the data card.
//!
//! Knows no model, no device and no scheduler. Everything random is a function of a seed. Read `prepare.rs`
//! first, then `sources/mod.rs` and `store/mod.rs`.

pub mod batches;
pub mod card;
pub(crate) mod clean;
pub mod folds;
pub mod prepare;
pub mod sample;
pub mod sources;
pub mod store;
