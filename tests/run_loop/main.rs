//! The run loop with a real scheduler, a real journal and real files; children follow a script.

mod events;
mod resume;
mod support;
