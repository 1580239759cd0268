//! Owns the lines for events that a person should still be able to read later. Pure: writes nowhere, reads no
//! clock.

use std::fmt::Write as _;
use std::time::Instant;

use super::board::Board;
use super::phrase::score;
use crate::tasks;
use crate::values::quantity::{about, counted, measured};
use crate::values::{JobKey, Metric, RungDecision, RungPutOff, TrialId, TrialResult, TrialsOfWidth, What};

/// The line for an event, where it deserves one that stays. The board has already taken the event in.
pub(super) fn of(what: &What, board: &Board, now: Instant) -> Option<String> {
    match what {
        What::WidthsDecided { widths } => Some(widths_decided(widths)),
        What::RunPlanned { trials, done, continued, resources, predicted, .. } => {
            let mut text = format!("{}, {} already done", counted(trials.len(), "trial"), done.len());
            if *continued > 0 {
                let _ = write!(text, ", {continued} to continue from a checkpoint");
            }
            if done.len() < trials.len() {
                let _ = write!(text, "; on {resources}, {}", about(predicted.as_secs_f64()));
            }
            Some(text)
        }
        What::TrialFinished { result, .. } => result.as_ref().map(|result| finished(result, board, now)),
        What::RungDecided(decision) => Some(decided(decision)),
        What::RungPutOff(put_off) => Some(self::put_off(put_off)),
        What::GenerationProposed { blocks } => {
            let points = blocks.iter().map(|block| block.points.len()).sum();
            Some(format!("a new generation: {} proposed", counted(points, "point")))
        }
        What::StopOrdered { trials } => Some(format!("stopping as ordered: {}", names(trials, board))),
        What::KeepOrdered { trials } => Some(format!("going on as ordered: {}", names(trials, board))),
        What::TrialFailed { trial, failure } => {
            Some(format!("failed: {} ({trial}): {failure}", board.name(*trial)))
        }
        What::JobFailed { key: key @ (JobKey::Prepare(_) | JobKey::Report), failure } => {
            Some(format!("failed: job `{key}`: {failure}"))
        }
        What::JobFailed { key: key @ JobKey::Train(_), failure } => {
            Some(format!("warning: {} failed under job `{key}`: {failure}", board.lost()?))
        }
        What::JobLaunching { key, attempt, placement, .. } => {
            let reason = board.failed_before()?;
            let device = placement.device;
            Some(format!("job `{key}` starts again on {device} (attempt {attempt}): {reason}"))
        }
        What::DeviceRetired { device } => {
            Some(format!("warning: {device} failed under several jobs in a row, and is no longer used"))
        }
        What::StopRequested { force: false } => Some(
            "stopping: writing checkpoints, from which the same command continues; Ctrl-C again stops at \
             once"
                .to_owned(),
        ),
        What::StopRequested { force: true } => {
            Some("stopping at once: the next run continues from the last checkpoints".to_owned())
        }
        What::Warned { message } => Some(format!("warning: {message}")),
        What::RunEnded { done, failed, stopped, left, elapsed_s } => {
            let mut text = format!("{} done", counted(*done, "trial"));
            if *failed > 0 {
                let _ = write!(text, ", {failed} failed");
            }
            if *stopped > 0 {
                let _ = write!(text, ", {stopped} stopped early");
            }
            if *left > 0 {
                let _ = write!(text, ", {left} left");
            }
            let _ = write!(text, " after {}", measured(elapsed_s.max(0.0)));
            Some(text)
        }
        What::RunStarted { .. }
        | What::TrainingForeseen { .. }
        | What::JobStarted { .. }
        | What::TrialsFreed { .. }
        | What::TrialsStopped { .. }
        | What::BracketsOpened { .. }
        | What::JobFinished { .. }
        | What::JobInterrupted { .. }
        | What::TrialPaused { .. }
        | What::TrialJoining { .. }
        | What::TrialJoined { .. }
        | What::TrialReturned { .. }
        | What::TrialProgressed { .. }
        | What::TrialEvaluated { .. }
        | What::Forecast { .. }
        | What::Woke => None,
    }
}

fn put_off(RungPutOff { bracket, rung, step, better, keep, .. }: &RungPutOff) -> String {
    format!(
        "rung {rung} put off after step {step}: {better} of bracket {bracket} are better than one that has learned nothing, \
         and {keep} would be kept"
    )
}

/// What was decided at a rung.
fn decided(decision: &RungDecision) -> String {
    let kept = decision.ranking.iter().filter(|one| one.kept).count();
    let step = decision.ranking.iter().map(|one| one.step).max().unwrap_or_default();
    let (bracket, rung, of) = (decision.bracket, decision.rung, decision.ranking.len());
    format!(
        "rung {rung} of bracket {bracket}, after step {step}: {kept} of {} go on",
        counted(of, "configuration")
    )
}

fn names(trials: &[TrialId], board: &Board) -> String {
    trials.iter().map(|trial| board.name(*trial)).collect::<Vec<_>>().join(", ")
}

/// What trials train on from now on.
fn widths_decided(widths: &[TrialsOfWidth]) -> String {
    let of = |of: &TrialsOfWidth| {
        let (trials, n) = (counted(of.trials.len(), "trial"), of.trials.len());
        let (train, each) = if n == 1 { ("trains", "") } else { ("train", " each") };
        format!("{trials} {train} on {}{each}", of.width)
    };
    format!("decided for this run and later ones: {}", widths.iter().map(of).collect::<Vec<_>>().join(", "))
}

/// What a result's scores say: `validation accuracy 0.750, test 0.741`, or `test accuracy 0.741`.
fn scored(result: &TrialResult, select: Option<Metric>) -> String {
    let TrialResult { validation, test, .. } = result;
    let Some(validation) = validation else {
        let tested = |test| format!("test {}", score(test, select));
        return test.as_ref().map_or_else(|| "trained on all rows".to_owned(), tested);
    };
    let mut text = format!("validation {}", score(validation, select));
    if let Some(test) = test.as_ref().and_then(|test| tasks::selecting(test, select).1) {
        // Writing to a String cannot fail.
        let _ = write!(text, ", test {test:.3}");
    }
    text
}

fn finished(result: &TrialResult, board: &Board, now: Instant) -> String {
    let mut text =
        format!("done {}/{}: {}: ", board.ledger().done(), board.ledger().total(), board.name(result.trial),);
    text.push_str(&scored(result, board.select(result.trial)));
    let _ = write!(text, ", {}", measured(result.cost.wall_s.max(0.0)));
    if let Some(left) = board.remaining(now) {
        let _ = write!(text, "; {} left", about(left.as_secs_f64()));
    }
    text
}
