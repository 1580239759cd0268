//! Owns what a job is thought to cost.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a job is thought to cost.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Estimate {
    /// Time on one of the places at hand; [`Calibration`](crate::cost::Calibration) learns better.
    pub duration: Duration,
    /// Largest memory, in MiB.
    pub mem_mib: f64,
    /// Disk it leaves, in MiB.
    pub disk_mib: f64,
}

impl Estimate {
    /// What a part of a pack is thought to cost.
    #[must_use]
    pub(crate) fn share(self, part: f64) -> Self {
        let Self { duration, mem_mib, disk_mib } = self;
        Self { duration: duration.mul_f64(part), mem_mib: mem_mib * part, disk_mib: disk_mib * part }
    }

    /// What is left of it without a part.
    #[must_use]
    pub(crate) fn less(self, part: Self) -> Self {
        Self {
            duration: self.duration.saturating_sub(part.duration),
            mem_mib: self.mem_mib - part.mem_mib,
            disk_mib: self.disk_mib - part.disk_mib,
        }
    }
}
