//! Owns the words for trials, work, times and notices. Pure: writes nowhere, reads no clock.

use std::fmt::Write as _;
use std::time::Duration;

use super::Notice;
use super::board::Board;
use crate::outcome::{Scores, TrialResult};
use crate::plan::JobKey;
use crate::task::Task;
use crate::trial::{Method, Trial};

/// A trial in one line: `minilm-2 lora r=16 α=32 dropout=0.1 lr=5e-3 fold 2/3`; where tasks have
/// names, behind its task's.
pub(crate) fn trial(trial: &Trial) -> String {
    let configuration = &trial.configuration;
    let mut text = String::new();
    if configuration.task != Task::ONLY {
        // Writing to a String cannot fail.
        let _ = write!(text, "{}: ", configuration.task);
    }
    let _ = write!(text, "{} {}", configuration.model, configuration.method.name());
    match &configuration.method {
        Method::Lora(lora) => {
            let _ = write!(text, " r={} α={} dropout={}", lora.rank, lora.alpha, lora.dropout);
        }
        Method::Full | Method::Scratch | Method::Base => {}
    }
    if configuration.method != Method::Base {
        let _ = write!(text, " lr={:e}", configuration.training.learning_rate);
    }
    let splits = trial.splitting.splits();
    if splits > 1 {
        let _ = write!(text, " fold {}/{splits}", trial.fold + 1);
    }
    text
}

/// The metric that selects, with its name: `accuracy 0.750`.
pub(crate) fn score(scores: &Scores) -> String {
    format!("{} {:.3}", scores.primary_metric().title(), scores.primary())
}

/// A number of things: `1 trial`, `2 trials`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A length of time to two units: `1 h 05 min`, `3 min 20 s`, `4.2 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0..10) if duration.subsec_millis() > 0 => format!("{:.1} s", duration.as_secs_f64()),
        (0, 0, s) => format!("{s} s"),
        (0, min, s) => format!("{min} min {s:02} s"),
        (h, min, _) => format!("{h} h {min:02} min"),
    }
}

/// Words as a shell takes them, ready to be pasted.
pub(crate) fn shell<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    let quoted = words.into_iter().map(|word| match word.as_ref() {
        word if !word.is_empty() && word.chars().all(plain) => word.to_owned(),
        word => format!("'{}'", word.replace('\'', r"'\''")),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// What a job that trains nothing is doing, from its name.
pub(super) fn work(key: &JobKey) -> String {
    match key.0.split('-').next() {
        Some("prepare") => "tokenising the data".to_owned(),
        Some("summarise") => "summarising a configuration".to_owned(),
        Some("report") => "writing the report".to_owned(),
        Some(_) | None => key.to_string(),
    }
}

/// What a notice means to a person, where it is worth a line that stays.
pub(super) fn notice(notice: &Notice<'_>, board: &Board) -> Option<String> {
    match notice {
        Notice::RunPlanned { trials, kept, continued, places, predicted } => {
            let places: Vec<String> = places.iter().map(|place| place.device.to_string()).collect();
            let mut text = format!("{}, {kept} done already", count(*trials, "trial"));
            if *continued > 0 {
                let _ = write!(text, ", {continued} to go on from a checkpoint");
            }
            if kept < trials {
                let _ = write!(text, "; on {}, about {}", places.join(", "), duration(*predicted));
            }
            Some(text)
        }
        Notice::TrialFinished { result, done, remaining } => Some(finished(result, *done, *remaining, board)),
        Notice::TrialFailed { trial, failure } => {
            Some(format!("failed: {} ({trial}): {failure}", board.name(*trial)))
        }
        Notice::JobEnded { job, key, .. } => {
            let early = board.early_end(*job).filter(|early| !early.trains)?;
            Some(format!("failed: job `{key}`: {}", early.reason))
        }
        Notice::JobLaunched { job, key, attempt, placement, .. } => {
            let early = board.early_end(*job)?;
            let device = placement.device;
            Some(format!("job `{key}` starts again on {device} (attempt {attempt}): {}", early.reason))
        }
        Notice::StopRequested { force: false } => Some(
            "stopping: checkpoints are being written, and the same command continues from them; \
             Ctrl-C again stops at once"
                .to_owned(),
        ),
        Notice::StopRequested { force: true } => {
            Some("stopping at once: training goes back to the last checkpoints".to_owned())
        }
        Notice::Warned { message } => Some(format!("warning: {message}")),
        Notice::RunEnded { done, failed, left, elapsed } => {
            let mut text = format!("{} done", count(*done, "trial"));
            if *failed > 0 {
                let _ = write!(text, ", {failed} failed");
            }
            if *left > 0 {
                let _ = write!(text, ", {left} left");
            }
            let _ = write!(text, " after {}", duration(*elapsed));
            Some(text)
        }
        Notice::TrialProgressed { .. } => None,
    }
}

fn finished(result: &TrialResult, done: usize, remaining: Duration, board: &Board) -> String {
    let mut text = format!(
        "done {done}/{}: {}: validation {}",
        board.total(),
        board.name(result.trial),
        score(&result.validation)
    );
    if let Some(test) = &result.test {
        let _ = write!(text, ", test {:.3}", test.primary());
    }
    let _ = write!(text, ", {}", duration(Duration::from_secs_f64(result.cost.wall_s.max(0.0))));
    if done < board.total() {
        let _ = write!(text, "; about {} left", duration(remaining));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well_at_every_size() {
        let texts = [0.04, 5.0, 9.96, 59.0, 60.0, 200.0, 3_900.0, 90_000.0]
            .map(|seconds| duration(Duration::from_secs_f64(seconds)));
        assert_eq!(
            texts,
            ["0.0 s", "5 s", "10.0 s", "59 s", "1 min 00 s", "3 min 20 s", "1 h 05 min", "25 h 00 min"]
        );
    }
}
