//! Runs that are read back from their events, and what is told of their trials.

use proptest::prelude::*;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::{at, begun, finished, gpus, launched, workload};
use crate::plan::example;
use crate::sched::{Action, Explanation, Launch, Limits, Policy, Reason, Scheduler, TrialState};
use crate::values::{Failure, JobKey, Progress, TrialId, What};

/// Some steps of a run, and its events as a journal has them.
fn some_steps(seed: u64, steps: usize, policy: Policy) -> (Scheduler, Vec<What>) {
    let (sweep, places) = (example::sweep(), gpus(2));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let limits = Limits { slots: 3, ..Limits::default() };
    let mut scheduler = Scheduler::new(workload(&sweep, &places, false), places, limits, policy);
    let mut journal = Vec::new();
    let mut at_work: Vec<(JobKey, Vec<TrialId>)> = Vec::new();
    let mut what = begun();
    for _ in 0..steps {
        let actions = scheduler.step(at(0), &what);
        journal.push(what);
        for action in &actions {
            match action {
                Action::Launch(Launch { job, attempt, placement, work, .. }) => {
                    let trials: Vec<TrialId> = work.trials().iter().map(|trial| trial.id).collect();
                    let (key, attempt, placement) = (*job, *attempt, placement.clone());
                    journal.push(What::JobLaunching { key, attempt, placement, trials: trials.clone() });
                    journal.push(What::JobStarted { key, pid: 1 });
                    scheduler.step(at(0), &What::JobStarted { key, pid: 1 });
                    at_work.push((key, trials));
                }
                Action::Join { job, trial } => {
                    journal.push(What::TrialJoining { key: *job, trial: trial.id });
                    let pack = at_work.iter_mut().find(|(key, _)| key == job).unwrap();
                    pack.1.push(trial.id);
                }
                Action::GiveUp { .. } | Action::End => {}
                Action::Stop { .. }
                | Action::CutShort { .. }
                | Action::Retire { .. }
                | Action::WakeAt { .. } => {
                    panic!("{action:?}")
                }
            }
        }
        if at_work.is_empty() {
            break;
        }
        let pick = rng.random_range(0..at_work.len());
        let (key, open) = &mut at_work[pick];
        let key = *key;
        what = match rng.random_range(0..5) {
            0 => What::JobFailed { key, failure: Failure::OutOfMemory },
            1 => What::JobFailed { key, failure: Failure::Killed { signal: 9 } },
            2 | 3 if open.len() > 1 => {
                let trial = open.remove(0);
                let failure = Failure::Diverged { step: 1 };
                if rng.random_bool(0.5) { finished(trial) } else { What::TrialFailed { trial, failure } }
            }
            _ => What::JobFinished { key },
        };
        if matches!(what, What::JobFailed { .. } | What::JobFinished { .. }) {
            at_work.remove(pick);
        }
    }
    (scheduler, journal)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_that_is_read_back_stands_where_it_stood(seed: u64, steps in 1..60_usize) {
        let policy = Policy { attempts: 2, ..Policy::ONCE };
        let (lived, journal) = some_steps(seed, steps, policy);
        let (sweep, places) = (example::sweep(), gpus(2));
        let limits = Limits { slots: 3, ..Limits::default() };
        let mut read = Scheduler::new(workload(&sweep, &places, false), places, limits, policy);
        journal.iter().for_each(|what| read.replay(at(0), what));
        for trial in sweep.trials() {
            let over = lived.state(trial.id) == Some(&TrialState::Cancelled);
            prop_assert!(over || lived.state(trial.id) == read.state(trial.id), "{}", trial.id);
            if !over {
                prop_assert_eq!(lived.explain(trial.id, at(0)), read.explain(trial.id, at(0)));
            }
        }
    }
}

#[test]
fn what_is_foreseen_comes_to_pass() {
    let (sweep, places) = (example::sweep(), gpus(1));
    let mut scheduler = Scheduler::new(workload(&sweep, &places, false), places, Limits::ALONE, Policy::ONCE);
    let mut at_work = launched(&scheduler.step(at(0), &begun()));
    let last = sweep.trials()[3].id;
    let Some(Explanation::Waits { reason: Reason::Store { started: true, .. }, start: Some(start) }) =
        scheduler.explain(last, at(0))
    else {
        panic!("{:?}", scheduler.explain(last, at(0)))
    };
    let mut packs = 0;
    // Preparation is over long before the first trial is.
    at_work.sort_by_key(|(_, trials)| trials.len());
    while let Some((key, _)) = (!at_work.is_empty()).then(|| at_work.remove(0)) {
        let next = launched(&scheduler.step(at(0), &What::JobFinished { key }));
        if next.iter().any(|(_, trials)| trials.contains(&last)) {
            assert_eq!(start.ahead, packs);
            return;
        }
        packs += next.iter().filter(|(_, trials)| !trials.is_empty()).count();
        at_work.extend(next);
        at_work.sort_by_key(|(_, trials)| trials.len());
    }
    panic!("it never started");
}

#[test]
fn the_time_left_follows_the_speed_that_is_measured() {
    let (sweep, places) = (example::sweep(), gpus(1));
    let mut scheduler = Scheduler::new(workload(&sweep, &places, true), places, Limits::ALONE, Policy::ONCE);
    let (key, trials) = launched(&scheduler.step(at(0), &begun()))[0].clone();
    let before = scheduler.remaining(at(0));
    let hear = |scheduler: &mut Scheduler, second, step| {
        let progress =
            Progress { trial: trials[0], step, steps: 1_000, loss: 1.0, rows_per_s: 1.0, validation: None };
        assert_eq!(scheduler.step(at(second), &What::TrialProgressed { key, progress }), []);
    };
    hear(&mut scheduler, 100, 0);
    hear(&mut scheduler, 1_100, 100);
    // A tenth in a thousand seconds: nine thousand are left of this trial, and the others are as slow.
    let left = scheduler.remaining(at(1_100));
    assert!(left.as_secs() >= 9_000 && left > 100 * before, "{left:?} {before:?}");
    scheduler.step(at(10_100), &What::JobFinished { key });
    let others = scheduler.remaining(at(10_100));
    assert!(others < left && others > 10 * before, "{others:?}");
}
