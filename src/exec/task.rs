//! Owns a job in the hands of a worker: where it is, and what has been heard of it. Starts nothing.

use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;
use std::process::{Child, ChildStdout};

use crossbeam::channel::Receiver;

use super::StartJob;
use super::pool::{WorkerId, WorkerKey};
use crate::disk::layout::{JobFolder, Layout};
use crate::job::mailbox::NewsReader;
use crate::values::JobKey;

/// A job that a worker was given.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) key: JobKey,
    pub(super) start: u64,
    pub(super) folder: JobFolder,
    pub(super) log: PathBuf,
    /// Offset in the log at which this start's output begins.
    pub(super) log_start: u64,
    pub(super) failures: Vec<PathBuf>,
    pub(super) news: NewsReader,
    /// Whether the worker has begun with it, as far as we have heard.
    pub(super) begun: bool,
}

impl Task {
    /// Makes its log, where there is none.
    pub(super) fn of(job: StartJob<'_>) -> io::Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(&job.file.log)?;
        Ok(Self {
            key: job.key,
            start: job.file.start,
            folder: job.folder.clone(),
            log: job.file.log.clone(),
            log_start: log.metadata()?.len(),
            failures: failure_files(job),
            news: NewsReader::new(job.folder.clone(), job.file.start),
            begun: false,
        })
    }
}

/// A process with its first job.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) key: WorkerKey,
    pub(super) child: Child,
    pub(super) lines: ChildStdout,
    pub(super) first: Task,
    /// Its next jobs.
    pub(super) tasks: Receiver<Task>,
}

/// The files in which a job's child says why it failed: the job's, and the trial's where it trained a single
/// one. In larger packs a trial's failure file is about that trial alone.
fn failure_files(job: StartJob<'_>) -> Vec<PathBuf> {
    let (layout, own) = (Layout::of_run(&job.file.run), job.folder.failure());
    match job.file.work.trials() {
        [trial] => vec![own, layout.failure(trial.id)],
        [] | [_, _, ..] => vec![own],
    }
}
