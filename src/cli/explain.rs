//! `lorasweep explain`: why a trial waits, or why it failed, and what can be done.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::status::Latest;
use super::{TrialArgs, runs};
use crate::disk::layout::Layout;
use crate::error::AppError;
use crate::record::{RunRecord, TrialRecord, TrialState, journal};
use crate::sched::{Limits, Policy, Scheduler, Workload};
use crate::ui::{output, phrase};
use crate::values::{Event, Failure, JobKey, Trial, TrialId, What};

/// Lines of the log that are shown.
const LOG_LINES: usize = 15;

pub(super) fn call(args: &TrialArgs) -> Result<(), AppError> {
    let found = runs::open(&args.run)?;
    let (record, layout) = (&found.record, &found.layout);
    let trial = runs::trial(record, args)?;
    let id = trial.trial.id;
    let names = phrase::Names::of(record.sweep.configurations.iter().map(|one| &**one));
    let mut text = format!("{id}  {}\n", names.trial(&trial.trial));
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}, attempts: {}", trial.state.name(), trial.attempts);
    let latest = Latest::of(layout, id);
    if let (Some(step), Some(loss)) = (latest.step, latest.loss) {
        let _ = writeln!(text, "last seen at step {step} with training loss {loss:.4}");
    }
    let _ = writeln!(text, "{}", why(trial, record, layout)?);
    output::data(&(text + &log_tail(&layout.log(id))))?;
    if let Some(hint) = next(&trial.state, &args.run.typed(), record) {
        output::hint(&hint);
    }
    Ok(())
}

fn why(trial: &TrialRecord, record: &RunRecord, layout: &Layout) -> Result<String, AppError> {
    Ok(match &trial.state {
        TrialState::Waiting => waiting(trial, record, layout)?,
        TrialState::Running { placement, pid } => {
            format!("it trains on {} as process {pid}", placement.device)
        }
        TrialState::Interrupted => {
            "it was interrupted; the next run continues it from its last checkpoint, or from the start \
             if there is none"
                .to_owned()
        }
        TrialState::Done => trial.result.as_ref().map_or_else(String::new, |result| {
            format!(
                "it finished {} steps with validation {}, in {:.1} s",
                result.steps,
                phrase::score(&result.validation, record.sweep.select),
                result.cost.wall_s
            )
        }),
        TrialState::Failed { failure } => format!("it failed: {failure}\n{}", remedy(failure)),
    })
}

fn waiting(trial: &TrialRecord, record: &RunRecord, layout: &Layout) -> Result<String, AppError> {
    let mut blocked =
        record.failed_jobs.iter().filter(|(key, _)| matches!(key, JobKey::Prepare(_))).peekable();
    if blocked.peek().is_some() {
        let line = |(key, failure): &(JobKey, Failure)| {
            format!("it needs job `{key}`, which failed: {failure}\nlog: {}", layout.job_log(*key).display())
        };
        return Ok(blocked.map(line).collect::<Vec<_>>().join("\n"));
    }
    if !record.live {
        return Ok("it waits: no process is working on this run".to_owned());
    }
    let events = journal::read(&layout.journal())?.events;
    let scheduler = scheduler(record, layout, &events);
    let explanation = scheduler.explain(trial.trial.id, SystemTime::now());
    Ok(explanation
        .map_or_else(|| "it is not part of the run that is at work".to_owned(), |why| why.to_string()))
}

/// The scheduler of the run that is at work, as its events tell it.
fn scheduler(record: &RunRecord, layout: &Layout, events: &[Event]) -> Scheduler {
    let is_start = |event: &Event| matches!(event.what, What::RunStarted { .. });
    let events = &events[events.iter().rposition(is_start).unwrap_or(0)..];
    let places = match events.first().map(|event| &event.what) {
        Some(What::RunStarted { places, .. }) => places.clone(),
        Some(_) | None => Vec::new(),
    };
    let (mut prepared, mut trained) = (BTreeSet::new(), BTreeSet::<TrialId>::new());
    for event in events {
        if let What::JobLaunching { key, trials, .. } = &event.what {
            prepared.insert(*key);
            trained.extend(trials);
        }
    }
    let retries = record.command_line.words.iter().any(|word| word == "--retry-failed");
    let is_to_do = |trial: &&TrialRecord| match trial.state {
        TrialState::Waiting | TrialState::Running { .. } | TrialState::Interrupted => true,
        TrialState::Failed { .. } => retries || trained.contains(&trial.trial.id),
        TrialState::Done => trained.contains(&trial.trial.id),
    };
    let todo: Vec<Trial> = record.trials.iter().filter(is_to_do).map(|trial| trial.trial.clone()).collect();
    let is_there =
        |store| !prepared.contains(&JobKey::Prepare(store)) && Layout::store(layout.stores(), store).is_dir();
    let work = Workload::of(&record.sweep, &todo, layout.run(), &places, &is_there);
    // What was tried again, and what was not, is among the events.
    let policy = Policy { attempts: u32::MAX, ..Policy::ONCE };
    let mut scheduler = Scheduler::new(Arc::new(work), places, Limits::default(), policy);
    events.iter().for_each(|event| scheduler.replay(event.at.into(), &event.what));
    scheduler
}

/// What usually helps.
fn remedy(failure: &Failure) -> &'static str {
    match failure {
        Failure::OutOfMemory => {
            "what helps: a smaller `training.batch_size` with as much more `training.accumulation`, \
             a smaller `task.max_length`, or fewer devices at once"
        }
        Failure::Diverged { .. } => {
            "what helps: a smaller `learning_rate`, a longer `training.warmup`, or `training.clip_norm`"
        }
        Failure::TimedOut => "what helps: fewer `training.epochs` or `task.rows`, or a faster device",
        Failure::Exited { .. } => "the log's last lines say what happened",
        Failure::Killed { signal: 9 } => {
            "signal 9 comes from the kernel when memory runs out, or from somebody's `kill -9`"
        }
        Failure::Killed { .. } => "the log's last lines may say what happened",
        Failure::Hung => "the log's last lines may say what it waited for",
        Failure::DeviceFailed { .. } => "the same command runs it again on another device",
        Failure::NotStarted { .. } => "what helps: fewer other processes or open files, or `ulimit`",
        Failure::Unwritable { .. } => {
            "free some disk space or make the folder writable; the same command then continues"
        }
        Failure::BadData { .. } => "`lorasweep check SPEC` looks at the files as they are now",
    }
}

fn log_tail(path: &Path) -> String {
    let Ok(bytes) = std::fs::read(path) else { return "no log yet\n".to_owned() };
    let log = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = log.lines().collect();
    let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
    let mut text = format!("log: {}\n", path.display());
    for line in tail {
        let _ = writeln!(text, "  {line}");
    }
    text
}

fn next(state: &TrialState, run: &str, record: &RunRecord) -> Option<String> {
    match state {
        TrialState::Failed { .. } => {
            let again = runs::again(record, Some("--retry-failed"));
            Some(format!("`{again}` retries failed trials"))
        }
        TrialState::Waiting | TrialState::Interrupted if !record.live => {
            Some(format!("`{}` continues", runs::again(record, None)))
        }
        TrialState::Waiting | TrialState::Interrupted | TrialState::Running { .. } => {
            Some(format!("`lorasweep status {run}` shows the run's progress"))
        }
        TrialState::Done => None,
    }
}
