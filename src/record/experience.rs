//! Owns the file with what packs took, which all sweeps of a results folder share. Results do not depend on it:
//! without it, the next prediction is a guess again.

use std::fs;
use std::io;

use crate::cost::{Experience, Processors};
use crate::disk::files;
use crate::disk::layout::Layout;

/// The largest file that is read, in bytes: several times what is ever written.
const MOST: u64 = 4 << 20;

/// What earlier packs took on these processors; nothing where the file is absent or cannot be read.
#[must_use]
pub fn load(layout: &Layout, processors: Processors) -> Experience {
    let path = layout.experience();
    let is_readable = fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= MOST);
    let kept = is_readable.then(|| files::read_json(&path).ok().flatten());
    Experience::new(processors, kept.flatten())
}

/// Puts it into the file. Where two runs do so at the same moment, what one of them added is lost.
///
/// # Errors
/// When the file cannot be written.
pub fn save(layout: &Layout, experience: &Experience) -> io::Result<()> {
    files::put_json(&layout.experience(), &experience.keep())
}
