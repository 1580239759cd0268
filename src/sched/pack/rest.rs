//! Owns the waiting trials as sizes: lanes of equal size, and how many packs of which length they are cut into.
//! Knows no single trial.

use std::time::Duration;

use super::{Knowledge, Place, units};
use crate::cost::{START_S, count};
use crate::sched::memory::Memory;
use crate::sched::pool::{Pool, Size};

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
}

/// The waiting lanes of all shapes that train on the same kind of device as a free place, by size.
pub(super) fn rests<'a>(
    pool: &'a Pool,
    place: Place<'a>,
    known: &'a Knowledge<'_>,
) -> impl Iterator<Item = Rest> + 'a {
    let memory = Memory::of(place.width);
    let shapes = known.work.shapes.iter().enumerate();
    let shapes = shapes.filter(move |(_, of)| Memory::of(of.width) == memory);
    shapes.flat_map(move |(shape, of)| {
        let allowed = known.memory.allowed(shape, memory);
        let is_prepared = of.width == place.width && (known.is_prepared)(of.store);
        let within_s = place.within_s / known.pace.of(shape);
        pool.lanes(shape).iter().filter_map(move |(size, lanes)| {
            let lane = lanes.last()?.0;
            let footprint = known.work.trials[*pool.lane(lane).front()?].cost.footprint;
            let fit = footprint.fit(known.mem_mib(of.width), of.rates);
            let slots = known.limits.slots.min(allowed.trials).min(fit).max(1);
            let rest = Rest::new(size, count(slots), of.rates.start_s);
            let is_ready = is_prepared && rest.shortest_s() <= within_s;
            let width = count(units(of.width));
            Some(Rest { shape, lane, lanes: count(lanes.len()), width, within_s, is_ready, ..rest })
        })
    })
}

impl Rest {
    /// So many lanes of a size, as they would wait, if a start takes as long as assumed.
    pub(in crate::sched) fn of_lanes(size: &Size, slots: usize, lanes: usize) -> Self {
        Self { lanes: count(lanes), ..Self::new(size, count(slots), START_S) }
    }

    fn new(size: &Size, slots: f64, start_s: f64) -> Self {
        let [own_s, longest_s, trunk_s, passes_s] =
            [size.own, size.longest, size.trunk, size.passes].map(|time| time.as_secs_f64());
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
            fixed_s,
            enough,
            slots,
            width: 1.0,
            within_s: f64::INFINITY,
            is_ready: true,
        }
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
    fn merged(&self, most_s: f64) -> f64 {
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
