//! Decides which trials train together, and where: one function of what is free, what waits, and what is known
//! of costs and of earlier starts.
//!
//! A pack is large enough that little work is done twice, and small enough that every place stays busy until
//! the end; both are judged by the work that is left now. The composition of a pack never changes what a trial
//! learns.

mod length;
mod rest;

use self::length::most_s;
pub(super) use self::rest::Rest;
use self::rest::{COMMON_SHARE, rests, up};
use crate::cost::{Footprint, count};
use crate::sched::Limits;
use crate::sched::jobs::Pace;
use crate::sched::memory::{Known, Memory};
use crate::sched::pool::{Pool, Size};
use crate::sched::workload::{TrialNo, Workload};
use crate::values::{Device, Width};

/// Most waiting trials that are considered for a free slot.
const LOOKS: usize = 1_000;

/// What became free.
#[derive(Clone, Copy, Debug)]
pub(super) enum Opening<'a> {
    /// A place.
    Place(Place<'a>),
    /// A slot of a running pack.
    Slot(Slot<'a>),
}

/// A free place among others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) width: Width,
    pub(super) device: Device,
    /// How many places of this width are free, this one included.
    pub(super) free: usize,
    /// Remaining seconds of each core, or of each GPU, in service; zero for free ones.
    pub(super) busy_s: &'a [f64],
    /// Most seconds that a pack may take: a longer one would keep a wider one waiting.
    pub(super) within_s: f64,
}

/// The slot of an ended trial in a pack that goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<'a> {
    /// Its memory.
    pub(super) memory: Memory,
    /// The pack's trials that go on.
    pub(super) open: &'a [TrialNo],
    pub(super) ended: TrialNo,
    /// Whether the trial failed rather than finished.
    pub(super) failed: bool,
}

/// What is known apart from the waiting trials.
#[derive(Clone, Copy)]
pub(super) struct Knowledge<'a> {
    pub(super) work: &'a Workload,
    pub(super) limits: Limits,
    /// Limits of memory, learned from failed starts.
    pub(super) memory: &'a Known,
    pub(super) pace: &'a Pace,
    /// Whether a store is prepared, by its index.
    pub(super) is_prepared: &'a dyn Fn(usize) -> bool,
    /// Whether a trial may start on a device.
    pub(super) trust: &'a dyn Fn(TrialNo, Device) -> Trust,
}

/// Whether a trial may start on a device, by what it lost before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// It has not lost this device.
    Full,
    /// It has lost all that are in service. Others go first: what becomes of them shows whether the device or the
    /// trial is to blame.
    Last,
    /// It has lost this device, and others are in service.
    None,
}

impl Knowledge<'_> {
    /// Memory of a pack of this width, in MiB.
    fn mem_mib(&self, width: Width) -> f64 {
        self.limits.mem_mib * count(units(width))
    }
}

/// How much a pack of this width takes of what it shares with others: cores, or GPUs.
pub(super) fn units(width: Width) -> usize {
    match width {
        Width::Cores(cores) => cores,
        Width::Gpu => 1,
    }
}

/// The trials to start in an opening. For a place: the longest pack that can be made of the waiting trials, of
/// a size that lets all places end at the same time. For a slot: one trial. `None` where no waiting trial gains
/// by starting there.
pub(super) fn next(pool: &Pool, opening: Opening<'_>, known: &Knowledge<'_>) -> Option<Vec<TrialNo>> {
    match opening {
        Opening::Place(place) => again(pool, place, known, Trust::Full)
            .or_else(|| longest(pool, place, known))
            .or_else(|| again(pool, place, known, Trust::Last)),
        Opening::Slot(slot) => newcomer(pool, slot, known).map(|trial| vec![trial]),
    }
}

/// A group of trials that failed together and trust the place so much, or as many of them as memory allows. They
/// lost the same devices.
fn again(pool: &Pool, place: Place<'_>, known: &Knowledge<'_>, trust: Trust) -> Option<Vec<TrialNo>> {
    let may_start = |group: &&[TrialNo]| {
        let first = group[0];
        known.work.width_of(first) == place.width && (known.trust)(first, place.device) == trust
    };
    let group = pool.again().find(may_start)?;
    let shape = known.work.shape_of(group[0]);
    let most = known.memory.allowed(shape, Memory::of(place.width)).trials;
    let group = &group[..group.len().min(most)];
    let seconds = known.work.pack_estimate(group).duration.as_secs_f64() * known.pace.of(shape);
    (seconds <= place.within_s).then(|| group.to_vec())
}

/// The longest pack of trials of this width whose store is prepared.
fn longest(pool: &Pool, place: Place<'_>, known: &Knowledge<'_>) -> Option<Vec<TrialNo>> {
    let (mut all, later): (Vec<Rest>, Vec<Rest>) = rests(pool, place, known).partition(|rest| rest.is_ready);
    if all.is_empty() {
        return None;
    }
    let ready = all.len();
    all.extend(later);
    let most_s = most_s(&all, ready, place);
    let pack_s = |rest: &Rest| rest.pack_s(most_s.min(rest.within_s));
    let by_time = |a: &&Rest, b: &&Rest| pack_s(a).total_cmp(&pack_s(b)).then(b.lane.cmp(&a.lane));
    let first = all[..ready].iter().max_by(by_time)?;
    Some(fill(pool, first, most_s.min(first.within_s), known))
}

/// A pack of the first trials of a lane. If that takes the whole lane, other whole lanes join where they gain
/// by it.
fn fill(pool: &Pool, rest: &Rest, most_s: f64, known: &Knowledge<'_>) -> Vec<TrialNo> {
    let mut pack = Pack {
        rest,
        known,
        trials: Vec::new(),
        footprint: Footprint::default(),
        own_s: 0.0,
        trunks_s: rest.trunk_s,
    };
    let parts = rest.parts(most_s);
    // Parts of equal times, or of equal counts where the count is what limits them. The factor 1 + 1e-9 absorbs
    // rounding.
    let (part_s, slots) = if parts > rest.fewest() {
        (rest.own_s / parts * (1.0 + 1e-9), rest.enough)
    } else {
        (most_s - rest.fixed_s - rest.trunk_s, up(rest.trials / parts))
    };
    for trial in pool.lane(rest.lane) {
        let own_s = known.work.trials[*trial].time.own.as_secs_f64();
        let is_full = count(pack.trials.len()) >= slots || pack.own_s + own_s / 2.0 > part_s;
        if !pack.trials.is_empty() && (is_full || !pack.fits(&[*trial])) {
            return pack.trials;
        }
        pack.add(&[*trial], 0.0);
    }
    if rest.enough > 1.0 {
        let others = pool
            .lanes(rest.shape)
            .iter()
            .rev()
            .flat_map(|(size, lanes)| lanes.iter().rev().map(move |lane| (size, lane.0)));
        for (size, lane) in others.filter(|(_, lane)| *lane != rest.lane) {
            let trials: Vec<TrialNo> = pool.lane(lane).iter().copied().collect();
            if !pack.gains(size, most_s) || !pack.fits(&trials) {
                break;
            }
            pack.add(&trials, size.trunk.as_secs_f64());
        }
    }
    pack.trials
}

/// A pack that is being formed.
struct Pack<'a> {
    rest: &'a Rest,
    known: &'a Knowledge<'a>,
    trials: Vec<TrialNo>,
    footprint: Footprint,
    own_s: f64,
    trunks_s: f64,
}

impl Pack<'_> {
    fn add(&mut self, trials: &[TrialNo], trunk_s: f64) {
        for trial in trials {
            let candidate = &self.known.work.trials[*trial];
            self.footprint = self.footprint.and(candidate.cost.footprint);
            self.own_s += candidate.time.own.as_secs_f64();
        }
        self.trunks_s += trunk_s;
        self.trials.extend(trials);
    }

    fn fits(&self, trials: &[TrialNo]) -> bool {
        let candidates = trials.iter().map(|trial| &self.known.work.trials[*trial]);
        let shape = &self.known.work.shapes[self.rest.shape];
        let own_s = candidates.clone().map(|one| one.time.own.as_secs_f64()).sum::<f64>();
        let together = candidates.fold(self.footprint, |sum, one| sum.and(one.cost.footprint));
        together.mib(shape.rates) <= self.known.mem_mib(shape.width)
            && self.rest.fixed_s + self.trunks_s + self.own_s + own_s <= self.rest.within_s
    }

    /// Whether a lane of this size gains by joining: it saves one start of a process and one set of passes.
    fn gains(&self, lane: &Size, most_s: f64) -> bool {
        let [own_s, trunk_s] = [lane.own, lane.trunk].map(|time| time.as_secs_f64());
        let seconds = self.rest.fixed_s + self.own_s + self.trunks_s + own_s + trunk_s;
        let start_s = self.known.work.shapes[self.rest.shape].rates.start_s;
        let saved_s = start_s + lane.passes.as_secs_f64();
        count(self.trials.len() + lane.trials) <= self.rest.slots
            && seconds <= most_s
            && saved_s > COMMON_SHARE * seconds
    }
}

/// A waiting trial for the slot of an ended one: among the trials that would start last, one that needs no more
/// memory. A newcomer is at step 0, so it shares no trunk with the others. It may join only on a GPU, where
/// slots pass through the model together, and only if the pack has no shared trunk to lose and will go on for a
/// while.
fn newcomer(pool: &Pool, slot: Slot<'_>, known: &Knowledge<'_>) -> Option<TrialNo> {
    let Slot { memory, open, ended, failed } = slot;
    let work = known.work;
    let candidate = |trial: &TrialNo| &work.trials[*trial];
    let lane = candidate(&ended).lane;
    let has_trunk = open.len() > 1
        && open.iter().all(|trial| candidate(trial).cost.batches == candidate(&open[0]).cost.batches)
        && candidate(&open[0]).cost.trunk > 0.0;
    let epochs = |trial: &TrialNo| candidate(trial).trial.configuration.training.epochs;
    // Where all trials have the same length they end together, and a pack of its own is better for the waiting
    // trials.
    let goes_on = open.iter().any(|trial| failed || epochs(trial) > epochs(&ended));
    let goes_together = match memory {
        Memory::Gpu => true,
        Memory::Host => false,
    };
    let is_too_much = open.len() >= known.memory.allowed(work.lanes[lane], memory).trials;
    if !goes_together || !goes_on || has_trunk || is_too_much {
        return None;
    }
    let needed = candidate(&ended).cost.footprint;
    let lanes = pool.lanes(work.lanes[lane]).values().flat_map(|lanes| lanes.iter());
    let last_first = lanes.flat_map(|lane| pool.lane(lane.0).iter().rev());
    last_first.take(LOOKS).find(|trial| candidate(trial).cost.footprint.needs_no_more_than(needed)).copied()
}
