//! Owns the scheduler: what follows from an event.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::sched::chores::{ChoreState, Chores};
use crate::sched::ends::{Circumstances, End, Next, Past};
use crate::sched::jobs::{Doing, Job, Pace, Training};
use crate::sched::memory::{Fallback, Known, Load, Memory, fallback};
use crate::sched::places::Places;
use crate::sched::pool::Pool;
use crate::sched::trial::{Change, TrialState, Turn, transition};
use crate::sched::workload::{TrialNo, Workload};
use crate::sched::{Action, Limits, Policy, simulate};
use crate::values::{Failure, JobKey, Placement, TrialId, What};

/// Decides which trials start next, together and where. Knows nothing but its workload, the places and the
/// events.
#[derive(Clone, Debug)]
pub struct Scheduler {
    pub(super) work: Arc<Workload>,
    pub(super) policy: Policy,
    pub(super) limits: Limits,
    pub(super) trials: Vec<Standing>,
    pub(super) pool: Pool,
    pub(super) chores: Chores,
    pub(super) places: Places,
    pub(super) jobs: BTreeMap<JobKey, Job>,
    pub(super) memory: Known,
    pub(super) pace: Pace,
    /// Trials that wait for the time of their next start, by that and by the start that failed.
    pub(super) paused: BTreeMap<(SystemTime, usize), Vec<TrialNo>>,
    /// How many trials are not over.
    pub(super) open: usize,
    /// How many packs have been started.
    pub(super) starts: usize,
    /// The job at work wants nothing beside it.
    pub(super) closed: bool,
    /// Jobs were asked to stop, or nothing can start: nothing starts any more.
    pub(super) ending: bool,
    /// Jobs at work were told to die.
    pub(super) forced: bool,
    pub(super) ended: bool,
    pub(super) wake_at: Option<SystemTime>,
}

/// A trial's state, and what its starts so far have shown.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) state: TrialState,
    pub(super) past: Past,
}

/// The slot of a trial that ended while its job may go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vacancy {
    pub(super) job: JobKey,
    pub(super) ended: TrialNo,
    pub(super) failed: bool,
}

impl Scheduler {
    /// A scheduler at the start of a run. Without any place, nothing trains.
    #[must_use]
    pub fn new(work: Arc<Workload>, places: Vec<Placement>, limits: Limits, policy: Policy) -> Self {
        let waiting = TrialState::Waiting { turn: Turn::InLane };
        Self {
            policy,
            limits,
            trials: vec![Standing { state: waiting, past: Past::default() }; work.trials.len()],
            pool: Pool::full(&work),
            chores: Chores::of(&work),
            places: Places::new(places),
            jobs: BTreeMap::new(),
            memory: Known::default(),
            pace: Pace::default(),
            paused: BTreeMap::new(),
            open: work.trials.len(),
            starts: 0,
            closed: false,
            ending: false,
            forced: false,
            ended: false,
            wake_at: None,
            work,
        }
    }

    /// What to do now that this happened.
    ///
    /// An event that makes no sense (the end of a job that is not at work, or of a trial that is in none)
    /// changes nothing, and neither does one of an unknown trial.
    pub fn step(&mut self, now: SystemTime, what: &What) -> Vec<Action> {
        if let What::TrialProgressed { progress, .. } = what {
            self.hear(now, progress);
            return Vec::new();
        }
        let (mut actions, vacancy) = self.apply(now, what);
        actions.extend(self.decide(now));
        actions.extend(vacancy.and_then(|vacancy| self.fill(vacancy)));
        actions.extend(self.end());
        actions.extend(self.wake());
        actions
    }

    /// Takes in what happened in a process whose journal this is, without deciding anything: what that
    /// process decided is among what happened. After `Woke` it stands as that process does at this time.
    pub fn replay(&mut self, at: SystemTime, what: &What) {
        self.end_pauses(at);
        if let What::JobLaunching { key, placement, trials, .. } = what {
            let trials: Vec<TrialNo> = trials.iter().filter_map(|id| self.work.number(*id)).collect();
            if let Some(chore) = self.chores.number(*key) {
                self.seat_chore(at, chore, placement.clone());
            } else if let Some(place) = self.places.with_device(placement.device)
                && !trials.is_empty()
            {
                self.seat_pack(at, *key, place, &trials);
            }
        } else if let What::TrialJoining { key, trial } = what {
            if let Some(trial) = self.work.number(*trial) {
                self.admit(*key, trial);
            }
        } else if let What::RunEnded { .. } = what {
            self.cancel_waiting();
        } else {
            drop(self.apply(at, what));
        }
    }

    /// Where a trial stands; `None` where it is not among those to do.
    #[must_use]
    pub fn state(&self, trial: TrialId) -> Option<&TrialState> {
        self.work.number(trial).map(|trial| &self.trials[trial].state)
    }

    /// How much longer the run is thought to take.
    #[must_use]
    pub fn remaining(&self, now: SystemTime) -> Duration {
        simulate(self, now).makespan
    }

    /// What follows at once, and the slot that became free in a pack that may go on.
    fn apply(&mut self, now: SystemTime, what: &What) -> (Vec<Action>, Option<Vacancy>) {
        let mut vacancy = None;
        let actions = match what {
            What::JobStarted { key, .. } => {
                if let Some(job) = self.jobs.get_mut(key) {
                    job.is_up = true;
                }
                Vec::new()
            }
            What::TrialFinished { trial, .. } => {
                vacancy = self.end_trial(*trial, Change::Finished);
                Vec::new()
            }
            What::TrialFailed { trial, failure } => {
                vacancy = self.end_trial(*trial, Change::Failed { failure: failure.clone() });
                if vacancy.is_some() { self.fail_fast() } else { Vec::new() }
            }
            What::TrialReturned { key, trial } => {
                self.take_back(*key, *trial);
                Vec::new()
            }
            What::JobFinished { key } => self.on_end(now, *key, None),
            What::JobFailed { key, failure } => self.on_end(now, *key, Some(End::Failed(failure))),
            What::JobInterrupted { key } => self.on_end(now, *key, Some(End::Interrupted)),
            What::StopRequested { force } => self.on_stop(*force),
            What::Woke => {
                self.wake_at = None;
                Vec::new()
            }
            // Decisions of its own, and what is for others.
            What::RunStarted { .. }
            | What::RunPlanned { .. }
            | What::JobLaunching { .. }
            | What::TrialJoining { .. }
            | What::TrialJoined { .. }
            | What::TrialProgressed { .. }
            | What::TrialEvaluated { .. }
            | What::DeviceRetired { .. }
            | What::Forecast { .. }
            | What::Warned { .. }
            | What::RunEnded { .. } => Vec::new(),
        };
        (actions, vacancy)
    }

    /// The one way in which a trial changes its state, so that the pool holds those that wait.
    pub(super) fn change(&mut self, trial: TrialNo, change: Change) {
        let state = &mut self.trials[trial].state;
        let Some(next) = transition(state, change) else { return };
        if let TrialState::Waiting { turn } = std::mem::replace(state, next.clone()) {
            self.pool.take(&self.work, trial, turn);
        }
        if let TrialState::Waiting { turn } = next {
            self.pool.add(&self.work, trial, turn);
        }
        self.open -= usize::from(next.is_over());
    }

    /// Ends a trial while its job may go on.
    fn end_trial(&mut self, id: TrialId, change: Change) -> Option<Vacancy> {
        let ended = self.work.number(id)?;
        let (state, failed) = (self.trials[ended].state.clone(), change != Change::Finished);
        self.change(ended, change);
        let TrialState::Placed { job } = state else { return None };
        self.jobs.get_mut(&job)?.training_mut()?.open.retain(|trial| *trial != ended);
        Some(Vacancy { job, ended, failed })
    }

    /// Makes a trial wait again that a job was given and did not take.
    fn take_back(&mut self, key: JobKey, id: TrialId) {
        let Some(trial) = self.work.number(id) else { return };
        let Some(training) = self.jobs.get_mut(&key).and_then(Job::training_mut) else { return };
        if self.trials[trial].state != (TrialState::Placed { job: key }) {
            return;
        }
        training.open.retain(|other| *other != trial);
        training.given.retain(|other| *other != trial);
        training.estimate = training.estimate.saturating_sub(self.work.trials[trial].time.alone());
        self.trials[trial].past.starts -= 1;
        let back = Change::Returned { turn: Turn::InLane };
        self.change(trial, if self.ending { Change::Cancelled } else { back });
    }

    fn on_end(&mut self, now: SystemTime, key: JobKey, end: Option<End<'_>>) -> Vec<Action> {
        let Some(job) = self.jobs.remove(&key) else { return Vec::new() };
        self.closed = false;
        let mut actions = match &job.doing {
            Doing::Train(training) => self.end_pack(now, &job, training, end),
            Doing::Beside(chore) => self.end_chore(now, &job, *chore, end),
        };
        if matches!(end, Some(End::Failed(Failure::Unwritable { .. }))) && !self.ending {
            actions.extend(self.stop(false));
        }
        actions
    }

    fn end_pack(
        &mut self,
        now: SystemTime,
        job: &Job,
        training: &Training,
        end: Option<End<'_>>,
    ) -> Vec<Action> {
        let Training { place, shape, open, given, rows, start, .. } = training;
        let broken = matches!(end, Some(End::Failed(failure)) if failure.blames_device());
        let retired = self.places.leave(*place, given, broken);
        let mut actions: Vec<Action> = retired.map(|device| Action::Retire { device }).into_iter().collect();
        let memory = Memory::of(&job.placement);
        let lacked = end == Some(End::Failed(&Failure::OutOfMemory));
        let load = Load { trials: open.len(), rows: *rows, alone: job.had_its_memory_alone() };
        let policy = self.policy;
        let circumstances = Circumstances {
            policy: &policy,
            now,
            ending: self.ending,
            fallback: if lacked && !open.is_empty() {
                self.memory.learn(*shape, memory, load)
            } else {
                Fallback::Exhausted
            },
            shares_memory: memory == Memory::Host,
        };
        let (mut trials, mut reason) = (Vec::new(), None);
        for trial in open.iter().copied() {
            let next = end.map(|end| circumstances.next(end, &mut self.trials[trial].past));
            let turn = if lacked { Turn::InLane } else { Turn::Together { start: *start } };
            let turn = if self.trials[trial].past.alone { Turn::Alone } else { turn };
            let change = match next {
                None => Change::Finished,
                Some(Next::Ready) => Change::Returned { turn },
                Some(Next::At(until)) => {
                    self.paused.entry((until, *start)).or_default().push(trial);
                    Change::Paused { until }
                }
                Some(Next::Failed(failure)) => {
                    trials.push(self.work.id(trial));
                    reason = Some(failure.clone());
                    Change::Failed { failure }
                }
                Some(Next::Cancelled) => Change::Cancelled,
            };
            self.change(trial, change);
        }
        if let Some(failure) = reason {
            actions.push(Action::GiveUp { trials, failure });
            actions.extend(self.fail_fast());
        }
        actions
    }

    fn end_chore(&mut self, now: SystemTime, job: &Job, number: usize, end: Option<End<'_>>) -> Vec<Action> {
        let load = Load { trials: 0, rows: 1, alone: job.had_its_memory_alone() };
        let circumstances = Circumstances {
            policy: &self.policy,
            now,
            ending: self.ending,
            fallback: fallback(load),
            shares_memory: true,
        };
        let chore = &mut self.chores.all[number];
        let next = end.map(|end| circumstances.next(end, &mut chore.past));
        let failed = matches!(next, Some(Next::Failed(_)));
        chore.state = match next {
            None => ChoreState::Done,
            Some(Next::Ready) => ChoreState::Waiting,
            Some(Next::At(until)) => ChoreState::Paused { until },
            Some(Next::Failed(failure)) => ChoreState::Failed { failure },
            Some(Next::Cancelled) => ChoreState::Cancelled,
        };
        if chore.state.is_over() && chore.state != ChoreState::Done {
            self.skip_those_that_need(number);
        }
        if failed { self.fail_fast() } else { Vec::new() }
    }

    fn skip_those_that_need(&mut self, store: usize) {
        let Some(of) = self.work.stores.get(store) else { return };
        let key = of.prepare.store;
        for trial in 0..self.trials.len() {
            if self.work.shapes[self.work.shape_of(trial)].store == store {
                self.change(trial, Change::Skipped { store: key });
            }
        }
    }
}
