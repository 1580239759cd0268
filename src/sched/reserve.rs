//! Owns what a pack that waits for cores keeps for itself, so that narrower ones do not keep it waiting: EASY
//! backfilling (Lifka 1995, "The ANL/IBM SP scheduling system"). Chooses no trials.

use crate::values::Width;

/// Cores that are in use for so long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct InUse {
    pub(super) cores: usize,
    pub(super) left_s: f64,
}

/// What is free on the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Free {
    pub(super) cores: usize,
    /// How many more packs may train at the same time.
    pub(super) packs: usize,
}

/// When a pack that waits for cores is expected to start, and what is free beside it then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reserved {
    pub(super) in_s: f64,
    pub(super) beside: Free,
}

impl Reserved {
    /// For a pack of so many cores that waits: it starts as soon as enough packs have ended. `None` where there
    /// are never enough cores.
    pub(super) fn of(cores: usize, free: Free, mut running: Vec<InUse>) -> Option<Self> {
        running.sort_by(|a, b| a.left_s.total_cmp(&b.left_s));
        let mut then = free;
        let mut running = running.into_iter().peekable();
        while let Some(InUse { cores: freed, left_s }) = running.next() {
            then.cores += freed;
            then.packs = then.packs.saturating_add(1);
            let ends_alone = running.peek().is_none_or(|next| next.left_s > left_s);
            if ends_alone && then.cores >= cores && then.packs > 0 {
                let beside = Free { cores: then.cores - cores, packs: then.packs - 1 };
                return Some(Self { in_s: left_s, beside });
            }
        }
        None
    }

    /// Most seconds that a narrower pack may take that starts now: no limit where it fits beside the waiting
    /// one.
    pub(super) fn within_s(&self, width: Width) -> f64 {
        match width {
            Width::Cores(cores) if cores > self.beside.cores || self.beside.packs == 0 => self.in_s,
            Width::Cores(_) | Width::Gpu => f64::INFINITY,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reserved(cores: usize, free: (usize, usize), running: &[(usize, f64)]) -> Option<(f64, usize, usize)> {
        let running = running.iter().map(|(cores, left_s)| InUse { cores: *cores, left_s: *left_s });
        let free = Free { cores: free.0, packs: free.1 };
        let Reserved { in_s, beside } = Reserved::of(cores, free, running.collect())?;
        Some((in_s, beside.cores, beside.packs))
    }

    #[test]
    fn a_pack_starts_when_enough_others_have_ended() {
        let running = [(2, 9.0), (1, 3.0), (4, 5.0)];
        assert_eq!(reserved(4, (1, 1), &running), Some((5.0, 2, 2)));
        assert_eq!(reserved(2, (1, 9), &running), Some((3.0, 0, 9)));
        assert_eq!(reserved(8, (1, 9), &running), Some((9.0, 0, 11)));
        assert_eq!(reserved(9, (1, 9), &running), None);
        assert_eq!(
            reserved(1, (1, 0), &[(1, 2.0), (1, 2.0)]),
            Some((2.0, 2, 1)),
            "too many packs until then"
        );
    }

    proptest! {
        /// Whatever starts within what is left to it, the waiting pack is expected as early as before.
        #[test]
        fn nothing_that_may_start_keeps_a_pack_waiting(
            wanted in 1..16_usize,
            free in (0..8_usize, 1..4_usize),
            running in proptest::collection::vec((1..6_usize, 0.0..100.0), 1..12),
            cores in 1..8_usize,
            seconds in 0.0..200.0,
        ) {
            prop_assume!(cores <= free.0 && free.0 < wanted);
            let running: Vec<InUse> =
                running.into_iter().map(|(cores, left_s)| InUse { cores, left_s }).collect();
            let (free, newcomer) =
                (Free { cores: free.0, packs: free.1 }, InUse { cores, left_s: seconds });
            let Some(before) = Reserved::of(wanted, free, running.clone()) else { return Ok(()) };
            let rest = Free { cores: free.cores - cores, packs: free.packs - 1 };
            let after = Reserved::of(wanted, rest, [running, vec![newcomer]].concat()).unwrap();
            let may_start = seconds <= before.within_s(Width::Cores(cores));
            prop_assert_eq!(may_start, after.in_s <= before.in_s, "{:?} {:?}", before, after);
        }
    }
}
