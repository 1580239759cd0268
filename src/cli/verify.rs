//! `lorasweep verify`: whether a run's files are unchanged, for people and as JSON.

use std::fmt::Write as _;

use clap::Args;

use super::{RunFolderArgs, runs};
use crate::error::AppError;
use crate::record::verify::{self, Verification};
use crate::ui::output;

/// What the command's exit codes mean.
pub(super) const EXIT_CODES: &str = "\
Exit codes: 0 nothing is damaged, 1 something is, 2 there is no such run.";

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    run: RunFolderArgs,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn call(args: &VerifyArgs) -> Result<(), AppError> {
    let layout = runs::find(&args.run)?;
    let found = verify::verify(&layout)?;
    if args.json {
        output::json(&found)?;
    } else {
        output::data(&text(&found))?;
    }
    if found.live {
        output::hint("a run is using it now: files that it is writing may still change");
    }
    match found.damaged() {
        0 => Ok(()),
        files => Err(AppError::Damaged { run: layout.run().to_path_buf(), files }),
    }
}

fn text(found: &Verification) -> String {
    let mut text = String::new();
    for finding in &found.findings {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}\n  {}\n  next run: {}\n",
            finding.path.display(),
            finding.problem,
            finding.next
        );
    }
    let Verification { entries, results, metrics, checkpoints, rows, stores, .. } = *found;
    let checked = [
        (entries, "journal entry", "journal entries"),
        (results, "result", "results"),
        (metrics, "metric file", "metric files"),
        (checkpoints, "checkpoint", "checkpoints"),
        (rows, "file of rows", "files of rows"),
        (stores, "token store", "token stores"),
    ];
    let checked =
        checked.map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }));
    let _ = writeln!(text, "whole: {}; damaged: {}", checked.join(", "), found.damaged());
    text
}
