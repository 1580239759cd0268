//! Owns which trials start next, together and where. Pure: no I/O, reads no clock.
//!
//! The graph is over trials: each needs its store prepared, and the report needs every trial to have ended. A
//! pack is no node of it but a placement: `pack` forms one when a place is free. The run loop tells the
//! [`Scheduler`] what happened and carries out the [`Action`]s it returns.
//!
//! | module | owns |
//! |---|---|
//! | `workload` | what is to be done: trials with their costs, what they share, stores, the report |
//! | `pool` | trials that wait, in the order in which packs take them |
//! | `pack` | the one function that says who trains together, and where |
//! | `memory` | what is tried after memory ran out |
//! | `trial`, `ends` | where a trial stands, and what the end of a job means for it |
//! | `chores` | preparation and the report, beside the training |
//! | `places` | which places are free, taken or out of service |
//! | `jobs` | what is at work, since when and how far |
//! | `scheduler`, `decide` | what follows from an event, and what starts or stops then |
//! | [`simulate`](simulate()) | the same scheduler on a clock of its own: plans, and the time left |
//! | `explain` | why a trial stands where it does |

mod chores;
mod decide;
mod ends;
mod explain;
mod jobs;
mod memory;
mod pack;
mod places;
mod pool;
mod scheduler;
mod simulate;
#[cfg(test)]
mod tests;
mod trial;
mod workload;

pub use explain::{Explanation, Reason, Start};
pub use scheduler::Scheduler;
pub use simulate::{Simulated, SimulatedJob, simulate};
pub use trial::{TrialState, Turn};
pub use workload::Workload;

use std::time::{Duration, SystemTime};

use crate::job::Work;
use crate::values::{Device, Failure, JobKey, Placement, Trial, TrialId};

/// The longest pause before a job starts again.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How large a pack may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Most trials per pack, at least 1.
    pub slots: usize,
    /// Memory of a place, in MiB. A trial that needs more than that trains alone.
    pub mem_mib: f64,
}

impl Limits {
    /// Every trial in a pack of its own.
    pub const ALONE: Self = Self { slots: 1, mem_mib: f64::INFINITY };
}

impl Default for Limits {
    fn default() -> Self {
        Self { slots: usize::MAX, mem_mib: f64::INFINITY }
    }
}

/// How the scheduler treats failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The first job or trial that fails for good ends the run; running jobs are asked to stop.
    pub fail_fast: bool,
    /// Most starts of a trial in one run, at least 1; the same for preparation and the report. Only failures
    /// that another start can mend are tried again, and starts that ran out of memory do not count: they
    /// come to an end by themselves, since each asks for less than the one before.
    pub attempts: u32,
    /// Pause before the second start; it doubles before each later one, up to five minutes.
    pub pause: Duration,
    /// Longest time that one start of a trial may take. A pack has that for each of its trials.
    pub trial_timeout: Option<Duration>,
}

impl Policy {
    /// Everything starts once and may take its time.
    pub const ONCE: Self = Self { fail_fast: false, attempts: 1, pause: Duration::ZERO, trial_timeout: None };

    /// Pause before the next start of what failed so many times.
    fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.pause.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start a job.
    Launch(Launch),
    /// Give a job at work one more trial to train. Answered by `TrialReturned` where its child does not take
    /// it any more.
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
    /// Say that a device gets no more jobs: it failed twice in a row, with different trials.
    Retire {
        /// Which device.
        device: Device,
    },
    /// Say that these trials failed for good.
    GiveUp {
        /// Which trials.
        trials: Vec<TrialId>,
        /// Why.
        failure: Failure,
    },
    /// Report `Woke` at this time; the latest such wish counts.
    WakeAt {
        /// When.
        at: SystemTime,
    },
    /// Nothing is running and nothing more can start.
    End,
}

/// A job that starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// Its name.
    pub job: JobKey,
    /// 1 for its first start in this run; of a pack, the most that one of its trials has had.
    pub attempt: u32,
    /// Where.
    pub placement: Placement,
    /// Most rows of a trial to take through the model at a time; the rest of a step accumulates.
    pub micro_rows: Option<usize>,
    /// What it does. A pack holds only trials that have not ended.
    pub work: Work,
}
