//! Runs that are read back from their events, and what is told of their trials.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::laws::{scenarios, sweeps};
use super::scenario::Scenario;
use super::world::World;
use super::{at, begun, cpus, gpus, launched, started_fold, workload};
use crate::plan::example;
use crate::sched::{Action, Explanation, Launch, Limits, Policy, Reason, Scheduler};
use crate::values::{Failure, JobKey, Progress, TrialId, What};

/// Whatever a run can be like, with memory that does not last for all.
fn troubled() -> impl Strategy<Value = Scenario> {
    (scenarios(), proptest::option::of(0..200_usize)).prop_map(|(scenario, capacity)| {
        let failing = if capacity.is_some() { 0 } else { scenario.failing };
        Scenario { capacity, failing, ..scenario }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    /// So is its whole state, of which an explanation is made; that of some trial is compared too.
    #[test]
    fn a_run_that_is_read_back_is_explained_as_it_lives(sweep in sweeps(), scenario in troubled()) {
        let mut world = World::new(&sweep, &scenario);
        let trials = sweep.trials();
        for step in 0.. {
            let more = world.next();
            let now = world.now();
            world.read_back.replay(now, &What::Woke);
            let (lived, read) = (&world.scheduler, &world.read_back);
            for trial in &trials {
                prop_assert_eq!(lived.state(trial.id), read.state(trial.id), "{} at step {}", trial.id, step);
            }
            let some = trials[step % trials.len()].id;
            if step % 5 == 0 || !more {
                prop_assert_eq!(lived.explain(some, now), read.explain(some, now), "{} at step {}", some, step);
            }
            if !more {
                break;
            }
        }
    }
}

/// One ran out of memory beside another, which then died: the first starts again with nothing beside it, and
/// the other waits for that though its pause is over and a place is free.
#[test]
fn what_must_be_alone_is_so_where_a_run_is_read_back() {
    let (sweep, places) = (example::grid([(example::lora(8), 1.0, 1)], 2), cpus(2));
    let policy = Policy { attempts: 2, pause: Duration::from_secs(1), ..Policy::ONCE };
    let mut lived = Scheduler::new(workload(&sweep, &places, true), places, Limits::ALONE, policy);
    let mut read = lived.clone();
    let [first, second] = [0, 1].map(|n| sweep.trials()[n].id);
    let [lacked, killed] = [Failure::OutOfMemory, Failure::Killed { signal: 9 }];
    let failed = |trial, failure| What::JobFailed { key: JobKey::Train(trial), failure };
    let happened = [(0, begun()), (1, failed(first, lacked)), (2, failed(second, killed)), (3, What::Woke)];
    for (time, what) in happened {
        let actions = lived.step(at(time), &what);
        read.replay(at(time), &what);
        for action in actions {
            if let Action::Launch(Launch { job: key, attempt, placement, work, .. }) = action {
                let trials = work.trials().iter().map(|trial| trial.id).collect();
                read.replay(at(time), &What::JobLaunching { key, attempt, placement, trials });
            }
        }
    }
    assert!(matches!(lived.explain(first, at(3)), Some(Explanation::Starting { .. })));
    let Some(Explanation::Waits { start: Some(start), .. }) = lived.explain(second, at(3)) else {
        panic!("{:?}", lived.explain(second, at(3)))
    };
    assert!(start.in_s > 0.0, "{start:?}");
    assert_eq!(lived.explain(second, at(3)), read.explain(second, at(3)));
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

/// Tells how far a trial is, of a thousand steps.
fn hear(scheduler: &mut Scheduler, now: SystemTime, key: JobKey, (trial, step): (TrialId, u64)) {
    let progress = Progress { trial, step, steps: 1_000, loss: 1.0, rows_per_s: 1.0, validation: None };
    assert_eq!(scheduler.step(now, &What::TrialProgressed { key, progress }), []);
}

#[test]
fn the_time_left_follows_the_speed_that_is_measured() {
    let (sweep, places) = (example::sweep(), gpus(1));
    let mut scheduler = Scheduler::new(workload(&sweep, &places, true), places, Limits::ALONE, Policy::ONCE);
    let (key, trials) = launched(&scheduler.step(at(0), &begun()))[0].clone();
    let before = scheduler.remaining(at(0));
    hear(&mut scheduler, at(100), key, (trials[0], 0));
    // Words that were heard late, all at once, tell nothing of the speed.
    hear(&mut scheduler, at(100) + Duration::from_micros(1), key, (trials[0], 50));
    assert!(scheduler.remaining(at(100)) > before.mul_f64(0.8));
    hear(&mut scheduler, at(1_100), key, (trials[0], 100));
    // A tenth in a thousand seconds: nine thousand are left of this trial, and the others are as slow.
    let left = scheduler.remaining(at(1_100));
    assert!(left.as_secs() >= 9_000 && left > 100 * before, "{left:?} {before:?}");
    scheduler.step(at(10_100), &What::JobFinished { key });
    let others = scheduler.remaining(at(10_100));
    assert!(others < left && others > 10 * before, "{others:?}");
}

#[test]
fn a_trial_that_fails_early_makes_its_pack_no_faster() {
    let sweep = example::grid((0..2).map(|_| (example::lora(8), 1.0, 1)), 2);
    let (mut scheduler, actions) = started_fold(&sweep, cpus(1), Limits::default(), Policy::ONCE);
    let (key, trials) = launched(&actions)[0].clone();
    let [failing, other] = trials[..] else { panic!("{trials:?}") };
    for trial in [failing, other] {
        hear(&mut scheduler, at(100), key, (trial, 0));
    }
    scheduler.step(at(101), &What::TrialFailed { trial: failing, failure: Failure::Diverged { step: 1 } });
    hear(&mut scheduler, at(102), key, (other, 1));
    hear(&mut scheduler, at(1_102), key, (other, 101));
    let left = scheduler.remaining(at(1_102)).as_secs();
    assert!((8_900..9_100).contains(&left), "a tenth took a thousand seconds: {left} s");
}
