//! Adapters out of a run, into a run's reader, and what is said about those that do not fit. The
//! models are those of the parity fixtures; no Python is needed.
#![cfg(feature = "torch")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod commands;
mod damaged;
mod heads;
mod judged;
mod round_trip;
mod settings;
mod support;
