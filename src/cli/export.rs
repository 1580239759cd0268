//! `lorasweep export`: a finished trial as a folder that Python loads.

use std::path::PathBuf;

use clap::Args;

use super::{TrialArgs, runs};
use crate::error::AppError;
use crate::record::TrialState;

/// Arguments of `export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    trial: TrialArgs,
    /// Folder to write; it must not exist yet, or be empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write the whole model with the adapter added to its weights, for transformers
    #[arg(long)]
    merged: bool,
}

pub(super) fn call(args: &ExportArgs) -> Result<(), AppError> {
    let found = runs::open(&args.trial.run)?;
    let trial = runs::trial(&found.record, &args.trial)?;
    require_done(trial.trial.id, &trial.state, &args.trial.run.typed())?;
    write(args, &found, trial)
}

/// Only evaluated models can be exported or used.
pub(super) fn require_done(
    id: crate::values::TrialId,
    state: &TrialState,
    run: &str,
) -> Result<(), AppError> {
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
fn write(args: &ExportArgs, found: &runs::Found, trial: &crate::record::TrialRecord) -> Result<(), AppError> {
    let files = crate::adapter::export::export(&found.record, trial, &found.layout, &args.out, args.merged)?;
    crate::ui::output::paths(&files)
}

#[cfg(not(feature = "torch"))]
fn write(
    _args: &ExportArgs,
    _found: &runs::Found,
    _trial: &crate::record::TrialRecord,
) -> Result<(), AppError> {
    Err(super::preflight::no_torch())
}
