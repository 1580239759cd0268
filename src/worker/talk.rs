//! Owns how a child is heard while it works, and hears: it writes to its job's mailbox and rings. Does no work
//! of the job, and never makes it wait for the parent.
//!
//! A thread of its own beats, which may be alive while the one that trains waits for a GPU for ever. So it beats
//! only as long as training gets on (`pulse`).
//!
//! A byte on standard output is a bell for the parent, and a line on standard input one for the child: neither
//! has content, and who hears it looks into the mailbox. A parent that has stopped reading may let the pipe
//! fill up, so only a thread of its own rings.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use rustix::io::{retry_on_intr, write};
use rustix::stdio::stdout;

use super::pulse::Pulse;
use crate::disk::layout::JobFolder;
use crate::job::mailbox::{End, NewsWriter};
use crate::job::{ChildLine, JobFile, Work};
use crate::values::Progress;

/// Time between two heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// What a child tells during one job. It beats from its beginning to its end, while the work gets on.
pub(super) struct Talk {
    shared: Arc<Shared>,
    wake: Sender<()>,
}

struct Shared {
    news: NewsWriter,
    progress: Mutex<Vec<Progress>>,
    /// Of training; other work says nothing before its end.
    pulse: Option<Mutex<Pulse>>,
}

impl Talk {
    /// Begins to beat. If nobody hears it any more, the work is asked to stop.
    pub(super) fn begin(folder: &JobFolder, job: &JobFile, stop: &Arc<AtomicBool>) -> io::Result<Self> {
        let pulse = matches!(job.work, Work::Train(_));
        let silence = Duration::try_from_secs_f64(job.silence_s).unwrap_or(Duration::MAX);
        let pulse = pulse.then(|| Mutex::new(Pulse::begin(Instant::now(), silence)));
        let news = NewsWriter::open(folder, job.start)?;
        let shared = Arc::new(Shared { news, progress: Mutex::default(), pulse });
        let (wake, woken) = bounded(1);
        let (of_beats, stop) = (Arc::clone(&shared), Arc::clone(stop));
        thread::spawn(move || beat(&of_beats, &woken, &stop));
        Ok(Self { shared, wake })
    }

    /// Tells a fact or progress. Where the file cannot be written, results and failures still tell the trials'
    /// fates.
    #[cfg_attr(not(feature = "torch"), expect(dead_code, reason = "only training has something to say"))]
    pub(super) fn say(&self, line: ChildLine) {
        if let Some(mut pulse) = self.shared.pulse() {
            pulse.work_ended(Instant::now(), matches!(line, ChildLine::Progress(_)));
        }
        match line {
            // Batches are many; the next beat is soon enough.
            ChildLine::Heartbeat => return,
            ChildLine::Progress(progress) => *self.shared.progress() = progress,
            fact @ (ChildLine::Evaluated { .. }
            | ChildLine::Joined { .. }
            | ChildLine::Stopped { .. }
            | ChildLine::Finished { .. }
            | ChildLine::Failed { .. }
            | ChildLine::Warning { .. }) => drop(self.shared.news.say(&fact)),
        }
        // If the channel is full, the bell is about to be rung.
        let _ = self.wake.try_send(());
    }

    /// Tells how the job ended. The end of a process tells as much, so nobody waits for the last bell.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn end(self, end: End) -> io::Result<()> {
        self.shared.news.end(end)
    }
}

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Vec<Progress>> {
        // The list is replaced as a whole.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pulse(&self) -> Option<MutexGuard<'_, Pulse>> {
        // No change of it can panic half way.
        self.pulse.as_ref().map(|pulse| pulse.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn gets_on(&self) -> bool {
        self.pulse().is_none_or(|mut pulse| pulse.beats(Instant::now()))
    }
}

/// Beats and rings, at once where there is news, until the job is over.
fn beat(shared: &Shared, woken: &Receiver<()>, stop: &AtomicBool) {
    for number in 0.. {
        if shared.gets_on() {
            let progress = shared.progress().clone();
            // On a full disk the bell is still heard.
            drop(shared.news.beat(number, &progress));
            if ring().is_err() {
                return stop.store(true, Ordering::Relaxed);
            }
        }
        match woken.recv_timeout(HEARTBEAT) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    drop(ring());
}

/// Not by way of `io::stdout`, whose lock the end of the process waits for.
fn ring() -> io::Result<()> {
    retry_on_intr(|| write(stdout(), b"\n"))?;
    Ok(())
}

/// The lines of standard input: an empty one is a bell, any other names the next job.
pub(super) struct Lines(Receiver<String>);

impl Lines {
    /// Begins to read.
    pub(super) fn of_stdin() -> Self {
        let (sender, lines) = unbounded();
        thread::spawn(move || {
            io::stdin().lines().map_while(Result::ok).try_for_each(|line| sender.send(line).ok())
        });
        Self(lines)
    }

    /// Whether the bell has rung since the last call. A job is named only to a worker that waits for it.
    #[cfg(feature = "torch")]
    pub(super) fn rang(&self) -> bool {
        self.0.try_iter().count() > 0
    }

    /// Waits for the next job, and returns its name; `None` if there is none in this time, or nobody is left to
    /// name one.
    pub(super) fn next_job(&self, at_most: Duration) -> Option<String> {
        let until = Instant::now() + at_most;
        std::iter::from_fn(|| self.0.recv_deadline(until).ok()).find(|line| !line.is_empty())
    }
}
