//! Owns how long a pack may take, so that little is done twice and every place has something to do until
//! the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::Place;
use super::rest::{Rest, cut};
use crate::cost::count;

/// Of schedules whose lengths differ by less, the one with the smaller packs is chosen: it loses less where
/// trials take longer than thought.
const AS_GOOD: f64 = 1.01;
/// It may do so much more in all, where places would have nothing to do otherwise.
const LITTLE_MORE: f64 = 1.03;
/// With so many packs left for each place, or fewer, it is worked out how they add up.
const FEW: f64 = 3.0;
/// How many lengths of packs are tried then, and each as a part of the one before.
const STEPS: i32 = 12;
const STEP: f64 = 0.82;
/// With so many packs on each place in the mean, list scheduling ends within so small a share of the
/// lower bound, whatever the packs' order (Graham 1969: at most the longest pack later).
const MANY: f64 = 20.0;
/// Halvings of an interval in which a time is looked for, and the share of the time that is near enough.
const HALVINGS: usize = 40;
const NEAR: f64 = 1e-3;

/// How long a pack may take where several places train.
///
/// All that waits, on places that become free as they do, can end after the least time in which it fits into
/// them. Packs may be as small as costs next to nothing of that. Where few are left for each place, what
/// counts is how they add up: then lengths are tried, and the one taken with which the last pack ends first.
pub(super) fn most_s(all: &[Rest], ready: usize, place: Place<'_>) -> f64 {
    if place.busy_s.len() < 2 {
        return f64::INFINITY;
    }
    let longest = all.iter().map(|rest| rest.pack_s(f64::INFINITY)).fold(0.0, f64::max);
    let share = cut(all, f64::INFINITY).seconds / count(place.busy_s.len());
    if longest * MANY <= share {
        return f64::INFINITY;
    }
    let capacity = |end_s: f64| place.busy_s.iter().map(|busy_s| (end_s - busy_s).max(0.0)).sum::<f64>();
    let fits = |most_s: f64, end_s: f64| cut(all, most_s).seconds <= capacity(end_s);
    let least = all.iter().map(|rest| rest.fixed_s + rest.trunk_s + rest.longest_s).fold(0.0, f64::max);
    let latest = place.busy_s.iter().copied().fold(least, f64::max) + cut(all, least).seconds;
    let end_s = least_where(least, latest, |end_s| fits(end_s, end_s));
    let mut most_s = least_where(end_s / MANY, end_s, |most_s| fits(most_s, end_s * AS_GOOD));
    let few = FEW * count(place.busy_s.len());
    if cut(all, most_s).packs <= few {
        most_s = best_of_few(all, end_s, 2.0 * few, place);
    }
    let trials = all[..ready].iter().map(|rest| rest.trials * rest.lanes).sum::<f64>();
    let wanted = trials.min(count(place.free));
    if cut(&all[..ready], most_s).packs >= wanted {
        return most_s;
    }
    // The longest time that makes a pack for each free place.
    let too_long = least_where(0.0, most_s, |most_s| cut(&all[..ready], most_s).packs < wanted);
    too_long * (1.0 - 2.0 * NEAR)
}

/// Of lengths around the least time, one with which the last of at most so many packs ends first, and little
/// is done twice; of those that are as good, the smallest.
fn best_of_few(all: &[Rest], end_s: f64, few: f64, place: Place<'_>) -> f64 {
    let lengths = (0..STEPS).map(|step| 2.0 * end_s * STEP.powi(step));
    let tried = lengths.take_while(|most_s| cut(all, *most_s).packs <= few);
    let tried: Vec<(f64, Duration)> = tried.map(|most_s| (most_s, last_end(all, most_s, place))).collect();
    let least = tried.iter().map(|(_, end)| *end).min().unwrap_or_default().mul_f64(AS_GOOD);
    let good = tried.into_iter().filter(|(_, end)| *end <= least);
    let good: Vec<(f64, f64)> = good.map(|(most_s, _)| (most_s, cut(all, most_s).seconds)).collect();
    let least = good.iter().map(|(_, seconds)| *seconds).fold(f64::INFINITY, f64::min) * LITTLE_MORE;
    good.into_iter().rev().find(|(_, seconds)| *seconds <= least).map_or(end_s, |(most_s, _)| most_s)
}

/// When the last pack ends: longest first, each in the place that is free first.
fn last_end(all: &[Rest], most_s: f64, place: Place<'_>) -> Duration {
    let mut packs: Vec<(Duration, usize)> = all.iter().flat_map(|rest| rest.packs(most_s)).collect();
    packs.sort_unstable_by_key(|(length, _)| Reverse(*length));
    let free = place.busy_s.iter().map(|busy_s| Reverse(Duration::from_secs_f64(*busy_s)));
    let mut free: BinaryHeap<Reverse<Duration>> = free.collect();
    for (length, n) in packs {
        for _ in 0..n {
            if let Some(mut first) = free.peek_mut() {
                first.0 += length;
            }
        }
    }
    free.into_iter().map(|Reverse(end)| end).max().unwrap_or_default()
}

/// The least time from which on something holds that holds at `high`, nearly.
fn least_where(low: f64, high: f64, holds: impl Fn(f64) -> bool) -> f64 {
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
