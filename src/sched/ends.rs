//! Owns what the end of a job means for its unfinished work. Pure.

use std::time::{Duration, SystemTime};

use crate::sched::Policy;
use crate::sched::memory::Fallback;
use crate::sched::places::Loss;
use crate::values::{Device, Failure};

/// How a job ended that did not finish its work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End<'a> {
    Failed(&'a Failure),
    Interrupted,
}

/// From how many losses of GPUs that worked on, a trial is to blame that has lost all there are.
const HOPELESS: u32 = 3;

impl End<'_> {
    /// Whether it lost a GPU that had worked before, other than to those who use it too.
    fn tells_of_a_sound(self, loss: &Loss) -> bool {
        loss.had_worked() && !matches!(self, Self::Failed(Failure::DeviceTaken { .. }))
    }

    /// Whether a single trial of the pack may have caused it.
    pub(super) fn may_be_due_to_one(self) -> bool {
        match self {
            Self::Interrupted => false,
            Self::Failed(failure) => !matches!(failure, Failure::NotStarted { .. }),
        }
    }
}

/// What is known from the starts of a trial, or of a job alongside training, so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Past {
    pub(super) starts: u32,
    /// Starts that failed, except for lack of memory.
    pub(super) failures: u32,
    /// Failed starts that count as attempts: not those that lost their device, which tell of the device.
    pub(super) counted: u32,
    /// The GPUs that it lost, each once.
    pub(super) lost: Vec<Loss>,
    /// How often it lost one that had worked before, other than to those who use it too.
    pub(super) lost_sound: u32,
    /// Whether it ran out of memory that it shared, so that it starts only when nothing else runs.
    pub(super) alone: bool,
}

/// What happens to unfinished work.
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

/// The circumstances by which an end is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    pub(super) policy: Policy,
    pub(super) now: SystemTime,
    /// Whether the run is ending: jobs were asked to stop, and none starts again.
    pub(super) ending: bool,
    /// What to try next where memory ran out.
    pub(super) fallback: Fallback,
    /// Whether other jobs may use the same memory.
    pub(super) shares_memory: bool,
    /// Whether other trials without a fate trained in the same process.
    pub(super) in_company: bool,
    /// The device that was lost, where it is to blame.
    pub(super) loss: Option<Loss>,
    /// A single trial is to blame, beyond doubt.
    pub(super) is_hopeless: bool,
}

impl Past {
    pub(super) fn has_lost(&self, device: Device) -> bool {
        self.lost.iter().any(|loss| loss.device == device)
    }

    fn lose(&mut self, loss: Loss, end: End<'_>) {
        self.lost_sound += u32::from(end.tells_of_a_sound(&loss));
        self.lost.retain(|before| before.device != loss.device);
        self.lost.push(loss);
    }

    /// Whether one more such loss, of a single trial that has lost every GPU there is, would be no chance.
    pub(super) fn would_be_hopeless(&self, loss: &Loss, end: End<'_>) -> bool {
        end.tells_of_a_sound(loss) && self.lost_sound + 1 >= HOPELESS
    }

    /// A failure on a device, with what the trial had lost before.
    fn with_devices(&self, failure: &Failure) -> Failure {
        let devices: Vec<String> = self.lost.iter().map(|loss| loss.device.to_string()).collect();
        let said =
            if let Failure::DeviceFailed { message } = failure { message } else { &failure.to_string() };
        let (times, devices) = (self.lost_sound + 1, devices.join(", "));
        let message = format!("{said}, {times} times on devices that had worked for others ({devices})");
        Failure::DeviceFailed { message }
    }
}

impl Circumstances {
    /// Decides what an end means for unfinished work, and records the end in its past.
    pub(super) fn next(&self, end: End<'_>, past: &mut Past) -> Next {
        if end == End::Failed(&Failure::OutOfMemory) {
            return self.with_less_memory(past);
        }
        past.failures += 1;
        if let Some(loss) = self.loss {
            past.lose(loss, end);
            return if self.ending { Next::Cancelled } else { Next::Ready };
        }
        // For a trial in company only the first such failure counts: later starts have half as many trials, so
        // they come to an end.
        past.counted += u32::from(!self.in_company || !end.may_be_due_to_one() || past.counted == 0);
        match end {
            // Asked to stop, by us or by somebody else; its checkpoint is in place either way.
            End::Interrupted => self.again(past.counted).unwrap_or(Next::Cancelled),
            End::Failed(Failure::Unwritable { .. }) => Next::Cancelled,
            // A child that is killed by a signal while the run is ending was killed by us.
            End::Failed(Failure::Killed { .. }) if self.ending => Next::Cancelled,
            End::Failed(failure) if self.is_hopeless => Next::Failed(past.with_devices(failure)),
            End::Failed(failure) if !failure.is_mendable() => Next::Failed(failure.clone()),
            End::Failed(failure) => self.again(past.counted).unwrap_or_else(|| Next::Failed(failure.clone())),
        }
    }

    /// Work that must run alone stays alone, unless its memory is not shared.
    fn with_less_memory(&self, past: &mut Past) -> Next {
        match self.fallback {
            Fallback::Exhausted => return Next::Failed(Failure::OutOfMemory),
            Fallback::Alone => past.alone = true,
            Fallback::FewerRows(_) => past.alone |= self.shares_memory,
            Fallback::FewerTrials(_) | Fallback::Larger => {}
        }
        if self.ending { Next::Cancelled } else { Next::Ready }
    }

    /// When it may start again: in this run, or in the next one where this run is ending. `None` where its
    /// attempts are used up.
    fn again(&self, counted: u32) -> Option<Next> {
        match self.policy.pause(counted) {
            _ if counted >= self.policy.attempts => None,
            _ if self.ending => Some(Next::Cancelled),
            Duration::ZERO => Some(Next::Ready),
            pause => Some(Next::At(self.now + pause)),
        }
    }
}
