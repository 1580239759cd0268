//! Widths against the best of all widths, and the cases that they are for.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::cost::CostTable;
use crate::plan::example;
use crate::sweep::SweepSpec;
use crate::values::{ContentHash, Device, Method, Placement, Trial};

fn cores(n: usize) -> Resources {
    Resources { cores: (0..n).collect(), ..Resources::default() }
}

fn machine(resources: &Resources) -> Machine<'_> {
    Machine { resources, ram_total_mib: 64_000 }
}

/// The widths, in cores, of trials without one.
fn widths(sweep: &SweepSpec, todo: &[Trial], n: usize) -> Vec<usize> {
    let widths = decide_widths(&Remaining::of(sweep, todo), &vec![None; todo.len()], machine(&cores(n)));
    widths.into_iter().map(in_cores).collect()
}

fn in_cores(width: Width) -> usize {
    let Width::Cores(cores) = width else { panic!("on a CPU") };
    cores
}

/// The first folds of so many configurations of each method and number of epochs.
fn first_folds(points: &[(usize, Method, f64)]) -> (SweepSpec, Vec<Trial>) {
    let points = points.iter().flat_map(|(n, method, epochs)| vec![(method.clone(), *epochs, 1); *n]);
    let sweep = example::grid(points, 3);
    let todo = sweep.trials().into_iter().filter(|trial| trial.fold == 0).collect();
    (sweep, todo)
}

#[test]
fn one_trial_alone_gets_all_cores_unless_its_model_is_tiny() {
    let (sweep, todo) = first_folds(&[(1, example::lora(8), 1.0)]);
    for n in [1, 2, 3, 6, 8, 16] {
        assert_eq!(widths(&sweep, &todo, n), [n]);
    }
    let mut cost = CostTable::new(&sweep).slot(&todo[0]);
    (cost.tail, cost.trunk) = (cost.tail / 1e4, cost.trunk / 1e4);
    let tiny = [Wish { cost, shape: 0, recorded: None }];
    assert_eq!(decide(&tiny, machine(&cores(16)), Scaling::ASSUMED)[0], [Width::Cores(1)]);
}

#[test]
fn trials_share_the_cores_as_it_suits_their_number() {
    let alike = |n: usize| first_folds(&[(n, Method::Full, 1.0)]);
    let of = |trials: usize, n: usize| {
        let (sweep, todo) = alike(trials);
        let widths = widths(&sweep, &todo, n);
        assert!(widths.iter().all(|width| *width == widths[0]), "{widths:?}");
        widths[0]
    };
    assert_eq!([of(9, 2), of(9, 16), of(8, 16), of(4, 16), of(100, 16)], [1, 3, 2, 4, 1]);
    let (sweep, todo) = first_folds(&[(9, example::lora(8), 1.0)]);
    assert_eq!(widths(&sweep, &todo, 2), [1; 9]);
}

#[test]
fn a_long_trial_among_short_ones_gets_more_cores() {
    let (sweep, todo) = first_folds(&[(8, Method::Full, 1.0), (1, Method::Full, 20.0)]);
    let widths = widths(&sweep, &todo, 16);
    assert!(widths[8] >= 8 && widths[..8].iter().all(|width| *width <= 2), "{widths:?}");
}

#[test]
fn what_has_memory_for_few_at_once_gets_their_cores() {
    let (sweep, todo) = first_folds(&[(100, Method::Full, 1.0)]);
    let resources = cores(16);
    let with = |ram_total_mib| {
        let machine = Machine { resources: &resources, ram_total_mib };
        in_cores(decide_widths(&Remaining::of(&sweep, &todo), &vec![None; 100], machine)[0])
    };
    assert!(with(64_000) == 1 && with(4_000) > 1, "{} and {}", with(64_000), with(4_000));
}

#[test]
fn what_the_user_divides_is_divided_equally_and_gpus_are_not() {
    let (sweep, todo) = first_folds(&[(3, Method::Full, 1.0)]);
    let of =
        |resources: Resources| decide_widths(&Remaining::of(&sweep, &todo), &[None; 3], machine(&resources));
    assert_eq!(of(Resources { at_once: Some(5), ..cores(16) }), [Width::Cores(3); 3]);
    let gpu = Placement { device: Device::Cuda { index: 0 }, cores: vec![0] };
    assert_eq!(of(Resources { gpus: vec![gpu], ..Resources::default() }), [Width::Gpu; 3]);
}

#[test]
fn many_trials_are_few_classes() {
    let points = (0..1_000).map(|n: u32| (example::lora(8), f64::from(1 + n % 3), 1));
    let sweep = example::grid(points, 10);
    let mut costs = CostTable::new(&sweep);
    let trials = sweep.trials();
    let wish = |trial| Wish { cost: costs.slot(trial), shape: 0, recorded: None };
    let wishes: Vec<Wish> = trials.iter().map(wish).collect();
    let resources = cores(16);
    let classes = Classes::of(&wishes, machine(&resources), Scaling::ASSUMED);
    assert_eq!((classes.open().count(), classes.size()), (3, 3));
}

/// Every choice of candidates for this many classes.
fn all_choices(classes: usize, candidates: usize) -> impl Iterator<Item = Vec<usize>> {
    let n = u32::try_from(classes).unwrap();
    (0..candidates.pow(n)).map(move |number| {
        (0..n).map(|class| number / candidates.pow(class) % candidates).collect::<Vec<usize>>()
    })
}

/// Trials of some costs: shape, seconds on one core, the trunk's share of that, how many, and on how many seeds.
fn some_wishes() -> impl Strategy<Value = Vec<Wish>> {
    let (sweep, todo) = first_folds(&[(1, Method::Full, 1.0)]);
    let base = CostTable::new(&sweep).slot(&todo[0]);
    let one_s = base.time(Scaling::ASSUMED.rates(Width::Cores(1))).alone().as_secs_f64();
    let kind = (0..3_usize, 0.5..8.0_f64, prop_oneof![Just(0.0), 0.0..0.6_f64], 1..14_usize, 1..3_u64);
    proptest::collection::vec(kind, 1..5).prop_map(move |kinds| {
        let of = |(shape, power, trunk, n, seeds): (usize, f64, f64, usize, u64)| {
            let flops = (base.tail + base.trunk) * power.exp2() * 4.0 / one_s;
            (0..n as u64).map(move |number| {
                let mut cost = base;
                cost.batches = (number % seeds, 0);
                (cost.tail, cost.trunk) = (flops * (1.0 - trunk), flops * trunk);
                Wish { cost, shape, recorded: None }
            })
        };
        kinds.into_iter().flat_map(of).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_other_widths_end_much_earlier_by_list_scheduling(wishes in some_wishes()) {
        let resources = cores(16);
        let classes = Classes::of(&wishes, machine(&resources), Scaling::ASSUMED);
        let chosen = Search { classes: &classes, tried: Vec::new() }.good().swap_remove(0);
        let end_s = classes.outcome(&chosen).end_s;
        let all = all_choices(chosen.len(), classes.candidates.len());
        let least_s = all.map(|choice| classes.outcome(&choice).end_s).fold(f64::INFINITY, f64::min);
        prop_assert!(end_s <= 1.1 * least_s, "{chosen:?}: {end_s} s, but {least_s} s is possible");
    }

    #[test]
    fn a_width_is_kept_and_does_not_depend_on_the_order_of_trials(
        points in proptest::collection::vec((0..3_usize, 0..3_usize, 0..2_u64), 2..20),
        kept in 1..17_usize,
        order in any::<u64>(),
    ) {
        let methods = [Method::Full, example::lora(4), example::lora(64)];
        let points = points.into_iter().map(|(method, epochs, seed)| {
            (methods[method].clone(), [0.5, 1.0, 6.0][epochs], seed)
        });
        let sweep = example::grid(points, 2);
        let trials = sweep.trials();
        let recorded: Vec<Option<Width>> =
            (0..trials.len()).map(|n| (n % 3 == 0).then_some(Width::Cores(kept))).collect();
        let resources = cores(16);
        let decided = decide_widths(&Remaining::of(&sweep, &trials), &recorded, machine(&resources));
        for (width, recorded) in decided.iter().zip(&recorded) {
            prop_assert!(recorded.is_none_or(|recorded| recorded == *width));
        }
        let of: BTreeMap<TrialId, Width> = trials.iter().map(|trial| trial.id).zip(decided).collect();
        let mut shuffled: Vec<(Trial, Option<Width>)> = trials.into_iter().zip(recorded).collect();
        shuffled.sort_by_key(|(trial, _)| ContentHash::of_json(&(trial.id, order)));
        let (trials, recorded): (Vec<Trial>, Vec<Option<Width>>) = shuffled.into_iter().unzip();
        let again = decide_widths(&Remaining::of(&sweep, &trials), &recorded, machine(&resources));
        for (trial, width) in trials.iter().zip(again) {
            prop_assert_eq!(width, of[&trial.id]);
        }
    }
}

/// When a simulated run of these trials ends on 16 cores.
fn simulated(sweep: &SweepSpec, todo: &[Trial], width: &dyn Fn(&Trial) -> Width) -> Duration {
    let work = Workload::of(
        &Remaining::of(sweep, todo),
        Path::new("reports"),
        width,
        &|_| true,
        &Experience::default(),
    );
    let scheduler = Scheduler::new(Arc::new(work), cores(16), Limits::default(), Policy::ONCE);
    simulate(&scheduler, SystemTime::UNIX_EPOCH).makespan
}

#[test]
fn no_other_widths_end_much_earlier_in_a_simulated_run() {
    let grids = [
        vec![(12, example::lora(8), 1.0), (3, Method::Full, 4.0)],
        vec![(8, Method::Full, 1.0), (1, Method::Full, 12.0)],
        vec![(20, example::lora(8), 1.0), (5, Method::Full, 1.0), (2, Method::Full, 8.0)],
        vec![(3, example::lora(8), 3.0), (2, Method::Full, 2.0), (1, Method::Full, 5.0)],
    ];
    for grid in grids {
        let (sweep, todo) = first_folds(&grid);
        let class = |trial: &Trial| {
            let of = |(_, method, epochs): &(usize, Method, f64)| {
                let configuration = &trial.configuration;
                configuration.method == *method && configuration.training.epochs == *epochs
            };
            grid.iter().position(of).unwrap()
        };
        let chosen = widths(&sweep, &todo, 16);
        let of: BTreeMap<TrialId, usize> = todo.iter().map(|trial| trial.id).zip(chosen.clone()).collect();
        let ends = simulated(&sweep, &todo, &|trial| Width::Cores(of[&trial.id]));
        let candidates = [1, 2, 3, 4, 6, 8, 12, 16];
        let all = all_choices(grid.len(), candidates.len()).map(|choice| {
            let width = |trial: &Trial| Width::Cores(candidates[choice[class(trial)]]);
            (simulated(&sweep, &todo, &width), choice.clone())
        });
        let (least, best) = all.min().unwrap();
        assert!(
            ends <= least.mul_f64(1.1),
            "{chosen:?}: {ends:?}, but {best:?} of {candidates:?}: {least:?}"
        );
    }
}
