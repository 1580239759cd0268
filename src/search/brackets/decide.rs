//! Owns the decision at a rung: once all configurations of a bracket have come there, the best go on.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::{Arrival, Brackets, Race};
use crate::search::rule::{StopRule, Ties};
use crate::values::{Candidate, Direction, JudgedRow, Ranked, RungDecision, RungPutOff, Scores, What, ratio};

/// How much later the first rung is at each time that too few configurations have learned anything, and from where on
/// it is not put off any more; shares of the steps.
const PUT_OFF_BY: f64 = 0.1;
const PUT_OFF_UNTIL: f64 = 0.5;
/// How many standard errors better than an untrained model one has to be that has learned something.
const NOISE: f64 = 2.0;

/// A configuration that has come to a rung.
struct Arrived<'r> {
    candidate: &'r Candidate,
    step: u64,
    /// The largest share of their steps that its trials have done.
    share: f64,
    score: Option<f64>,
    /// Its loss, and the standard error of that.
    loss: Option<(f64, f64)>,
    has_failed: bool,
}

impl Brackets {
    /// The next decision that is due, if any: to be published, and then taken in as an event.
    #[must_use]
    pub fn due(&self) -> Option<What> {
        let rule = self.rule.as_ref()?;
        self.races.iter().find_map(|race| self.decision(rule, race))
    }

    fn decision(&self, rule: &StopRule, race: &Race) -> Option<What> {
        if race.missing > 0 || race.racing().next().is_none() {
            return None;
        }
        let mut arrived: Vec<Arrived<'_>> = race.racing().map(|one| arrived(rule, race, one)).collect();
        let keep = rule.kept(arrived.len());
        if let Some(put_off) = self.too_early(race, &arrived, keep) {
            return Some(What::RungPutOff(put_off));
        }
        arrived.sort_by(|a, b| better_first(rule, a, b));
        Some(What::RungDecided(Box::new(self.ranked(rule, race, &arrived, keep))))
    }

    /// The first rung is put off while fewer configurations than would be kept are better than one that has learned
    /// nothing: what is ranked then is noise.
    fn too_early(&self, race: &Race, arrived: &[Arrived<'_>], keep: usize) -> Option<RungPutOff> {
        let share = arrived.iter().filter(|one| !one.has_failed).map(|one| one.share).fold(0.0, f64::max);
        let untrained =
            arrived.iter().find_map(|one| self.known.untrained(*one.candidate.compared.first()?))?;
        let has_learned =
            |one: &&Arrived<'_>| one.loss.is_some_and(|(loss, error)| loss + NOISE * error < untrained);
        let better = arrived.iter().filter(has_learned).count();
        let is_measured = arrived.iter().any(|one| one.loss.is_some());
        if race.decided > 0 || !is_measured || better >= keep || share >= PUT_OFF_UNTIL - 1e-9 {
            return None;
        }
        let until = (share + PUT_OFF_BY).min(PUT_OFF_UNTIL);
        let open = arrived.iter().filter(|one| !one.has_failed).flat_map(|one| &one.candidate.compared);
        let trials = open.copied().collect();
        let step = arrived.iter().map(|one| one.step).max().unwrap_or_default();
        let (bracket, rung) = (race.bracket.number, race.decided + 1);
        Some(RungPutOff { bracket, rung, step, untrained, better, keep, until, trials })
    }

    /// The decision on configurations that are sorted, best first.
    fn ranked(&self, rule: &StopRule, race: &Race, arrived: &[Arrived<'_>], keep: usize) -> RungDecision {
        let last = arrived.iter().take(keep).rfind(|one| !one.has_failed);
        let is_as_good = |one: &Arrived<'_>| {
            let Some(last) = last.filter(|last| last.score.is_some()) else { return false };
            let is_equal = one.score == last.score;
            is_equal || (rule.ties == Ties::Noise && is_within_noise(race, one.candidate, last.candidate))
        };
        let is_kept = |at: usize, one: &Arrived<'_>| !one.has_failed && (at < keep || is_as_good(one));
        let kept: Vec<bool> = arrived.iter().enumerate().map(|(at, one)| is_kept(at, one)).collect();
        let share = arrived.iter().filter(|one| !one.has_failed).map(|one| one.share).fold(0.0, f64::max);
        let left = kept.iter().filter(|kept| **kept).count();
        // Where nobody would be stopped, nobody needs to wait.
        let until = self.next_rung(race, share).filter(|_| rule.kept(left) < left);
        let ranking = arrived.iter().zip(&kept).map(|(one, kept)| Ranked {
            candidate: one.candidate.clone(),
            step: one.step,
            score: one.score,
            kept: *kept,
        });
        RungDecision {
            bracket: race.bracket.number,
            rung: race.decided + 1,
            by: rule.by,
            keep,
            ranking: ranking.collect(),
            until,
        }
    }
}

fn arrived<'r>(rule: &StopRule, race: &'r Race, candidate: &'r Candidate) -> Arrived<'r> {
    let arrivals = || candidate.compared.iter().filter_map(|trial| race.arrivals.get(trial));
    let scores = |arrival: &'r Arrival| match arrival {
        Arrival::Paused(pause) => pause.scores.as_ref().map(|scores| (scores, pause.loss_error)),
        Arrival::Ended(result) => {
            result.as_ref().and_then(|result| Some((result.validation.as_ref()?, None)))
        }
        Arrival::Failed => None,
    };
    let score_of = |scores: &Scores| match rule.by {
        Some(metric) => scores.get(metric),
        None => scores.loss(),
    };
    let share = |arrival: &Arrival| match arrival {
        Arrival::Paused(pause) => pause.share(),
        Arrival::Ended(_) => 1.0,
        Arrival::Failed => 0.0,
    };
    let losses = mean(arrivals().map(|arrival| scores(arrival)?.0.loss()));
    let error = mean(arrivals().map(|arrival| Some(scores(arrival)?.1.unwrap_or_default())));
    Arrived {
        candidate,
        step: arrivals().map(step).max().unwrap_or_default(),
        share: arrivals().map(share).fold(0.0, f64::max),
        score: mean(arrivals().map(|arrival| score_of(scores(arrival)?.0))).filter(|score| score.is_finite()),
        loss: losses.zip(error),
        has_failed: arrivals().any(|arrival| matches!(arrival, Arrival::Failed)),
    }
}

/// Whether a candidate's loss is larger than another's by no more than the standard error of their difference. That is
/// taken over the validation rows that both have, so that what makes a row hard for all does not count.
fn is_within_noise(race: &Race, one: &Candidate, other: &Candidate) -> bool {
    let rows = |trial| match race.arrivals.get(trial) {
        Some(Arrival::Paused(pause)) => pause.rows.as_deref(),
        Some(Arrival::Ended(_) | Arrival::Failed) | None => None,
    };
    let mut differences = Vec::new();
    for (one, other) in one.compared.iter().zip(&other.compared) {
        let (Some(one), Some(other)) = (rows(one), rows(other)) else { return false };
        let theirs: HashMap<u32, &JudgedRow> = other.rows.iter().map(|row| (row.row, row)).collect();
        differences.extend(one.rows.iter().filter_map(|own| {
            let loss = own.loss - theirs.get(&own.row)?.loss;
            Some((loss, f64::from(own.predictions())))
        }));
    }
    ratio(&differences).is_some_and(|(difference, error)| difference <= error)
}

fn step(arrival: &Arrival) -> u64 {
    match arrival {
        Arrival::Paused(pause) => pause.step,
        Arrival::Ended(result) => result.as_ref().map_or(0, |result| result.steps),
        Arrival::Failed => 0,
    }
}

/// The mean of all; `None` where one is missing.
#[expect(clippy::cast_precision_loss, reason = "folds and seeds are few")]
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.collect::<Option<_>>()?;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Best first; without a score behind all others, and what failed last. Equal ones stay in the order of the sweep.
fn better_first(rule: &StopRule, a: &Arrived<'_>, b: &Arrived<'_>) -> Ordering {
    let direction = rule.by.map_or(Direction::Lower, |metric| metric.row().better);
    let by_score = match (a.score, b.score) {
        (Some(a), Some(b)) => match direction {
            Direction::Lower => a.total_cmp(&b),
            Direction::Higher => b.total_cmp(&a),
        },
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    };
    a.has_failed.cmp(&b.has_failed).then(by_score)
}
