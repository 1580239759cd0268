//! Owns how long packs may take: what waits, cut into packs of a length, so that every place has something
//! to do until the end and little is done twice.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::{COMMON_SHARE, Knowledge, Place};
use crate::cost::{Footprint, TRAIN_START, count};
use crate::sched::Limits;
use crate::sched::memory::{Allowed, Memory};
use crate::sched::pool::{Pool, Size};

/// Trials without a common trunk train together on a GPU where the fixed time of their passes is at least
/// this much of the rest: larger ones fill the device alone, and would only take each other's memory.
const FIXED_SHARE: f64 = 0.25;
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
/// Lanes of one size that wait, and what decides how they are cut into packs. Times in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    pub(super) shape: usize,
    /// The first of the lanes.
    pub(super) lane: usize,
    pub(super) lanes: f64,
    /// Trials of a lane.
    pub(super) trials: f64,
    /// What they need one after the other, in all and for the longest.
    pub(super) own_s: f64,
    pub(super) longest_s: f64,
    /// What those of a pack have once.
    pub(super) trunk_s: f64,
    /// What every pack needs: the process's start, and passes that take as long for one slot as for many.
    pub(super) fixed_s: f64,
    /// Most trials of a lane from which more would save something; 1 where they gain nothing together.
    pub(super) enough: f64,
    /// Most trials of a pack.
    pub(super) slots: f64,
    pub(super) is_ready: bool,
}

/// The lanes of all shapes, by their sizes.
pub(super) fn rests<'a>(
    pool: &'a Pool,
    memory: Memory,
    known: &'a Knowledge<'_>,
) -> impl Iterator<Item = Rest> + 'a {
    known.work.shapes.iter().enumerate().flat_map(move |(shape, of)| {
        let allowed = known.memory.allowed(shape, memory);
        let is_ready = (known.is_prepared)(of.store);
        pool.lanes(shape).iter().filter_map(move |(size, lanes)| {
            let lane = lanes.last()?.0;
            let footprint = known.work.trials[*pool.lane(lane).front()?].cost.footprint;
            let rest = Rest::new(size, footprint, allowed, known);
            Some(Rest { shape, lane, lanes: count(lanes.len()), is_ready, ..rest })
        })
    })
}

impl Rest {
    fn new(size: &Size, footprint: Footprint, allowed: Allowed, known: &Knowledge<'_>) -> Self {
        let [own_s, longest_s, trunk_s, passes_s] =
            [size.own, size.longest, size.trunk, size.passes].map(|time| time.as_secs_f64());
        let (trials, fixed_s) = (count(size.trials), TRAIN_START.as_secs_f64() + passes_s);
        let Limits { slots, mem_mib } = known.limits;
        let slots = count(slots.min(allowed.trials).min(footprint.fit(mem_mib, known.work.speed)).max(1));
        let mean_s = own_s / trials;
        let pays = trunk_s > 0.0 || (passes_s > 0.0 && passes_s >= FIXED_SHARE * mean_s);
        let enough = ((fixed_s + trunk_s) / (COMMON_SHARE * mean_s)).ceil();
        let enough = if pays { enough.clamp(1.0, slots) } else { 1.0 };
        Self {
            shape: 0,
            lane: 0,
            lanes: 1.0,
            trials,
            own_s,
            longest_s,
            trunk_s,
            fixed_s,
            enough,
            slots,
            is_ready: true,
        }
    }

    /// How many packs a lane is cut into where they take so long at most.
    pub(super) fn parts(&self, most_s: f64) -> f64 {
        let room_s = most_s - self.fixed_s - self.trunk_s;
        let by_time = if room_s > 0.0 { up(self.own_s / room_s) } else { self.trials };
        by_time.max(self.fewest()).clamp(1.0, self.trials)
    }

    /// How many packs it is cut into however long they take.
    pub(super) fn fewest(&self) -> f64 {
        up(self.trials / self.enough)
    }

    /// The seconds of a pack of one lane where it takes so long at most.
    pub(super) fn pack_s(&self, most_s: f64) -> f64 {
        self.fixed_s + self.trunk_s + self.own_s / self.parts(most_s)
    }

    /// How many whole lanes a pack takes where it takes so long at most.
    fn merged(&self, most_s: f64) -> f64 {
        if self.enough <= 1.0 {
            return 1.0;
        }
        let room_s = most_s.min(self.fixed_s / COMMON_SHARE) - self.fixed_s;
        let by_time = (room_s / (self.own_s + self.trunk_s)).floor();
        by_time.min((self.slots / self.trials).floor()).clamp(1.0, self.lanes)
    }
}

impl Rest {
    /// The packs that all lanes are cut into where they take so long at most: how long they take, and how
    /// many of that length there are.
    fn packs(&self, most_s: f64) -> [(Duration, usize); 2] {
        let (parts, merged) = (self.parts(most_s), self.merged(most_s));
        let Self { fixed_s, trunk_s, own_s, trials, lanes, .. } = *self;
        let (smaller, larger) = if parts > 1.0 {
            let seconds = |slots: f64| trunk_s + own_s * slots / trials;
            let (slots, more) = ((trials / parts).floor(), trials % parts);
            ((seconds(slots), (parts - more) * lanes), (seconds(slots + 1.0), more * lanes))
        } else {
            let seconds = |lanes: f64| lanes * (trunk_s + own_s);
            let left = lanes % merged;
            ((seconds(left), left.min(1.0)), (seconds(merged), (lanes / merged).floor()))
        };
        [smaller, larger].map(|(seconds, n)| (Duration::from_secs_f64(fixed_s + seconds), round(n)))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small whole number")]
fn round(number: f64) -> usize {
    number.round() as usize
}

/// What waits, cut into packs: how many they are, and how many seconds they take in all.
#[derive(Clone, Copy, Debug, Default)]
struct Cut {
    packs: f64,
    seconds: f64,
}

/// What waits, cut into packs that take so long at most where they hold more than one trial.
fn cut(rests: &[Rest], most_s: f64) -> Cut {
    let add = |sum: Cut, rest: &Rest| {
        let parts = rest.parts(most_s);
        let packs = if parts > 1.0 { parts * rest.lanes } else { up(rest.lanes / rest.merged(most_s)) };
        let seconds = rest.lanes * (rest.own_s + parts * rest.trunk_s) + packs * rest.fixed_s;
        Cut { packs: sum.packs + packs, seconds: sum.seconds + seconds }
    };
    rests.iter().fold(Cut::default(), add)
}

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

/// Rounded up, but for what is lost in floating-point numbers.
pub(super) fn up(number: f64) -> f64 {
    (number - 1e-6).ceil()
}
