//! Owns the facts of stopping early: who is compared with whom, and what was decided. Data only; `search` decides.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{JudgedRows, Metric, Scores, TrialId};

/// The configurations that are compared with one another: they have their task, model, method and number of steps in
/// common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bracket {
    /// Its number in the run, from 1.
    pub number: usize,
    /// The configurations, in the order of the sweep.
    pub candidates: Vec<Candidate>,
}

/// A configuration in a bracket, with its seeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The trials by which it is compared.
    pub compared: Vec<TrialId>,
    /// The trials that start once it has come through all rungs: other folds and seeds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later: Vec<TrialId>,
}

/// Where a trial stands at a pause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pause {
    /// Which trial.
    pub trial: TrialId,
    /// Optimiser steps done.
    pub step: u64,
    /// Optimiser steps in all.
    pub steps: u64,
    /// Its scores on the validation rows after this step; `None` where it was not validated then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Scores>,
    /// Standard error of the loss among these, over rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_error: Option<f64>,
    /// What it gave for each validation row, where that is to be compared. A file beside the trial's result holds it.
    #[serde(skip)]
    pub rows: Option<Arc<JudgedRows>>,
}

impl Pause {
    /// The share of its steps that is done.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
    pub fn share(&self) -> f64 {
        self.step as f64 / self.steps.max(1) as f64
    }
}

/// What was decided at a rung: which of a bracket's configurations go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RungDecision {
    /// The bracket.
    pub bracket: usize,
    /// The rung, from 1.
    pub rung: usize,
    /// By what they are ranked; `None` where that is the loss of their kind of task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Metric>,
    /// How many were to be kept. More are, where they equal the last of these, or are no worse beyond noise if the rule
    /// says so.
    pub keep: usize,
    /// Those that came to this rung, best first; those without a score come last.
    pub ranking: Vec<Ranked>,
    /// Where those that are kept pause next, as a share of their steps. `None` where they train to their end, and
    /// their other folds and seeds start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<f64>,
}

/// A configuration at a rung.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// Its trials.
    #[serde(flatten)]
    pub candidate: Candidate,
    /// Optimiser steps done.
    pub step: u64,
    /// Its score, a mean over the compared trials; `None` where one of them failed or was not validated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Whether it goes on.
    pub kept: bool,
}

impl RungDecision {
    /// The trials that go on, or start.
    pub fn go_on(&self) -> impl Iterator<Item = TrialId> + '_ {
        let kept = self.ranking.iter().filter(|one| one.kept).map(|one| &one.candidate);
        kept.flat_map(|one| {
            let later = one.later.iter().filter(|_| self.until.is_none());
            one.compared.iter().chain(later).copied()
        })
    }

    /// The trials that are stopped, or do not start, each with the reason. One that has failed stays failed.
    pub fn stopped(&self) -> impl Iterator<Item = (TrialId, StopReason)> + '_ {
        let last_kept = self.ranking.iter().filter(|one| one.kept).filter_map(|one| one.score).next_back();
        let stopped = self.ranking.iter().zip(1..).filter(|(one, _)| !one.kept);
        stopped.flat_map(move |(one, rank)| {
            let reason = move |is_compared| StopReason::Rung {
                bracket: self.bracket,
                rung: self.rung,
                step: one.step,
                rank,
                of: self.ranking.len(),
                score: one.score,
                last_kept,
                by: self.by,
                is_compared,
            };
            let compared = one.candidate.compared.iter().map(move |trial| (*trial, reason(true)));
            compared.chain(one.candidate.later.iter().map(move |trial| (*trial, reason(false))))
        })
    }
}

/// A rung at which too few configurations had learned anything, so that all go on to a later validation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RungPutOff {
    /// The bracket.
    pub bracket: usize,
    /// The rung, from 1.
    pub rung: usize,
    /// Optimiser steps done.
    pub step: u64,
    /// The loss of the best constant answer.
    pub untrained: f64,
    /// How many were better than that, beyond the noise of their validation rows.
    pub better: usize,
    /// How many would have been kept.
    pub keep: usize,
    /// Where they pause next, as a share of their steps.
    pub until: f64,
    /// The trials that go on.
    pub trials: Vec<TrialId>,
}

/// Why a trial is stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StopReason {
    /// Its configuration was not among those that were kept at a rung.
    Rung {
        /// The bracket.
        bracket: usize,
        /// The rung, from 1.
        rung: usize,
        /// Optimiser steps that the compared trials of its configuration had done.
        step: u64,
        /// The configuration's rank there, from 1.
        rank: usize,
        /// Number of configurations that were ranked.
        of: usize,
        /// Its score; `None` where it had none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        score: Option<f64>,
        /// The score of the last one that was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_kept: Option<f64>,
        /// By what they were ranked, where that is not the loss.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Metric>,
        /// Whether this trial itself was compared; another fold or seed of its configuration has not started.
        is_compared: bool,
    },
    /// A person ordered it.
    ByHand,
}

impl StopReason {
    /// The reason for another fold or seed of the same configuration.
    #[must_use]
    pub fn of_another(&self) -> Self {
        let mut reason = self.clone();
        if let Self::Rung { is_compared, .. } = &mut reason {
            *is_compared = false;
        }
        reason
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Rung { rung, step, rank, of, score, last_kept, by, is_compared, .. } = self else {
            return f.write_str("stopped as ordered");
        };
        let (verb, what) =
            if *is_compared { ("stopped", "it was") } else { ("not started", "its configuration was") };
        let by = by.map_or("validation loss", |metric| metric.row().title);
        write!(f, "{verb}: {what} {rank} of {of} by {by} at rung {rung}, after step {step}")?;
        match (score, last_kept) {
            (Some(score), Some(kept)) => write!(f, " ({score:.4}; the last one kept had {kept:.4})"),
            (Some(score), None) => write!(f, " ({score:.4})"),
            (None, _) => f.write_str(" (it had no score)"),
        }
    }
}
