//! Owns the start of a sweep: its lock, the remaining work, and everything up to the loop. Read [`start`]
//! first, then `event_loop`.
//!
//! [`start`] takes the run's folder, replays its journal, decides what to do with each trial and hands the
//! remaining work to the loop, which publishes every event to any number of readers. The journal and the
//! trials' folders are the only truth; everything else in the run's folder is written anew from them.

mod clock;
mod ends;
mod error;
mod event_loop;
#[cfg(test)]
#[path = "../../tests/fake_executor/mod.rs"]
mod fake_executor;
mod generations;
mod launch;
mod measuring;
mod orders;
mod round;
mod stream;
#[cfg(test)]
mod tests;
mod triage;
mod widths;

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;

use self::clock::Clock;
pub use self::error::RunError;
use self::event_loop::{EventLoop, LoopState};
use self::round::{Grown, Run, Trains};
use self::stream::Stream;
pub use self::widths::{WidthError, Widths};
use crate::cost::Processors;
use crate::disk::layout::Layout;
use crate::disk::lock::Lock;
use crate::disk::{FileError, lock};
use crate::exec::{Executor, survivors};
use crate::record::journal::{Journal, Replay};
use crate::record::ledger::{Ledger, ThisRun};
use crate::record::{self, compared, proposed};
use crate::sched::{Limits, Policy};
use crate::sweep::SweepSpec;
use crate::values::{
    CommandLine, Device, Failure, JobKey, Reader, Resources, RunSettings, Trial, TrialId, What,
};

/// How long the children of a crashed orchestrator may take to exit by themselves.
const PATIENCE: Duration = Duration::from_secs(3);

/// How to run a sweep.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Folder of all runs and token stores.
    pub results: PathBuf,
    /// Folder of all reports.
    pub reports: PathBuf,
    /// Where packs can train.
    pub resources: Resources,
    /// All memory of the machine, in MiB.
    pub ram_total_mib: u64,
    /// Its processors: what packs took on them before is what is predicted.
    pub processors: Processors,
    /// Most packs that may train on the CPU at the same time now. What trials train on does not depend on it.
    pub at_once: Option<usize>,
    /// It is decided anew on what trials train; one with a checkpoint from another width starts over.
    pub new_widths: bool,
    /// How large packs may be.
    pub limits: Limits,
    /// How failures are treated.
    pub policy: Policy,
    /// Failed trials are tried again.
    pub retry_failed: bool,
    /// Nothing is stopped early, and what was goes on.
    pub no_stop: bool,
    /// Time between two checkpoints of a trial; by default as often as the cost stays small.
    pub checkpoint_every: Option<Duration>,
    /// The user's command line, recorded for later commands.
    pub command_line: CommandLine,
}

impl RunOptions {
    /// The resources that packs may take now.
    fn resources_now(&self) -> Resources {
        Resources { at_once: self.at_once, ..self.resources.clone() }
    }
}

/// The user wants the run to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopRequest {
    /// Kill rather than wait for checkpoints.
    pub force: bool,
}

/// How a run ended. `done + failed + stopped_early + left` is the number of the sweep's trials.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    /// Trials done, including those of earlier runs.
    pub done: usize,
    /// Trials failed, including those of earlier runs.
    pub failed: usize,
    /// Trials stopped early or by a person, including those of earlier runs.
    pub stopped_early: usize,
    /// Trials neither done, failed nor stopped.
    pub left: usize,
    /// Trials that were done before this run.
    pub kept: usize,
    /// How long this run took.
    pub elapsed: Duration,
    /// Why trials failed, in the sweep's order.
    pub failures: Vec<(TrialId, Failure)>,
    /// Jobs other than training that failed in this run.
    pub failed_jobs: Vec<(JobKey, Failure)>,
    /// Devices that were taken out of service because they failed.
    pub retired: Vec<Device>,
    /// The reason, if it stopped because files could no longer be written.
    pub unwritable: Option<String>,
    /// Whether the user stopped it.
    pub stopped: bool,
    /// Whether the report was written.
    pub reported: bool,
}

/// Starts or continues a sweep, and returns when nothing runs any more. The readers get every event.
///
/// Must be called from a thread that lives as long as the executor's children should.
///
/// # Errors
/// When another orchestrator holds the run, its folder cannot be read or written, or trials were begun on more
/// cores than there are. Children that run at that point are killed.
pub fn start(
    spec: SweepSpec,
    options: RunOptions,
    executor: &mut dyn Executor,
    readers: &mut [&mut dyn Reader],
    stop: &Receiver<StopRequest>,
) -> Result<RunSummary, RunError> {
    let begun = Instant::now();
    let layout = make_folder(&spec, &options)?;
    let _lock = Lock::acquire(&layout.lock())?;
    let _stores = Lock::share(&layout.stores_lock())?;
    let (journal, replay) = Journal::open(&layout.journal())?;
    let mut stream = Stream { journal, ledger: Ledger::replay(&replay.events), readers, measuring: None };
    let no_stop = compared::goes_on_with_all(&spec, &replay.events, options.no_stop);
    let (spent_before, clock) = (proposed::spent(&replay.events), Clock::start());
    let run = Run { layout: &layout, options: &options, no_stop, begun, clock, spent_before };
    stream.tell(started(&options, no_stop))?;
    warn_of_dropped(&replay, &mut stream)?;
    end_survivors(&layout, &mut stream)?;

    let grown = Grown::of(&spec, proposed::generations(&replay.events));
    let mut brackets = compared::brackets(&grown.spec, &grown.spec.trials(), &replay.events, no_stop);
    if let Some(kept) = options.no_stop.then(|| record::orders::keep_all(&brackets)).flatten() {
        brackets.on(&stream.tell(kept)?);
    }
    for (trial, given) in record::orders::pending(&layout) {
        match orders::too_late(&stream.ledger, trial, given.order) {
            Some(what) => drop(stream.tell(what)?),
            None => brackets.on(&stream.tell(given.order.event(&brackets, trial))?),
        }
        orders::heeded(&layout, trial, given)?;
    }
    let round = run.round(&grown, brackets, Trains::All, &mut stream)?;
    triage::warn_of_failed(&round.left, &mut stream)?;
    let (kept, beyond) = (round.left.done.len(), round.beyond);
    let (scheduler, planned) = round.begin(&run, &grown.spec, &mut stream)?;
    let mut events = EventLoop {
        layout: &layout,
        stream,
        scheduler,
        executor,
        checkpoint_every: options.checkpoint_every,
        silence: options.policy.silence,
        clock,
        kept: HashSet::new(),
        beyond,
        state: LoopState::new(),
    };
    let ended = run.train(&mut events, grown, planned, stop);
    events.close();
    let summary = summary(&ended?, &events.stream.ledger, kept, begun.elapsed());
    let RunSummary { done, failed, stopped_early: stopped, left, elapsed, .. } = summary;
    events.stream.tell(What::RunEnded { done, failed, stopped, left, elapsed_s: elapsed.as_secs_f64() })?;
    Ok(summary)
}

fn make_folder(spec: &SweepSpec, options: &RunOptions) -> Result<Layout, RunError> {
    let folder = Layout::new(&options.results, &spec.name).run().to_path_buf();
    fs::create_dir_all(&folder).map_err(FileError::of("make", &folder))?;
    // The same spelling for every process, whatever folder it runs in.
    let folder = folder.canonicalize().map_err(FileError::of("find", &folder))?;
    Ok(Layout::of_run(&folder))
}

fn started(options: &RunOptions, no_stop: bool) -> What {
    let RunOptions { limits, policy, retry_failed, .. } = *options;
    What::RunStarted {
        pid: std::process::id(),
        host: lock::host_name(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command_line: options.command_line.clone(),
        resources: options.resources_now(),
        settings: Some(Box::new(RunSettings { limits, policy, retry_failed, no_stop })),
    }
}

fn warn_of_dropped(replay: &Replay, stream: &mut Stream<'_, '_>) -> Result<(), RunError> {
    let Some(dropped) = replay.dropped() else { return Ok(()) };
    let aside = replay.aside.as_ref();
    let aside = aside.map_or_else(String::new, |path| format!("; the whole is kept as `{}`", path.display()));
    stream.warn(format!("{dropped}{aside}; trials with a result are kept"))
}

fn end_survivors(layout: &Layout, stream: &mut Stream<'_, '_>) -> Result<(), RunError> {
    let jobs = layout.jobs();
    let killed = survivors::end(&jobs, PATIENCE).map_err(FileError::of("take over", &jobs))?;
    for pid in killed {
        stream.warn(format!("killed process {}: a child of a run that crashed", pid.as_raw_nonzero()))?;
    }
    Ok(())
}

fn summary(spec: &SweepSpec, ledger: &Ledger, kept: usize, elapsed: Duration) -> RunSummary {
    let failure = |trial: Trial| Some((trial.id, ledger.state(trial.id).failure()?.clone()));
    let failures = spec.trials().into_iter().filter_map(failure);
    let ThisRun { stopped, reported, retired, unwritable, .. } = ledger.this_run.clone();
    RunSummary {
        done: ledger.done(),
        failed: ledger.failed(),
        stopped_early: ledger.stopped(),
        left: ledger.left(),
        kept,
        elapsed,
        failures: failures.collect(),
        failed_jobs: ledger.failed_jobs().map(|(key, failure)| (key, failure.clone())).collect(),
        retired,
        unwritable,
        stopped,
        reported,
    }
}
