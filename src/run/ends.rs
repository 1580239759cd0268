//! Owns what the end of a trial or of a child means. Part of the loop.
//!
//! A trial is done when its result file is valid. It has failed when it left its own failure file while others
//! trained with it, or when the scheduler gives it up. What a child says alone proves nothing.

use std::sync::Arc;

use super::event_loop::{Asked, EventLoop};
use crate::disk::files;
use crate::exec::Exit;
use crate::job::mailbox;
use crate::record::ledger::TrialState;
use crate::record::{self, compared, resume};
use crate::run::RunError;
use crate::values::{Failure, JobKey, MetricLine, Pause, TrialId, What};

impl EventLoop<'_, '_> {
    pub(super) fn on_end(&mut self, key: JobKey, exit: Exit) -> Result<(), RunError> {
        let Some(child) = self.state.children.remove(&key) else { return Ok(()) };
        // All of it was heard. What cannot be removed is in nobody's way: the next start removes it.
        drop(mailbox::clear(&self.layout.job(key)));
        for trial in self.open(key) {
            self.finish(key, trial)?;
        }
        if self.trains_several(key) {
            for trial in self.open(key) {
                if let Some(failure) = self.own_failure(trial) {
                    self.fail(trial, &failure)?;
                }
            }
        }
        // Trials that the child was sent but did not take wait again.
        let joining = self.stream.ledger.job(key).map(|job| job.joining.clone()).unwrap_or_default();
        for trial in joining {
            if !self.stream.ledger.state(trial).is_settled() {
                self.happen(What::TrialReturned { key, trial })?;
            }
        }
        self.happen(match self.judge(key, understood(exit, child.asked)) {
            Exit::Done => What::JobFinished { key },
            Exit::Interrupted => What::JobInterrupted { key },
            Exit::Failed(failure) => What::JobFailed { key, failure },
        })
    }

    /// What the end of a child means for its job, given the fates of its trials.
    fn judge(&self, key: JobKey, exit: Exit) -> Exit {
        let ledger = &self.stream.ledger;
        let trials = ledger.job(key).map(|job| job.trials.as_slice()).unwrap_or_default();
        let states = || trials.iter().map(|trial| ledger.state(*trial));
        let last_failure = states().rev().find_map(TrialState::failure);
        match (ledger.open(key).next(), last_failure, exit) {
            (None, None, exit) if trials.is_empty() => exit,
            (None, Some(failure), _) if states().all(|state| *state != TrialState::Done) => {
                Exit::Failed(failure.clone())
            }
            (None, _, _) => Exit::Done,
            (Some(trial), _, Exit::Done) => {
                Exit::Failed(self.own_failure(trial).unwrap_or(Failure::Exited { code: 0 }))
            }
            (Some(_), _, exit @ (Exit::Interrupted | Exit::Failed(_))) => exit,
        }
    }

    /// Whether a running job has this trial, which a person may have ordered to stop.
    pub(super) fn holds(&self, key: JobKey, trial: TrialId) -> bool {
        self.stream.ledger.job(key).is_some_and(|job| job.trials.contains(&trial))
    }

    /// Where a trial stands that paused after this step. Its scores come from its metrics file, since what a child
    /// says decides nothing. One that was further than where it is compared counts as it was there.
    #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
    pub(super) fn pause(&self, trial: TrialId, step: u64, steps: u64) -> Pause {
        let from = self.scheduler.pauses_from(trial).map_or(step as f64, |share| steps as f64 * share - 1e-6);
        let is_there = |at: u64| at <= step && at as f64 >= from.min(step as f64);
        let lines = record::metrics(self.layout, trial);
        let measured = lines.into_iter().find_map(|line| match line {
            MetricLine::Validation { step: at, scores, loss_error, rows: None, .. } if is_there(at) => {
                Some((at, scores, loss_error))
            }
            MetricLine::Validation { .. } | MetricLine::Train { .. } => None,
        });
        let (step, scores, loss_error) =
            measured.map_or((step, None, None), |(at, scores, error)| (at, Some(scores), error));
        let compares = self.scheduler.brackets().compares_rows();
        let rows = compares.then(|| compared::rows_at(self.layout, trial, step)).flatten();
        Pause { trial, step, steps, scores, loss_error, rows }
    }

    /// The present trials of a job without a fate.
    fn open(&self, key: JobKey) -> Vec<TrialId> {
        self.stream.ledger.open(key).collect()
    }

    /// The failure that a trial's process wrote for this trial alone, in its last attempt.
    fn own_failure(&self, trial: TrialId) -> Option<Failure> {
        files::read_json(&self.layout.failure(trial)).ok().flatten()
    }

    /// Publishes that one of a job's trials is done, if its result is in place.
    pub(super) fn finish(&mut self, key: JobKey, trial: TrialId) -> Result<(), RunError> {
        if !self.stream.ledger.is_open(key, trial) {
            return Ok(());
        }
        let Some(result) = resume::result(self.layout, trial) else { return Ok(()) };
        self.happen_with_forecast(What::TrialFinished { trial, result: Some(Arc::new(result)) })
    }

    /// Publishes that a trial failed for good, unless it already has a fate.
    pub(super) fn fail(&mut self, trial: TrialId, failure: &Failure) -> Result<(), RunError> {
        if self.stream.ledger.state(trial).is_settled() {
            return Ok(());
        }
        self.happen(What::TrialFailed { trial, failure: failure.clone() })
    }
}

/// A child's exit, given what it was asked: our own signal is not a failure of the child.
fn understood(exit: Exit, asked: Asked) -> Exit {
    match (exit, asked) {
        (Exit::Failed(Failure::Killed { .. }), Asked::Stop) => Exit::Interrupted,
        (Exit::Failed(Failure::Killed { .. }), Asked::Die) => Exit::Failed(Failure::Hung),
        (Exit::Interrupted | Exit::Failed(Failure::Killed { .. }), Asked::CutShort) => {
            Exit::Failed(Failure::TimedOut)
        }
        (exit, Asked::Work | Asked::Stop | Asked::CutShort | Asked::Die) => exit,
    }
}
