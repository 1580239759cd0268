//! Owns what the end of a child means for its trials. Part of the loop.
//!
//! A trial is done when its result file is valid. It failed when it left a failure file of its own
//! while others trained with it, or when the scheduler gives its job up; a line on a child's standard
//! output alone proves nothing.

use std::time::Instant;

use super::dispatch::{Asked, AtWork, Dispatcher};
use crate::disk::files;
use crate::error::AppError;
use crate::exec::Exit;
use crate::job::Work;
use crate::plan::{JobId, JobKey};
use crate::record::journal::Happened;
use crate::record::resume;
use crate::sched::{Event, JobState};
use crate::ui::Notice;
use crate::values::{Failure, Trial, TrialId};

impl Dispatcher<'_> {
    pub(super) fn on_end(&mut self, job: JobId, exit: Exit) -> Result<bool, AppError> {
        let mut events = self.finish_trials(job, None)?;
        let Some(at_work) = self.at_work.remove(&job) else { return Ok(false) };
        let AtWork { mut trials, joining, asked, .. } = at_work;
        if trials.len() > 1 {
            for trial in &trials {
                if let Some(failure) = self.own_failure(trial.id) {
                    events.extend(self.fail_trial(job, trial.id, &failure)?);
                }
            }
        }
        events.extend(self.take_back(job, &mut trials, &joining)?);
        let key = self.scheduler.graph().job(job).key.clone();
        events.push(match self.judge(&trials, understood(exit, asked)) {
            Exit::Done => {
                self.note(Happened::JobFinished { key: key.clone() })?;
                self.tally.reported |= matches!(self.scheduler.graph().job(job).work, Work::Report { .. });
                self.observer.observe(&Notice::JobEnded { job, key: &key, failure: None });
                Event::JobFinished { job }
            }
            Exit::Interrupted => {
                self.note(Happened::JobInterrupted { key: key.clone() })?;
                self.observer.observe(&Notice::JobEnded { job, key: &key, failure: None });
                Event::JobInterrupted { job }
            }
            Exit::Failed(failure) => self.fail_job(job, &key, failure)?,
        });
        self.happen(events)
    }

    /// What the end of a child means for its job, by the fates of its trials.
    fn judge(&self, trials: &[Trial], exit: Exit) -> Exit {
        let open = trials.iter().find(|trial| !self.tally.is_settled(trial.id));
        let last = trials.iter().rev().find_map(|trial| self.tally.failures.get(&trial.id));
        match (open, last, exit) {
            (None, None, exit) if trials.is_empty() => exit,
            (None, Some(failure), _) if trials.iter().all(|trial| !self.tally.done.contains(&trial.id)) => {
                Exit::Failed(failure.clone())
            }
            (None, _, _) => Exit::Done,
            (Some(trial), _, Exit::Done) => {
                Exit::Failed(self.own_failure(trial.id).unwrap_or(Failure::Exited { code: 0 }))
            }
            (Some(_), _, exit @ (Exit::Interrupted | Exit::Failed(_))) => exit,
        }
    }

    /// The failure that a trial's process wrote for this trial alone, in its last attempt.
    fn own_failure(&self, trial: TrialId) -> Option<Failure> {
        files::read_json(&self.layout.failure(trial)).ok().flatten()
    }

    pub(super) fn fail_job(&mut self, job: JobId, key: &JobKey, failure: Failure) -> Result<Event, AppError> {
        if let Failure::Unwritable { message } = &failure {
            self.tally.unwritable.get_or_insert(message.clone());
        }
        self.note(Happened::JobFailed { key: key.clone(), failure: failure.clone() })?;
        self.observer.observe(&Notice::JobEnded { job, key, failure: Some(&failure) });
        Ok(Event::JobFailed { job, failure })
    }

    /// Settles the trials of a failed job that will not be tried again.
    pub(super) fn give_up(&mut self, job: JobId, failure: &Failure) -> Result<(), AppError> {
        match self.scheduler.state(job) {
            JobState::Failed { .. } => {}
            JobState::Blocked { .. }
            | JobState::Ready
            | JobState::Paused { .. }
            | JobState::Launched { .. }
            | JobState::Running { .. }
            | JobState::Done
            | JobState::Replaced { .. }
            | JobState::Skipped { .. }
            | JobState::Cancelled => return Ok(()),
        }
        let planned = self.scheduler.graph().job(job);
        let (key, trials) = (planned.key.clone(), planned.trials());
        if trials.is_empty() {
            self.tally.failed_jobs.push((key, failure.clone()));
        }
        for trial in trials {
            self.fail_trial(job, trial, failure)?;
        }
        Ok(())
    }

    /// Takes in the results that a job's trials have: of one trial, or of all.
    pub(super) fn finish_trials(
        &mut self,
        job: JobId,
        only: Option<TrialId>,
    ) -> Result<Vec<Event>, AppError> {
        let Some(at_work) = self.at_work.get(&job) else { return Ok(Vec::new()) };
        let (together, was_joined) = (at_work.trials.clone(), at_work.was_joined);
        let trials: Vec<_> = together
            .iter()
            .filter(|trial| only.is_none_or(|id| id == trial.id) && !self.tally.is_settled(trial.id))
            .cloned()
            .collect();
        let mut events = Vec::new();
        for trial in trials {
            let Some(result) = resume::result(self.layout, trial.id) else { continue };
            self.note(Happened::TrialFinished { trial: trial.id })?;
            self.tally.done.insert(trial.id);
            // Who shared the time of a trial is known only where all began together.
            if !was_joined {
                self.calibration.observe(self.spec, &together, &trial, &result.cost);
            }
            let work_out = || self.scheduler.remaining(self.clock.now(), &self.calibration);
            let remaining = self.forecast.left(Instant::now, work_out);
            let done = self.tally.done.len();
            self.observer.observe(&Notice::TrialFinished { result: &result, done, remaining });
            events.push(Event::TrialFinished { job, trial: trial.id });
        }
        Ok(events)
    }

    /// Settles a trial that failed for good, unless it is settled already.
    pub(super) fn fail_trial(
        &mut self,
        job: JobId,
        trial: TrialId,
        failure: &Failure,
    ) -> Result<Option<Event>, AppError> {
        if self.tally.is_settled(trial) {
            return Ok(None);
        }
        self.note(Happened::TrialFailed { trial, failure: failure.clone() })?;
        self.tally.failures.insert(trial, failure.clone());
        self.observer.observe(&Notice::TrialFailed { trial, failure });
        Ok(Some(Event::TrialFailed { job, trial }))
    }
}

/// An exit in the light of what the child had been asked: a signal of ours is no failure of its own.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_means_what_we_sent_it_for() {
        let killed = Exit::Failed(Failure::Killed { signal: 9 });
        assert_eq!(understood(killed.clone(), Asked::Work), killed);
        assert_eq!(understood(killed.clone(), Asked::Stop), Exit::Interrupted);
        assert_eq!(understood(killed.clone(), Asked::Die), Exit::Failed(Failure::Hung));
        for exit in [killed, Exit::Interrupted] {
            assert_eq!(understood(exit, Asked::CutShort), Exit::Failed(Failure::TimedOut));
        }
        let failed = Exit::Failed(Failure::OutOfMemory);
        assert_eq!(understood(failed.clone(), Asked::Stop), failed);
        assert_eq!(understood(Exit::Done, Asked::Die), Exit::Done);
    }
}
