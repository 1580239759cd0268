//! Owns jobs that run alongside training, one at a time: preparing stores, for which trials wait, and the
//! report, which waits for all trials. Trains nothing.

use std::time::SystemTime;

use crate::cost::Estimate;
use crate::job::Work;
use crate::sched::ends::Past;
use crate::sched::workload::Workload;
use crate::values::{Failure, JobKey};

/// A job alongside training.
#[derive(Clone, Debug)]
pub(super) struct Chore {
    pub(super) key: JobKey,
    pub(super) work: Work,
    pub(super) estimate: Estimate,
    pub(super) state: ChoreState,
    pub(super) past: Past,
}

/// The state of a job alongside training.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ChoreState {
    /// Waits for its turn; the report waits for all trials.
    Waiting,
    /// Failed, and waits for the time of its next start.
    Paused {
        until: SystemTime,
    },
    AtWork,
    Done,
    Failed {
        failure: Failure,
    },
    /// Not done when the run ended.
    Cancelled,
}

impl ChoreState {
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Done | Self::Failed { .. } | Self::Cancelled => true,
            Self::Waiting | Self::Paused { .. } | Self::AtWork => false,
        }
    }
}

/// The jobs alongside training: one for each store, by its index, then the report.
#[derive(Clone, Debug)]
pub(super) struct Chores {
    pub(super) all: Vec<Chore>,
}

impl Chores {
    /// `cores` is how many there are while nothing trains.
    pub(super) fn of(work: &Workload, cores: usize) -> Self {
        let stores = &work.stores;
        let chore = |(number, (key, work, estimate)): (usize, (JobKey, Work, Estimate))| Chore {
            key,
            estimate,
            work,
            state: match stores.get(number) {
                Some(store) if store.is_there => ChoreState::Done,
                Some(_) | None => ChoreState::Waiting,
            },
            past: Past::default(),
        };
        Self { all: work.beside(cores).into_iter().enumerate().map(chore).collect() }
    }

    /// Whether a store is there.
    pub(super) fn is_prepared(&self, store: usize) -> bool {
        self.all[store].state == ChoreState::Done
    }

    /// The index of a job.
    pub(super) fn number(&self, key: JobKey) -> Option<usize> {
        self.all.iter().position(|chore| chore.key == key)
    }

    /// The next job that can start: preparation in order, and the report when everything else is over. With
    /// `alone`, only jobs that must run with nothing else; otherwise only the others.
    pub(super) fn next(&self, trials_are_over: bool, alone: bool) -> Option<usize> {
        let (report, prepares) = self.all.split_last()?;
        let can_start = |chore: &Chore| chore.state == ChoreState::Waiting && chore.past.alone == alone;
        if let Some(prepare) = prepares.iter().position(can_start) {
            return Some(prepare);
        }
        let is_due = trials_are_over && prepares.iter().all(|chore| chore.state.is_over());
        (is_due && can_start(report)).then_some(prepares.len())
    }

    /// Leaves out the report, before anything runs.
    pub(super) fn leave_out_report(&mut self) {
        if let Some(report) = self.all.last_mut() {
            report.state = ChoreState::Cancelled;
        }
    }

    /// Lets the report be written once more, since it lacks a trial that goes on.
    pub(super) fn report_again(&mut self) {
        if let Some(report) = self.all.last_mut().filter(|report| report.state == ChoreState::Done) {
            report.state = ChoreState::Waiting;
        }
    }

    /// Returns the jobs whose pause is over to waiting.
    pub(super) fn end_pauses(&mut self, now: SystemTime) {
        for chore in &mut self.all {
            if matches!(chore.state, ChoreState::Paused { until } if until <= now) {
                chore.state = ChoreState::Waiting;
            }
        }
    }

    /// When the next pause is over.
    pub(super) fn next_start(&self) -> Option<SystemTime> {
        let until = |chore: &Chore| match chore.state {
            ChoreState::Paused { until } => Some(until),
            ChoreState::Waiting
            | ChoreState::AtWork
            | ChoreState::Done
            | ChoreState::Failed { .. }
            | ChoreState::Cancelled => None,
        };
        self.all.iter().filter_map(until).min()
    }

    /// Leaves the waiting jobs for the next run.
    pub(super) fn cancel_waiting(&mut self) {
        for chore in &mut self.all {
            if !chore.state.is_over() && chore.state != ChoreState::AtWork {
                chore.state = ChoreState::Cancelled;
            }
        }
    }
}
