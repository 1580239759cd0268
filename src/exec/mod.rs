//! Owns how jobs are carried out: the executor's interface, and everything that starts a process. Read
//! `local.rs` first.
//!
//! An executor does as asked and reports what it sees. It knows neither the scheduler nor the journal, and it
//! never decides what a job's end means for the run.

mod crew;
pub mod devices;
pub mod local;
mod memory;
mod pool;
pub mod probe;
mod spawn;
pub mod survivors;
mod task;
mod watch;

use std::io;

use crossbeam::channel::Receiver;

use crate::disk::layout::JobFolder;
use crate::job::{ChildLine, JobFile, ToChild};
use crate::values::{Failure, JobKey};

/// A child's exit code for "all work done".
pub const EXIT_DONE: u8 = 0;
/// A child's exit code for "failed; the failure file says why".
pub const EXIT_FAILED: u8 = 1;
/// A child's exit code for "files cannot be written": it left no failure file either.
pub const EXIT_UNWRITABLE: u8 = 5;
/// A child's exit code for "stopped as asked; checkpoints are in place".
pub const EXIT_INTERRUPTED: u8 = 4;

/// Carries out jobs.
pub trait Executor {
    /// Starts a job and returns its process id. Its file is in place; the log's folder exists.
    ///
    /// # Errors
    /// When it cannot be started. No message about it follows.
    fn start(&mut self, job: StartJob<'_>) -> io::Result<u32>;

    /// Sends a message to a job that trains. A job that has ended, or is about to, may not read it; what it did
    /// with it is in what it says.
    fn send(&mut self, job: JobKey, message: &ToChild);

    /// Asks a job to write its checkpoints and end, or kills it. Its end is reported either way; a
    /// job that has ended already is left alone.
    fn stop(&mut self, job: JobKey, force: bool);

    /// The jobs' messages and their ends, in order for each job; `Ended` is the last.
    fn messages(&self) -> &Receiver<WorkerMessage>;
}

/// A job to start.
#[derive(Clone, Copy, Debug)]
pub struct StartJob<'a> {
    /// Which job.
    pub key: JobKey,
    /// Its instructions.
    pub file: &'a JobFile,
    /// The folder with the file that holds them. Nothing was told in it yet.
    pub folder: &'a JobFolder,
}

/// A message of a job's worker process, or its end; [`crate::run`] turns it into events.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerMessage {
    /// Which job.
    pub job: JobKey,
    /// What is new.
    pub news: News,
}

/// What is new about a job.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// It said something.
    Said(ChildLine),
    /// Its process is gone.
    Ended(Exit),
}

/// How a job's process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It reports that all its work is done.
    Done,
    /// It stopped as asked, with checkpoints in place.
    Interrupted,
    /// Neither.
    Failed(Failure),
}
