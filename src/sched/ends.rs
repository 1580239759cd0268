//! Owns what the end of a job means for what it left undone. Pure.

use std::time::{Duration, SystemTime};

use crate::sched::Policy;
use crate::sched::memory::Fallback;
use crate::values::Failure;

/// How a job ended that did not do its work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End<'a> {
    Failed(&'a Failure),
    Interrupted,
}

impl End<'_> {
    /// Whether a single trial of a pack may have brought it about.
    pub(super) fn may_be_due_to_one(self) -> bool {
        match self {
            Self::Interrupted => false,
            Self::Failed(failure) => !matches!(failure, Failure::NotStarted { .. }),
        }
    }
}

/// What the starts of a trial, or of a job beside the training, have shown so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Past {
    pub(super) starts: u32,
    /// Starts that failed, but not for lack of memory.
    pub(super) failures: u32,
    /// Those of them that count as attempts.
    pub(super) counted: u32,
    /// It ran out of memory that it shared, and starts only while nothing else runs.
    pub(super) alone: bool,
}

/// What becomes of work that was left undone.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// It starts again as soon as there is a place.
    Ready,
    /// It starts again, but not before this time.
    At(SystemTime),
    /// It is not tried again.
    Failed(Failure),
    /// It is left for the next run.
    Cancelled,
}

/// What decides how an end is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    pub(super) policy: Policy,
    pub(super) now: SystemTime,
    /// The run is ending: jobs were asked to stop, and none starts again.
    pub(super) ending: bool,
    /// What is tried next where memory ran out.
    pub(super) fallback: Fallback,
    /// Others may draw from the same memory.
    pub(super) shares_memory: bool,
    /// Others trained in the same process, and have no fate either.
    pub(super) in_company: bool,
}

impl Circumstances {
    /// What follows from an end for work that it left undone; its past learns from it.
    pub(super) fn next(&self, end: End<'_>, past: &mut Past) -> Next {
        if end == End::Failed(&Failure::OutOfMemory) {
            return self.with_less_memory(past);
        }
        past.failures += 1;
        // Of those in company, the first: from then on each is with half as many.
        past.counted += u32::from(!self.in_company || !end.may_be_due_to_one() || past.counted == 0);
        match end {
            // Asked to stop by us or by somebody else; its checkpoint is in place either way.
            End::Interrupted => self.again(*past).unwrap_or(Next::Cancelled),
            End::Failed(Failure::Unwritable { .. }) => Next::Cancelled,
            // A child that dies of a signal while the run is ending died of ours.
            End::Failed(Failure::Killed { .. }) if self.ending => Next::Cancelled,
            End::Failed(failure) if !failure.is_mendable() => Next::Failed(failure.clone()),
            End::Failed(failure) => self.again(*past).unwrap_or_else(|| Next::Failed(failure.clone())),
        }
    }

    /// What must be alone once stays so; what has memory of its own need not be.
    fn with_less_memory(&self, past: &mut Past) -> Next {
        match self.fallback {
            Fallback::Exhausted => return Next::Failed(Failure::OutOfMemory),
            Fallback::Alone => past.alone = true,
            Fallback::FewerRows(_) => past.alone |= self.shares_memory,
            Fallback::FewerTrials(_) => {}
        }
        if self.ending { Next::Cancelled } else { Next::Ready }
    }

    /// When it may start again: in this run, or in the next where this one is ending.
    fn again(&self, past: Past) -> Option<Next> {
        match self.policy.pause(past.counted) {
            _ if past.counted >= self.policy.attempts => None,
            _ if self.ending => Some(Next::Cancelled),
            Duration::ZERO => Some(Next::Ready),
            pause => Some(Next::At(self.now + pause)),
        }
    }
}
