//! Owns how long a pack may take where GPUs are of several kinds, so that all of them end together: a faster one
//! gets as much more to do in the same time. Chooses no trials.
//!
//! Example, in seconds (the test `a_faster_gpu_gets_as_much_longer_packs`): twelve trials wait for two GPUs, one
//! three times as fast as the other. A pack starts in 1.5; a trial takes 1 on the one and 3 on the other. The
//! earliest end by which packs can be laid out is 10.5: nine trials on the fast one (1.5 + 9), three on the slow
//! one (1.5 + 9).
//!
//! As in MULTIFIT (Coffman, Garey and Johnson 1978; for machines of several speeds Friesen and Langston 1983), ends
//! are tried: packs are laid out on the places, each as long as it can be without ending later, until all fit.

use std::collections::{BTreeMap, BTreeSet};

use super::length::{AS_GOOD, FEW, MANY, NEAR, least_where};
use super::rest::{Rest, cut};
use super::{Knowledge, Place};
use crate::cost::count;
use crate::sched::workload::GpuKind;

/// Ratio of each length that is tried to the one before, and the shortest as a share of the end.
const STEP: f64 = 0.82;
const SHORTEST: f64 = 0.1;
/// Packs for each place up to which they are laid out one by one.
const LAID_OUT: f64 = 2.0 * FEW;

/// A GPU in service.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// When it is free, in seconds.
    free_s: f64,
    /// How fast it is beside the free place.
    speed: f64,
}

/// The longest time that a pack may take in the free place.
pub(super) fn most_s(all: &[Rest], place: Place<'_>, known: &Knowledge<'_>) -> f64 {
    let kinds: BTreeSet<GpuKind> = place.kinds.iter().copied().collect();
    let speeds: BTreeMap<GpuKind, f64> =
        kinds.into_iter().map(|kind| (kind, speed(all, place, known, kind))).collect();
    let rooms = place.busy_s.iter().zip(place.kinds);
    let rooms = rooms.map(|(free_s, kind)| Room { free_s: *free_s, speed: speeds[kind] });
    let rooms: Vec<Room> = rooms.collect();
    let capacity =
        |end_s: f64| -> f64 { rooms.iter().map(|room| (end_s - room.free_s).max(0.0) * room.speed).sum() };
    let fits = |most_s: f64, end_s: f64| cut(all, most_s).core_s <= capacity(end_s);
    let first_end_s = |rest: &Rest| {
        let ends_s =
            rooms.iter().map(|room| room.free_s + rest.seconds_at(room.speed, rest.trunk_s + rest.longest_s));
        ends_s.fold(f64::INFINITY, f64::min)
    };
    let least = all.iter().map(first_end_s).fold(0.0, f64::max);
    let slowest = rooms.iter().map(|room| room.speed).fold(f64::INFINITY, f64::min);
    let latest = rooms.iter().map(|room| room.free_s).fold(least, f64::max);
    let latest = latest + cut(all, 0.0).core_s / slowest;
    let end_s = least_where(least, latest, |end_s| fits(end_s, end_s));
    let most_s = least_where(end_s / MANY, end_s, |most_s| fits(most_s, end_s * AS_GOOD));
    if cut(all, most_s).cores > LAID_OUT * count(rooms.len()) {
        // The longest trials come first, so that their packs are longer than the mean.
        return most_s.max(end_s / LAID_OUT);
    }
    let end_s =
        least_where(least.max(end_s * (1.0 - NEAR)), latest, |end_s| lay_out(all, &rooms, end_s, end_s));
    // Of equally good lengths, the smallest: it loses less if the speeds are other than thought.
    let mut most_s = end_s;
    while most_s > SHORTEST * end_s && lay_out(all, &rooms, end_s * AS_GOOD, most_s * STEP) {
        most_s *= STEP;
    }
    most_s
}

/// How fast a kind of GPU does the waiting work beside the kind of the free place, at the pace that is known of both.
fn speed(all: &[Rest], place: Place<'_>, known: &Knowledge<'_>, kind: GpuKind) -> f64 {
    if kind == place.kind {
        return 1.0;
    }
    let add = |(here_s, there_s): (f64, f64), rest: &Rest| {
        let shape = &known.work.shapes[rest.shape];
        let pace = known.pace.of(rest.shape, kind) / known.pace.of(rest.shape, place.kind);
        let slower = shape.rates(kind).slower_than(shape.rates(place.kind)).times(pace);
        let (operations_s, passes_s) = (rest.own_s + rest.trunk_s, rest.fixed_s - rest.start_s);
        let there = operations_s * slower.operations + passes_s * slower.passes;
        (here_s + rest.lanes * (operations_s + passes_s), there_s + rest.lanes * there)
    };
    let (here_s, there_s) = all.iter().fold((0.0, 0.0), add);
    if here_s > 0.0 && there_s > 0.0 { here_s / there_s } else { 1.0 }
}

/// Whether all waiting trials can end by then in packs that take no longer than `most_s`: whichever place is free
/// first, the fastest of several, gets the longest pack that ends in time.
fn lay_out(all: &[Rest], rooms: &[Room], end_s: f64, most_s: f64) -> bool {
    let mut left: Vec<Left<'_>> = all.iter().map(Left::new).collect();
    left.sort_by(|a, b| b.of.shortest_s().total_cmp(&a.of.shortest_s()));
    let mut rooms = rooms.to_vec();
    rooms.sort_by(|a, b| a.free_s.total_cmp(&b.free_s).then(b.speed.total_cmp(&a.speed)));
    while !left.is_empty() {
        let Some(room) = rooms.first().copied() else { return false };
        let within_s = (end_s - room.free_s).min(most_s);
        let taken =
            left.iter_mut().enumerate().find_map(|(at, left)| Some((at, left.take(within_s, room.speed)?)));
        let Some((at, took_s)) = taken else {
            rooms.remove(0);
            continue;
        };
        if left[at].is_empty() {
            left.remove(at);
        }
        let next = Room { free_s: room.free_s + took_s, ..room };
        let later = rooms[1..].partition_point(|other| other.free_s < next.free_s);
        rooms[..=later].rotate_left(1);
        rooms[later] = next;
    }
    true
}

/// What is left of lanes of one size.
struct Left<'a> {
    of: &'a Rest,
    lanes: f64,
    /// Trials of the lane that was begun last.
    trials: f64,
}

impl<'a> Left<'a> {
    fn new(of: &'a Rest) -> Self {
        Self { of, lanes: of.lanes, trials: 0.0 }
    }

    fn is_empty(&self) -> bool {
        self.lanes + self.trials < 0.5
    }

    /// Takes a pack that takes no longer than this in a place of this speed, and returns its time there.
    fn take(&mut self, within_s: f64, speed: f64) -> Option<f64> {
        let of = self.of;
        let mean_s = of.own_s / of.trials;
        // In seconds of the free place, without what every pack takes.
        let room_s = (within_s - of.start_s) * speed - (of.fixed_s - of.start_s);
        let fitting = ((room_s - of.trunk_s) / mean_s + 1e-6).floor().min(of.enough);
        if fitting < 1.0 {
            return None;
        }
        let lane = if self.trials > 0.0 { self.trials } else { of.trials };
        let took_s = if self.trials == 0.0 && fitting >= of.trials && of.enough > 1.0 {
            let together = (room_s / (of.own_s + of.trunk_s) + 1e-6).floor();
            let together = together.min(of.merged(of.fixed_s + room_s)).clamp(1.0, self.lanes);
            self.lanes -= together;
            together * (of.own_s + of.trunk_s)
        } else {
            let trials = fitting.min(lane);
            self.lanes -= if self.trials > 0.0 { 0.0 } else { 1.0 };
            self.trials = lane - trials;
            of.trunk_s + trials * mean_s
        };
        Some(of.seconds_at(speed, took_s))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sched::pool::Size;

    /// One lane of so many trials of a second each.
    fn rest(trials: u32) -> Rest {
        let own = Duration::from_secs(trials.into());
        let longest = Duration::from_secs(1);
        let size = Size { whole: own, trials: trials as usize, own, longest, ..Size::default() };
        Rest { enough: f64::from(trials), ..Rest::of_lanes(&size, usize::MAX, 1) }
    }

    fn rooms(of: &[(f64, f64)]) -> Vec<Room> {
        of.iter().map(|(free_s, speed)| Room { free_s: *free_s, speed: *speed }).collect()
    }

    #[test]
    fn twelve_trials_are_laid_out_on_two_unlike_gpus() {
        let all = [rest(12)];
        let two = rooms(&[(0.0, 1.0), (0.0, 1.0 / 3.0)]);
        assert!(lay_out(&all, &two, 10.5, 10.5));
        assert!(!lay_out(&all, &two, 10.4, 10.4));
        // In packs of four and less the fast one starts three, which takes 1.5 more for each.
        assert!(!lay_out(&all, &two, 10.5, 5.5));
        assert!(lay_out(&all, &two, 14.0, 5.5));
        // Seen from the slow one it is the same: a trial takes three seconds, and the other is thrice as fast.
        let slow = [Rest { own_s: 36.0, longest_s: 3.0, ..rest(12) }];
        let two = rooms(&[(0.0, 3.0), (0.0, 1.0)]);
        assert!(lay_out(&slow, &two, 10.5, 10.5) && !lay_out(&slow, &two, 10.4, 10.4));
    }

    #[test]
    fn what_is_busy_takes_what_is_left_to_it() {
        let all = [rest(4)];
        assert!(lay_out(&all, &rooms(&[(0.0, 1.0)]), 5.5, 5.5));
        assert!(lay_out(&all, &rooms(&[(3.0, 10.0)]), 4.9, 4.9));
        assert!(!lay_out(&all, &rooms(&[(3.0, 10.0)]), 4.8, 4.8));
        assert!(lay_out(&all, &rooms(&[(3.0, 10.0), (0.0, 0.5)]), 4.8, 4.8), "one on the slow one");
    }
}
