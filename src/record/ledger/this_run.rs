//! Owns what is known of the latest start of a run alone. Data only.

use jiff::Timestamp;

use crate::values::Device;

/// Facts about the latest start of a run only.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ThisRun {
    /// When it began.
    pub begun: Option<Timestamp>,
    /// Whether the user stopped it.
    pub stopped: bool,
    /// How many trials failed for good.
    pub failed: usize,
    /// Whether the report was written.
    pub reported: bool,
    /// Devices that were taken out of service because they failed.
    pub retired: Vec<Device>,
    /// Why files could no longer be written, if that ended it.
    pub unwritable: Option<String>,
}
