//! The whole way through CUDA on a machine without a GPU: a library of made-up devices takes the place of libtorch's
//! own (`fake.h` says what it is), and packs train, answer, stop, go on and fail on them.
//!
//! A process decides at its first operation whether it has devices, so that each test has one of its own.
#![cfg(feature = "torch")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should end")]

mod apart;
#[path = "../train_laws/bench.rs"]
#[expect(dead_code, reason = "for other tests")]
mod bench;
mod devices;
mod faults;
mod learning;
mod library;
mod many;
#[path = "../native/mod.rs"]
mod native;
mod probe;
mod runs;
mod smoke;
#[path = "../train_laws/subject.rs"]
mod subject;
mod waiting;
