//! `lorasweep refit`: trains what a run selected on all training rows, as a run of its own beside it.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::session::{self, How, Session, SessionArgs};
use super::{RunFolderArgs, TrialArgs, runs, unchanged};
use crate::disk::layout::Layout;
use crate::disk::{FileError, files, lock};
use crate::error::AppError;
use crate::record::{self, RecordError, RunRecord, resume};
use crate::report::choice::{self, Choice, Choices, Wanted};
use crate::report::refitted::Refitted;
use crate::sweep::{Chosen, DeviceRequest, SweepSpec};
use crate::tasks::Task;
use crate::ui::output;
use crate::values::{ConfigurationId, Scores, TrialId, shell};

/// How a refit is meant.
pub(super) const ABOUT: &str = "\
A refit trains with the chosen configuration's own settings, so for as many epochs. With k-fold cross-validation
or a held-out share no row is held out; with a validation file the training file is trained on as before, and what
was trained already is taken over. The test rows are evaluated once and choose nothing: of several seeds the first
one is the model, not the best one. It is a run of its own, `RUN.refit`: the same command continues it after an
interruption, and `status`, `verify`, `gc` and `predict` take its folder. `export RUN --best` exports its model.

With --json, standard output has the events of `run`, and then for each task an object with `event` \"refitted\".";

/// Arguments of `refit`.
#[derive(Debug, Args)]
pub(super) struct RefitArgs {
    #[command(flatten)]
    run: RunFolderArgs,
    /// Refit the configuration that is selected for this task only [default: one for each task]
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Refit this configuration instead of the selected one; the beginning of its id is enough
    #[arg(long, value_name = "ID", conflicts_with_all = ["task", "trial"])]
    configuration: Option<String>,
    /// The same, by the id of one of its trials
    #[arg(long, value_name = "ID", conflicts_with = "task")]
    trial: Option<String>,
    /// Choose among the configurations that are done, though the run is not finished
    #[arg(long)]
    partial: bool,
    /// Train with this many seeds: those of the configuration, then the numbers after them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    seeds: u16,
    #[command(flatten)]
    session: SessionArgs,
}

pub(super) fn call(args: &RefitArgs) -> Result<(), AppError> {
    let found = runs::open(&args.run)?;
    let layout = found.layout;
    let refit = layout.refit();
    let results = refit.run().parent().unwrap_or_else(|| Path::new(".")).to_path_buf();
    session::check(&results, &args.session)?;
    // Metric lines tell what the last weights of its trials scored.
    let record = record::load(layout.run())?;
    let Choices { all, skipped } = choose(&record, args)?;
    if !args.session.quiet {
        skipped.iter().for_each(|why| output::warning(why));
        all.iter().for_each(tell_choice);
    }
    let sweep = sweep(&record.sweep, &all, &refit, args)?;
    unchanged::check(&sweep, &refit)?;
    take_over(&sweep, &layout, &refit)?;
    let how = How { session: &args.session, results: &results, no_stop: false };
    let ended = session::hold(sweep, how, |_, _| Ok(()))?;
    if args.session.json {
        tell_json(&ended, args)?;
    } else {
        output::data(&text(&ended, args))?;
    }
    ended.end(&args.session)
}

fn choose(record: &RunRecord, args: &RefitArgs) -> Result<Choices, AppError> {
    let wanted =
        Wanted { task: args.task.as_deref(), configuration: named(record, args)?, partial: args.partial };
    choice::choose(record, wanted).map_err(|none| {
        let hint = none.hint(&args.run.typed(), &runs::again(record, None));
        AppError::Input { message: none.to_string(), hint: Some(hint) }
    })
}

/// The configuration that a person names, by its own id or by that of a trial.
fn named(record: &RunRecord, args: &RefitArgs) -> Result<Option<ConfigurationId>, AppError> {
    if let Some(trial) = &args.trial {
        let run = RunFolderArgs { run: args.run.run.clone(), results: args.run.results.clone() };
        let found = runs::trial(record, &TrialArgs { run, trial: trial.clone() })?;
        return Ok(Some(found.trial.configuration.id));
    }
    let Some(prefix) = &args.configuration else { return Ok(None) };
    let wanted = prefix.to_ascii_lowercase();
    let ids = record.sweep.configurations.iter().map(|one| one.id);
    let ids: Vec<ConfigurationId> = ids.filter(|id| id.to_string().starts_with(&wanted)).collect();
    match ids[..] {
        [id] => Ok(Some(id)),
        [] => Err(AppError::Input {
            message: format!(
                "no configuration of `{}` has an id that begins with `{prefix}`",
                record.sweep.name
            ),
            hint: Some(format!(
                "the column `configuration` of the report's configurations.csv has them; `lorasweep status {} \
                 --json` lists the trials, for `--trial`",
                args.run.typed()
            )),
        }),
        [..] => Err(AppError::Input {
            message: format!("`{prefix}` is the beginning of {} configurations' ids", ids.len()),
            hint: Some("use a longer prefix".to_owned()),
        }),
    }
}

fn tell_choice(choice: &Choice) {
    let Chosen { configuration, from, .. } = &choice.chosen;
    let task = if from.task == Task::ONLY { String::new() } else { format!("{}: ", from.task) };
    output::say(&format!(
        "{task}{} of model `{}`, configuration {}\n  {}",
        from.label, configuration.model, configuration.id, choice.why
    ));
    if let Some(note) = &choice.note {
        output::warning(note);
    }
}

/// The refit's sweep, with what it has of other tasks.
fn sweep(
    of: &SweepSpec,
    choices: &[Choice],
    refit: &Layout,
    args: &RefitArgs,
) -> Result<SweepSpec, AppError> {
    let before = match record::load_fates(refit.run()) {
        Ok(record) => Some(record.sweep),
        Err(RecordError::NoRun { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let chosen: Vec<Chosen> = choices.iter().map(|choice| choice.chosen.clone()).collect();
    let name = refit.run().file_name().unwrap_or_default().to_string_lossy();
    let unsound = |error: crate::sweep::Unsound| AppError::Input {
        message: format!("`{}` cannot be refitted: {error}", args.run.run.display()),
        hint: Some("a run's folder is named as its sweep is; rename it".to_owned()),
    };
    let sweep = of.refit(&name, &chosen, usize::from(args.seeds), before.as_ref()).map_err(unsound)?;
    let Some(devices) = &args.session.devices.devices else { return Ok(sweep) };
    let devices: DeviceRequest =
        devices.parse().map_err(|message| AppError::Input { message, hint: None })?;
    sweep.with(|sweep| sweep.devices = devices).map_err(unsound)
}

/// Copies the trials of the refit that its run has done, with their weights, so that none is trained twice: with a
/// validation file the trial of a sweep is that of its refit.
fn take_over(sweep: &SweepSpec, from: &Layout, to: &Layout) -> Result<(), AppError> {
    if lock::is_held(&to.lock()) {
        // The one who holds it is told of when the run starts.
        return Ok(());
    }
    for trial in sweep.trials().into_iter().map(|trial| trial.id) {
        if resume::result(to, trial).is_some() || resume::result(from, trial).is_none() {
            continue;
        }
        // A result comes after what it is the result of.
        let paths: [fn(&Layout, TrialId) -> PathBuf; 7] = [
            Layout::trial_file,
            Layout::metrics,
            Layout::last_checkpoint,
            Layout::best_checkpoint,
            Layout::validation_rows,
            Layout::test_rows,
            Layout::result,
        ];
        for path in paths {
            let (there, here) = (path(from, trial), path(to, trial));
            if there.is_file() {
                files::copy(&there, &here).map_err(FileError::of("write", &here))?;
            }
        }
    }
    Ok(())
}

/// The command that asks a model, and the one that exports it, for a task.
fn commands(one: &Refitted<'_>, args: &RefitArgs, several: bool) -> [String; 2] {
    let run = args.run.typed();
    let task = if several { format!(" --task {}", shell::quoted([&one.task.name])) } else { String::new() };
    let second = one.task.objective.purpose().second();
    [
        format!("lorasweep predict {run} --best{task} 'a text'{second}"),
        format!("lorasweep export {run} --best{task} --out DIR"),
    ]
}

/// What the refit ends with, for people.
fn text(ended: &Session, args: &RefitArgs) -> String {
    let all = Refitted::all(&ended.record);
    let mut text = String::new();
    for one in &all {
        let [predict, export] = commands(one, args, all.len() > 1);
        let model = one.trials[0];
        let mut lines = vec![one.title()];
        let mut add = |name: &str, value: &str| lines.push(format!("  {name:<9}{value}"));
        add("chosen", &one.chosen());
        for (number, line) in one.tested().iter().enumerate() {
            add(if number == 0 { "test" } else { "" }, line);
        }
        if model.finished().is_some() {
            add("model", &ended.layout.trial(model.trial.id).display().to_string());
            add("ask it", &predict);
            add("export", &export);
        }
        text.push_str(&(lines.join("\n") + "\n"));
    }
    text
}

/// A refitted configuration, as the last lines of `--json` have it.
#[derive(Serialize)]
struct Told<'a> {
    event: &'static str,
    task: &'a str,
    configuration: ConfigurationId,
    label: &'a str,
    selected: bool,
    /// Rows that it was trained on, and those that it was tested on.
    train_rows: usize,
    test_rows: usize,
    /// The first is the model.
    trials: Vec<ToldTrial<'a>>,
    predict: String,
    export: String,
}

#[derive(Serialize)]
struct ToldTrial<'a> {
    trial: TrialId,
    seed: u64,
    state: &'static str,
    folder: PathBuf,
    test: Option<&'a Scores>,
}

fn tell_json(ended: &Session, args: &RefitArgs) -> Result<(), AppError> {
    let all = Refitted::all(&ended.record);
    for one in &all {
        let [predict, export] = commands(one, args, all.len() > 1);
        let trials = one.trials.iter().map(|trial| ToldTrial {
            trial: trial.trial.id,
            seed: trial.trial.configuration.training.seed,
            state: trial.state.name(),
            folder: ended.layout.trial(trial.trial.id),
            test: trial.finished().and_then(|result| result.test.as_ref()),
        });
        output::json_line(&Told {
            event: "refitted",
            task: &one.task.name,
            configuration: one.configuration().id,
            label: &one.from.label,
            selected: one.from.selected,
            train_rows: one.task.train_rows(),
            test_rows: one.task.test_rows(),
            trials: trials.collect(),
            predict,
            export,
        })?;
    }
    Ok(())
}
