//! Owns the report of a file that cannot be used: what was tried, on which path, what the system said. Prints
//! nothing.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A file or folder that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`: {source}", path.display())]
pub struct FileError {
    /// What was tried, as a verb: `read`, `write`, `remove` …
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl FileError {
    /// The error of trying `action` on `path`.
    #[must_use]
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_path_buf(), source }
    }

    /// For `map_err`: the error of trying `action` on `path`.
    pub fn of(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::new(action, path, source)
    }

    /// Whether the disk is full or read-only, so that no other path or argument helps.
    #[must_use]
    pub fn is_of_disk(&self) -> bool {
        matches!(
            self.source.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem
        )
    }

    /// What to do next, where the kind of error says it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        let kinds = [
            (ErrorKind::PermissionDenied, "look at its owner and permissions with `ls -ld`"),
            (ErrorKind::StorageFull, FULL),
            (ErrorKind::QuotaExceeded, FULL),
            (ErrorKind::ReadOnlyFilesystem, "make its disk writable; the same command then continues"),
        ];
        kinds.into_iter().find_map(|(kind, hint)| (kind == self.source.kind()).then_some(hint))
    }
}

const FULL: &str = "free some space: `lorasweep doctor` says what is left, and the same command continues";
