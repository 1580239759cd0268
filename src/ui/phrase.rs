//! Owns the words for trials, work, times and events. Pure: writes nowhere, reads no clock.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::board::Board;
use crate::tasks::{self, Task};
use crate::values::{
    Configuration, JobKey, Metric, Naming, Scores, Trial, TrialResult, What, quantity::counted,
};

/// What the trials of a sweep are called.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeMap<String, Naming>);

impl Names {
    /// Of the trials of these configurations.
    pub(crate) fn of<'a>(configurations: impl IntoIterator<Item = &'a Configuration>) -> Self {
        let mut tasks: BTreeMap<&str, Vec<&Configuration>> = BTreeMap::new();
        for one in configurations {
            tasks.entry(&one.task).or_default().push(one);
        }
        Self(tasks.into_iter().map(|(task, all)| (task.to_owned(), Naming::of(&all))).collect())
    }

    /// A trial by what tells it from the sweep's others, as the report names it: `LoRA r=16 α=32 lr 5e-3
    /// seed 2, fold 2/3`; where tasks have names, behind its task's.
    pub(crate) fn trial(&self, trial: &Trial) -> String {
        let configuration = &trial.configuration;
        let task = match configuration.task.as_str() {
            Task::ONLY => String::new(),
            name => format!("{name}: "),
        };
        let label = match self.0.get(&configuration.task) {
            Some(naming) => naming.label(configuration),
            None => trial.id.to_string(),
        };
        let fold = match trial.splitting.splits() {
            0 | 1 => String::new(),
            splits => format!(", fold {}/{splits}", trial.fold + 1),
        };
        format!("{task}{label}{fold}")
    }
}

/// The metric that selects, the named one or the task's own, with its name: `accuracy 0.750`; `no Pearson`
/// where it is not defined.
pub(crate) fn score(scores: &Scores, select: Option<Metric>) -> String {
    let (metric, score) = tasks::selecting(scores, select);
    match score {
        Some(score) => format!("{} {score:.3}", metric.title()),
        None => format!("no {}", metric.title()),
    }
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

/// What a job does while nothing is known of its trials.
pub(super) fn work(key: JobKey) -> &'static str {
    match key {
        JobKey::Prepare(_) => "tokenising the data",
        JobKey::Train(_) => "training",
        JobKey::Report => "writing the report",
    }
}

/// What an event means to a person, where it is worth a line that stays. The board has taken it in.
pub(super) fn event(what: &What, board: &Board, now: Instant) -> Option<String> {
    match what {
        What::RunPlanned { trials, done, continued, places, predicted, .. } => {
            let places: Vec<String> = places.iter().map(|place| place.device.to_string()).collect();
            let mut text = format!("{}, {} already done", counted(trials.len(), "trial"), done.len());
            if *continued > 0 {
                let _ = write!(text, ", {continued} to continue from a checkpoint");
            }
            if done.len() < trials.len() {
                let _ = write!(text, "; on {}, about {}", places.join(", "), duration(*predicted));
            }
            Some(text)
        }
        What::TrialFinished { result, .. } => result.as_ref().map(|result| finished(result, board, now)),
        What::TrialFailed { trial, failure } => {
            Some(format!("failed: {} ({trial}): {failure}", board.name(*trial)))
        }
        What::JobFailed { key: key @ (JobKey::Prepare(_) | JobKey::Report), failure } => {
            Some(format!("failed: job `{key}`: {failure}"))
        }
        What::JobLaunching { key, attempt, placement, .. } => {
            let reason = board.failed_before()?;
            let device = placement.device;
            Some(format!("job `{key}` starts again on {device} (attempt {attempt}): {reason}"))
        }
        What::DeviceRetired { device } => Some(format!(
            "warning: {device} failed twice in a row, with different jobs, and is no longer used"
        )),
        What::StopRequested { force: false } => Some(
            "stopping: writing checkpoints, from which the same command continues; Ctrl-C again stops at \
             once"
                .to_owned(),
        ),
        What::StopRequested { force: true } => {
            Some("stopping at once: the next run continues from the last checkpoints".to_owned())
        }
        What::Warned { message } => Some(format!("warning: {message}")),
        What::RunEnded { done, failed, left, elapsed_s } => {
            let mut text = format!("{} done", counted(*done, "trial"));
            if *failed > 0 {
                let _ = write!(text, ", {failed} failed");
            }
            if *left > 0 {
                let _ = write!(text, ", {left} left");
            }
            let _ = write!(text, " after {}", duration(Duration::from_secs_f64(elapsed_s.max(0.0))));
            Some(text)
        }
        What::RunStarted { .. }
        | What::JobStarted { .. }
        | What::JobFailed { key: JobKey::Train(_), .. }
        | What::JobFinished { .. }
        | What::JobInterrupted { .. }
        | What::TrialJoining { .. }
        | What::TrialJoined { .. }
        | What::TrialReturned { .. }
        | What::TrialProgressed { .. }
        | What::TrialEvaluated { .. }
        | What::Forecast { .. }
        | What::Woke => None,
    }
}

fn finished(result: &TrialResult, board: &Board, now: Instant) -> String {
    let mut text = format!(
        "done {}/{}: {}: validation {}",
        board.ledger().done(),
        board.ledger().total(),
        board.name(result.trial),
        score(&result.validation, board.select())
    );
    if let Some(test) = result.test.as_ref().and_then(|test| tasks::selecting(test, board.select()).1) {
        let _ = write!(text, ", test {test:.3}");
    }
    let _ = write!(text, ", {}", duration(Duration::from_secs_f64(result.cost.wall_s.max(0.0))));
    if let Some(left) = board.remaining(now) {
        let _ = write!(text, "; about {} left", duration(left));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::plan::example;
    use crate::values::{Method, Splitting, Training};

    #[test]
    fn trials_are_called_by_what_tells_them_apart() {
        let sweep = example::sweep();
        let lora = &sweep.configurations[0];
        let seeded = |seed| {
            let training = Training { seed, ..lora.training.clone() };
            let (task, model) = (sweep.task(lora), sweep.model(lora));
            Arc::new(Configuration::new(task, model, lora.method.clone(), training))
        };
        let name = |all: &[Arc<Configuration>]| {
            Names::of(all.iter().map(|one| &**one)).trial(&Trial::new(
                &all[0],
                Splitting::KFold { k: 3, stratified: true, seed: 1 },
                1,
            ))
        };
        let (one, two) = (seeded(1), seeded(2));
        assert_eq!(name(std::slice::from_ref(&one)), "LoRA r=4 α=16, fold 2/3");
        assert_eq!(name(&[one, two]), "LoRA r=4 α=16 seed 1, fold 2/3");
        let full = sweep.configurations.iter().find(|c| c.method == Method::Full).unwrap();
        assert_eq!(name(std::slice::from_ref(full)), "full fine-tuning, fold 2/3");
    }

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
