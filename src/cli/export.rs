//! `lorasweep export`: a finished trial as a folder that Python loads.

use std::path::PathBuf;

use clap::Args;

use super::{RunFolderArgs, TrialArgs, runs};
use crate::error::AppError;
use crate::record::{TrialRecord, TrialState};
use crate::values::{TrialId, shell};

/// Arguments of `export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    run: RunFolderArgs,
    /// The trial's id, or the beginning of it; the id of a configuration names its one trial
    #[arg(required_unless_present = "best")]
    trial: Option<String>,
    /// Instead of a trial, the model of `refit`; of several seeds the first, not the one with the best test score
    #[arg(long, conflicts_with = "trial")]
    best: bool,
    /// With --best: the task, where several were refitted
    #[arg(long, value_name = "NAME", requires = "best")]
    task: Option<String>,
    /// Folder to write; it must not exist yet, or be empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write the whole model with the adapter added to its weights, for transformers
    #[arg(long)]
    merged: bool,
}

pub(super) fn call(args: &ExportArgs) -> Result<(), AppError> {
    let which = Which { run: &args.run, trial: args.trial.as_deref(), task: args.task.as_deref() };
    let found = which.open()?;
    let trial = which.find(&found)?;
    write(args, &found, trial)
}

/// Which finished trial of which run.
#[derive(Clone, Copy)]
pub(super) struct Which<'a> {
    /// The run.
    pub(super) run: &'a RunFolderArgs,
    /// The trial; the model of the run's refit where there is none.
    pub(super) trial: Option<&'a str>,
    /// The task of that model.
    pub(super) task: Option<&'a str>,
}

impl Which<'_> {
    /// Opens the run, or its refit.
    pub(super) fn open(self) -> Result<runs::Found, AppError> {
        if self.trial.is_some() { runs::open(self.run) } else { runs::refit(self.run) }
    }

    /// The trial, which is done.
    pub(super) fn find(self, found: &runs::Found) -> Result<&TrialRecord, AppError> {
        let run = RunFolderArgs { run: self.run.run.clone(), results: self.run.results.clone() };
        let trial = match self.trial {
            Some(trial) => runs::trial(&found.record, &TrialArgs { run, trial: trial.to_owned() })?,
            None => runs::best(&found.record, self.task)?,
        };
        let folder = shell::quoted([found.layout.run().to_string_lossy()]);
        require_done(trial.trial.id, &trial.state, &folder)?;
        Ok(trial)
    }
}

/// Only evaluated models can be exported or used.
fn require_done(id: TrialId, state: &TrialState, run: &str) -> Result<(), AppError> {
    match state {
        TrialState::Done => Ok(()),
        TrialState::Waiting
        | TrialState::Running { .. }
        | TrialState::Paused { .. }
        | TrialState::Stopped { .. }
        | TrialState::Interrupted
        | TrialState::Failed { .. } => Err(AppError::Input {
            message: format!("trial {id} is {}: it has no result", state.name()),
            hint: Some(format!("`lorasweep explain {run} {id}` says what it waits for or why it failed")),
        }),
    }
}

#[cfg(feature = "torch")]
fn write(args: &ExportArgs, found: &runs::Found, trial: &TrialRecord) -> Result<(), AppError> {
    let files = crate::adapter::export::export(&found.record, trial, &found.layout, &args.out, args.merged)?;
    crate::ui::output::paths(&files)
}

#[cfg(not(feature = "torch"))]
fn write(_args: &ExportArgs, _found: &runs::Found, _trial: &TrialRecord) -> Result<(), AppError> {
    Err(super::preflight::no_torch())
}
