//! Owns the remaining work when a sweep is started: what to do with each trial, given the journal and the
//! files, and the files that the remaining trials need. Starts nothing.

use super::RunError;
use super::stream::Stream;
use crate::disk::layout::Layout;
use crate::disk::{FileError, files};
use crate::record::resume::{self, Checkpoint, Decision, RecordedState};
use crate::search::{Brackets, Turn};
use crate::sweep::SweepSpec;
use crate::values::{StopReason, Trial, TrialId, What, quantity};

/// The remaining work of a sweep.
pub(super) struct Left {
    /// Trials that are done already.
    pub(super) done: Vec<TrialId>,
    /// Trials that failed before, and are not tried again.
    pub(super) failed: Vec<TrialId>,
    /// Trials to train, in the sweep's order. Trials in no list were stopped before.
    pub(super) todo: Vec<Trial>,
    /// How many of these continue from a checkpoint.
    pub(super) continued: usize,
}

/// Decides what to do with each trial, and removes checkpoints that cannot be used.
pub(super) fn triage(
    layout: &Layout,
    trials: &[Trial],
    retry_failed: bool,
    brackets: &mut Brackets,
    stream: &mut Stream<'_, '_>,
) -> Result<Left, RunError> {
    let mut left = Left { done: Vec::new(), failed: Vec::new(), todo: Vec::new(), continued: 0 };
    for trial in trials {
        let evidence = resume::look(layout, &stream.ledger, trial.id);
        let has_failed = evidence.recorded == RecordedState::Failed;
        if has_failed
            && retry_failed
            && let Some(freed) = brackets.retry(trial.id)
        {
            brackets.on(&stream.tell(freed)?);
        }
        if !evidence.result && !has_failed && brackets.turn(trial.id) == Turn::Stopped {
            stop_with_others(trial.id, brackets, stream)?;
            continue;
        }
        match resume::decide(evidence, retry_failed) {
            Decision::Keep if evidence.result => {
                left.done.push(trial.id);
                continue;
            }
            Decision::Keep => {
                left.failed.push(trial.id);
                continue;
            }
            Decision::Continue => left.continued += 1,
            Decision::Restart => {
                stream.warn(format!("trial {} starts over: it has no usable checkpoint", trial.id))?;
            }
            Decision::Run => {}
        }
        if evidence.checkpoint == Checkpoint::Damaged {
            let path = layout.last_checkpoint(trial.id);
            files::remove(&path).map_err(FileError::of("remove", &path))?;
        }
        left.todo.push(trial.clone());
    }
    Ok(left)
}

/// Tells that a trial shares the fate of a configuration that was stopped before it was added to that.
fn stop_with_others(
    trial: TrialId,
    brackets: &Brackets,
    stream: &mut Stream<'_, '_>,
) -> Result<(), RunError> {
    if stream.ledger.stop_reason(trial).is_some() {
        return Ok(());
    }
    let reason = brackets.company(trial).into_iter().find_map(|other| stream.ledger.stop_reason(other));
    let Some(reason) = reason.map(StopReason::of_another) else { return Ok(()) };
    stream.tell(What::TrialsStopped { trials: vec![trial], reason }).map(drop)
}

/// Warns of trials that failed in an earlier run.
pub(super) fn warn_of_failed(left: &Left, stream: &mut Stream<'_, '_>) -> Result<(), RunError> {
    let failed = left.failed.len();
    if failed == 0 {
        return Ok(());
    }
    stream.warn(format!("failed in an earlier run and not retried: {failed}; `--retry-failed` retries"))
}

/// Removes the checkpoints of these trials, and returns how many had one.
pub(super) fn start_over(
    layout: &Layout,
    trials: &[TrialId],
    stream: &mut Stream<'_, '_>,
) -> Result<usize, RunError> {
    let mut started_over = 0;
    for trial in trials {
        let path = layout.last_checkpoint(*trial);
        if resume::checkpoint(&path) == Checkpoint::Readable {
            let removed = files::remove(&path).and_then(|()| files::sync_folder(&layout.trial(*trial)));
            removed.map_err(FileError::of("remove", &path))?;
            started_over += 1;
        }
    }
    if started_over > 0 {
        let trials = quantity::counted(started_over, "trial");
        stream.warn(format!("{trials} with a checkpoint from other cores or a GPU: started over"))?;
    }
    Ok(started_over)
}

/// Writes the description of each trial, and the sweep.
pub(super) fn write(layout: &Layout, spec: &SweepSpec, trials: &[Trial]) -> Result<(), RunError> {
    for trial in trials {
        let path = layout.trial_file(trial.id);
        let written: Option<Trial> = files::read_json(&path).ok().flatten();
        if written.as_ref() != Some(trial) {
            // If a power failure damages this file, the next run writes it again.
            files::put_json(&path, trial).map_err(FileError::of("write", &path))?;
        }
    }
    let path = layout.sweep();
    Ok(files::write_json(&path, spec).map_err(FileError::of("write", &path))?)
}
