//! One start of the orchestrator, from the outside: its lines, its children, its end.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::SIGINT;
use signal_hook::flag::register_conditional_default;

use crate::site::{PROGRAM, Site};

/// Far longer than anything here takes; what is waited for in vain has failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// Children of a dead orchestrator are gone within this time.
const ORPHANED: Duration = Duration::from_secs(5);
/// Time between two looks at what tells of no event.
const LOOK: Duration = Duration::from_millis(5);

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All trials have their fate.
    Over,
    /// It stopped as asked.
    Stopped,
    /// A signal ended it.
    Killed,
}

/// A running orchestrator. Nothing of it is left when it is dropped.
pub(crate) struct Life {
    child: Child,
    jobs: PathBuf,
    said: PathBuf,
    lines: Receiver<String>,
}

impl Life {
    /// Starts or continues the sweep, in packs of so many trials at most or as it sees fit.
    pub(crate) fn start(site: &Site, slots: Option<u16>) -> Self {
        let said = site.folder().join("stderr");
        heed_ctrl_c();
        let mut child = Command::new(PROGRAM)
            .args(["run", "chaos.yaml", "--json", "--devices", "cpu:2", "--attempts", "100", "--yes"])
            .args(slots.map(|slots| format!("--pack-slots={slots}")))
            .current_dir(site.folder())
            .stdout(Stdio::piped())
            .stderr(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let (send, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        // It ends with the orchestrator, or with the last who would listen.
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|line| send.send(line).ok());
        });
        Self { child, jobs: site.layout.jobs(), said, lines }
    }

    /// Waits until it has said so many more lines, or for so long, or until it says no more.
    pub(crate) fn wait_for_lines(&self, count: usize, at_most: Duration) {
        let until = Instant::now() + at_most;
        for _ in 0..count {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Waits until it says how a trial comes along, or says no more.
    pub(crate) fn wait_for_progress(&self) {
        self.wait_for("trial_progressed", PATIENCE);
    }

    /// Waits until it says this, or for so long, or until it says no more. Returns whether it said it.
    pub(crate) fn wait_for(&self, what: &str, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        let next = || self.lines.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
        std::iter::from_fn(next).any(|line| line.contains(what))
    }

    /// Waits until it tells of an event whose name begins like this, or says no more. Returns whether it told of it.
    pub(crate) fn wait_for_event(&self, name: &str) -> bool {
        self.wait_for(&format!("\"event\":\"{name}"), PATIENCE)
    }

    /// Waits until so many trials have their result.
    pub(crate) fn wait_for_results(&self, site: &Site, count: usize) {
        while site.results() < count {
            self.lines.recv_timeout(PATIENCE).unwrap();
        }
    }

    /// The children, at work or waiting for it.
    pub(crate) fn children(&self) -> Vec<Pid> {
        workers(&self.jobs)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It may be gone, but it is not reaped before `end`, so the number is still its own.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Lets it live to its end.
    pub(crate) fn live(self) -> Ended {
        self.end(Duration::from_secs(900))
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(self) -> Ended {
        self.signal(Signal::INT);
        self.end(PATIENCE)
    }

    /// Waits for its end. No child may be left soon after.
    pub(crate) fn end(mut self, at_most: Duration) -> Ended {
        let until = Instant::now() + at_most;
        // Its lines end with it.
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {}", self.said()),
            }
        }
        let status = self.child.wait().unwrap();
        let ended = self.judge(status);
        let begun = Instant::now();
        while !self.children().is_empty() {
            assert!(begun.elapsed() < ORPHANED, "children of a dead orchestrator: {:?}", self.children());
            std::thread::sleep(LOOK);
        }
        ended
    }

    fn judge(&self, status: ExitStatus) -> Ended {
        match (status.code(), status.signal()) {
            // In most sweeps a configuration diverges.
            (Some(0 | 3), _) => Ended::Over,
            (Some(4), _) => Ended::Stopped,
            (None, Some(_)) => Ended::Killed,
            _ => panic!("{status}: {}", self.said()),
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // Where a test fails: nothing else would end it.
        let _ = (self.child.kill(), self.child.wait());
    }
}

/// Behind a shell's `&` the tests, and all that they start, ignore SIGINT, so that the program would miss
/// one that comes before it listens. What has a handler here has the default in a child.
fn heed_ctrl_c() {
    static HEEDED: Once = Once::new();
    HEEDED.call_once(|| _ = register_conditional_default(SIGINT, Arc::new(AtomicBool::new(true))).unwrap());
}

/// The processes that work on a job file of this folder.
fn workers(jobs: &Path) -> Vec<Pid> {
    let on_it = |line: &[u8]| {
        let words: Vec<_> = line.split(|byte| *byte == 0).collect();
        words.windows(2).any(|pair| pair[0] == b"worker" && pair[1].starts_with(jobs.as_os_str().as_bytes()))
    };
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let entry = entry.unwrap();
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(pid) = number.and_then(Pid::from_raw) else { continue };
        // A process may end while we look.
        if fs::read(entry.path().join("cmdline")).is_ok_and(|line| on_it(&line)) {
            found.push(pid);
        }
    }
    found
}
