//! Cases of trials that train on different numbers of cores.

use super::{at, begun, launched, launches, of_widths};
use crate::plan::example;
use crate::sched::places::{Places, Told};
use crate::sched::{Explanation, Limits, Policy, Scheduler, simulate};
use crate::sweep::SweepSpec;
use crate::values::{Device, Failure, JobKey, Placement, Resources, TrialId, What, Width};

fn cores(n: usize) -> Resources {
    Resources { cores: (10..10 + n).collect(), ..Resources::default() }
}

/// So many adapters of two folds each; the first one's epochs are these.
fn adapters(n: u32, epochs: f64) -> SweepSpec {
    example::grid((0..n).map(|n| (example::lora(8), if n == 0 { epochs } else { 1.0 }, 1)), 2)
}

/// A run on four cores, of one trial that takes all of them and others of one core, each in a pack of its own.
/// The wide one was killed at its start and pauses for a second, in which the others have begun.
fn one_wide(sweep: &SweepSpec) -> (Scheduler, TrialId, Vec<JobKey>) {
    let trials = sweep.trials();
    let wide = trials.last().unwrap().id;
    let widths: Vec<Width> =
        trials.iter().map(|trial| Width::Cores(if trial.id == wide { 4 } else { 1 })).collect();
    let work = of_widths(sweep, &trials, &widths, true);
    let policy = Policy { attempts: 2, pause: std::time::Duration::from_secs(1), ..Policy::ONCE };
    let mut scheduler = Scheduler::new(work, cores(4), Limits::ALONE, policy);
    let key = JobKey::Train(wide);
    assert_eq!(launched(&scheduler.step(at(0), &begun())), [(key, vec![wide])], "the widest first");
    let others = scheduler.step(at(0), &What::JobFailed { key, failure: Failure::Killed { signal: 9 } });
    let others: Vec<JobKey> = launched(&others).into_iter().map(|(job, _)| job).collect();
    assert_eq!(others.len(), 4);
    assert_eq!(scheduler.step(at(1), &What::Woke), []);
    (scheduler, wide, others)
}

#[test]
fn narrow_trials_do_not_keep_a_wide_one_waiting() {
    let (mut scheduler, wide, others) = one_wide(&adapters(12, 1.0));
    for (n, key) in others.into_iter().enumerate() {
        let now = at(2 + n as u64);
        let started = launched(&scheduler.step(now, &What::JobFinished { key }));
        let wanted = if n == 3 { vec![(JobKey::Train(wide), vec![wide])] } else { Vec::new() };
        assert_eq!(started, wanted, "end {n}: one more would end later than those that run");
    }
}

#[test]
fn short_packs_train_while_a_wide_one_waits_for_a_long_one() {
    let (mut scheduler, wide, others) = one_wide(&adapters(12, 5.0));
    // Both folds of the first are long.
    let (long, short) = (others[0], others[2]);
    let Some(Explanation::Waits { start: Some(start), .. }) = scheduler.explain(wide, at(1)) else {
        panic!("{:?}", scheduler.explain(wide, at(1)))
    };
    let run = simulate(&scheduler, at(1));
    let end_s = |job: JobKey| run.jobs.iter().find(|one| one.key == job).unwrap().end.as_secs_f64();
    assert!((start.in_s - end_s(long)).abs() < 1e-6, "{start:?}");
    let between = run.jobs.iter().filter(|job| job.start.as_secs_f64() > 0.0 && job.start < job.end);
    let between = between.take_while(|job| job.trials != [wide]).collect::<Vec<_>>();
    let ends: Vec<f64> = between.iter().map(|job| job.end.as_secs_f64()).collect();
    assert!(ends.len() >= 4 && ends.iter().all(|end_s| *end_s <= start.in_s), "{ends:?} {start:?}");
    // They are expected to end at this time, and do not.
    let late = at(1 + end_s(long) as u64);
    assert_eq!(launched(&scheduler.step(late, &What::JobFinished { key: short })), []);
}

#[test]
fn a_narrow_pack_of_any_length_starts_beside_a_waiting_one_where_cores_are_left_for_it() {
    let sweep = adapters(3, 5.0);
    let widths = [1, 3, 3].map(Width::Cores);
    let work = of_widths(&sweep, &sweep.trials(), &widths, true);
    let mut scheduler = Scheduler::new(work, cores(4), Limits::ALONE, Policy::ONCE);
    let actions = scheduler.step(at(0), &begun());
    let placements: Vec<Placement> = launches(&actions).map(|launch| launch.placement.clone()).collect();
    let cpu = |slot, cores: &[usize]| Placement { device: Device::Cpu { slot }, cores: cores.to_vec() };
    assert_eq!(placements, [cpu(0, &[10, 11, 12]), cpu(3, &[13])]);
}

#[test]
fn a_pack_gets_the_first_neighbours_that_are_free_and_other_cores_where_there_are_none() {
    let resources = Resources { at_once: Some(4), ..cores(7) };
    let mut places = Places::new(resources, Policy::ONCE.rest, &|_| (0, 0));
    let placed = |places: &mut Places, width| {
        let placement = places.rooms(Width::Cores(width)).pop()?;
        places.take(&placement);
        Some(placement)
    };
    let taken: Vec<Placement> = [1, 2, 1].map(|width| placed(&mut places, width).unwrap()).to_vec();
    assert_eq!(taken[1], Placement { device: Device::Cpu { slot: 1 }, cores: vec![11, 12] });
    places.leave(at(0), &taken[0], Told::Nothing);
    places.leave(at(0), &taken[1], Told::Lost(&[]));
    let again = placed(&mut places, 1).unwrap();
    assert_eq!(again.cores, [10], "a CPU is never out of service");
    places.leave(at(0), &taken[2], Told::Nothing);
    let [wide, _] = [2, 1].map(|width| placed(&mut places, width).unwrap());
    assert_eq!(wide.cores, [11, 12]);
    places.leave(at(0), &again, Told::Nothing);
    let split = placed(&mut places, 4).unwrap();
    assert_eq!(split.cores, [10, 14, 15, 16]);
    assert_eq!(places.rooms(Width::Cores(1)), []);
    places.leave(at(0), &wide, Told::Nothing);
    placed(&mut places, 1).unwrap();
    assert_eq!(places.rooms(Width::Cores(1))[0].cores, [12], "the fourth pack");
    placed(&mut places, 1).unwrap();
    places.leave(at(0), &split, Told::Nothing);
    assert_eq!(places.free(Width::Cores(2)), 1, "four cores are free, and one more pack may train");
}

#[test]
fn a_pack_has_the_memory_of_all_its_cores() {
    let sweep = adapters(64, 1.0);
    let mem_mib = 1.005 * largest_pack(&sweep, 1, Limits::ALONE).1;
    let [one, two] = [1, 2].map(|width| {
        let limits = Limits { mem_mib, ..Limits::default() };
        largest_pack(&sweep, width, limits)
    });
    let more = one.1 <= mem_mib && mem_mib < two.1 && one.0 < two.0;
    assert!(more, "{mem_mib}: {one:?} {two:?}");
}

/// The most trials, and the most memory, of a pack on so many cores.
fn largest_pack(sweep: &SweepSpec, width: usize, limits: Limits) -> (usize, f64) {
    let work = of_widths(sweep, &sweep.trials(), &[Width::Cores(width)], true);
    let resources = Resources { at_once: Some(1), ..cores(4) };
    let jobs = simulate(&Scheduler::new(work, resources, limits, Policy::ONCE), at(0)).jobs;
    let trials = jobs.iter().map(|job| job.trials.len()).max().unwrap();
    (
        trials,
        jobs.iter().filter(|job| !job.trials.is_empty()).map(|job| job.estimate.mem_mib).fold(0.0, f64::max),
    )
}

#[test]
fn trials_that_are_wider_than_the_machine_are_left_for_another_run() {
    let sweep = adapters(2, 1.0);
    let work = of_widths(&sweep, &sweep.trials(), &[1, 8].map(Width::Cores), true);
    let run = simulate(&Scheduler::new(work, cores(4), Limits::ALONE, Policy::ONCE), at(0));
    assert_eq!(run.jobs.iter().filter(|job| !job.trials.is_empty()).count(), 2);
}
