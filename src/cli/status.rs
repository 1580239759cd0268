//! `lorasweep status`: the progress of a run, for people and as JSON.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use super::RunFolderArgs;
use super::runs::{self, Found};
use crate::disk::layout::Layout;
use crate::error::AppError;
use crate::record::{self, RunRecord, TrialRecord, TrialState};
use crate::ui::{output, phrase};
use crate::values::{
    Configuration, Failure, JobKey, Metric, MetricLine, Scores, Settings, StopReason, TrialId, quantity,
};

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    run: RunFolderArgs,
    /// Print every trial as JSON
    #[arg(long)]
    json: bool,
}

/// The states, in the order of the table.
const STATES: [&str; 7] = ["done", "running", "waiting", "paused", "interrupted", "stopped", "failed"];

pub(super) fn call(args: &StatusArgs) -> Result<(), AppError> {
    let found = runs::open(&args.run)?;
    if args.json {
        return output::json(&RunStatus::of(&found));
    }
    output::data(&text(&found))?;
    output::hint(&next(&found.record, &args.run));
    Ok(())
}

fn in_state<'a>(record: &'a RunRecord, name: &str) -> Vec<&'a TrialRecord> {
    record.trials.iter().filter(|trial| trial.state.name() == name).collect()
}

fn text(found: &Found) -> String {
    let Found { layout, record } = found;
    let state = if record.live { "running" } else { "not running" };
    let mut text =
        format!("{}: {}, {state}\n", record.sweep.name, quantity::counted(record.trials.len(), "trial"));
    for state in STATES {
        let count = in_state(record, state).len();
        if count > 0 {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{count:>6} {state}");
        }
    }
    if record.to_propose > 0 {
        let _ = writeln!(text, "{:>6} points to be proposed, at most", record.to_propose);
    }
    let names = phrase::Names::of(record.sweep.configurations.iter().map(|one| &**one));
    for state in ["running", "interrupted", "failed"] {
        for trial in in_state(record, state) {
            let name = names.trial(&trial.trial);
            let _ = writeln!(
                text,
                "\n{}  {name}\n  {state}{}",
                trial.trial.id,
                detail(layout, trial, record.sweep.select.of(&trial.trial.configuration.task))
            );
        }
    }
    for (key, failure) in &record.failed_jobs {
        let _ = writeln!(text, "\njob `{key}` failed: {failure}");
    }
    if !record.removed.is_empty() {
        let count = quantity::counted(record.removed.len(), "trial");
        let _ = writeln!(text, "\n{count} on disk, but no longer in the sweep: kept, not shown");
    }
    text
}

fn detail(layout: &Layout, trial: &TrialRecord, select: Option<Metric>) -> String {
    let place = match &trial.state {
        TrialState::Running { placement, pid } => format!(" on {} (process {pid})", placement.device),
        TrialState::Failed { failure } => return format!(": {failure}"),
        TrialState::Waiting
        | TrialState::Paused { .. }
        | TrialState::Stopped { .. }
        | TrialState::Interrupted
        | TrialState::Done => String::new(),
    };
    let latest = Latest::of(layout, trial.trial.id);
    let Some(step) = latest.step else { return format!("{place}, no step yet") };
    let mut text = format!("{place}, step {step}");
    if let Some(epoch) = latest.epoch {
        let _ = write!(text, ", epoch {epoch:.2} of {}", trial.trial.configuration.training.epochs);
    }
    if let Some(loss) = latest.loss {
        let _ = write!(text, ", loss {loss:.3}");
    }
    if let Some(scores) = &latest.validation {
        let _ = write!(text, ", validation {}", phrase::score(scores, select));
    }
    text
}

fn next(record: &RunRecord, run: &RunFolderArgs) -> String {
    let run = run.typed();
    if record.live {
        return format!("still running; run `lorasweep status {run}` again for an update");
    }
    if let Some(failed) = in_state(record, "failed").first() {
        let id = failed.trial.id;
        return format!(
            "`lorasweep explain {run} {id}` says why it failed; `{}` retries failed trials",
            runs::again(record, Some("--retry-failed"))
        );
    }
    if record.trials.iter().any(|trial| !trial.state.is_settled()) {
        return format!("`{}` continues", runs::again(record, None));
    }
    if record.to_propose > 0 {
        let (again, points) = (runs::again(record, None), quantity::counted(record.to_propose, "point"));
        let budget_s = record.sweep.proposing.as_ref().and_then(|proposing| proposing.budget_s);
        return match budget_s.map(quantity::predicted) {
            None => format!("`{again}` goes on: up to {points} more are to be proposed"),
            Some(budget) => format!(
                "up to {points} more are to be proposed where the budget of {budget} allows: with a larger `search.budget` \
                 in the file `{again}` goes on"
            ),
        };
    }
    if let Some(stopped) = in_state(record, "stopped").first() {
        let id = stopped.trial.id;
        if record.sweep.is_refit() {
            return format!("`lorasweep keep {run} {id}` lets go on what was stopped");
        }
        return format!(
            "`lorasweep explain {run} {id}` says why it was stopped; `{}` continues all that was",
            runs::again(record, Some("--no-stop"))
        );
    }
    let report = format!("`lorasweep report {run}` writes the report again");
    if record.sweep.is_refit() {
        return format!("all trials are done; {report}");
    }
    format!(
        "all trials are done; {report}, `lorasweep refit {run}` trains the selected configuration on all rows"
    )
}

/// The values in the last metric lines of a trial.
#[derive(Debug, Default, Serialize)]
pub(super) struct Latest {
    /// Optimiser steps done.
    pub(super) step: Option<u64>,
    /// Passes over the training rows done.
    pub(super) epoch: Option<f64>,
    /// Training loss.
    pub(super) loss: Option<f64>,
    /// Scores on all validation rows.
    pub(super) validation: Option<Scores>,
}

impl Latest {
    /// Reads a trial's metrics file.
    pub(super) fn of(layout: &Layout, trial: TrialId) -> Self {
        let mut latest = Self::default();
        for line in record::metrics(layout, trial) {
            let (step, epoch) = match line {
                MetricLine::Train { step, epoch, loss, .. } => {
                    latest.loss = Some(loss);
                    (step, epoch)
                }
                MetricLine::Validation { step, epoch, scores, rows, .. } => {
                    if rows.is_none() {
                        latest.validation = Some(scores);
                    }
                    (step, epoch)
                }
            };
            (latest.step, latest.epoch) = (Some(step), Some(epoch));
        }
        latest
    }
}

/// A run, as `--json` shows it.
#[derive(Serialize)]
struct RunStatus<'a> {
    sweep: &'a str,
    live: bool,
    started_at: Option<String>,
    updated_at: Option<String>,
    trials: Vec<TrialStatus<'a>>,
    /// Points that are asked for and not proposed so far.
    to_propose: usize,
    removed: Vec<String>,
    failed_jobs: Vec<FailedJob>,
    /// What is lost of the journal, so that states may be out of date.
    journal_damage: Option<&'a str>,
}

#[derive(Serialize)]
struct FailedJob {
    key: JobKey,
    failure: String,
}

/// A trial, as `--json` shows it.
#[derive(Serialize)]
struct TrialStatus<'a> {
    id: String,
    #[serde(flatten)]
    settings: Settings<&'a Configuration>,
    /// Name of the metric that selects.
    metric: &'static str,
    fold: usize,
    state: &'static str,
    attempts: u32,
    #[serde(flatten)]
    latest: Latest,
    test: Option<Scores>,
    failure: Option<String>,
    /// Why it was stopped, if it was.
    stopped: Option<StopReason>,
}

impl<'a> RunStatus<'a> {
    fn of(Found { layout, record }: &'a Found) -> Self {
        let failed =
            |(key, failure): &(JobKey, Failure)| FailedJob { key: *key, failure: failure.to_string() };
        let metric = |one: &Configuration| record.sweep.selecting(record.sweep.task(one)).name();
        let trial =
            |trial: &'a TrialRecord| TrialStatus::of(layout, trial, metric(&trial.trial.configuration));
        Self {
            sweep: &record.sweep.name,
            live: record.live,
            started_at: record.started_at.map(|at| at.to_string()),
            updated_at: record.updated_at.map(|at| at.to_string()),
            trials: record.trials.iter().map(trial).collect(),
            to_propose: record.to_propose,
            removed: record.removed.iter().map(ToString::to_string).collect(),
            failed_jobs: record.failed_jobs.iter().map(failed).collect(),
            journal_damage: record.journal_damage.as_deref(),
        }
    }
}

impl<'a> TrialStatus<'a> {
    fn of(layout: &Layout, record: &'a TrialRecord, metric: &'static str) -> Self {
        let failure = record.state.failure().map(ToString::to_string);
        let stopped =
            if let TrialState::Stopped { reason } = &record.state { Some(reason.clone()) } else { None };
        Self {
            id: record.trial.id.to_string(),
            settings: Settings(&record.trial.configuration),
            metric,
            fold: record.trial.fold,
            state: record.state.name(),
            attempts: record.attempts,
            latest: Latest::of(layout, record.trial.id),
            test: record.result.as_ref().and_then(|result| result.test.clone()),
            failure,
            stopped,
        }
    }
}
