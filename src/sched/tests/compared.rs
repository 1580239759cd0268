//! Trials that are compared and stopped: packs pause at rungs, whatever the places and the order of their ends.

use std::collections::{BTreeMap, VecDeque};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::*;
use crate::plan::example;
use crate::sched::{TrialState, simulate};
use crate::search::{Brackets, Stop, StopRule, Turn};
use crate::values::{Metric, Pause, RungDecision, Scores};

const STEPS: u64 = 100;

/// Twelve adapters, and full fine-tuning, on three folds.
fn sweep() -> SweepSpec {
    let methods = (0..12).map(|n| example::lora(4 + n)).chain([crate::values::Method::Full]);
    example::grid(methods.map(|method| (method, 4.0, 1)), 3)
}

fn brackets(sweep: &SweepSpec, stop: Stop) -> Brackets {
    let trials = sweep.trials();
    let mut brackets = Brackets::new(StopRule::new(stop), sweep.compared(&trials));
    brackets.open(&trials, &|_| false).iter().for_each(|what| brackets.on(what));
    brackets
}

/// What a run did.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// How far each trial came.
    steps: BTreeMap<TrialId, u64>,
    decisions: Vec<RungDecision>,
}

/// Runs a sweep whose packs end in an order that random numbers give, and checks it after every event.
fn run(sweep: &SweepSpec, resources: Resources, stop: Stop, seed: u64) -> Outcome {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let limits = Limits { slots: 5, ..Limits::default() };
    let work = workload(sweep, &resources, true);
    let n_places = places(&resources);
    let scheduler = Scheduler::new(work, resources, limits, Policy::ONCE).comparing(brackets(sweep, stop));
    let mut lived = scheduler.clone();
    let mut read_back = scheduler;
    let place = |id: TrialId| sweep.trials().iter().position(|trial| trial.id == id).unwrap();
    let loss = |id: TrialId, step: u64| ((place(id) * 37) % 101) as f64 / 100.0 + 1.0 / (1.0 + step as f64);
    let mut steps: BTreeMap<TrialId, u64> = BTreeMap::new();
    let (mut decisions, mut running, mut now) = (Vec::new(), Vec::<Launch>::new(), 0);
    let mut events = VecDeque::from([begun()]);
    loop {
        let Some(what) = events.pop_front() else {
            if running.is_empty() {
                break;
            }
            let next = usize::try_from(rng.next_u64() % running.len() as u64).unwrap();
            let launch = running.swap_remove(next);
            let crate::job::Work::Train(pack) = &launch.work else {
                events.push_back(What::JobFinished { key: launch.job });
                continue;
            };
            let key = launch.job;
            for trial in &pack.slots {
                let until = pack.until.get(&trial.id).map(|share| (share * STEPS as f64).ceil() as u64);
                let step = until.unwrap_or(STEPS);
                assert!(
                    steps.insert(trial.id, step).is_none_or(|before| before < step),
                    "{} went back",
                    trial.id
                );
                events.push_back(match until {
                    None => finished(trial.id),
                    Some(step) => {
                        let scores = Scores::of("classification").with(Metric::Loss, loss(trial.id, step));
                        let scores = Some(scores);
                        let pause = Pause { trial: trial.id, step, steps: STEPS, scores, loss_error: None };
                        What::TrialPaused { key, pause }
                    }
                });
            }
            events.push_back(What::JobFinished { key });
            continue;
        };
        now += 1;
        let actions = lived.step(at(now), &what);
        if what.is_journaled() {
            read_back.replay(at(now), &what);
        }
        for action in actions {
            match action {
                Action::Launch(launch) => {
                    let trials = launch.work.trials().iter().map(|trial| trial.id).collect();
                    let (key, placement) = (launch.job, launch.placement.clone());
                    read_back.replay(
                        at(now),
                        &What::JobLaunching { key, attempt: launch.attempt, placement, trials },
                    );
                    events.push_back(What::JobStarted { key, pid: 1 });
                    running.push(launch);
                }
                Action::Announce(decision) => {
                    if let What::RungDecided(decision) = &decision {
                        decisions.push((**decision).clone());
                    }
                    events.push_front(decision);
                }
                Action::Join { job, trial, until } => {
                    let launch = running.iter_mut().find(|launch| launch.job == job).unwrap();
                    let crate::job::Work::Train(pack) = &mut launch.work else { panic!("it trains") };
                    pack.until.extend(until.map(|until| (trial.id, until)));
                    read_back.replay(at(now), &What::TrialJoining { key: job, trial: trial.id });
                    pack.slots.push(trial);
                }
                Action::End => assert!(running.is_empty()),
                Action::Pause { .. }
                | Action::Stop { .. }
                | Action::CutShort { .. }
                | Action::Retire { .. }
                | Action::GiveUp { .. }
                | Action::WakeAt { .. } => panic!("{action:?}"),
            }
        }
        if events.is_empty() {
            check(sweep, &lived, &mut read_back, now, running.len() < n_places);
        }
    }
    let over = |trial: &Trial| lived.state(trial.id).is_some_and(TrialState::is_over);
    assert!(sweep.trials().iter().all(over), "nobody is forgotten");
    Outcome { steps, decisions }
}

/// No place is free while a trial waits that could have it, and the journal tells the same.
fn check(sweep: &SweepSpec, lived: &Scheduler, read_back: &mut Scheduler, now: u64, is_free: bool) {
    read_back.replay(at(now), &What::Woke);
    for trial in sweep.trials() {
        let state = lived.state(trial.id).unwrap();
        assert_eq!(read_back.state(trial.id), Some(state));
        assert!(
            !is_free || !matches!(state, TrialState::Waiting { .. }),
            "{} waits beside a free place",
            trial.id
        );
        let turn = lived.brackets.turn(trial.id);
        assert_eq!(*state == TrialState::Held, turn == Turn::Waits, "{state:?} {turn:?}");
        assert_eq!(*state == TrialState::Stopped, turn == Turn::Stopped, "{state:?} {turn:?}");
    }
}

#[test]
fn the_same_trials_are_stopped_on_any_number_of_places_and_in_any_order() {
    let sweep = sweep();
    for stop in [Stop::Halving, Stop::Median] {
        let first = run(&sweep, cpus(1), stop, 0);
        let done = first.steps.values().filter(|steps| **steps == STEPS).count();
        assert!(first.decisions.len() >= 2 && done < sweep.trials().len() / 2, "{first:?}");
        for (places, seed) in [(1, 1), (2, 2), (3, 3), (4, 4), (4, 5), (9, 6)] {
            assert_eq!(run(&sweep, cpus(places), stop, seed), first, "{places} places");
        }
        assert_eq!(run(&sweep, gpus(2), stop, 7), first, "on GPUs");
    }
}

#[test]
fn a_plan_counts_the_steps_that_are_left_once_others_are_stopped() {
    let (sweep, resources) = (sweep(), cpus(1));
    let work = workload(&sweep, &resources, true);
    let scheduler = Scheduler::new(work, resources, Limits::default(), Policy::ONCE);
    let all = simulate(&scheduler, at(0)).makespan.as_secs_f64();
    let foreseen = |stop| simulate(&scheduler.clone().comparing(brackets(&sweep, stop)), at(0));
    let halving = foreseen(Stop::Halving);
    // Of 12 adapters on 3 folds 4 go on from a fifth, 2 from two fifths, and these get 2 folds more.
    let share = (12.0 * 0.2 + 4.0 * 0.2 + 2.0 * 0.6 + 4.0) / 36.0;
    let trains: usize = halving.jobs.iter().map(|job| job.trials.len()).sum();
    assert_eq!(trains, 12 + 4 + 2 + 4 + 3, "each leg is a start");
    let full: f64 = {
        let only = example::grid((0..1).map(|_| (crate::values::Method::Full, 4.0, 1)), 3);
        let resources = cpus(1);
        let work = workload(&only, &resources, true);
        simulate(&Scheduler::new(work, resources, Limits::default(), Policy::ONCE), at(0))
            .makespan
            .as_secs_f64()
    };
    let (left, of) = (halving.makespan.as_secs_f64() - full, all - full);
    assert!(left < (share + 0.15) * of, "{left} of {of}");
}
