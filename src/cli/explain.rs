//! `lorasweep explain`: why a trial waits or failed, and what to do about it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::TrialArgs;
use super::runs::{self, Found};
use super::status::Latest;
use crate::data::store::store_key;
use crate::disk::layout::Layout;
use crate::error::AppError;
use crate::exec::devices;
use crate::record::{RunRecord, TrialRecord, TrialState, at_work, experience, journal};
use crate::sched::Explanation;
use crate::ui::{output, phrase};
use crate::values::{Failure, JobKey, Resources, StopReason, TrialId};

/// Log lines that are shown.
const LOG_LINES: usize = 15;

pub(super) fn call(args: &TrialArgs) -> Result<(), AppError> {
    let found = runs::open(&args.run)?;
    let (record, layout) = (&found.record, &found.layout);
    let trial = runs::trial(record, args)?;
    let id = trial.trial.id;
    let explained = explained(trial, &found)?;
    let names = phrase::Names::of(record.sweep.configurations.iter().map(|one| &**one));
    let mut text = format!("{id}  {}\n", names.trial(&trial.trial));
    // A failed trial that a running sweep will try again is waiting.
    let waits = matches!(explained, Some(Explanation::Waits { .. } | Explanation::Skipped { .. }));
    let state = if waits { &TrialState::Waiting } else { &trial.state };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}, attempts: {}", state.name(), trial.attempts);
    let latest = Latest::of(layout, id);
    if let (Some(step), Some(loss)) = (latest.step, latest.loss) {
        let _ = writeln!(text, "last seen at step {step} with training loss {loss:.4}");
    }
    let why = match &explained {
        Some(explanation) => by_run(explanation, trial, layout),
        None => by_record(trial, &found),
    };
    let _ = writeln!(text, "{why}");
    output::data(&(text + &log_tail(&layout.log(id))))?;
    if let Some(hint) = next(id, state, &args.run.typed(), record) {
        output::hint(&hint);
    }
    Ok(())
}

/// The live run's explanation for a trial without a fate; `None` where no run is active, or its version does
/// not record enough.
fn explained(trial: &TrialRecord, found: &Found) -> Result<Option<Explanation>, AppError> {
    let Found { layout, record } = found;
    if !record.live {
        return Ok(None);
    }
    let (events, now) = (journal::read(&layout.journal())?.events, SystemTime::now());
    let known = experience::load(layout, devices::detect().processors(&Resources::default()));
    let scheduler = at_work::scheduler(record, layout, &events, &known, now);
    let explanation = scheduler.and_then(|scheduler| scheduler.explain(trial.trial.id, now));
    let is_in_record = |known: &Explanation| {
        matches!(known, Explanation::Done | Explanation::Failed { .. } | Explanation::Stopped)
    };
    Ok(explanation.filter(|known| !is_in_record(known)))
}

fn by_run(explanation: &Explanation, trial: &TrialRecord, layout: &Layout) -> String {
    let more = if let Explanation::Skipped { job, .. } = explanation {
        format!("\nlog: {}", job_log(layout, *job).display())
    } else if let (Explanation::Running { .. }, TrialState::Running { pid, .. }) = (explanation, &trial.state)
    {
        format!(", in process {pid}")
    } else {
        String::new()
    };
    format!("{explanation}{more}")
}

fn by_record(trial: &TrialRecord, found: &Found) -> String {
    let Found { layout, record } = found;
    match &trial.state {
        TrialState::Waiting | TrialState::Interrupted if record.live => {
            "it waits; the running sweep does not record for what".to_owned()
        }
        TrialState::Waiting => match failed_preparation(trial, record) {
            None => "it waits: no process is working on this run".to_owned(),
            Some((job, failure)) => format!(
                "it needs job `{job}`, which failed: {failure}\nlog: {}",
                job_log(layout, *job).display()
            ),
        },
        TrialState::Running { placement, pid } => {
            format!("it trains on {} as process {pid}", placement.device)
        }
        TrialState::Interrupted => {
            "it was interrupted; the next run continues it from its last checkpoint, or from the start \
             if there is none"
                .to_owned()
        }
        TrialState::Paused { step } => {
            format!(
                "it waits at a rung, after step {step}, until those that it is compared with have come as far"
            )
        }
        TrialState::Stopped { reason } => reason.to_string(),
        TrialState::Done => trial.result.as_ref().map_or_else(String::new, |result| {
            let scored = result.validation.as_ref().map_or_else(String::new, |scores| {
                let named = record.sweep.select.of(&trial.trial.configuration.task);
                format!(" with validation {}", phrase::score(scores, named))
            });
            format!("it finished {} steps{scored}, in {:.1} s", result.steps, result.cost.wall_s)
        }),
        TrialState::Failed { failure } => format!("it failed: {failure}\n{}", remedy(failure)),
    }
}

/// The log of a job, where this version puts it or an earlier one did.
fn job_log(layout: &Layout, job: JobKey) -> PathBuf {
    let (log, old) = (layout.job(job).log(), layout.old_job_log(job));
    if !log.exists() && old.exists() { old } else { log }
}

/// The job that should have prepared a trial's data, if it failed in the last run.
fn failed_preparation<'a>(trial: &TrialRecord, record: &'a RunRecord) -> Option<&'a (JobKey, Failure)> {
    let (sweep, configuration) = (&record.sweep, &trial.trial.configuration);
    let store = store_key(sweep.task(configuration), sweep.model(configuration).tokenizer_content);
    record.failed_jobs.iter().find(|(key, _)| *key == JobKey::Prepare(store))
}

/// What usually helps.
fn remedy(failure: &Failure) -> &'static str {
    match failure {
        Failure::OutOfMemory => {
            "what helps: a smaller `training.batch_size` with as much more `training.accumulation`, \
             `training.recompute: true`, a smaller `task.max_length`, or fewer devices at once"
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
        Failure::Hung => {
            "the log's last lines may say what it waited for; on a GPU `nvidia-smi` and the kernel's log (`dmesg`, \
             Xid) say whether the card is well"
        }
        Failure::DeviceFailed { .. } => {
            "`--retry-failed` runs it again, with `--devices` on another device; `lorasweep doctor` shows those \
             of this machine"
        }
        Failure::DeviceTaken { .. } => {
            "`nvidia-smi` lists those who use the device: wait for them, or name another with `--devices`"
        }
        Failure::NotStarted { .. } => "what helps: fewer other processes or open files, or `ulimit`",
        Failure::Unwritable { .. } => "what helps: some free disk space, or a folder that can be written to",
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

fn next(id: TrialId, state: &TrialState, run: &str, record: &RunRecord) -> Option<String> {
    match state {
        TrialState::Failed { .. } => {
            let again = runs::again(record, Some("--retry-failed"));
            Some(format!("`{again}` retries failed trials"))
        }
        TrialState::Waiting | TrialState::Paused { .. } | TrialState::Interrupted if !record.live => {
            Some(format!("`{}` continues", runs::again(record, None)))
        }
        TrialState::Stopped { reason } if *reason == StopReason::ByHand || record.sweep.is_refit() => {
            Some(format!("`lorasweep keep {run} {id}` lets it go on"))
        }
        TrialState::Stopped { .. } if !record.live => {
            let again = runs::again(record, Some("--no-stop"));
            Some(format!("`{again}` continues all that was stopped"))
        }
        TrialState::Waiting
        | TrialState::Paused { .. }
        | TrialState::Stopped { .. }
        | TrialState::Interrupted
        | TrialState::Running { .. } => Some(format!("`lorasweep status {run}` shows the run's progress")),
        TrialState::Done => None,
    }
}
