//! Owns which trials start next, together and where. Pure: does no I/O, reads no clock.
//!
//! Dependencies are between trials and other jobs: each trial needs its store prepared, and the report needs
//! every trial to have ended. A pack is not a node of this graph but a placement, formed when a place is free.
//! The run loop passes events to the [`Scheduler`] and carries out the [`Action`]s it returns.
//!
//! Read `scheduler` first (events in), then `decide` (actions out) and `pack` (who trains together).
//!
//! | module | owns |
//! |---|---|
//! | `remaining` | the trials to be done, with their costs and shapes |
//! | `workload` | the work: trials with their costs, what they share, stores, the report |
//! | `pool` | waiting trials, in the order in which packs take them |
//! | `pack` | the one function that says who trains together, and where |
//! | `memory` | what to try after memory ran out |
//! | `legs` | how far trials train before a decision on them, and what follows from one |
//! | `trial`, `ends` | a trial's state, and what the end of its job means for it |
//! | `chores` | preparing stores and writing the report, alongside training |
//! | `places` | which cores and GPUs are free or busy, rest after a loss, or are out of service |
//! | `reserve` | what a pack that waits for cores keeps for itself |
//! | `jobs` | running jobs, since when and how far |
//! | `openings` | what is told of a free place to `pack` |
//! | `scheduler`, `job_ends`, `decide` | what an event or a job's end changes, and what starts or stops then |
//! | [`simulate`](simulate()) | the same scheduler on a simulated clock: plans, and the remaining time |
//! | `width` | on how many cores each trial trains: decided once, before anything starts |
//! | `explain` | why a trial is in its state |

mod chores;
mod decide;
mod ends;
mod explain;
mod job_ends;
mod jobs;
mod legs;
mod memory;
mod openings;
mod pack;
mod places;
mod pool;
mod remaining;
mod reserve;
mod scheduler;
mod simulate;
#[cfg(test)]
mod tests;
mod trial;
mod width;
mod workload;

pub use explain::{Explanation, Reason, Start};
pub use remaining::Remaining;
pub use scheduler::Scheduler;
pub use simulate::{Simulated, SimulatedJob, simulate};
pub use trial::{TrialState, Turn};
pub use width::{Machine, decide_widths};
pub use workload::Workload;

use std::time::SystemTime;

use crate::job::Work;
use crate::values::{Device, Failure, JobKey, Placement, Trial, TrialId, What};
pub use crate::values::{Limits, Policy};

/// What the run loop should do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start a job.
    Launch(Launch),
    /// Give a running job one more trial to train. Answered by `TrialReturned` where its child does not take it
    /// any more.
    Join {
        /// Which job.
        job: JobKey,
        /// The trial.
        trial: Trial,
        /// Where it pauses, as a share of its steps.
        until: Option<f64>,
    },
    /// Ask a running job to let go of a trial after the current step, with a checkpoint. Answered by `TrialPaused`.
    Pause {
        /// Which job.
        job: JobKey,
        /// The trial.
        trial: TrialId,
    },
    /// Publish a decision on trials that are compared, which then comes back as an event.
    Announce(What),
    /// Ask a job to write its checkpoints and end, or kill it: because the user forces the stop, or because the
    /// job has not ended for too long.
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
    /// Announce that a device gets no more jobs: it failed under two packs in a row, or three where they had trials
    /// in common.
    Retire {
        /// Which device.
        device: Device,
    },
    /// Announce that these trials failed for good.
    GiveUp {
        /// Which trials.
        trials: Vec<TrialId>,
        /// Why.
        failure: Failure,
    },
    /// Report `Woke` at this time; a later request replaces an earlier one.
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
    /// Its name.
    pub job: JobKey,
    /// 1 for its first start in this run; for a pack, the largest number of starts of its trials.
    pub attempt: u32,
    /// Where.
    pub placement: Placement,
    /// Most rows of a trial in one pass; the rest of a step is accumulated.
    pub micro_rows: Option<usize>,
    /// What it does. A pack holds only trials that have not ended.
    pub work: Work,
}
