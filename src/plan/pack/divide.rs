//! Owns how large packs are: large enough that little is done twice, small enough that every place
//! has something to do until the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::cost::{Estimate, SlotCost, Speed, Together, count};
use crate::plan::pack::Limits;

/// A pack is large enough when what its slots have in common is this share of its time: from there on,
/// more slots save next to nothing, and a pack is what a crash takes along.
const COMMON_SHARE: f64 = 0.02;
/// Trials without a common trunk train together on a GPU where the fixed time of their passes is at least
/// this much of the rest: larger ones fill the device alone, and would only take each other's memory.
const FIXED_SHARE: f64 = 0.25;
/// With so many packs on each place in the mean, list scheduling ends within so small a share of the
/// lower bound, whatever the packs' order (Graham 1969: at most the longest pack later).
const MANY: f64 = 20.0;
/// Numbers of packs per place that are tried where there are few.
const PARTS: [f64; 10] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 14.0, 20.0];
/// Of schedules whose lengths differ by less, the one with the smaller packs is chosen: it loses less
/// where trials take longer than thought.
const AS_GOOD: f64 = 1.01;

/// Divides trials, named by their position, into packs.
pub(super) struct Divider<'a> {
    pub(super) costs: &'a [SlotCost],
    pub(super) speed: Speed,
    pub(super) limits: Limits,
    pub(super) places: usize,
}

/// Trials that could train together and see the same batches, longest first.
type Lane = Vec<usize>;

/// A pack to be.
#[derive(Default)]
struct Group {
    slots: Vec<usize>,
    together: Together,
}

impl Divider<'_> {
    /// Packs out of `groups` of compatible trials, for the shortest schedule.
    pub(super) fn divide(&self, groups: Vec<Vec<usize>>) -> Vec<(Vec<usize>, Estimate)> {
        let kinds: Vec<Vec<Lane>> = groups.into_iter().map(|group| self.lanes(group)).collect();
        let mut packs = self.packs(&kinds, f64::INFINITY);
        let seconds = |pack: &Group| pack.together.seconds(self.speed);
        let share = packs.iter().map(seconds).sum::<f64>() / count(self.places);
        let longest = packs.iter().map(seconds).fold(0.0, f64::max);
        if self.places > 1 && longest * MANY > share {
            let in_parts = |parts: f64| self.packs(&kinds, share / parts);
            let spans = PARTS.map(|parts| self.makespan(&in_parts(parts)));
            let least = spans.into_iter().fold(self.makespan(&packs), Duration::min);
            let mut smallest_first = PARTS.iter().zip(spans).rev();
            if let Some((parts, _)) = smallest_first.find(|(_, span)| *span <= least.mul_f64(AS_GOOD)) {
                packs = in_parts(*parts);
            }
        }
        packs.into_iter().map(|pack| (pack.slots, pack.together.estimate(self.speed))).collect()
    }

    /// Who of some compatible trials sees the same batches; those that train longest come first.
    fn lanes(&self, mut group: Vec<usize>) -> Vec<Lane> {
        let cost = |n: usize| &self.costs[n];
        group.sort_by(|&a, &b| {
            let by_batches = cost(a).batches.cmp(&cost(b).batches);
            by_batches.then(cost(b).alone().total_cmp(&cost(a).alone()))
        });
        group.chunk_by(|&a, &b| cost(a).batches == cost(b).batches).map(<[usize]>::to_vec).collect()
    }

    /// Packs that take about `most_s` at most where they hold more than one trial.
    fn packs(&self, kinds: &[Vec<Lane>], most_s: f64) -> Vec<Group> {
        let mut packs = Vec::new();
        for lanes in kinds {
            let mut open = Group::default();
            for chunk in lanes.iter().flat_map(|lane| self.chunks(lane, most_s)) {
                if self.gain_by_joining(&open, &chunk, most_s) {
                    open.slots.extend(chunk.slots);
                    open.together.merge(&chunk.together);
                } else {
                    packs.push(std::mem::replace(&mut open, chunk));
                }
            }
            packs.push(open);
        }
        packs.retain(|pack| !pack.slots.is_empty());
        self.spread(&mut packs);
        packs
    }

    /// A lane in as few parts as limits allow, about equally long.
    fn chunks(&self, lane: &[usize], most_s: f64) -> Vec<Group> {
        let whole: Together = self.costs_of(lane).collect();
        let enough = self.enough(&whole);
        let parts = count(lane.len().div_ceil(enough)).max((self.seconds(&whole) / most_s).ceil());
        let part =
            self.costs_of(lane).map(SlotCost::alone).sum::<f64>() / parts.clamp(1.0, count(lane.len()));
        let mut chunks = Vec::new();
        let (mut chunk, mut done) = (Group::default(), 0.0);
        for (&n, cost) in lane.iter().zip(self.costs_of(lane)) {
            let ends = part * count(chunks.len() + 1);
            let full = chunk.slots.len() >= enough || done + cost.alone() / 2.0 > ends * (1.0 + 1e-9);
            if !chunk.slots.is_empty() && (full || !self.fits(&chunk, cost)) {
                chunks.push(std::mem::take(&mut chunk));
            }
            chunk.slots.push(n);
            chunk.together.add(cost);
            done += cost.alone();
        }
        chunks.push(chunk);
        chunks
    }

    /// The number of such slots from which on more of them save next to nothing.
    fn enough(&self, lane: &Together) -> usize {
        let enough = lane.common_s(self.speed) / (COMMON_SHARE * lane.mean_tail_s(self.speed));
        if self.pays(lane) { ceil(enough).clamp(1, self.limits.slots.max(1)) } else { 1 }
    }

    /// Whether such trials gain anything but a process's start by training together.
    fn pays(&self, slots: &Together) -> bool {
        let fixed_s = slots.passes_s(self.speed);
        slots.trunk() > 0.0 || (fixed_s > 0.0 && fixed_s >= FIXED_SHARE * slots.mean_tail_s(self.speed))
    }

    fn gain_by_joining(&self, open: &Group, chunk: &Group, most_s: f64) -> bool {
        if open.slots.is_empty() {
            return true;
        }
        let mut both = open.together.clone();
        both.merge(&chunk.together);
        let common_s = |slots: &Together| slots.common_s(self.speed);
        let saved = common_s(&open.together) + common_s(&chunk.together) - common_s(&both);
        let seconds = self.seconds(&both);
        self.pays(&both)
            && both.slots() <= self.limits.slots
            && both.footprint().mib(self.speed) <= self.limits.mem_mib
            && seconds <= most_s
            && saved > COMMON_SHARE * seconds
    }

    fn fits(&self, chunk: &Group, slot: &SlotCost) -> bool {
        chunk.together.footprint().and(slot.footprint).mib(self.speed) <= self.limits.mem_mib
    }

    /// Halves the longest packs until there is one for each place, or every trial is alone.
    fn spread(&self, packs: &mut Vec<Group>) {
        while packs.len() < self.places {
            let splittable = packs.iter_mut().filter(|pack| pack.slots.len() > 1);
            let longest =
                splittable.max_by(|a, b| self.seconds(&a.together).total_cmp(&self.seconds(&b.together)));
            let Some(longest) = longest else { return };
            let half = longest.slots.split_off(longest.slots.len().div_ceil(2));
            longest.together = self.costs_of(&longest.slots).collect();
            let together = self.costs_of(&half).collect();
            packs.push(Group { slots: half, together });
        }
    }

    /// When the last place is free: longest first, each on the place that is free first.
    fn makespan(&self, packs: &[Group]) -> Duration {
        let duration = |pack: &Group| Duration::from_secs_f64(self.seconds(&pack.together));
        let mut durations: Vec<Duration> = packs.iter().map(duration).collect();
        durations.sort_unstable_by_key(|&duration| Reverse(duration));
        let mut free: BinaryHeap<Reverse<Duration>> = vec![Reverse(Duration::ZERO); self.places].into();
        for duration in durations {
            if let Some(mut first) = free.peek_mut() {
                first.0 += duration;
            }
        }
        free.into_iter().map(|Reverse(end)| end).max().unwrap_or_default()
    }

    fn seconds(&self, together: &Together) -> f64 {
        together.seconds(self.speed)
    }

    fn costs_of<'s>(&'s self, slots: &'s [usize]) -> impl Iterator<Item = &'s SlotCost> {
        slots.iter().map(|&n| &self.costs[n])
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "too large a share is the most")]
fn ceil(number: f64) -> usize {
    number.ceil() as usize
}
