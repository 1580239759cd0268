//! Owns the scheduler's state, and what an event changes in it. What starts or stops is decided in `decide`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::sched::chores::Chores;
use crate::sched::ends::{End, Past};
use crate::sched::jobs::{Job, Pace};
use crate::sched::memory::Known;
use crate::sched::places::Places;
use crate::sched::pool::Pool;
use crate::sched::trial::{Change, Part, TrialState, Turn, transition};
use crate::sched::workload::{TrialNo, Workload};
use crate::sched::{Action, Limits, Policy, simulate};
use crate::search::Brackets;
use crate::values::{JobKey, Resources, TrialId, What};

/// Decides which trials start next, together and where. Knows nothing but its workload, the resources and the
/// events.
#[derive(Clone, Debug)]
pub struct Scheduler {
    /// Changed only in what trials cost until their next pause.
    pub(super) work: Arc<Workload>,
    /// Who is compared with whom, to stop those that cannot win.
    pub(super) brackets: Brackets,
    /// A decision was announced that has not come back as an event.
    pub(super) announced: bool,
    /// A slot that became free and was offered to nobody yet.
    pub(super) vacancy: Option<Vacancy>,
    /// Trials that go on once the job has ended that is called after them.
    pub(super) after_namesake: BTreeSet<TrialNo>,
    pub(super) policy: Policy,
    pub(super) limits: Limits,
    pub(super) trials: Vec<Standing>,
    pub(super) pool: Pool,
    pub(super) chores: Chores,
    pub(super) places: Places,
    pub(super) jobs: BTreeMap<JobKey, Job>,
    pub(super) memory: Known,
    pub(super) pace: Pace,
    /// Trials that pause before their next start, by its time and by what they start with.
    pub(super) paused: BTreeSet<(SystemTime, Turn, TrialNo)>,
    /// Trials that were given up, and whose failure has not come back as an event: those of a pack come one by one.
    pub(super) given_up: BTreeSet<TrialNo>,
    /// Number of trials that are not over.
    pub(super) open: usize,
    /// Number of groups of trials that failed together, so far.
    pub(super) groups: usize,
    /// A running job must have nothing else running.
    pub(super) closed: bool,
    /// Jobs were asked to stop, or nothing can start: no job starts any more.
    pub(super) ending: bool,
    /// Running jobs were killed.
    pub(super) forced: bool,
    pub(super) ended: bool,
    pub(super) wake_at: Option<SystemTime>,
}

/// A trial's state, and what is known from its starts.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) state: TrialState,
    pub(super) past: Past,
    pub(super) part: Part,
    /// While it trains, a person ordered it to stop.
    pub(super) is_ordered: bool,
}

/// The slot of an ended trial whose job may go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vacancy {
    pub(super) job: JobKey,
    pub(super) ended: TrialNo,
    pub(super) failed: bool,
}

impl Scheduler {
    /// A scheduler at the start of a run. Trials that are wider than these resources never train.
    #[must_use]
    pub fn new(work: Arc<Workload>, resources: Resources, limits: Limits, policy: Policy) -> Self {
        let places = Places::new(resources, policy.rest, &|name| work.gpu_kind(name));
        let waiting = TrialState::Waiting { turn: Turn::InLane };
        Self {
            policy,
            limits,
            trials: vec![
                Standing {
                    state: waiting,
                    past: Past::default(),
                    part: Part::WHOLE,
                    is_ordered: false
                };
                work.trials.len()
            ],
            brackets: Brackets::default(),
            announced: false,
            vacancy: None,
            after_namesake: BTreeSet::new(),
            pool: Pool::of(&work, &|_| true),
            chores: Chores::of(&work, places.free_cores().len()),
            places,
            jobs: BTreeMap::new(),
            memory: Known::default(),
            pace: Pace::default(),
            paused: BTreeSet::new(),
            given_up: BTreeSet::new(),
            open: work.trials.len(),
            groups: 0,
            closed: false,
            ending: false,
            forced: false,
            ended: false,
            wake_at: None,
            work,
        }
    }

    /// Takes in an event and returns what to do.
    ///
    /// An event that makes no sense (the end of a job that does not run, or of a trial in no job) changes
    /// nothing, nor does an event of an unknown trial. A free slot is filled only after free places, since a
    /// place trains a whole pack.
    pub fn step(&mut self, now: SystemTime, what: &What) -> Vec<Action> {
        if let What::TrialProgressed { progress, .. } = what {
            self.hear(now, progress);
            return Vec::new();
        }
        // Whether or not anything may start now, as one that replays this does.
        self.end_pauses(now);
        let (mut actions, vacancy) = self.apply(now, what);
        self.vacancy = vacancy.or(self.vacancy);
        match self.brackets.due().filter(|_| !self.ending) {
            // What is decided comes back as an event, after those of actions that were there before. Nothing starts
            // until then, as it may be in the way of a trial that goes on.
            Some(_) if self.announced => {}
            Some(decision) => {
                self.announced = true;
                actions.push(Action::Announce(decision));
            }
            // Nor does anything start, or the run end, before the failure that a decision waits for has come back.
            None if self.awaits_failure() => {}
            None => {
                actions.extend(self.decide(now));
                let vacancy = self.vacancy.take();
                actions.extend(vacancy.and_then(|vacancy| self.fill(vacancy)));
                actions.extend(self.end(now));
            }
        }
        actions.extend(self.wake());
        actions
    }

    /// Takes in an event from a journal, without deciding anything: the decisions of the process that wrote it
    /// are among its events. After `Woke` the state equals that process's state at this time.
    pub fn replay(&mut self, at: SystemTime, what: &What) {
        self.end_pauses(at);
        if let What::JobLaunching { key, placement, trials, .. } = what {
            let trials: Vec<TrialNo> = trials.iter().filter_map(|id| self.work.number(*id)).collect();
            if let Some(chore) = self.chores.number(*key) {
                if *key == JobKey::Report {
                    self.leave_held();
                }
                self.seat_chore(at, chore, placement.clone());
            } else if self.places.has(placement) && !trials.is_empty() {
                self.seat_pack(at, *key, placement.clone(), &trials);
            }
        } else if let What::RunEnded { .. } = what {
            self.cancel_waiting();
        } else {
            if let What::TrialJoining { key, trial } = what
                && let Some(trial) = self.work.number(*trial)
            {
                self.admit(*key, trial);
            }
            drop(self.apply(at, what));
        }
    }

    /// A trial's state; `None` where the run does not have it.
    #[must_use]
    pub fn state(&self, trial: TrialId) -> Option<&TrialState> {
        self.work.number(trial).map(|trial| &self.trials[trial].state)
    }

    /// Predicted remaining time of the run.
    #[must_use]
    pub fn remaining(&self, now: SystemTime) -> Duration {
        simulate(self, now).makespan
    }

    /// Immediate actions, and the slot that became free in a pack that may go on.
    fn apply(&mut self, now: SystemTime, what: &What) -> (Vec<Action>, Option<Vacancy>) {
        let mut vacancy = None;
        self.brackets.on(what);
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
                self.work.number(*trial).map(|trial| self.given_up.remove(&trial));
                vacancy = self.end_trial(*trial, Change::Failed { failure: failure.clone() });
                if vacancy.is_some() { self.fail_fast(now) } else { Vec::new() }
            }
            What::TrialPaused { pause, .. } => {
                vacancy = self.pause(pause);
                Vec::new()
            }
            What::RungDecided(decision) => {
                self.announced = false;
                decision.go_on().for_each(|trial| self.release(trial));
                decision.stopped().for_each(|(trial, _)| self.stop_early(trial));
                Vec::new()
            }
            What::RungPutOff(put_off) => {
                self.announced = false;
                put_off.trials.iter().for_each(|trial| self.release(*trial));
                Vec::new()
            }
            What::StopOrdered { trials } => {
                trials.iter().filter_map(|trial| self.stop_by_hand(*trial)).collect()
            }
            What::KeepOrdered { trials } => {
                trials.iter().for_each(|trial| self.keep_by_hand(*trial));
                Vec::new()
            }
            What::TrialJoining { key, trial } => {
                self.give(*key, *trial);
                Vec::new()
            }
            What::TrialReturned { key, trial } => {
                self.take_back(*key, *trial);
                Vec::new()
            }
            What::JobFinished { key } => self.on_end(now, *key, None),
            What::JobFailed { key, failure } => self.on_end(now, *key, Some(End::Failed(failure))),
            What::JobInterrupted { key } => self.on_end(now, *key, Some(End::Interrupted)),
            What::StopRequested { force } => self.on_stop(now, *force),
            What::Woke => {
                self.wake_at = None;
                Vec::new()
            }
            // The scheduler's own decisions, and events that do not concern it.
            What::RunStarted { .. }
            | What::TrainingForeseen { .. }
            | What::BracketsOpened { .. }
            | What::TrialsFreed { .. }
            | What::TrialsStopped { .. }
            | What::GenerationProposed { .. }
            | What::WidthsDecided { .. }
            | What::RunPlanned { .. }
            | What::JobLaunching { .. }
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

    /// The only way to change a trial's state, so that the pool holds all waiting trials, and `paused` all
    /// paused ones.
    pub(super) fn change(&mut self, trial: TrialNo, change: Change) {
        let state = &mut self.trials[trial].state;
        let Some(next) = transition(state, change) else { return };
        let before_is_over = state.is_over();
        let before = std::mem::replace(state, next.clone());
        if let TrialState::Waiting { turn } = before {
            self.pool.take(&self.work, trial, turn);
        } else if let TrialState::Paused { until, turn } = before {
            self.paused.remove(&(until, turn, trial));
        }
        if let TrialState::Waiting { turn } = next {
            self.pool.add(&self.work, trial, turn);
        } else if let TrialState::Paused { until, turn } = next {
            self.paused.insert((until, turn, trial));
        }
        self.trials[trial].is_ordered = false;
        self.open += usize::from(before_is_over);
        self.open -= usize::from(next.is_over());
    }

    /// Ends a trial while its job may go on.
    pub(super) fn end_trial(&mut self, id: TrialId, change: Change) -> Option<Vacancy> {
        let ended = self.work.number(id)?;
        let failed = !matches!(change, Change::Finished | Change::Held);
        let state = self.trials[ended].state.clone();
        self.change(ended, change);
        let TrialState::Placed { job } = state else { return None };
        let training = self.jobs.get_mut(&job)?.training_mut()?;
        if failed {
            // The others still have to do the work that it shared with them.
            training.drop(ended, self.work.time(ended, training.on).own);
        } else {
            training.open.retain(|trial| *trial != ended);
            training.done += 1;
        }
        Some(Vacancy { job, ended, failed })
    }

    /// Notes that a job's child is sent a trial, which it may never take.
    fn give(&mut self, key: JobKey, id: TrialId) {
        let Some(trial) = self.work.number(id) else { return };
        let Some(training) = self.jobs.get_mut(&key).and_then(Job::training_mut) else { return };
        if self.trials[trial].state == (TrialState::Placed { job: key }) && !training.late.contains(&trial) {
            training.late.push(trial);
        }
    }

    /// Returns a trial to waiting that a job was given but did not take.
    fn take_back(&mut self, key: JobKey, id: TrialId) {
        let Some(trial) = self.work.number(id) else { return };
        let Some(training) = self.jobs.get_mut(&key).and_then(Job::training_mut) else { return };
        if self.trials[trial].state != (TrialState::Placed { job: key }) {
            return;
        }
        training.take_back(trial, self.work.time(trial, training.on).alone());
        self.trials[trial].past.starts -= 1;
        let back = Change::Returned { turn: Turn::InLane };
        self.change(trial, if self.ending { Change::Cancelled } else { back });
        self.stay_stopped(trial);
    }
}
