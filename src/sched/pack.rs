//! Decides which trials train together, and where: one function of what is free, what waits, and what is known
//! of costs and of earlier starts.
//!
//! A pack is large enough that little work is done twice, and small enough that every place stays busy until
//! the end; both are judged by the work that is left now. The composition of a pack never changes what a trial
//! learns.

mod length;
mod rest;
mod unlike;

use self::length::most_s;
pub(super) use self::rest::Rest;
use self::rest::{COMMON_SHARE, Times, rests, up};
use crate::cost::{Footprint, count};
use crate::sched::Limits;
use crate::sched::jobs::Pace;
use crate::sched::memory::{Known, Memory};
use crate::sched::pool::{Pool, Size};
use crate::sched::workload::{Fit, GpuKind, TrialNo, Workload};
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
    /// Its kind of GPU; 0 on cores.
    pub(super) kind: GpuKind,
    pub(super) memory: Memory,
    /// Whether a GPU in service has more memory: what does not fit here waits for it.
    pub(super) has_larger: bool,
    /// The GPU in service with the least memory, if that is less than here.
    pub(super) smallest: Option<Device>,
    /// How many places of this width are free, this one included.
    pub(super) free: usize,
    /// Remaining seconds of each core, or of each GPU, in service; zero for free ones.
    pub(super) busy_s: &'a [f64],
    /// The kind of each of these GPUs; empty where all are of one kind.
    pub(super) kinds: &'a [GpuKind],
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
    /// Which trials of a shape a device's memory holds.
    pub(super) fit: &'a dyn Fn(usize, Device) -> Fit,
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
    /// Which trials of a shape may start in a place by its memory.
    fn fit(&self, shape: usize, place: Place<'_>) -> Fit {
        if place.has_larger { (self.fit)(shape, place.device) } else { Fit::All }
    }
}

/// Most memory of a pack with cores or a GPU of its own, in MiB: on the CPU for each core.
pub(super) fn limit(limits: Limits, memory: Memory) -> f64 {
    match memory {
        Memory::Gpu { mib } if mib < u64::MAX => limits.mem_mib.min(count(mib as usize)),
        Memory::Gpu { .. } | Memory::Host => limits.mem_mib,
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
        known.work.width_of(group[0]) == place.width && (known.trust)(group[0], place.device) == trust
    };
    let held = |group: &[TrialNo]| -> Vec<TrialNo> {
        let fit = known.fit(known.work.shape_of(group[0]), place);
        group.iter().copied().filter(|trial| fit.holds(known.work, *trial, place.kind)).collect()
    };
    let mut group = pool.again().filter(may_start).map(held).find(|group| !group.is_empty())?;
    let shape = known.work.shape_of(group[0]);
    group.truncate(known.memory.allowed(shape, place.memory).trials.max(1));
    // It may have trained on a GPU with more memory.
    let most_mib = match place.memory {
        Memory::Gpu { mib } if mib < u64::MAX => limit(known.limits, place.memory),
        Memory::Gpu { .. } | Memory::Host => f64::INFINITY,
    };
    let mut estimate = known.work.pack_estimate(&group, place.kind);
    while group.len() > 1 && estimate.mem_mib > most_mib {
        group.pop();
        estimate = known.work.pack_estimate(&group, place.kind);
    }
    let seconds = estimate.duration.as_secs_f64() * known.pace.of(shape, place.kind);
    (seconds <= place.within_s).then_some(group)
}

/// The longest pack of trials of this width whose store is prepared; on GPUs of several kinds one that ends in time,
/// or the shortest.
fn longest(pool: &Pool, place: Place<'_>, known: &Knowledge<'_>) -> Option<Vec<TrialNo>> {
    let (mut all, later): (Vec<Rest>, Vec<Rest>) = rests(pool, place, known).partition(|rest| rest.is_ready);
    if all.is_empty() {
        return None;
    }
    let ready = all.len();
    all.extend(later);
    let most_s = match place.kinds {
        [] => most_s(&all, ready, place),
        _ => unlike::most_s(&all, place, known),
    };
    let pack_s = |rest: &Rest| rest.pack_s(most_s.min(rest.within_s));
    // What a smaller memory does not hold comes first.
    let by_time = |a: &&Rest, b: &&Rest| {
        let longer = pack_s(a).total_cmp(&pack_s(b)).then(b.lane.cmp(&a.lane));
        a.is_for_few.cmp(&b.is_for_few).then(longer)
    };
    let ready = &all[..ready];
    let ends_in_time = |rest: &&Rest| place.kinds.is_empty() || rest.shortest_s() <= most_s * (1.0 + 1e-6);
    let shortest = |a: &&Rest, b: &&Rest| a.shortest_s().total_cmp(&b.shortest_s());
    let first =
        ready.iter().filter(ends_in_time).max_by(by_time).or_else(|| ready.iter().min_by(shortest))?;
    Some(fill(pool, first, most_s.min(first.within_s), place, known))
}

/// A pack of the first trials of a lane. If that takes the whole lane, other whole lanes join where they gain
/// by it.
fn fill(pool: &Pool, rest: &Rest, most_s: f64, place: Place<'_>, known: &Knowledge<'_>) -> Vec<TrialNo> {
    let mut pack = Pack {
        rest,
        place,
        known,
        trials: Vec::new(),
        footprint: Footprint::default(),
        own_s: 0.0,
        trunks_s: rest.trunk_s,
    };
    let parts = rest.parts(most_s);
    // Parts of equal times, or of equal counts where the count is what limits them. The factor 1 + 1e-9 absorbs
    // rounding.
    let rounds = place.kinds.is_empty();
    let (part_s, slots) = if !rounds {
        ((most_s - rest.fixed_s - rest.trunk_s) * (1.0 + 1e-6), rest.enough)
    } else if parts > rest.fewest() {
        (rest.own_s / parts * (1.0 + 1e-9), rest.enough)
    } else {
        (most_s - rest.fixed_s - rest.trunk_s, up(rest.trials / parts))
    };
    let fit = known.fit(rest.shape, place);
    for trial in pool.lane(rest.lane).iter().filter(|trial| fit.holds(known.work, **trial, place.kind)) {
        let own_s = pack.own_s(*trial);
        let counted_s = if rounds { own_s / 2.0 } else { own_s };
        let is_full = count(pack.trials.len()) >= slots || pack.own_s + counted_s > part_s;
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
            pack.add(&trials, rest.scaled(size).trunk_s);
        }
    }
    pack.trials
}

/// A pack that is being formed.
struct Pack<'a> {
    rest: &'a Rest,
    place: Place<'a>,
    known: &'a Knowledge<'a>,
    trials: Vec<TrialNo>,
    footprint: Footprint,
    own_s: f64,
    trunks_s: f64,
}

impl Pack<'_> {
    /// A trial's own time here.
    fn own_s(&self, trial: TrialNo) -> f64 {
        self.known.work.time(trial, self.place.kind).own.as_secs_f64() * self.rest.pace
    }

    fn add(&mut self, trials: &[TrialNo], trunk_s: f64) {
        for trial in trials {
            self.footprint = self.footprint.and(self.known.work.trials[*trial].cost.footprint);
            self.own_s += self.own_s(*trial);
        }
        self.trunks_s += trunk_s;
        self.trials.extend(trials);
    }

    fn fits(&self, trials: &[TrialNo]) -> bool {
        let (shape, limits) = (&self.known.work.shapes[self.rest.shape], self.known.limits);
        let own_s = trials.iter().map(|trial| self.own_s(*trial)).sum::<f64>();
        let candidates = trials.iter().map(|trial| &self.known.work.trials[*trial]);
        let together = candidates.fold(self.footprint, |sum, one| sum.and(one.cost.footprint));
        together.mib(shape.rates(self.place.kind))
            <= limit(limits, self.place.memory) * count(units(shape.width))
            && self.rest.fixed_s + self.trunks_s + self.own_s + own_s <= self.rest.within_s
    }

    /// Whether a lane of this size gains by joining: it saves one start of a process and one set of passes.
    fn gains(&self, lane: &Size, most_s: f64) -> bool {
        let Times { own_s, trunk_s, passes_s, .. } = self.rest.scaled(lane);
        let seconds = self.rest.fixed_s + self.own_s + self.trunks_s + own_s + trunk_s;
        let start_s = self.known.work.shapes[self.rest.shape].rates(self.place.kind).start_s;
        let saved_s = start_s + passes_s;
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
        Memory::Gpu { .. } => true,
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
