//! Owns the predicted cost of a job.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The predicted cost of a job.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Estimate {
    /// Time.
    pub duration: Duration,
    /// Largest memory, in MiB.
    pub mem_mib: f64,
    /// Disk space that its files take afterwards, in MiB.
    pub disk_mib: f64,
}
