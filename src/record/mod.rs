//! Owns the state of a run as seen from outside the loop: the ledger of its journal, and the files under
//! `trials/`. `status`, `explain` and `report` read this and nothing else. Read `ledger.rs` first, then
//! `journal.rs` and `resume.rs`.

pub mod at_work;
pub mod checkpoint;
pub mod compared;
pub mod experience;
pub mod garbage;
pub mod journal;
pub mod ledger;
pub mod orders;
pub mod proposed;
pub mod resume;
pub mod rows;
pub mod verify;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::disk::layout::Layout;
use crate::disk::{FileError, files, lock};
use crate::families::params::{self, ParamCounts};
use crate::record::journal::JournalError;
pub use crate::record::ledger::{Foreseen, Ledger, TrialState};
use crate::sweep::SweepSpec;
use crate::values::{
    CommandLine, Configuration, ConfigurationId, Failure, JobKey, MetricLine, Pause, Trial, TrialId,
    TrialResult,
};

/// How the sweep of a run is written again.
const AGAIN: &str = "`lorasweep run SPEC` writes it again from the sweep file; finished trials are kept";

/// A run whose state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The folder holds no run.
    #[error("`{}` holds no run", folder.display())]
    NoRun {
        /// The folder.
        folder: PathBuf,
    },
    /// Its sweep does not exist.
    #[error("`{}` is missing", path.display())]
    NoSweep {
        /// The file that should hold it.
        path: PathBuf,
    },
    /// The file of its sweep holds something else, or cannot be read.
    #[error(transparent)]
    Sweep(FileError),
    /// Another file or folder of it cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl RecordError {
    /// What to do next, where there is an answer.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoRun { .. } => {
                Some("name a folder under `results/`, or start one with `lorasweep run SPEC`")
            }
            Self::NoSweep { .. } => Some(AGAIN),
            Self::Sweep(error) => error.hint().or(Some(AGAIN)),
            Self::File(error) => error.hint(),
            Self::Journal(error) => error.hint(),
        }
    }
}

/// Everything known about a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRecord {
    /// The sweep it last worked on.
    pub sweep: SweepSpec,
    /// Every trial of that sweep, configurations in grid order, folds innermost.
    pub trials: Vec<TrialRecord>,
    /// Points that the sweep asks for and that were not proposed so far.
    pub to_propose: usize,
    /// Trials on disk that the sweep no longer has.
    pub removed: Vec<TrialId>,
    /// The command line of its latest start.
    pub command_line: CommandLine,
    /// When the run was first started.
    pub started_at: Option<Timestamp>,
    /// Time of its last event.
    pub updated_at: Option<Timestamp>,
    /// What its latest start with anything to train foresaw, and what came of it.
    pub foreseen: Option<Foreseen>,
    /// Whether an orchestrator is running it now.
    pub live: bool,
    /// Jobs other than training that failed, by key, each with the reason.
    pub failed_jobs: Vec<(JobKey, Failure)>,
    /// What is lost of its journal, in words; this record may then be incomplete.
    pub journal_damage: Option<String>,
}

/// Everything known about one trial.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialRecord {
    /// The trial.
    pub trial: Trial,
    /// Its parameters, counted from shapes.
    pub params: ParamCounts,
    /// Its state.
    pub state: TrialState,
    /// How often it was started.
    pub attempts: u32,
    /// Where it last paused at a rung, or as a person ordered.
    pub pause: Option<Pause>,
    /// Its metric lines so far, in step order, each step once; empty where only fates were loaded.
    pub metrics: Vec<MetricLine>,
    /// Its result, if it is done.
    pub result: Option<TrialResult>,
}

impl TrialRecord {
    /// Its result, where it is done.
    #[must_use]
    pub fn finished(&self) -> Option<&TrialResult> {
        match self.state {
            TrialState::Done => self.result.as_ref(),
            TrialState::Waiting
            | TrialState::Running { .. }
            | TrialState::Paused { .. }
            | TrialState::Stopped { .. }
            | TrialState::Interrupted
            | TrialState::Failed { .. } => None,
        }
    }
}

impl RunRecord {
    /// Each configuration with its trials, at least one.
    pub fn configurations(&self) -> impl Iterator<Item = (ConfigurationId, Vec<&TrialRecord>)> {
        let id = |record: &TrialRecord| record.trial.configuration.id;
        self.trials
            .chunk_by(move |a, b| id(a) == id(b))
            .map(move |trials| (id(&trials[0]), trials.iter().collect()))
    }
}

/// Reads the record of a run folder. Takes no lock: the run may be active.
///
/// # Errors
/// When the folder holds no run, or a run of another version of lorasweep.
pub fn load(run: &Path) -> Result<RunRecord, RecordError> {
    let mut record = load_fates(run)?;
    let layout = Layout::of_run(run);
    for trial in &mut record.trials {
        trial.metrics = metrics(&layout, trial.trial.id);
    }
    Ok(record)
}

/// The same without metric lines, which are most of the data, for callers that need few of them, through
/// [`metrics`], or none.
///
/// # Errors
/// As for [`load`].
pub fn load_fates(run: &Path) -> Result<RunRecord, RecordError> {
    let layout = Layout::of_run(run);
    let sweep = load_sweep(&layout)?;
    let replay = journal::read(&layout.journal())?;
    let proposed = proposed::generations(&replay.events);
    // Its file is written after the event.
    let sweep = if proposed.is_empty() { sweep } else { sweep.grown(&proposed) };
    let mut ledger = Ledger::replay(&replay.events);
    let live = lock::is_held(&layout.lock());
    if !live {
        ledger.interrupt_all();
    }
    let mut counts = HashMap::new();
    let trials = sweep.trials().into_iter().map(|trial| {
        // Folds have the same parameters, and counting them takes longer than reading a trial.
        let id = trial.configuration.id;
        let params = *counts.entry(id).or_insert_with(|| count(&sweep, &trial.configuration));
        load_trial(&layout, &ledger, trial, params)
    });
    let trials: Vec<_> = trials.collect();
    let removed = removed(&layout, &trials)?;
    let failed_jobs = ledger.failed_jobs().map(|(key, failure)| (key, failure.clone())).collect();
    let Ledger { command_line, started_at, updated_at, foreseen, .. } = ledger;
    let journal_damage = replay.damage();
    let to_propose = sweep.proposing.as_ref().map_or(0, |proposing| proposing.left(&proposed));
    Ok(RunRecord {
        sweep,
        trials,
        to_propose,
        removed,
        command_line,
        started_at,
        updated_at,
        foreseen,
        live,
        failed_jobs,
        journal_damage,
    })
}

fn load_sweep(layout: &Layout) -> Result<SweepSpec, RecordError> {
    let path = layout.sweep();
    let sweep = files::read_json(&path).map_err(FileError::of("read", &path)).map_err(RecordError::Sweep)?;
    sweep.ok_or_else(|| {
        if layout.journal().is_file() {
            return RecordError::NoSweep { path };
        }
        RecordError::NoRun { folder: layout.run().to_path_buf() }
    })
}

fn count(sweep: &SweepSpec, configuration: &Configuration) -> ParamCounts {
    let head = sweep.task(configuration).objective.head();
    params::count(&sweep.model(configuration).architecture, head, &configuration.method)
}

fn load_trial(layout: &Layout, ledger: &Ledger, trial: Trial, params: ParamCounts) -> TrialRecord {
    let result = resume::result(layout, trial.id);
    let state = match (&result, ledger.state(trial.id)) {
        (Some(_), _) => TrialState::Done,
        // Its result is gone, so it must be done again.
        (None, TrialState::Done) => TrialState::Interrupted,
        (None, state) => state.clone(),
    };
    let standing = ledger.trial(trial.id);
    let attempts = standing.map_or(0, |standing| standing.attempts);
    let pause = standing.and_then(|standing| standing.pause.clone());
    TrialRecord { trial, params, state, attempts, pause, metrics: Vec::new(), result }
}

/// A trial's metric lines so far, in step order, each step once; none before its first step.
#[must_use]
pub fn metrics(layout: &Layout, id: TrialId) -> Vec<MetricLine> {
    fs::read(layout.metrics(id)).map_or_else(|_| Vec::new(), |text| lines_of(&text))
}

/// The lines of a metrics file. A resumed trial repeats steps: a line replaces an earlier one for the same
/// step, and drops all lines of earlier attempts for later steps. A torn line is skipped.
fn lines_of(text: &[u8]) -> Vec<MetricLine> {
    let mut lines = BTreeMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        let Ok(line) = serde_json::from_slice::<MetricLine>(line) else { continue };
        let (step, order) = match &line {
            MetricLine::Train { step, .. } => (*step, 0),
            MetricLine::Validation { step, .. } => (*step, 1),
        };
        drop(lines.split_off(&(step.saturating_add(1), 0)));
        lines.insert((step, order), line);
    }
    lines.into_values().collect()
}

/// Trials on disk that are not in this list.
fn removed(layout: &Layout, trials: &[TrialRecord]) -> Result<Vec<TrialId>, FileError> {
    let mut removed = on_disk(layout)?;
    for record in trials {
        removed.remove(&record.trial.id);
    }
    Ok(removed.into_iter().collect())
}

/// Every trial with a folder, including those that the sweep no longer has.
///
/// # Errors
/// When the folder of all trials cannot be read.
pub fn on_disk(layout: &Layout) -> Result<BTreeSet<TrialId>, FileError> {
    let folder = layout.trials();
    let failed = FileError::of("read", &folder);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = BTreeSet::new();
    for entry in entries {
        let name = entry.map_err(&failed)?.file_name();
        found.extend(name.to_str().and_then(|name| name.parse::<TrialId>().ok()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: u64, loss: f64) -> String {
        let line = MetricLine::Train {
            step,
            epoch: 0.0,
            loss,
            ema_loss: loss,
            learning_rate: 0.0,
            grad_norm: 0.0,
            rows_per_s: 0.0,
            tokens_per_s: 0.0,
        };
        serde_json::to_string(&line).unwrap()
    }

    fn read(lines: &[String]) -> Vec<(u64, f64)> {
        lines_of(lines.join("\n").as_bytes())
            .into_iter()
            .map(|line| match line {
                MetricLine::Train { step, loss, .. } => (step, loss),
                MetricLine::Validation { .. } => panic!("none was written"),
            })
            .collect()
    }

    #[test]
    fn the_last_attempt_counts_and_a_torn_line_does_not() {
        let torn = line(3, 9.0)[..20].to_owned();
        let mut lines = vec![line(1, 1.0), line(2, 1.0), line(3, 1.0), line(4, 1.0), torn];
        assert_eq!(read(&lines).len(), 4);
        lines.push(line(2, 2.0));
        lines.push(line(3, 2.0));
        assert_eq!(read(&lines), [(1, 1.0), (2, 2.0), (3, 2.0)]);
    }
}
