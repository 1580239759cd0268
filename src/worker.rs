//! Owns a child's side of a job: it reads its job's file, binds itself to its share of the machine, does the
//! work, and leaves a file that records its fate. Knows no scheduler and no journal.
//!
//! It dies with its parent. SIGTERM asks it to write its checkpoints and end. It talks with its parent through
//! the job's mailbox (`talk`); messages for people go to standard error, which is its log. After a pack without
//! a failure it waits for the next job, with what that may need in memory.

pub mod probe;
mod pulse;
mod talk;
mod warm;

use std::any::Any;
use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use rustix::stdio::dup2_stderr;
use rustix::thread::{CpuSet, sched_setaffinity};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::disk::files;
use crate::disk::layout::{JobFolder, Layout};
use crate::exec::devices::own_card_is_full;
use crate::exec::local::PARENT_VARIABLE;
use crate::exec::{EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_UNWRITABLE, Exit};
use crate::job::mailbox::End;
use crate::job::{JobFile, Pack, Work};
use crate::report::{self, ReportError};
use crate::values::Failure;
use crate::{data, record};

use self::talk::{Lines, Talk};
use self::warm::Warm;

/// How long a worker waits for its next job.
const WAIT: Duration = Duration::from_mins(1);

/// What signals change.
#[derive(Default)]
struct Flags {
    /// The work should end, with its checkpoints in place.
    stop: Arc<AtomicBool>,
    /// There is nothing to lose: a signal ends the process at once.
    at_once: Arc<AtomicBool>,
}

/// Does the job of a folder, and those that follow, and returns the process's exit code: 0 done, 4 stopped with
/// its checkpoints in place, 1 failed with a failure file that says why.
#[must_use]
pub fn run(folder: &JobFolder) -> u8 {
    let flags = Flags::default();
    let exit = match settle_in(folder, &flags) {
        Err(failure) => give_up(folder, failure),
        Ok(job) => serve(folder.clone(), job, &flags),
    };
    match exit {
        Exit::Done => EXIT_DONE,
        Exit::Interrupted => EXIT_INTERRUPTED,
        Exit::Failed(Failure::Unwritable { .. }) => EXIT_UNWRITABLE,
        Exit::Failed(_) => EXIT_FAILED,
    }
}

/// Does job after job, as long as nothing fails and another comes.
fn serve(mut folder: JobFolder, mut job: JobFile, flags: &Flags) -> Exit {
    let (lines, mut warm) = (Lines::of_stdin(), Warm::default());
    loop {
        let exit = carry_out(&folder, &job, &mut Means { flags, lines: &lines, warm: &mut warm });
        if exit != Exit::Done || warm.is_empty() {
            return exit;
        }
        // The next pack is charged for its own memory only.
        warm::release();
        let Some(key) = lines.next_job(WAIT) else { return Exit::Done };
        flags.at_once.store(false, Ordering::Relaxed);
        folder = Layout::of_run(&job.run).job(key);
        // Nothing is lost where this fails: the parent starts a new worker for a job that was not begun.
        match take_over(&folder) {
            Ok(next) => job = next,
            Err(failure) => return Exit::Failed(failure),
        }
    }
}

/// What all jobs of a worker use.
struct Means<'a> {
    flags: &'a Flags,
    #[cfg_attr(not(feature = "torch"), expect(dead_code, reason = "only a job that trains gets messages"))]
    lines: &'a Lines,
    warm: &'a mut Warm,
}

/// Reads the next job, whose log takes standard error.
fn take_over(folder: &JobFolder) -> Result<JobFile, Failure> {
    let job = read_job(folder)?;
    let log = File::options().create(true).append(true).open(&job.log);
    log.and_then(|log| Ok(dup2_stderr(&log)?))
        .map_err(cannot(format!("write to `{}`", job.log.display())))?;
    Ok(job)
}

/// Does a job, leaves the reason if it fails, and tells its end last.
fn carry_out(folder: &JobFolder, job: &JobFile, means: &mut Means<'_>) -> Exit {
    let talk = match Talk::begin(folder, job, &means.flags.stop) {
        Ok(talk) => talk,
        Err(error) => {
            let what = format!("write to the folder `{}`", folder.path().display());
            return give_up(folder, cannot(what)(error));
        }
    };
    let (exit, end) = match caught(|| work(folder, job, &talk, means)) {
        Exit::Failed(failure) => (give_up(folder, failure), End::Failed),
        Exit::Interrupted => (Exit::Interrupted, End::Interrupted),
        Exit::Done if means.warm.is_empty() => (Exit::Done, End::Done),
        Exit::Done => {
            // Before the parent knows of the end: a signal that it sends after it gives the next job counts.
            means.flags.at_once.store(true, Ordering::SeqCst);
            means.flags.stop.store(false, Ordering::SeqCst);
            (Exit::Done, End::Waiting)
        }
    };
    if talk.end(end).is_err() {
        // The parent does not know that the process waits: its end must tell that the job is over.
        *means.warm = Warm::default();
    }
    exit
}

/// Sets this process up as a child. Comes before any other thread, since threads inherit the cores.
fn settle_in(folder: &JobFolder, flags: &Flags) -> Result<JobFile, Failure> {
    die_with_parent().map_err(cannot("tie the process to its parent".to_owned()))?;
    let job = read_job(folder)?;
    listen(&job.work, flags).map_err(cannot("listen for signals".to_owned()))?;
    let cores = &job.placement.cores;
    bind(cores).map_err(cannot(format!("bind to cores {cores:?}, name other --devices")))?;
    Ok(job)
}

fn read_job(folder: &JobFolder) -> Result<JobFile, Failure> {
    let path = folder.file();
    files::read_json(&path)
        .and_then(|job| job.ok_or_else(|| io::ErrorKind::NotFound.into()))
        .map_err(cannot(format!("read the job file `{}`", path.display())))
}

fn cannot(what: String) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure::of_system(format!("cannot {what}: {error}"), &error)
}

/// Training is asked to stop, so that it can write its checkpoints. Other work ends at once: its files appear
/// as a whole or not at all.
fn listen(work: &Work, flags: &Flags) -> io::Result<()> {
    flags.at_once.store(!matches!(work, Work::Train(_)), Ordering::Relaxed);
    for signal in [SIGTERM, SIGINT] {
        flag::register_conditional_shutdown(signal, i32::from(EXIT_INTERRUPTED), Arc::clone(&flags.at_once))?;
        flag::register(signal, Arc::clone(&flags.stop))?;
    }
    Ok(())
}

fn die_with_parent() -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before the line above. A worker started by hand has no parent to lose.
    let expected = std::env::var(PARENT_VARIABLE).ok();
    let parent = getppid().map(|pid| pid.as_raw_nonzero().to_string());
    match expected {
        Some(expected) if parent.as_ref() != Some(&expected) => Err(io::Error::other("it is gone")),
        Some(_) | None => Ok(()),
    }
}

fn bind(cores: &[usize]) -> io::Result<()> {
    if cores.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for core in cores {
        if *core >= CpuSet::MAX_CPU {
            return Err(io::Error::other("the kernel interface ends at core 1023"));
        }
        set.set(*core);
    }
    Ok(sched_setaffinity(None, &set)?)
}

fn caught(work: impl FnOnce() -> Exit) -> Exit {
    let failure = |panic: Box<dyn Any + Send>| Failure::of_panic(&*panic, own_card_is_full());
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Exit::Failed(failure(panic)))
}

fn work(folder: &JobFolder, job: &JobFile, talk: &Talk, means: &mut Means<'_>) -> Exit {
    let done = match &job.work {
        Work::Train(pack) => return train(folder, job, pack, talk, means),
        Work::Prepare(prepare) => data::prepare::run(prepare, &job.stores),
        Work::Report { folder: to } => write_report(&Layout::of_run(&job.run), to),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(failure) => Exit::Failed(failure),
    }
}

#[cfg(feature = "torch")]
fn train(folder: &JobFolder, job: &JobFile, pack: &Pack, talk: &Talk, means: &mut Means<'_>) -> Exit {
    use std::cell::RefCell;

    use crate::job::ChildLine;
    use crate::job::mailbox::MessageReader;
    use crate::train::{self, Context, Ended, ForwardMode};

    let say = |line: ChildLine| {
        if let ChildLine::Warning { trial, message } = &line {
            drop(writeln!(io::stderr(), "warning: trial {trial}: {message}"));
        }
        talk.say(line);
    };
    let (lines, mailbox) = (means.lines, RefCell::new(MessageReader::new(folder.clone(), job.start)));
    let messages = || if lines.rang() { mailbox.borrow_mut().take() } else { Vec::new() };
    let placement = job.placement.clone();
    let context = Context {
        layout: Layout::of_run(&job.run),
        forward_mode: ForwardMode::suiting(placement.device),
        placement,
        micro_rows: job.micro_rows,
        checkpoint_every: job.checkpoint_every_s.map(Duration::from_secs_f64),
        messages: &messages,
        stop: &means.flags.stop,
        say: &say,
    };
    match train::run(pack, &context, means.warm) {
        Ok(Ended::Finished) => Exit::Done,
        Ok(Ended::Stopped) => Exit::Interrupted,
        Err(failure) => Exit::Failed(failure),
    }
}

#[cfg(not(feature = "torch"))]
fn train(_: &JobFolder, _: &JobFile, _: &Pack, _: &Talk, _: &mut Means<'_>) -> Exit {
    let message = "this build cannot train: build lorasweep with its feature `torch`";
    Exit::Failed(bad(message.to_owned()))
}

fn write_report(layout: &Layout, folder: &Path) -> Result<(), Failure> {
    let record = record::load(layout.run()).map_err(|error| told(&error, error.hint()))?;
    report::write(&record, folder).map(drop).map_err(|error| match &error {
        ReportError::File(file) => told(&error, file.hint()),
        ReportError::Chart(_) | ReportError::Frames(_) => told(&error, None),
    })
}

/// Writes the reason to the job's failure file, since its trials may go on elsewhere.
fn give_up(folder: &JobFolder, failure: Failure) -> Exit {
    if let Err(error) = files::write_json(&folder.failure(), &failure) {
        // The log is the last resort; if that cannot be written either, the exit code must do.
        drop(writeln!(io::stderr(), "cannot write why it failed: {error}"));
    }
    // The log ends with the reason.
    drop(writeln!(io::stderr(), "failed: {failure}"));
    Exit::Failed(failure)
}

fn bad(message: String) -> Failure {
    Failure::BadData { message }
}

/// The failure to write for an error: its text and its hint.
fn told(error: &(dyn Error + 'static), hint: Option<&str>) -> Failure {
    match (Failure::of(error), hint) {
        (Failure::BadData { message }, Some(hint)) => bad(format!("{message}; {hint}")),
        (failure, _) => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::mailbox::NewsReader;
    use crate::values::{Device, Placement};

    #[test]
    fn a_panic_is_a_failure_with_its_message() {
        let Exit::Failed(Failure::BadData { message }) = caught(|| panic!("slot {}", 3)) else {
            panic!("a panic went unseen")
        };
        assert!(message.contains("slot 3"));
        assert_eq!(caught(|| Exit::Done), Exit::Done);
    }

    #[test]
    fn a_job_that_cannot_be_done_leaves_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::of_run(folder.path());
        let own = layout.job("report");
        let read = || files::read_json::<Failure>(&own.failure()).unwrap().unwrap().to_string();
        assert_eq!(give_up(&own, Failure::OutOfMemory), Exit::Failed(Failure::OutOfMemory));
        assert_eq!(read(), "out of memory");

        let report = folder.path().join("report");
        let placement = Placement { device: Device::Host, cores: Vec::new() };
        let (run, stores) = (folder.path().to_path_buf(), layout.stores().to_path_buf());
        let work_of = Work::Report { folder: report };
        let job = JobFile {
            start: 1,
            run,
            log: own.log(),
            stores,
            placement,
            micro_rows: None,
            checkpoint_every_s: None,
            silence_s: 300.0,
            work: work_of,
        };
        let (flags, lines, mut warm) = (Flags::default(), Lines::of_stdin(), Warm::default());
        let mut means = Means { flags: &flags, lines: &lines, warm: &mut warm };
        let Exit::Failed(_) = carry_out(&own, &job, &mut means) else { panic!("no run, but a report") };
        assert_eq!(NewsReader::new(own.clone(), 1).look().end, Some(End::Failed));
        assert!(read().contains("holds no run"), "{}", read());
    }
}
