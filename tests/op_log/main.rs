//! What one training step of a pack asks of a GPU, counted on the CPU: a stacked pack trains there in a process
//! whose operations are logged (`log.cpp` says how). It says nothing of time.
//!
//! The log belongs to a process from its start, so that each test is run again in one of its own.
#![cfg(feature = "torch")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should end")]

#[path = "../train_laws/bench.rs"]
#[expect(dead_code, reason = "for other tests")]
mod bench;
mod budgets;
mod logged;
#[path = "../native/mod.rs"]
mod native;
#[path = "../train_laws/subject.rs"]
#[expect(dead_code, reason = "for other tests")]
mod subject;
