//! Owns what is seen of a worker process while it lives, and what its end means for the job that it was doing.
//! Decides who is given which job only where a worker was gone before it could begin.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ChildStdout, ExitStatus};
use std::sync::Arc;
use std::thread;

use crossbeam::channel::{Receiver, Sender};
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
use crate::values::{Failure, JobKey};

/// The longest line read from a child as one, in bytes.
const LONGEST_LINE: u64 = 1 << 20;

/// Follows workers; each has a thread for it.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) crew: Arc<Crew>,
    pub(super) sender: Sender<WorkerMessage>,
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
        thread::scope(|scope| {
            scope.spawn(|| ear.listen(lines));
            // The child is not reaped yet, so its group's number stays its own. Killing the group ends any
            // process that the child started, which also closes the pipe.
            let ended =
                retry_on_intr(|| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT));
            debug_assert!(ended.is_ok(), "a child that is not reaped can be waited for");
            signal(pid, true);
        });
        // It may have had no time to ring.
        ear.hear();
        let mut workers = self.crew.lock();
        let known = workers.remove(id);
        let status = child.wait();
        // It may have been given a job since we last heard of it.
        let (known, task) = known.zip(ear.task.take().or_else(|| ear.tasks.try_recv().ok()))?;
        let job = task.key;
        if task.start != start && !task.begun && !known.asked && !workers.is_closed() {
            // It had waited, and was gone before it could begin: that is no failure of this job.
            let worker = self.crew.engage(&mut workers, key, task);
            return worker.map_err(|error| self.say(job, News::Ended(not_started(&error)))).ok();
        }
        let exit = match status.map(exit) {
            Ok(Exit::Failed(end)) if !known.killed => Exit::Failed(ear.reason(&task, end)),
            Ok(exit) => exit,
            // Nobody else reaps our children; its group was killed just now.
            Err(_) => Exit::Failed(Failure::Killed { signal: Signal::KILL.as_raw() }),
        };
        if exit == Exit::Failed(Failure::OutOfMemory) {
            workers.run_out_of_memory();
        }
        drop(workers);
        self.say(job, News::Ended(exit));
        None
    }

    fn say(&self, job: JobKey, news: News) {
        // Nobody receives once the executor is being dropped.
        drop(self.sender.send(WorkerMessage { job, news }));
    }
}

impl Ear<'_> {
    /// Looks into the mailbox whenever the worker rings, with an empty line. All other lines go to the log.
    fn listen(&mut self, lines: ChildStdout) {
        let mut lines = BufReader::new(lines);
        let mut line = Vec::new();
        while lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            if line != b"\n" {
                // A full disk must not keep the bells from being heard.
                drop(self.log_line(&line));
            } else if lines.buffer().first() != Some(&b'\n') {
                // Of bells in a row, only the last matters.
                self.memory.look();
                if !self.hear()
                    && let Some(task) = &self.task
                {
                    // It could write nothing, but it is alive.
                    self.watch.say(task.key, News::Said(ChildLine::Heartbeat));
                }
            }
            line.clear();
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

fn not_started(error: &io::Error) -> Exit {
    Exit::Failed(Failure::NotStarted { message: error.to_string() })
}

/// How a process ended, as the run's exit kinds.
fn exit(status: ExitStatus) -> Exit {
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
