//! The world around the scheduler: children that take their time, run out of memory, die or take trials that
//! join, a user who may stop them, and what must hold after every event.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::scenario::Scenario;
use super::{begun, finished, workload};
use crate::sched::trial::TrialState;
use crate::sched::{Action, Launch, Scheduler, Turn};
use crate::sweep::SweepSpec;
use crate::values::{Device, Failure, JobKey, Placement, TrialId, What};

/// Rows of a batch of the example's trials.
const BATCH: usize = 32;

/// What a child does next.
#[derive(Clone, Debug)]
enum Happens {
    Told(What),
    /// A child's trial has its result, or failed by itself.
    TrialEnds(JobKey, TrialId),
    /// A child takes a trial that it was given.
    Takes(JobKey, TrialId),
    /// A child ends.
    Ends(JobKey, Exit),
}

#[derive(Clone, Debug, PartialEq)]
enum Exit {
    Done,
    Interrupted,
    Failed(Failure),
}

/// A child at work.
#[derive(Debug)]
struct Child {
    /// Trials that it trains, and those it was told of and has not heard of yet.
    open: Vec<TrialId>,
    told: Vec<TrialId>,
    slots: usize,
    rows: usize,
    placement: Placement,
    shared: bool,
    alone: bool,
    since: u64,
}

pub(super) struct World {
    pub(super) scheduler: Scheduler,
    /// The same, as it is read back from the journal.
    pub(super) read_back: Scheduler,
    pub(super) now_ms: u64,
    pub(super) launches: Vec<(JobKey, Vec<TrialId>)>,
    pub(super) joins: usize,
    /// Time that training jobs took, that of the longest, and what others took beside it.
    pub(super) training_ms: u64,
    pub(super) longest_ms: u64,
    pub(super) beside_ms: u64,
    pub(super) fates: BTreeMap<TrialId, TrialState>,
    scenario: Scenario,
    trials: Vec<TrialId>,
    rng: ChaCha8Rng,
    to_come: BTreeMap<(u64, usize), Happens>,
    expected: usize,
    children: BTreeMap<JobKey, Child>,
    tried: BTreeSet<(BTreeSet<TrialId>, usize, bool)>,
    failures: BTreeMap<TrialId, u32>,
    ending: bool,
    ended: bool,
    steps: usize,
}

impl World {
    pub(super) fn new(sweep: &SweepSpec, scenario: &Scenario) -> Self {
        let Scenario { places, limits, policy, prepared, .. } = scenario.clone();
        let scheduler = Scheduler::new(workload(sweep, &places, prepared), places, limits, policy);
        let mut world = Self {
            read_back: scheduler.clone(),
            scheduler,
            now_ms: 0,
            launches: Vec::new(),
            joins: 0,
            training_ms: 0,
            longest_ms: 0,
            beside_ms: 0,
            fates: BTreeMap::new(),
            scenario: scenario.clone(),
            trials: sweep.trials().iter().map(|trial| trial.id).collect(),
            rng: ChaCha8Rng::seed_from_u64(scenario.seed),
            to_come: BTreeMap::new(),
            expected: 0,
            children: BTreeMap::new(),
            tried: BTreeSet::new(),
            failures: BTreeMap::new(),
            ending: false,
            ended: false,
            steps: 0,
        };
        world.expect(0, Happens::Told(begun()));
        for (n, at) in scenario.stops.iter().enumerate() {
            world.expect(*at, Happens::Told(What::StopRequested { force: n > 0 }));
        }
        world
    }

    /// Runs to the end and checks the world after every event, or every so often where there are many trials.
    pub(super) fn run(&mut self) {
        let every = 1 + self.trials.len().pow(2) / 1_000_000;
        while self.next() {
            if self.steps.is_multiple_of(every) {
                self.check();
            }
        }
        self.check();
        assert!(self.ended, "the run never ended");
        assert!(self.children.is_empty());
        for trial in &self.trials {
            assert!(self.scheduler.state(*trial).unwrap().is_over(), "{trial} was lost");
        }
        let reports = self.launches.iter().filter(|(key, _)| *key == JobKey::Report).count();
        let was_stopped = self.ending || self.scenario.policy.fail_fast;
        assert!(was_stopped || reports >= 1, "nothing was reported");
    }

    /// Lets the next thing happen; false when there is none.
    pub(super) fn next(&mut self) -> bool {
        let Some(((at, _), happens)) = self.to_come.pop_first() else { return false };
        self.now_ms = at;
        match happens {
            Happens::Told(what) => {
                self.ending |= matches!(what, What::StopRequested { .. });
                self.tell(&what);
            }
            Happens::TrialEnds(job, trial) => self.end_trial(job, trial),
            Happens::Takes(job, trial) => self.take(job, trial),
            Happens::Ends(job, exit) => self.end_job(job, exit),
        }
        true
    }

    fn expect(&mut self, after_ms: u64, happens: Happens) {
        self.expected += 1;
        self.to_come.insert((self.now_ms + after_ms, self.expected), happens);
    }

    fn tell(&mut self, what: &What) {
        self.steps += 1;
        let actions = self.scheduler.step(self.now(), what);
        self.journal(what);
        assert!(!self.ended || actions.is_empty(), "{actions:?} after the end");
        actions.into_iter().for_each(|action| self.act(action));
    }

    pub(super) fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.now_ms)
    }

    /// What a journal would keep, as far as it does.
    fn journal(&mut self, what: &What) {
        if what.is_journaled() {
            self.read_back.replay(self.now(), what);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Launch(Launch { job: key, attempt, placement, micro_rows, work }) => {
                let trials: Vec<_> = work.trials().iter().map(|trial| trial.id).collect();
                let (placed, open) = (placement.clone(), trials.clone());
                self.journal(&What::JobLaunching { key, attempt, placement: placed, trials: open });
                self.launch(key, placement, micro_rows, trials);
            }
            Action::Join { job, trial } => {
                let child = self.children.get_mut(&job).expect("it is at work");
                assert!(matches!(child.placement.device, Device::Cuda { .. }));
                assert!(!self.fates.contains_key(&trial.id));
                child.told.push(trial.id);
                assert!(child.open.len() + child.told.len() <= child.slots, "it is full");
                self.joins += 1;
                self.journal(&What::TrialJoining { key: job, trial: trial.id });
                self.expect(1, Happens::Takes(job, trial.id));
            }
            Action::Stop { job, force } => {
                self.ending = true;
                assert!(self.children.contains_key(&job), "{job} does not run");
                let killed = Exit::Failed(Failure::Killed { signal: if force { 9 } else { 15 } });
                let exit = if force || self.rng.random_bool(0.3) { killed } else { Exit::Interrupted };
                self.expect(if force { 1 } else { 20 }, Happens::Ends(job, exit));
            }
            Action::GiveUp { trials, failure, .. } => {
                for trial in trials {
                    self.journal(&What::TrialFailed { trial, failure: failure.clone() });
                    let state = TrialState::Failed { failure: failure.clone() };
                    assert!(self.fates.insert(trial, state).is_none(), "{trial} had its fate");
                }
            }
            Action::WakeAt { at } => {
                let at = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
                let after = u64::try_from(at).unwrap().saturating_sub(self.now_ms);
                self.expect(after + 1, Happens::Told(What::Woke));
            }
            Action::CutShort { .. } | Action::Retire { .. } => {
                panic!("{action:?}, but nothing is late or breaks")
            }
            Action::End => {
                assert!(self.children.is_empty(), "{:?} still run", self.children);
                self.ended = true;
                self.journal(&What::RunEnded { done: 0, failed: 0, left: 0, elapsed_s: 0.0 });
            }
        }
    }

    fn launch(&mut self, job: JobKey, placement: Placement, rows: Option<usize>, open: Vec<TrialId>) {
        assert!(!self.ending, "{job} was started while the run was ending");
        let Scenario { failing, noise, limits, capacity, .. } = self.scenario.clone();
        assert!(open.len() <= limits.slots);
        let trains = !open.is_empty();
        let same_place = |child: &Child| child.placement.device == placement.device;
        assert!(!self.children.values().any(same_place), "{} is taken", placement.device);
        let own_memory = matches!(placement.device, Device::Cuda { .. });
        let shared = !own_memory && !self.children.is_empty();
        for child in self.children.values_mut() {
            assert!(!child.alone, "{job} was started beside one that wants to be alone");
            child.shared |= !matches!(child.placement.device, Device::Cuda { .. });
        }
        let alone = open.iter().any(|trial| {
            let number = self.scheduler.work.number(*trial).unwrap();
            self.scheduler.trials[number].past.alone
        });
        assert!(!alone || self.children.is_empty());
        let estimate = if trains {
            let numbers: Vec<_> = open.iter().filter_map(|id| self.scheduler.work.number(*id)).collect();
            self.scheduler.work.pack_estimate(&numbers).duration
        } else {
            Duration::from_millis(300)
        };
        let (shortest, longest) = (estimate.mul_f64(noise), estimate.div_f64(noise));
        let ms =
            u64::try_from(self.rng.random_range(shortest.as_millis()..=longest.as_millis())).unwrap().max(2);
        let (rows, slots) = (rows.unwrap_or(BATCH), open.len());
        self.expect(0, Happens::Told(What::JobStarted { key: job, pid: 7 }));
        let dies = self.rng.random_ratio(failing, 100);
        if trains && capacity.is_some() {
            // Whether memory lasts is seen at its end: others may have come meanwhile.
            self.expect(ms, Happens::Ends(job, Exit::Done));
        } else if trains {
            for trial in &open {
                let mine = self.rng.random_range(ms / 2..=ms);
                self.expect(mine, Happens::TrialEnds(job, *trial));
            }
            if dies {
                let failure = self.failure();
                self.expect(ms / 2 + 1, Happens::Ends(job, Exit::Failed(failure)));
            }
        } else {
            let exit = if dies { Exit::Failed(self.failure()) } else { Exit::Done };
            self.expect(ms, Happens::Ends(job, exit));
        }
        let child = Child {
            open: open.clone(),
            told: Vec::new(),
            slots,
            rows,
            placement,
            shared,
            alone,
            since: self.now_ms,
        };
        assert!(self.children.insert(job, child).is_none(), "{job} runs already");
        self.launches.push((job, open));
    }

    fn failure(&mut self) -> Failure {
        match self.rng.random_range(0..4) {
            0 => Failure::Exited { code: 1 },
            1 => Failure::BadData { message: "no rows".to_owned() },
            2 => Failure::Hung,
            _ => Failure::Killed { signal: 9 },
        }
    }

    fn end_trial(&mut self, job: JobKey, trial: TrialId) {
        let fails = self.rng.random_ratio(self.scenario.failing, 200);
        let Some(child) = self.children.get_mut(&job) else { return };
        let Some(at) = child.open.iter().position(|open| *open == trial) else { return };
        child.open.remove(at);
        let failure = Failure::Diverged { step: 3 };
        let (state, what) = if fails {
            (TrialState::Failed { failure: failure.clone() }, What::TrialFailed { trial, failure })
        } else {
            (TrialState::Done, finished(trial))
        };
        assert!(self.fates.insert(trial, state).is_none(), "{trial} was trained twice");
        if child.open.is_empty() {
            self.expect(1, Happens::Ends(job, Exit::Done));
        }
        self.tell(&what);
    }

    fn take(&mut self, job: JobKey, trial: TrialId) {
        let Some(child) = self.children.get_mut(&job) else { return };
        let Some(at) = child.told.iter().position(|told| *told == trial) else { return };
        child.told.remove(at);
        child.open.push(trial);
        let ms = self.rng.random_range(1..2_000);
        self.expect(ms, Happens::TrialEnds(job, trial));
    }

    fn end_job(&mut self, job: JobKey, exit: Exit) {
        let Some(child) = self.children.get(&job) else { return };
        let lacks = self.scenario.capacity.is_some_and(|capacity| {
            child.open.len() * child.rows * (1 + usize::from(child.shared)) > capacity
        });
        let exit = if lacks { Exit::Failed(Failure::OutOfMemory) } else { exit };
        let works = !child.open.is_empty() || !child.told.is_empty();
        if exit == Exit::Done && self.scenario.capacity.is_none() && works {
            // It was given another trial since.
            return;
        }
        let child = self.children.remove(&job).expect("it was there");
        let ms = self.now_ms - child.since;
        if child.placement.device == Device::Host {
            self.beside_ms += ms;
        } else {
            self.training_ms += ms;
            self.longest_ms = self.longest_ms.max(ms);
        }
        for trial in &child.told {
            self.tell(&What::TrialReturned { key: job, trial: *trial });
        }
        if lacks {
            let tried = (child.open.iter().copied().collect(), child.rows, child.shared);
            assert!(self.tried.insert(tried), "the same was tried again");
        } else if exit == Exit::Done {
            self.fates.extend(child.open.iter().map(|trial| (*trial, TrialState::Done)));
        } else {
            for trial in &child.open {
                let failures = self.failures.entry(*trial).or_default();
                *failures += 1;
                assert!(*failures <= self.scenario.policy.attempts, "{trial} was tried too often");
            }
        }
        self.tell(&match exit {
            Exit::Done => What::JobFinished { key: job },
            Exit::Interrupted => What::JobInterrupted { key: job },
            Exit::Failed(failure) => What::JobFailed { key: job, failure },
        });
    }

    /// What must hold after every event.
    fn check(&self) {
        let scheduler = &self.scheduler;
        let mut waiting = 0;
        for trial in &self.trials {
            let state = scheduler.state(*trial).unwrap();
            let mine = |child: &Child| child.open.contains(trial) || child.told.contains(trial);
            let at_work = self.children.iter().find(|(_, child)| mine(child)).map(|(job, _)| *job);
            assert_eq!(at_work.is_some(), matches!(state, TrialState::Placed { .. }), "{trial}: {state:?}");
            if let Some(job) = at_work {
                assert_eq!(*state, TrialState::Placed { job });
            }
            match self.fates.get(trial) {
                Some(fate) => assert_eq!(state, fate),
                None => assert!(!matches!(state, TrialState::Done | TrialState::Failed { .. }), "{state:?}"),
            }
            let number = scheduler.work.number(*trial).unwrap();
            let store = scheduler.work.shapes[scheduler.work.shape_of(number)].store;
            let ready = scheduler.chores.is_prepared(store);
            match state {
                TrialState::Waiting { turn: Turn::InLane | Turn::Together { .. } } => {
                    waiting += usize::from(ready)
                }
                TrialState::Placed { .. } => assert!(ready, "{trial} has no data"),
                TrialState::Waiting { turn: Turn::Alone }
                | TrialState::Paused { .. }
                | TrialState::Done
                | TrialState::Failed { .. }
                | TrialState::Skipped { .. }
                | TrialState::Cancelled => {}
            }
        }
        let hosts = self.children.values().filter(|child| child.placement.device == Device::Host).count();
        assert!(hosts <= 1);
        let alone = self.children.values().any(|child| child.alone);
        let busy = self.children.len() - hosts;
        assert!(busy == self.scenario.places.len() || waiting == 0 || alone, "a place is idle");
        assert!(!self.ending || waiting == 0, "trials wait while the run ends");
    }
}
