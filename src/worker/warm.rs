//! Owns what a worker keeps in memory between two jobs, where it can train at all. Knows no job.

#[cfg(feature = "torch")]
pub(super) use crate::train::{Warm, memory::release};

/// Nothing, since nothing trains.
#[cfg(not(feature = "torch"))]
#[derive(Default)]
pub(super) struct Warm {}

#[cfg(not(feature = "torch"))]
impl Warm {
    pub(super) fn is_empty(&self) -> bool {
        true
    }
}

#[cfg(not(feature = "torch"))]
pub(super) fn release() {}
