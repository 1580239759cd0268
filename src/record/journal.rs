//! Owns the journal: the events of a run that must be known after a crash, in order, and durable before anyone
//! acts on them. The journal gets every event first.
//!
//! One file with one writer (the holder of the run's lock), in the format of `frame`. An event that announces
//! an action is on disk before the action, together with all earlier events; other events wait for the next
//! announcement, since files record the same facts.
//!
//! A crash can tear the last frame, and a disk can damage any: readers stop at the first frame that is not
//! intact and report what they dropped. Every prefix of a journal is a state that the run was once in, so
//! continuing from it is safe: finished work is recorded in result files.

mod frame;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::disk::layout::Layout;
use crate::disk::{FileError, files};
use crate::values::{Event, quantity};

use frame::{Broken, HEADER, VERSION};

/// A journal that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It does not begin like a journal.
    #[error("`{path}` is not a journal of lorasweep, or its first line is damaged")]
    Header {
        /// The journal.
        path: PathBuf,
    },
    /// It is of another version.
    #[error("`{path}` is a journal of version {found}, and this lorasweep reads version {VERSION}")]
    Version {
        /// The journal.
        path: PathBuf,
        /// The version in its first line.
        found: u64,
    },
    /// A whole frame holds an entry that this version does not know.
    #[error("`{path}` holds an entry of another version of lorasweep at byte {offset}: {message}")]
    Entry {
        /// The journal.
        path: PathBuf,
        /// Where the frame begins.
        offset: usize,
        /// The parser's message.
        message: String,
    },
}

impl JournalError {
    /// What to do next, where there is an answer.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::File(error) => error.hint(),
            Self::Header { .. } | Self::Version { .. } | Self::Entry { .. } => Some(
                "use the version that wrote it, or move the file away and run again: \
                 trials with a result are kept",
            ),
        }
    }
}

/// What a journal holds.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Replay {
    /// The events, oldest first, up to the first frame that is not intact.
    pub events: Vec<Event>,
    /// Bytes up to the end of the last of these.
    pub kept_bytes: usize,
    /// Bytes after that; zero if the journal is intact.
    pub dropped_bytes: usize,
    /// Intact entries within those bytes: none where a crash tore the end, some where a byte in the middle is
    /// damaged.
    pub dropped_entries: usize,
    /// The full copy of a damaged journal, made before its rest was cut off.
    pub aside: Option<PathBuf>,
    /// Whether the file does not exist.
    pub is_missing: bool,
}

impl Replay {
    /// What is lost of the run's events, in words; an end torn by a crash, which the next run cuts off, does
    /// not count.
    #[must_use]
    pub fn damage(&self) -> Option<String> {
        if self.is_missing {
            return Some("the journal is missing".to_owned());
        }
        self.dropped().filter(|_| self.dropped_entries > 0)
    }

    /// What was dropped, in words; `None` where nothing was.
    #[must_use]
    pub fn dropped(&self) -> Option<String> {
        let Self { kept_bytes, dropped_bytes, dropped_entries, .. } = *self;
        if dropped_bytes == 0 {
            return None;
        }
        let bytes = quantity::counted(dropped_bytes, "byte");
        if dropped_entries == 0 {
            return Some(format!("the journal's last {bytes} were torn by a crash and are dropped"));
        }
        let entries = if dropped_entries == 1 { "1 entry" } else { &format!("{dropped_entries} entries") };
        Some(format!("the journal is damaged at byte {kept_bytes}: {entries} after it ({bytes}) are dropped"))
    }
}

/// The journal of the run that this process works on.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    /// The position of the next frame.
    end: u64,
}

impl Journal {
    /// Opens a journal for writing, or creates it. An unreadable end is cut off; a journal that is damaged in
    /// the middle is first copied aside.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is not a journal of this version.
    pub fn open(path: &Path) -> Result<(Self, Replay), JournalError> {
        let failed = FileError::of("use the journal", path);
        let mut replay = read(path)?;
        if replay.dropped_entries > 0 {
            replay.aside = Some(put_aside(path).map_err(&failed)?);
        }
        let (file, end) = Self::open_at(path, replay.kept_bytes as u64).map_err(failed)?;
        Ok((Self { file, path: path.to_path_buf(), end }, replay))
    }

    fn open_at(path: &Path, kept_bytes: u64) -> io::Result<(File, u64)> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        file.set_len(kept_bytes)?;
        if kept_bytes == 0 {
            file.write_all_at(HEADER, 0)?;
        }
        file.sync_all()?;
        files::sync_folder(path.parent().unwrap_or_else(|| Path::new(".")))?;
        Ok((file, kept_bytes.max(HEADER.len() as u64)))
    }

    /// Appends an event, unless it is ephemeral. When this returns, an announcement and all earlier events are
    /// on disk.
    ///
    /// # Errors
    /// When it cannot be written. The incomplete frame is then overwritten by the next one.
    pub fn append(&mut self, event: &Event) -> Result<(), JournalError> {
        if !event.what.is_journaled() {
            return Ok(());
        }
        let frame = frame::of(event);
        let written = self.file.write_all_at(&frame, self.end);
        let synced =
            written.and_then(|()| if event.what.is_announcement() { self.file.sync_data() } else { Ok(()) });
        synced.map_err(FileError::of("use the journal", &self.path))?;
        self.end += frame.len() as u64;
        Ok(())
    }
}

/// Copies a journal to an unused name, and returns that name.
fn put_aside(path: &Path) -> io::Result<PathBuf> {
    let free = (1..).map(|n| Layout::journal_aside(path, n)).find(|aside| !aside.exists());
    let aside = free.expect("some number is free");
    files::write_atomic(&aside, &fs::read(path)?)?;
    Ok(aside)
}

/// Reads a journal, even while another process writes it; a missing file is an empty journal.
///
/// # Errors
/// When the file cannot be read, or is not a journal of this version.
pub fn read(path: &Path) -> Result<Replay, JournalError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Replay { is_missing: true, ..Replay::default() });
        }
        Err(source) => return Err(FileError::new("use the journal", path, source).into()),
    };
    let path = || path.to_path_buf();
    frame::replay(&bytes).map_err(|broken| match broken {
        Broken::Header => JournalError::Header { path: path() },
        Broken::Version { found } => JournalError::Version { path: path(), found },
        Broken::Entry { offset, message } => JournalError::Entry { path: path(), offset, message },
    })
}
