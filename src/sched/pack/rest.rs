//! Owns the waiting trials as sizes: lanes of equal size, and how many packs of which length they are cut into.
//! Knows no single trial.

use std::time::Duration;

use super::{Knowledge, Place, limit, units};
use crate::cost::{START_S, Slower, count};
use crate::sched::pool::{Pool, Size};
use crate::values::Width;

/// A pack is large enough when what its slots have in common is this share of its time: more slots would save
/// almost nothing, and a crash would lose more.
pub(super) const COMMON_SHARE: f64 = 0.02;
/// Trials without a common trunk train together on a GPU only if the fixed time of their passes is at least
/// this share of the rest: larger trials fill the device by themselves and would only compete for its memory.
const FIXED_SHARE: f64 = 0.25;

/// Waiting lanes of one size, and what decides how they are cut into packs. Times in seconds.
#[derive(Clone, Copy, Debug)]
pub(in crate::sched) struct Rest {
    pub(super) shape: usize,
    /// The first of the lanes.
    pub(super) lane: usize,
    pub(super) lanes: f64,
    /// Trials per lane.
    pub(super) trials: f64,
    /// Their own time, one after the other: the sum, and the largest.
    pub(super) own_s: f64,
    pub(super) longest_s: f64,
    /// Trunk time, paid once per pack.
    pub(super) trunk_s: f64,
    /// The start of a pack's process.
    pub(super) start_s: f64,
    /// Fixed time of every pack: the process's start, and passes that take as long for one slot as for many.
    pub(super) fixed_s: f64,
    /// Trials of a lane beyond which more would save nothing; 1 where they gain nothing together.
    pub(super) enough: f64,
    /// Most trials in a pack.
    pub(super) slots: f64,
    /// Cores of a pack; 1 on a GPU.
    pub(super) width: f64,
    /// Most seconds that a pack may take that starts now.
    pub(super) within_s: f64,
    /// Whether a pack of them can start now in the free place.
    pub(super) is_ready: bool,
    /// Whether a smaller memory than the free place's, of a GPU in service, does not hold them.
    pub(super) is_for_few: bool,
    /// How much longer everything takes in the free place than the sizes of lanes say.
    pub(super) slower: Slower,
    /// The part of that which is the pace of packs there.
    pub(super) pace: f64,
}

/// The times of a lane in the free place, in seconds; see [`Size`].
pub(super) struct Times {
    pub(super) own_s: f64,
    pub(super) longest_s: f64,
    pub(super) trunk_s: f64,
    pub(super) passes_s: f64,
}

impl Times {
    fn of(size: &Size, slower: Slower) -> Self {
        let [own_s, longest_s, trunk_s] =
            [size.own, size.longest, size.trunk].map(|time| time.as_secs_f64() * slower.operations);
        Self { own_s, longest_s, trunk_s, passes_s: size.passes.as_secs_f64() * slower.passes }
    }
}

/// The waiting lanes of all shapes that train on the same kind of device as a free place, by size.
pub(super) fn rests<'a>(
    pool: &'a Pool,
    place: Place<'a>,
    known: &'a Knowledge<'_>,
) -> impl Iterator<Item = Rest> + 'a {
    let shapes = known.work.shapes.iter().enumerate();
    let is_on_gpu = |width: Width| width == Width::Gpu;
    let shapes = shapes.filter(move |(_, of)| is_on_gpu(of.width) == is_on_gpu(place.width));
    shapes.flat_map(move |(shape, of)| {
        let allowed = known.memory.allowed(shape, place.memory);
        let is_prepared = of.width == place.width && (known.is_prepared)(of.store);
        let within_s = place.within_s / known.pace.of(shape, place.kind);
        let (rates, fit) = (of.rates(place.kind), known.fit(shape, place));
        let slower = if place.kind == 0 { Slower::NOT } else { rates.slower_than(of.rates(0)) };
        // Among GPUs of one kind the pace makes no difference.
        let pace = if place.kinds.is_empty() { 1.0 } else { known.pace.of(shape, place.kind) };
        let elsewhere = place.smallest.map(|device| (known.fit)(shape, device));
        let mem_mib = limit(known.limits, place.memory) * count(units(of.width));
        pool.lanes(shape).iter().filter_map(move |(size, lanes)| {
            let held = |lane: &usize| {
                pool.lane(*lane).iter().copied().find(|trial| fit.holds(known.work, *trial, place.kind))
            };
            let lanes_in_turn = || lanes.iter().rev().map(|lane| lane.0);
            let found = lanes_in_turn().find_map(|lane| Some((lane, held(&lane)?)));
            let (lane, trial) = found.or_else(|| {
                let lane = lanes_in_turn().next()?;
                Some((lane, *pool.lane(lane).front()?))
            })?;
            let slots = known.work.trials[trial].cost.footprint.fit(mem_mib, rates);
            let slots = known.limits.slots.min(allowed.trials).min(slots).max(1);
            let rest = Rest::new(size, count(slots), rates.start_s * pace, slower.times(pace));
            Some(Rest {
                shape,
                lane,
                lanes: count(lanes.len()),
                width: count(units(of.width)),
                within_s,
                pace,
                is_ready: is_prepared && found.is_some() && rest.shortest_s() <= within_s,
                is_for_few: elsewhere.is_some_and(|fit| !fit.holds(known.work, trial, place.kind)),
                ..rest
            })
        })
    })
}

impl Rest {
    /// So many lanes of a size, as they would wait, if a start takes as long as assumed.
    pub(in crate::sched) fn of_lanes(size: &Size, slots: usize, lanes: usize) -> Self {
        Self { lanes: count(lanes), ..Self::new(size, count(slots), START_S, Slower::NOT) }
    }

    fn new(size: &Size, slots: f64, start_s: f64, slower: Slower) -> Self {
        let Times { own_s, longest_s, trunk_s, passes_s } = Times::of(size, slower);
        let (trials, fixed_s) = (count(size.trials), start_s + passes_s);
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
            start_s,
            fixed_s,
            enough,
            slots,
            width: 1.0,
            within_s: f64::INFINITY,
            is_ready: true,
            is_for_few: false,
            slower,
            pace: 1.0,
        }
    }

    /// The times of another lane of the shape.
    pub(super) fn scaled(&self, size: &Size) -> Times {
        Times::of(size, self.slower)
    }

    /// Seconds of a pack that takes so long here without its fixed time, in a place of this speed.
    pub(super) fn seconds_at(&self, speed: f64, took_s: f64) -> f64 {
        self.start_s + (self.fixed_s - self.start_s + took_s) / speed
    }

    /// Seconds of a pack of the longest trial alone.
    pub(super) fn shortest_s(&self) -> f64 {
        self.fixed_s + self.trunk_s + self.longest_s
    }

    /// Number of packs that a lane is cut into, if none may take longer than `most_s`.
    pub(super) fn parts(&self, most_s: f64) -> f64 {
        let room_s = most_s - self.fixed_s - self.trunk_s;
        let by_time = if room_s > 0.0 { up(self.own_s / room_s) } else { self.trials };
        by_time.max(self.fewest()).clamp(1.0, self.trials)
    }

    /// Number of packs that a lane is cut into without a limit of time.
    pub(super) fn fewest(&self) -> f64 {
        up(self.trials / self.enough)
    }

    /// Seconds of a pack from one lane, if it may take at most `most_s`.
    pub(super) fn pack_s(&self, most_s: f64) -> f64 {
        self.fixed_s + self.trunk_s + self.own_s / self.parts(most_s)
    }

    /// Number of whole lanes in a pack that may take at most `most_s`.
    pub(super) fn merged(&self, most_s: f64) -> f64 {
        if self.enough <= 1.0 {
            return 1.0;
        }
        let room_s = most_s.min(self.fixed_s / COMMON_SHARE) - self.fixed_s;
        let by_time = (room_s / (self.own_s + self.trunk_s)).floor();
        by_time.min((self.slots / self.trials).floor()).clamp(1.0, self.lanes)
    }

    /// The packs that all lanes are cut into, if none may take longer than `most_s`: the two lengths that
    /// occur, and the number of packs of each.
    pub(in crate::sched) fn packs(&self, most_s: f64) -> [(Duration, usize); 2] {
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
pub(super) fn round(number: f64) -> usize {
    number.round() as usize
}

/// The waiting trials cut into packs: the cores of all packs, and the seconds that these are in use. On GPUs
/// these are packs and their seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cut {
    pub(super) cores: f64,
    pub(super) core_s: f64,
}

/// Cuts the waiting trials into packs; those of more than one trial take at most `most_s`.
pub(super) fn cut(rests: &[Rest], most_s: f64) -> Cut {
    let add = |sum: Cut, rest: &Rest| {
        let parts = rest.parts(most_s);
        let packs = if parts > 1.0 { parts * rest.lanes } else { up(rest.lanes / rest.merged(most_s)) };
        let seconds = rest.lanes * (rest.own_s + parts * rest.trunk_s) + packs * rest.fixed_s;
        Cut { cores: sum.cores + rest.width * packs, core_s: sum.core_s + rest.width * seconds }
    };
    rests.iter().fold(Cut::default(), add)
}

/// Rounds up, but ignores rounding errors.
pub(super) fn up(number: f64) -> f64 {
    (number - 1e-6).ceil()
}
