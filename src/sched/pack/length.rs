//! Owns how long a pack may take, so that little work is done twice and every place stays busy until the end.
//! Chooses no trials.
//!
//! Example, in seconds (the test `a_grid_is_spread_over_all_places`): two folds of nine adapters wait, and cores
//! for four packs are free. A trial takes 8.1 of its own; a pack adds 1.5 for its start and 1.6 for its trunk.
//! Cut into four packs, all of it takes 157.5, or 39.4 for each. Lengths from twice that time downwards are
//! tried:
//!
//! | a pack takes at most | packs | seconds in all | last end |
//! |---|---|---|---|
//! | 78.7 | 2 | 151.3 | 75.7 |
//! | 64.6, 52.9 or 43.4 | 4 | 157.5 | 43.4 |
//! | 35.6 or 29.2 | 6 | 163.6 | 54.5 |
//! | 23.9 | 8 | 169.7 | 46.5 |
//!
//! Still shorter packs end later too. The smallest length with the first end is 43.4: it divides each fold into
//! packs of five and of four trials. With trials of several widths all of this is counted in core-seconds. GPUs of
//! several kinds are the matter of `unlike`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::Place;
use super::rest::{Rest, cut, round};
use crate::cost::count;

/// Schedules whose ends differ by less count as equally good, and the one with the smaller packs is chosen: it
/// loses less if trials take longer than predicted.
pub(super) const AS_GOOD: f64 = 1.01;
/// Factor on the total work that is accepted to avoid idle places.
const LITTLE_MORE: f64 = 1.03;
/// With at most this many packs left for each place, lengths are tried and their schedules compared.
pub(super) const FEW: f64 = 3.0;
/// Number of lengths that are tried, and the ratio of each to the one before.
const STEPS: i32 = 12;
const STEP: f64 = 0.82;
/// With this many packs per place on average, list scheduling ends within a small share of the lower bound,
/// whatever the order of the packs (Graham 1969: at most the longest pack later).
pub(super) const MANY: f64 = 20.0;
/// Most halvings of an interval in the search for a time, and the relative precision at which it ends.
const HALVINGS: usize = 40;
pub(super) const NEAR: f64 = 1e-3;

/// The longest time that a pack may take where several places train.
///
/// The waiting work cannot end before the least time in which it fits into the places, given when each becomes
/// free. Packs may be so small that they add almost nothing to that time. Where few packs are left for each
/// place, it matters how they add up: then several lengths are tried, and the one is taken whose last pack ends
/// first.
pub(super) fn most_s(all: &[Rest], ready: usize, place: Place<'_>) -> f64 {
    let narrowest = all.iter().map(|rest| rest.width).fold(f64::INFINITY, f64::min);
    if count(place.busy_s.len()) < 2.0 * narrowest {
        return f64::INFINITY;
    }
    let longest = all.iter().map(|rest| rest.pack_s(f64::INFINITY)).fold(0.0, f64::max);
    let share = cut(all, f64::INFINITY).core_s / count(place.busy_s.len());
    if longest * MANY <= share {
        return f64::INFINITY;
    }
    let capacity = |end_s: f64| place.busy_s.iter().map(|busy_s| (end_s - busy_s).max(0.0)).sum::<f64>();
    let fits = |most_s: f64, end_s: f64| cut(all, most_s).core_s <= capacity(end_s);
    let least = all.iter().map(Rest::shortest_s).fold(0.0, f64::max);
    let latest = place.busy_s.iter().copied().fold(least, f64::max) + cut(all, least).core_s / narrowest;
    let end_s = least_where(least, latest, |end_s| fits(end_s, end_s));
    let mut most_s = least_where(end_s / MANY, end_s, |most_s| fits(most_s, end_s * AS_GOOD));
    let few = FEW * count(place.busy_s.len());
    if cut(all, most_s).cores <= few {
        most_s = best_of_few(all, end_s, 2.0 * few, place);
    }
    let trials = all[..ready].iter().map(|rest| rest.trials * rest.lanes).sum::<f64>();
    let wanted = all[0].width * trials.min(count(place.free));
    if cut(&all[..ready], most_s).cores >= wanted {
        return most_s;
    }
    // The longest time that gives a pack for each free place.
    let too_long = least_where(0.0, most_s, |most_s| cut(&all[..ready], most_s).cores < wanted);
    too_long * (1.0 - 2.0 * NEAR)
}

/// Among lengths around the least time whose packs take at most `few` cores, one whose last pack ends first and
/// that does little work twice; of equally good ones, the smallest.
fn best_of_few(all: &[Rest], end_s: f64, few: f64, place: Place<'_>) -> f64 {
    let lengths = (0..STEPS).map(|step| 2.0 * end_s * STEP.powi(step));
    let tried = lengths.take_while(|most_s| cut(all, *most_s).cores <= few);
    let tried: Vec<(f64, Duration)> = tried.map(|most_s| (most_s, last_end(all, most_s, place))).collect();
    let least = tried.iter().map(|(_, end)| *end).min().unwrap_or_default().mul_f64(AS_GOOD);
    let good = tried.into_iter().filter(|(_, end)| *end <= least);
    let good: Vec<(f64, f64)> = good.map(|(most_s, _)| (most_s, cut(all, most_s).core_s)).collect();
    let least = good.iter().map(|(_, core_s)| *core_s).fold(f64::INFINITY, f64::min) * LITTLE_MORE;
    good.into_iter().rev().find(|(_, core_s)| *core_s <= least).map_or(end_s, |(most_s, _)| most_s)
}

/// When the last pack ends, if packs start widest and longest first, each on the cores that are free first.
fn last_end(all: &[Rest], most_s: f64, place: Place<'_>) -> Duration {
    let sized = |rest: &Rest| rest.packs(most_s).map(|(length, n)| (round(rest.width), length, n));
    let mut packs: Vec<(usize, Duration, usize)> = all.iter().flat_map(sized).collect();
    packs.sort_unstable_by_key(|(width, length, _)| Reverse((*width, *length)));
    let free = place.busy_s.iter().map(|busy_s| Reverse(Duration::from_secs_f64(*busy_s)));
    let mut free: BinaryHeap<Reverse<Duration>> = free.collect();
    for (width, length, n) in packs {
        for _ in 0..n {
            // The last of the cores that it takes is the one that it waits for.
            let (mut start, mut cores) = (Duration::ZERO, 0);
            while cores < width
                && let Some(Reverse(free_at)) = free.pop()
            {
                (start, cores) = (free_at, cores + 1);
            }
            free.extend(std::iter::repeat_n(Reverse(start + length), cores));
        }
    }
    free.into_iter().map(|Reverse(end)| end).max().unwrap_or_default()
}

/// Approximately the least time at which `holds` is true; it must be true at `high` and stay true from the
/// least time on.
pub(super) fn least_where(low: f64, high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    if holds(low) {
        return low;
    }
    let (mut low, mut high) = (low, high);
    for _ in 0..HALVINGS {
        if high - low <= NEAR * low {
            break;
        }
        let middle = f64::midpoint(low, high);
        *if holds(middle) { &mut high } else { &mut low } = middle;
    }
    high
}
