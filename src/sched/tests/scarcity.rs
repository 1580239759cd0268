//! Laws and cases of runs in which memory, time or devices are short.

use std::time::Duration;

use proptest::prelude::*;

use super::scenario::Scenario;
use super::world::World;
use super::{at, cpus, finished, gpus, launched, started, started_fold};
use crate::plan::example;
use crate::sched::{Action, Launch, Limits, Policy, Scheduler, TrialState};
use crate::sweep::SweepSpec;
use crate::values::{Failure, JobKey, TrialId, What};

/// So many adapters of two folds each.
fn adapters(n: u32) -> SweepSpec {
    example::grid((0..n).map(|_| (example::lora(8), 1.0, 1)), 2)
}

fn ids(sweep: &SweepSpec) -> Vec<TrialId> {
    sweep.trials().iter().map(|trial| trial.id).collect()
}

fn lacked(key: JobKey) -> What {
    What::JobFailed { key, failure: Failure::OutOfMemory }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    /// The world asserts that nothing is tried again that was too much before.
    #[test]
    fn lack_of_memory_fails_nothing_that_fits_alone_row_by_row(
        configurations in 1..=8_u32,
        places_n in 1..=3_usize,
        on_gpus: bool,
        join: bool,
        slots in 1..6_usize,
        capacity in 0..200_usize,
        seed: u64,
    ) {
        let sweep = if join { lengths(configurations) } else { adapters(configurations) };
        let places = if on_gpus { gpus(places_n) } else { cpus(places_n) };
        let limits = Limits { slots, ..Limits::default() };
        let calm = Scenario::calm(places);
        let scenario = Scenario { seed, limits, capacity: Some(capacity), noise: 0.5, ..calm };
        let mut world = World::new(&sweep, &scenario);
        world.run();
        let floor = TrialState::Failed { failure: Failure::OutOfMemory };
        let wanted = if capacity > 0 { TrialState::Done } else { floor };
        for trial in ids(&sweep) {
            prop_assert_eq!(world.scheduler.state(trial), Some(&wanted));
        }
    }

    /// After two failures with others it is looked for by halves.
    #[test]
    fn a_trial_that_brings_its_process_down_fails_alone(
        configurations in 1..=20_u32,
        places_n in 1..=3_usize,
        on_gpus: bool,
        join: bool,
        attempts in 2..5_u32,
        which: usize,
        seed: u64,
    ) {
        let sweep = if join { lengths(configurations) } else { adapters(configurations) };
        let places = if on_gpus { gpus(places_n) } else { cpus(places_n) };
        let policy = Policy { attempts, pause: Duration::from_secs(seed % 2), ..Policy::ONCE };
        let scenario = Scenario { seed, policy, crashing: Some(which), noise: 0.5, ..Scenario::calm(places) };
        let mut world = World::new(&sweep, &scenario);
        world.run();
        let ids = ids(&sweep);
        let crashed = TrialState::Failed { failure: Failure::Killed { signal: 11 } };
        for (n, trial) in ids.iter().enumerate() {
            let wanted = if n == which % ids.len() { &crashed } else { &TrialState::Done };
            prop_assert_eq!(world.scheduler.state(*trial), Some(wanted));
        }
    }
}

/// So many adapters of two folds each, of one, two or three epochs, that do not see the same batches.
fn lengths(n: u32) -> SweepSpec {
    example::grid((0..n).map(|n| (example::lora(8), f64::from(1 + n % 3), n.into())), 2)
}

#[test]
fn memory_that_a_newcomer_lacks_makes_packs_smaller_and_never_batches() {
    // The world asserts that a trial that fits with all of its rows keeps them.
    let limits = Limits { slots: 2, ..Limits::default() };
    let policy = Policy { attempts: 9, ..Policy::ONCE };
    let calm = Scenario::calm(gpus(2));
    let scenario = Scenario { capacity: Some(2 * 32), limits, policy, failing: 30, ..calm };
    let mut world = World::new(&lengths(20), &scenario);
    world.run();
    assert!(world.lacked_at_join > 0);
    let lacked = TrialState::Failed { failure: Failure::OutOfMemory };
    assert!(world.fates.values().all(|fate| *fate != lacked));
}

#[test]
fn memory_that_ran_out_as_a_trial_joined_was_that_of_two() {
    let sweep = lengths(3);
    let (mut scheduler, actions) =
        started_fold(&sweep, gpus(1), Limits { slots: 2, ..Limits::default() }, Policy::ONCE);
    let (key, trials) = launched(&actions)[0].clone();
    scheduler.step(at(0), &What::JobStarted { key, pid: 1 });
    let failure = Failure::Diverged { step: 1 };
    let joins = scheduler.step(at(1), &What::TrialFailed { trial: trials[0], failure });
    let [Action::Join { trial, .. }] = &joins[..] else { panic!("{joins:?}") };
    scheduler.step(at(1), &What::TrialJoining { key, trial: trial.id });
    scheduler.step(at(2), &What::TrialReturned { key, trial: trial.id });
    let next = scheduler.step(at(2), &lacked(key));
    assert!(matches!(next[..], [Action::Launch(Launch { micro_rows: None, .. })]), "{next:?}");
}

#[test]
fn what_was_too_much_is_not_tried_with_others_of_its_shape() {
    let sweep = adapters(64);
    let (mut scheduler, actions) = started(&sweep, gpus(1), Limits::default(), Policy::ONCE);
    let [(job, trials)] = &launched(&actions)[..] else { panic!("{actions:?}") };
    assert!(trials.len() >= 64, "{}", trials.len());
    let mut before = trials.len();
    let mut job = *job;
    for _ in 0..3 {
        let [(next, trials)] = &launched(&scheduler.step(at(1), &lacked(job)))[..] else {
            panic!("one place")
        };
        assert!(trials.len() <= before.div_ceil(2));
        (job, before) = (*next, trials.len());
    }
}

#[test]
fn a_trial_that_had_a_gpu_to_itself_goes_on_with_fewer_rows_at_once() {
    let sweep = adapters(1);
    let (mut scheduler, actions) = started(&sweep, gpus(2), Limits::ALONE, Policy::ONCE);
    let (job, trials) = launched(&actions)[0].clone();
    let actions = scheduler.step(at(1), &lacked(job));
    assert!(
        matches!(actions[..], [Action::Launch(Launch { attempt: 2, micro_rows: Some(16), .. })]),
        "{actions:?}"
    );
    assert_eq!(launched(&actions), [(job, trials)]);
}

#[test]
fn a_trial_that_shared_the_hosts_memory_waits_until_nothing_else_runs() {
    let sweep = adapters(2);
    let (mut scheduler, actions) = started(&sweep, cpus(2), Limits::ALONE, Policy::ONCE);
    let (first, second) = (launched(&actions)[0].clone(), launched(&actions)[1].0);
    let third = launched(&scheduler.step(at(1), &lacked(first.0)))[0].0;
    let text = scheduler.explain(first.1[0], at(1)).unwrap().to_string();
    assert!(text.starts_with("it ran out of memory, and waits until nothing else runs; "), "{text}");
    let fourth = launched(&scheduler.step(at(2), &What::JobFinished { key: second }))[0].0;
    assert_eq!(scheduler.step(at(3), &What::JobFinished { key: third }), []);
    let last = scheduler.step(at(4), &What::JobFinished { key: fourth });
    assert!(matches!(last[..], [Action::Launch(Launch { attempt: 2, micro_rows: None, .. })]), "{last:?}");
    assert_eq!(launched(&last), [first]);
}

/// One trial on one place.
fn alone(policy: Policy) -> (Scheduler, JobKey, TrialId) {
    let sweep = example::grid([(example::lora(8), 1.0, 1)], 2);
    let (scheduler, actions) = started_fold(&sweep, cpus(1), Limits::default(), policy);
    let (job, trials) = launched(&actions)[0].clone();
    (scheduler, job, trials[0])
}

#[test]
fn pauses_double_up_to_five_minutes_and_failures_are_counted() {
    let policy = Policy { attempts: 20, pause: Duration::from_secs(10), ..Policy::ONCE };
    let (mut scheduler, key, trial) = alone(policy);
    let hung = What::JobFailed { key, failure: Failure::Hung };
    let mut now = 0;
    for pause in [10, 20, 40, 80, 160, 300, 300] {
        let wake = scheduler.step(at(now), &hung);
        now += pause;
        assert_eq!(wake, [Action::WakeAt { at: at(now) }]);
        assert_eq!(scheduler.step(at(now - 1), &What::Woke), wake, "too early");
        assert_eq!(launched(&scheduler.step(at(now), &What::Woke)), [(key, vec![trial])]);
    }
    scheduler.step(at(now), &hung);
    let text = scheduler.explain(trial, at(now)).unwrap().to_string();
    assert!(text.starts_with("it failed 8 times, and pauses before its next start; it is next"), "{text}");
    assert_eq!(scheduler.step(at(now), &What::StopRequested { force: false }), [Action::End]);
}

#[test]
fn a_pack_has_the_time_of_all_its_trials_and_is_asked_before_it_is_killed() {
    let policy = Policy { trial_timeout: Some(Duration::from_secs(60)), attempts: 3, ..Policy::ONCE };
    let sweep = example::grid((0..3).map(|_| (example::lora(8), 1.0, 1)), 2);
    let (mut scheduler, begun) = started_fold(&sweep, cpus(1), Limits::default(), policy);
    let (key, trials) = launched(&begun)[0].clone();
    assert_eq!((trials.len(), &begun[1..]), (3, &[Action::WakeAt { at: at(180) }][..]));
    let asked = scheduler.step(at(180), &What::Woke);
    assert_eq!(asked, [Action::CutShort { job: key, force: false }, Action::WakeAt { at: at(780) }]);
    assert_eq!(scheduler.step(at(780), &What::Woke), [Action::CutShort { job: key, force: true }]);
    let failure = Failure::TimedOut;
    let actions = scheduler.step(at(781), &What::JobFailed { key, failure: failure.clone() });
    assert_eq!(actions[0], Action::GiveUp { trials: trials.clone(), failure: failure.clone() });
    assert_eq!(scheduler.state(trials[2]), Some(&TrialState::Failed { failure }));
}

#[test]
fn trials_that_failed_together_start_together_and_with_no_others_and_then_by_halves() {
    let policy = Policy { attempts: 2, ..Policy::ONCE };
    let sweep = adapters(20);
    let (mut scheduler, actions) = started(&sweep, cpus(1), Limits { slots: 4, ..Limits::default() }, policy);
    let (job, trials) = launched(&actions)[0].clone();
    scheduler.step(at(1), &finished(trials[1]));
    let failure = Failure::Killed { signal: 9 };
    let killed = |key| What::JobFailed { key, failure: failure.clone() };
    let again = scheduler.step(at(2), &killed(job));
    assert_eq!(launched(&again), [(job, vec![trials[0], trials[2], trials[3]])]);
    let half = scheduler.step(at(3), &killed(job));
    assert_eq!(launched(&half), [(job, vec![trials[0], trials[2]])]);
    let other = scheduler.step(at(4), &What::JobFinished { key: job });
    assert_eq!(launched(&other), [(JobKey::Train(trials[3]), vec![trials[3]])]);
    // Alone it is to blame, and has one attempt left.
    let next = scheduler.step(at(5), &killed(JobKey::Train(trials[3])));
    assert_eq!(next[0], Action::GiveUp { trials: vec![trials[3]], failure: failure.clone() });
    assert!(launched(&next)[0].1.iter().all(|trial| !trials.contains(trial)));
}

#[test]
fn a_pack_that_cannot_be_started_is_not_divided() {
    let policy = Policy { attempts: 3, ..Policy::ONCE };
    let (mut scheduler, mut actions) = started_fold(&adapters(4), cpus(1), Limits::default(), policy);
    let (key, trials) = launched(&actions)[0].clone();
    let failure = Failure::NotStarted { message: "no such program".to_owned() };
    for second in 1..3 {
        actions = scheduler.step(at(second), &What::JobFailed { key, failure: failure.clone() });
        assert_eq!(launched(&actions), [(key, trials.clone())]);
    }
    actions = scheduler.step(at(3), &What::JobFailed { key, failure: failure.clone() });
    assert_eq!(actions[0], Action::GiveUp { trials, failure });
}
