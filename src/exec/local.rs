//! Owns jobs as child processes of this one: `program worker FOLDER`, each in its own process group and bound
//! to its device by its environment. They talk through the job's mailbox; its bells are a pipe each way.
//!
//! No child outlives the orchestrator: dropping the executor kills what is left, and a child asks the kernel to
//! end it with its parent (see `worker`). The kernel ties that to the thread that started the child, so `start`
//! must be called from a thread that lives as long as the run.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crossbeam::channel::{Receiver, Sender, unbounded};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

use super::memory::{self, MemoryWatch};
use super::{
    EXIT_DONE, EXIT_INTERRUPTED, EXIT_UNWRITABLE, Executor, Exit, News, StartJob, WorkerMessage, devices,
};
use crate::disk::files;
use crate::disk::layout::Layout;
use crate::job::mailbox::{MessageWriter, NewsReader};
use crate::job::{ChildLine, ToChild};
use crate::values::{Device, Failure, JobKey, Placement};

/// Environment variable that tells a child who its parent is.
pub const PARENT_VARIABLE: &str = "LORASWEEP_PARENT";

/// The longest line read from a child as one, in bytes.
const LONGEST_LINE: u64 = 1 << 20;

/// The children that have not been reaped yet.
type Children = Arc<Mutex<BTreeMap<JobKey, Known>>>;

#[derive(Debug)]
struct Known {
    pid: Pid,
    messages: MessageWriter,
    bell: ChildStdin,
    /// We killed it, so the way it ended says nothing about the job.
    killed: bool,
}

/// Starts jobs on this machine.
#[derive(Debug)]
pub struct LocalExecutor {
    program: PathBuf,
    children: Children,
    watchers: Vec<JoinHandle<()>>,
    sender: Sender<WorkerMessage>,
    receiver: Receiver<WorkerMessage>,
}

impl LocalExecutor {
    /// An executor whose children run this program.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        let (sender, receiver) = unbounded();
        Self { program, children: Arc::default(), watchers: Vec::new(), sender, receiver }
    }
}

impl Executor for LocalExecutor {
    fn start(&mut self, job: StartJob<'_>) -> io::Result<u32> {
        let log = OpenOptions::new().create(true).append(true).open(&job.file.log)?;
        let log_start = log.metadata()?.len();
        let mut child = Command::new(&self.program)
            .arg("worker")
            .arg(job.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .env(PARENT_VARIABLE, std::process::id().to_string())
            .envs(environment(&job.file.placement))
            .spawn()?;
        let number = child.id();
        let lines = child.stdout.take().expect("standard output is piped");
        let bell = child.stdin.take().expect("standard input is piped");
        let (folder, start) = (job.folder.clone(), job.file.start);
        let messages = MessageWriter::new(folder.clone(), start);
        let known = Known { pid: Pid::from_child(&child), messages, bell, killed: false };
        lock(&self.children).insert(job.key, known);
        let watch = Watch {
            job: job.key,
            sender: self.sender.clone(),
            children: Arc::clone(&self.children),
            memory: MemoryWatch::start(),
            failures: failure_files(job),
            log: job.file.log.clone(),
            log_start,
        };
        self.watchers.retain(|watcher| !watcher.is_finished());
        self.watchers.push(thread::spawn(move || watch.over(child, lines, NewsReader::new(folder, start))));
        Ok(number)
    }

    fn send(&mut self, job: JobKey, message: &ToChild) {
        if let Some(child) = lock(&self.children).get_mut(&job)
            && child.messages.send(message).is_ok()
        {
            // A child that has gone hears nothing; its end is reported anyway.
            drop(child.bell.write_all(b"\n"));
        }
    }

    fn stop(&mut self, job: JobKey, force: bool) {
        // A child is in the map until it is reaped, so its process id is still its own.
        if let Some(child) = lock(&self.children).get_mut(&job) {
            child.killed |= force;
            signal(child.pid, force);
        }
    }

    fn messages(&self) -> &Receiver<WorkerMessage> {
        &self.receiver
    }
}

impl Drop for LocalExecutor {
    fn drop(&mut self) {
        for child in lock(&self.children).values() {
            signal(child.pid, true);
        }
        for watcher in self.watchers.drain(..) {
            // A watcher that panicked has nothing left to wait for.
            drop(watcher.join());
        }
    }
}

/// What the thread that watches one child knows.
struct Watch {
    job: JobKey,
    sender: Sender<WorkerMessage>,
    children: Children,
    memory: MemoryWatch,
    failures: Vec<PathBuf>,
    log: PathBuf,
    /// Offset in the log at which this attempt's output begins.
    log_start: u64,
}

impl Watch {
    /// Follows a child to its end: first what it says, then its exit status.
    fn over(&self, mut child: Child, lines: ChildStdout, mut news: NewsReader) {
        let pid = Pid::from_child(&child);
        thread::scope(|scope| {
            scope.spawn(|| self.listen(lines, &mut news));
            // The child is not reaped yet, so its group's number stays its own. Killing the group ends any
            // process that the child started, which also closes the pipe.
            let ended =
                retry_on_intr(|| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT));
            debug_assert!(ended.is_ok(), "a child that is not reaped can be waited for");
            signal(pid, true);
        });
        // It may have had no time to ring.
        self.pass_on(&mut news);
        let (status, killed) = {
            let mut children = lock(&self.children);
            let killed = children.remove(&self.job).is_some_and(|child| child.killed);
            (child.wait(), killed)
        };
        self.say(News::Ended(match status.map(exit) {
            Ok(Exit::Failed(end)) if !killed => Exit::Failed(self.reason(end)),
            Ok(exit) => exit,
            // Nobody else reaps our children; its group was killed just now.
            Err(_) => Exit::Failed(Failure::Killed { signal: Signal::KILL.as_raw() }),
        }));
    }

    /// Why a child failed: its failure file, or else what its exit and its log say about memory and device.
    fn reason(&self, end: Failure) -> Failure {
        if end == (Failure::Killed { signal: Signal::KILL.as_raw() }) {
            return if self.memory.explains_kill() { Failure::OutOfMemory } else { end };
        }
        let told = self.failures.iter().find_map(|path| files::read_json(path).ok().flatten());
        told.or_else(|| memory::last_words(&self.log, self.log_start)).unwrap_or(end)
    }

    /// Looks into the mailbox whenever the child rings, with an empty line. All other lines go to the log.
    fn listen(&self, lines: ChildStdout, news: &mut NewsReader) {
        let mut lines = BufReader::new(lines);
        let mut line = Vec::new();
        while lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            if line != b"\n" {
                // A full disk must not keep the bells from being heard.
                drop(self.log_line(&line));
            } else if lines.buffer().first() != Some(&b'\n') {
                // Of bells in a row, only the last matters.
                self.memory.look();
                if !self.pass_on(news) {
                    // It could write nothing, but it is alive.
                    self.say(News::Said(ChildLine::Heartbeat));
                }
            }
            line.clear();
        }
    }

    fn log_line(&self, line: &[u8]) -> io::Result<()> {
        let mut log = OpenOptions::new().append(true).open(&self.log)?;
        log.write_all(&[b"stdout: ", line.trim_ascii_end(), b"\n"].concat())
    }

    /// Passes on what the child has said, and returns whether that was anything.
    fn pass_on(&self, news: &mut NewsReader) -> bool {
        let said = news.look().said;
        let any = !said.is_empty();
        said.into_iter().for_each(|line| self.say(News::Said(line)));
        any
    }

    fn say(&self, news: News) {
        // Nobody receives once the executor is being dropped.
        drop(self.sender.send(WorkerMessage { job: self.job, news }));
    }
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

/// The files in which a job's child says why it failed: the job's, and the trial's where it trained a single
/// one. In larger packs a trial's failure file is about that trial alone.
fn failure_files(job: StartJob<'_>) -> Vec<PathBuf> {
    let (layout, own) = (Layout::of_run(&job.file.run), job.folder.failure());
    match job.file.work.trials() {
        [trial] => vec![own, layout.failure(trial.id)],
        [] | [_, _, ..] => vec![own],
    }
}

/// The environment that limits a child's libraries to its share of the machine.
fn environment(placement: &Placement) -> Vec<(&'static str, String)> {
    let visible = match placement.device {
        Device::Cuda { index } => {
            devices::name_for_cuda(index, std::env::var("CUDA_VISIBLE_DEVICES").ok().as_deref())
        }
        Device::Cpu { .. } | Device::Host => String::new(),
    };
    let mut variables = vec![
        ("CUDA_VISIBLE_DEVICES", visible),
        // Numbers as NVML does, which gave us the GPUs' indices, rather than fastest first.
        ("CUDA_DEVICE_ORDER", "PCI_BUS_ID".to_owned()),
        // glibc would give large blocks back to the kernel at every step: 1.16 million page faults in
        // a short trial, against 0.7 million with these.
        ("MALLOC_MMAP_MAX_", "0".to_owned()),
        ("MALLOC_TRIM_THRESHOLD_", (1_u64 << 40).to_string()),
        ("MALLOC_TOP_PAD_", (64_u64 << 20).to_string()),
        // By default an OpenMP thread keeps its core busy for milliseconds while it waits for the others. Where
        // another program needed that core, training fell to 40 rows/s, against 97 with 20,000 rounds of
        // waiting and 180 with 1,000. On a quiet machine 1,000 cost a tenth of the speed, and 10,000 nothing
        // that could be measured.
        ("GOMP_SPINCOUNT", "10000".to_owned()),
    ];
    // A host job without its own cores runs alongside training, on one thread.
    let threads = placement.cores.len().max(1).to_string();
    let names = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"];
    variables.extend(names.map(|name| (name, threads.clone())));
    variables
}

/// Asks a child to end, or kills its whole group.
fn signal(child: Pid, force: bool) {
    // It fails only where there is nothing left to signal.
    let _ = if force { kill_process_group(child, Signal::KILL) } else { kill_process(child, Signal::TERM) };
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The map is changed by single calls, so it is whole even if a thread panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
