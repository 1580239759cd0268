//! Owns what to try after memory ran out. Pure.
//!
//! Every fallback asks for less than the load that was too much, so that no load is tried twice: half of the
//! trials, then one trial with nothing else running, then half of its rows at a time, down to a single row. A
//! limit learned from some trials of a shape holds for all trials of that shape in the same memory.

use std::collections::BTreeMap;

use crate::values::Width;

/// Who shares a pack's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Memory {
    /// Everything else on this machine.
    Host,
    /// Nobody: a GPU trains one pack at a time. A limit learned on one GPU holds for all of them, since they
    /// are taken to be equal.
    Gpu,
}

impl Memory {
    pub(super) fn of(width: Width) -> Self {
        match width {
            Width::Gpu => Self::Gpu,
            Width::Cores(_) => Self::Host,
        }
    }
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

/// Limits for further starts, learned from earlier ones, by shape and memory.
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
}

impl Known {
    pub(super) fn allowed(&self, shape: usize, memory: Memory) -> Allowed {
        let unknown = Allowed { trials: usize::MAX, rows: None };
        self.limits.get(&(shape, memory)).copied().unwrap_or(unknown)
    }

    /// Records that a load was too much, and returns what to try next.
    pub(super) fn learn(&mut self, shape: usize, memory: Memory, load: Load) -> Fallback {
        let mut allowed = self.allowed(shape, memory);
        let next = fallback(load);
        match next {
            Fallback::FewerTrials(most) => allowed.trials = allowed.trials.min(most),
            Fallback::FewerRows(most) => {
                allowed = Allowed { trials: 1, rows: Some(allowed.rows.map_or(most, |rows| rows.min(most))) }
            }
            // Other jobs may have been to blame.
            Fallback::Alone => {}
            Fallback::Exhausted => allowed.trials = 1,
        }
        self.limits.insert((shape, memory), allowed);
        next
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
                let next = known.learn(0, Memory::Host, load);
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
