//! Owns the interface to child processes: the job file that a child gets, and what it and its parent tell each
//! other while it works. How they tell it is in [`mailbox`].
//!
//! A job file is complete: the child reads no sweep file and no journal. Only trials that join a running pack
//! come later, as messages. A job's fate is the file it leaves (`result.json`, `failure.json`, a store, a
//! report), never what it says; that reports progress and shows that it is alive.

pub mod mailbox;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::families::ModelSpec;
use crate::tasks::Task;
use crate::values::{ContentHash, Failure, JobKey, Placement, Progress, Scores, Trial, TrialId};

/// One job, written to its folder, which a child is given as its only argument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobFile {
    /// Number of this start of the job: no other start in the run has it.
    pub start: u64,
    /// Folder of the run, as the parent sees it.
    pub run: PathBuf,
    /// Where standard error of its process goes.
    pub log: PathBuf,
    /// Folder of token stores.
    pub stores: PathBuf,
    /// Where it runs.
    pub placement: Placement,
    /// Most rows of a trial in one pass, if memory has run out before. The rest of a step is accumulated, so
    /// that a trial learns the same.
    #[serde(default)]
    pub micro_rows: Option<usize>,
    /// Time between two checkpoints, in seconds; by default as often as the cost stays small.
    #[serde(default)]
    pub checkpoint_every_s: Option<f64>,
    /// How long it may be silent, in seconds: then it hangs, and is killed.
    pub silence_s: f64,
    /// What to do.
    pub work: Work,
}

/// What a job does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// Tokenise a task's files into a store.
    Prepare(Box<Prepare>),
    /// Train a pack of trials.
    Train(Box<Pack>),
    /// Write the report.
    Report {
        /// Folder to write to.
        folder: PathBuf,
    },
}

impl Work {
    /// The name of the job.
    ///
    /// # Panics
    /// When a pack has no trials.
    #[must_use]
    pub fn key(&self) -> JobKey {
        match self {
            Self::Prepare(prepare) => JobKey::Prepare(prepare.store),
            Self::Train(pack) => JobKey::Train(pack.slots[0].id),
            Self::Report { .. } => JobKey::Report,
        }
    }

    /// The trials it trains; none for other work.
    #[must_use]
    pub fn trials(&self) -> &[Trial] {
        match self {
            Self::Train(pack) => &pack.slots,
            Self::Prepare(_) | Self::Report { .. } => &[],
        }
    }
}

/// Tokenise a task's files with a model's tokenizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prepare {
    /// The store's name: a hash of everything that decides its tokens.
    pub store: ContentHash,
    /// Which files and columns.
    pub task: Arc<Task>,
    /// Tokenizer folder or file.
    pub tokenizer: PathBuf,
}

/// Trials that train together in one process on one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pack {
    /// What all slots learn.
    pub task: Arc<Task>,
    /// What all slots start from.
    pub model: Arc<ModelSpec>,
    /// The prepared data.
    pub store: ContentHash,
    /// One trial per slot.
    pub slots: Vec<Trial>,
    /// The slots that pause before their end: at the first validation on all rows at or after this share of their
    /// steps. Such a slot leaves the pack with a checkpoint.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub until: BTreeMap<TrialId, f64>,
}

/// What a child that trains can be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ToChild {
    /// Train one more trial, in a new slot. A child that takes it replies with [`ChildLine::Joined`].
    Join {
        /// The trial, which must be compatible with the pack.
        trial: Box<Trial>,
        /// Where it pauses, as in [`Pack::until`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<f64>,
    },
    /// Leave a trial as it is after this step, or after the current one where that is later; 0 is before its
    /// first step. It can be continued from its checkpoint. A trial that has done all its steps by then
    /// finishes, and the others of the pack go on.
    Stop {
        /// Which trial.
        trial: TrialId,
        /// Optimiser steps done by then.
        step: u64,
    },
}

/// What a child says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ChildLine {
    /// It is alive, and has done some of its work: a batch, a checkpoint.
    Heartbeat,
    /// The progress of its trials, as far as it is new.
    Progress(Vec<Progress>),
    /// A trial was evaluated on its validation rows.
    Evaluated {
        /// Which trial.
        trial: TrialId,
        /// Optimiser steps done by then.
        step: u64,
        /// What was measured.
        scores: Scores,
    },
    /// A trial that the parent sent has a slot now.
    Joined {
        /// Which trial.
        trial: TrialId,
    },
    /// A trial left the pack as it was told to; its checkpoint is in place.
    Stopped {
        /// Which trial.
        trial: TrialId,
        /// Optimiser steps done.
        step: u64,
        /// Optimiser steps in all.
        steps: u64,
    },
    /// A trial's result file is in place.
    Finished {
        /// Which trial.
        trial: TrialId,
    },
    /// A trial's `failure.json` is in place; the rest of the pack goes on.
    Failed {
        /// Which trial.
        trial: TrialId,
        /// Why.
        failure: Failure,
    },
    /// Something about a trial that the user should know; it goes on.
    Warning {
        /// Which trial.
        trial: TrialId,
        /// What.
        message: String,
    },
}
