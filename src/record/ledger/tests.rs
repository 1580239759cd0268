use super::*;
use crate::values::Device;
use crate::values::Resources;

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
        resources: Resources::default(),
        settings: None,
    }
}

fn ended() -> What {
    What::RunEnded { done: 0, failed: 0, stopped: 0, left: 0, elapsed_s: 0.0 }
}

fn ledger(happened: &[What]) -> Ledger {
    let at = |second| Timestamp::from_second(second).unwrap();
    let events = (0..).zip(happened).map(|(second, what)| Event { at: at(second), what: what.clone() });
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
    assert_eq!(ledger(&told).open(train()).collect::<Vec<_>>(), [trial(2)]);
    assert_eq!([1, 2, 3].map(|n| ledger(&told).is_open(train(), trial(n))), [false, true, false]);
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
fn how_far_a_trial_is_said_is_kept() {
    let progress =
        Progress { trial: trial(1), step: 7, steps: 9, loss: 0.5, rows_per_s: 1.0, validation: None };
    let told = [launching(&[1]), What::TrialProgressed { key: train(), progress: progress.clone() }];
    let ledger = ledger(&told);
    assert_eq!(ledger.trial(trial(1)).unwrap().progress.as_ref(), Some(&progress));
    assert_eq!(ledger.job(train()).unwrap().latest, Some(trial(1)));
}

#[test]
fn why_a_trial_starts_again_is_known_whatever_its_next_job_is_called() {
    let failure = Failure::Killed { signal: 9 };
    let mut told = vec![
        launching(&[1, 2]),
        What::TrialFinished { trial: trial(1), result: None },
        What::JobFailed { key: train(), failure: failure.clone() },
    ];
    let next = JobKey::Train(trial(2));
    assert_eq!(ledger(&told).failed_start(next, &[trial(3), trial(2)]), Some(&failure));
    assert_eq!(ledger(&told).failed_start(train(), &[trial(1)]), None, "it is done");
    let (key, trials) = (next, vec![trial(2)]);
    told.push(What::JobLaunching { key, attempt: 2, placement: placement(), trials });
    assert_eq!(ledger(&told).failed_start(next, &[trial(2)]), None, "it was started again since");
}

#[test]
fn the_last_decision_on_a_width_counts_in_later_runs_too() {
    use crate::values::{TrialsOfWidth, Width};
    let decided = |width, trials: &[u8]| What::WidthsDecided {
        widths: vec![TrialsOfWidth { width, trials: trials.iter().copied().map(trial).collect() }],
    };
    let told = [decided(Width::Cores(1), &[1, 2]), crash(), decided(Width::Gpu, &[2]), crash()];
    let ledger = ledger(&told);
    let width = |n| ledger.width(trial(n)).map(|decided| decided.width);
    assert_eq!([1, 2, 3].map(width), [Some(Width::Cores(1)), Some(Width::Gpu), None]);
}

#[test]
fn where_a_trial_paused_last_is_known_whatever_becomes_of_it() {
    use crate::values::Pause;
    let pause = |step| Pause { trial: trial(1), step, steps: 90, scores: None, loss_error: None, rows: None };
    let paused = |step| What::TrialPaused { key: train(), pause: pause(step) };
    let mut told = vec![launching(&[1]), paused(18)];
    let known = |told: &[What]| ledger(told).trial(trial(1)).unwrap().pause.clone();
    assert_eq!(known(&told), Some(pause(18)));
    told.extend([launching(&[1]), paused(36), What::StopOrdered { trials: vec![trial(1)] }]);
    assert_eq!(known(&told), Some(pause(36)));
    assert_eq!(standing(&ledger(&told), 1).1, TrialState::Stopped { reason: StopReason::ByHand });
}

/// What a further generation takes is added to what its own start foresaw, and to nothing else.
#[test]
fn what_is_foreseen_grows_within_a_start() {
    let foreseen = |seconds| What::TrainingForeseen { seconds, mem_mib: Some(seconds) };
    let proposed = || What::GenerationProposed { blocks: Vec::new() };
    let of = |happened: &[What]| ledger(happened).foreseen.map(|one| (one.training_s, one.mem_mib));
    let one = [crash(), foreseen(10.0), proposed(), foreseen(4.0)];
    assert_eq!(of(&one), Some((14.0, Some(10.0))));
    assert_eq!(of(&[&one[..2], &[crash(), proposed(), foreseen(4.0)]].concat()), Some((4.0, Some(4.0))));
}
