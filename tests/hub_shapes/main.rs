//! The sweeps that are shipped, on models and data as they lie on the hub. What a sweep names must be
//! what the program reads: `prajjwal1/bert-tiny` has a configuration that does not say what it is, a
//! vocabulary alone, and weights in torch's old format with old names.
//!
//! Everything is written here, with random weights: the hub's cache has it, and nobody is asked.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod check;
mod data;
#[cfg(feature = "torch")]
mod families;
#[cfg(feature = "torch")]
mod grids;
mod models;
#[cfg(feature = "torch")]
mod own_head;
#[cfg(feature = "torch")]
mod pooler;
mod site;
