//! Owns what a job is thought to cost.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a job is thought to cost.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Estimate {
    /// Time on one of the places at hand.
    pub duration: Duration,
    /// Largest memory, in MiB.
    pub mem_mib: f64,
    /// Disk it leaves, in MiB.
    pub disk_mib: f64,
}
