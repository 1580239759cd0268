//! Owns the sum of a run's events: the one ledger of its trials and jobs, live or replayed. Pure.
//!
//! The loop, `status`, `explain` and the live display all use this fold. Facts from files (a result in place, a
//! lock that is held) are added by [`super::load`] and by the decision on the remaining work.

mod foreseen;
mod stops;
#[cfg(test)]
mod tests;
mod this_run;
mod trial_state;
mod widths;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;

pub use self::foreseen::Foreseen;
pub use self::this_run::ThisRun;
pub use self::trial_state::TrialState;
pub use self::widths::DecidedWidth;
use self::widths::Widths;
use crate::values::{
    CommandLine, Event, Failure, JobKey, Pause, Placement, Progress, StopReason, Trial, TrialId, What,
};

/// The state of a run after the events so far.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Ledger {
    /// The command line of the run's latest start.
    pub command_line: CommandLine,
    /// The version of lorasweep of that start.
    pub version: Option<String>,
    /// When the run was first started.
    pub started_at: Option<Timestamp>,
    /// Time of the last event.
    pub updated_at: Option<Timestamp>,
    /// How often a job was launched.
    pub launches: u64,
    /// Facts about the latest start of the run only.
    pub this_run: ThisRun,
    /// What the latest start with anything to train foresaw, and what came of it.
    pub foreseen: Option<Foreseen>,
    /// The trials that were ever started, or are known to be done or stopped.
    trials: BTreeMap<TrialId, Standing>,
    /// The sweep's trials, once the run is planned.
    planned: Option<HashSet<TrialId>>,
    widths: Widths,
    /// Jobs that were launched and have not ended.
    jobs: BTreeMap<JobKey, RunningJob>,
    /// Jobs other than training whose last attempt failed. Trials have their own failures.
    failed_jobs: BTreeMap<JobKey, Failure>,
    /// Why trials were stopped, whether they went on later or not.
    stops: BTreeMap<TrialId, StopReason>,
    total: usize,
    done: usize,
    failed: usize,
    stopped: usize,
}

/// What is known of a trial.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Standing {
    /// How often it was started.
    pub attempts: u32,
    /// Its state.
    pub state: TrialState,
    /// Its progress, in a run that is being followed.
    pub progress: Option<Progress>,
    /// How its last start failed, if it did and the trial has not been started again.
    pub failed_start: Option<Failure>,
    /// Where it last paused.
    pub pause: Option<Pause>,
}

/// A job that was launched and has not ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningJob {
    /// Where it runs.
    pub placement: Placement,
    /// Process id of its child, once it has started.
    pub pid: Option<u32>,
    /// All trials it was given, in order; none for work other than training.
    pub trials: Vec<TrialId>,
    /// The trials among these that it was sent while it ran, and has not taken yet.
    pub joining: BTreeSet<TrialId>,
    /// The trial that last reported progress.
    pub latest: Option<TrialId>,
}

impl Ledger {
    /// The ledger after these events.
    #[must_use]
    pub fn replay(events: &[Event]) -> Self {
        let mut ledger = Self::default();
        events.iter().for_each(|event| ledger.apply(event));
        ledger
    }

    /// Takes in one event.
    pub fn apply(&mut self, event: &Event) {
        self.updated_at = Some(event.at);
        Foreseen::apply(&mut self.foreseen, self.this_run.begun, event);
        match &event.what {
            What::RunStarted { command_line, version, settings, .. } => {
                self.command_line.clone_from(command_line);
                self.version = Some(version.clone());
                self.started_at.get_or_insert(event.at);
                self.this_run = ThisRun { begun: Some(event.at), ..ThisRun::default() };
                self.failed_jobs.clear();
                self.trials.values_mut().for_each(|standing| standing.failed_start = None);
                self.interrupt_all();
                self.stop_again(settings.as_ref().is_some_and(|settings| settings.no_stop));
            }
            What::RunPlanned { trials, done, todo, .. } => self.plan(trials, done, todo),
            What::WidthsDecided { widths } => self.widths.add(event.at, widths),
            What::JobLaunching { key, placement, trials, .. } => self.launch(*key, placement, trials),
            What::JobStarted { key, pid } => self.start(*key, *pid),
            What::TrialJoining { key, trial } => self.join(*key, *trial),
            What::TrialJoined { key, trial } => {
                if let Some(job) = self.jobs.get_mut(key) {
                    job.joining.remove(trial);
                }
            }
            What::TrialReturned { key, trial } => self.take_back(*key, *trial),
            What::TrialPaused { key, pause } => self.pause(*key, pause),
            What::BracketsOpened { .. }
            | What::RungDecided(_)
            | What::StopOrdered { .. }
            | What::KeepOrdered { .. }
            | What::TrialsFreed { .. }
            | What::TrialsStopped { .. } => self.stop_and_let_go(&event.what),
            What::TrialProgressed { key, progress } => self.progress(*key, progress),
            What::TrialFinished { trial, .. } => self.set(*trial, TrialState::Done),
            What::TrialFailed { trial, failure } => {
                self.this_run.failed += 1;
                self.set(*trial, TrialState::Failed { failure: failure.clone() });
            }
            What::JobFinished { key } => {
                self.this_run.reported |= *key == JobKey::Report;
                self.end(*key);
            }
            What::JobInterrupted { key } => self.end(*key),
            What::JobFailed { key, failure } => {
                if let Failure::Unwritable { message } = failure {
                    self.this_run.unwritable.get_or_insert_with(|| message.clone());
                }
                self.fail(*key, failure);
                self.end(*key);
            }
            What::DeviceRetired { device } => self.this_run.retired.push(*device),
            What::StopRequested { .. } => self.this_run.stopped = true,
            What::RunEnded { .. } => self.interrupt_all(),
            What::TrainingForeseen { .. }
            | What::GenerationProposed { .. }
            | What::RungPutOff(_)
            | What::TrialEvaluated { .. }
            | What::Forecast { .. }
            | What::Warned { .. }
            | What::Woke => {}
        }
    }

    /// From here on, only the sweep's trials count; what is known of others stays, since they may come back to it.
    fn plan(&mut self, trials: &[Trial], done: &[TrialId], todo: &[TrialId]) {
        self.planned = Some(trials.iter().map(|trial| trial.id).collect());
        (self.total, self.done, self.failed, self.stopped) = (trials.len(), 0, 0, 0);
        let states = trials.iter().map(|trial| self.state(trial.id).clone());
        for state in states.collect::<Vec<TrialState>>() {
            self.counted(&state).into_iter().for_each(|count| *count += 1);
        }
        // A result can be in place without an event, and can be lost again.
        done.iter().for_each(|id| self.set(*id, TrialState::Done));
        for id in todo {
            if self.state(*id).is_settled() {
                self.set(*id, TrialState::Interrupted);
            }
        }
    }

    fn launch(&mut self, key: JobKey, placement: &Placement, trials: &[TrialId]) {
        self.launches += 1;
        self.failed_jobs.remove(&key);
        let job = RunningJob {
            placement: placement.clone(),
            pid: None,
            trials: trials.to_vec(),
            joining: BTreeSet::new(),
            latest: None,
        };
        self.jobs.insert(key, job);
        trials.iter().for_each(|trial| self.attempt(*trial, TrialState::Waiting));
    }

    fn attempt(&mut self, trial: TrialId, state: TrialState) {
        self.set(trial, state);
        let standing = self.trials.entry(trial).or_default();
        standing.attempts += 1;
        standing.failed_start = None;
    }

    /// Records why a job failed: for the trials that it leaves unfinished, or by its key where it trains none.
    fn fail(&mut self, key: JobKey, failure: &Failure) {
        let open: Vec<TrialId> = self.open(key).collect();
        for trial in open {
            self.trials.entry(trial).or_default().failed_start = Some(failure.clone());
        }
        match key {
            JobKey::Train(_) => {}
            JobKey::Prepare(_) | JobKey::Report => _ = self.failed_jobs.insert(key, failure.clone()),
        }
    }

    fn start(&mut self, key: JobKey, pid: u32) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        job.pid = Some(pid);
        let (placement, trials) = (job.placement.clone(), job.trials.clone());
        for trial in trials {
            if self.state(trial) == &TrialState::Waiting {
                self.set(trial, TrialState::Running { placement: placement.clone(), pid });
            }
        }
    }

    fn join(&mut self, key: JobKey, trial: TrialId) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        job.trials.push(trial);
        job.joining.insert(trial);
        let placement = job.placement.clone();
        let state = job.pid.map_or(TrialState::Waiting, |pid| TrialState::Running { placement, pid });
        self.attempt(trial, state);
    }

    /// Removes a trial without a fate from a job, and returns whether the job had it.
    fn leave(&mut self, key: JobKey, trial: TrialId) -> bool {
        let Some(job) = self.jobs.get_mut(&key) else { return false };
        let before = job.trials.len();
        job.trials.retain(|other| *other != trial);
        job.joining.remove(&trial);
        let had = job.trials.len() < before;
        if had {
            self.set(trial, self.left_behind(trial));
        }
        had
    }

    /// A start that never began is not an attempt.
    fn take_back(&mut self, key: JobKey, trial: TrialId) {
        if self.leave(key, trial)
            && let Some(standing) = self.trials.get_mut(&trial)
        {
            standing.attempts -= 1;
            if standing.attempts == 0 && !standing.state.is_settled() {
                self.trials.remove(&trial);
            }
        }
    }

    fn progress(&mut self, key: JobKey, progress: &Progress) {
        if let Some(job) = self.jobs.get_mut(&key) {
            job.latest = Some(progress.trial);
        }
        self.trials.entry(progress.trial).or_default().progress = Some(progress.clone());
    }

    /// Ends a job; its trials without a fate were interrupted.
    fn end(&mut self, key: JobKey) {
        let trials = self.jobs.remove(&key).map(|job| job.trials).unwrap_or_default();
        for trial in trials {
            if !self.state(trial).is_settled() {
                self.set(trial, self.left_behind(trial));
            }
        }
    }

    /// Ends all jobs, as a crash does.
    pub(super) fn interrupt_all(&mut self) {
        let keys: Vec<JobKey> = self.jobs.keys().copied().collect();
        if let Some(foreseen) = self.foreseen.as_mut().filter(|_| !keys.is_empty()) {
            foreseen.disturbed = true;
        }
        keys.into_iter().for_each(|key| self.end(key));
    }

    fn set(&mut self, trial: TrialId, state: TrialState) {
        let before = std::mem::replace(&mut self.trials.entry(trial).or_default().state, state.clone());
        if self.planned.as_ref().is_none_or(|planned| planned.contains(&trial)) {
            self.counted(&before).into_iter().for_each(|count| *count -= 1);
            self.counted(&state).into_iter().for_each(|count| *count += 1);
        }
    }

    /// The number of trials in such a state, where it is kept.
    fn counted(&mut self, state: &TrialState) -> Option<&mut usize> {
        match state {
            TrialState::Done => Some(&mut self.done),
            TrialState::Failed { .. } => Some(&mut self.failed),
            TrialState::Stopped { .. } => Some(&mut self.stopped),
            TrialState::Waiting
            | TrialState::Running { .. }
            | TrialState::Paused { .. }
            | TrialState::Interrupted => None,
        }
    }

    /// What is known of a trial; `None` where it was never started, and is neither done nor stopped.
    #[must_use]
    pub fn trial(&self, id: TrialId) -> Option<&Standing> {
        self.trials.get(&id)
    }

    /// The state of a trial.
    #[must_use]
    pub fn state(&self, id: TrialId) -> &TrialState {
        self.trials.get(&id).map_or(&TrialState::Waiting, |standing| &standing.state)
    }

    /// What a trial trains on; `None` before that is decided.
    #[must_use]
    pub fn width(&self, id: TrialId) -> Option<DecidedWidth> {
        self.widths.of(id)
    }

    /// A job that was launched and has not ended.
    #[must_use]
    pub fn job(&self, key: JobKey) -> Option<&RunningJob> {
        self.jobs.get(&key)
    }

    /// All such jobs.
    pub fn jobs(&self) -> impl Iterator<Item = (JobKey, &RunningJob)> {
        self.jobs.iter().map(|(key, job)| (*key, job))
    }

    /// The trials of a running job without a fate, in the order in which it was given them.
    pub fn open(&self, key: JobKey) -> impl Iterator<Item = TrialId> {
        let trials = self.jobs.get(&key).map(|job| job.trials.as_slice()).unwrap_or_default();
        trials.iter().copied().filter(|trial| !self.state(*trial).is_settled())
    }

    /// Whether a running job has this trial, and the trial has no fate yet.
    #[must_use]
    pub fn is_open(&self, key: JobKey, trial: TrialId) -> bool {
        !self.state(trial).is_settled() && self.jobs.get(&key).is_some_and(|job| job.trials.contains(&trial))
    }

    /// Why a job with these trials is being started again: how its last start failed, or the last start of one
    /// of them; `None` where none failed.
    #[must_use]
    pub fn failed_start(&self, key: JobKey, trials: &[TrialId]) -> Option<&Failure> {
        let of_trial = |trial: &TrialId| self.trials.get(trial)?.failed_start.as_ref();
        trials.iter().find_map(of_trial).or_else(|| self.failed_jobs.get(&key))
    }

    /// Jobs other than training whose last attempt failed in the latest run, each with the reason.
    pub fn failed_jobs(&self) -> impl Iterator<Item = (JobKey, &Failure)> {
        self.failed_jobs.iter().map(|(key, failure)| (*key, failure))
    }

    /// Number of the sweep's trials, once the run is planned.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// Number of trials that are done.
    #[must_use]
    pub fn done(&self) -> usize {
        self.done
    }

    /// Number of trials that failed for good.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// Number of trials that were stopped early, or by a person.
    #[must_use]
    pub fn stopped(&self) -> usize {
        self.stopped
    }

    /// Number of the sweep's trials that have no fate yet.
    #[must_use]
    pub fn left(&self) -> usize {
        self.total.saturating_sub(self.done + self.failed + self.stopped)
    }
}
