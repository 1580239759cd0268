//! Laws and cases of runs on GPUs that differ in speed and memory.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::scenario::Scenario;
use super::world::World;
use super::{at, gpus, launches, on};
use crate::cost;
use crate::plan::example;
use crate::sched::{Action, Limits, Policy, Scheduler, TrialState, simulate};
use crate::sweep::SweepSpec;
use crate::values::{Device, Failure, JobKey, KnownGpu, Resources, Speed, What, Width};

/// GPUs of these speeds in TFLOP/s, and with so much memory in MiB.
fn unlike(of: &[(u64, u64)]) -> Resources {
    let known = |(index, (tflops, mem_mib)): (usize, &(u64, u64))| KnownGpu {
        device: gpu(index),
        name: format!("of {tflops}"),
        mem_mib: *mem_mib,
        speed: Some(Speed { fp32_gflops: 1_000 * tflops, bf16_gflops: 1_000 * tflops }),
    };
    Resources { known: of.iter().enumerate().map(known).collect(), ..gpus(of.len()) }
}

fn gpu(index: usize) -> Device {
    Device::Cuda { index }
}

/// So many adapters of two folds each.
fn adapters(n: u32) -> SweepSpec {
    example::grid((0..n).map(|_| (example::lora(8), 1.0, 1)), 2)
}

fn begin(sweep: &SweepSpec, resources: &Resources, limits: Limits) -> (Scheduler, Vec<Action>) {
    let work = on(sweep, &sweep.trials(), &[Width::Gpu], true, resources);
    super::begin(work, resources.clone(), limits, Policy::ONCE)
}

/// What was started, where, and of how many trials.
fn seated(actions: &[Action]) -> Vec<(JobKey, Device, usize)> {
    launches(actions)
        .map(|launch| (launch.job, launch.placement.device, launch.work.trials().len()))
        .collect()
}

/// The memory of a pack of one trial of the adapters.
fn of_one(sweep: &SweepSpec) -> u64 {
    let work = on(sweep, &sweep.trials(), &[Width::Gpu], true, &Resources::default());
    work.mem_mib(0, 0).ceil() as u64
}

#[test]
fn a_pack_is_as_large_as_the_memory_of_its_gpu() {
    let sweep = adapters(100);
    let one = of_one(&sweep);
    let (_, actions) = begin(&sweep, &unlike(&[(10, one), (10, 2 * one)]), Limits::default());
    let [(_, small, 1), (_, large, several)] = seated(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!((small, large), (gpu(0), gpu(1)));
    assert!(several > 1);
    // What is asked for holds for all.
    let (_, actions) = begin(&sweep, &unlike(&[(10, one), (10, 2 * one)]), Limits::ALONE);
    assert!(seated(&actions).iter().all(|(_, _, slots)| *slots == 1));
}

#[test]
fn the_fastest_gpu_starts_first_and_gets_the_longest_pack() {
    let sweep = example::grid([1.0, 3.0].map(|epochs| (example::lora(8), epochs, 1)), 2);
    let (_, actions) = begin(&sweep, &unlike(&[(10, 80_000), (30, 80_000), (20, 80_000)]), Limits::ALONE);
    let order: Vec<Device> = seated(&actions).iter().map(|(_, device, _)| *device).collect();
    assert_eq!(order, [gpu(1), gpu(2), gpu(0)]);
    let epochs = launches(&actions).map(|launch| launch.work.trials()[0].configuration.training.epochs);
    assert_eq!(epochs.collect::<Vec<_>>()[0], 3.0);
}

#[test]
fn what_does_not_fit_waits_for_a_larger_gpu_and_is_tried_where_there_is_none() {
    // Whole models need more than adapters.
    let sweep = example::grid([(example::lora(8), 1.0, 1), (crate::values::Method::Full, 1.0, 1)], 2);
    let resources = unlike(&[(10, of_one(&adapters(1)) + 50), (10, 80_000)]);
    let (mut scheduler, actions) = begin(&sweep, &resources, Limits::ALONE);
    let [(first, small, 1), (second, large, 1)] = seated(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!((small, large), (gpu(0), gpu(1)));
    let method = |actions: &[Action], n: usize| {
        launches(actions).nth(n).unwrap().work.trials()[0].configuration.method.name()
    };
    assert_eq!([0, 1].map(|n| method(&actions, n)), ["lora", "full"]);
    let next = scheduler.step(at(1), &What::JobFinished { key: first });
    assert_eq!(method(&next, 0), "lora");
    let [(third, ..)] = seated(&next)[..] else { panic!("{next:?}") };
    assert!(seated(&scheduler.step(at(2), &What::JobFinished { key: third })).is_empty());
    let waits = sweep
        .trials()
        .iter()
        .map(|trial| trial.id)
        .find(|trial| matches!(scheduler.state(*trial), Some(TrialState::Waiting { .. })));
    let text = scheduler.explain(waits.unwrap(), at(2)).unwrap().to_string();
    assert!(
        text.starts_with("it needs more memory than is free on cuda:0, and waits for another; "),
        "{text}"
    );
    // The only one that is large enough is lost for good: the other is tried.
    let lost = |key| What::JobFailed { key, failure: Failure::DeviceFailed { message: String::new() } };
    assert!(seated(&scheduler.step(at(3), &lost(second))).is_empty(), "it rests, and works perhaps");
    let again = scheduler.step(at(200), &What::Woke);
    let [(key, device, 1)] = seated(&again)[..] else { panic!("{again:?}") };
    assert_eq!(device, gpu(1));
    let actions = scheduler.step(at(201), &lost(key));
    assert!(actions.contains(&Action::Retire { device: gpu(1) }));
    assert!(seated(&actions).iter().all(|(_, device, _)| *device == gpu(0)) && !seated(&actions).is_empty());
}

#[test]
fn memory_that_ran_out_on_a_small_gpu_limits_no_larger_one() {
    let sweep = adapters(8);
    let (mut scheduler, actions) = begin(&sweep, &unlike(&[(10, 24_000), (10, 80_000)]), Limits::ALONE);
    let [(first, small, 1), (second, _, 1)] = seated(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!(small, gpu(0));
    // One trial alone: it is not cut into smaller batches, since there is a larger memory.
    assert!(
        seated(&scheduler.step(at(1), &What::JobFailed { key: first, failure: Failure::OutOfMemory }))
            .is_empty()
    );
    let next = scheduler.step(at(2), &What::JobFinished { key: second });
    assert!(launches(&next).all(|launch| launch.micro_rows.is_none()));
    let [(_, device, 1)] = seated(&next)[..] else { panic!("{next:?}") };
    assert_eq!(device, gpu(1));
}

/// How long a sweep takes on these GPUs, in seconds.
fn makespan(sweep: &SweepSpec, of: &[(u64, u64)], limits: Limits) -> f64 {
    let resources = unlike(of);
    let work = on(sweep, &sweep.trials(), &[Width::Gpu], true, &resources);
    simulate(&Scheduler::new(work, resources, limits, Policy::ONCE), at(0)).makespan.as_secs_f64()
}

/// The same where the scheduler takes all for equal.
fn makespan_of_equals(sweep: &SweepSpec, of: &[(u64, u64)], limits: Limits) -> f64 {
    let resources = unlike(of);
    let real = on(sweep, &sweep.trials(), &[Width::Gpu], true, &resources);
    let work = on(sweep, &sweep.trials(), &[Width::Gpu], true, &Resources::default());
    let equal = Resources { known: Vec::new(), ..resources.clone() };
    let (mut scheduler, mut actions) = super::begin(work, equal, limits, Policy::ONCE);
    let (mut now, mut ends) = (Duration::ZERO, BTreeMap::new());
    loop {
        for launch in launches(&actions) {
            let trials: Vec<_> = launch.work.trials().iter().filter_map(|one| real.number(one.id)).collect();
            let name = resources.known(launch.placement.device).map(|gpu| gpu.name.as_str());
            let took = name.map_or(cost::REPORT.duration, |name| {
                real.pack_estimate(&trials, real.gpu_kind(name).0).duration
            });
            ends.insert((now + took, launch.job), launch.job);
        }
        let Some(((end, _), key)) = ends.pop_first() else { return now.as_secs_f64() };
        now = end;
        actions = scheduler.step(SystemTime::UNIX_EPOCH + now, &What::JobFinished { key });
    }
}

#[test]
fn a_faster_gpu_gets_as_much_longer_packs() {
    let sweep = adapters(60);
    let resources = unlike(&[(1, 24_576), (3, 81_920)]);
    let work = on(&sweep, &sweep.trials(), &[Width::Gpu], true, &resources);
    let run = simulate(&Scheduler::new(work, resources, Limits::default(), Policy::ONCE), at(0));
    let packs: Vec<_> = run.jobs.iter().filter(|job| !job.trials.is_empty()).collect();
    let end =
        |device| packs.iter().filter(|job| job.placement.device == device).map(|job| job.end).max().unwrap();
    let [slow, fast] = [0, 1].map(|index| end(gpu(index)).as_secs_f64());
    assert!((slow / fast - 1.0).abs() < 0.1, "{slow} {fast}");
    let trials = |device| -> usize {
        packs.iter().filter(|job| job.placement.device == device).map(|job| job.trials.len()).sum()
    };
    assert!(trials(gpu(1)) > 2 * trials(gpu(0)), "{} {}", trials(gpu(1)), trials(gpu(0)));
}

fn machines() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let one = (prop_oneof![Just(10), 1..100_u64], prop_oneof![Just(80_000), 500..6_000_u64]);
    proptest::collection::vec(one, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    /// The world asserts that packs fit, that no GPU idles that holds a waiting trial, and that all trials end.
    #[test]
    fn every_run_on_unlike_gpus_keeps_the_invariants(
        sweep in super::laws::sweeps(), scenario in super::laws::scenarios(), machines in machines(),
    ) {
        let resources = unlike(&machines);
        World::new(&sweep, &Scenario { widths: vec![Width::Gpu], resources, ..scenario }).run();
    }

    #[test]
    fn lack_of_memory_fails_nothing_that_fits_into_the_largest(
        configurations in 1..=8_u32,
        rows in proptest::collection::vec(proptest::sample::select(vec![0, 10, 20, 40, 80, 160_usize]), 1..5),
        slots in 1..6_usize,
        sick in proptest::option::of(0..5_usize),
        seed: u64,
    ) {
        let sweep = adapters(configurations);
        let machines: Vec<(u64, u64)> = rows.iter().map(|rows| (10, 5_000 + 100 * *rows as u64)).collect();
        let limits = Limits { slots, ..Limits::default() };
        let capacities: BTreeMap<usize, usize> = rows.iter().copied().enumerate().collect();
        let is_sick = sick.is_some();
        let sick = sick.into_iter().map(|index| (index, 30)).collect();
        let calm = Scenario::calm(unlike(&machines));
        let scenario = Scenario { seed, limits, capacities, sick, noise: 0.5, ..calm };
        let mut world = World::new(&sweep, &scenario);
        world.run();
        let largest = rows.iter().max().copied().unwrap_or(0);
        let floor = TrialState::Failed { failure: Failure::OutOfMemory };
        for trial in sweep.trials() {
            let state = world.scheduler.state(trial.id).unwrap();
            let is_done = *state == TrialState::Done;
            prop_assert!(is_done || is_sick || (largest == 0 && *state == floor), "{state:?}");
        }
    }

    /// As with places of one kind, where all together are as fast as one that does all of it alone.
    #[test]
    fn no_schedule_on_unlike_gpus_is_far_from_the_shortest(
        sweep in super::laws::sweeps(),
        speeds in proptest::collection::vec(1..30_u64, 2..7),
        slots in 1..9_usize,
    ) {
        let limits = Limits { slots, ..Limits::default() };
        let machines: Vec<(u64, u64)> = speeds.iter().map(|speed| (*speed, 80_000)).collect();
        let (fastest, slowest) = (*speeds.iter().max().unwrap(), *speeds.iter().min().unwrap());
        let share = makespan(&sweep, &[(fastest, 80_000)], limits) * fastest as f64
            / speeds.iter().sum::<u64>() as f64;
        // Graham 1969, with the longest trial on the slowest GPU.
        let longest = longest(&sweep, slowest);
        let (all, equals) = (makespan(&sweep, &machines, limits), makespan_of_equals(&sweep, &machines, limits));
        prop_assert!(all <= 2.0 * share + longest, "{} {} {}", all, share, longest);
        // The speeds differ by chance, and packs of a second or two cannot be shared out much better: a few starts of
        // processes more. Of some thousand random sweeps the worst had 12.69 s for 8.28 s, which is 3.59 s beyond a tenth.
        prop_assert!(all <= 1.1 * equals + 5.0, "{} {}", all, equals);
    }
}

/// Seconds of the longest trial alone on a GPU of this speed.
fn longest(sweep: &SweepSpec, tflops: u64) -> f64 {
    let resources = unlike(&[(tflops, 80_000)]);
    let work = on(sweep, &sweep.trials(), &[Width::Gpu], true, &resources);
    let seconds = |trial: usize| work.pack_estimate(&[trial], 0).duration.as_secs_f64();
    (0..sweep.trials().len()).map(seconds).fold(0.0, f64::max)
}

#[test]
fn unlike_gpus_end_earlier_than_if_they_were_taken_for_equal() {
    let (mut all, mut of_equals) = (0.0, 0.0);
    let limits = Limits::default();
    for trials in [60, 200, 1_000] {
        let sweep = super::laws::mixed(trials);
        for speeds in [&[1, 3][..], &[10, 30], &[2, 2, 7], &[1, 10], &[3, 3, 3, 3, 30, 30], &[5, 6, 7, 8]] {
            let machines: Vec<(u64, u64)> = speeds.iter().map(|speed| (*speed, 80_000)).collect();
            let now = makespan(&sweep, &machines, limits);
            let equals = makespan_of_equals(&sweep, &machines, limits);
            assert!(now < 0.95 * equals, "{trials} trials on {speeds:?}: {now} {equals}");
            (all, of_equals) = (all + now / equals, of_equals + 1.0);
        }
    }
    assert!(all < 0.6 * of_equals, "{all} {of_equals}");
}
