//! The whole program while what it stands on fails: killed processes, full and read-only disks, data
//! and files of a run that change or go, odd paths, few file descriptors. Each fault is the real
//! thing, and the sweep always ends as one that nothing disturbed.
//!
//! Faults of children and of the loop alone are injected in `run_local`, `run_loop` and `train_laws`.
#![cfg(feature = "torch")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should end")]

mod chaos;
mod compared;
mod data;
mod disk;
mod fates;
mod folders;
mod life;
mod loss;
mod monkey;
mod site;
mod waiting;
