//! A simulated executor drives the scheduler through whole runs with random durations, failures and
//! stops, and checks after every event what must always hold.

mod planned;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::cost::Estimate;
use crate::job::{Pack, Prepare, Work};
use crate::plan::{Job, JobGraph, JobId, example};
use crate::sched::{GraphAction, GraphEvent, GraphScheduler, JobState, Policy};
use crate::values::{ContentHash, Device, Failure, JobKey, Placement, TrialId};

/// About how many looks at jobs a run's checks take.
const LOOKS: usize = 2_000_000;

/// What a simulated run is like.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) seed: u64,
    pub(super) places: usize,
    pub(super) prepares: usize,
    pub(super) trains: usize,
    /// Chance that an attempt fails, in percent.
    pub(super) failing: u32,
    pub(super) policy: Policy,
    /// Times of the stop requests, in ms: the second one kills.
    pub(super) stops: Vec<u64>,
}

pub(super) fn places(n: usize) -> Vec<Placement> {
    (0..n)
        .map(|slot| Placement { device: Device::Cpu { slot }, cores: vec![2 * slot, 2 * slot + 1] })
        .collect()
}

/// The first trial of a training job.
pub(super) fn trial(n: usize) -> TrialId {
    format!("{n:016x}").parse().unwrap()
}

/// Training jobs of random length behind random preparations, three to a report, and a last one.
pub(super) fn graph(scenario: &Scenario, rng: &mut ChaCha8Rng) -> JobGraph {
    let sweep = example::sweep();
    let model = Arc::new(sweep.models["minilm-2"].clone());
    let store = ContentHash::of_bytes(b"");
    let pack = Pack { task: Arc::clone(sweep.first_task()), model, store, slots: Vec::new() };
    let prepare = Prepare { store, task: Arc::clone(sweep.first_task()), tokenizer: PathBuf::new() };
    let mut graph = JobGraph::new();
    let mut push = |key: JobKey, work: Work, needs: Vec<JobId>, ms: u64| {
        let estimate = Estimate { duration: Duration::from_millis(ms), ..Estimate::default() };
        graph.push(Job { key, work, needs, estimate })
    };
    let prepares: Vec<JobId> = (0..scenario.prepares)
        .map(|n| {
            push(
                JobKey::Prepare(ContentHash::of_bytes(&n.to_le_bytes())),
                Work::Prepare(Box::new(prepare.clone())),
                vec![],
                rng.random_range(1..50),
            )
        })
        .collect();
    let trains: Vec<JobId> = (0..scenario.trains)
        .map(|n| {
            let needs = prepares.get(rng.random_range(0..=prepares.len())).copied().into_iter().collect();
            push(
                JobKey::Train(trial(n)),
                Work::Train(Box::new(pack.clone())),
                needs,
                rng.random_range(1..1_000),
            )
        })
        .collect();
    let summaries: Vec<JobId> = trains
        .chunks(3)
        .map(|folds| push(JobKey::Report, Work::Report { folder: PathBuf::new() }, folds.to_vec(), 1))
        .collect();
    push(JobKey::Report, Work::Report { folder: PathBuf::new() }, summaries, 1);
    graph
}

/// What jobs took, in ms.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Worked {
    /// All training.
    pub(super) training: u64,
    /// The longest training job, over all its attempts.
    pub(super) longest: u64,
    /// All else.
    pub(super) beside: u64,
}

/// The world around the scheduler: children that take their time, and a user who may stop them.
pub(super) struct World {
    pub(super) scheduler: GraphScheduler,
    pub(super) now_ms: u64,
    /// Time that jobs ran, over all attempts, by job.
    pub(super) worked_ms: BTreeMap<JobId, u64>,
    pub(super) steps: usize,
    pub(super) in_steps: Duration,
    scenario: Scenario,
    /// A job takes between this part of its estimate and the estimate by it.
    noise: f64,
    rng: ChaCha8Rng,
    before: Vec<JobState>,
    /// Events to come, by time and number.
    events: BTreeMap<(u64, usize), GraphEvent>,
    expected: usize,
    active: BTreeSet<JobId>,
    /// Places where something trains, and trainings that are not over.
    busy: usize,
    open_trains: usize,
    launches: BTreeMap<JobId, u32>,
    asked: BTreeSet<(JobId, bool)>,
    ending: bool,
    ended: bool,
}

impl World {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(scenario.seed);
        let graph = graph(scenario, &mut rng);
        Self::over(graph, scenario, 0.5, rng)
    }

    /// A world of these jobs, in the places of a scenario and with its failures.
    pub(super) fn over(graph: JobGraph, scenario: &Scenario, noise: f64, rng: ChaCha8Rng) -> Self {
        let scheduler = GraphScheduler::new(graph, places(scenario.places), scenario.policy);
        let is_train = |(_, job): &(JobId, &Job)| matches!(job.work, Work::Train(_));
        let mut world = Self {
            open_trains: scheduler.graph().iter().filter(is_train).count(),
            busy: 0,
            noise,
            before: scheduler.states.clone(),
            scheduler,
            now_ms: 0,
            worked_ms: BTreeMap::new(),
            steps: 0,
            in_steps: Duration::ZERO,
            scenario: scenario.clone(),
            rng,
            events: BTreeMap::new(),
            expected: 0,
            active: BTreeSet::new(),
            launches: BTreeMap::new(),
            asked: BTreeSet::new(),
            ending: false,
            ended: false,
        };
        world.expect(0, GraphEvent::RunStarted);
        for (n, at) in scenario.stops.iter().enumerate() {
            world.expect(*at, GraphEvent::StopRequested { force: n > 0 });
        }
        world
    }

    fn expect(&mut self, after_ms: u64, event: GraphEvent) {
        self.expected += 1;
        self.events.insert((self.now_ms + after_ms, self.expected), event);
    }

    /// Runs to the end and checks the world after every event: every job where there are few, and
    /// where there are many every so often and whenever a place is free.
    pub(super) fn run(&mut self) {
        let every = 1 + self.scheduler.graph().len().pow(2) / LOOKS;
        while self.next() {
            let is_idle = self.busy < self.scenario.places && self.open_trains > self.busy;
            if is_idle || self.steps.is_multiple_of(every) {
                self.check();
            }
        }
    }

    /// Lets the next event happen; false when there is none and the run is over.
    pub(super) fn next(&mut self) -> bool {
        let Some(((at, _), event)) = self.events.pop_first() else {
            assert!(self.ended, "the run never ended");
            return false;
        };
        self.now_ms = at;
        self.deliver(&event);
        true
    }

    fn deliver(&mut self, event: &GraphEvent) {
        let ended = match event {
            GraphEvent::JobFinished { job }
            | GraphEvent::JobFailed { job, .. }
            | GraphEvent::JobInterrupted { job } => {
                self.active.remove(job);
                self.busy -= usize::from(self.trains(*job));
                self.trains(*job).then_some(*job)
            }
            GraphEvent::RunStarted
            | GraphEvent::JobStarted { .. }
            | GraphEvent::TrialFinished { .. }
            | GraphEvent::TrialFailed { .. }
            | GraphEvent::TrialReturned { .. }
            | GraphEvent::StopRequested { .. }
            | GraphEvent::Woke => None,
        };
        self.ending |= matches!(event, GraphEvent::StopRequested { .. });
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(self.now_ms);
        let clock = std::time::Instant::now();
        let actions = self.scheduler.step(now, event);
        self.in_steps += clock.elapsed();
        self.steps += 1;
        assert!(!self.ended || actions.is_empty(), "{actions:?} after the end");
        self.open_trains -= usize::from(ended.is_some_and(|job| self.scheduler.state(job).is_over()));
        actions.into_iter().for_each(|action| self.act(action));
    }

    fn act(&mut self, action: GraphAction) {
        match action {
            GraphAction::Launch { job, attempt, placement, .. } => {
                assert!(!self.ending, "job {job:?} was launched while the run was ending");
                assert!(!self.before[job.0 as usize].is_over(), "job {job:?} was over");
                assert!(self.active.insert(job), "job {job:?} runs already");
                let launches = self.launches.entry(job).or_default();
                *launches += 1;
                assert_eq!(attempt, *launches);
                assert!(attempt <= self.scenario.policy.attempts);
                assert_eq!(self.trains(job), placement.device != Device::Host);
                self.busy += usize::from(self.trains(job));
                self.play(job);
            }
            GraphAction::Stop { job, force } => {
                assert!(self.active.contains(&job), "job {job:?} does not run");
                assert!(self.asked.insert((job, force)), "job {job:?} was asked twice");
                self.ending = true;
                self.events.retain(|_, event| event_job(event) != Some(job));
                let (delay, event) = match self.rng.random_range(0..4) {
                    _ if force => (0, GraphEvent::JobFailed { job, failure: Failure::Killed { signal: 9 } }),
                    0 => (5, GraphEvent::JobFinished { job }),
                    1 => (1, GraphEvent::JobFailed { job, failure: Failure::Killed { signal: 15 } }),
                    _ => (20, GraphEvent::JobInterrupted { job }),
                };
                self.expect(delay, event);
            }
            GraphAction::Join { .. }
            | GraphAction::WakeAt { .. }
            | GraphAction::CutShort { .. }
            | GraphAction::Retire { .. } => {
                panic!("{action:?}, but nothing gains by joining, pauses, has a limit or breaks")
            }
            GraphAction::End => {
                assert!(self.active.is_empty(), "{:?} still run", self.active);
                self.ended = true;
            }
        }
    }

    fn trains(&self, job: JobId) -> bool {
        matches!(self.scheduler.graph().job(job).work, Work::Train(_))
    }

    /// What the jobs so far took.
    pub(super) fn worked(&self) -> Worked {
        let mut worked = Worked::default();
        for (job, ms) in &self.worked_ms {
            if self.trains(*job) {
                worked.training += ms;
                worked.longest = worked.longest.max(*ms);
            } else {
                worked.beside += ms;
            }
        }
        worked
    }

    /// A child starts (and may die before it says so), and ends some time later.
    fn play(&mut self, job: JobId) {
        let estimate = self.scheduler.graph().job(job).estimate.duration;
        let (shortest, longest) = (estimate.mul_f64(self.noise), estimate.div_f64(self.noise));
        let ms = self.rng.random_range(shortest.as_millis()..=longest.as_millis());
        let ms = u64::try_from(ms).unwrap();
        *self.worked_ms.entry(job).or_default() += ms;
        if self.rng.random_bool(0.9) {
            self.expect(0, GraphEvent::JobStarted { job });
        }
        let fails = self.rng.random_ratio(self.scenario.failing, 100);
        let failure = match self.rng.random_range(0..6) {
            _ if !fails => return self.expect(ms, GraphEvent::JobFinished { job }),
            0 => Failure::TimedOut,
            1 => Failure::Diverged { step: 3 },
            2 => Failure::Exited { code: 1 },
            3 => Failure::BadData { message: "no rows".to_owned() },
            4 => Failure::Killed { signal: 9 },
            _ => return self.expect(ms, GraphEvent::JobInterrupted { job }),
        };
        self.expect(ms, GraphEvent::JobFailed { job, failure });
    }

    /// What must hold after every event.
    pub(super) fn check(&mut self) {
        let scheduler = &self.scheduler;
        let mut seen = Seen::default();
        for (id, job) in scheduler.graph().iter() {
            seen.job(scheduler, id, job);
        }
        assert_eq!(seen.active, self.active);
        assert!(seen.hosts <= 1);
        assert!(seen.places.len() == self.scenario.places || seen.ready_trains == 0, "a place is idle");
        assert!(seen.hosts == 1 || seen.ready_hosts == 0, "nobody works beside the training");
        let waiting = seen.blocked + seen.ready_trains + seen.ready_hosts;
        let ending = self.ending || self.ended || (self.scenario.policy.fail_fast && seen.failed);
        assert!(!ending || waiting == 0, "{waiting} jobs wait while the run ends");
        assert!(!self.ended || seen.active.is_empty());
        let one = JobId(u32::try_from(self.steps % scheduler.graph().len()).unwrap());
        assert!(!scheduler.explain(one).to_string().is_empty());
        for (before, after) in self.before.iter().zip(&scheduler.states) {
            assert!(!before.is_over() || before == after, "{before:?} became {after:?}");
        }
        self.before.clone_from(&scheduler.states);
    }
}

/// What one look at all jobs shows.
#[derive(Default)]
struct Seen {
    active: BTreeSet<JobId>,
    places: BTreeSet<Device>,
    hosts: usize,
    blocked: usize,
    ready_trains: usize,
    ready_hosts: usize,
    failed: bool,
}

impl Seen {
    fn job(&mut self, scheduler: &GraphScheduler, id: JobId, job: &Job) {
        let is_train = matches!(job.work, Work::Train(_));
        let strict = is_train || matches!(job.work, Work::Prepare(_));
        let needs = || job.needs.iter().map(|need| scheduler.state(*need));
        match scheduler.state(id) {
            JobState::Blocked { unmet } => {
                self.blocked += 1;
                assert_eq!(*unmet, needs().filter(|need| !need.is_over()).count());
                assert!(*unmet > 0, "{} waits for nothing", job.key);
            }
            JobState::Ready if is_train => self.ready_trains += 1,
            JobState::Ready => self.ready_hosts += 1,
            JobState::Launched { placement, .. } | JobState::Running { placement, .. } => {
                self.active.insert(id);
                self.hosts += usize::from(!is_train);
                assert!(!is_train || self.places.insert(placement.device), "{} shares a place", job.key);
                assert!(needs().all(JobState::is_over), "{} runs too early", job.key);
                assert!(!strict || needs().all(|need| *need == JobState::Done), "{} has no data", job.key);
            }
            JobState::Skipped { .. } => {
                assert!(strict && needs().any(|need| *need != JobState::Done), "{} was skipped", job.key);
            }
            JobState::Failed { .. } => self.failed = true,
            JobState::Done | JobState::Cancelled | JobState::Paused { .. } | JobState::Replaced { .. } => {}
        }
    }
}

fn event_job(event: &GraphEvent) -> Option<JobId> {
    match event {
        GraphEvent::RunStarted
        | GraphEvent::StopRequested { .. }
        | GraphEvent::TrialFinished { .. }
        | GraphEvent::TrialFailed { .. }
        | GraphEvent::TrialReturned { .. }
        | GraphEvent::Woke => None,
        GraphEvent::JobStarted { job }
        | GraphEvent::JobFinished { job }
        | GraphEvent::JobFailed { job, .. }
        | GraphEvent::JobInterrupted { job } => Some(*job),
    }
}
