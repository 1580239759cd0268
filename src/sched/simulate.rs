//! Owns simulated runs of the scheduler, in which every job takes its predicted time: the plan of a sweep, and
//! the remaining time of a run.
//!
//! The trials of a pack end together here, so no trial joins it later; a real run may be shorter for that
//! reason.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, SystemTime};

use crate::cost::Estimate;
use crate::sched::jobs::{Doing, Job};
use crate::sched::{Action, Launch, Policy, Scheduler};
use crate::values::{JobKey, Placement, TrialId, What};

/// A simulated run.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulated {
    /// The jobs that run already, and then all others in the order in which they start.
    pub jobs: Vec<SimulatedJob>,
    /// Time until nothing runs any more.
    pub makespan: Duration,
}

impl Simulated {
    /// When the last trial ends, and the memory of the largest pack in MiB; `None` without trials.
    #[must_use]
    pub fn training(&self) -> Option<(Duration, f64)> {
        let packs = || self.jobs.iter().filter(|job| !job.trials.is_empty());
        let end = packs().map(|job| job.end).max()?;
        Some((end, packs().map(|job| job.estimate.mem_mib).fold(0.0, f64::max)))
    }

    /// The share of these trials of all time that packs train.
    #[must_use]
    pub fn share_of(&self, is_one: &dyn Fn(TrialId) -> bool) -> f64 {
        let packs = || self.jobs.iter().filter(|job| !job.trials.is_empty());
        let took = |job: &SimulatedJob| (job.end - job.start).as_secs_f64();
        let of_these = |job: &SimulatedJob| job.trials.iter().filter(|trial| is_one(**trial)).count() as f64;
        let these: f64 = packs().map(|job| took(job) * of_these(job) / job.trials.len() as f64).sum();
        let all: f64 = packs().map(took).sum();
        if all > 0.0 { these / all } else { 1.0 }
    }
}

/// A job of a simulated run. Times are from its beginning.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedJob {
    /// Its name.
    pub key: JobKey,
    /// Where it runs.
    pub placement: Placement,
    /// The trials that it trains together; none for other work.
    pub trials: Vec<TrialId>,
    /// When it starts.
    pub start: Duration,
    /// When it ends.
    pub end: Duration,
    /// Its predicted cost.
    pub estimate: Estimate,
}

/// The scheduler's run from now on, if jobs take their predicted time and nothing fails.
#[must_use]
pub fn simulate(scheduler: &Scheduler, now: SystemTime) -> Simulated {
    let mut simulation = Simulation::new(scheduler, now);
    while simulation.go_on() {}
    let makespan = simulation.jobs.iter().map(|job| job.end).max().unwrap_or_default();
    Simulated { jobs: simulation.jobs, makespan }
}

/// A simulation in progress.
pub(super) struct Simulation {
    scheduler: Scheduler,
    begun: SystemTime,
    /// The jobs so far.
    pub(super) jobs: Vec<SimulatedJob>,
    /// Future ends, by time and by the job's index; without an index, a time to call the scheduler.
    to_come: BinaryHeap<Reverse<(SystemTime, Option<usize>)>>,
}

impl Simulation {
    /// Takes over the running jobs, and starts what can start.
    pub(super) fn new(scheduler: &Scheduler, now: SystemTime) -> Self {
        let mut scheduler = scheduler.clone();
        scheduler.policy = Policy::ONCE;
        let mut simulation = Self { begun: now, jobs: Vec::new(), to_come: BinaryHeap::new(), scheduler };
        let at_work: Vec<_> =
            simulation.scheduler.jobs.iter().map(|(key, job)| (*key, job.clone())).collect();
        for (key, job) in at_work {
            let (trials, end) = simulation.scheduler.left(now, &job);
            let estimate = Estimate { duration: end, ..Estimate::default() };
            let (placement, start) = (job.placement, Duration::ZERO);
            simulation.add(SimulatedJob { key, placement, trials, start, end, estimate });
        }
        simulation.scheduler.jobs.values_mut().for_each(|job| job.deadline = None);
        simulation.scheduler.wake_at = None;
        // What was announced comes back to the scheduler that lives.
        (simulation.scheduler.announced, simulation.scheduler.vacancy) = (false, None);
        simulation.scheduler.given_up.clear();
        let actions = simulation.scheduler.step(now, &What::Woke);
        simulation.act(now, actions);
        simulation
    }

    /// Lets the next job end; `false` when none is left.
    pub(super) fn go_on(&mut self) -> bool {
        let Some(Reverse((now, job))) = self.to_come.pop() else { return false };
        let what = job.map_or(What::Woke, |job| What::JobFinished { key: self.jobs[job].key });
        if let What::JobFinished { key } = what {
            self.scheduler.pause_all(key);
        }
        let actions = self.scheduler.step(now, &what);
        self.act(now, actions);
        true
    }

    fn act(&mut self, now: SystemTime, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Launch(Launch { job, placement, .. }) => {
                    let (trials, estimate) = self.scheduler.expected(job);
                    let start = now.duration_since(self.begun).unwrap_or_default();
                    let end = start + estimate.duration;
                    self.add(SimulatedJob { key: job, placement, trials, start, end, estimate });
                }
                Action::WakeAt { at } => self.to_come.push(Reverse((at, None))),
                // Nothing is known of how trials will compare: those that come first in the sweep are kept.
                Action::Announce(decision) => {
                    let actions = self.scheduler.step(now, &decision);
                    self.act(now, actions);
                }
                Action::Join { .. }
                | Action::Pause { .. }
                | Action::Stop { .. }
                | Action::CutShort { .. }
                | Action::Retire { .. }
                | Action::GiveUp { .. }
                | Action::End => {}
            }
        }
    }

    fn add(&mut self, job: SimulatedJob) {
        self.to_come.push(Reverse((self.begun + job.end, Some(self.jobs.len()))));
        self.jobs.push(job);
    }
}

impl Scheduler {
    /// The open trials of a running job, and its predicted remaining time.
    fn left(&self, now: SystemTime, job: &Job) -> (Vec<TrialId>, Duration) {
        let elapsed = now.duration_since(job.since).unwrap_or_default();
        match &job.doing {
            Doing::Train(training) => {
                let pace = self.pace.of(training.shape, training.on);
                let trials = training.open.iter().map(|trial| self.work.id(*trial)).collect();
                (trials, training.left(elapsed, pace).mul_f64(pace))
            }
            Doing::Beside(number) => {
                let estimate = self.chores.all[*number].estimate;
                (Vec::new(), estimate.duration.saturating_sub(elapsed))
            }
        }
    }

    /// The trials of a job that starts, and its predicted cost, at the pace of its shape.
    fn expected(&self, key: JobKey) -> (Vec<TrialId>, Estimate) {
        match self.jobs.get(&key).map(|job| &job.doing) {
            Some(Doing::Train(training)) => {
                let estimate = self.work.pack_estimate(&training.open, training.on);
                let duration = estimate.duration.mul_f64(self.pace.of(training.shape, training.on));
                let trials = training.open.iter().map(|trial| self.work.id(*trial)).collect();
                (trials, Estimate { duration, ..estimate })
            }
            Some(Doing::Beside(number)) => (Vec::new(), self.chores.all[*number].estimate),
            None => (Vec::new(), Estimate::default()),
        }
    }
}
