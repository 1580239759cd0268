//! Owns the state of a run as everybody but the loop sees it: a fold of the journal and of the
//! files under `trials/`. `status`, `explain` and `report` read this and nothing else.

use jiff::Timestamp;

use crate::job::Placement;
use crate::outcome::{Failure, MetricLine, TrialResult};
use crate::plan::params::ParamCounts;
use crate::spec::SweepSpec;
use crate::trial::{Trial, TrialId};

/// Everything known about a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRecord {
    /// The sweep it last worked on.
    pub sweep: SweepSpec,
    /// Every trial of that sweep, configurations in grid order, folds innermost.
    pub trials: Vec<TrialRecord>,
    /// Trials on disk that the sweep no longer has.
    pub removed: Vec<TrialId>,
    /// When the run was first started.
    pub started_at: Option<Timestamp>,
    /// When the last thing happened.
    pub updated_at: Option<Timestamp>,
    /// Whether an orchestrator is at work on it now.
    pub live: bool,
    /// Jobs other than training that failed, by key, each with the reason.
    pub failed_jobs: Vec<(String, Failure)>,
}

/// Everything known about one trial.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialRecord {
    /// What it is.
    pub trial: Trial,
    /// Its parameters, counted from shapes.
    pub params: ParamCounts,
    /// Where it stands.
    pub state: TrialState,
    /// How often it was started.
    pub attempts: u32,
    /// Its metric lines so far, in step order, each step once.
    pub metrics: Vec<MetricLine>,
    /// Its result, where it is done.
    pub result: Option<TrialResult>,
}

/// Where a trial stands.
#[derive(Clone, Debug, PartialEq)]
pub enum TrialState {
    /// Not started yet.
    Waiting,
    /// At work now.
    Running {
        /// Where.
        placement: Placement,
        /// Process id of its child.
        pid: u32,
    },
    /// Started, not finished, and nobody works on it now.
    Interrupted,
    /// Finished, with a result.
    Done,
    /// Failed, and not to be tried again unless asked.
    Failed {
        /// Why.
        failure: Failure,
    },
}
