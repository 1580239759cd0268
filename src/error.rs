//! Owns the errors that reach the user: text, hint, exit code. Prints nothing.

use std::path::Path;

/// An error that ends a command.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The sweep file is wrong; the text is the whole list of its errors.
    #[error("{0}")]
    Spec(#[from] crate::spec::SpecErrors),
    /// An argument or a file that the user named is wrong.
    #[error("{message}")]
    Input {
        /// What is wrong.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// The machine lacks something.
    #[error("{message}")]
    Environment {
        /// What is missing.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// The sweep ended, but some trials failed.
    #[error("{failed} of {total} trials failed")]
    TrialsFailed {
        /// Number of failed trials.
        failed: usize,
        /// Number of trials.
        total: usize,
        /// What to do next.
        hint: String,
    },
    /// The user stopped it; it can go on.
    #[error("interrupted; finished work is kept")]
    Interrupted {
        /// What to do next.
        hint: String,
    },
    /// Anything else.
    #[error("{0}")]
    Unexpected(String),
}

impl AppError {
    /// A file that cannot be read or written.
    #[must_use]
    pub fn file(action: &str, path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};

        let message = format!("cannot {action} `{}`: {error}", path.display());
        let full = "free some space: `lorasweep doctor` says what is left, and the same command continues";
        let kinds = [
            (PermissionDenied, "look at its owner and permissions with `ls -ld`"),
            (StorageFull, full),
            (QuotaExceeded, full),
            (ReadOnlyFilesystem, "make its disk writable; the same command then continues"),
        ];
        let hint = kinds.into_iter().find_map(|(kind, hint)| (kind == error.kind()).then_some(hint));
        let hint = hint.map(str::to_owned);
        if matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem) {
            return Self::Environment { message, hint };
        }
        Self::Input { message, hint }
    }

    /// The documented exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unexpected(_) => 1,
            Self::Spec(_) | Self::Input { .. } => 2,
            Self::TrialsFailed { .. } => 3,
            Self::Interrupted { .. } => 4,
            Self::Environment { .. } => 5,
        }
    }

    /// What to do next, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Spec(_) | Self::Unexpected(_) => None,
            Self::Input { hint, .. } | Self::Environment { hint, .. } => hint.as_deref(),
            Self::TrialsFailed { hint, .. } | Self::Interrupted { hint } => Some(hint),
        }
    }
}
