//! Owns why a trial is in its state, as data; `Display` gives the text. The expected start comes from the
//! scheduler itself, on a simulated clock.

use std::fmt;
use std::time::SystemTime;

use serde::Serialize;

use crate::sched::chores::ChoreState;
use crate::sched::jobs::Job;
use crate::sched::simulate::Simulation;
use crate::sched::workload::TrialNo;
use crate::sched::{Scheduler, TrialState, Turn};
use crate::values::quantity::{counted, predicted};
use crate::values::{Device, Failure, JobKey, TrialId, Width};

/// Why a trial is in its state.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Explanation {
    /// It has not started, or will start again.
    Waits {
        /// For what.
        reason: Reason,
        /// Its predicted start; `None` where there is no device for it.
        start: Option<Start>,
    },
    /// Its process was asked to start and has not reported yet.
    Starting {
        /// Where.
        device: Device,
        /// Number of other trials in the same process.
        beside: usize,
    },
    /// It trains.
    Running {
        /// Where.
        device: Device,
        /// Number of other trials in the same process.
        beside: usize,
    },
    /// It waits for a decision.
    Held {
        /// Whether it is at a rung, and waits for the other configurations of its bracket. Otherwise it starts if its own
        /// comes through all rungs.
        at_rung: bool,
    },
    /// It was stopped early, or by a person.
    Stopped,
    /// It has its result.
    Done,
    /// It failed for good.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Its data could not be prepared.
    Skipped {
        /// The job that should have prepared it.
        job: JobKey,
        /// Why that job failed; absent where it was stopped.
        failure: Option<Failure>,
    },
    /// The trial was stopped, or the run is ending or has ended, before it was done.
    Cancelled,
}

/// What a trial waits for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "waits_for", rename_all = "snake_case")]
pub enum Reason {
    /// Its data is not prepared yet.
    Store {
        /// The job that prepares it.
        job: JobKey,
        /// That job has started.
        started: bool,
    },
    /// Every device is busy.
    Device,
    /// Every device rests: jobs lost them.
    Rest {
        /// Seconds until the first is tried again.
        in_s: f64,
    },
    /// It lost devices, and others are in service.
    Another {
        /// Which it lost.
        lost: Vec<Device>,
    },
    /// GPUs are free whose memory is too small for it, and a larger one is in service.
    Larger {
        /// Which are free.
        free: Vec<Device>,
    },
    /// It failed, perhaps with others, and starts again with no other trials than those.
    Retry {
        /// How often it failed.
        failures: u32,
    },
    /// It failed, and pauses before its next start.
    Pause {
        /// How often it failed.
        failures: u32,
    },
    /// It ran out of memory while other jobs were running, and starts when nothing else runs.
    Machine,
}

/// A predicted start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Start {
    /// How many packs start before it.
    pub ahead: usize,
    /// Seconds until it starts.
    pub in_s: f64,
    /// Where.
    pub device: Device,
    /// Number of other trials that start with it.
    pub beside: usize,
}

impl Scheduler {
    /// Why a trial is in its state; `None` where the run does not have it.
    #[must_use]
    pub fn explain(&self, trial: TrialId, now: SystemTime) -> Option<Explanation> {
        let number = self.work.number(trial)?;
        let standing = &self.trials[number];
        let failures = standing.past.failures;
        let store = self.work.shapes[self.work.shape_of(number)].store;
        let reason = match &standing.state {
            TrialState::Waiting { .. } if !self.chores.is_prepared(store) => {
                let chore = &self.chores.all[store];
                Reason::Store { job: chore.key, started: chore.state == ChoreState::AtWork }
            }
            TrialState::Waiting { turn } => self.waits_for(number, *turn, now),
            TrialState::Paused { .. } => Reason::Pause { failures },
            TrialState::Placed { job } => return self.jobs.get(job).map(placed),
            TrialState::Held => {
                return Some(Explanation::Held { at_rung: self.brackets.paused_at(trial) > 0.0 });
            }
            TrialState::Stopped => return Some(Explanation::Stopped),
            TrialState::Done => return Some(Explanation::Done),
            TrialState::Failed { failure } => return Some(Explanation::Failed { failure: failure.clone() }),
            TrialState::Skipped { .. } => return Some(self.skipped(store)),
            TrialState::Cancelled => return Some(Explanation::Cancelled),
        };
        Some(Explanation::Waits { reason, start: self.foresee(trial, now) })
    }

    /// What a trial waits for whose data is there.
    fn waits_for(&self, trial: TrialNo, turn: Turn, now: SystemTime) -> Reason {
        let past = &self.trials[trial].past;
        if turn == Turn::Alone {
            return Reason::Machine;
        }
        if let Some(in_s) = self.rest_s(now).filter(|_| self.work.width_of(trial) == Width::Gpu) {
            return Reason::Rest { in_s };
        }
        if !past.lost.is_empty() && self.places.has_others(|other| past.has_lost(other)) {
            return Reason::Another { lost: past.lost.iter().map(|loss| loss.device).collect() };
        }
        let free = self.too_small(trial);
        if !free.is_empty() {
            return Reason::Larger { free };
        }
        match turn {
            Turn::Together { .. } => Reason::Retry { failures: past.failures },
            Turn::InLane | Turn::Alone => Reason::Device,
        }
    }

    /// The free GPUs whose memory is too small for a trial that waits for a larger one.
    fn too_small(&self, trial: TrialNo) -> Vec<Device> {
        let width = self.work.width_of(trial);
        let rooms = if width == Width::Gpu { self.places.rooms(width) } else { Vec::new() };
        rooms.into_iter().map(|room| room.device).filter(|device| !self.holds(trial, *device)).collect()
    }

    /// The seconds until the first GPU is tried again, where all rest.
    fn rest_s(&self, now: SystemTime) -> Option<f64> {
        let rests = || self.places.rests().filter(|until| *until > now);
        let first = rests().min().filter(|_| rests().count() == self.places.gpus_in_service())?;
        Some(first.duration_since(now).unwrap_or_default().as_secs_f64())
    }

    fn skipped(&self, store: usize) -> Explanation {
        let chore = &self.chores.all[store];
        let failure = match &chore.state {
            ChoreState::Failed { failure } => Some(failure.clone()),
            ChoreState::Waiting
            | ChoreState::Paused { .. }
            | ChoreState::AtWork
            | ChoreState::Done
            | ChoreState::Cancelled => None,
        };
        Explanation::Skipped { job: chore.key, failure }
    }

    /// The predicted next start of a waiting trial.
    fn foresee(&self, trial: TrialId, now: SystemTime) -> Option<Start> {
        let mut simulation = Simulation::new(self, now);
        let (mut seen, mut ahead) = (self.jobs.len(), 0);
        loop {
            for job in &simulation.jobs[seen..] {
                if job.trials.contains(&trial) {
                    let (device, beside) = (job.placement.device, job.trials.len() - 1);
                    return Some(Start { ahead, in_s: job.start.as_secs_f64(), device, beside });
                }
                ahead += usize::from(!job.trials.is_empty());
            }
            seen = simulation.jobs.len();
            if !simulation.go_on() {
                return None;
            }
        }
    }
}

fn placed(job: &Job) -> Explanation {
    let (device, open) = (job.placement.device, job.training().map_or(0, |training| training.open.len()));
    let beside = open.saturating_sub(1);
    if job.is_up { Explanation::Running { device, beside } } else { Explanation::Starting { device, beside } }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waits { reason, start: Some(start) } => write!(f, "{reason}; {start}"),
            Self::Waits { reason, start: None } => write!(f, "{reason}; no device is left to train it"),
            Self::Starting { device, beside } => write!(f, "it is starting on {device}{}", With(*beside)),
            Self::Running { device, beside } => write!(f, "it trains on {device}{}", With(*beside)),
            Self::Held { at_rung: true } => {
                f.write_str("it waits at a rung until those that it is compared with have come as far")
            }
            Self::Held { at_rung: false } => f.write_str(
                "it starts if its configuration comes through all rungs on the first fold and seed",
            ),
            Self::Stopped => f.write_str("it was stopped early; `run --no-stop` continues it"),
            Self::Done => f.write_str("it is done"),
            Self::Failed { failure } => write!(f, "it failed: {failure}"),
            Self::Skipped { job, failure: Some(failure) } => {
                write!(f, "it needs job `{job}`, which failed: {failure}")
            }
            Self::Skipped { job, failure: None } => write!(f, "it needs job `{job}`, which was stopped"),
            Self::Cancelled => {
                f.write_str("it was stopped, or the run is ending; the next run goes on with it")
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store { job, started } => {
                let state = if *started { "running" } else { "waiting" };
                write!(f, "it waits for its data: job `{job}` is {state}")
            }
            Self::Device => f.write_str("it waits for a free device"),
            Self::Rest { in_s } => {
                let after = predicted(*in_s);
                write!(f, "every device failed under a job and rests; the first is tried again in {after}")
            }
            Self::Another { lost } => {
                let lost: Vec<String> = lost.iter().map(Device::to_string).collect();
                write!(f, "it failed with its device ({}), and waits for another", lost.join(", "))
            }
            Self::Larger { free } => {
                let free: Vec<String> = free.iter().map(Device::to_string).collect();
                write!(f, "it needs more memory than is free on {}, and waits for another", free.join(", "))
            }
            Self::Retry { failures } => {
                write!(f, "it failed {}, and waits for a free device", Times(*failures))
            }
            Self::Pause { failures } => {
                write!(f, "it failed {}, and pauses before its next start", Times(*failures))
            }
            Self::Machine => f.write_str("it ran out of memory, and waits until nothing else runs"),
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ahead, in_s, device, beside } = self;
        let with = With(*beside);
        match ahead {
            0 => write!(f, "it is next")?,
            ahead => write!(
                f,
                "{} before it",
                if *ahead == 1 { "one pack starts".to_owned() } else { format!("{ahead} packs start") }
            )?,
        }
        write!(f, ", and it is expected to start on {device}{with} in {}", predicted(*in_s))
    }
}

/// `, with 3 others`; empty where a trial is alone.
struct With(usize);

impl fmt::Display for With {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            others => write!(f, " with {}", counted(others, "other")),
        }
    }
}

struct Times(u32);

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("once"),
            times => write!(f, "{times} times"),
        }
    }
}
