//! Owns what happens when a sweep is started: the lock, what is left to do, and the way there.
//!
//! [`start`] takes the run's folder, replays its journal, decides what becomes of each trial and
//! gives the rest to the loop. The journal and the trials' folders are the only truth; everything
//! else under the run's folder is written anew from them.

mod clock;
mod dispatch;
mod fate;
mod forecast;
mod joins;
#[cfg(test)]
mod packs;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, never};
use jiff::Timestamp;

use crate::cost::Calibration;
use crate::data::store::TokenStore;
use crate::disk::layout::Layout;
use crate::disk::lock::Lock;
use crate::disk::{FileError, files, lock};
use crate::error::AppError;
use crate::exec::{Executor, survivors};
use crate::plan::JobKey;
use crate::plan::graph::{self, Present};
use crate::plan::pack::{Limits, Room};
use crate::record::history::{History, LastWord};
use crate::record::journal::{Entry, Happened, Journal, Replay, Typed};
use crate::record::resume;
use crate::record::resume::{Checkpoint, Decision};
use crate::run::clock::Clock;
use crate::run::dispatch::{Dispatcher, Tally};
use crate::run::forecast::Forecast;
use crate::sched::{Policy, Scheduler};
use crate::sweep::SweepSpec;
use crate::ui::{Notice, Observer};
use crate::values::{Device, Failure, Placement, Trial, TrialId};

/// How long the children of a crashed orchestrator may take to be gone by themselves.
const PATIENCE: Duration = Duration::from_secs(3);

/// How to run a sweep.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Folder of all runs and token stores.
    pub results: PathBuf,
    /// Folder of all reports.
    pub reports: PathBuf,
    /// Where packs can train.
    pub places: Vec<Placement>,
    /// How large packs may be.
    pub limits: Limits,
    /// How failures are treated.
    pub policy: Policy,
    /// Failed trials are tried again.
    pub retry_failed: bool,
    /// Time between two checkpoints of a trial; by default as often as costs little.
    pub checkpoint_every: Option<Duration>,
    /// What the user typed, for those who look at the run later.
    pub typed: Typed,
}

/// The user wants the run to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopRequest {
    /// Kill rather than wait for checkpoints.
    pub force: bool,
}

/// How a run ended. `done + failed + left` is the number of the sweep's trials.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    /// Trials done, those of earlier runs included.
    pub done: usize,
    /// Trials failed, those of earlier runs included.
    pub failed: usize,
    /// Trials neither done nor failed.
    pub left: usize,
    /// Trials that were done before this run.
    pub kept: usize,
    /// How long this run took.
    pub elapsed: Duration,
    /// Why trials failed, in the sweep's order.
    pub failures: Vec<(TrialId, Failure)>,
    /// Jobs other than training that failed in this run.
    pub failed_jobs: Vec<(JobKey, Failure)>,
    /// Devices that got no more jobs, since they failed.
    pub retired: Vec<Device>,
    /// Why it stopped, where files could no longer be written.
    pub unwritable: Option<String>,
    /// The user asked it to end.
    pub stopped: bool,
    /// The report was written.
    pub reported: bool,
}

/// Starts a sweep, or goes on with it, and returns when nothing runs any more.
///
/// Must be called from a thread that lives as long as the executor's children should.
///
/// # Errors
/// When another orchestrator holds the run, or its folder cannot be read or written. Children that
/// are at work by then are killed.
pub fn start(
    spec: SweepSpec,
    options: RunOptions,
    executor: &mut dyn Executor,
    observer: &mut dyn Observer,
    stop: &Receiver<StopRequest>,
) -> Result<RunSummary, AppError> {
    let begun = Instant::now();
    let layout = make_folder(&spec, &options)?;
    let _lock = Lock::acquire(&layout.lock())?;
    let _stores = Lock::share(&layout.stores_lock())?;
    let (mut journal, replay) = Journal::open(&layout.journal())?;
    warn_of_dropped(&replay, observer);
    let pid = std::process::id();
    let (host, version) = (lock::host_name(), env!("CARGO_PKG_VERSION").to_owned());
    let what = Happened::RunStarted { pid, host, version, typed: options.typed.clone() };
    journal.append(&Entry { at: Timestamp::now(), what })?;
    end_survivors(&layout, observer)?;

    let history = History::of(&replay.entries);
    let left = sort(&layout, &history, &spec, options.retry_failed, observer)?;
    warn_of_failures(&left.tally, observer);
    write_trials(&layout, &spec)?;

    let reports = std::path::absolute(Layout::report(&options.reports, &spec.name))
        .map_err(FileError::of("find", &options.reports))?;
    remove_outdated_summaries(&layout, &left.todo)?;
    let present = Present {
        store: &|key| TokenStore::open(&Layout::store(layout.stores(), key)).is_ok(),
        summary: &|configuration| layout.summary(configuration).is_file(),
    };
    let room = Room { places: &options.places, limits: options.limits };
    let graph = graph::build(&spec, &left.todo, &reports, present, room);
    let calibration = Calibration::assumed(&options.places);
    let scheduler = Scheduler::new(graph, options.places.clone(), options.policy);
    let kept = left.tally.done.len();
    let clock = Clock::start();
    observer.observe(&Notice::RunPlanned {
        configurations: &spec.configurations,
        select: spec.select,
        trials: left.tally.total,
        kept,
        continued: left.continued,
        places: &options.places,
        predicted: scheduler.remaining(clock.now(), &calibration),
    });
    let mut dispatcher = Dispatcher {
        layout: &layout,
        spec: &spec,
        journal,
        scheduler,
        calibration,
        executor,
        observer,
        clock,
        checkpoint_every: options.checkpoint_every,
        wake: never(),
        tally: left.tally,
        forecast: Forecast::default(),
        at_work: std::collections::BTreeMap::new(),
    };
    let ended = dispatcher.run(stop);
    let (ended, tally) = dispatcher.close(ended);
    ended?;
    let summary = summary(&spec, tally, kept, begun.elapsed());
    let RunSummary { done, failed, left, elapsed, .. } = summary;
    observer.observe(&Notice::RunEnded { done, failed, left, elapsed });
    Ok(summary)
}

fn make_folder(spec: &SweepSpec, options: &RunOptions) -> Result<Layout, AppError> {
    let folder = Layout::new(&options.results, &spec.name).run().to_path_buf();
    fs::create_dir_all(&folder).map_err(FileError::of("make", &folder))?;
    // One spelling for every process, whatever folder it runs in.
    let folder = folder.canonicalize().map_err(FileError::of("find", &folder))?;
    Ok(Layout::of_run(&folder))
}

fn warn_of_dropped(replay: &Replay, observer: &mut dyn Observer) {
    if let Some(dropped) = replay.dropped() {
        let aside = replay.aside.as_ref();
        let aside =
            aside.map_or_else(String::new, |path| format!("; the whole is kept as `{}`", path.display()));
        let message = format!("{dropped}{aside}; trials with a result are kept");
        observer.observe(&Notice::Warned { message: &message });
    }
}

fn warn_of_failures(tally: &Tally, observer: &mut dyn Observer) {
    let failed = tally.failures.len();
    if failed > 0 {
        let message = format!("failed in an earlier run and not retried: {failed}; `--retry-failed` retries");
        observer.observe(&Notice::Warned { message: &message });
    }
}

fn end_survivors(layout: &Layout, observer: &mut dyn Observer) -> Result<(), AppError> {
    let jobs = layout.jobs();
    let killed = survivors::end(&jobs, PATIENCE).map_err(FileError::of("take over", &jobs))?;
    for pid in killed {
        let message = format!("killed process {}: a child of a run that crashed", pid.as_raw_nonzero());
        observer.observe(&Notice::Warned { message: &message });
    }
    Ok(())
}

/// What is left of a sweep.
struct Left {
    /// Trials to train, in the sweep's order.
    todo: Vec<Trial>,
    /// How many of them go on from a checkpoint.
    continued: usize,
    /// What is done and failed already.
    tally: Tally,
}

/// Decides what becomes of each trial, and clears away checkpoints that cannot be used.
fn sort(
    layout: &Layout,
    history: &History,
    spec: &SweepSpec,
    retry_failed: bool,
    observer: &mut dyn Observer,
) -> Result<Left, AppError> {
    let trials = spec.trials();
    let tally = Tally { total: trials.len(), ..Tally::default() };
    let mut left = Left { todo: Vec::new(), continued: 0, tally };
    for trial in trials {
        let evidence = resume::look(layout, history, trial.id);
        let decision = resume::decide(true, evidence, retry_failed);
        match decision {
            Decision::Leave => continue,
            Decision::Keep => {
                let last = history.trials.get(&trial.id).map(|seen| &seen.last);
                match last {
                    Some(LastWord::Failed(failure)) if !evidence.result => {
                        left.tally.failures.insert(trial.id, failure.clone());
                    }
                    Some(_) | None => {
                        left.tally.done.insert(trial.id);
                    }
                }
                continue;
            }
            Decision::Continue => left.continued += 1,
            Decision::Restart => {
                let message = format!("trial {} starts over: it has no usable checkpoint", trial.id);
                observer.observe(&Notice::Warned { message: &message });
            }
            Decision::Run => {}
        }
        if evidence.checkpoint == Checkpoint::Damaged {
            let path = layout.last_checkpoint(trial.id);
            files::remove(&path).map_err(FileError::of("remove", &path))?;
        }
        left.todo.push(trial);
    }
    Ok(left)
}

/// A summary is there only while it tells of all that is done, so that a crash before it is written
/// again leaves it missing rather than old.
fn remove_outdated_summaries(layout: &Layout, todo: &[Trial]) -> Result<(), AppError> {
    let configurations: BTreeSet<_> = todo.iter().map(|trial| trial.configuration.id).collect();
    for path in configurations.into_iter().map(|id| layout.summary(id)) {
        files::remove(&path).map_err(FileError::of("remove", &path))?;
    }
    Ok(())
}

fn write_trials(layout: &Layout, spec: &SweepSpec) -> Result<(), AppError> {
    for trial in spec.trials() {
        let path = layout.trial_file(trial.id);
        let written: Option<Trial> = files::read_json(&path).ok().flatten();
        if written.as_ref() != Some(&trial) {
            // One that a power failure tears is written again by the next run.
            let text = |aside: &Path| fs::write(aside, serde_json::to_vec_pretty(&trial)?);
            files::replace(&path, text).map_err(FileError::of("write", &path))?;
        }
    }
    let path = layout.sweep();
    Ok(files::write_json(&path, spec).map_err(FileError::of("write", &path))?)
}

fn summary(spec: &SweepSpec, tally: Tally, kept: usize, elapsed: Duration) -> RunSummary {
    let Tally { total, done, mut failures, failed_jobs, retired, unwritable, stopped, reported } = tally;
    let (done, failed) = (done.len(), failures.len());
    let ordered = spec.trials().into_iter().filter_map(|trial| failures.remove_entry(&trial.id)).collect();
    let left = total - done - failed;
    RunSummary {
        done,
        failed,
        left,
        kept,
        elapsed,
        failures: ordered,
        failed_jobs,
        retired,
        unwritable,
        stopped,
        reported,
    }
}
