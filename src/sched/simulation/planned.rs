//! Whole sweeps, planned for the places there are and run on them: how long that takes, against how
//! long it must.

use std::path::Path;

use super::{Scenario, Worked, World, places};
use crate::plan::graph::{self, Present};
use crate::plan::pack::{Limits, Room};
use crate::plan::{JobGraph, example};
use crate::sched::Policy;
use crate::sweep::SweepSpec;
use crate::values::Method;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const FOLDS: usize = 10;

/// Adapters of many ranks, lengths and seeds, and a whole model after every twenty of them.
fn sweep(trials: usize) -> SweepSpec {
    let point = |n: usize| {
        let method = if n % 20 == 19 { Method::Full } else { example::lora([4, 8, 16, 64][n % 4]) };
        (method, [1.0, 2.0, 3.0][n / 4 % 3], (n / 12 % 3) as u64)
    };
    example::grid((0..trials / FOLDS).map(point), FOLDS)
}

/// Everything is there but the trials.
fn planned(sweep: &SweepSpec, n_places: usize) -> JobGraph {
    let room = Room { places: &places(n_places), limits: Limits::default() };
    graph::build(sweep, &sweep.trials(), Path::new("r"), Present::EVERYTHING, room)
}

/// Runs a sweep to its end. Jobs take what they are thought to, or this share of it up to as much more.
fn run(sweep: &SweepSpec, n_places: usize, noise: f64, failing: u32) -> World {
    let policy = Policy { attempts: 3, ..Policy::ONCE };
    let scenario =
        Scenario { seed: 5, places: n_places, prepares: 0, trains: 0, failing, policy, stops: Vec::new() };
    let rng = ChaCha8Rng::seed_from_u64(scenario.seed);
    let mut world = World::over(planned(sweep, n_places), &scenario, noise, rng);
    world.run();
    world
}

/// How much longer a run took than any schedule must, and the longest pack's share of a place's work.
fn excess(world: &World, n_places: usize) -> (f64, f64) {
    let Worked { training, longest, beside } = world.worked();
    let share = training as f64 / n_places as f64;
    let bound = share.max(longest as f64).max(beside as f64);
    (world.now_ms as f64 / bound - 1.0, longest as f64 / share)
}

/// A plan whose jobs take what they are thought to ends within 5 % of the bound with thirty trials on
/// each place, or where one trial is longer than all the others of a place; with fifteen, nearly so.
#[test]
fn a_planned_sweep_ends_close_to_its_lower_bound() {
    let sizes = [(1, 100, 0.05), (3, 100, 0.05), (8, 100, 0.05), (16, 1_000, 0.05), (64, 1_000, 0.06)];
    for (n_places, trials, most) in sizes {
        let (excess, longest) = excess(&run(&sweep(trials), n_places, 1.0, 0), n_places);
        assert!(excess < most, "{trials} trials on {n_places} places: {excess}, longest {longest}");
    }
}

/// With a hundred trials on each place, so it is where jobs take a fifth less or a quarter more than
/// thought, and one attempt in twenty fails.
#[test]
fn a_large_sweep_ends_close_to_its_lower_bound_whatever_its_jobs_take() {
    for (n_places, trials) in [(1, 100), (8, 1_000), (64, 10_000), (256, 100_000)] {
        let (excess, longest) = excess(&run(&sweep(trials), n_places, 0.8, 5), n_places);
        assert!(excess < 0.05, "{trials} trials on {n_places} places: {excess}, longest {longest}");
    }
}
