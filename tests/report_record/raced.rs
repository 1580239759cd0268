//! Made-up records of sweeps that stop configurations early.

use lorasweep::record::{RunRecord, TrialState};
use lorasweep::search::{Stop, StopRule};
use lorasweep::values::{Candidate, Method, MetricLine, Pause, Ranked, RungDecision, StopReason, TrialId};

use crate::report_record::{lora, record_of, training};

/// Eight adapters that race on the first of three folds, full fine-tuning and training from scratch, which run whole.
/// Three adapters are kept after step 24 of 96, one of them after step 40.
pub(crate) fn raced() -> RunRecord {
    let adapters = [4, 8, 16, 32].into_iter().flat_map(|rank| [16.0, 32.0].map(|alpha| lora(rank, alpha)));
    let grid = adapters
        .chain([("minilm-2", Method::Full, training(2e-4)), ("small-bert", Method::Scratch, training(5e-4))]);
    let mut record = record_of(grid.collect());
    race(&mut record);
    record
}

/// Stops adapters by halving.
fn race(record: &mut RunRecord) {
    let ruled = record.sweep.with(|sweep| sweep.stop = Some(StopRule::new(Stop::Halving)));
    record.sweep = ruled.expect("a rule makes no sweep unsound");
    let ids: Vec<Vec<TrialId>> = record
        .configurations()
        .filter(|(_, trials)| trials[0].trial.configuration.method.lora().is_some())
        .map(|(_, trials)| trials.iter().map(|trial| trial.trial.id).collect())
        .collect();
    let mut racing: Vec<Candidate> =
        ids.into_iter().map(|ids| Candidate { compared: vec![ids[0]], later: ids[1..].to_vec() }).collect();
    for (rung, step) in [(1, 24), (2, 40)] {
        let keep = racing.len().div_ceil(3);
        for candidate in &racing {
            pause(record, candidate.compared[0], step);
        }
        let score = |candidate: &Candidate| loss_at(record, candidate.compared[0], step);
        let mut scored: Vec<(Candidate, f64)> =
            racing.into_iter().map(|one| (one.clone(), score(&one))).collect();
        scored.sort_by(|a, b| a.1.total_cmp(&b.1));
        let ranking: Vec<Ranked> = scored
            .into_iter()
            .enumerate()
            .map(|(at, (candidate, score))| Ranked { candidate, step, score: Some(score), kept: at < keep })
            .collect();
        let decision = RungDecision { bracket: 1, rung, by: None, keep, ranking, until: None };
        decision.stopped().for_each(|(trial, reason)| stop(record, trial, reason));
        racing = decision.ranking.into_iter().filter(|one| one.kept).map(|one| one.candidate).collect();
    }
}

/// Stops a trial where it last paused, or before it starts.
pub(crate) fn stop(record: &mut RunRecord, trial: TrialId, reason: StopReason) {
    let trial = record.trials.iter_mut().find(|one| one.trial.id == trial).expect("it is one of the record");
    let step = trial.pause.as_ref().map_or(0, |pause| pause.step);
    trial.metrics.retain(|line| step_of(line) <= step);
    trial.attempts = u32::from(step > 0);
    (trial.state, trial.result) = (TrialState::Stopped { reason }, None);
}

/// Lets a trial pause after a step at which it was validated.
pub(crate) fn pause(record: &mut RunRecord, trial: TrialId, step: u64) {
    let trial = record.trials.iter_mut().find(|one| one.trial.id == trial).expect("it is one of the record");
    let scores = trial.metrics.iter().find_map(|line| match line {
        MetricLine::Validation { step: at, scores, .. } if *at == step => Some(scores.clone()),
        MetricLine::Validation { .. } | MetricLine::Train { .. } => None,
    });
    trial.pause =
        Some(Pause { trial: trial.trial.id, step, steps: 96, scores, loss_error: Some(0.031), rows: None });
}

fn loss_at(record: &RunRecord, trial: TrialId, step: u64) -> f64 {
    let trial = record.trials.iter().find(|one| one.trial.id == trial).expect("it is one of the record");
    let pause = trial.pause.as_ref().filter(|pause| pause.step == step);
    let scores = pause.and_then(|pause| pause.scores.as_ref());
    scores.and_then(|scores| scores.loss()).expect("it was validated after this step")
}

fn step_of(line: &MetricLine) -> u64 {
    match line {
        MetricLine::Train { step, .. } | MetricLine::Validation { step, .. } => *step,
    }
}
