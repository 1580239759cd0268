//! Owns the words for trials, work, times and notices. Pure: writes nowhere, reads no clock.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::Notice;
use super::board::Board;
use crate::plan::JobKey;
use crate::report::axes::Naming;
use crate::tasks::Task;
use crate::values::{Configuration, Metric, Scores, Trial, TrialResult};

/// What the trials of a sweep are called.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeMap<String, Naming>);

impl Names {
    /// Of the trials of these configurations.
    pub(crate) fn of(configurations: &[Arc<Configuration>]) -> Self {
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

/// The metric that selects, the named one or the task's own, with its name: `accuracy 0.750`.
pub(crate) fn score(scores: &Scores, select: Option<Metric>) -> String {
    let (metric, score) = scores.selecting(select);
    format!("{} {score:.3}", metric.title())
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

/// What a job that trains nothing is doing, from its name.
pub(super) fn work(key: &JobKey) -> String {
    match key.0.split('-').next() {
        Some("prepare") => "tokenising the data".to_owned(),
        Some("summarise") => "summarising the configurations".to_owned(),
        Some("report") => "writing the report".to_owned(),
        Some(_) | None => key.to_string(),
    }
}

/// What a notice means to a person, where it is worth a line that stays.
pub(super) fn notice(notice: &Notice<'_>, board: &Board) -> Option<String> {
    match notice {
        Notice::RunPlanned { trials, kept, continued, places, predicted, .. } => {
            let places: Vec<String> = places.iter().map(|place| place.device.to_string()).collect();
            let mut text = format!("{}, {kept} already done", count(*trials, "trial"));
            if *continued > 0 {
                let _ = write!(text, ", {continued} to continue from a checkpoint");
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
            "stopping: writing checkpoints, from which the same command continues; Ctrl-C again stops at \
             once"
                .to_owned(),
        ),
        Notice::StopRequested { force: true } => {
            Some("stopping at once: the next run continues from the last checkpoints".to_owned())
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
        Notice::TrialJoined { .. } | Notice::TrialProgressed { .. } => None,
    }
}

fn finished(result: &TrialResult, done: usize, remaining: Duration, board: &Board) -> String {
    let mut text = format!(
        "done {done}/{}: {}: validation {}",
        board.total(),
        board.name(result.trial),
        score(&result.validation, board.select())
    );
    if let Some(test) = &result.test {
        let _ = write!(text, ", test {:.3}", test.selecting(board.select()).1);
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
            Names::of(all).trial(&Trial::new(
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
