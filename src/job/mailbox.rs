//! Owns what a parent and a child tell each other while a job runs: files in the job's folder, each written by
//! one side and read by the other. Waits for nothing: whoever reads decides when to look.
//!
//! | file | written by | form |
//! |---|---|---|
//! | `in/1.json`, `in/2.json` … | parent | one [`ToChild`] each, never changed |
//! | `news.jsonl` | child | a line for each [`ChildLine`], appended; the last line tells how the job ended |
//! | `pulse` | child | number of heartbeats and latest progress, with a checksum; written over in place |
//!
//! Progress is told five times a second and is of no use later, so it does not lengthen `news.jsonl`. A reader
//! may look at any time: what is not whole counts as not there yet. A job can be started again while a process
//! of an earlier start hangs, so every entry names its start, and those of other starts are ignored.

#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::disk::files;
use crate::disk::layout::JobFolder;
use crate::job::{ChildLine, ToChild};
use crate::values::Progress;

/// How a child ended its job. Why it failed is in `failure.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// All work is done.
    Done,
    /// All work is done, and the process waits for the next job.
    Waiting,
    /// It stopped as asked; checkpoints are in place.
    Interrupted,
    /// It failed.
    Failed,
}

/// An entry, and the start of the job that it belongs to.
#[derive(Serialize, Deserialize)]
struct Entry<T> {
    start: u64,
    of: T,
}

/// A line of `news.jsonl`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fact<T> {
    Said(T),
    Ended(End),
}

/// The content of `pulse`.
#[derive(Serialize, Deserialize)]
struct Pulse<T> {
    beat: u64,
    progress: Vec<T>,
}

/// Removes what was told in a job's folder.
///
/// # Errors
/// When something is there and cannot be removed.
pub fn clear(folder: &JobFolder) -> io::Result<()> {
    files::remove(&folder.news())?;
    files::remove(&folder.pulse())?;
    match fs::remove_dir_all(folder.messages()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The parent's side: sends messages to the child of one start of a job.
#[derive(Debug)]
pub struct MessageWriter {
    folder: JobFolder,
    start: u64,
    written: u64,
}

impl MessageWriter {
    /// For a start whose folder is clear.
    #[must_use]
    pub fn new(folder: JobFolder, start: u64) -> Self {
        Self { folder, start, written: 0 }
    }

    /// Puts a message in place.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn send(&mut self, message: &ToChild) -> io::Result<()> {
        let number = self.written + 1;
        files::put_json(&self.folder.message(number), &Entry { start: self.start, of: message })?;
        self.written = number;
        Ok(())
    }
}

/// The child's side: takes the messages of its start, in order.
#[derive(Debug)]
pub struct MessageReader {
    folder: JobFolder,
    start: u64,
    read: u64,
}

impl MessageReader {
    /// Before the first message.
    #[must_use]
    pub fn new(folder: JobFolder, start: u64) -> Self {
        Self { folder, start, read: 0 }
    }

    /// The messages since the last look.
    pub fn take(&mut self) -> Vec<ToChild> {
        let mut taken = Vec::new();
        while let Ok(Some(entry)) = files::read_json::<Entry<ToChild>>(&self.folder.message(self.read + 1)) {
            self.read += 1;
            if entry.start == self.start {
                taken.push(entry.of);
            }
        }
        taken
    }
}

/// The child's side: tells how its start of a job gets on.
#[derive(Debug)]
pub struct NewsWriter {
    start: u64,
    news: File,
    pulse: File,
}

impl NewsWriter {
    /// Opens the files; creates them where there are none.
    ///
    /// # Errors
    /// When they cannot be opened.
    pub fn open(folder: &JobFolder, start: u64) -> io::Result<Self> {
        let news = OpenOptions::new().create(true).append(true).open(folder.news())?;
        let pulse = OpenOptions::new().create(true).truncate(false).write(true).open(folder.pulse())?;
        Ok(Self { start, news, pulse })
    }

    /// Tells a fact.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn say(&self, line: &ChildLine) -> io::Result<()> {
        self.append(&Fact::Said(line))
    }

    /// Tells how the job ended: the last word.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(&self, end: End) -> io::Result<()> {
        self.append(&Fact::<&ChildLine>::Ended(end))
    }

    fn append(&self, fact: &Fact<&ChildLine>) -> io::Result<()> {
        let mut text = serde_json::to_vec(&Entry { start: self.start, of: fact })?;
        text.push(b'\n');
        // A whole line at once, so that lines of several threads do not mix.
        (&self.news).write_all(&text)
    }

    /// Tells that the child is alive, and the progress of its trials. Each beat has another number.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn beat(&self, beat: u64, progress: &[Progress]) -> io::Result<()> {
        let pulse = Pulse { beat, progress: progress.iter().collect() };
        let text = serde_json::to_string(&Entry { start: self.start, of: pulse })?;
        let line = format!("{:08x} {text}\n", crc32fast::hash(text.as_bytes()));
        self.pulse.write_all_at(line.as_bytes(), 0)
    }
}

/// The parent's side: reads what the child of one start has told.
#[derive(Debug)]
pub struct NewsReader {
    folder: JobFolder,
    start: u64,
    /// Bytes of `news.jsonl` that were read.
    read: u64,
    beat: Option<u64>,
    progress: Vec<Progress>,
}

/// What is new since the last look.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Heard {
    /// What the child said.
    pub said: Vec<ChildLine>,
    /// How it ended its job, if it did.
    pub end: Option<End>,
}

impl NewsReader {
    /// Before the first look.
    #[must_use]
    pub fn new(folder: JobFolder, start: u64) -> Self {
        Self { folder, start, read: 0, beat: None, progress: Vec::new() }
    }

    /// What is new. Files that cannot be read hold nothing new.
    pub fn look(&mut self) -> Heard {
        // The pulse first: a trial's progress is told before its end.
        let mut heard = Heard { said: self.pulse().unwrap_or_default(), end: None };
        let news = read_from(&self.folder.news(), self.read).unwrap_or_default();
        let whole = news.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.read += whole as u64;
        for line in news[..whole].split(|byte| *byte == b'\n') {
            match serde_json::from_slice::<Entry<Fact<ChildLine>>>(line) {
                Ok(Entry { start, of }) if start == self.start => match of {
                    Fact::Said(said) => heard.said.push(said),
                    Fact::Ended(end) => heard.end = Some(end),
                },
                Ok(_) | Err(_) => {}
            }
        }
        heard
    }

    /// What the pulse tells, if it beat since the last look.
    fn pulse(&mut self) -> Option<Vec<ChildLine>> {
        let text = fs::read(self.folder.pulse()).ok()?;
        let Pulse { beat, progress } = pulse(&text, self.start)?;
        if self.beat.replace(beat) == Some(beat) {
            return None;
        }
        // JSON has no infinite numbers: what cannot be read is no reason to miss the beat.
        let progress: Vec<Progress> =
            progress.into_iter().filter_map(|one| serde_json::from_value(one).ok()).collect();
        let new: Vec<Progress> =
            progress.iter().filter(|one| !self.progress.contains(one)).cloned().collect();
        self.progress = progress;
        Some(vec![if new.is_empty() { ChildLine::Heartbeat } else { ChildLine::Progress(new) }])
    }
}

/// The pulse of a start, if it is whole.
fn pulse(text: &[u8], start: u64) -> Option<Pulse<Value>> {
    // A shorter text may have been written over a longer one.
    let line = text.split_inclusive(|byte| *byte == b'\n').next()?.strip_suffix(b"\n")?;
    let (sum, json) = line.split_at_checked(9)?;
    if sum != format!("{:08x} ", crc32fast::hash(json)).as_bytes() {
        return None;
    }
    let entry: Entry<Pulse<Value>> = serde_json::from_slice(json).ok()?;
    (entry.start == start).then_some(entry.of)
}

fn read_from(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
