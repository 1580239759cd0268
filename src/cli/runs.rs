//! Finds runs and trials from what the user typed, and says which there are where that fails.

use std::path::Path;

use crate::disk::layout::Layout;
use crate::error::AppError;
use crate::record::{self, RunRecord, TrialRecord};
use crate::values::{CommandLine, shell};

use super::{RunFolderArgs, TrialArgs};

/// Ids that a message lists at most.
const SHOWN_IDS: usize = 6;

/// A run that the user named.
pub(super) struct Found {
    /// Its paths.
    pub(super) layout: Layout,
    /// What is known about it, but for the trials' metric lines.
    pub(super) record: RunRecord,
}

/// Opens a run by its folder, or by the name of its sweep.
pub(super) fn open(args: &RunFolderArgs) -> Result<Found, AppError> {
    let layout = find(args)?;
    let record = record::load_fates(layout.run())?;
    Ok(Found { layout, record })
}

/// The paths of a run, whatever state its files are in.
pub(super) fn find(args: &RunFolderArgs) -> Result<Layout, AppError> {
    let by_name = args.run.to_str().map(|name| Layout::new(&args.results, name));
    let candidates = [Some(Layout::of_run(&args.run)), by_name];
    let found = candidates.into_iter().flatten().find(|layout| layout.sweep().is_file());
    found.ok_or_else(|| no_run(args))
}

fn no_run(args: &RunFolderArgs) -> AppError {
    let entries = std::fs::read_dir(&args.results).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| Layout::of_run(&entry.path()).sweep().is_file())
        .map(|entry| format!("`{}`", entry.file_name().to_string_lossy()))
        .collect();
    names.sort();
    let hint = if names.is_empty() {
        format!("`{}` has no runs; `lorasweep run SPEC` starts one", args.results.display())
    } else {
        format!("runs in `{}`: {}", args.results.display(), names.join(", "))
    };
    AppError::Input { message: format!("`{}` is not a run", args.run.display()), hint: Some(hint) }
}

/// The command that goes on with a run, with one more option, ready to be pasted into a shell.
pub(super) fn again(record: &RunRecord, extra: Option<&str>) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    command(&record.command_line, &here, extra)
}

fn command(line: &CommandLine, here: &Path, extra: Option<&str>) -> String {
    let placeholder = ["run".to_owned(), "SPEC".to_owned()];
    let words = if line.words.is_empty() { &placeholder[..] } else { &line.words };
    let extra = extra.filter(|extra| words.iter().all(|word| word != extra));
    let words = std::iter::once("lorasweep").chain(words.iter().map(String::as_str)).chain(extra);
    let command = shell::quoted(words);
    if line.words.is_empty() || line.folder == here {
        return command;
    }
    format!("cd {} && {command}", shell::quoted([line.folder.to_string_lossy()]))
}

/// The one trial whose id begins with `prefix`.
pub(super) fn trial<'a>(record: &'a RunRecord, args: &TrialArgs) -> Result<&'a TrialRecord, AppError> {
    let (prefix, name) = (&args.trial, args.run.typed());
    let wanted = prefix.to_ascii_lowercase();
    let hits: Vec<&TrialRecord> = record
        .trials
        .iter()
        .filter(|candidate| candidate.trial.id.to_string().starts_with(&wanted))
        .collect();
    match hits.as_slice() {
        [one] => Ok(one),
        [] => Err(AppError::Input {
            message: format!("no trial of `{}` has an id that begins with `{prefix}`", record.sweep.name),
            hint: Some(format!("`lorasweep status {name} --json` lists every trial")),
        }),
        [..] => {
            let ids: Vec<String> =
                hits.iter().take(SHOWN_IDS).map(|hit| format!("`{}`", hit.trial.id)).collect();
            let more = if hits.len() > SHOWN_IDS { ", …" } else { "" };
            Err(AppError::Input {
                message: format!("`{prefix}` is the beginning of {} trial ids", hits.len()),
                hint: Some(format!("use a longer prefix: {}{more}", ids.join(", "))),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_command_can_be_pasted() {
        let words = ["run", "my größe.yaml", "--set", "name=it's", "--only", "rank=4"].map(str::to_owned);
        let typed = CommandLine { folder: "/my work".into(), words: words.to_vec() };
        let line = r"lorasweep run 'my größe.yaml' --set 'name=it'\''s' --only rank=4";
        assert_eq!(command(&typed, Path::new("/my work"), None), line);
        let elsewhere = command(&typed, Path::new("/"), Some("--retry-failed"));
        assert_eq!(elsewhere, format!("cd '/my work' && {line} --retry-failed"));
        let unknown = CommandLine::default();
        assert_eq!(command(&unknown, Path::new("/"), None), "lorasweep run SPEC");
    }
}
