//! The run loop with a real scheduler, a real journal and real files; children follow a script.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should end")]

mod children;
mod clock;
mod compared;
mod events;
mod experience;
mod explain;
#[path = "../fake_executor/mod.rs"]
mod fake_executor;
mod gc;
mod keep;
mod many;
mod ordered;
mod processes;
mod proposed;
mod resume;
mod seeds;
mod support;
mod verify;
mod widths;
