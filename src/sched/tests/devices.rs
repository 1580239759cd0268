//! Laws and cases of runs whose GPUs fail.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::scenario::Scenario;
use super::world::World;
use super::{at, gpus, launched, launches, started, started_fold};
use crate::plan::example;
use crate::sched::{Action, Limits, Policy, Scheduler, TrialState};
use crate::sweep::SweepSpec;
use crate::values::{Device, Failure, JobKey, TrialId, What};

/// Adapters of two folds each, of one, two or three epochs, that see the same batches or each its own.
fn adapters(n: u32, batches: impl Fn(u32) -> u64) -> SweepSpec {
    example::grid((0..n).map(|n| (example::lora(8), f64::from(1 + n % 3), batches(n))), 2)
}

fn ids(sweep: &SweepSpec) -> Vec<TrialId> {
    sweep.trials().iter().map(|trial| trial.id).collect()
}

fn gpu(index: usize) -> Device {
    Device::Cuda { index }
}

fn device_failed() -> Failure {
    Failure::DeviceFailed { message: "CUDA error".to_owned() }
}

fn lost(key: JobKey) -> What {
    What::JobFailed { key, failure: device_failed() }
}

/// What was started, and where.
fn seated(actions: &[Action]) -> Vec<(JobKey, Device)> {
    launches(actions).map(|launch| (launch.job, launch.placement.device)).collect()
}

fn is_retired(actions: &[Action], device: Device) -> bool {
    actions.contains(&Action::Retire { device })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever else there is: trials start once, so that a single failure of their own would be their last.
    #[test]
    fn no_trial_fails_or_is_lost_for_a_device_while_a_sound_one_is_left(
        configurations in 1..=12_u32,
        apart: bool,
        slots in 1..9_usize,
        sick in proptest::collection::btree_map(1..6_usize, prop_oneof![Just(100), 20..100_u32], 1..5),
        seed: u64,
    ) {
        let sweep = adapters(configurations, |n| if apart { n.into() } else { 1 });
        let calm = Scenario::calm(gpus(6));
        let limits = Limits { slots, ..Limits::default() };
        let mut world = World::new(&sweep, &Scenario { seed, limits, sick: sick.clone(), noise: 0.5, ..calm });
        world.run();
        for trial in ids(&sweep) {
            prop_assert_eq!(world.scheduler.state(trial), Some(&TrialState::Done));
        }
        let is_sick = |device: &Device| matches!(device, Device::Cuda { index } if sick.contains_key(index));
        prop_assert!(world.retired.iter().all(is_sick), "{:?}", world.retired);
    }

    /// The run ends, and the same command goes on.
    #[test]
    fn gpus_that_are_all_broken_fail_no_trial(
        configurations in 1..=12_u32,
        n_gpus in 1..5_usize,
        slots in 1..9_usize,
        seed: u64,
    ) {
        let sweep = adapters(configurations, |_| 1);
        let sick: BTreeMap<usize, u32> = (0..n_gpus).map(|index| (index, 100)).collect();
        let limits = Limits { slots, ..Limits::default() };
        let calm = Scenario::calm(gpus(n_gpus));
        let mut world = World::new(&sweep, &Scenario { seed, limits, sick, ..calm });
        world.run();
        for trial in ids(&sweep) {
            prop_assert_eq!(world.scheduler.state(trial), Some(&TrialState::Cancelled));
        }
        prop_assert_eq!(world.retired.len(), n_gpus);
    }

    /// It is looked for by halves where its pack has lost every device. Only where no other trial had finished on
    /// any, which would have shown it to be sound, is it left.
    #[test]
    fn a_trial_that_takes_its_device_with_it_keeps_no_other_from_being_done(
        configurations in 1..=12_u32,
        n_gpus in 1..5_usize,
        slots in 1..9_usize,
        attempts in 1..4_u32,
        which: usize,
        seed: u64,
    ) {
        let sweep = adapters(configurations, |_| 1);
        let policy = Policy { attempts: attempts + 1, ..Policy::ONCE };
        let limits = Limits { slots, ..Limits::default() };
        let calm = Scenario { limits, policy, noise: 0.5, ..Scenario::calm(gpus(n_gpus)) };
        let scenario = Scenario { seed, crashing: Some(which), crashing_takes_device: true, ..calm };
        let mut world = World::new(&sweep, &scenario);
        world.run();
        let ids = ids(&sweep);
        let to_blame = ids[which % ids.len()];
        for trial in ids.iter().filter(|trial| **trial != to_blame) {
            prop_assert_eq!(world.scheduler.state(*trial), Some(&TrialState::Done));
        }
        let worked = |device: &Device| world.gpus.get(device).is_some_and(|gpu| gpu.finished > 0);
        prop_assert!(!world.retired.iter().any(worked), "{:?} had worked for others", world.retired);
        let state = world.scheduler.state(to_blame).unwrap();
        if let TrialState::Failed { failure: Failure::DeviceFailed { message } } = state {
            prop_assert!(message.starts_with("CUDA error"), "{}", message);
        } else {
            // On no device did anybody else finish.
            prop_assert_eq!(state, &TrialState::Cancelled);
            prop_assert_eq!(world.retired.len(), n_gpus);
        }
    }
}

/// A run of two trials on one GPU, of which the first is done, and the second fails in this way until it is given up
/// or its GPU is.
fn left_alone(failure: &Failure) -> Vec<Action> {
    let (mut scheduler, actions) = started(&adapters(1, |_| 1), gpus(1), Limits::ALONE, Policy::ONCE);
    let done = What::JobFinished { key: seated(&actions)[0].0 };
    let mut job = seated(&scheduler.step(at(10), &done))[0].0;
    let mut now = 10;
    loop {
        let actions = scheduler.step(at(now), &What::JobFailed { key: job, failure: failure.clone() });
        let [Action::WakeAt { at: until }] = actions[..] else { return actions };
        now += until.duration_since(at(now)).unwrap().as_secs();
        assert!(now < 3600, "it never ends");
        job = seated(&scheduler.step(at(now), &What::Woke))[0].0;
    }
}

#[test]
fn a_trial_that_is_left_alone_and_always_loses_what_worked_for_others_is_to_blame() {
    for failure in [device_failed(), Failure::Hung] {
        let actions = left_alone(&failure);
        let Action::GiveUp { trials, failure } = &actions[0] else { panic!("{actions:?}") };
        assert_eq!(trials.len(), 1);
        let told = failure.to_string();
        assert!(told.ends_with(", 3 times on devices that had worked for others (cuda:0)"), "{told}");
        assert!(!is_retired(&actions, gpu(0)));
    }
    let taken = Failure::DeviceTaken { message: "most of it is taken by others".to_owned() };
    assert!(is_retired(&left_alone(&taken), gpu(0)), "others are to blame");
}

#[test]
fn a_device_rests_after_a_loss_and_is_out_of_service_after_two_in_a_row_of_other_trials() {
    let sweep = adapters(3, |_| 1);
    let (mut scheduler, actions) = started(&sweep, gpus(1), Limits::ALONE, Policy::ONCE);
    let first = seated(&actions)[0].0;
    let actions = scheduler.step(at(10), &lost(first));
    assert_eq!(actions, [Action::WakeAt { at: at(130) }]);
    let waits = |scheduler: &Scheduler, now| {
        let JobKey::Train(trial) = first else { panic!("{first}") };
        scheduler.explain(trial, at(now)).unwrap().to_string()
    };
    let rests = "every device failed under a job and rests; the first is tried again in 30 s; ";
    assert!(waits(&scheduler, 100).starts_with(rests), "{}", waits(&scheduler, 100));
    assert!(launched(&scheduler.step(at(129), &What::Woke)).is_empty());
    // Another trial shows whether it works.
    let second = seated(&scheduler.step(at(130), &What::Woke))[0].0;
    assert_ne!(second, first);
    assert!(waits(&scheduler, 130).starts_with("it failed once, and waits for a free device"));
    let actions = scheduler.step(at(140), &lost(second));
    assert!(is_retired(&actions, gpu(0)) && actions.last() == Some(&Action::End), "{actions:?}");
    let left = |trial: &TrialId| scheduler.state(*trial) == Some(&TrialState::Cancelled);
    assert!(ids(&sweep).iter().all(left), "the next run goes on");
}

#[test]
fn a_device_that_works_again_rests_longer_each_time() {
    let sweep = adapters(8, |_| 1);
    let (mut scheduler, actions) = started(&sweep, gpus(1), Limits::ALONE, Policy::ONCE);
    let (mut now, mut job) = (0, seated(&actions)[0].0);
    for minutes in [2, 4, 8, 8] {
        let actions = scheduler.step(at(now), &lost(job));
        now += 60 * minutes;
        assert_eq!(actions, [Action::WakeAt { at: at(now) }]);
        job = seated(&scheduler.step(at(now), &What::Woke))[0].0;
        job = seated(&scheduler.step(at(now), &What::JobFinished { key: job }))[0].0;
    }
}

#[test]
fn a_pack_that_lost_its_device_starts_on_another_and_waits_for_one_that_is_busy() {
    let sweep = example::grid((0..2).map(|_| (example::lora(8), 1.0, 1)), 2);
    let (mut scheduler, actions) = started_fold(&sweep, gpus(3), Limits::ALONE, Policy::ONCE);
    let [(first, _), (second, _)] = seated(&actions)[..] else { panic!("{actions:?}") };
    // It did not answer any more: on a GPU that is a loss, too.
    let hung = What::JobFailed { key: first, failure: Failure::Hung };
    assert_eq!(seated(&scheduler.step(at(1), &hung)), [(first, gpu(2))]);
    assert!(launched(&scheduler.step(at(2), &lost(first))).is_empty(), "`cuda:1` is busy");
    let JobKey::Train(trial) = first else { panic!("{first}") };
    assert!(launched(&scheduler.step(at(500), &What::Woke)).is_empty(), "others are rested");
    let text = scheduler.explain(trial, at(500)).unwrap().to_string();
    let waits =
        "it failed with its device (cuda:0, cuda:2), and waits for another; it is next, and it is expected";
    assert!(text.starts_with(waits), "{text}");
    assert_eq!(seated(&scheduler.step(at(501), &What::JobFinished { key: second })), [(first, gpu(1))]);
}

#[test]
fn a_trial_that_loses_a_device_that_works_for_others_is_to_blame() {
    let policy = Policy { attempts: 2, ..Policy::ONCE };
    let (mut scheduler, actions) = started(&adapters(1, |_| 1), gpus(1), Limits::ALONE, policy);
    let first = seated(&actions)[0].0;
    scheduler.step(at(0), &lost(first));
    let second = seated(&scheduler.step(at(120), &What::Woke))[0].0;
    let again = scheduler.step(at(130), &What::JobFinished { key: second });
    assert_eq!(seated(&again), [(first, gpu(0))]);
    // Neither rest nor loss: the device works.
    assert_eq!(seated(&scheduler.step(at(140), &lost(first))), [(first, gpu(0))]);
    let actions = scheduler.step(at(150), &lost(first));
    let JobKey::Train(trial) = first else { panic!("{first}") };
    assert_eq!(actions[0], Action::GiveUp { trials: vec![trial], failure: device_failed() });
}

#[test]
fn memory_that_runs_out_after_a_loss_keeps_the_trial_from_the_device_that_it_lost() {
    let sweep = example::grid([(example::lora(8), 1.0, 1)], 2);
    let (mut scheduler, actions) = started_fold(&sweep, gpus(2), Limits::default(), Policy::ONCE);
    let [(key, first)] = seated(&actions)[..] else { panic!("{actions:?}") };
    let [(_, other)] = seated(&scheduler.step(at(0), &lost(key)))[..] else { panic!("it waits") };
    assert_ne!(first, other);
    // The first is rested, and free.
    let smaller = scheduler.step(at(300), &What::JobFailed { key, failure: Failure::OutOfMemory });
    assert_eq!(seated(&smaller), [(key, other)]);
    assert!(launches(&smaller).all(|launch| launch.micro_rows == Some(16)));
}

#[test]
fn a_run_that_waits_for_a_device_to_rest_is_simulated_to_its_end() {
    let sweep = adapters(2, |_| 1);
    let (mut scheduler, actions) = started(&sweep, gpus(1), Limits::default(), Policy::ONCE);
    let before = scheduler.remaining(at(0));
    scheduler.step(at(0), &lost(seated(&actions)[0].0));
    assert!(scheduler.remaining(at(0)) >= before + Duration::from_mins(2));
}
