//! What training promises, whatever interrupts it and whoever trains beside it: on tiny models, in
//! this process.
//!
//! libtorch has one random generator and one number of threads per process, and no two trainings share them in
//! real life: so each test holds the lock of [`bench::alone`].
#![cfg(feature = "torch")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod all_rows;
mod base;
mod bench;
mod checkpoints;
mod joins;
mod laws;
mod partly;
mod pauses;
mod recompute;
mod rows;
mod scores;
mod stops;
mod subject;
mod warm;
