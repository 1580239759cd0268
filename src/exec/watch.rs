//! Owns what is seen of a worker process while it lives, and what its end means for the job that it was doing.
//! Decides who is given which job only where a worker was gone before it could begin.
//!
//! A process that waits within the kernel cannot be killed. Nobody waits for it for long: its job counts as ended,
//! and it is left to `init`. All that it can still do is to finish the call that it waits for.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ChildStdout, ExitStatus};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use super::crew::{Crew, signal};
use super::memory::{self, MemoryWatch};
use super::pool::WorkerId;
use super::task::{Task, Worker};
use super::{EXIT_DONE, EXIT_INTERRUPTED, EXIT_UNWRITABLE, Exit, News, WorkerMessage};
use crate::disk::files;
use crate::job::ChildLine;
use crate::job::mailbox::End;
use crate::values::{Device, Failure, JobKey};

/// How long a process that has ended may keep others waiting by one that it started, and the time between two looks
/// at one that was killed.
const LOOK: Duration = Duration::from_secs(1);
/// How long a driver may take to free the memory of a process that has ended.
const RELEASE: Duration = Duration::from_secs(2);
/// How many signs of a worker may wait to be seen.
const SIGNS: usize = 16;
/// The longest line read from a child as one, in bytes.
const LONGEST_LINE: u64 = 1 << 20;

/// Follows workers; each has a thread for it.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) crew: Arc<Crew>,
    pub(super) sender: Sender<WorkerMessage>,
}

/// What is seen of a process. Nothing more is once there are neither lines nor an end to come.
enum Sign {
    Bell,
    Line(Vec<u8>),
    /// It has ended, and is not reaped.
    Ended,
}

/// What one worker is doing, as far as we have heard.
struct Ear<'w> {
    watch: &'w Watch,
    id: WorkerId,
    task: Option<Task>,
    tasks: Receiver<Task>,
    memory: MemoryWatch,
    log: PathBuf,
}

impl Watch {
    /// Follows a worker to its end, and then the one that takes its place, if one does.
    pub(super) fn over(&self, worker: Worker) {
        let mut present = Some(worker);
        while let Some(worker) = present {
            present = self.follow(worker);
        }
    }

    fn follow(&self, worker: Worker) -> Option<Worker> {
        let Worker { id, key, mut child, lines, first, tasks } = worker;
        let (pid, start, log) = (Pid::from_child(&child), first.start, first.log.clone());
        let mut ear = Ear { watch: self, id, task: Some(first), tasks, memory: MemoryWatch::start(), log };
        let (sender, signs) = bounded(SIGNS);
        let of_lines = sender.clone();
        // Neither thread is waited for: each may be kept by a process that does not die.
        thread::spawn(move || read(lines, &of_lines));
        thread::spawn(move || await_end(pid, &sender));
        let has_ended = ear.follow(&signs);
        // It may have had no time to ring.
        ear.hear();
        let mut workers = self.crew.lock();
        let known = workers.remove(id);
        let status = has_ended.then(|| child.wait());
        // It may have been given a job since we last heard of it.
        let (known, task) = known.zip(ear.task.take().or_else(|| ear.tasks.try_recv().ok()))?;
        let job = task.key;
        if task.start != start && !task.begun && !known.asked && !workers.is_closed() {
            // It had waited, and was gone before it could begin: that is no failure of this job.
            let worker = self.crew.engage(&mut workers, key, task);
            return worker.map_err(|error| self.say(job, News::Ended(not_started(&error)))).ok();
        }
        drop(workers);
        let exit = match status.and_then(Result::ok).map(exit) {
            Some(Exit::Failed(end)) if known.killed.is_none() => {
                Exit::Failed(self.unless_taken(ear.reason(&task, end), key.placement.device))
            }
            Some(exit) => exit,
            // It was killed and does not die. Nobody else reaps our children.
            None => Exit::Failed(Failure::Killed { signal: Signal::KILL.as_raw() }),
        };
        if exit == Exit::Failed(Failure::OutOfMemory) {
            self.crew.lock().run_out_of_memory();
        }
        self.say(job, News::Ended(exit));
        None
    }

    /// A lack of memory on a card that others have filled since is no fault of the job's. Once that was told, what
    /// they left is what the card has: a job that needs more is made smaller. `device` is that of a child which has
    /// ended.
    fn unless_taken(&self, failure: Failure, device: Device) -> Failure {
        if failure != Failure::OutOfMemory {
            return failure;
        }
        let (looked, mut told) = (Instant::now(), self.crew.cards.taken(device));
        // The child's own memory may be free a moment after its end.
        while told.is_some() && looked.elapsed() < RELEASE {
            thread::sleep(RELEASE / 20);
            told = self.crew.cards.taken(device);
        }
        let Some(taken) = told else { return failure };
        self.crew.cards.go_on_without(taken);
        Failure::DeviceTaken { message: taken.to_string() }
    }

    fn say(&self, job: JobKey, news: News) {
        // Nobody receives once the executor is being dropped.
        drop(self.sender.send(WorkerMessage { job, news }));
    }
}

impl Ear<'_> {
    /// Follows the signs of a worker until it has ended; false where it was killed and does not die. Looks into the
    /// mailbox whenever it rings. All other lines go to the log.
    fn follow(&mut self, signs: &Receiver<Sign>) -> bool {
        let mut ended = None;
        loop {
            match signs.recv_deadline(ended.unwrap_or_else(Instant::now) + LOOK) {
                Ok(Sign::Bell) => self.answer(),
                // A full disk must not keep the bells from being heard.
                Ok(Sign::Line(line)) => drop(self.log_line(&line)),
                Ok(Sign::Ended) => ended = Some(Instant::now()),
                Err(RecvTimeoutError::Disconnected) => return true,
                Err(RecvTimeoutError::Timeout) if ended.is_some() => return true,
                Err(RecvTimeoutError::Timeout) => {
                    if self.watch.crew.lock().outlives_its_death(self.id) {
                        return false;
                    }
                }
            }
        }
    }

    fn answer(&mut self) {
        self.memory.look();
        if !self.hear()
            && let Some(task) = &self.task
        {
            // It could write nothing, but it is alive.
            self.watch.say(task.key, News::Said(ChildLine::Heartbeat));
        }
    }

    fn log_line(&self, line: &[u8]) -> io::Result<()> {
        let mut log = OpenOptions::new().append(true).open(&self.log)?;
        log.write_all(&[b"stdout: ", line.trim_ascii_end(), b"\n"].concat())
    }

    /// Passes on what the worker has said, and returns whether that was anything. One that has done its job and
    /// waits can be given another from then on.
    fn hear(&mut self) -> bool {
        if self.task.is_none() {
            let Ok(next) = self.tasks.try_recv() else { return false };
            // What happened while it waited says nothing about this job.
            (self.memory, self.log) = (MemoryWatch::start(), next.log.clone());
            self.task = Some(next);
        }
        let Some(task) = &mut self.task else { return false };
        let heard = task.news.look();
        let any = !heard.said.is_empty();
        task.begun |= any || heard.end.is_some();
        for line in heard.said {
            self.watch.say(task.key, News::Said(line));
        }
        if heard.end == Some(End::Waiting) {
            self.watch.crew.lock().rest(self.id);
            self.watch.say(task.key, News::Ended(Exit::Done));
            self.task = None;
        }
        any
    }

    /// Why a child failed: its failure file, or else what its exit and its log say about memory and device.
    fn reason(&self, task: &Task, end: Failure) -> Failure {
        if end == (Failure::Killed { signal: Signal::KILL.as_raw() }) {
            return if self.memory.explains_kill() { Failure::OutOfMemory } else { end };
        }
        let told = task.failures.iter().find_map(|path| files::read_json(path).ok().flatten());
        told.or_else(|| memory::last_words(&task.log, task.log_start)).unwrap_or(end)
    }
}

/// Reads a worker's lines until there are no more: an empty one is a bell.
fn read(lines: ChildStdout, signs: &Sender<Sign>) {
    let mut lines = BufReader::new(lines);
    loop {
        let mut line = Vec::new();
        let length = lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line);
        let sign = match length {
            Ok(0) | Err(_) => return,
            // Of bells in a row, only the last matters.
            Ok(_) if line == b"\n" && lines.buffer().first() == Some(&b'\n') => continue,
            Ok(_) if line == b"\n" => Sign::Bell,
            Ok(_) => Sign::Line(line),
        };
        if signs.send(sign).is_err() {
            return;
        }
    }
}

/// Waits for the end of a child. It is not reaped yet, so its group's number stays its own. Killing the group ends
/// any process that the child started, which also closes the pipe.
fn await_end(pid: Pid, signs: &Sender<Sign>) {
    let wait = |options| retry_on_intr(|| waitid(WaitId::Pid(pid), options));
    let ended = wait(WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    debug_assert!(ended.is_ok(), "a child that is not reaped can be waited for");
    signal(pid, true);
    if signs.send(Sign::Ended).is_err() {
        // Nobody waited so long.
        let _ = wait(WaitIdOptions::EXITED);
    }
}

fn not_started(error: &io::Error) -> Exit {
    Exit::Failed(Failure::NotStarted { message: error.to_string() })
}

/// How a process ended, as the run's exit kinds.
pub(super) fn exit(status: ExitStatus) -> Exit {
    if let Some(signal) = status.signal() {
        return Exit::Failed(Failure::Killed { signal });
    }
    let code = status.code().expect("a process that no signal ended has a code");
    if code == i32::from(EXIT_DONE) {
        Exit::Done
    } else if code == i32::from(EXIT_INTERRUPTED) {
        Exit::Interrupted
    } else if code == i32::from(EXIT_UNWRITABLE) {
        Exit::Failed(Failure::Unwritable { message: "its files cannot be written".to_owned() })
    } else {
        Exit::Failed(Failure::Exited { code })
    }
}
