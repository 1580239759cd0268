//! Owns what is on disk: every path under `results/`, whole files, locks, and memory-mapped files. Read
//! `layout.rs` first. Knows nothing about what the files mean.

mod error;
pub mod files;
pub mod layout;
pub mod lock;
pub mod mapped;

pub use error::FileError;
