//! Owns what to try after memory ran out. Pure.
//!
//! Every fallback asks for less than the load that was too much, so that no load is tried twice: half of the
//! trials, then one trial with nothing else running, then half of its rows at a time, down to a single row. A
//! limit learned from some trials of a shape holds for all trials of that shape in the same memory.

use std::collections::BTreeMap;

/// Memories that differ by less count as equal: what else is on a GPU comes and goes, and estimates are rough.
const ALIKE: f64 = 1.1;

/// Who shares a pack's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Memory {
    /// Everything else on this machine.
    Host,
    /// Nobody: a GPU trains one pack at a time.
    Gpu {
        /// What was free at the start, in MiB; the largest number where that is not known.
        mib: u64,
    },
}

impl Memory {
    /// Whether this is a GPU's, and clearly larger than that of another.
    pub(super) fn is_larger_than(self, other: Self) -> bool {
        match (self, other) {
            (Self::Gpu { mib }, Self::Gpu { mib: other }) => mib > alike(other),
            (Self::Host, _) | (_, Self::Host) => false,
        }
    }
}

/// The largest memory that counts as equal to this one.
#[expect(clippy::cast_precision_loss, reason = "sizes in MiB are far below 2^52")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "too large a number is the most")]
fn alike(mib: u64) -> u64 {
    (mib as f64 * ALIKE) as u64
}

/// How much memory a start needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    /// Trials without a fate that trained together; at most 1 for other work.
    pub(super) trials: usize,
    /// Rows of a trial in one pass; 1 for other work.
    pub(super) rows: usize,
    /// Whether no other job used the same memory meanwhile.
    pub(super) alone: bool,
}

/// What to try next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fallback {
    /// At most this many trials together.
    FewerTrials(usize),
    /// The same trial, with nothing else running.
    Alone,
    /// At most this many rows in one pass, accumulated to the same step, with nothing else running.
    FewerRows(usize),
    /// The same trial on a GPU with more memory.
    Larger,
    /// Nothing is left to try: it fails.
    Exhausted,
}

/// What to try after a load that was too much.
pub(super) fn fallback(load: Load) -> Fallback {
    if load.trials > 1 {
        Fallback::FewerTrials(load.trials.div_ceil(2))
    } else if !load.alone {
        Fallback::Alone
    } else if load.rows > 1 {
        Fallback::FewerRows(load.rows.div_ceil(2))
    } else {
        Fallback::Exhausted
    }
}

/// Limits for further starts, learned from earlier ones, by shape and by the memory that was too small. They hold
/// for every memory that is no larger.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    limits: BTreeMap<(usize, Memory), Allowed>,
}

/// Limits for starts of a shape in a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowed {
    /// Trials that train together.
    pub(super) trials: usize,
    /// Rows of a trial in one pass; `None` while there is no limit below its batch.
    pub(super) rows: Option<usize>,
    /// One trial was too much: it waits for a GPU with more memory, while one is in service.
    pub(super) elsewhere: bool,
}

impl Allowed {
    const ALL: Self = Self { trials: usize::MAX, rows: None, elsewhere: false };

    fn and(self, other: Self) -> Self {
        Self {
            trials: self.trials.min(other.trials),
            rows: self.rows.into_iter().chain(other.rows).min(),
            elsewhere: self.elsewhere || other.elsewhere,
        }
    }
}

impl Known {
    pub(super) fn allowed(&self, shape: usize, memory: Memory) -> Allowed {
        if memory == Memory::Host {
            return self.limits.get(&(shape, memory)).copied().unwrap_or(Allowed::ALL);
        }
        let of_gpus =
            self.limits.range((shape, Memory::Gpu { mib: 0 })..=(shape, Memory::Gpu { mib: u64::MAX }));
        let hold = of_gpus.filter(|((_, of), _)| !memory.is_larger_than(*of)).map(|(_, allowed)| *allowed);
        hold.fold(Allowed::ALL, Allowed::and)
    }

    /// Records that a load was too much, and returns what to try next. `has_larger` says whether a GPU with more
    /// memory is in service.
    pub(super) fn learn(&mut self, shape: usize, memory: Memory, load: Load, has_larger: bool) -> Fallback {
        let mut allowed = self.allowed(shape, memory);
        let next = fallback(load);
        match next {
            Fallback::FewerTrials(most) => allowed.trials = allowed.trials.min(most),
            Fallback::FewerRows(most) => {
                let rows = allowed.rows.map_or(most, |rows| rows.min(most));
                allowed = Allowed { trials: 1, rows: Some(rows), ..allowed };
            }
            // Other jobs may have been to blame.
            Fallback::Alone => {}
            Fallback::Larger | Fallback::Exhausted => allowed.trials = 1,
        }
        let is_too_much_alone = matches!(next, Fallback::FewerRows(_) | Fallback::Exhausted);
        allowed.elsewhere |= has_larger && is_too_much_alone;
        self.limits.insert((shape, memory), allowed);
        if has_larger && is_too_much_alone { Fallback::Larger } else { next }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_fallback() {
        let table = [
            ((9, 32, false), Fallback::FewerTrials(5)),
            ((2, 1, true), Fallback::FewerTrials(1)),
            ((1, 32, false), Fallback::Alone),
            ((1, 1, false), Fallback::Alone),
            ((1, 32, true), Fallback::FewerRows(16)),
            ((1, 3, true), Fallback::FewerRows(2)),
            ((1, 2, true), Fallback::FewerRows(1)),
            ((1, 1, true), Fallback::Exhausted),
            ((0, 1, false), Fallback::Alone),
            ((0, 1, true), Fallback::Exhausted),
        ];
        for ((trials, rows, alone), next) in table {
            assert_eq!(fallback(Load { trials, rows, alone }), next, "{trials} {rows} {alone}");
        }
    }

    proptest! {
        #[test]
        fn limits_only_shrink_and_a_trial_is_at_its_least_after_a_few_fallbacks(
            trials in 1_usize..300, rows in 1_usize..300, alone: bool,
        ) {
            let mut known = Known::default();
            let mut load = Load { trials, rows, alone };
            let mut tries = 1;
            loop {
                let next = known.learn(0, Memory::Host, load, false);
                let allowed = known.allowed(0, Memory::Host);
                let less = Load {
                    trials: load.trials.min(allowed.trials),
                    rows: load.rows.min(allowed.rows.unwrap_or(rows)),
                    alone: load.alone || next == Fallback::Alone,
                };
                if next == Fallback::Exhausted {
                    break;
                }
                let is_less = less.trials * less.rows < load.trials * load.rows;
                prop_assert!(is_less || (less.alone && !load.alone));
                load = less;
                tries += 1;
            }
            prop_assert_eq!(load, Load { trials: 1, rows: 1, alone: true });
            prop_assert_eq!(known.allowed(1, Memory::Host).trials, usize::MAX);
            let halvings = |n: usize| n.next_power_of_two().ilog2();
            prop_assert!(tries <= 2 + halvings(trials) + halvings(rows));
        }
    }
}
