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
mod launch;
mod measuring;
mod orders;
mod stream;
#[cfg(test)]
mod tests;
mod triage;
mod widths;

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;

use self::clock::Clock;
pub use self::error::RunError;
use self::event_loop::{EventLoop, LoopState};
use self::measuring::Measuring;
use self::stream::Stream;
use self::triage::Left;
pub use self::widths::{WidthError, Widths};
use crate::cost::{Processors, unmeasured_mib};
use crate::data::store::TokenStore;
use crate::disk::layout::Layout;
use crate::disk::lock::Lock;
use crate::disk::{FileError, lock};
use crate::exec::{Executor, survivors};
use crate::record::journal::{Journal, Replay};
use crate::record::ledger::{Ledger, ThisRun, TrialState};
use crate::record::{self, compared, experience};
use crate::sched::{Limits, Machine, Policy, Remaining, Scheduler, Simulated, Workload, simulate};
use crate::search::Brackets;
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
    stream.tell(started(&options, no_stop))?;
    warn_of_dropped(&replay, &mut stream)?;
    end_survivors(&layout, &mut stream)?;

    let trials = spec.trials();
    let mut brackets = compared::brackets(&spec, &trials, &replay.events, no_stop);
    for (trial, order) in record::orders::pending(&layout) {
        brackets.on(&stream.tell(orders::event(&brackets, trial, order))?);
        orders::heeded(&layout, trial)?;
    }
    let mut left = triage::triage(&layout, &trials, options.retry_failed, &mut brackets, &mut stream)?;
    open_brackets(&layout, &trials, &left, &mut brackets, &mut stream)?;
    let remaining = Remaining::of(&spec, &left.todo);
    let (widths, started_over) = widths(&layout, &remaining, &options, &mut stream)?;
    left.continued -= started_over;
    triage::write(&layout, &spec, &trials)?;
    let work = workload(&layout, &spec.name, &remaining, &widths, &options)?;
    let started = trials.iter().map(|trial| trial.id).filter(|id| stream.ledger.trial(*id).is_some());
    stream.measuring = Some(Measuring::new(&layout, &options, &work, started.collect()));
    let scheduler = Scheduler::new(work, options.resources_now(), options.limits, options.policy);
    let scheduler = scheduler.comparing(brackets);
    let (clock, kept) = (Clock::start(), left.done.len());
    let foreseen = simulate(&scheduler, clock.now());
    if let Some(what) = training_foreseen(&foreseen) {
        stream.tell(what)?;
    }
    let planned = planned(&spec, trials, left, &options, foreseen.makespan);
    let mut events = EventLoop {
        layout: &layout,
        stream,
        scheduler,
        executor,
        checkpoint_every: options.checkpoint_every,
        silence: options.policy.silence,
        clock,
        state: LoopState::new(),
    };
    let ended = events.run(planned, stop);
    events.close();
    ended?;
    let summary = summary(&spec, &events.stream.ledger, kept, begun.elapsed());
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

/// Fixes which of the remaining trials are compared with one another, where that was not fixed before.
fn open_brackets(
    layout: &Layout,
    trials: &[Trial],
    left: &Left,
    brackets: &mut Brackets,
    stream: &mut Stream<'_, '_>,
) -> Result<(), RunError> {
    compared::take_results(brackets, layout, &left.done);
    brackets.read_rows(&|trial, step| compared::rows_at(layout, trial, step));
    let ended: HashSet<TrialId> = left.done.iter().chain(&left.failed).copied().collect();
    for opened in brackets.open(trials, &|trial| ended.contains(&trial)) {
        brackets.on(&stream.tell(opened)?);
    }
    Ok(())
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

/// Decides on what the remaining trials train, where that was not decided before, and publishes it. Also returns
/// how many trials lost a checkpoint by that.
fn widths(
    layout: &Layout,
    remaining: &Remaining<'_>,
    options: &RunOptions,
    stream: &mut Stream<'_, '_>,
) -> Result<(Widths, usize), RunError> {
    let machine = Machine { resources: &options.resources, ram_total_mib: options.ram_total_mib };
    let widths = Widths::of(remaining, &stream.ledger, machine, options.new_widths)?;
    // What was begun on another width is gone before the new one is known, whatever happens in between.
    let changed = widths.changed(&stream.ledger);
    let started_over = triage::start_over(layout, &changed, stream)?;
    if !widths.decided.is_empty() {
        stream.tell(What::WidthsDecided { widths: widths.decided.clone() })?;
    }
    Ok((widths, started_over))
}

/// The remaining work.
fn workload(
    layout: &Layout,
    name: &str,
    remaining: &Remaining<'_>,
    widths: &Widths,
    options: &RunOptions,
) -> Result<Arc<Workload>, RunError> {
    let reports = std::path::absolute(Layout::report(&options.reports, name))
        .map_err(FileError::of("find", &options.reports))?;
    let is_there = |key| TokenStore::open(&Layout::store(layout.stores(), key)).is_ok();
    let known = experience::load(layout, options.processors.clone());
    let work = Workload::of(remaining, &reports, &|trial| widths.width(trial), &is_there, &known);
    Ok(Arc::new(work))
}

/// What is predicted of the training to be done; `None` where there is none.
fn training_foreseen(foreseen: &Simulated) -> Option<What> {
    let (end, mem_mib) = foreseen.training()?;
    let width = foreseen.jobs.iter().find(|job| !job.trials.is_empty())?.placement.width();
    let mem_mib = mem_mib - unmeasured_mib(width);
    Some(What::TrainingForeseen { seconds: end.as_secs_f64(), mem_mib: Some(mem_mib) })
}

fn planned(
    spec: &SweepSpec,
    trials: Vec<Trial>,
    left: Left,
    options: &RunOptions,
    predicted: Duration,
) -> What {
    What::RunPlanned {
        trials: trials.into(),
        done: left.done.into(),
        todo: left.todo.iter().map(|trial| trial.id).collect(),
        continued: left.continued,
        resources: options.resources_now(),
        select: spec.select,
        predicted,
    }
}

fn summary(spec: &SweepSpec, ledger: &Ledger, kept: usize, elapsed: Duration) -> RunSummary {
    let failures = spec.trials().into_iter().filter_map(|trial| match ledger.state(trial.id) {
        TrialState::Failed { failure } => Some((trial.id, failure.clone())),
        TrialState::Waiting
        | TrialState::Running { .. }
        | TrialState::Paused { .. }
        | TrialState::Stopped { .. }
        | TrialState::Interrupted
        | TrialState::Done => None,
    });
    let ThisRun { stopped, reported, retired, unwritable } = ledger.this_run.clone();
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
