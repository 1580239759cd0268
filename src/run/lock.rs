//! Owns who may write to a run: one orchestrator at a time.
//!
//! The kernel drops the lock with its holder, however it dies, so a lock is never stale.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::error::AppError;
use crate::ui::phrase;

/// Readers look at the lock for an instant; this is how long one waits for them to be gone.
const PATIENCE: Duration = Duration::from_millis(300);

/// The right to write to a run, for as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock and leaves this process's name in it.
    ///
    /// # Errors
    /// When another orchestrator holds it, with its name; or when the file cannot be written.
    pub fn acquire(path: &Path) -> Result<Self, AppError> {
        let failed = |error: io::Error| AppError::file("lock", path, &error);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(failed)?;
        let begun = Instant::now();
        while !taken(&file, FlockOperation::NonBlockingLockExclusive).map_err(failed)? {
            if begun.elapsed() > PATIENCE {
                return Err(refusal(path, &mut file));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        write_holder(&mut file).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Whether an orchestrator holds the lock now.
#[must_use]
pub fn is_held(path: &Path) -> bool {
    File::open(path)
        .and_then(|file| taken(&file, FlockOperation::NonBlockingLockShared))
        .is_ok_and(|taken| !taken)
}

/// The machine's name, for people.
#[must_use]
pub fn host_name() -> String {
    sysinfo::System::host_name().unwrap_or_else(|_| "unknown host".to_owned())
}

fn taken(file: &File, operation: FlockOperation) -> io::Result<bool> {
    match flock(file, operation) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "process {} on {}", std::process::id(), host_name())?;
    file.sync_all()
}

fn refusal(path: &Path, file: &mut File) -> AppError {
    let mut holder = String::new();
    if file.read_to_string(&mut holder).is_err() || holder.is_empty() {
        "another process".clone_into(&mut holder);
    }
    let folder = path.parent().unwrap_or(path);
    let run = phrase::shell([&folder.to_string_lossy()]);
    AppError::Input {
        message: format!("{holder} is at work on `{}`", folder.display()),
        hint: Some(format!("watch it with `lorasweep status {run}`, or stop it with Ctrl-C where it runs")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_the_refusal_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert!(!is_held(&path));
        let lock = Lock::acquire(&path).unwrap();
        assert!(is_held(&path));
        let error = Lock::acquire(&path).unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        assert!(error.hint().is_some());
        drop(lock);
        assert!(!is_held(&path));
        Lock::acquire(&path).unwrap();
    }
}
