//! Owns how files are mapped into memory. Interprets no byte.

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

/// A file's bytes, read from disk on demand. The file must not be changed in place while the map lives: files
/// of a run appear by rename and are never rewritten, and weight files are replaced.
///
/// # Errors
/// When the file cannot be opened or mapped.
#[expect(unsafe_code, reason = "a memory map has no safe form")]
pub fn open(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: nobody writes to the file, as said above. If something else truncates it all the same, the
    // process ends with a signal and its work is repeated.
    unsafe { Mmap::map(&file) }
}
