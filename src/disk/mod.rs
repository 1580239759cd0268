//! Owns what is on disk: every path under `results/`, whole files, locks, and files as memory.

pub mod files;
pub mod layout;
pub mod lock;
pub mod mapped;
