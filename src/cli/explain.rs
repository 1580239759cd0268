//! `lorasweep explain`: why a trial waits, or why it failed, and what can be done.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::status::Latest;
use super::{TrialArgs, runs};
use crate::error::AppError;
use crate::record::{RunRecord, TrialRecord, TrialState};
use crate::ui::{output, phrase};
use crate::values::{Failure, JobKey};

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
    let latest = Latest::of(&trial.metrics);
    if let (Some(step), Some(loss)) = (latest.step, latest.loss) {
        let _ = writeln!(text, "last seen at step {step} with training loss {loss:.4}");
    }
    let _ = writeln!(text, "{}", why(trial, record, |key| layout.job_log(key)));
    output::data(&(text + &log_tail(&layout.log(id))))?;
    if let Some(hint) = next(&trial.state, &args.run.typed(), record) {
        output::hint(&hint);
    }
    Ok(())
}

fn why(trial: &TrialRecord, record: &RunRecord, job_log: impl Fn(JobKey) -> PathBuf) -> String {
    match &trial.state {
        TrialState::Waiting => waiting(record, job_log),
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
    }
}

fn waiting(record: &RunRecord, job_log: impl Fn(JobKey) -> PathBuf) -> String {
    let blocked: Vec<String> = record
        .failed_jobs
        .iter()
        .filter(|(key, _)| matches!(key, JobKey::Prepare(_)))
        .map(|(key, failure)| {
            format!("it needs job `{key}`, which failed: {failure}\nlog: {}", job_log(*key).display())
        })
        .collect();
    if !blocked.is_empty() {
        return blocked.join("\n");
    }
    if !record.live {
        return "it waits: no process is working on this run".to_owned();
    }
    let busy = |trial: &&TrialRecord| matches!(trial.state, TrialState::Running { .. });
    match record.trials.iter().filter(busy).count() {
        0 => "it waits for its data to be tokenised".to_owned(),
        running => format!("it waits for a free device; {} running", phrase::count(running, "trial")),
    }
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
        Failure::HostLost | Failure::DeviceFailed { .. } => {
            "the same command runs it again on another device"
        }
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
