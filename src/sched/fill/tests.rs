//! Laws and cases of trials that take the places of others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;
use crate::cost::Estimate;
use crate::job::Pack;
use crate::plan::{Job, JobGraph, example};
use crate::sched::{GraphEvent, Policy};
use crate::values::{ContentHash, Failure, JobKey, Method, Placement};

const POLICY: Policy = Policy { attempts: 3, ..Policy::ONCE };

/// Packs of so many trials each, one after the other through a grid of these methods with two folds,
/// a seed of its own and one, two or three epochs for each.
fn graph(packs: &[usize], methods: &[Method]) -> JobGraph {
    graph_of(packs, methods, |n| (EPOCHS[n % EPOCHS.len()], n as u64))
}

const EPOCHS: [f64; 3] = [1.0, 2.0, 3.0];

/// The same with other epochs and seeds. The larger a pack, the longer; with a report on the
/// first, one on all, and one that needs both.
fn graph_of(packs: &[usize], methods: &[Method], point: impl Fn(usize) -> (f64, u64)) -> JobGraph {
    let n: usize = packs.iter().sum();
    let points = (0..n.div_ceil(2)).map(|n| (methods[n % methods.len()].clone(), point(n).0, point(n).1));
    let sweep = example::grid(points, 2);
    let (task, model) = (Arc::clone(sweep.first_task()), Arc::new(sweep.models["minilm-2"].clone()));
    let mut trials = sweep.trials().into_iter();
    let mut graph = JobGraph::new();
    let mut trains = Vec::new();
    for n in packs {
        let slots: Vec<Trial> = trials.by_ref().take(*n).collect();
        let key = JobKey::Train(slots[0].id);
        let (task, model, store) = (Arc::clone(&task), Arc::clone(&model), ContentHash::of_bytes(b""));
        let estimate = Estimate { duration: Duration::from_secs(slots.len() as u64), ..Estimate::default() };
        let work = Work::Train(Box::new(Pack { task, model, store, slots }));
        trains.push(graph.push(Job { key, work, needs: Vec::new(), estimate }));
    }
    let mut push = |needs| {
        let work = Work::Report { folder: PathBuf::new() };
        graph.push(Job { key: JobKey::Report, work, needs, estimate: Estimate::default() })
    };
    let first = push(trains[..1].to_vec());
    let all = push(trains.clone());
    push(vec![first, all]);
    graph
}

fn gpus(n: usize) -> Vec<Placement> {
    (0..n).map(|index| Placement { device: Device::Cuda { index }, cores: vec![index] }).collect()
}

/// Children on GPUs that do in turn what random numbers say, and everything that must hold meanwhile.
struct Machine {
    scheduler: GraphScheduler,
    places: usize,
    children: BTreeMap<JobId, Child>,
    events: VecDeque<GraphEvent>,
    fates: BTreeSet<TrialId>,
    joins: usize,
    ended: bool,
}

struct Child {
    /// Those it trains.
    open: Vec<TrialId>,
    /// Those it was told of and has not heard of yet.
    told: Vec<TrialId>,
    /// How many it was started with.
    slots: usize,
    gone: bool,
}

impl Machine {
    fn new(graph: JobGraph, places: usize) -> Self {
        let scheduler = GraphScheduler::new(graph, gpus(places), POLICY);
        Self {
            scheduler,
            places,
            children: BTreeMap::new(),
            events: VecDeque::from([GraphEvent::RunStarted]),
            fates: BTreeSet::new(),
            joins: 0,
            ended: false,
        }
    }

    /// Delivers what happened, and what follows from that.
    fn settle(&mut self) {
        while let Some(event) = self.events.pop_front() {
            if let GraphEvent::JobFinished { job } | GraphEvent::JobFailed { job, .. } = &event {
                self.children.remove(job);
            }
            for action in self.scheduler.step(SystemTime::UNIX_EPOCH, &event) {
                self.act(&action);
            }
            self.check();
        }
    }

    fn act(&mut self, action: &GraphAction) {
        match action {
            GraphAction::Launch { job, .. } => {
                let trials = self.scheduler.graph().job(*job).trials();
                let open: Vec<_> = trials.into_iter().filter(|trial| !self.fates.contains(trial)).collect();
                let child = Child { slots: open.len(), open, told: Vec::new(), gone: false };
                assert!(self.children.insert(*job, child).is_none(), "{job:?} runs already");
                self.events.push_back(GraphEvent::JobStarted { job: *job });
            }
            GraphAction::Join { job, trial } => {
                let child = self.children.get_mut(job).expect("it runs");
                assert!(!child.open.contains(trial) && !self.fates.contains(trial));
                if child.gone {
                    return self.events.push_front(GraphEvent::TrialReturned { job: *job, trial: *trial });
                }
                child.told.push(*trial);
                assert!(child.open.len() + child.told.len() <= child.slots, "it is full");
                self.joins += 1;
            }
            GraphAction::End => self.ended = true,
            GraphAction::Stop { .. }
            | GraphAction::CutShort { .. }
            | GraphAction::Retire { .. }
            | GraphAction::WakeAt { .. } => {
                panic!("{action:?}")
            }
        }
    }

    /// One child does something.
    fn go_on(&mut self, pick: usize) {
        let jobs: Vec<JobId> = self.children.keys().copied().collect();
        let job = jobs[pick % jobs.len()];
        let child = self.children.get_mut(&job).expect("one of them");
        let dies = pick.is_multiple_of(13);
        match (child.told.first().copied(), child.open.len()) {
            (Some(trial), _) if pick.is_multiple_of(3) => {
                child.told.remove(0);
                child.open.push(trial);
            }
            (_, 0) => self.end(job, dies),
            (_, open) => {
                // What a child did last may be seen when it is gone.
                child.gone = dies;
                let trial = child.open.swap_remove(pick % open);
                assert!(self.fates.insert(trial), "{trial} was trained twice");
                let failed = pick.is_multiple_of(7);
                let event = if failed {
                    GraphEvent::TrialFailed { job, trial }
                } else {
                    GraphEvent::TrialFinished { job, trial }
                };
                self.events.push_back(event);
                if dies {
                    self.end(job, true);
                }
            }
        }
        self.settle();
    }

    fn end(&mut self, job: JobId, dies: bool) {
        let told = self.children.get(&job).map(|child| child.told.clone()).unwrap_or_default();
        self.events.extend(told.into_iter().map(|trial| GraphEvent::TrialReturned { job, trial }));
        let failure = Failure::Killed { signal: 9 };
        self.events.push_back(if dies {
            GraphEvent::JobFailed { job, failure }
        } else {
            GraphEvent::JobFinished { job }
        });
    }

    /// What must hold after every event.
    fn check(&mut self) {
        let scheduler = &self.scheduler;
        let (mut seen, mut free, mut ready) = (BTreeSet::new(), self.places, 0);
        for (id, job) in scheduler.graph().iter() {
            let (state, trains) = (scheduler.state(id), matches!(job.work, Work::Train(_)));
            free -= usize::from(trains && state.is_active());
            ready += usize::from(trains && *state == JobState::Ready);
            if let JobState::Blocked { unmet } = state {
                let open = job.needs.iter().filter(|need| !scheduler.state(**need).is_over()).count();
                assert_eq!(*unmet, open, "{}", job.key);
                let needs: BTreeSet<_> = job.needs.iter().collect();
                assert_eq!(needs.len(), job.needs.len(), "{} needs a job twice", job.key);
            }
            if let JobState::Failed { .. } = state {
                self.fates.extend(job.trials());
            }
            if !state.is_over() {
                assert!(
                    job.trials().into_iter().all(|trial| seen.insert(trial)),
                    "{} shares a trial",
                    job.key
                );
            }
        }
        assert!(free == 0 || ready == 0, "a place is idle");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_trial_is_trained_once_whoever_it_joins(
        packs in proptest::collection::vec(1..=6_usize, 1..=8),
        places in 1..=3_usize,
        mixed: bool,
        picks in proptest::collection::vec(any::<u16>(), 1_000),
    ) {
        let methods = if mixed {
            vec![example::lora(4), Method::Full, example::lora(16)]
        } else {
            vec![example::lora(8)]
        };
        // A pack holds trials of one method, whose folds come in pairs.
        let packs: Vec<usize> = packs.into_iter().map(|n| if mixed { 2 } else { n }).collect();
        let graph = graph(&packs, &methods);
        let all: BTreeSet<TrialId> = graph.iter().flat_map(|(_, job)| job.trials()).collect();
        let mut machine = Machine::new(graph, places);
        machine.settle();
        let mut picks = picks.into_iter().map(usize::from);
        while !machine.ended {
            machine.go_on(picks.next().expect("48 trials have a fate after 1,000 picks"));
        }
        prop_assert_eq!(&machine.fates, &all);
        let states = machine.scheduler.graph().iter().map(|(id, _)| machine.scheduler.state(id));
        prop_assert!(states.into_iter().all(JobState::is_over));
    }
}

#[test]
fn many_packs_join_a_few() {
    let mut machine = Machine::new(graph(&[4; 50], &[example::lora(8)]), 2);
    machine.settle();
    // Never a multiple of 13, so that nothing dies.
    let mut picks = (1_usize..).filter(|pick| !pick.is_multiple_of(13));
    while !machine.ended {
        machine.go_on(picks.next().expect("there is always one more"));
    }
    assert_eq!(machine.fates.len(), 200);
    assert!(machine.joins > 40, "{}", machine.joins);
}

fn step(scheduler: &mut GraphScheduler, event: &GraphEvent) -> Vec<GraphAction> {
    scheduler.step(SystemTime::UNIX_EPOCH, event)
}

/// Its first job is at work; the others wait.
fn at_work(graph: JobGraph, places: Vec<Placement>, policy: Policy) -> GraphScheduler {
    let mut scheduler = GraphScheduler::new(graph, places, policy);
    step(&mut scheduler, &GraphEvent::RunStarted);
    step(&mut scheduler, &GraphEvent::JobStarted { job: JobId(0) });
    scheduler
}

fn finished(scheduler: &GraphScheduler, slot: usize) -> GraphEvent {
    let job = JobId(0);
    GraphEvent::TrialFinished { job, trial: scheduler.graph().job(job).trials()[slot] }
}

#[test]
fn a_job_whose_trials_all_joined_is_over_and_who_needed_it_needs_the_pack() {
    let mut scheduler = at_work(graph(&[3, 2], &[example::lora(8)]), gpus(1), POLICY);
    let [running, waiting] = [JobId(0), JobId(1)];
    let [first, second] = scheduler.graph().job(waiting).trials()[..] else { panic!("two trials") };
    let event = finished(&scheduler, 0);
    assert_eq!(step(&mut scheduler, &event), [GraphAction::Join { job: running, trial: second }]);
    assert_eq!(*scheduler.state(waiting), JobState::Ready);
    assert_eq!(scheduler.graph().job(waiting).estimate.duration, Duration::from_secs(1));
    let event = finished(&scheduler, 1);
    assert_eq!(step(&mut scheduler, &event), [GraphAction::Join { job: running, trial: first }]);
    assert_eq!(*scheduler.state(waiting), JobState::Replaced { by: vec![running] });
    assert_eq!(scheduler.graph().job(running).estimate.duration, Duration::from_secs(5));
    let key = &scheduler.graph().job(running).key;
    let text = format!("not started: its trials joined running packs, the last of them `{key}`");
    assert_eq!(scheduler.explain(waiting).to_string(), text);
    for slot in [2, 3, 4] {
        let event = finished(&scheduler, slot);
        assert_eq!(step(&mut scheduler, &event), []);
    }
    let last = step(&mut scheduler, &GraphEvent::JobFinished { job: running });
    assert!(matches!(last[..], [GraphAction::Launch { job: JobId(2), .. }]), "{last:?}");
}

#[test]
fn a_trial_that_comes_back_waits_in_a_job_of_its_own() {
    let mut scheduler = at_work(graph(&[3, 1], &[example::lora(8)]), gpus(1), POLICY);
    let event = finished(&scheduler, 0);
    let [GraphAction::Join { job, trial }] = step(&mut scheduler, &event)[..] else { panic!("nobody joins") };
    for slot in [1, 2] {
        let event = finished(&scheduler, slot);
        assert_eq!(step(&mut scheduler, &event), []);
    }
    assert_eq!(step(&mut scheduler, &GraphEvent::TrialReturned { job, trial }), []);
    assert_eq!(step(&mut scheduler, &GraphEvent::TrialReturned { job, trial }), [], "it is back already");
    let [GraphAction::Launch { job: again, attempt: 1, .. }, ..] =
        step(&mut scheduler, &GraphEvent::JobFinished { job })[..]
    else {
        panic!("it does not start")
    };
    assert_eq!(scheduler.graph().job(again).trials(), [trial]);
    assert_eq!(*scheduler.state(job), JobState::Done);
}

/// What follows when a trial of the first job ends.
fn after(mut scheduler: GraphScheduler, slot: usize, failed: bool) -> Vec<GraphAction> {
    let (job, trial) = (JobId(0), scheduler.graph().job(JobId(0)).trials()[slot]);
    let event = if failed {
        GraphEvent::TrialFailed { job, trial }
    } else {
        GraphEvent::TrialFinished { job, trial }
    };
    step(&mut scheduler, &event)
}

#[test]
fn who_joins_and_who_waits() {
    let cpu = vec![Placement { device: Device::Cpu { slot: 0 }, cores: vec![0] }];
    let [small, large] = [8, 16].map(example::lora);
    let of = |methods: &[Method]| graph(&[4, 4], methods);
    let two = std::slice::from_ref(&small);
    let as_long = graph_of(&[4, 2], two, |n| (1.0, n as u64));
    // Without the first configuration's second fold, the others of the pack are in step.
    let in_step = |method: &Method| graph_of(&[3, 2], std::slice::from_ref(method), |_| (1.0, 7));
    let cases = [
        ("a longer one goes on", of(two), gpus(1), 0, false, true),
        ("a longer one goes on, though others do not", of(two), gpus(1), 1, false, true),
        ("none goes on for longer", of(two), gpus(1), 2, false, false),
        ("it failed early", of(two), gpus(1), 2, true, true),
        ("all are done at once", as_long.clone(), gpus(1), 0, false, false),
        ("one failed before all are done", as_long, gpus(1), 0, true, true),
        ("a common trunk would be lost", in_step(&small), gpus(1), 1, true, false),
        ("whole models have none", in_step(&Method::Full), gpus(1), 1, true, true),
        ("slots of a CPU go through the model one after the other", of(two), cpu, 0, false, false),
        ("it can start in a place of its own", of(two), gpus(2), 0, false, false),
        (
            "a larger rank",
            of(&[small.clone(), small.clone(), large.clone(), large.clone()]),
            gpus(1),
            0,
            false,
            false,
        ),
        (
            "a smaller rank",
            of(&[large.clone(), large, small.clone(), small.clone()]),
            gpus(1),
            0,
            false,
            true,
        ),
        ("another method", of(&[small.clone(), small, Method::Full, Method::Full]), gpus(1), 0, false, false),
    ];
    for (why, graph, places, slot, failed, joins) in cases {
        let actions = after(at_work(graph, places, POLICY), slot, failed);
        assert_eq!(matches!(actions[..], [GraphAction::Join { .. }]), joins, "{why}: {actions:?}");
    }
    let mut failed_before = at_work(graph(&[4, 4], &[example::lora(8)]), gpus(1), POLICY);
    step(
        &mut failed_before,
        &GraphEvent::JobFailed { job: JobId(0), failure: Failure::Killed { signal: 9 } },
    );
    step(&mut failed_before, &GraphEvent::JobStarted { job: JobId(0) });
    assert_eq!(after(failed_before, 0, false), []);
    let mut ending = at_work(graph(&[4, 4], &[example::lora(8)]), gpus(1), POLICY);
    step(&mut ending, &GraphEvent::StopRequested { force: false });
    assert_eq!(after(ending, 0, false), []);
}

#[test]
fn a_pack_has_more_time_with_every_trial_that_joins() {
    let policy = Policy { trial_timeout: Some(Duration::from_secs(60)), ..POLICY };
    let mut scheduler = at_work(graph(&[3, 1], &[example::lora(8)]), gpus(1), policy);
    let event = finished(&scheduler, 0);
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(240);
    assert!(
        matches!(step(&mut scheduler, &event)[..], [GraphAction::Join { .. }, GraphAction::WakeAt { at: then }] if then == at)
    );
}
