//! Owns the waiting trials as sizes: lanes of equal size, and how many packs of which length they are cut into.
//! Knows no single trial.

use std::time::Duration;

use super::Knowledge;
use crate::cost::{Footprint, Speed, TRAIN_START, count};
use crate::sched::Limits;
use crate::sched::memory::{Allowed, Memory};
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
pub(super) struct Rest {
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
    pub(super) is_ready: bool,
}

/// The waiting lanes of all shapes of a width, by size.
pub(super) fn rests<'a>(
    pool: &'a Pool,
    width: Width,
    known: &'a Knowledge<'_>,
) -> impl Iterator<Item = Rest> + 'a {
    let shapes = known.work.shapes.iter().enumerate().filter(move |(_, of)| of.width == width);
    shapes.flat_map(move |(shape, of)| {
        let allowed = known.memory.allowed(shape, Memory::of(width));
        let is_ready = (known.is_prepared)(of.store);
        pool.lanes(shape).iter().filter_map(move |(size, lanes)| {
            let lane = lanes.last()?.0;
            let footprint = known.work.trials[*pool.lane(lane).front()?].cost.footprint;
            let slots = slots(footprint, of.speed, allowed, known.limits);
            Some(Rest { shape, lane, lanes: count(lanes.len()), is_ready, ..Rest::new(size, slots) })
        })
    })
}

/// Most trials like this in a pack.
fn slots(footprint: Footprint, speed: Speed, allowed: Allowed, limits: Limits) -> f64 {
    let Limits { slots, mem_mib } = limits;
    count(slots.min(allowed.trials).min(footprint.fit(mem_mib, speed)).max(1))
}

impl Rest {
    fn new(size: &Size, slots: f64) -> Self {
        let [own_s, longest_s, trunk_s, passes_s] =
            [size.own, size.longest, size.trunk, size.passes].map(|time| time.as_secs_f64());
        let (trials, fixed_s) = (count(size.trials), TRAIN_START.as_secs_f64() + passes_s);
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
    pub(super) fn packs(&self, most_s: f64) -> [(Duration, usize); 2] {
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

/// The waiting trials cut into packs: number of packs, and their seconds in all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cut {
    pub(super) packs: f64,
    pub(super) seconds: f64,
}

/// Cuts the waiting trials into packs; those of more than one trial take at most `most_s`.
pub(super) fn cut(rests: &[Rest], most_s: f64) -> Cut {
    let add = |sum: Cut, rest: &Rest| {
        let parts = rest.parts(most_s);
        let packs = if parts > 1.0 { parts * rest.lanes } else { up(rest.lanes / rest.merged(most_s)) };
        let seconds = rest.lanes * (rest.own_s + parts * rest.trunk_s) + packs * rest.fixed_s;
        Cut { packs: sum.packs + packs, seconds: sum.seconds + seconds }
    };
    rests.iter().fold(Cut::default(), add)
}

/// Rounds up, but ignores rounding errors.
pub(super) fn up(number: f64) -> f64 {
    (number - 1e-6).ceil()
}
