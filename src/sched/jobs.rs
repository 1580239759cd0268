//! Owns the running jobs: where each runs, since when, until when, and its progress. Starts none.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::cost::count;
use crate::sched::memory::Memory;
use crate::sched::workload::{GpuKind, TrialNo};
use crate::values::Placement;

/// How long a job that was asked to end may take before it is killed. It ends between two steps, so that an
/// evaluation in progress is waited for.
const GRACE: Duration = Duration::from_mins(10);
/// A pack's speed counts as known from this share of its work on, and from this time on: a child's progress may
/// arrive late, and then all at once.
const KNOWN_FROM: f64 = 0.01;
const KNOWN_AFTER: Duration = Duration::from_secs(1);

/// A running job, or one that is about to run.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) doing: Doing,
    pub(super) placement: Placement,
    /// What its memory is.
    pub(super) memory: Memory,
    pub(super) since: SystemTime,
    /// Whether its child has started.
    pub(super) is_up: bool,
    /// Whether other jobs used the same memory meanwhile.
    pub(super) shared: bool,
    /// When it must end.
    pub(super) deadline: Option<Deadline>,
}

/// What a job does.
#[derive(Clone, Debug)]
pub(super) enum Doing {
    Train(Training),
    /// A job alongside training, by its index.
    Beside(usize),
}

/// A running pack.
#[derive(Clone, Debug)]
pub(super) struct Training {
    pub(super) shape: usize,
    /// The kind of its GPU; 0 on cores.
    pub(super) on: GpuKind,
    /// Trials that have not ended.
    pub(super) open: Vec<TrialNo>,
    /// How many are done.
    pub(super) done: usize,
    /// All trials it was given, except returned ones.
    pub(super) given: Vec<TrialNo>,
    /// The trials among these that its child was given while it ran.
    pub(super) late: Vec<TrialNo>,
    /// Number of such trials that were returned: the child never confirmed them, but they may have caused its
    /// end.
    pub(super) returned: usize,
    /// Rows of a trial in one pass.
    pub(super) rows: usize,
    /// Whether none of its trials was started before.
    pub(super) is_fresh: bool,
    /// Estimated duration.
    pub(super) estimate: Duration,
    pub(super) progress: Progress,
}

/// When a job must end; if it was asked to already, when it must have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline {
    pub(super) at: SystemTime,
    pub(super) asked: bool,
}

impl Deadline {
    /// The deadline of a job that is asked to end now.
    pub(super) fn asked(now: SystemTime) -> Self {
        Self { at: now + GRACE, asked: true }
    }
}

impl Job {
    pub(super) fn training(&self) -> Option<&Training> {
        match &self.doing {
            Doing::Train(training) => Some(training),
            Doing::Beside(_) => None,
        }
    }

    pub(super) fn training_mut(&mut self) -> Option<&mut Training> {
        match &mut self.doing {
            Doing::Train(training) => Some(training),
            Doing::Beside(_) => None,
        }
    }

    /// Whether no other job used its memory.
    pub(super) fn had_its_memory_alone(&self) -> bool {
        !self.shared || self.memory != Memory::Host
    }

    /// Whether the job has run for too long: `Some(true)` if it was asked to end before. Each case is returned
    /// once.
    pub(super) fn overdue(&mut self, now: SystemTime) -> Option<bool> {
        let Deadline { asked, .. } = self.deadline.filter(|deadline| deadline.at <= now)?;
        self.deadline = (!asked).then(|| Deadline::asked(now));
        Some(asked)
    }
}

impl Training {
    /// Adds a trial with this estimated time.
    pub(super) fn add(&mut self, trial: TrialNo, time: Duration) {
        self.open.push(trial);
        self.given.push(trial);
        self.estimate += time;
        self.progress.restart();
    }

    /// Removes a trial with this estimated time, which will not be finished here.
    pub(super) fn drop(&mut self, trial: TrialNo, time: Duration) {
        self.open.retain(|other| *other != trial);
        self.estimate = self.estimate.saturating_sub(time);
        self.progress.restart();
    }

    /// The same for a trial that was returned.
    pub(super) fn take_back(&mut self, trial: TrialNo, time: Duration) {
        self.drop(trial, time);
        self.given.retain(|other| *other != trial);
        let before = self.late.len();
        self.late.retain(|other| *other != trial);
        self.returned += before - self.late.len();
    }

    /// The remaining part of the estimated duration after `elapsed`, at the pace of its shape.
    pub(super) fn left(&self, elapsed: Duration, pace: f64) -> Duration {
        match self.progress.part(self) {
            Some(part) => self.estimate.mul_f64(1.0 - part),
            None => self.estimate.saturating_sub(elapsed.div_f64(pace)),
        }
    }
}

/// The progress of a pack's trials.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// The share of each trial's steps that are done.
    parts: BTreeMap<TrialNo, f64>,
    /// When all running trials had reported for the first time, and how much of the pack was done then.
    heard: Option<(SystemTime, f64)>,
}

impl Progress {
    /// Forgets the reports, since the pack has gained or lost a trial.
    pub(super) fn restart(&mut self) {
        self.heard = None;
    }

    /// The share of a pack that is done; `None` until all its trials have reported.
    fn part(&self, training: &Training) -> Option<f64> {
        if training.open.is_empty() {
            return Some(1.0);
        }
        let parts = training.open.iter().map(|trial| self.parts.get(trial).copied());
        let (done, open) = (count(training.done), count(training.open.len()));
        Some(((parts.sum::<Option<f64>>()? + done) / (done + open)).clamp(0.0, 1.0))
    }
}

/// How much longer packs really take than predicted, by shape and kind of GPU, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    measured: BTreeMap<(usize, GpuKind), f64>,
}

impl Pace {
    /// Measured time divided by predicted time: of this shape there, or else of this shape elsewhere, or else of
    /// everything that was measured.
    pub(super) fn of(&self, shape: usize, on: GpuKind) -> f64 {
        if let Some(known) = self.measured.get(&(shape, on)) {
            return *known;
        }
        let elsewhere = mean(self.measured.range((shape, 0)..=(shape, GpuKind::MAX)));
        elsewhere.or_else(|| mean(self.measured.iter())).unwrap_or(1.0)
    }

    /// Takes in a trial's progress.
    pub(super) fn hear(&mut self, now: SystemTime, training: &mut Training, trial: TrialNo, part: f64) {
        training.progress.parts.insert(trial, part);
        let Some(part) = training.progress.part(training) else { return };
        let (since, before) = *training.progress.heard.get_or_insert((now, part));
        let (elapsed, done) = (now.duration_since(since).unwrap_or_default(), part - before);
        let thought = training.estimate.mul_f64(done.max(0.0));
        if done >= KNOWN_FROM && elapsed >= KNOWN_AFTER && !thought.is_zero() {
            self.measured.insert((training.shape, training.on), elapsed.div_duration_f64(thought));
        }
    }
}

fn mean<'a>(paces: impl Iterator<Item = (&'a (usize, GpuKind), &'a f64)>) -> Option<f64> {
    let (sum, n) = paces.fold((0.0, 0), |(sum, n), (_, pace)| (sum + pace, n + 1));
    (n > 0).then(|| sum / count(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_of_a_shape_on_a_kind_of_gpu_and_else_of_what_is_most_like_it() {
        let of = |known: &[((usize, GpuKind), f64)], shape, on| {
            Pace { measured: known.iter().copied().collect() }.of(shape, on)
        };
        let known = [((0, 0), 2.0), ((0, 1), 3.0), ((1, 1), 7.0)];
        for (shape, on, pace) in [(0, 1, 3.0), (0, 2, 2.5), (1, 0, 7.0), (2, 0, 4.0)] {
            assert!((of(&known, shape, on) - pace).abs() < 1e-9, "{shape} {on}");
        }
        assert!((of(&[], 0, 0) - 1.0).abs() < 1e-9);
    }
}
