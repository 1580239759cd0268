//! Owns what the journal tells about each trial and job: a fold of its entries. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::plan::JobKey;
use crate::record::journal::{Entry, Happened, Typed};
use crate::values::{Failure, Placement, TrialId};

/// What the journal tells.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct History {
    /// The trials that were ever started.
    pub trials: BTreeMap<TrialId, TrialHistory>,
    /// Jobs other than training whose last attempt failed.
    pub failed_jobs: BTreeMap<JobKey, Failure>,
    /// What the user typed to start it the last time.
    pub typed: Typed,
    /// When the run was first started.
    pub started_at: Option<Timestamp>,
    /// When the last thing happened.
    pub updated_at: Option<Timestamp>,
    /// Jobs that were started and have not ended.
    at_work: BTreeMap<JobKey, AtWork>,
}

/// A job that has not ended.
#[derive(Clone, Debug, PartialEq)]
struct AtWork {
    placement: Placement,
    pid: Option<u32>,
    trials: BTreeSet<TrialId>,
}

/// What the journal tells about a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialHistory {
    /// How often it was started.
    pub attempts: u32,
    /// How it stood at the end of the journal.
    pub last: LastWord,
}

/// How a trial stood at the end of the journal.
#[derive(Clone, Debug, PartialEq)]
pub enum LastWord {
    /// Its job was about to be started.
    Launching {
        /// Where.
        placement: Placement,
    },
    /// Its job was at work.
    Running {
        /// Where.
        placement: Placement,
        /// Process id of the child.
        pid: u32,
    },
    /// Its job ended, or its orchestrator did, before the trial was done.
    Interrupted,
    /// Its result was in place.
    Finished,
    /// It failed for good.
    Failed(Failure),
}

impl History {
    /// The history that a journal tells.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Self {
        let mut history = Self::default();
        for entry in entries {
            history.updated_at = Some(entry.at);
            history.apply(entry);
        }
        history
    }

    fn apply(&mut self, entry: &Entry) {
        match &entry.what {
            Happened::RunStarted { typed, .. } => {
                self.typed = typed.clone();
                self.started_at.get_or_insert(entry.at);
                self.interrupt_all();
            }
            Happened::JobLaunching { key, placement, trials, .. } => self.launch(key, placement, trials),
            Happened::JobStarted { key, pid } => self.start(key, *pid),
            Happened::TrialJoining { key, trial } => self.join(key, *trial),
            Happened::TrialReturned { key, trial } => self.take_back(key, *trial),
            Happened::TrialFinished { trial } => self.settle(*trial, LastWord::Finished),
            Happened::TrialFailed { trial, failure } => {
                self.settle(*trial, LastWord::Failed(failure.clone()));
            }
            Happened::JobFinished { key } | Happened::JobInterrupted { key } => {
                self.end(key);
            }
            Happened::JobFailed { key, failure } => {
                if self.end(key).is_empty() {
                    self.failed_jobs.insert(key.clone(), failure.clone());
                }
            }
            Happened::RunEnded => self.interrupt_all(),
        }
    }

    fn launch(&mut self, key: &JobKey, placement: &Placement, trials: &[TrialId]) {
        self.failed_jobs.remove(key);
        let at_work =
            AtWork { placement: placement.clone(), pid: None, trials: trials.iter().copied().collect() };
        self.at_work.insert(key.clone(), at_work);
        for trial in trials {
            self.attempt(*trial, LastWord::Launching { placement: placement.clone() });
        }
    }

    fn attempt(&mut self, trial: TrialId, last: LastWord) {
        self.settle(trial, last);
        self.trials.entry(trial).and_modify(|seen| seen.attempts += 1);
    }

    fn join(&mut self, key: &JobKey, trial: TrialId) {
        let Some(AtWork { placement, pid, trials }) = self.at_work.get_mut(key) else { return };
        trials.insert(trial);
        let placement = placement.clone();
        let last = match *pid {
            Some(pid) => LastWord::Running { placement, pid },
            None => LastWord::Launching { placement },
        };
        self.attempt(trial, last);
    }

    /// What was never begun is no attempt.
    fn take_back(&mut self, key: &JobKey, trial: TrialId) {
        if let Some(at_work) = self.at_work.get_mut(key) {
            at_work.trials.remove(&trial);
        }
        match self.trials.get_mut(&trial) {
            Some(seen) if seen.attempts > 1 => {
                (seen.attempts, seen.last) = (seen.attempts - 1, LastWord::Interrupted);
            }
            Some(_) | None => _ = self.trials.remove(&trial),
        }
    }

    fn start(&mut self, key: &JobKey, pid: u32) {
        let Some(at_work) = self.at_work.get_mut(key) else { return };
        at_work.pid = Some(pid);
        for trial in &at_work.trials {
            if let Some(TrialHistory { last, .. }) = self.trials.get_mut(trial)
                && let LastWord::Launching { placement } = last
            {
                *last = LastWord::Running { placement: placement.clone(), pid };
            }
        }
    }

    fn settle(&mut self, trial: TrialId, last: LastWord) {
        let attempts = self.trials.get(&trial).map_or(0, |seen| seen.attempts);
        self.trials.insert(trial, TrialHistory { attempts, last });
    }

    /// Ends a job; those of its trials that are not settled were interrupted.
    fn end(&mut self, key: &JobKey) -> BTreeSet<TrialId> {
        let trials = self.at_work.remove(key).map(|at_work| at_work.trials).unwrap_or_default();
        for trial in &trials {
            if let Some(TrialHistory { last, .. }) = self.trials.get_mut(trial) {
                match last {
                    LastWord::Launching { .. } | LastWord::Running { .. } => *last = LastWord::Interrupted,
                    LastWord::Interrupted | LastWord::Finished | LastWord::Failed(_) => {}
                }
            }
        }
        trials
    }

    fn interrupt_all(&mut self) {
        let keys: Vec<_> = self.at_work.keys().cloned().collect();
        for key in keys {
            self.end(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::Device;

    fn trial(n: u8) -> TrialId {
        format!("{n:016x}").parse().unwrap()
    }

    fn history(happened: &[Happened]) -> History {
        let at = Timestamp::UNIX_EPOCH;
        let entries: Vec<_> = happened.iter().map(|what| Entry { at, what: what.clone() }).collect();
        History::of(&entries)
    }

    #[test]
    fn a_trial_is_interrupted_by_whatever_ends_before_it() {
        let key = JobKey("train-1".to_owned());
        let placement = Placement { device: Device::Cpu { slot: 0 }, cores: vec![] };
        let launching = Happened::JobLaunching {
            key: key.clone(),
            attempt: 1,
            placement: placement.clone(),
            trials: vec![trial(1), trial(2)],
        };
        let mut told = vec![
            launching,
            Happened::JobStarted { key: key.clone(), pid: 9 },
            Happened::TrialFinished { trial: trial(1) },
        ];
        assert_eq!(history(&told).trials[&trial(2)].last, LastWord::Running { placement, pid: 9 });
        let crash = Happened::RunStarted {
            pid: 1,
            host: String::new(),
            version: String::new(),
            typed: Typed::default(),
        };
        let failed = Happened::JobFailed { key: key.clone(), failure: Failure::OutOfMemory };
        for end in [crash, failed, Happened::JobInterrupted { key: key.clone() }, Happened::RunEnded] {
            told.push(end);
            let history = history(&told);
            assert_eq!(history.trials[&trial(1)].last, LastWord::Finished);
            assert_eq!(history.trials[&trial(2)], TrialHistory { attempts: 1, last: LastWord::Interrupted });
            assert!(history.failed_jobs.is_empty());
            told.pop();
        }
    }

    #[test]
    fn a_trial_that_joined_is_one_of_the_jobs_and_one_that_came_back_was_never_started() {
        let key = JobKey("train-1".to_owned());
        let placement = Placement { device: Device::Cuda { index: 0 }, cores: vec![] };
        let trials = vec![trial(1)];
        let mut told = vec![
            Happened::JobLaunching { key: key.clone(), attempt: 1, placement: placement.clone(), trials },
            Happened::JobStarted { key: key.clone(), pid: 9 },
            Happened::TrialJoining { key: key.clone(), trial: trial(2) },
        ];
        let joined = TrialHistory { attempts: 1, last: LastWord::Running { placement, pid: 9 } };
        assert_eq!(history(&told).trials[&trial(2)], joined);
        told.push(Happened::JobFailed { key: key.clone(), failure: Failure::HostLost });
        let interrupted = TrialHistory { attempts: 1, last: LastWord::Interrupted };
        assert_eq!(history(&told).trials[&trial(2)], interrupted);
        told.pop();
        told.push(Happened::TrialReturned { key: key.clone(), trial: trial(2) });
        told.push(Happened::JobFinished { key });
        assert_eq!(history(&told).trials.keys().collect::<Vec<_>>(), [&trial(1)]);
    }

    #[test]
    fn a_failed_job_is_forgotten_when_it_starts_again() {
        let key = JobKey("report".to_owned());
        let placement = Placement { device: Device::Host, cores: vec![] };
        let launching =
            Happened::JobLaunching { key: key.clone(), attempt: 1, placement, trials: Vec::new() };
        let failed = Happened::JobFailed { key: key.clone(), failure: Failure::Exited { code: 1 } };
        let mut told = vec![launching.clone(), failed];
        assert_eq!(history(&told).failed_jobs.len(), 1);
        told.push(launching);
        assert!(history(&told).failed_jobs.is_empty());
    }
}
