//! Owns the journal: what happened in a run, in order, durable before it is acted upon.
//!
//! One file, one writer (the holder of the run's lock). After a header that names the version come
//! frames: payload length (u32, little endian), CRC-32 of length and payload, payload (one
//! [`Entry`] as JSON). A crash can tear the last frame: readers stop before the first frame that is
//! not whole and say how much they dropped. Any prefix of a journal is a state the run was once in,
//! so going on from it is safe: finished work is told by result files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::AppError;
use crate::job::Placement;
use crate::outcome::Failure;
use crate::plan::JobKey;
use crate::run::files;
use crate::trial::TrialId;

/// The first bytes of every journal; the number changes with the meaning of what follows.
const HEADER: &[u8] = b"lorasweep journal 1\n";

/// Bytes before a payload.
const FRAME: usize = 8;

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    #[serde(with = "time")]
    pub at: Timestamp,
    /// What.
    pub what: Happened,
}

/// The command that started a run: what to type again to go on with it.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Typed {
    /// The folder it was typed in.
    pub folder: PathBuf,
    /// The words after the program's name; none where nobody typed any.
    pub words: Vec<String>,
}

/// What can happen in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Happened {
    /// An orchestrator began to work.
    RunStarted {
        /// Its process id.
        pid: u32,
        /// Its machine.
        host: String,
        /// Its version of lorasweep.
        version: String,
        /// What the user typed.
        #[serde(default)]
        typed: Typed,
    },
    /// A job is about to be started.
    JobLaunching {
        /// Which job.
        key: JobKey,
        /// 1 for its first start in this run.
        attempt: u32,
        /// Where.
        placement: Placement,
        /// The trials it trains; empty for other work.
        trials: Vec<TrialId>,
    },
    /// Its child process is up.
    JobStarted {
        /// Which job.
        key: JobKey,
        /// The child's process id.
        pid: u32,
    },
    /// A trial's result is in place.
    TrialFinished {
        /// Which trial.
        trial: TrialId,
    },
    /// A trial failed, and is not to be tried again unless asked.
    TrialFailed {
        /// Which trial.
        trial: TrialId,
        /// Why.
        failure: Failure,
    },
    /// A job did all of its work.
    JobFinished {
        /// Which job.
        key: JobKey,
    },
    /// A job ended without doing its work.
    JobFailed {
        /// Which job.
        key: JobKey,
        /// Why.
        failure: Failure,
    },
    /// A job ended because it was asked to.
    JobInterrupted {
        /// Which job.
        key: JobKey,
    },
    /// The orchestrator ended in good order.
    RunEnded,
}

/// A journal that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be read or written.
    #[error("cannot use the journal `{path}`: {source}")]
    Io {
        /// The journal.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It starts with something else than this version's header.
    #[error("`{path}` is no journal of this version of lorasweep")]
    Header {
        /// The journal.
        path: PathBuf,
    },
    /// A whole frame holds an entry that this version does not know.
    #[error("`{path}` holds an entry of another version of lorasweep at byte {offset}: {message}")]
    Entry {
        /// The journal.
        path: PathBuf,
        /// Where the frame begins.
        offset: usize,
        /// What the parser said.
        message: String,
    },
}

impl From<JournalError> for AppError {
    fn from(error: JournalError) -> Self {
        let hint = match &error {
            JournalError::Io { .. } => None,
            JournalError::Header { .. } | JournalError::Entry { .. } => Some(
                "use the version that wrote it, or move the file away and run again: \
                 trials with a result are kept"
                    .to_owned(),
            ),
        };
        Self::Input { message: error.to_string(), hint }
    }
}

/// What a journal holds.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Replay {
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
    /// Bytes up to the end of the last whole frame.
    pub kept_bytes: usize,
    /// Bytes behind it, of a torn or damaged frame; zero where all is well.
    pub dropped_bytes: usize,
}

/// The journal of the run that this process works on.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens a journal to go on writing; makes one where there is none. A torn tail is cut off.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is not a journal of this version.
    pub fn open(path: &Path) -> Result<(Self, Replay), JournalError> {
        let replay = read(path)?;
        let file = Self::open_at(path, replay.kept_bytes)
            .map_err(|source| JournalError::Io { path: path.to_path_buf(), source })?;
        Ok((Self { file, path: path.to_path_buf() }, replay))
    }

    fn open_at(path: &Path, kept_bytes: usize) -> io::Result<File> {
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        file.set_len(kept_bytes as u64)?;
        file.seek(SeekFrom::End(0))?;
        if kept_bytes == 0 {
            file.write_all(HEADER)?;
        }
        file.sync_all()?;
        files::sync_folder(path.parent().unwrap_or_else(|| Path::new(".")))?;
        Ok(file)
    }

    /// Adds an entry. When this returns, the entry is on disk.
    ///
    /// # Errors
    /// When it cannot be written; the journal may then end in a torn frame.
    pub fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        self.file
            .write_all(&frame(entry))
            .and_then(|()| self.file.sync_data())
            .map_err(|source| JournalError::Io { path: self.path.clone(), source })
    }
}

/// Reads a journal, also while another process writes it; a missing file is an empty journal.
///
/// # Errors
/// When the file cannot be read, or is not a journal of this version.
pub fn read(path: &Path) -> Result<Replay, JournalError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Replay::default()),
        Err(source) => return Err(JournalError::Io { path: path.to_path_buf(), source }),
    };
    replay(path, &bytes)
}

fn replay(path: &Path, bytes: &[u8]) -> Result<Replay, JournalError> {
    if HEADER.starts_with(bytes) && bytes.len() < HEADER.len() {
        return Ok(Replay { dropped_bytes: bytes.len(), ..Replay::default() });
    }
    if !bytes.starts_with(HEADER) {
        return Err(JournalError::Header { path: path.to_path_buf() });
    }
    let mut entries = Vec::new();
    let mut offset = HEADER.len();
    while let Some(payload) = whole_frame(&bytes[offset..]) {
        let entry = serde_json::from_slice(payload).map_err(|error| JournalError::Entry {
            path: path.to_path_buf(),
            offset,
            message: error.to_string(),
        })?;
        entries.push(entry);
        offset += FRAME + payload.len();
    }
    Ok(Replay { entries, kept_bytes: offset, dropped_bytes: bytes.len() - offset })
}

fn frame(entry: &Entry) -> Vec<u8> {
    let payload = serde_json::to_vec(entry).expect("entries are plain structs with string keys");
    let length = u32::try_from(payload.len()).expect("an entry is far below 4 GiB").to_le_bytes();
    let mut frame = Vec::with_capacity(FRAME + payload.len());
    frame.extend(length);
    frame.extend(checksum(length, &payload).to_le_bytes());
    frame.extend(payload);
    frame
}

/// The payload of the frame that the bytes begin with, where it is whole.
fn whole_frame(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let payload = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    (checksum(*length, payload) == u32::from_le_bytes(*sum)).then_some(payload)
}

fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(payload);
    hasher.finalize()
}

/// Times as RFC 3339 text.
mod time {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Device;

    fn entries() -> Vec<Entry> {
        let key = JobKey("train-00000000000000ab".to_owned());
        let trial: TrialId = "00000000000000ab".parse().unwrap();
        let placement = Placement { device: Device::Cpu { slot: 0 }, cores: vec![0, 1] };
        let happened = [
            Happened::RunStarted {
                pid: 7,
                host: "here".to_owned(),
                version: "0.1.0".to_owned(),
                typed: Typed { folder: "/a".into(), words: vec!["run".to_owned(), "b.yaml".to_owned()] },
            },
            Happened::JobLaunching { key: key.clone(), attempt: 1, placement, trials: vec![trial] },
            Happened::JobStarted { key: key.clone(), pid: 8 },
            Happened::TrialFailed { trial, failure: Failure::Diverged { step: 3 } },
            Happened::JobFailed { key, failure: Failure::OutOfMemory },
            Happened::RunEnded,
        ];
        let at = |second| Timestamp::from_second(second).unwrap();
        (1..).zip(happened).map(|(second, what)| Entry { at: at(second), what }).collect()
    }

    fn bytes(entries: &[Entry]) -> Vec<u8> {
        HEADER.iter().copied().chain(entries.iter().flat_map(frame)).collect()
    }

    fn parse(bytes: &[u8]) -> Result<Replay, JournalError> {
        replay(Path::new("journal"), bytes)
    }

    #[test]
    fn what_is_appended_is_read_back_over_several_openings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        for (n, entry) in entries().iter().enumerate() {
            let (mut journal, replay) = Journal::open(&path).unwrap();
            assert_eq!(replay.entries, entries()[..n]);
            journal.append(entry).unwrap();
        }
        assert_eq!(read(&path).unwrap().entries, entries());
    }

    #[test]
    fn every_prefix_replays_and_reports_its_torn_tail() {
        let whole = bytes(&entries());
        for length in 0..=whole.len() {
            let replay = parse(&whole[..length]).unwrap();
            assert_eq!(replay.entries, entries()[..replay.entries.len()]);
            assert_eq!(replay.kept_bytes + replay.dropped_bytes, length);
            let again = bytes(&replay.entries);
            assert_eq!(replay.kept_bytes, if length < HEADER.len() { 0 } else { again.len() });
        }
    }

    #[test]
    fn every_flipped_bit_is_reported_and_what_stood_before_it_is_kept() {
        let whole = bytes(&entries());
        for position in 0..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[position] ^= 1 << bit;
                match parse(&damaged) {
                    Ok(replay) => {
                        assert!(replay.dropped_bytes > 0 && replay.kept_bytes <= position);
                        assert_eq!(replay.entries, entries()[..replay.entries.len()]);
                    }
                    Err(JournalError::Header { .. }) => assert!(position < HEADER.len()),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    #[test]
    fn a_torn_tail_is_cut_before_going_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let whole = bytes(&entries());
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let (mut journal, replay) = Journal::open(&path).unwrap();
            let last = &entries()[5];
            journal.append(last).unwrap();
            let now = read(&path).unwrap();
            assert_eq!(now.dropped_bytes, 0);
            assert_eq!(now.entries.split_last().unwrap(), (last, &replay.entries[..]));
        }
    }

    #[test]
    fn an_entry_of_another_version_is_refused_not_dropped() {
        let mut text = HEADER.to_vec();
        let payload = br#"{"at":"2026-01-01T00:00:00Z","what":{"kind":"moon_risen"}}"#;
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        text.extend(length);
        text.extend(checksum(length, payload).to_le_bytes());
        text.extend(payload);
        assert!(matches!(parse(&text), Err(JournalError::Entry { .. })));
    }
}
