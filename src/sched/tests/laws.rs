//! Laws of whole runs.

use std::time::Duration;

use proptest::prelude::*;

use super::scenario::Scenario;
use super::world::World;
use super::{at, cpus, equal, gpus, places, workload};
use crate::plan::example;
use crate::sched::{Limits, Policy, Scheduler, simulate};
use crate::search::Stop;
use crate::sweep::SweepSpec;
use crate::values::{JobKey, Method, Resources, Width};

const FOLDS: usize = 10;

/// Adapters of many ranks, lengths and seeds, and a whole model after every twenty of them.
pub(super) fn mixed(trials: usize) -> SweepSpec {
    let point = |n: usize| {
        let method = if n % 20 == 19 { Method::Full } else { example::lora([4, 8, 16, 64][n % 4]) };
        (method, [1.0, 2.0, 3.0][n / 4 % 3], (n / 12 % 3) as u64)
    };
    example::grid((0..trials / FOLDS).map(point), FOLDS)
}

pub(super) fn sweeps() -> impl Strategy<Value = SweepSpec> {
    let method = |n: usize| [example::lora(4), example::lora(64), Method::Full, Method::Base][n].clone();
    let points = proptest::collection::vec((0..4_usize, 1..4_u32, 0..3_u64), 1..25);
    (points, 1..4_usize, any::<bool>()).prop_map(move |(points, folds, several)| {
        if several {
            return example::sweep();
        }
        let points = points.into_iter().map(|(n, epochs, seed)| (method(n), epochs.into(), seed));
        example::grid(points, folds.max(2))
    })
}

/// Equal places, or a machine whose trials are of three widths.
fn machines() -> impl Strategy<Value = (Resources, Vec<Width>)> {
    let equal = (1..=9_usize, any::<bool>()).prop_map(|(n, on_gpus)| {
        let resources = if on_gpus { gpus(n) } else { cpus(n) };
        let width = resources.equal_width();
        (resources, vec![width])
    });
    let at_once = proptest::option::of(1..6_usize);
    let mixed = (1..=16_usize, 0..3_usize, at_once, any::<[usize; 3]>());
    let mixed = mixed.prop_map(|(cores, n_gpus, at_once, widths)| {
        let mut widths = widths.map(|width| Width::Cores(1 + width % cores));
        if n_gpus > 0 {
            widths[0] = Width::Gpu;
        }
        // As on a machine whose first cores belong to others.
        let cores = (100..100 + cores).collect();
        (Resources { cores, at_once, ..gpus(n_gpus) }, widths.to_vec())
    });
    prop_oneof![equal, mixed]
}

pub(super) fn scenarios() -> impl Strategy<Value = Scenario> {
    let pause = prop_oneof![Just(0), 1..100_000_u64].prop_map(Duration::from_millis);
    let limit = proptest::option::weighted(0.3, 100..1_000_000_u64);
    let limit = limit.prop_map(|ms| ms.map(Duration::from_millis));
    let policy = (any::<bool>(), 1..4_u32, pause, limit).prop_map(|(fail_fast, attempts, pause, limit)| {
        Policy { fail_fast, attempts, pause, trial_timeout: limit, ..Policy::ONCE }
    });
    let stops = prop_oneof![
        3 => Just(Vec::new()),
        1 => proptest::collection::vec(0..200_000_u64, 1..3).prop_map(|mut at| { at.sort_unstable(); at }),
    ];
    let limits = prop_oneof![
        Just(Limits::default()),
        (1..9_usize, 500.0..5_000.0).prop_map(|(slots, mem_mib)| Limits { slots, mem_mib }),
    ];
    let machine = (machines(), any::<bool>(), limits);
    let rule = proptest::option::of(prop_oneof![Just(Stop::Halving), Just(Stop::Median)]);
    let orders = proptest::collection::vec(0..500_000_u64, 0..4);
    let failing = (prop_oneof![Just(0), 1..60_u32], any::<bool>(), prop_oneof![Just(0), Just(50_u32)]);
    let asked = (stops, rule, orders);
    (any::<u64>(), machine, failing, policy, asked).prop_map(|(seed, machine, failing, policy, asked)| {
        let ((resources, widths), prepared, limits) = machine;
        let (failing, devices_fail, deaf) = failing;
        let (stops, rule, orders) = asked;
        let calm = Scenario { widths, rule, orders, ..Scenario::calm(resources) };
        Scenario { seed, limits, policy, prepared, failing, devices_fail, deaf, noise: 0.5, stops, ..calm }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_run_keeps_the_invariants_ends_once_and_ignores_what_makes_no_sense(sweep in sweeps(), scenario in scenarios()) {
        World::new(&sweep, &scenario).run();
    }

    #[test]
    fn no_schedule_is_far_from_the_shortest(sweep in sweeps(), scenario in scenarios()) {
        let widths = vec![scenario.resources.equal_width()];
        // One that waits for a decision leaves places idle.
        let (stops, rule, orders) = (Vec::new(), None, Vec::new());
        let calm = Scenario { widths, policy: Policy::ONCE, stops, rule, orders, failing: 0, ..scenario };
        let mut world = World::new(&sweep, &calm);
        world.run();
        let bound = (world.training_ms / places(&calm.resources) as u64).max(world.beside_ms);
        // Graham 1969: list scheduling is at most twice as long as the shortest schedule.
        let slack = 10 * world.launches.len() as u64;
        prop_assert!(world.now_ms <= 2 * bound + world.longest_ms + slack, "{} {bound}", world.now_ms);
    }
}

#[test]
fn thousands_of_trials_keep_the_invariants() {
    let scenario = Scenario { seed: 7, failing: 5, noise: 0.5, ..Scenario::calm(cpus(16)) };
    World::new(&mixed(2_000), &scenario).run();
    let widths = [1, 2, 4].map(Width::Cores).to_vec();
    let resources = Resources { cores: (0..32).collect(), ..Resources::default() };
    let scenario = Scenario { widths, resources, ..scenario };
    World::new(&mixed(1_000), &scenario).run();
}

/// How long a sweep takes where its jobs take what they are thought to, in seconds.
fn makespan(sweep: &SweepSpec, places: usize, cores: usize) -> f64 {
    let resources = equal(places, cores);
    let work = workload(sweep, &resources, true);
    simulate(&Scheduler::new(work, resources, Limits::default(), Policy::ONCE), at(0)).makespan.as_secs_f64()
}

/// Many places end within a few percent of their share of what one place needs, where packs are as large as
/// they can be: little is done twice, and no place waits for long, though no pack was planned ahead.
#[test]
fn a_sweep_ends_close_to_its_lower_bound() {
    for (places, cores, trials, most) in [
        (3, 2, 100, 0.04),
        (8, 1, 100, 0.09),
        (8, 2, 1_000, 0.02),
        (16, 2, 1_000, 0.03),
        (64, 2, 1_000, 0.08),
    ] {
        let sweep = mixed(trials);
        let excess = makespan(&sweep, places, cores) / (makespan(&sweep, 1, cores) / places as f64) - 1.0;
        assert!(excess < most, "{trials} trials on {places} places: {excess}");
    }
}

/// So it is where jobs take a fifth less or a quarter more than thought, and one start in twenty fails.
#[test]
fn a_large_sweep_keeps_its_places_busy_to_the_end_whatever_its_jobs_take() {
    for (places, trials) in [(1, 100), (8, 1_000), (64, 3_000)] {
        let policy = Policy { attempts: 3, ..Policy::ONCE };
        let scenario = Scenario { seed: 5, noise: 0.8, failing: 5, policy, ..Scenario::calm(cpus(places)) };
        let mut world = World::new(&mixed(trials), &scenario);
        world.run();
        let share = world.training_ms as f64 / places as f64;
        let excess = world.now_ms as f64 / share.max(world.longest_ms as f64) - 1.0;
        assert!(excess < 0.05, "{trials} trials on {places} places: {excess}");
    }
}

#[test]
fn a_simulated_run_does_everything_once() {
    let sweep = example::sweep();
    for resources in [cpus(1), cpus(3), gpus(2)] {
        let work = workload(&sweep, &resources, false);
        let n = places(&resources);
        let run = simulate(&Scheduler::new(work, resources, Limits::default(), Policy::ONCE), at(0));
        let shares = sweep.trials().into_iter().map(|one| run.share_of(&|trial| trial == one.id));
        let shares: Vec<f64> = shares.collect();
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9 && shares.iter().all(|share| *share > 0.0));
        let mut trained: Vec<_> = run.jobs.iter().flat_map(|job| job.trials.clone()).collect();
        let mut all: Vec<_> = sweep.trials().iter().map(|trial| trial.id).collect();
        trained.sort_unstable();
        all.sort_unstable();
        assert_eq!(trained, all);
        let prepares = |job: &&crate::sched::SimulatedJob| matches!(job.key, JobKey::Prepare(_));
        // Two of the three models share a tokenizer.
        assert_eq!(run.jobs.iter().filter(prepares).count(), 2);
        let last = run.jobs.last().unwrap();
        assert_eq!((last.key, last.end), (JobKey::Report, run.makespan));
        let training = |job: &&crate::sched::SimulatedJob| !job.trials.is_empty();
        let seconds: f64 =
            run.jobs.iter().filter(training).map(|job| (job.end - job.start).as_secs_f64()).sum();
        assert!(run.makespan.as_secs_f64() >= seconds / n as f64);
    }
}
