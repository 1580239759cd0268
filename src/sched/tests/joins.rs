//! Laws and cases of trials that take the slots of others.

use std::time::Duration;

use proptest::prelude::*;

use super::scenario::Scenario;
use super::world::World;
use super::{at, cpus, finished, gpus, launched, started_fold};
use crate::plan::example;
use crate::sched::{Action, Limits, Policy, Scheduler, TrialState};
use crate::sweep::SweepSpec;
use crate::values::{Failure, JobKey, Method, Resources, TrialId, What};

const EPOCHS: [f64; 3] = [1.0, 2.0, 3.0];

/// A configuration for each method in turn, with a seed and one, two or three epochs of its own.
fn sweep(configurations: usize, methods: &[Method]) -> SweepSpec {
    let point = |n: usize| (methods[n % methods.len()].clone(), EPOCHS[n % EPOCHS.len()], n as u64);
    example::grid((0..configurations).map(point), 2)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    /// The world asserts that no pack grows, and that every trial has one fate.
    #[test]
    fn every_trial_is_trained_once_whatever_it_joins(
        configurations in 1..30_usize,
        places in 1..=3_usize,
        slots in 1..8_usize,
        mixed: bool,
        failing in 0..40_u32,
        seed: u64,
    ) {
        let methods =
            if mixed { vec![example::lora(4), Method::Full, example::lora(16)] } else { vec![example::lora(8)] };
        let policy = Policy { attempts: 3, ..Policy::ONCE };
        let limits = Limits { slots, ..Limits::default() };
        let scenario = Scenario { seed, failing, policy, limits, noise: 0.5, ..Scenario::calm(gpus(places)) };
        World::new(&sweep(configurations, &methods), &scenario).run();
    }
}

#[test]
fn many_trials_join_a_few_packs() {
    let limits = Limits { slots: 8, ..Limits::default() };
    let policy = Policy { attempts: 9, ..Policy::ONCE };
    let scenario = Scenario { limits, policy, failing: 30, ..Scenario::calm(gpus(2)) };
    let mut world = World::new(&sweep(100, &[example::lora(8)]), &scenario);
    world.run();
    assert_eq!(world.fates.len(), 200);
    assert!(world.joins > 15, "{}", world.joins);
}

/// A sweep on one place, whose first pack of so many slots is at work: its job and its trials.
fn at_work(
    sweep: &SweepSpec,
    resources: Resources,
    slots: usize,
    policy: Policy,
) -> (Scheduler, JobKey, Vec<TrialId>) {
    let (mut scheduler, actions) =
        started_fold(sweep, resources, Limits { slots, ..Limits::default() }, policy);
    let (key, trials) = launched(&actions)[0].clone();
    scheduler.step(at(0), &What::JobStarted { key, pid: 1 });
    (scheduler, key, trials)
}

#[test]
fn a_trial_that_comes_back_waits_again() {
    let (mut scheduler, key, trials) = at_work(&sweep(6, &[example::lora(8)]), gpus(1), 3, Policy::ONCE);
    let failure = Failure::Diverged { step: 1 };
    let joins = scheduler.step(at(1), &What::TrialFailed { trial: trials[0], failure });
    let [Action::Join { job, trial, until: None }] = &joins[..] else { panic!("nobody joins: {joins:?}") };
    let trial = trial.id;
    assert_eq!((*job, scheduler.state(trial)), (key, Some(&TrialState::Placed { job: key })));
    let waits = TrialState::Waiting { turn: crate::sched::Turn::InLane };
    for _ in 0..2 {
        assert_eq!(scheduler.step(at(2), &What::TrialReturned { key, trial }), []);
        assert_eq!(scheduler.state(trial), Some(&waits));
    }
    let next = launched(&scheduler.step(at(3), &What::JobFinished { key }));
    assert!(next[0].1.contains(&trial), "{next:?}");
    assert_eq!(scheduler.state(trials[1]), Some(&TrialState::Done));
}

/// What follows when a trial of the first pack ends: the first in it, or the last.
fn after(sweep: &SweepSpec, resources: Resources, (last, failed): (bool, bool)) -> Vec<Action> {
    let (mut scheduler, _, trials) = at_work(sweep, resources, 4, Policy::ONCE);
    let trial = if last { trials[trials.len() - 1] } else { trials[0] };
    let failure = Failure::Diverged { step: 3 };
    let what = if failed { What::TrialFailed { trial, failure } } else { finished(trial) };
    scheduler.step(at(1), &what)
}

#[test]
fn what_joins_and_what_waits() {
    let [small, large] = [8, 16].map(example::lora);
    // Slots of a pack stand longest first.
    let mixed = |method: &Method| {
        let point = |n: usize| (method.clone(), EPOCHS[n % EPOCHS.len()], n as u64);
        example::grid((0..8).map(point), 2)
    };
    let alike = |method: &Method, seed: fn(u64) -> u64| {
        example::grid((0..8).map(|n| (method.clone(), 1.0, seed(n))), 2)
    };
    let long = |n| if n < 3 { 2.0 } else { 1.0 };
    let two_epochs = |method: &Method| example::grid((0..8).map(|n| (method.clone(), long(n), n)), 2);
    let then = |[first, others]: [&Method; 2]| {
        let point = |n| if n < 4 { (first.clone(), 3.0, n) } else { (others.clone(), 1.0, n) };
        example::grid((0..8).map(point), 2)
    };
    let own: fn(u64) -> u64 = |n| n;
    let same: fn(u64) -> u64 = |_| 7;
    let (first, last) = ((false, false), (true, false));
    let cases = [
        ("longer ones go on", two_epochs(&small), gpus(1), last, true),
        ("none goes on for longer", mixed(&small), gpus(1), first, false),
        ("it failed early", mixed(&small), gpus(1), (false, true), true),
        ("all are done at once", alike(&small, own), gpus(1), first, false),
        ("one failed before all are done", alike(&small, own), gpus(1), (false, true), true),
        ("a common trunk would be lost", alike(&small, same), gpus(1), (false, true), false),
        ("whole models have none", alike(&Method::Full, same), gpus(1), (false, true), true),
        (
            "slots of a CPU go through the model one after the other",
            alike(&small, same),
            cpus(1),
            (false, true),
            false,
        ),
        ("a larger rank", then([&small, &large]), gpus(1), (false, true), false),
        ("a smaller rank", then([&large, &small]), gpus(1), (false, true), true),
        ("another method", then([&small, &Method::Full]), gpus(1), (false, true), false),
    ];
    for (why, sweep, resources, which, joins) in cases {
        let actions = after(&sweep, resources, which);
        assert_eq!(matches!(actions[..], [Action::Join { .. }]), joins, "{why}: {actions:?}");
    }
}

#[test]
fn packs_that_failed_before_and_runs_that_end_take_no_newcomers() {
    let sweep = sweep(8, &[example::lora(8)]);
    let policy = Policy { attempts: 3, ..Policy::ONCE };
    let diverged = |trial| What::TrialFailed { trial, failure: Failure::Diverged { step: 1 } };
    let (mut scheduler, key, trials) = at_work(&sweep, gpus(1), 4, policy);
    scheduler.step(at(1), &What::JobFailed { key, failure: Failure::Killed { signal: 9 } });
    scheduler.step(at(1), &What::JobStarted { key, pid: 2 });
    assert_eq!(scheduler.step(at(2), &diverged(trials[0])), []);
    let (mut ending, key, trials) = at_work(&sweep, gpus(1), 4, policy);
    let stop = ending.step(at(1), &What::StopRequested { force: false });
    assert_eq!(stop[0], Action::Stop { job: key, force: false });
    assert_eq!(ending.step(at(1), &diverged(trials[0])), []);
}

#[test]
fn no_trial_joins_where_so_many_were_too_much_before() {
    let (limits, sweep) = (Limits { slots: 3, ..Limits::default() }, sweep(12, &[example::lora(8)]));
    for (lacked, joins) in [(false, true), (true, false)] {
        let (mut scheduler, actions) = started_fold(&sweep, gpus(2), limits, Policy::ONCE);
        let [(key, trials), (other, _)] = &launched(&actions)[..] else { panic!("{actions:?}") };
        scheduler.step(at(0), &What::JobStarted { key: *key, pid: 1 });
        if lacked {
            scheduler.step(at(1), &What::JobFailed { key: *other, failure: Failure::OutOfMemory });
        }
        let failure = Failure::Diverged { step: 1 };
        let actions = scheduler.step(at(2), &What::TrialFailed { trial: trials[0], failure });
        assert_eq!(matches!(actions[..], [Action::Join { .. }]), joins, "{actions:?}");
    }
}

#[test]
fn a_pack_has_more_time_with_every_trial_that_joins() {
    let policy = Policy { trial_timeout: Some(Duration::from_secs(60)), ..Policy::ONCE };
    let (mut scheduler, _, trials) = at_work(&sweep(6, &[example::lora(8)]), gpus(1), 3, policy);
    let what = What::TrialFailed { trial: trials[0], failure: Failure::Diverged { step: 1 } };
    let actions = scheduler.step(at(1), &what);
    assert!(
        matches!(&actions[..], [Action::Join { .. }, Action::WakeAt { at: then }] if *then == at(240)),
        "{actions:?}"
    );
}
