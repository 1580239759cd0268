//! Owns the file with what packs took, which all sweeps of a results folder share. Results do not depend on it:
//! without it, the next prediction is a guess again.

use std::io;

use crate::cost::{Experience, Processors};
use crate::disk::files;
use crate::disk::layout::Layout;

/// What earlier packs took on these processors; nothing where the file is absent or cannot be read.
#[must_use]
pub fn load(layout: &Layout, processors: Processors) -> Experience {
    Experience::new(processors, files::read_json(&layout.experience()).ok().flatten())
}

/// Puts it into the file. Where two runs do so at the same moment, what one of them added is lost.
///
/// # Errors
/// When the file cannot be written.
pub fn save(layout: &Layout, experience: &Experience) -> io::Result<()> {
    files::put_json(&layout.experience(), &experience.keep())
}
