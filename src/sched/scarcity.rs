//! Laws and cases of runs in which memory, time or devices are short.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use crate::cost::Estimate;
use crate::job::{Pack, Work};
use crate::plan::{Job, JobGraph, JobId, example};
use crate::sched::simulation::places;
use crate::sched::{GraphAction, GraphEvent, GraphScheduler, JobState, Policy};
use crate::values::{ContentHash, Device, Failure, JobKey, Placement, Trial, TrialId};

const ONE: JobId = JobId(0);

/// Packs of so many trials each, and a report.
fn graph(packs: &[usize]) -> JobGraph {
    let sweep = example::sweep();
    let model = Arc::new(sweep.models["minilm-2"].clone());
    let mut trials = sweep.trials().into_iter();
    let mut graph = JobGraph::new();
    let estimate = Estimate { duration: Duration::from_secs(9), ..Estimate::default() };
    let mut push = |key, work, needs| graph.push(Job { key, work, needs, estimate });
    let packs: Vec<JobId> = packs
        .iter()
        .map(|n| {
            let slots: Vec<Trial> = trials.by_ref().take(*n).collect();
            let (task, store) = (Arc::clone(sweep.first_task()), ContentHash::of_bytes(b""));
            let key = JobKey::Train(slots[0].id);
            push(
                key,
                Work::Train(Box::new(Pack { task, model: Arc::clone(&model), store, slots })),
                Vec::new(),
            )
        })
        .collect();
    push(JobKey::Report, Work::Report { folder: PathBuf::new() }, packs);
    graph
}

/// A machine on which packs end in the order that a random number says, and run out of memory where
/// trials times rows are too many, twice as soon beside others.
struct Machine {
    scheduler: GraphScheduler,
    capacity: usize,
    working: Vec<Start>,
    tried: BTreeSet<(Vec<TrialId>, usize, bool)>,
    done: BTreeSet<TrialId>,
    ended: bool,
}

struct Start {
    job: JobId,
    trials: Vec<TrialId>,
    rows: usize,
    shared: bool,
}

impl Machine {
    fn happen(&mut self, event: &GraphEvent) {
        for action in self.scheduler.step(SystemTime::UNIX_EPOCH, event) {
            match action {
                GraphAction::Launch { job, micro_rows, .. } => self.start(job, micro_rows),
                GraphAction::End => self.ended = true,
                GraphAction::Join { .. }
                | GraphAction::Stop { .. }
                | GraphAction::CutShort { .. }
                | GraphAction::Retire { .. }
                | GraphAction::WakeAt { .. } => {
                    panic!("{action:?}")
                }
            }
        }
    }

    fn start(&mut self, job: JobId, micro_rows: Option<usize>) {
        let shared = !self.working.is_empty();
        self.working.iter_mut().for_each(|other| other.shared = true);
        let trials = self.scheduler.graph().job(job).trials();
        let trials = trials.into_iter().filter(|trial| !self.done.contains(trial)).collect();
        self.working.push(Start { job, trials, rows: micro_rows.unwrap_or(32), shared });
    }

    fn end(&mut self, pick: usize) {
        let Start { job, trials, rows, shared } = self.working.swap_remove(pick % self.working.len());
        if trials.len() * rows * (1 + usize::from(shared)) <= self.capacity || trials.is_empty() {
            self.done.extend(trials);
            return self.happen(&GraphEvent::JobFinished { job });
        }
        assert!(self.tried.insert((trials.clone(), rows, shared)), "the same was tried again");
        if let [first, _, ..] = trials[..]
            && pick.is_multiple_of(3)
        {
            self.done.insert(first);
            self.happen(&GraphEvent::TrialFinished { job, trial: first });
        }
        self.happen(&GraphEvent::JobFailed { job, failure: Failure::OutOfMemory });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lack_of_memory_fails_nothing_that_fits_alone_row_by_row(
        packs in proptest::collection::vec(1..=5_usize, 1..=3),
        places_n in 1..=3_usize,
        capacity in 0..200_usize,
        picks in proptest::collection::vec(any::<u16>(), 300),
    ) {
        let all: usize = packs.iter().sum();
        let scheduler = GraphScheduler::new(graph(&packs), places(places_n), Policy::ONCE);
        let mut machine = Machine {
            scheduler, capacity, working: Vec::new(), tried: BTreeSet::new(), done: BTreeSet::new(), ended: false,
        };
        machine.happen(&GraphEvent::RunStarted);
        let mut picks = picks.into_iter().map(usize::from);
        while !machine.ended {
            machine.end(picks.next().expect("a run of 15 trials ends within 300 starts"));
        }
        prop_assert_eq!(machine.done.len(), if capacity > 0 { all } else { machine.done.len() });
        for (id, job) in machine.scheduler.graph().iter() {
            let state = machine.scheduler.state(id);
            let open = job.trials().iter().any(|trial| !machine.done.contains(trial));
            let fits = !open || matches!(state, JobState::Replaced { .. });
            prop_assert_eq!(*state == JobState::Failed { reason: Failure::OutOfMemory }, !fits, "{}", job.key);
            prop_assert!(state.is_over());
        }
    }
}

fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(second)
}

fn started(packs: &[usize], places: Vec<Placement>, policy: Policy) -> GraphScheduler {
    let mut scheduler = GraphScheduler::new(graph(packs), places, policy);
    scheduler.step(at(0), &GraphEvent::RunStarted);
    scheduler
}

fn failed(job: JobId, failure: &Failure) -> GraphEvent {
    GraphEvent::JobFailed { job, failure: failure.clone() }
}

#[test]
fn a_pack_that_is_halved_keeps_its_dependants_waiting_and_its_names() {
    let mut scheduler = started(&[3], places(2), Policy::ONCE);
    let trials = scheduler.graph().job(ONE).trials();
    scheduler.step(at(1), &GraphEvent::TrialFinished { job: ONE, trial: trials[0] });
    let actions = scheduler.step(at(2), &failed(ONE, &Failure::OutOfMemory));
    let halves = [JobId(2), JobId(3)];
    let started =
        |action: &GraphAction| if let GraphAction::Launch { job, .. } = action { Some(*job) } else { None };
    assert_eq!(actions.iter().filter_map(started).collect::<Vec<_>>(), halves);
    for (half, trial) in halves.iter().zip(&trials[1..]) {
        let job = scheduler.graph().job(*half);
        assert_eq!((job.key, job.trials()), (JobKey::Train(*trial), vec![*trial]));
    }
    let text = scheduler.explain(ONE).to_string();
    assert_eq!(
        text,
        format!(
            "ran out of memory; its trials are divided over `train-{}`, `train-{}`",
            trials[1], trials[2]
        )
    );
    assert_eq!(scheduler.step(at(3), &GraphEvent::JobFinished { job: halves[0] }), []);
    assert_eq!(*scheduler.state(JobId(1)), JobState::Blocked { unmet: 1 });
    let last = scheduler.step(at(4), &GraphEvent::JobFinished { job: halves[1] });
    assert!(matches!(last[..], [GraphAction::Launch { job: JobId(1), .. }]), "{last:?}");
}

#[test]
fn a_trial_that_had_a_gpu_to_itself_goes_on_with_fewer_rows_at_once() {
    let gpus = [0, 1].map(|index| Placement { device: Device::Cuda { index }, cores: vec![index] });
    let mut scheduler = started(&[1, 1], gpus.to_vec(), Policy::ONCE);
    let actions = scheduler.step(at(1), &failed(ONE, &Failure::OutOfMemory));
    assert!(matches!(actions[..], [GraphAction::Launch { job: ONE, attempt: 2, micro_rows: Some(16), .. }]));
}

#[test]
fn a_trial_that_shared_the_hosts_memory_waits_until_nothing_else_runs() {
    let mut scheduler = started(&[1, 1, 1], places(2), Policy::ONCE);
    scheduler.step(at(1), &failed(ONE, &Failure::OutOfMemory));
    assert_eq!(
        scheduler.explain(ONE).to_string(),
        "ready; ran out of memory before, and waits until nothing else runs, behind 0 jobs"
    );
    assert_eq!(scheduler.step(at(2), &GraphEvent::JobFinished { job: JobId(1) }), []);
    let last = scheduler.step(at(3), &GraphEvent::JobFinished { job: JobId(2) });
    assert!(
        matches!(last[..], [GraphAction::Launch { job: ONE, attempt: 2, micro_rows: None, .. }]),
        "{last:?}"
    );
}

#[test]
fn pauses_double_up_to_five_minutes_and_failures_are_counted() {
    let policy = Policy { attempts: 20, pause: Duration::from_secs(10), ..Policy::ONCE };
    let mut scheduler = started(&[1], places(1), policy);
    let mut now = 0;
    for pause in [10, 20, 40, 80, 160, 300, 300] {
        let wake = scheduler.step(at(now), &failed(ONE, &Failure::Hung));
        now += pause;
        assert_eq!(wake, [GraphAction::WakeAt { at: at(now) }]);
        assert_eq!(scheduler.step(at(now - 1), &GraphEvent::Woke), wake, "too early");
        let again = scheduler.step(at(now), &GraphEvent::Woke);
        assert!(matches!(again[..], [GraphAction::Launch { job: ONE, .. }]), "{again:?}");
    }
    scheduler.step(at(now), &failed(ONE, &Failure::Hung));
    assert_eq!(scheduler.explain(ONE).to_string(), "failed 8 times; starts again after a pause");
    assert_eq!(scheduler.step(at(now), &GraphEvent::StopRequested { force: false }), [GraphAction::End]);
}

#[test]
fn a_pack_has_the_time_of_all_its_trials_and_is_asked_before_it_is_killed() {
    let policy = Policy { trial_timeout: Some(Duration::from_secs(60)), attempts: 3, ..Policy::ONCE };
    let mut scheduler = GraphScheduler::new(graph(&[3]), places(1), policy);
    let begun = scheduler.step(at(0), &GraphEvent::RunStarted);
    assert_eq!(begun[1..], [GraphAction::WakeAt { at: at(180) }]);
    let asked = scheduler.step(at(180), &GraphEvent::Woke);
    assert_eq!(
        asked,
        [GraphAction::CutShort { job: ONE, force: false }, GraphAction::WakeAt { at: at(210) }]
    );
    assert_eq!(scheduler.step(at(210), &GraphEvent::Woke), [GraphAction::CutShort { job: ONE, force: true }]);
    scheduler.step(at(211), &failed(ONE, &Failure::TimedOut));
    assert_eq!(*scheduler.state(ONE), JobState::Failed { reason: Failure::TimedOut });
}

#[test]
fn a_device_is_out_of_service_when_two_jobs_in_a_row_lost_it() {
    let lost = Failure::DeviceFailed { message: "CUDA error".to_owned() };
    let policy = Policy { attempts: 3, ..Policy::ONCE };
    let mut scheduler = started(&[1, 1, 1], places(1), policy);
    let retired =
        |actions: &[GraphAction]| actions.contains(&GraphAction::Retire { device: Device::Cpu { slot: 0 } });
    // The same job again tells of the job as much as of the device.
    assert!(!retired(&scheduler.step(at(1), &failed(ONE, &lost))));
    assert!(!retired(&scheduler.step(at(2), &failed(ONE, &lost))));
    assert!(!retired(&scheduler.step(at(3), &failed(ONE, &lost))));
    let actions = scheduler.step(at(4), &failed(JobId(1), &lost));
    assert!(retired(&actions));
    // The report needs what was cancelled, so that nothing is left but to end; the next run goes on.
    assert_eq!(actions.last(), Some(&GraphAction::End));
    assert_eq!(*scheduler.state(JobId(1)), JobState::Cancelled);
    assert_eq!(*scheduler.state(JobId(2)), JobState::Cancelled);
}

#[test]
fn other_devices_go_on_and_a_success_clears_the_name_of_one() {
    let lost = Failure::HostLost;
    let policy = Policy { attempts: 9, ..Policy::ONCE };
    let mut scheduler = started(&[1, 1, 1, 1], places(2), policy);
    scheduler.step(at(1), &failed(ONE, &lost));
    // Packs of one length start in graph order: the first again, on the place that it lost.
    scheduler.step(at(2), &GraphEvent::JobFinished { job: ONE });
    let actions = scheduler.step(at(3), &failed(JobId(2), &lost));
    assert!(matches!(actions[..], [GraphAction::Launch { job: JobId(2), .. }]), "{actions:?}");
    scheduler.step(at(4), &GraphEvent::JobFinished { job: JobId(2) });
    scheduler.step(at(5), &failed(JobId(3), &lost));
    assert_eq!(
        *scheduler.state(JobId(1)),
        JobState::Launched { placement: places(2)[1].clone(), attempt: 1 }
    );
}
