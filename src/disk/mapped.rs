//! Owns the one way in which files are mapped into memory. Interprets no byte.

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

/// A file's bytes, read from disk as they are asked for. The file must not be changed in place while
/// they live: ours appear by rename and are never written again, and weight files are replaced.
///
/// # Errors
/// When the file cannot be opened or mapped.
#[expect(unsafe_code, reason = "a memory map has no safe form")]
pub fn open(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: nobody writes to the file, as said above. Where one is truncated from outside all the
    // same, the process ends with a signal, and its work is done again.
    unsafe { Mmap::map(&file) }
}
