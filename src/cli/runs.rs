//! Owns finding runs and trials from what the user typed; on failure, the error lists those that exist.

use std::path::{Path, PathBuf};

use crate::disk::layout::Layout;
use crate::error::AppError;
use crate::record::{self, RunRecord, TrialRecord};
use crate::report::choice::{self, Choice, Wanted};
use crate::report::refitted::Refitted;
use crate::ui::output;
use crate::values::{CommandLine, quantity, shell};

use super::{RunFolderArgs, TrialArgs};

/// Most ids listed in a message, enough for ten folds.
const SHOWN_IDS: usize = 10;

/// A run that the user named.
pub(super) struct Found {
    /// Its paths.
    pub(super) layout: Layout,
    /// Its record, without the trials' metric lines.
    pub(super) record: RunRecord,
}

/// Opens a run by its folder, or by the name of its sweep.
pub(super) fn open(args: &RunFolderArgs) -> Result<Found, AppError> {
    let layout = find(args)?;
    let record = record::load_fates(layout.run())?;
    if let Some(damage) = &record.journal_damage {
        let run = args.typed();
        output::warning(&format!(
            "{damage}, so some events are missing here; `lorasweep verify {run}` shows more"
        ));
    }
    Ok(Found { layout, record })
}

/// The paths of a run, whatever state its files are in.
pub(super) fn find(args: &RunFolderArgs) -> Result<Layout, AppError> {
    let by_name = args.run.to_str().map(|name| Layout::new(&args.results, name));
    let candidates = [Some(Layout::of_run(&folder_of(&args.run))), by_name];
    candidates.into_iter().flatten().find(is_run).ok_or_else(|| no_run(args))
}

/// A run's folder as it is called: its name is what the name of a refit is made from.
pub(super) fn folder_of(run: &Path) -> PathBuf {
    match run.file_name() {
        Some(_) => run.to_path_buf(),
        None => run.canonicalize().unwrap_or_else(|_| run.to_path_buf()),
    }
}

/// Whether a folder is a run's, even if some of these files are lost.
fn is_run(layout: &Layout) -> bool {
    layout.sweep().is_file() || layout.journal().is_file()
}

fn no_run(args: &RunFolderArgs) -> AppError {
    let entries = std::fs::read_dir(&args.results).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| is_run(&Layout::of_run(&entry.path())))
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

/// The command that continues a run, with one more option, ready to be pasted into a shell.
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

/// The one trial whose id, or whose configuration's id, begins with what was typed.
pub(super) fn trial<'a>(record: &'a RunRecord, args: &TrialArgs) -> Result<&'a TrialRecord, AppError> {
    let (prefix, run) = (&args.trial, args.run.typed());
    let wanted = prefix.to_ascii_lowercase();
    let beginning_so = |id: &dyn Fn(&TrialRecord) -> String| -> Vec<&'a TrialRecord> {
        record.trials.iter().filter(|one| id(one).starts_with(&wanted)).collect()
    };
    let trials = beginning_so(&|one| one.trial.id.to_string());
    let folds = beginning_so(&|one| one.trial.configuration.id.to_string());
    match (trials.as_slice(), folds.as_slice()) {
        ([one], _) | ([], [one]) => Ok(one),
        ([], []) => Err(AppError::Input {
            message: format!(
                "no trial or configuration of `{}` has an id that begins with `{prefix}`",
                record.sweep.name
            ),
            hint: Some(format!("`lorasweep status {run} --json` lists every trial")),
        }),
        ([], [..]) => {
            let same =
                |a: &&TrialRecord, b: &&TrialRecord| a.trial.configuration.id == b.trial.configuration.id;
            let configurations = quantity::counted(folds.chunk_by(same).count(), "configuration");
            Err(AppError::Input {
                message: format!("`{prefix}` stands for {configurations} with {} trials", folds.len()),
                hint: Some(format!("name one of the trials: {}", listed(&folds))),
            })
        }
        ([..], _) => Err(AppError::Input {
            message: format!("`{prefix}` is the beginning of {} trial ids", trials.len()),
            hint: Some(format!("use a longer prefix: {}", listed(&trials))),
        }),
    }
}

/// The refit of the run that the user named, or the run itself where that is one.
pub(super) fn refit(args: &RunFolderArgs) -> Result<Found, AppError> {
    let found = open(args)?;
    if found.record.sweep.is_refit() {
        return Ok(found);
    }
    let layout = found.layout.refit();
    if !is_run(&layout) {
        let run = args.typed();
        return Err(AppError::Input {
            message: format!("`{}` has no refit", found.record.sweep.name),
            hint: Some(format!(
                "`lorasweep refit {run}` trains the selected configuration on all rows; without `--best`, name one \
                 of the trials that `lorasweep status {run} --json` lists"
            )),
        });
    }
    let refit = Found { record: record::load_fates(layout.run())?, layout };
    warn_of_other_selection(&found.record, &refit.record, args);
    Ok(refit)
}

/// Warns where a run selects another configuration by now than its refit has.
fn warn_of_other_selection(run: &RunRecord, refit: &RunRecord, args: &RunFolderArgs) {
    let selected = choice::choose(run, Wanted { partial: true, ..Wanted::default() });
    for Choice { chosen, .. } in selected.into_iter().flat_map(|choices| choices.all) {
        let had = refit.sweep.refit_of(&chosen.from.task).filter(|had| had.selected);
        if let Some(had) = had.filter(|had| had.configuration != chosen.from.configuration) {
            output::warning(&format!(
                "the refit is of {}, and `{}` selects {} by now; `lorasweep refit {}` refits that",
                had.label,
                run.sweep.name,
                chosen.from.label,
                args.typed()
            ));
        }
    }
}

/// The model of a refit: of each task the first seed, whatever its test scores are.
pub(super) fn best<'a>(record: &'a RunRecord, task: Option<&str>) -> Result<&'a TrialRecord, AppError> {
    let all = Refitted::all(record);
    let found: Vec<&Refitted<'_>> =
        all.iter().filter(|one| task.is_none_or(|task| one.task.name == task)).collect();
    let names: Vec<&str> = all.iter().map(|one| one.task.name.as_str()).collect();
    match found[..] {
        [one] => Ok(one.trials[0]),
        [] => Err(AppError::Input {
            message: format!("`{}` has no task `{}`", record.sweep.name, task.unwrap_or_default()),
            hint: Some(format!("its tasks: `{}`", names.join("`, `"))),
        }),
        [..] => Err(AppError::Input {
            message: format!("`{}` has models of {} tasks", record.sweep.name, found.len()),
            hint: Some(format!("name one with `--task`: `{}`", names.join("`, `"))),
        }),
    }
}

/// The first of these trials' ids, each with its fold where there are several.
fn listed(trials: &[&TrialRecord]) -> String {
    let name = |one: &&TrialRecord| match one.trial.splitting.splits() {
        0 | 1 => format!("`{}`", one.trial.id),
        splits => format!("`{}` (fold {}/{splits})", one.trial.id, one.trial.fold + 1),
    };
    let mut names: Vec<String> = trials.iter().take(SHOWN_IDS).map(name).collect();
    names.extend((trials.len() > SHOWN_IDS).then(|| "…".to_owned()));
    names.join(", ")
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
