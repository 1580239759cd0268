//! Owns the trials as classes of nearly equal cost and as lanes that share a trunk, and what a choice of widths
//! leads to. Makes no choice.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::list::{Packs, last_end_s};
use super::{Machine, Wish};
use crate::cost::{Footprint, Rates, Scaling, SlotCost, count};
use crate::sched::pack::Rest;
use crate::sched::pool::Size;
use crate::values::Width;

/// Trials of a shape are one class where their times on one core fall between the same two powers of the cube
/// root of two.
const CLASSES_PER_DOUBLING: f64 = 3.0;
/// The share of all memory that packs may take.
const MEMORY_SHARE: f64 = 0.8;
/// Lengths of packs that are tried, from twice the least time of everything downwards: their number, and the
/// ratio of each to the one before.
const LENGTHS: i32 = 8;
const SHORTER: f64 = 0.72;

/// The widths of all classes, by their positions among the candidates.
pub(super) type Choice = Vec<usize>;

/// What a choice leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outcome {
    /// When the last pack ends, in seconds.
    pub(super) end_s: f64,
    /// Seconds of all cores at work.
    pub(super) core_s: f64,
}

/// All trials that are to be done on some cores.
#[derive(Debug)]
pub(super) struct Classes {
    cores: usize,
    /// The widths that are tried, in cores.
    pub(super) candidates: Vec<usize>,
    all: Vec<Class>,
    lanes: Vec<Lanes>,
    /// The class of each wish; none for one that has a width which these cores cannot give.
    pub(super) of_wishes: Vec<Option<usize>>,
}

/// Trials of one shape and nearly equal cost, which get the same width.
#[derive(Debug)]
struct Class {
    /// The position of the width that they have already.
    recorded: Option<usize>,
    /// How they train on each of the candidates.
    on: Vec<OnCores>,
}

/// How a trial of a class trains on some cores.
#[derive(Clone, Copy, Debug)]
struct OnCores {
    /// Time of its own, and of the longest trial of the class.
    own: Duration,
    longest: Duration,
    trunk: Duration,
    /// Cores that it keeps from others, by its threads or by its share of the memory.
    kept: usize,
    /// Most slots for which a pack has memory.
    slots: usize,
}

/// Lanes with equally many trials of each class.
#[derive(Debug)]
struct Lanes {
    n: usize,
    /// Classes, and how many of their trials each of the lanes has.
    trials: Vec<(usize, usize)>,
}

impl Classes {
    pub(super) fn of(wishes: &[Wish], machine: Machine<'_>, scaling: Scaling) -> Self {
        let cores = machine.resources.cores.len();
        let is_tried = |width: &usize| {
            let odd = *width >> width.trailing_zeros();
            odd <= 3 || cores.is_multiple_of(*width)
        };
        let recorded = wishes.iter().filter_map(|wish| given(wish.recorded, cores));
        let candidates: BTreeSet<usize> = (1..=cores).filter(is_tried).chain(recorded).collect();
        let candidates: Vec<usize> = candidates.into_iter().collect();
        let mut found = Found::default();
        let of_wishes = wishes.iter().map(|wish| found.add(wish, cores, scaling)).collect();
        let on =
            |members: &Members, width: usize| members.on(width, scaling.rates(Width::Cores(width)), machine);
        let all = found.classes.iter().map(|(key, members)| Class {
            recorded: key.recorded.and_then(|cores| candidates.iter().position(|width| *width == cores)),
            on: candidates.iter().map(|width| on(members, *width)).collect(),
        });
        let all = all.collect();
        Self { cores, candidates, all, lanes: found.lanes(), of_wishes }
    }

    /// How many lists of lanes there are: what a trial of a choice costs.
    pub(super) fn size(&self) -> usize {
        self.lanes.iter().map(|lanes| lanes.trials.len()).sum()
    }

    /// The classes without a width.
    pub(super) fn open(&self) -> impl Iterator<Item = usize> {
        (0..self.all.len()).filter(|class| self.all[*class].recorded.is_none())
    }

    /// The times, in seconds, of a trial of each open class on each of the candidates.
    pub(super) fn times_s(&self) -> Vec<f64> {
        self.open().flat_map(|class| self.all[class].on.iter().map(OnCores::alone_s)).collect()
    }

    /// The choice that gives every open class this candidate.
    pub(super) fn uniform(&self, candidate: usize) -> Choice {
        self.all.iter().map(|class| class.recorded.unwrap_or(candidate)).collect()
    }

    /// The choice that gives every open class the fewest cores on which a trial takes this time at most, or else
    /// those on which it takes least.
    pub(super) fn reaching(&self, time_s: f64) -> Choice {
        let fastest = |class: &Class| {
            let times_s = class.on.iter().map(OnCores::alone_s).enumerate();
            times_s.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(candidate, _)| candidate)
        };
        let reaching = |class: &Class| class.on.iter().position(|on| on.alone_s() <= time_s);
        let choose = |class: &Class| class.recorded.or_else(|| reaching(class));
        self.all.iter().map(|class| choose(class).unwrap_or_else(|| fastest(class))).collect()
    }

    /// What a choice leads to: of several lengths of packs, that with which the last one ends first.
    pub(super) fn outcome(&self, choice: &[usize]) -> Outcome {
        let rests: Vec<(usize, usize, Rest)> =
            self.lanes.iter().flat_map(|lanes| self.rests(lanes, choice)).collect();
        let packs = |most_s: f64| {
            let of = |&(width, kept, rest): &(usize, usize, Rest)| {
                let packs = rest.packs(most_s).into_iter().filter(|(_, n)| *n > 0);
                packs
                    .map(move |(length, n)| (width, Packs { length_s: length.as_secs_f64(), cores: kept, n }))
            };
            rests.iter().flat_map(of).collect::<Vec<_>>()
        };
        let core_s = |packs: &[(usize, Packs)]| {
            packs.iter().map(|(width, packs)| count(width * packs.n) * packs.length_s).sum::<f64>()
        };
        let whole = packs(f64::INFINITY);
        let longest_s = self.longest_s(choice);
        let least_s = longest_s.max(core_s(&whole) / count(self.cores));
        let shorter = (0..LENGTHS).map(|n| packs(2.0 * least_s * SHORTER.powi(n)));
        let outcomes = [whole].into_iter().chain(shorter).map(|packs| Outcome {
            core_s: core_s(&packs),
            end_s: last_end_s(packs.into_iter().map(|(_, packs)| packs).collect(), self.cores).max(longest_s),
        });
        outcomes.min_by(|a, b| a.end_s.total_cmp(&b.end_s)).expect("several lengths are tried")
    }

    /// The longest trial.
    fn longest_s(&self, choice: &[usize]) -> f64 {
        self.all.iter().zip(choice).map(|(class, width)| class.on[*width].alone_s()).fold(0.0, f64::max)
    }

    /// Lanes as they wait for packs: for each width, with the cores that a pack keeps from others. Classes
    /// without a trunk to share wait apart.
    fn rests<'a>(
        &'a self,
        lanes: &'a Lanes,
        choice: &'a [usize],
    ) -> impl Iterator<Item = (usize, usize, Rest)> + 'a {
        let group = |class: usize| {
            let width = choice[class];
            (width, self.all[class].on[width].trunk.is_zero().then_some(class))
        };
        let groups: BTreeSet<_> = lanes.trials.iter().map(|(class, _)| group(*class)).collect();
        groups.into_iter().map(move |wanted| {
            let width = wanted.0;
            let of_width = lanes.trials.iter().filter(|(class, _)| group(*class) == wanted);
            let mut size = Size::default();
            let (mut kept, mut slots) = (1, usize::MAX);
            for (class, n) in of_width {
                let on = self.all[*class].on[width];
                size.trials += n;
                size.own += on.own.saturating_mul(u32::try_from(*n).unwrap_or(u32::MAX));
                size.longest = size.longest.max(on.longest);
                size.trunk = size.trunk.max(on.trunk);
                (kept, slots) = (kept.max(on.kept), slots.min(on.slots));
            }
            (self.candidates[width], kept, Rest::of_lanes(&size, slots, lanes.n))
        })
    }
}

impl OnCores {
    /// A trial's time, without the start of its process.
    fn alone_s(&self) -> f64 {
        (self.longest + self.trunk).as_secs_f64()
    }
}

/// The cores that a trial was given, where there are so many.
fn given(recorded: Option<Width>, cores: usize) -> Option<usize> {
    match recorded? {
        Width::Cores(wanted) => Some(wanted).filter(|wanted| *wanted <= cores),
        Width::Gpu => None,
    }
}

/// Classes and lanes, as they are found.
#[derive(Default)]
struct Found {
    classes: Vec<(Key, Members)>,
    numbers: HashMap<Key, usize>,
    /// How many trials of each class a lane has.
    lanes: HashMap<LaneKey, BTreeMap<usize, usize>>,
}

/// A shape, and the batches that its trials see where they share a trunk.
type LaneKey = (usize, Option<(u64, usize)>);

/// What makes trials a class.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    shape: usize,
    /// Their time on one core, as a power.
    power: i64,
    /// The cores that they have already.
    recorded: Option<usize>,
}

impl Found {
    fn add(&mut self, wish: &Wish, cores: usize, scaling: Scaling) -> Option<usize> {
        let recorded = given(wish.recorded, cores);
        if wish.recorded.is_some() && recorded.is_none() {
            return None;
        }
        let time = wish.cost.time(scaling.rates(Width::Cores(1)));
        let key = Key { shape: wish.shape, power: power(time.alone()), recorded };
        let next = self.classes.len();
        let class = *self.numbers.entry(key).or_insert(next);
        if class == next {
            self.classes.push((key, Members::default()));
        }
        self.classes[class].1.add(wish.cost);
        let batches = (!time.trunk.is_zero()).then_some(wish.cost.batches);
        *self.lanes.entry((wish.shape, batches)).or_default().entry(class).or_default() += 1;
        Some(class)
    }

    /// The lanes, equal ones together.
    fn lanes(self) -> Vec<Lanes> {
        let mut alike: BTreeMap<Vec<(usize, usize)>, usize> = BTreeMap::new();
        for trials in self.lanes.into_values() {
            *alike.entry(trials.into_iter().collect()).or_default() += 1;
        }
        alike.into_iter().map(|(trials, n)| Lanes { n, trials }).collect()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a small number")]
fn power(time: Duration) -> i64 {
    (time.as_secs_f64().max(1e-3).log2() * CLASSES_PER_DOUBLING).floor() as i64
}

/// The trials of a class: costs that follow one another, and how many trials have each.
#[derive(Debug, Default)]
struct Members(Vec<(SlotCost, usize)>);

impl Members {
    fn add(&mut self, mut cost: SlotCost) {
        // Which batches a trial sees does not change its time.
        cost.batches = (0, 0);
        match self.0.last_mut() {
            Some((last, n)) if *last == cost => *n += 1,
            Some(_) | None => self.0.push((cost, 1)),
        }
    }

    fn on(&self, width: usize, rates: Rates, machine: Machine<'_>) -> OnCores {
        let cores = machine.resources.cores.len();
        let (mut own, mut trials) = (0, 0);
        let (mut longest, mut trunk) = (Duration::ZERO, Duration::ZERO);
        for (cost, n) in &self.0 {
            let time = cost.time(rates);
            own += time.own.as_nanos() * *n as u128;
            trials += *n as u128;
            (longest, trunk) = (longest.max(time.own), trunk.max(time.trunk));
        }
        let own = Duration::from_nanos_u128(own / trials.max(1));
        let footprints = self.0.iter().map(|(cost, _)| cost.footprint);
        let largest = footprints.max_by(|a, b| a.mib(rates).total_cmp(&b.mib(rates))).unwrap_or_default();
        let all_mib = MEMORY_SHARE * mib(machine.ram_total_mib);
        let kept = width.max(cores / at_once(largest, all_mib, rates)).min(cores);
        let slots = largest.fit(all_mib * count(kept) / count(cores), rates);
        OnCores { own, longest, trunk, kept, slots }
    }
}

/// How many such packs of one trial have this much memory.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "too large a number is the most")]
fn at_once(footprint: Footprint, all_mib: f64, rates: Rates) -> usize {
    ((all_mib / footprint.mib(rates)).floor() as usize).max(1)
}

#[expect(clippy::cast_precision_loss, reason = "sizes in MiB are far below 2^52")]
fn mib(size: u64) -> f64 {
    size as f64
}
