//! Owns the errors that reach the user: text, hint, exit code. Prints nothing.

use std::path::PathBuf;

use crate::adapter::AdapterError;
use crate::disk::FileError;
use crate::disk::lock::LockError;
use crate::exec::devices::DeviceError;
use crate::hub::HubError;
use crate::record::RecordError;
use crate::record::journal::JournalError;
use crate::report::ReportError;
use crate::run::{RunError, WidthError};
use crate::spec::SpecErrors;
use crate::values::{quantity, shell};

/// An error that ends a command.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The sweep file is wrong; the text is the whole list of its errors.
    #[error("{0}")]
    Spec(#[from] SpecErrors),
    /// A model or data set cannot be fetched.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// An adapter or a model cannot be used.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// The machine lacks the requested devices.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The machine lacks what trials were begun on.
    #[error(transparent)]
    Width(#[from] WidthError),
    /// A run cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A report cannot be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Another process is using it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file or folder cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
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
    /// The user stopped it; it can be continued.
    #[error("interrupted; finished work is kept")]
    Interrupted {
        /// What to do next.
        hint: String,
    },
    /// Files of a run were changed since they were written.
    #[error("`{}` has {}", .run.display(), quantity::counted(*.files, "damaged file"))]
    Damaged {
        /// The run's folder.
        run: PathBuf,
        /// Number of such files.
        files: usize,
    },
    /// Anything else.
    #[error("{0}")]
    Unexpected(String),
}

impl AppError {
    /// The documented exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Damaged { .. } | Self::Unexpected(_) => 1,
            Self::Report(ReportError::Chart(_) | ReportError::Frames(_)) => 1,
            Self::Spec(_) | Self::Input { .. } | Self::Adapter(_) => 2,
            Self::Lock(LockError::InUse { .. }) | Self::Device(DeviceError::TooFewCores { .. }) => 2,
            Self::Record(RecordError::NoRun { .. } | RecordError::NoSweep { .. }) => 2,
            Self::Record(RecordError::Journal(
                JournalError::Header { .. } | JournalError::Version { .. } | JournalError::Entry { .. },
            )) => 2,
            Self::Hub(error) => {
                if error.problem.is_of_environment() {
                    5
                } else {
                    2
                }
            }
            Self::File(error)
            | Self::Lock(LockError::File(error))
            | Self::Record(
                RecordError::Sweep(error)
                | RecordError::File(error)
                | RecordError::Journal(JournalError::File(error)),
            )
            | Self::Report(ReportError::File(error)) => {
                if error.is_of_disk() {
                    5
                } else {
                    2
                }
            }
            Self::TrialsFailed { .. } => 3,
            Self::Interrupted { .. } => 4,
            Self::Environment { .. } | Self::Width(_) => 5,
            Self::Device(
                DeviceError::AllBusy { .. }
                | DeviceError::NoneUsable { .. }
                | DeviceError::Unusable { .. }
                | DeviceError::TooFewGpus { .. }
                | DeviceError::NoSuchGpu { .. }
                | DeviceError::NoGpu,
            ) => 5,
        }
    }

    /// What to do next, where there is an answer.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            // What the next run does with each damaged file is printed with the file.
            Self::Spec(_) | Self::Damaged { .. } | Self::Unexpected(_) => None,
            Self::Report(ReportError::Chart(_) | ReportError::Frames(_)) => None,
            Self::Input { hint, .. } | Self::Environment { hint, .. } => hint.clone(),
            Self::TrialsFailed { hint, .. } | Self::Interrupted { hint } => Some(hint.clone()),
            Self::Hub(error) => Some(error.hint()),
            Self::Adapter(error) => error.hint(),
            Self::Device(error) => Some(error.hint()),
            Self::Width(error) => Some(error.hint()),
            Self::Record(error) => error.hint().map(str::to_owned),
            Self::Lock(LockError::InUse { folder, .. }) => {
                let run = shell::quoted([&folder.to_string_lossy()]);
                Some(format!("watch it with `lorasweep status {run}`, or stop it with Ctrl-C where it runs"))
            }
            Self::File(error)
            | Self::Lock(LockError::File(error))
            | Self::Report(ReportError::File(error)) => error.hint().map(str::to_owned),
        }
    }
}

impl From<JournalError> for AppError {
    fn from(error: JournalError) -> Self {
        Self::Record(error.into())
    }
}

impl From<RunError> for AppError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Lock(error) => error.into(),
            RunError::File(error) => error.into(),
            RunError::Journal(error) => error.into(),
            RunError::Width(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_exit_code_says_who_can_mend_it() {
        let file = |errno| FileError::new("write", Path::new("x"), io::Error::from_raw_os_error(errno));
        let folder = Path::new("results/x").to_path_buf();
        // ENOENT and EACCES are for the one who typed the path; ENOSPC and EROFS for the machine.
        for (errno, code) in [(2, 2), (13, 2), (28, 5), (30, 5)] {
            assert_eq!(AppError::from(file(errno)).exit_code(), code);
            assert_eq!(AppError::from(LockError::from(file(errno))).exit_code(), code);
            assert_eq!(AppError::from(RecordError::from(file(errno))).exit_code(), code);
            assert_eq!(AppError::from(ReportError::from(file(errno))).exit_code(), code);
            assert_eq!(AppError::from(JournalError::from(file(errno))).exit_code(), code);
        }
        assert_eq!(AppError::from(DeviceError::NoGpu).exit_code(), 5);
        assert_eq!(AppError::from(DeviceError::TooFewCores { wanted: 3, have: 2 }).exit_code(), 2);
        let in_use = AppError::from(LockError::InUse { folder, holder: "process 7 on a host".to_owned() });
        assert_eq!(in_use.exit_code(), 2);
        assert!(in_use.hint().unwrap().contains("lorasweep status results/x"));
    }
}
