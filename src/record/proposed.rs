//! Owns what was proposed in a run, as its journal tells, and what came of it. Proposes and writes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::disk::layout::Layout;
use crate::record::ledger::{Ledger, TrialState};
use crate::record::{journal, resume};
use crate::search::{Outcome, Tried};
use crate::sweep::{Block, SweepSpec};
use crate::tasks;
use crate::values::{Event, Point, Proposed, Scores, Trial, What};

/// What was proposed of each block, generation by generation.
#[must_use]
pub fn generations(events: &[Event]) -> Vec<Proposed> {
    let generation = |event: &Event| {
        if let What::GenerationProposed { blocks } = &event.what { blocks.clone() } else { Vec::new() }
    };
    events.iter().flat_map(generation).collect()
}

/// The sweep with what was proposed in its run so far.
#[must_use]
pub fn so_far(sweep: &SweepSpec, layout: &Layout) -> SweepSpec {
    if sweep.proposing.is_none() {
        return sweep.clone();
    }
    // An unreadable journal is reported when the run starts.
    let events = journal::read(&layout.journal()).map(|replay| replay.events).unwrap_or_default();
    sweep.grown(&generations(&events))
}

/// How long all runs took that these events tell of, each up to its last event.
#[must_use]
pub fn spent(events: &[Event]) -> Duration {
    let is_start = |event: &Event| matches!(event.what, What::RunStarted { .. });
    let runs = events.chunk_by(|_, next| !is_start(next));
    let took = |run: &[Event]| Duration::try_from(run.last()?.at.duration_since(run.first()?.at)).ok();
    runs.filter_map(took).sum()
}

/// What came of these points of a block, in their order; `None` where a trial of them is not over.
#[must_use]
pub fn tried(
    sweep: &SweepSpec,
    layout: &Layout,
    ledger: &Ledger,
    block: &Block,
    points: Vec<Point>,
) -> Option<Vec<Tried>> {
    let of_point = |point: &Point| -> Option<Vec<Fate>> {
        let configurations = sweep.configurations_of(block, point);
        let trials = configurations.iter().flat_map(|one| sweep.trials_of(one));
        trials.map(|trial| Fate::of(sweep, layout, ledger, &trial)).collect()
    };
    let fates: Vec<Vec<Fate>> = points.iter().map(of_point).collect::<Option<_>>()?;
    let scores = scores(&fates);
    let tried = points.into_iter().zip(&fates).zip(scores).map(|((point, fates), score)| {
        let outcome = match score {
            Some(score) if fates.iter().all(|fate| fate.end == End::Done) => Outcome::Finished { score },
            Some(score) if fates.iter().all(|fate| fate.end != End::Failed) => {
                let share = fates.iter().map(|fate| fate.share).sum::<f64>() / fates.len() as f64;
                Outcome::Stopped { share, score }
            }
            Some(_) | None => Outcome::Unscored,
        };
        Tried { point, outcome }
    });
    Some(tried.collect())
}

/// What came of a trial of a point.
#[derive(Debug)]
struct Fate {
    task: String,
    end: End,
    /// The share of its steps that were done.
    share: f64,
    /// Its score on the validation rows at its end, less is better.
    score: Option<f64>,
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    Stopped,
    Failed,
}

impl Fate {
    /// The fate of a trial; `None` where it is not over.
    fn of(sweep: &SweepSpec, layout: &Layout, ledger: &Ledger, trial: &Trial) -> Option<Self> {
        let task = trial.configuration.task.clone();
        let named = sweep.select.of(&task);
        let score = |scores: &Scores| {
            let (metric, score) = tasks::selecting(scores, named);
            score.map(|score| if metric.higher_is_better() { -score } else { score })
        };
        if let Some(result) = resume::result(layout, trial.id) {
            let score = result.validation.as_ref().and_then(score);
            return Some(Self { task, end: End::Done, share: 1.0, score });
        }
        let (end, pause) = match ledger.state(trial.id) {
            TrialState::Failed { .. } => (End::Failed, None),
            TrialState::Stopped { .. } => {
                (End::Stopped, ledger.trial(trial.id).and_then(|standing| standing.pause.as_ref()))
            }
            TrialState::Waiting
            | TrialState::Running { .. }
            | TrialState::Paused { .. }
            | TrialState::Interrupted
            | TrialState::Done => return None,
        };
        let share = pause.map_or(0.0, |pause| pause.step as f64 / pause.steps.max(1) as f64);
        let score = pause.and_then(|pause| pause.scores.as_ref()).and_then(score);
        Some(Self { task, end, share, score })
    }
}

/// The score of each point, less is better, where its trials have any: on each task the mean of those that have one,
/// over folds and seeds. Since scores of different tasks cannot be added, it is the mean over the tasks of how many
/// points are better there: only the order of points counts.
fn scores(points: &[Vec<Fate>]) -> Vec<Option<f64>> {
    let means: Vec<BTreeMap<&str, f64>> = points.iter().map(|fates| means(fates)).collect();
    let rank = |task: &str, score: f64| {
        let others = means.iter().filter_map(|means| means.get(task));
        others.filter(|other| **other < score).count() as f64
    };
    let score = |means: &BTreeMap<&str, f64>| {
        let ranks: f64 = means.iter().map(|(task, score)| rank(task, *score)).sum();
        (!means.is_empty()).then(|| ranks / means.len() as f64)
    };
    means.iter().map(score).collect()
}

/// The mean score of a point's trials on each task.
fn means(fates: &[Fate]) -> BTreeMap<&str, f64> {
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (fate, score) in fates.iter().filter_map(|fate| Some((fate, fate.score?))) {
        let (sum, count) = sums.entry(&fate.task).or_default();
        *sum += score;
        *count += 1.0;
    }
    sums.into_iter().map(|(task, (sum, count))| (task, sum / count)).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::values::{CommandLine, Resources};

    fn fate(task: &str, score: Option<f64>) -> Fate {
        Fate { task: task.to_owned(), end: End::Done, share: 1.0, score }
    }

    #[test]
    fn points_are_ranked_by_the_mean_over_folds_and_by_ranks_over_tasks() {
        let one = |scores: &[f64]| scores.iter().map(|score| fate("a", Some(*score))).collect::<Vec<Fate>>();
        let points = [one(&[-0.9, -0.7]), one(&[-0.95, -0.75]), vec![fate("a", None)], one(&[-0.9])];
        assert_eq!(scores(&points), [Some(2.0), Some(1.0), None, Some(0.0)]);
        // A loss of 100 on one task does not outweigh another task.
        let two = |a: f64, b: f64| vec![fate("a", Some(a)), fate("b", Some(b))];
        assert_eq!(
            scores(&[two(0.1, 200.0), two(0.2, 100.0), two(0.3, 300.0)]),
            [Some(0.5), Some(0.5), Some(2.0)]
        );
    }

    #[test]
    fn what_runs_took_is_the_sum_of_them_and_not_of_the_nights_between() {
        let started = || What::RunStarted {
            pid: 1,
            host: String::new(),
            version: String::new(),
            command_line: CommandLine::default(),
            resources: Resources::default(),
            settings: None,
        };
        let at = |seconds, what| Event { at: Timestamp::from_second(seconds).unwrap(), what };
        let events = [
            at(0, started()),
            at(100, What::StopRequested { force: false }),
            at(50_000, started()),
            at(50_030, What::StopRequested { force: true }),
        ];
        assert_eq!(spent(&events), Duration::from_secs(130));
        assert_eq!(spent(&[]), Duration::ZERO);
    }
}
