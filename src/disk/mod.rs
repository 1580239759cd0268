//! Owns what is on disk: every path under `results/`, whole files, locks, and files as memory.

mod error;
pub mod files;
pub mod layout;
pub mod lock;
pub mod mapped;

pub use error::FileError;
