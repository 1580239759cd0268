use super::*;
use crate::values::Metric;

fn trial(n: u8) -> TrialId {
    format!("{n:016x}").parse().unwrap()
}

fn train() -> JobKey {
    JobKey::Train(trial(1))
}

fn placement() -> Placement {
    Placement { device: Device::Cuda { index: 0 }, cores: vec![] }
}

fn launching(trials: &[u8]) -> What {
    let trials = trials.iter().copied().map(trial).collect();
    What::JobLaunching { key: train(), attempt: 1, placement: placement(), trials }
}

fn crash() -> What {
    What::RunStarted {
        pid: 1,
        host: String::new(),
        version: String::new(),
        command_line: CommandLine::default(),
        places: Vec::new(),
        settings: None,
    }
}

fn ended() -> What {
    What::RunEnded { done: 0, failed: 0, left: 0, elapsed_s: 0.0 }
}

fn ledger(happened: &[What]) -> Ledger {
    let events = happened.iter().map(|what| Event { at: Timestamp::UNIX_EPOCH, what: what.clone() });
    Ledger::replay(&events.collect::<Vec<_>>())
}

fn standing(ledger: &Ledger, n: u8) -> (u32, TrialState) {
    let Standing { attempts, state, .. } = ledger.trial(trial(n)).unwrap().clone();
    (attempts, state)
}

#[test]
fn a_trial_is_interrupted_by_whatever_ends_before_it() {
    let mut told = vec![
        launching(&[1, 2]),
        What::JobStarted { key: train(), pid: 9 },
        What::TrialFinished { trial: trial(1), result: None },
    ];
    let running = TrialState::Running { placement: placement(), pid: 9 };
    assert_eq!(standing(&ledger(&told), 2), (1, running));
    assert_eq!(ledger(&told).open(train()), [trial(2)]);
    let failed = What::JobFailed { key: train(), failure: Failure::OutOfMemory };
    for end in [crash(), failed, What::JobInterrupted { key: train() }, ended()] {
        told.push(end);
        let ledger = ledger(&told);
        assert_eq!(standing(&ledger, 1), (1, TrialState::Done));
        assert_eq!(standing(&ledger, 2), (1, TrialState::Interrupted));
        assert_eq!((ledger.jobs().count(), ledger.failed_jobs().count()), (0, 0));
        told.pop();
    }
}

#[test]
fn a_trial_that_joined_is_one_of_the_jobs_and_one_that_came_back_was_never_started() {
    let mut told = vec![
        launching(&[1]),
        What::JobStarted { key: train(), pid: 9 },
        What::TrialJoining { key: train(), trial: trial(2) },
    ];
    assert_eq!(standing(&ledger(&told), 2), (1, TrialState::Running { placement: placement(), pid: 9 }));
    assert_eq!(ledger(&told).job(train()).unwrap().joining, BTreeSet::from([trial(2)]));
    told.push(What::TrialJoined { key: train(), trial: trial(2) });
    assert!(ledger(&told).job(train()).unwrap().joining.is_empty());
    told.push(What::JobFailed { key: train(), failure: Failure::TimedOut });
    assert_eq!(standing(&ledger(&told), 2), (1, TrialState::Interrupted));
    told.truncate(3);
    // Told twice, since a job may be about to end when it is given a trial: no attempt either way.
    told.extend([2, 2].map(|n| What::TrialReturned { key: train(), trial: trial(n) }));
    told.push(What::JobFinished { key: train() });
    assert_eq!(ledger(&told).trial(trial(2)), None);
    assert_eq!(standing(&ledger(&told), 1), (1, TrialState::Interrupted));
}

#[test]
fn a_failed_job_is_forgotten_when_it_starts_again() {
    let key = JobKey::Report;
    let launching = What::JobLaunching { key, attempt: 1, placement: placement(), trials: Vec::new() };
    let failed = What::JobFailed { key, failure: Failure::Exited { code: 1 } };
    let mut told = vec![launching.clone(), failed];
    assert_eq!(ledger(&told).failed_jobs().collect::<Vec<_>>(), [(key, &Failure::Exited { code: 1 })]);
    for again in [launching, crash()] {
        told.push(again);
        assert_eq!(ledger(&told).failed_jobs().count(), 0);
        told.pop();
    }
}

#[test]
fn progress_and_scores_are_kept_step_by_step_and_the_last_attempt_counts() {
    let evaluated = |step, loss| What::TrialEvaluated {
        trial: trial(1),
        step,
        scores: Scores::of("language_modelling").with(Metric::Loss, loss),
    };
    let progress =
        Progress { trial: trial(1), step: 7, steps: 9, loss: 0.5, rows_per_s: 1.0, validation: None };
    let told = [
        launching(&[1]),
        evaluated(2, 3.0),
        evaluated(4, 2.0),
        evaluated(6, 1.0),
        What::TrialProgressed { key: train(), progress: progress.clone() },
        evaluated(4, 2.5),
    ];
    let ledger = ledger(&told);
    let seen = ledger.trial(trial(1)).unwrap();
    let losses: Vec<_> = seen.evaluations.iter().map(|(step, scores)| (*step, scores.loss())).collect();
    assert_eq!(losses, [(2, Some(3.0)), (4, Some(2.5))]);
    assert_eq!(seen.progress.as_ref(), Some(&progress));
    assert_eq!(ledger.job(train()).unwrap().latest, Some(trial(1)));
}
