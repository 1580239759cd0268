//! Owns the scheduler: what follows from an event.

use std::time::{Duration, SystemTime};

use crate::job::{Placement, Work};
use crate::plan::cost::{Calibration, Standing};
use crate::plan::{Job, JobGraph, JobId};
use crate::sched::place::{Places, Queue};
use crate::sched::state::{Change, Circumstances, End, Transition, transition};
use crate::sched::{Action, Event, JobState, Policy};

/// Decides which job starts next, and where. Knows nothing but the graph, the places and the events.
#[derive(Clone, Debug)]
pub struct Scheduler {
    pub(super) graph: JobGraph,
    pub(super) states: Vec<JobState>,
    pub(super) queue: Queue,
    pub(super) ending: Option<Ending>,
    policy: Policy,
    places: Places,
    /// Jobs that need a job, by its position; emptied when it is over.
    dependants: Vec<Vec<JobId>>,
    /// How often each job was launched.
    launches: Vec<u32>,
    /// Running jobs were told to die.
    forced: bool,
    ended: bool,
}

/// Why a run ends before its jobs are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The user asked.
    Asked,
    /// This job failed, and the policy is to fail fast.
    FailFast(JobId),
    /// Nothing runs and nothing can start.
    Over,
}

impl Scheduler {
    /// A scheduler at the start of a run. Without any place, nothing trains.
    #[must_use]
    pub fn new(graph: JobGraph, places: Vec<Placement>, policy: Policy) -> Self {
        let mut dependants = vec![Vec::new(); graph.len()];
        let mut queue = Queue::default();
        let mut states = Vec::with_capacity(graph.len());
        for (id, job) in graph.iter() {
            job.needs.iter().for_each(|need| dependants[index(*need)].push(id));
            if job.needs.is_empty() {
                queue.push(id, job);
                states.push(JobState::Ready);
            } else {
                states.push(JobState::Blocked { unmet: job.needs.len() });
            }
        }
        Self {
            launches: vec![0; graph.len()],
            places: Places::new(places),
            graph,
            states,
            queue,
            policy,
            dependants,
            ending: None,
            forced: false,
            ended: false,
        }
    }

    /// What to do now that this happened.
    ///
    /// An event that its job's state does not allow (the end of a job that was never launched, or of
    /// one that is over) and an event for an unknown job change nothing.
    pub fn step(&mut self, now: SystemTime, event: &Event) -> Vec<Action> {
        let mut actions = match event {
            Event::RunStarted => Vec::new(),
            Event::JobStarted { job } => self.on_change(*job, Change::Started),
            Event::JobFinished { job } => self.on_change(*job, Change::Ended(End::Finished)),
            Event::JobFailed { job, failure } => {
                self.on_change(*job, Change::Ended(End::Failed(failure.clone())))
            }
            Event::JobInterrupted { job } => self.on_change(*job, Change::Ended(End::Interrupted)),
            Event::StopRequested { force } => self.on_stop(*force),
        };
        self.launch_ready(now, &mut actions);
        actions.extend(self.end());
        actions
    }

    fn on_change(&mut self, job: JobId, change: Change) -> Vec<Action> {
        let Some(state) = self.states.get_mut(index(job)) else { return Vec::new() };
        let now = Circumstances { attempts: self.policy.attempts, ending: self.ending.is_some() };
        let Transition::To(next) = transition(state, change, now) else { return Vec::new() };
        *state = next;
        if state.is_active() {
            return Vec::new();
        }
        let failed = matches!(state, JobState::Failed { .. });
        let again = *state == JobState::Ready;
        self.places.leave(job);
        if again {
            self.queue.push(job, self.graph.job(job));
        } else {
            self.settle(job);
        }
        if failed && self.policy.fail_fast && self.ending.is_none() {
            self.cancel_waiting(Ending::FailFast(job));
            return self.stop_seated(false);
        }
        Vec::new()
    }

    fn on_stop(&mut self, force: bool) -> Vec<Action> {
        let first = self.ending.is_none();
        if first {
            self.cancel_waiting(Ending::Asked);
        }
        if first || (force && !self.forced) { self.stop_seated(force) } else { Vec::new() }
    }

    /// Tells the dependants of a job that it is over: they become ready, or are skipped.
    fn settle(&mut self, job: JobId) {
        let mut over = vec![job];
        while let Some(job) = over.pop() {
            let missing = self.missing_through(job);
            for id in std::mem::take(&mut self.dependants[index(job)]) {
                let JobState::Blocked { unmet } = &mut self.states[index(id)] else { continue };
                let dependant = self.graph.job(id);
                if let Some(because) = missing.filter(|_| !takes_what_there_is(dependant)) {
                    self.states[index(id)] = JobState::Skipped { because };
                    over.push(id);
                } else if *unmet > 1 {
                    *unmet -= 1;
                } else {
                    self.states[index(id)] = JobState::Ready;
                    self.queue.push(id, dependant);
                }
            }
        }
    }

    /// The job whose end left the work of `job` undone: itself, or the one it was skipped for.
    fn missing_through(&self, job: JobId) -> Option<JobId> {
        match &self.states[index(job)] {
            JobState::Failed { .. } | JobState::Cancelled => Some(job),
            JobState::Skipped { because } => Some(*because),
            JobState::Done
            | JobState::Blocked { .. }
            | JobState::Ready
            | JobState::Launched { .. }
            | JobState::Running { .. } => None,
        }
    }

    fn cancel_waiting(&mut self, ending: Ending) {
        self.ending = Some(ending);
        self.queue.clear();
        for state in &mut self.states {
            if !state.is_active() && !state.is_over() {
                *state = JobState::Cancelled;
            }
        }
    }

    fn stop_seated(&mut self, force: bool) -> Vec<Action> {
        self.forced = force;
        self.places.seated().map(|job| Action::Stop { job, force }).collect()
    }

    /// Training first, so that what runs beside it gets only the cores that are left.
    fn launch_ready(&mut self, now: SystemTime, actions: &mut Vec<Action>) {
        while let Some((job, placement)) = self.places.seat_training(&mut self.queue, now) {
            actions.push(self.launch(job, placement));
        }
        if let Some((job, placement)) = self.places.seat_host(&mut self.queue, now) {
            actions.push(self.launch(job, placement));
        }
    }

    fn launch(&mut self, job: JobId, placement: Placement) -> Action {
        self.launches[index(job)] += 1;
        let attempt = self.launches[index(job)];
        self.states[index(job)] = JobState::Launched { placement: placement.clone(), attempt };
        Action::Launch { job, attempt, placement }
    }

    /// The end of the run, once. Everything that could start has been launched before, so that a
    /// job still waiting (there is no place to train) never starts.
    fn end(&mut self) -> Option<Action> {
        if self.ended || !self.places.nobody_is_seated() {
            return None;
        }
        self.cancel_waiting(self.ending.unwrap_or(Ending::Over));
        self.ended = true;
        Some(Action::End)
    }

    /// Where a job stands.
    ///
    /// # Panics
    /// When the graph has no such job.
    #[must_use]
    pub fn state(&self, job: JobId) -> &JobState {
        &self.states[index(job)]
    }

    /// The jobs that it schedules.
    #[must_use]
    pub fn graph(&self) -> &JobGraph {
        &self.graph
    }

    /// How much longer the run is thought to take.
    #[must_use]
    pub fn remaining(&self, now: SystemTime, calibration: &Calibration) -> Duration {
        calibration.predict_remaining(&self.graph, &|job| {
            if self.states[index(job)].is_over() {
                return Standing::Over;
            }
            let since = self.places.since(job);
            since.map_or(Standing::Waiting, |t| Standing::Running(now.duration_since(t).unwrap_or_default()))
        })
    }
}

/// Summaries and the report tell of failed and skipped jobs too; other work needs the whole of what
/// it stands on.
fn takes_what_there_is(job: &Job) -> bool {
    match job.work {
        Work::Summarise { .. } | Work::Report { .. } => true,
        Work::Prepare(_) | Work::Train(_) => false,
    }
}

fn index(job: JobId) -> usize {
    job.0 as usize
}
