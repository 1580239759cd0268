//! Owns the worker processes of an executor as it knows them: who is given a job, and how each is reached. What
//! a worker says and how it ends is seen by `watch`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ChildStdin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam::channel::{Sender, unbounded};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::devices::{self, Cards};
use super::pool::{Pool, WorkerId, WorkerKey};
use super::spawn;
use super::task::{Task, Worker};
use crate::job::ToChild;
use crate::job::mailbox::MessageWriter;
use crate::values::JobKey;

/// How long a worker may take to die that was killed. One that waits for a driver or a disk within the kernel may
/// never do so.
const DEATH: Duration = Duration::from_secs(10);

/// The program that workers run, and those that have not been reaped yet.
#[derive(Debug)]
pub(super) struct Crew {
    program: PathBuf,
    pub(super) cards: Cards,
    workers: Mutex<Workers>,
}

/// The workers that have not been reaped yet.
#[derive(Debug, Default)]
pub(super) struct Workers {
    pool: Pool,
    known: BTreeMap<WorkerId, Known>,
    /// A job has ended because memory ran out.
    memory_ran_out: bool,
    /// Nobody needs the jobs any more.
    closed: bool,
}

/// A worker, and what was asked of it during its present job.
#[derive(Debug)]
pub(super) struct Known {
    pid: Pid,
    bell: ChildStdin,
    tasks: Sender<Task>,
    messages: MessageWriter,
    /// It was asked to end, or killed.
    pub(super) asked: bool,
    /// When we killed it, if we did: the way it ended says nothing about the job.
    pub(super) killed: Option<Instant>,
}

impl Known {
    fn kill(&mut self) {
        self.killed.get_or_insert_with(Instant::now);
        signal(self.pid, true);
    }
}

impl Crew {
    pub(super) fn new(program: PathBuf, cards: Cards) -> Self {
        Self { program, cards, workers: Mutex::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Workers> {
        // Each change is made by calls that do not panic half way.
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a worker for a job must be like.
    pub(super) fn key(&self, job: &crate::job::JobFile) -> io::Result<WorkerKey> {
        spawn::key(&self.program, &self.cards, job)
    }

    /// Gives a job to a worker that waits for one, or to a new one, which has to be watched. Returns its process
    /// id too.
    pub(super) fn give(&self, key: WorkerKey, task: Task) -> io::Result<(u32, Option<Worker>)> {
        let mut workers = self.lock();
        // After a lack of memory the scheduler starts a job alone. It gets what the others hold.
        let alone = workers.memory_ran_out && !workers.pool.is_busy();
        let waiting = workers.pool.reuse(&key, task.key);
        if alone || devices::memory_is_short() {
            workers.dismiss(|_| true);
        }
        if let Some(id) = waiting {
            return Ok((workers.hand_over(id, task), None));
        }
        workers.dismiss(|theirs| theirs.meets(&key));
        let worker = self.engage(&mut workers, key, task)?;
        Ok((worker.child.id(), Some(worker)))
    }

    /// Starts a worker with its first job.
    pub(super) fn engage(&self, workers: &mut Workers, key: WorkerKey, first: Task) -> io::Result<Worker> {
        let mut child = spawn::spawn(&self.program, &key, &first)?;
        let (sender, tasks) = unbounded();
        let known = Known {
            pid: Pid::from_child(&child),
            bell: child.stdin.take().expect("standard input is piped"),
            tasks: sender,
            messages: MessageWriter::new(first.folder.clone(), first.start),
            asked: false,
            killed: None,
        };
        let lines = child.stdout.take().expect("standard output is piped");
        let id = workers.pool.add(key.clone(), first.key);
        workers.known.insert(id, known);
        Ok(Worker { id, key, child, lines, first, tasks })
    }
}

impl Workers {
    /// Gives a worker that waits its next job, and returns its process id.
    fn hand_over(&mut self, id: WorkerId, task: Task) -> u32 {
        let known = self.known.get_mut(&id).expect("a worker is known until it is reaped");
        known.messages = MessageWriter::new(task.folder.clone(), task.start);
        (known.asked, known.killed) = (false, None);
        let line = format!("{}\n", task.key);
        // The worker's thread listens until it has removed the worker from here.
        drop(known.tasks.send(task));
        // One that has just died hears nothing, and its end shows that it never began.
        drop(known.bell.write_all(line.as_bytes()));
        known.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Sends a message to a job's worker. One that has gone hears nothing; its end is reported anyway.
    pub(super) fn send(&mut self, job: JobKey, message: &ToChild) {
        if let Some(known) = self.at(job)
            && known.messages.send(message).is_ok()
        {
            drop(known.bell.write_all(b"\n"));
        }
    }

    /// Asks the worker of a job to end, or kills it.
    pub(super) fn stop(&mut self, job: JobKey, force: bool) {
        // A worker is known until it is reaped, so its process id is still its own.
        if let Some(known) = self.at(job) {
            known.asked = true;
            if force {
                known.kill();
            } else {
                signal(known.pid, false);
            }
        }
    }

    fn at(&mut self, job: JobKey) -> Option<&mut Known> {
        self.known.get_mut(&self.pool.at(job)?)
    }

    /// A worker has done its job and waits for another.
    pub(super) fn rest(&mut self, id: WorkerId) {
        self.pool.rest(id);
    }

    /// Ends workers that wait. They have nothing to lose.
    fn dismiss(&mut self, is_one: impl Fn(&WorkerKey) -> bool) {
        for id in self.pool.dismiss(is_one) {
            self.known.get_mut(&id).expect("a worker is known until it is reaped").kill();
        }
    }

    /// A job has ended because memory ran out. What waiting workers hold is free for what comes.
    pub(super) fn run_out_of_memory(&mut self) {
        self.memory_ran_out = true;
        self.dismiss(|_| true);
    }

    /// Removes a worker that is about to be reaped. `None` where it waited, or was dismissed.
    pub(super) fn remove(&mut self, id: WorkerId) -> Option<Known> {
        let known = self.known.remove(&id)?;
        self.pool.remove(id).map(|_| known)
    }

    /// Kills all that are left. None is started any more.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.known.values_mut().for_each(Known::kill);
    }

    /// Whether a worker is still there long after it was killed.
    pub(super) fn outlives_its_death(&self, id: WorkerId) -> bool {
        let killed = self.known.get(&id).and_then(|known| known.killed);
        killed.is_some_and(|killed| killed.elapsed() > DEATH)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
}

/// Asks a child to end, or kills its whole group.
pub(super) fn signal(child: Pid, force: bool) {
    // It fails only where there is nothing left to signal.
    let _ = if force { kill_process_group(child, Signal::KILL) } else { kill_process(child, Signal::TERM) };
}
