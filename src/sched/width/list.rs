//! Owns list scheduling of packs on the cores of a machine. Knows no trials.

use crate::cost::count;

/// Packs of one length on equally many cores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Packs {
    pub(super) length_s: f64,
    /// Cores that one keeps from others.
    pub(super) cores: usize,
    pub(super) n: usize,
}

/// When the last pack ends, in seconds, if each starts on the cores that are free first: long packs before short
/// ones, and wide ones before narrow ones of the same length. No pack needs more than all cores, of which there
/// is at least one.
pub(super) fn last_end_s(mut packs: Vec<Packs>, cores: usize) -> f64 {
    packs.sort_unstable_by(|a, b| b.length_s.total_cmp(&a.length_s).then(b.cores.cmp(&a.cores)));
    let mut free_s = FreeAt(vec![0.0; cores]);
    for Packs { length_s, cores: width, n } in packs {
        let at_once = cores / width;
        // Of very many alike only the last few are placed one by one.
        let rounds = (n / at_once).saturating_sub(2);
        free_s.fill(count(rounds * at_once * width) * length_s);
        for _ in rounds * at_once..n {
            free_s.place(length_s, width);
        }
    }
    free_s.0.last().copied().unwrap_or(0.0)
}

/// When each core is free, sorted.
struct FreeAt(Vec<f64>);

impl FreeAt {
    /// Places a pack as early as possible, on the cores that wait least for it.
    fn place(&mut self, length_s: f64, width: usize) {
        let Self(free_s) = self;
        let start_s = free_s[width - 1];
        let behind = free_s.partition_point(|free| *free <= start_s);
        free_s.drain(behind - width..behind);
        let end_s = start_s + length_s;
        let at = free_s.partition_point(|free| *free <= end_s);
        free_s.splice(at..at, std::iter::repeat_n(end_s, width));
    }

    /// Gives work to the cores that are free first, as evenly as water spreads.
    fn fill(&mut self, core_s: f64) {
        let Self(free_s) = self;
        let mut sum_s = 0.0;
        for lowest in 1..=free_s.len() {
            sum_s += free_s[lowest - 1];
            let level_s = (sum_s + core_s) / count(lowest);
            if free_s.get(lowest).is_none_or(|next| level_s <= *next) {
                free_s[..lowest].fill(level_s);
                return;
            }
        }
    }
}
