//! Owns the errors that end a run before its work is done.

use crate::disk::FileError;
use crate::disk::lock::LockError;
use crate::record::journal::JournalError;
use crate::run::WidthError;

/// A run that cannot be started or continued.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another orchestrator holds it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file or folder of it cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Trials of it were begun on more cores than there are here, or on a GPU.
    #[error(transparent)]
    Width(#[from] WidthError),
}
