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
//! | `trial`, `ends` | where a trial stands, and what the end of its job means for it |
//! | `chores` | preparation and the report, beside the training |
//! | `places` | which places are free, taken or out of service |
//! | `jobs` | what is at work, since when and how far |
//! | `scheduler`, `job_ends`, `decide` | what follows from an event and a job's end, and what starts or stops then |
//! | [`simulate`](simulate()) | the same scheduler on a clock of its own: plans, and the time left |
//! | `explain` | why a trial stands where it does |

mod chores;
mod decide;
mod ends;
mod explain;
mod job_ends;
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

use std::time::SystemTime;

use crate::job::Work;
use crate::values::{Device, Failure, JobKey, Placement, Trial, TrialId};
pub use crate::values::{Limits, Policy};

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
    /// Ask a job to write its checkpoints and end, or kill it: at once, or since it has not ended for long.
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
