//! Owns what a child process is told (its job file) and what it says while it works.
//!
//! A job file is complete: the child reads no sweep file and no journal; only trials that join a running
//! pack come later, as lines on its standard input. Its fate is the file it leaves (`result.json`,
//! `failure.json`, a store, a report), never a line it prints; the lines on its standard output say how
//! far it is and that it lives.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::families::ModelSpec;
use crate::tasks::Task;
use crate::values::{ContentHash, Failure, JobKey, Placement, Progress, Scores, Trial, TrialId};

/// One job, written to `jobs/<key>.json` and given to a child as its only argument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobFile {
    /// Folder of the run, as the parent sees it.
    pub run: PathBuf,
    /// Folder of token stores.
    pub stores: PathBuf,
    /// Where it runs.
    pub placement: Placement,
    /// Most rows of a trial that go through the model at a time, where memory has run out before. The
    /// rest of a step accumulates, so that a trial learns the same but for its dropout masks.
    #[serde(default)]
    pub micro_rows: Option<usize>,
    /// Time between two checkpoints, in seconds; by default as often as costs little.
    #[serde(default)]
    pub checkpoint_every_s: Option<f64>,
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
    /// The name of the job that does it.
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
    /// The store's name: a hash of all that decides its tokens.
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
}

/// One JSON line on the standard input of a child that trains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ParentLine {
    /// Train one more trial, in a slot that is free. A child that takes it says [`ChildLine::Joined`].
    Join {
        /// The trial, which could have been in the pack from the start.
        trial: Box<Trial>,
    },
}

/// One JSON line on a child's standard output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ChildLine {
    /// Still alive.
    Heartbeat,
    /// How far a trial is.
    Progress(Progress),
    /// A trial was evaluated on its validation rows.
    Evaluated {
        /// Which trial.
        trial: TrialId,
        /// Optimiser steps that it had done.
        step: u64,
        /// What was measured.
        scores: Scores,
    },
    /// A trial that the parent gave it has a slot.
    Joined {
        /// Which trial.
        trial: TrialId,
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
