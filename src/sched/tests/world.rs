//! The world around the scheduler: children that take their time, run out of memory, lose their device, die
//! or take trials that join, and a user who may stop them. `children` has what these do, `pauses` what becomes of
//! trials that are compared, `checks` what must hold after every event.

mod checks;
mod children;
mod pauses;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, SystemTime};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use self::children::{Child, Exit};
use super::scenario::Scenario;
use super::{begun, on};
use crate::sched::trial::TrialState;
use crate::sched::{Action, Scheduler};
use crate::sweep::SweepSpec;
use crate::values::{Device, Failure, JobKey, TrialId, What};

/// How long a child that was asked to end is waited for.
const GRACE_MS: u64 = 600_000;

/// What happens next.
#[derive(Clone, Debug)]
enum Happens {
    Told(What),
    /// A child's trial has its result, or failed by itself.
    TrialEnds(JobKey, TrialId),
    /// A child takes a trial that it was given.
    Takes(JobKey, TrialId),
    /// A child lets a trial go, as a person ordered.
    LetsGo(JobKey, TrialId),
    /// A person stops or keeps some trial.
    Order,
    /// A child ends.
    Ends(JobKey, Exit),
}

pub(super) struct World {
    pub(super) scheduler: Scheduler,
    /// The same, as it is read back from the journal.
    pub(super) read_back: Scheduler,
    pub(super) now_ms: u64,
    pub(super) launches: Vec<(JobKey, Vec<TrialId>)>,
    /// How many of them were checked.
    checked: usize,
    pub(super) joins: usize,
    /// How many children ran out of memory as a trial joined.
    pub(super) lacked_at_join: usize,
    /// Time that training jobs took, that of the longest, and what others took beside it.
    pub(super) training_ms: u64,
    pub(super) longest_ms: u64,
    pub(super) beside_ms: u64,
    pub(super) fates: BTreeMap<TrialId, TrialState>,
    ending: bool,
    scenario: Scenario,
    /// How many of a hundred steps each trial had done at its last pause.
    paused: BTreeMap<TrialId, u64>,
    /// Brackets with their rungs that are decided.
    decided: BTreeSet<(usize, usize)>,
    trials: Vec<TrialId>,
    rng: ChaCha8Rng,
    to_come: BTreeMap<(u64, usize), Happens>,
    expected: usize,
    actions: VecDeque<Action>,
    children: BTreeMap<JobKey, Child>,
    pub(super) retired: BTreeSet<Device>,
    /// What ends of packs have shown of GPUs.
    pub(super) gpus: BTreeMap<Device, GpuPast>,
    /// Sets of trials, rows, shares of memory and rows that fit there that were too much.
    tried: BTreeSet<(BTreeSet<TrialId>, usize, bool, usize)>,
    /// What failed starts have shown of a trial.
    pasts: BTreeMap<TrialId, Past>,
    /// The user wants everything to die.
    forced: bool,
    ended: bool,
    steps: usize,
    stepped_ms: u64,
}

/// What failed starts have shown of a trial.
#[derive(Clone, Debug, Default)]
struct Past {
    failures: u32,
    failures_alone: u32,
    /// The trials that failed with it the last time, itself among them.
    company: BTreeSet<TrialId>,
    /// The GPUs that it lost.
    lost: BTreeSet<Device>,
    not_before_ms: u64,
}

/// What ends of packs have shown of a GPU.
#[derive(Clone, Debug, Default)]
pub(super) struct GpuPast {
    /// How many packs lost it since one finished there.
    lost_in_row: u32,
    /// How many packs finished there.
    pub(super) finished: u32,
    /// It rests until then at least.
    not_before_ms: u64,
}

impl World {
    pub(super) fn new(sweep: &SweepSpec, scenario: &Scenario) -> Self {
        let Scenario { resources, widths, limits, policy, prepared, .. } = scenario.clone();
        let work = on(sweep, &sweep.trials(), &widths, prepared, &resources);
        let scheduler = Scheduler::new(work, resources, limits, policy);
        let scheduler = match scenario.rule {
            Some(rule) => scheduler.comparing(super::compared::brackets(sweep, rule)),
            None => scheduler,
        };
        let mut world = Self {
            read_back: scheduler.clone(),
            scheduler,
            now_ms: 0,
            launches: Vec::new(),
            checked: 0,
            joins: 0,
            lacked_at_join: 0,
            training_ms: 0,
            longest_ms: 0,
            beside_ms: 0,
            fates: BTreeMap::new(),
            ending: false,
            scenario: scenario.clone(),
            paused: BTreeMap::new(),
            decided: BTreeSet::new(),
            trials: sweep.trials().iter().map(|trial| trial.id).collect(),
            rng: ChaCha8Rng::seed_from_u64(scenario.seed),
            to_come: BTreeMap::new(),
            expected: 0,
            actions: VecDeque::new(),
            children: BTreeMap::new(),
            retired: BTreeSet::new(),
            gpus: BTreeMap::new(),
            tried: BTreeSet::new(),
            pasts: BTreeMap::new(),
            forced: false,
            ended: false,
            steps: 0,
            stepped_ms: 0,
        };
        world.expect(0, Happens::Told(begun()));
        for (n, at) in scenario.stops.iter().enumerate() {
            world.expect(*at, Happens::Told(What::StopRequested { force: n > 0 }));
        }
        scenario.orders.iter().for_each(|at| world.expect(*at, Happens::Order));
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
        self.check_the_end();
    }

    /// Lets the next thing happen; false when there is none.
    pub(super) fn next(&mut self) -> bool {
        let Some(((at, _), happens)) = self.to_come.pop_first() else { return false };
        self.now_ms = at;
        match happens {
            Happens::Told(what) => {
                if let What::StopRequested { force } = what {
                    self.ending = true;
                    self.forced |= force;
                }
                self.happen(what);
            }
            Happens::TrialEnds(job, trial) => self.end_trial(job, trial),
            Happens::Takes(job, trial) => self.take(job, trial),
            Happens::LetsGo(job, trial) => self.let_go(job, trial),
            Happens::Order => self.order(),
            Happens::Ends(job, exit) => self.end_job(job, exit),
        }
        true
    }

    pub(super) fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.now_ms)
    }

    fn expect(&mut self, after_ms: u64, happens: Happens) {
        self.expected += 1;
        self.to_come.insert((self.now_ms + after_ms, self.expected), happens);
    }

    /// Tells an event and carries out what follows, as the loop of a run does.
    fn happen(&mut self, what: What) {
        self.tell(what);
        while let Some(action) = self.actions.pop_front() {
            self.act(action);
        }
    }

    fn tell(&mut self, what: What) {
        self.steps += 1;
        self.stepped_ms = self.now_ms;
        let actions = self.scheduler.step(self.now(), &what);
        assert!(!self.ended || actions.is_empty(), "{actions:?} after the end");
        self.actions.extend(actions);
        if what.is_journaled() {
            self.read_back.replay(self.now(), &what);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Launch(launch) => self.launch(launch),
            Action::Join { job, trial, until } => self.join(job, trial.id, until),
            Action::Pause { job, trial } => {
                self.children.get_mut(&job).expect("it is at work").ordered.insert(trial);
                self.expect(5, Happens::LetsGo(job, trial));
            }
            Action::Announce(decision) => {
                if let What::RungDecided(decision) = &decision {
                    let is_new = self.decided.insert((decision.bracket, decision.rung));
                    assert!(is_new, "rung {} was decided before", decision.rung);
                }
                self.tell(decision);
            }
            Action::Stop { job, force } => {
                self.ending = true;
                self.ask(job, force);
            }
            Action::CutShort { job, force } => self.cut_short(job, force),
            Action::GiveUp { trials, failure } => {
                for trial in trials {
                    let state = TrialState::Failed { failure: failure.clone() };
                    assert!(self.fates.insert(trial, state).is_none(), "{trial} had its fate");
                    self.tell(What::TrialFailed { trial, failure: failure.clone() });
                }
            }
            Action::Retire { device } => {
                assert!(self.retired.insert(device), "{device} was out of service");
                assert!(self.gpus[&device].lost_in_row >= 2, "{device} failed once");
                self.tell(What::DeviceRetired { device });
            }
            Action::WakeAt { at } => {
                let at = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
                let after = u64::try_from(at).unwrap().saturating_sub(self.now_ms);
                self.expect(after + 1, Happens::Told(What::Woke));
            }
            Action::End => {
                assert!(self.children.is_empty(), "{:?} still run", self.children);
                self.ended = true;
                self.tell(What::RunEnded { done: 0, failed: 0, stopped: 0, left: 0, elapsed_s: 0.0 });
            }
        }
    }

    /// Asks a child to end, or kills it.
    fn ask(&mut self, job: JobKey, force: bool) {
        let killed = Exit::Failed(Failure::Killed { signal: if force { 9 } else { 15 } });
        let crashes = self.chance(30);
        let child = self.children.get_mut(&job).unwrap_or_else(|| panic!("{job} does not run"));
        if force {
            let waited = child.asked_ms.is_some_and(|asked| self.now_ms >= asked + GRACE_MS);
            assert!(self.forced || waited, "{job} was killed before its time");
            self.expect(1, Happens::Ends(job, killed));
            return;
        }
        child.asked_ms = Some(self.now_ms);
        if !child.deaf {
            self.expect(20, Happens::Ends(job, if crashes { killed } else { Exit::Interrupted }));
        }
    }
}
