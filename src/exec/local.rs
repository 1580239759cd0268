//! Owns jobs as child processes of this one: `program worker FOLDER`, each in its own process group and bound
//! to its device by its environment. They talk through the job's mailbox; its bells are a pipe each way.
//!
//! A worker that has ended a pack without a failure waits, and is given the next job for which a new one would be
//! started alike (`pool`). No child outlives the orchestrator: dropping the executor kills what is left, and a
//! child asks the kernel to end it with its parent (see `worker`). The kernel ties that to the thread that
//! started the child, so `start` must be called from a thread that lives as long as the run.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam::channel::{Receiver, Sender, unbounded};

use super::crew::Crew;
use super::devices::Cards;
pub use super::spawn::PARENT_VARIABLE;
use super::task::Task;
use super::watch::Watch;
use super::{Executor, StartJob, WorkerMessage};
use crate::job::ToChild;
use crate::values::JobKey;

/// Starts jobs on this machine.
#[derive(Debug)]
pub struct LocalExecutor {
    crew: Arc<Crew>,
    watchers: Vec<JoinHandle<()>>,
    sender: Sender<WorkerMessage>,
    receiver: Receiver<WorkerMessage>,
}

impl LocalExecutor {
    /// An executor whose children run this program.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        Self::with_gpus(program, Cards::default())
    }

    /// The same, where there are these GPUs. A child is given its GPU by UUID: a number means another one where
    /// something hides GPUs or orders them.
    #[must_use]
    pub fn with_gpus(program: PathBuf, cards: Cards) -> Self {
        let (sender, receiver) = unbounded();
        Self { crew: Arc::new(Crew::new(program, cards)), watchers: Vec::new(), sender, receiver }
    }
}

impl Executor for LocalExecutor {
    fn start(&mut self, job: StartJob<'_>) -> io::Result<u32> {
        let (pid, new) = self.crew.give(self.crew.key(job.file)?, Task::of(job)?)?;
        if let Some(worker) = new {
            let watch = Watch { crew: Arc::clone(&self.crew), sender: self.sender.clone() };
            self.watchers.retain(|watcher| !watcher.is_finished());
            self.watchers.push(thread::spawn(move || watch.over(worker)));
        }
        Ok(pid)
    }

    fn send(&mut self, job: JobKey, message: &ToChild) {
        self.crew.lock().send(job, message);
    }

    fn stop(&mut self, job: JobKey, force: bool) {
        self.crew.lock().stop(job, force);
    }

    fn messages(&self) -> &Receiver<WorkerMessage> {
        &self.receiver
    }
}

impl Drop for LocalExecutor {
    fn drop(&mut self) {
        self.crew.lock().close();
        for watcher in self.watchers.drain(..) {
            // It waits for its worker to die, but not for long. One that panicked has nothing left to wait for.
            drop(watcher.join());
        }
    }
}

#[cfg(test)]
mod tests;
