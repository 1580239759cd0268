//! Owns why a job stands where it does, as data; the text is its `Display`.

use std::fmt;

use serde::Serialize;

use crate::job::Work;
use crate::plan::JobId;
use crate::sched::step::{Ending, index};
use crate::sched::{GraphScheduler, JobState};
use crate::values::{Failure, JobKey, Placement};

/// Why a job stands where it does.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Explanation {
    /// It needs other jobs that are not over.
    WaitsForJobs {
        /// Those jobs.
        jobs: Vec<JobKey>,
    },
    /// Every place is taken, and so many ready jobs go first (the longest does).
    WaitsForPlace {
        /// Ready jobs before it.
        ahead: usize,
    },
    /// It runs beside the training, one such job at a time, and so many go first.
    WaitsForTurn {
        /// Ready jobs before it.
        ahead: usize,
    },
    /// It ran out of memory before, and waits until nothing else runs.
    WaitsForTheMachine {
        /// Ready jobs before it.
        ahead: usize,
    },
    /// It failed, and pauses before its next start.
    Pauses {
        /// How often it failed.
        failures: u32,
    },
    /// It was asked to start and has not reported yet.
    Starting {
        /// Where.
        placement: Placement,
        /// Which start it is.
        attempt: u32,
    },
    /// It is at work.
    Running {
        /// Where.
        placement: Placement,
        /// Which start it is.
        attempt: u32,
    },
    /// It did its work.
    Done,
    /// It failed for good.
    Failed {
        /// Why.
        reason: Failure,
    },
    /// It ran out of memory, and others train half of its trials each.
    Replaced {
        /// Those jobs.
        by: Vec<JobKey>,
    },
    /// It never started: its trials joined packs at work, where places came free.
    Joined {
        /// The last of those packs.
        last: Vec<JobKey>,
    },
    /// A job that it needs did not do its work.
    Skipped {
        /// That job.
        because: JobKey,
        /// Why that failed; absent where it was stopped.
        reason: Option<Failure>,
    },
    /// The run ended before it was done.
    Cancelled {
        /// The job whose failure ended the run; absent where it was stopped.
        failed: Option<JobKey>,
    },
}

impl GraphScheduler {
    /// Why a job stands where it does.
    ///
    /// # Panics
    /// When the graph has no such job.
    #[must_use]
    pub fn explain(&self, id: JobId) -> Explanation {
        let job = self.graph.job(id);
        match self.state(id) {
            JobState::Blocked { .. } => {
                let unmet = job.needs.iter().filter(|need| !self.state(**need).is_over());
                Explanation::WaitsForJobs { jobs: unmet.map(|need| self.key(*need)).collect() }
            }
            JobState::Ready => {
                let ahead = self.queue.ahead(id, job);
                match job.work {
                    _ if self.queue.wants_alone(id) => Explanation::WaitsForTheMachine { ahead },
                    Work::Train(_) => Explanation::WaitsForPlace { ahead },
                    Work::Prepare(_) | Work::Report { .. } => Explanation::WaitsForTurn { ahead },
                }
            }
            JobState::Paused { .. } => Explanation::Pauses { failures: self.failures(id) },
            JobState::Replaced { by } => {
                let by = by.iter().map(|part| self.key(*part)).collect();
                if self.past[index(id)].launches > 0 {
                    Explanation::Replaced { by }
                } else {
                    Explanation::Joined { last: by }
                }
            }
            JobState::Launched { placement, attempt } => {
                Explanation::Starting { placement: placement.clone(), attempt: *attempt }
            }
            JobState::Running { placement, attempt } => {
                Explanation::Running { placement: placement.clone(), attempt: *attempt }
            }
            JobState::Done => Explanation::Done,
            JobState::Failed { reason } => Explanation::Failed { reason: reason.clone() },
            JobState::Skipped { because } => {
                Explanation::Skipped { because: self.key(*because), reason: self.failure(*because) }
            }
            JobState::Cancelled => Explanation::Cancelled {
                failed: match self.ending {
                    Some(Ending::FailFast(job)) => Some(self.key(job)),
                    Some(Ending::Asked | Ending::Unwritable | Ending::Over) | None => None,
                },
            },
        }
    }

    fn key(&self, id: JobId) -> JobKey {
        self.graph.job(id).key
    }

    fn failure(&self, id: JobId) -> Option<Failure> {
        if let JobState::Failed { reason } = self.state(id) { Some(reason.clone()) } else { None }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WaitsForJobs { jobs } => write!(f, "waits for {}", Names(jobs)),
            Self::WaitsForPlace { ahead } => {
                write!(f, "ready; waits for a free place behind {}", Jobs(*ahead))
            }
            Self::WaitsForTurn { ahead } => {
                write!(f, "ready; runs beside the training, one such job at a time, behind {}", Jobs(*ahead))
            }
            Self::WaitsForTheMachine { ahead } => {
                write!(
                    f,
                    "ready; ran out of memory before, and waits until nothing else runs, behind {}",
                    Jobs(*ahead)
                )
            }
            Self::Pauses { failures: 1 } => write!(f, "failed once; starts again after a pause"),
            Self::Pauses { failures } => write!(f, "failed {failures} times; starts again after a pause"),
            Self::Replaced { by } => {
                write!(f, "ran out of memory; its trials are divided over {}", Names(by))
            }
            Self::Joined { last } => {
                write!(f, "not started: its trials joined running packs, the last of them {}", Names(last))
            }
            Self::Starting { placement, attempt } => {
                write!(f, "starting on {}{}", placement.device, Attempt(*attempt))
            }
            Self::Running { placement, attempt } => {
                write!(f, "running on {}{}", placement.device, Attempt(*attempt))
            }
            Self::Done => write!(f, "done"),
            Self::Failed { reason } => write!(f, "failed: {reason}"),
            Self::Skipped { because, reason: Some(reason) } => {
                write!(f, "skipped, since `{because}` failed: {reason}")
            }
            Self::Skipped { because, reason: None } => write!(f, "skipped, since `{because}` was stopped"),
            Self::Cancelled { failed: Some(job) } => {
                write!(f, "not done: the run ended when `{job}` failed; run the sweep again to continue")
            }
            Self::Cancelled { failed: None } => {
                write!(f, "not done: stopped; run the sweep again to continue")
            }
        }
    }
}

/// The first few names and how many more there are.
struct Names<'a>(&'a [JobKey]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        for (n, key) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}`{key}`", if n == 0 { "" } else { ", " })?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

struct Jobs(usize);

impl fmt::Display for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, if self.0 == 1 { "job" } else { "jobs" })
    }
}

struct Attempt(u32);

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 1 { write!(f, ", attempt {}", self.0) } else { Ok(()) }
    }
}
