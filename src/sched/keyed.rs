//! Owns the seam to the loop of a run: events and actions by the keys of jobs.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::{GraphAction, GraphEvent, GraphScheduler, JobState, Policy};
use crate::cost::Calibration;
use crate::job::Work;
use crate::plan::{JobGraph, JobId};
use crate::sweep::SweepSpec;
use crate::values::{Device, Failure, JobKey, Placement, Trial, TrialId, TrialResult, What};

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start a job.
    Launch(Launch),
    /// Give a running job one more trial to train. Answered by [`What::TrialReturned`] where its child
    /// does not take it any more.
    Join {
        /// Which job.
        job: JobKey,
        /// The trial.
        trial: Trial,
    },
    /// Ask a job to write its checkpoints and end, or kill it.
    Stop {
        /// Which job.
        job: JobKey,
        /// Kill rather than wait for checkpoints.
        force: bool,
    },
    /// The same for a job that ran past the time limit of its trials: they fail.
    CutShort {
        /// Which job.
        job: JobKey,
        /// Kill rather than wait for checkpoints.
        force: bool,
    },
    /// Tell that a device gets no more jobs: it failed twice in a row, with different ones.
    Retire {
        /// Which device.
        device: Device,
    },
    /// Tell that these trials failed for good.
    GiveUp {
        /// Which trials.
        trials: Vec<TrialId>,
        /// Why.
        failure: Failure,
    },
    /// Tell [`What::Woke`] at this time; the latest such wish counts.
    WakeAt {
        /// When.
        at: SystemTime,
    },
    /// Nothing is running and nothing more can start.
    End,
}

/// A job to start.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// Which job.
    pub job: JobKey,
    /// 1 for its first start in this run.
    pub attempt: u32,
    /// Where.
    pub placement: Placement,
    /// Most rows of a trial to take through the model at a time; the rest of a step accumulates.
    pub micro_rows: Option<usize>,
    /// What it does. A pack holds only trials that have no fate yet.
    pub work: Work,
}

/// Decides which job starts next, and where.
#[derive(Clone, Debug)]
pub struct Scheduler {
    graph: GraphScheduler,
    ids: BTreeMap<JobKey, JobId>,
    /// Number of jobs that `ids` was made from.
    known: usize,
    sweep: SweepSpec,
    calibration: Calibration,
    /// The trials of jobs that no other has joined since they were launched: they share its time.
    together: BTreeMap<JobKey, Vec<Trial>>,
}

impl Scheduler {
    /// A scheduler at the start of a run. Without any place, nothing trains.
    #[must_use]
    pub fn new(sweep: &SweepSpec, graph: JobGraph, places: Vec<Placement>, policy: Policy) -> Self {
        let calibration = Calibration::assumed(&places);
        let graph = GraphScheduler::new(graph, places, policy);
        let known = graph.graph.len();
        let ids = graph.graph.iter().map(|(id, job)| (job.key, id)).collect();
        Self { graph, ids, known, sweep: sweep.clone(), calibration, together: BTreeMap::new() }
    }

    /// What to do now that this happened.
    pub fn step(&mut self, now: SystemTime, what: &What) -> Vec<Action> {
        let Some(event) = self.event(what) else { return Vec::new() };
        let actions = self.graph.step(now, &event);
        // Parts of a pack may have the key of the whole, which is over.
        for n in self.known..self.graph.graph.len() {
            let id = JobId(u32::try_from(n).expect("fewer than 2^32 jobs"));
            self.ids.insert(self.graph.graph.job(id).key, id);
        }
        self.known = self.graph.graph.len();
        let given_up = self.given_up(&event);
        let actions: Vec<Action> = actions.into_iter().map(|action| self.action(action)).collect();
        given_up.into_iter().chain(actions).collect()
    }

    fn event(&mut self, what: &What) -> Option<GraphEvent> {
        let job = |key: &JobKey| self.ids.get(key).copied();
        match what {
            What::RunPlanned { .. } => Some(GraphEvent::RunStarted),
            What::JobStarted { key, .. } => Some(GraphEvent::JobStarted { job: job(key)? }),
            What::TrialFinished { trial, result } => {
                let job = self.trained_by(*trial)?;
                if let Some(result) = result {
                    self.learn(job, result);
                }
                Some(GraphEvent::TrialFinished { job, trial: *trial })
            }
            What::TrialFailed { trial, .. } => {
                Some(GraphEvent::TrialFailed { job: self.trained_by(*trial)?, trial: *trial })
            }
            What::TrialReturned { key, trial } => {
                Some(GraphEvent::TrialReturned { job: job(key)?, trial: *trial })
            }
            What::JobFinished { key } => Some(GraphEvent::JobFinished { job: job(key)? }),
            What::JobFailed { key, failure } => {
                Some(GraphEvent::JobFailed { job: job(key)?, failure: failure.clone() })
            }
            What::JobInterrupted { key } => Some(GraphEvent::JobInterrupted { job: job(key)? }),
            What::StopRequested { force } => Some(GraphEvent::StopRequested { force: *force }),
            What::Woke => Some(GraphEvent::Woke),
            What::RunStarted { .. }
            | What::JobLaunching { .. }
            | What::TrialJoining { .. }
            | What::TrialJoined { .. }
            | What::TrialProgressed { .. }
            | What::TrialEvaluated { .. }
            | What::DeviceRetired { .. }
            | What::Forecast { .. }
            | What::Warned { .. }
            | What::RunEnded { .. } => None,
        }
    }

    /// The running job that trains this trial.
    fn trained_by(&self, trial: TrialId) -> Option<JobId> {
        self.graph.places.seated().find(|job| self.graph.graph.job(*job).trials().contains(&trial))
    }

    fn learn(&mut self, job: JobId, result: &TrialResult) {
        let Some(together) = self.together.get(&self.graph.graph.job(job).key) else { return };
        if let Some(trial) = together.iter().find(|trial| trial.id == result.trial) {
            self.calibration.observe(&self.sweep, together, trial, &result.cost);
        }
    }

    /// The trials of a job that just failed for good.
    fn given_up(&self, event: &GraphEvent) -> Option<Action> {
        let GraphEvent::JobFailed { job, failure } = event else { return None };
        matches!(self.graph.state(*job), JobState::Failed { .. }).then(|| {
            let trials = self.graph.graph.job(*job).trials();
            let open = trials.into_iter().filter(|trial| !self.graph.settled.contains(trial));
            Action::GiveUp { trials: open.collect(), failure: failure.clone() }
        })
    }

    fn action(&mut self, action: GraphAction) -> Action {
        let key = |job: JobId| self.graph.graph.job(job).key;
        match action {
            GraphAction::Launch { job, attempt, placement, micro_rows } => {
                let planned = self.graph.graph.job(job);
                let mut work = planned.work.clone();
                if let Work::Train(pack) = &mut work {
                    pack.slots.retain(|trial| !self.graph.settled.contains(&trial.id));
                    self.together.insert(planned.key, pack.slots.clone());
                }
                Action::Launch(Launch { job: planned.key, attempt, placement, micro_rows, work })
            }
            GraphAction::Join { job, trial } => {
                let Work::Train(pack) = &self.graph.graph.job(job).work else {
                    unreachable!("trials join jobs that train")
                };
                let trial = pack.slots.iter().find(|slot| slot.id == trial).cloned();
                let job = key(job);
                self.together.remove(&job);
                Action::Join { job, trial: trial.expect("the graph has the trial among those of the job") }
            }
            GraphAction::Stop { job, force } => Action::Stop { job: key(job), force },
            GraphAction::CutShort { job, force } => Action::CutShort { job: key(job), force },
            GraphAction::Retire { device } => Action::Retire { device },
            GraphAction::WakeAt { at } => Action::WakeAt { at },
            GraphAction::End => Action::End,
        }
    }

    /// How much longer the run is thought to take.
    #[must_use]
    pub fn remaining(&self, now: SystemTime) -> Duration {
        self.graph.remaining(now, &self.calibration)
    }
}
