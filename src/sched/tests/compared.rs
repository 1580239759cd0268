//! Trials that are compared and stopped: packs pause at rungs, whatever the places and the order of their ends.

use std::collections::{BTreeMap, VecDeque};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::*;
use crate::job::Work;
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

pub(super) fn brackets(sweep: &SweepSpec, stop: Stop) -> Brackets {
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

/// A run whose packs end in an order that random numbers give.
struct Lived {
    scheduler: Scheduler,
    read_back: Scheduler,
    trials: Vec<TrialId>,
    running: Vec<Launch>,
    events: VecDeque<What>,
    now: u64,
    outcome: Outcome,
}

/// Runs a sweep, and checks it after every event.
fn run(sweep: &SweepSpec, resources: Resources, stop: Stop, seed: u64) -> Outcome {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let limits = Limits { slots: 5, ..Limits::default() };
    let n_places = places(&resources);
    let work = workload(sweep, &resources, true);
    let scheduler = Scheduler::new(work, resources, limits, Policy::ONCE).comparing(brackets(sweep, stop));
    let mut lived = Lived {
        read_back: scheduler.clone(),
        scheduler,
        trials: sweep.trials().iter().map(|trial| trial.id).collect(),
        running: Vec::new(),
        events: VecDeque::from([begun()]),
        now: 0,
        outcome: Outcome { steps: BTreeMap::new(), decisions: Vec::new() },
    };
    loop {
        while let Some(what) = lived.events.pop_front() {
            lived.tell(&what);
        }
        check(sweep, &mut lived, n_places);
        if lived.running.is_empty() {
            break;
        }
        let next = usize::try_from(rng.next_u64() % lived.running.len() as u64).unwrap();
        let launch = lived.running.swap_remove(next);
        lived.end(&launch);
    }
    let over = |trial: &TrialId| lived.scheduler.state(*trial).is_some_and(TrialState::is_over);
    assert!(lived.trials.iter().all(over), "nobody is forgotten");
    lived.outcome
}

impl Lived {
    /// What a child that ends its work has told.
    fn end(&mut self, launch: &Launch) {
        let key = launch.job;
        if let Work::Train(pack) = &launch.work {
            for trial in &pack.slots {
                let until = pack.until.get(&trial.id).map(|share| (share * STEPS as f64).ceil() as u64);
                let step = until.unwrap_or(STEPS);
                let before = self.outcome.steps.insert(trial.id, step);
                assert!(before.is_none_or(|before| before < step), "{} went back", trial.id);
                self.events.push_back(match until {
                    None => finished(trial.id),
                    Some(step) => What::TrialPaused { key, pause: self.pause(trial.id, step) },
                });
            }
        }
        self.events.push_back(What::JobFinished { key });
    }

    fn pause(&self, trial: TrialId, step: u64) -> Pause {
        let place = self.trials.iter().position(|id| *id == trial).unwrap();
        let loss = ((place * 37) % 101) as f64 / 100.0 + 1.0 / (1.0 + step as f64);
        let scores = Some(Scores::of("classification").with(Metric::Loss, loss));
        Pause { trial, step, steps: STEPS, scores, loss_error: None, rows: None }
    }

    fn tell(&mut self, what: &What) {
        self.now += 1;
        let actions = self.scheduler.step(at(self.now), what);
        self.replay(what);
        for action in actions {
            match action {
                Action::Launch(launch) => self.launch(launch),
                Action::Announce(decision) => {
                    if let What::RungDecided(decision) = &decision {
                        self.outcome.decisions.push((**decision).clone());
                    }
                    self.events.push_front(decision);
                }
                Action::Join { job, trial, until } => {
                    self.replay(&What::TrialJoining { key: job, trial: trial.id });
                    let launch = self.running.iter_mut().find(|launch| launch.job == job).unwrap();
                    let Work::Train(pack) = &mut launch.work else { panic!("it trains") };
                    pack.until.extend(until.map(|until| (trial.id, until)));
                    pack.slots.push(trial);
                }
                Action::End => assert!(self.running.is_empty()),
                Action::Pause { .. }
                | Action::Stop { .. }
                | Action::CutShort { .. }
                | Action::Retire { .. }
                | Action::GiveUp { .. }
                | Action::WakeAt { .. } => panic!("{action:?}"),
            }
        }
    }

    fn launch(&mut self, launch: Launch) {
        let trials = launch.work.trials().iter().map(|trial| trial.id).collect();
        let (key, attempt, placement) = (launch.job, launch.attempt, launch.placement.clone());
        self.replay(&What::JobLaunching { key, attempt, placement, trials });
        self.events.push_back(What::JobStarted { key, pid: 1 });
        self.running.push(launch);
    }

    fn replay(&mut self, what: &What) {
        if what.is_journaled() {
            self.read_back.replay(at(self.now), what);
        }
    }
}

/// No place is free while a trial waits that could have it, and the journal tells the same.
fn check(sweep: &SweepSpec, lived: &mut Lived, n_places: usize) {
    let Lived { scheduler, read_back, now, running, .. } = lived;
    read_back.replay(at(*now), &What::Woke);
    for trial in sweep.trials() {
        let (state, turn) = (scheduler.state(trial.id).unwrap(), scheduler.brackets.turn(trial.id));
        assert_eq!(read_back.state(trial.id), Some(state));
        let waits = matches!(state, TrialState::Waiting { .. });
        assert!(!waits || running.len() >= n_places, "{} waits beside a free place", trial.id);
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
    // Of 12 adapters on 3 folds 4 go on from the first rung, 2 from the second, and these get 2 folds more.
    let share = (12.0 * 0.3 + 4.0 * 0.3 + 2.0 * 0.4 + 4.0) / 36.0;
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
