//! Owns the scheduler: what follows from an event.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use crate::cost::{Calibration, Standing};
use crate::job::Work;
use crate::plan::{Job, JobGraph, JobId};
use crate::sched::place::Places;
use crate::sched::queue::Queue;
use crate::sched::retry::Past;
use crate::sched::state::{Change, End, Transition, transition};
use crate::sched::{GraphAction, GraphEvent, JobState, Policy};
use crate::values::{Failure, Placement, TrialId};

/// Decides which job starts next, and where. Knows nothing but the graph, the places and the events.
#[derive(Clone, Debug)]
pub struct GraphScheduler {
    pub(super) graph: JobGraph,
    pub(super) states: Vec<JobState>,
    pub(super) queue: Queue,
    pub(super) ending: Option<Ending>,
    pub(super) policy: Policy,
    pub(super) places: Places,
    /// Jobs that need a job, by its position; emptied when it is over.
    pub(super) dependants: Vec<Vec<JobId>>,
    /// What the starts of each job so far have shown.
    pub(super) past: Vec<Past>,
    /// Trials that have their fate while the pack they are in may go on.
    pub(super) settled: BTreeSet<TrialId>,
    /// Paused jobs, by the time of their next start.
    paused: BTreeSet<(SystemTime, JobId)>,
    wake_at: Option<SystemTime>,
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
    /// Files can no longer be written.
    Unwritable,
    /// Nothing runs and nothing can start.
    Over,
}

impl GraphScheduler {
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
            past: vec![Past::default(); graph.len()],
            places: Places::new(places),
            graph,
            states,
            queue,
            policy,
            dependants,
            settled: BTreeSet::new(),
            paused: BTreeSet::new(),
            wake_at: None,
            ending: None,
            forced: false,
            ended: false,
        }
    }

    /// What to do now that this happened.
    ///
    /// An event that its job's state does not allow (the end of a job that was never launched, or of
    /// one that is over) and an event for an unknown job change nothing.
    pub fn step(&mut self, now: SystemTime, event: &GraphEvent) -> Vec<GraphAction> {
        let mut actions = match event {
            GraphEvent::RunStarted => Vec::new(),
            GraphEvent::JobStarted { job } => self.on_change(now, *job, Change::Started),
            GraphEvent::TrialFinished { job, trial } => {
                if self.settled.insert(*trial) {
                    self.fill(*job, *trial, false)
                } else {
                    Vec::new()
                }
            }
            GraphEvent::TrialFailed { job, trial } => {
                self.settled.insert(*trial);
                let mut actions = self.fail_fast(*job);
                actions.extend(self.fill(*job, *trial, true));
                actions
            }
            GraphEvent::TrialReturned { job, trial } => {
                self.take_back(*job, *trial);
                Vec::new()
            }
            GraphEvent::JobFinished { job } => self.on_change(now, *job, Change::Ended(End::Finished)),
            GraphEvent::JobFailed { job, failure } => {
                self.on_change(now, *job, Change::Ended(End::Failed(failure.clone())))
            }
            GraphEvent::JobInterrupted { job } => self.on_change(now, *job, Change::Ended(End::Interrupted)),
            GraphEvent::StopRequested { force } => self.on_stop(*force),
            GraphEvent::Woke => {
                self.wake_at = None;
                Vec::new()
            }
        };
        self.end_pauses(now);
        self.cut_short(now, &mut actions);
        self.launch_ready(now, &mut actions);
        actions.extend(self.end());
        actions.extend(self.wake());
        actions
    }

    fn on_change(&mut self, now: SystemTime, job: JobId, change: Change) -> Vec<GraphAction> {
        let Some(state) = self.states.get(index(job)) else { return Vec::new() };
        let circumstances = self.circumstances(now, job);
        let broken = matches!(&change, Change::Ended(End::Failed(failure)) if failure.blames_device());
        let unwritable = matches!(&change, Change::Ended(End::Failed(Failure::Unwritable { .. })));
        let memory = change == Change::Ended(End::Failed(Failure::OutOfMemory));
        let next = match transition(state, change, circumstances) {
            Transition::Refused => return Vec::new(),
            Transition::To(next) => next,
            Transition::Halve => JobState::Replaced { by: Vec::new() },
        };
        self.states[index(job)] = next.clone();
        if next.is_active() {
            return Vec::new();
        }
        let own_memory = self.places.has_own_memory(job);
        let retired = self.places.leave(job, broken);
        let mut actions: Vec<_> = retired.map(|device| GraphAction::Retire { device }).into_iter().collect();
        let past = &mut self.past[index(job)];
        if memory {
            past.ask_for_less(circumstances.rung, own_memory);
        } else if next != JobState::Done {
            past.failures += 1;
        }
        match next {
            JobState::Ready => self.make_ready(job),
            JobState::Paused { until } => _ = self.paused.insert((until, job)),
            JobState::Replaced { .. } => self.halve(job),
            JobState::Failed { .. } => {
                self.settle(job);
                actions.extend(self.fail_fast(job));
            }
            JobState::Done | JobState::Skipped { .. } | JobState::Cancelled => self.settle(job),
            JobState::Blocked { .. } | JobState::Launched { .. } | JobState::Running { .. } => {}
        }
        if unwritable && self.ending.is_none() {
            self.cancel_waiting(Ending::Unwritable);
            actions.extend(self.stop_seated(false));
        }
        actions
    }

    pub(super) fn make_ready(&mut self, job: JobId) {
        self.states[index(job)] = JobState::Ready;
        if self.past[index(job)].alone {
            self.queue.push_alone(job);
        } else {
            self.queue.push(job, self.graph.job(job));
        }
    }

    fn end_pauses(&mut self, now: SystemTime) {
        while let Some((until, job)) = self.paused.first().copied().filter(|(until, _)| *until <= now) {
            self.paused.remove(&(until, job));
            self.make_ready(job);
        }
    }

    /// Ends what has run for too long, unless everything was asked to end already.
    fn cut_short(&mut self, now: SystemTime, actions: &mut Vec<GraphAction>) {
        while self.ending.is_none()
            && let Some((job, force)) = self.places.overdue(now)
        {
            actions.push(GraphAction::CutShort { job, force });
        }
    }

    /// When to look again, where that has changed.
    fn wake(&mut self) -> Option<GraphAction> {
        let start = self.paused.first().map(|(until, _)| *until);
        let next = start.into_iter().chain(self.places.next_limit()).min().filter(|_| self.ending.is_none());
        let changed = next != self.wake_at;
        self.wake_at = next;
        next.filter(|_| changed).map(|at| GraphAction::WakeAt { at })
    }

    fn fail_fast(&mut self, job: JobId) -> Vec<GraphAction> {
        if !self.policy.fail_fast || self.ending.is_some() {
            return Vec::new();
        }
        self.cancel_waiting(Ending::FailFast(job));
        self.stop_seated(false)
    }

    fn on_stop(&mut self, force: bool) -> Vec<GraphAction> {
        let first = self.ending.is_none();
        if first {
            self.cancel_waiting(Ending::Asked);
        }
        if first || (force && !self.forced) { self.stop_seated(force) } else { Vec::new() }
    }

    /// Tells the dependants of a job that it is over: they become ready, or are skipped.
    pub(super) fn settle(&mut self, job: JobId) {
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
            | JobState::Replaced { .. }
            | JobState::Blocked { .. }
            | JobState::Ready
            | JobState::Paused { .. }
            | JobState::Launched { .. }
            | JobState::Running { .. } => None,
        }
    }

    fn cancel_waiting(&mut self, ending: Ending) {
        self.ending = Some(ending);
        self.queue.clear();
        self.paused.clear();
        for state in &mut self.states {
            if !state.is_active() && !state.is_over() {
                *state = JobState::Cancelled;
            }
        }
    }

    fn stop_seated(&mut self, force: bool) -> Vec<GraphAction> {
        self.forced = force;
        self.places.seated().map(|job| GraphAction::Stop { job, force }).collect()
    }

    /// Training first, so that what runs beside it gets only the cores that are left; what must be
    /// alone last, so that it keeps nobody waiting.
    fn launch_ready(&mut self, now: SystemTime, actions: &mut Vec<GraphAction>) {
        while let Some((job, placement)) = self.places.seat_training(&mut self.queue, now) {
            actions.push(self.launch(job, placement));
        }
        if let Some((job, placement)) = self.places.seat_host(&mut self.queue, now) {
            actions.push(self.launch(job, placement));
        }
        if let Some(job) = self.queue.first_alone() {
            let trains = matches!(self.graph.job(job).work, Work::Train(_));
            if let Some(placement) = self.places.seat_alone(job, trains, now) {
                self.queue.remove_alone(job);
                actions.push(self.launch(job, placement));
            }
        }
    }

    fn launch(&mut self, job: JobId, placement: Placement) -> GraphAction {
        let past = &mut self.past[index(job)];
        past.launches += 1;
        let (attempt, micro_rows) = (past.launches, past.micro_rows);
        if let (Some(limit), Work::Train(pack)) = (self.policy.trial_timeout, &self.graph.job(job).work) {
            let trials = u32::try_from(self.open(&pack.slots).count()).unwrap_or(u32::MAX);
            self.places.limit(job, limit.saturating_mul(trials.max(1)));
        }
        self.states[index(job)] = JobState::Launched { placement: placement.clone(), attempt };
        GraphAction::Launch { job, attempt, placement, micro_rows }
    }

    /// The end of the run, once. Everything that could start has been launched before, so that a
    /// job still waiting (there is no place to train) never starts.
    fn end(&mut self) -> Option<GraphAction> {
        if self.ended || !self.places.nobody_is_seated() || !self.paused.is_empty() {
            return None;
        }
        self.cancel_waiting(self.ending.unwrap_or(Ending::Over));
        self.ended = true;
        Some(GraphAction::End)
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

/// The report tells of failed and skipped jobs too; other work needs the whole of what
/// it stands on.
fn takes_what_there_is(job: &Job) -> bool {
    match job.work {
        Work::Report { .. } => true,
        Work::Prepare(_) | Work::Train(_) => false,
    }
}

pub(super) fn index(job: JobId) -> usize {
    job.0 as usize
}
