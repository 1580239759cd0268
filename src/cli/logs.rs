//! `lorasweep logs`: the standard error of a trial's process.

use std::io::ErrorKind;

use super::{TrialArgs, runs};
use crate::disk::FileError;
use crate::error::AppError;
use crate::ui::output;

pub(super) fn call(args: &TrialArgs) -> Result<(), AppError> {
    let found = runs::open(&args.run)?;
    let trial = runs::trial(&found.record, args)?;
    let path = found.layout.log(trial.trial.id);
    match std::fs::read(&path) {
        Ok(text) => {
            let silent = if text.is_empty() { " (empty: its process had nothing to say)" } else { "" };
            output::say(&format!("log: {}{silent}", path.display()));
            output::data(&String::from_utf8_lossy(&text))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(AppError::Input {
            message: format!("trial {} has no log: it was not started yet", trial.trial.id),
            hint: Some(format!(
                "`lorasweep explain {} {}` says what it waits for",
                args.run.typed(),
                trial.trial.id
            )),
        }),
        Err(error) => Err(FileError::new("read", &path, error).into()),
    }
}
