//! Laws of packs, and the sizes that well-known grids get.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::{at, cpus, gpus, workload};
use crate::families::Architecture;
use crate::plan::example;
use crate::sched::{Limits, Policy, Scheduler, SimulatedJob, Workload, simulate};
use crate::sweep::SweepSpec;
use crate::values::{Configuration, Lora, Method, PackKey, Precision, Resources, Trial};

/// A pack, and what it is thought to cost.
struct Packed {
    slots: Vec<Trial>,
    job: SimulatedJob,
}

/// The packs of a simulated run, in the order of their starts.
fn of(sweep: &SweepSpec, resources: &Resources, limits: Limits) -> Vec<Packed> {
    packs(sweep, workload(sweep, resources, true), resources, limits)
}

fn packs(sweep: &SweepSpec, work: Arc<Workload>, resources: &Resources, limits: Limits) -> Vec<Packed> {
    let trials = sweep.trials();
    let run = simulate(&Scheduler::new(work, resources.clone(), limits, Policy::ONCE), at(0));
    let slot = |id| trials.iter().find(|trial| trial.id == id).unwrap().clone();
    let jobs = run.jobs.into_iter().filter(|job| !job.trials.is_empty());
    jobs.map(|job| Packed { slots: job.trials.iter().copied().map(slot).collect(), job }).collect()
}

fn compatible(a: &Trial, b: &Trial) -> bool {
    PackKey::of(&a.configuration) == PackKey::of(&b.configuration)
}

fn sizes(packs: &[Packed]) -> Vec<usize> {
    packs.iter().map(|pack| pack.slots.len()).collect()
}

/// So many adapters that see the same batches in a hold-out split.
fn adapters(n: u32) -> SweepSpec {
    example::grid((0..n).map(|_| (example::lora(8), 1.0, 1)), 2)
}

fn batches(trial: &Trial) -> (u64, usize) {
    (trial.configuration.training.seed, trial.fold)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_trial_is_in_one_pack_of_compatible_trials(
        points in proptest::collection::vec((0..5_usize, 1..4_u32, 0..3_u64), 1..40),
        n_places in 1..20_usize,
        on_gpus in any::<bool>(),
        limits in prop_oneof![Just(Limits::default()), (1..9_usize, 500.0..5_000.0).prop_map(|(slots, mem_mib)| Limits { slots, mem_mib })],
    ) {
        let method = |n: usize| [example::lora(4), example::lora(64), example::dora(4), Method::Full, Method::Base][n].clone();
        let sweep = example::grid(points.into_iter().map(|(n, epochs, seed)| (method(n), epochs.into(), seed)), 3);
        let (trials, places) = (sweep.trials(), if on_gpus { gpus(n_places) } else { cpus(n_places) });
        let packs = of(&sweep, &places, limits);
        let mem_mib = limits.mem_mib * if on_gpus { 1.0 } else { 2.0 };
        let at_once = packs.iter().filter(|pack| pack.job.start.is_zero()).count();
        prop_assert_eq!(at_once, n_places.min(trials.len()), "places stay empty: {:?}", sizes(&packs));
        let mut packed: Vec<_> = packs.iter().flat_map(|pack| &pack.slots).map(|trial| trial.id).collect();
        for Packed { slots, job } in &packs {
            prop_assert!(slots.len() <= limits.slots);
            prop_assert!(slots.len() == 1 || job.estimate.mem_mib <= mem_mib);
            prop_assert!(slots.iter().all(|trial| compatible(trial, &slots[0])));
            let kind = slots[0].configuration.method.kind();
            prop_assert!(slots.iter().all(|trial| trial.configuration.method.kind() == kind), "of one type");
            let learns_all = slots[0].configuration.method == Method::Full;
            prop_assert!(on_gpus || !learns_all || slots.len() == 1, "nothing to share");
        }
        let mut wanted: Vec<_> = trials.iter().map(|trial| trial.id).collect();
        packed.sort_unstable();
        wanted.sort_unstable();
        prop_assert_eq!(packed, wanted);
        prop_assert_eq!(sizes(&of(&sweep, &places, limits)), sizes(&packs));
    }
}

#[test]
fn a_grid_is_spread_over_all_places() {
    // Two folds of nine adapters.
    let sweep = adapters(9);
    let largest = sizes(&of(&sweep, &cpus(1), Limits::default()));
    let per_fold = largest.len() / 2;
    assert!(per_fold < 3 && largest.iter().sum::<usize>() == 18, "{largest:?}");
    assert_eq!(sizes(&of(&sweep, &cpus(18), Limits::default())), [1; 18]);
    let four = of(&sweep, &cpus(4), Limits::default());
    assert_eq!(sizes(&four), [5, 5, 4, 4]);
    for pack in four {
        assert_eq!(pack.slots.iter().map(batches).collect::<BTreeSet<_>>().len(), 1);
    }
}

#[test]
fn all_places_end_together() {
    for (n, places) in [(10, 3), (50, 2), (64, 7), (200, 8)] {
        let packs = of(&adapters(n), &cpus(places), Limits::default());
        let seconds = |pack: &Packed| pack.job.estimate.duration.as_secs_f64();
        let share = packs.iter().map(seconds).sum::<f64>() / places as f64;
        let end = packs.iter().map(|pack| pack.job.end.as_secs_f64()).fold(0.0, f64::max);
        assert!(end <= 1.1 * share, "{n} on {places}: {end} {share}");
    }
}

#[test]
fn small_models_fill_a_gpu_together_and_large_ones_alone() {
    let whole = |sweep: SweepSpec| sizes(&of(&sweep, &gpus(1), Limits::default()));
    assert!(whole(adapters(64)).len() < 12);
    let full = |n: u32| example::grid((0..n).map(|_| (Method::Full, 1.0, 1)), 2);
    assert!(whole(full(8)).len() < 8, "{:?}", whole(full(8)));
    let large = full(8).with(|sweep| {
        let model = sweep.models.get_mut("minilm-2").unwrap();
        let Architecture::Bert(config) = &mut model.architecture else { panic!("a BERT") };
        (config.num_hidden_layers, config.hidden_size, config.intermediate_size) = (24, 1024, 4096);
    });
    assert_eq!(whole(large.unwrap()), [1; 16]);
}

#[test]
fn memory_limits_a_pack() {
    let sweep = adapters(64);
    let one = of(&sweep, &gpus(1), Limits::ALONE)[0].job.estimate.mem_mib;
    let limits = Limits { mem_mib: 1.5 * one, ..Limits::default() };
    let packs = of(&sweep, &gpus(1), limits);
    assert!(packs.iter().all(|pack| pack.job.estimate.mem_mib <= limits.mem_mib));
    assert!(packs.len() > of(&sweep, &gpus(1), Limits::default()).len());
    let alone = of(&sweep, &gpus(1), Limits { mem_mib: 1.0, ..Limits::default() });
    assert_eq!(sizes(&alone), [1; 128], "what fits nowhere is tried alone");
}

#[test]
fn a_partly_trained_sweep_is_packed_like_a_fresh_one() {
    let (sweep, places) = (adapters(10), cpus(2));
    let todo = &sweep.trials()[7..];
    let work = super::work(&sweep, todo, &places, true);
    let left = sizes(&packs(&sweep, work, &places, Limits::default()));
    assert_eq!(left.iter().sum::<usize>(), todo.len());
    assert!(left.iter().any(|slots| *slots > 1));
}

#[test]
fn what_a_pack_has_once_is_the_same_for_all_its_slots() {
    let trial = example::sweep().trials().swap_remove(0);
    let changed = |change: &dyn Fn(&mut Configuration)| {
        let mut configuration = (*trial.configuration).clone();
        change(&mut configuration);
        Trial { configuration: Arc::new(configuration), ..trial.clone() }
    };
    let lora = |targets: &str| {
        let Method::Lora(lora) = example::lora(4) else { panic!("an adapter") };
        Method::Lora(Lora { targets: vec![targets.to_owned()], ..lora })
    };
    let full = changed(&|c| c.method = Method::Full);
    assert!(!compatible(&trial, &full));
    assert!(!compatible(&full, &changed(&|c| c.method = Method::Scratch)));
    assert!(!compatible(&trial, &changed(&|c| c.method = lora("query"))));
    assert!(!compatible(&trial, &changed(&|c| c.method = example::dora(4))));
    assert!(!compatible(&changed(&|c| c.method = example::dora(4)), &full));
    assert!(!compatible(&trial, &changed(&|c| c.training.beta1 = 0.8)));
    assert!(!compatible(&trial, &changed(&|c| c.training.precision = Precision::Bf16)));
    assert!(!compatible(&trial, &changed(&|c| c.training.accumulation = 2)));
    assert!(compatible(&trial, &changed(&|c| c.training.learning_rate = 0.1)));
    assert!(compatible(&trial, &changed(&|c| c.training.seed = 7)));
    assert!(compatible(&trial, &changed(&|c| c.method = example::lora(64))));
}
