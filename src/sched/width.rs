//! Decides on how many cores each trial trains, or that it trains on a GPU: once, from the sweep and the machine
//! alone, since a trial's digits depend on it. What is free or busy at the moment has no influence, nor has what
//! earlier packs took: the rates are the assumed ones.
//!
//! More cores make a trial shorter but take more core-seconds, so few or long trials get many cores, and many
//! trials get one each. Trials of nearly the same cost are one class, and all of a class get the same width.
//! Finding the widths of such "moldable tasks" with which the last one ends first is NP-hard. As in Turek, Wolf
//! and Yu 1992, target times are tried: for each, every class gets the least width that reaches it, and list
//! scheduling says when all would end. Then single classes are changed while that helps, and the best choices are
//! compared by simulated runs.
//!
//! Read [`decide_widths`] first, then `Search`. Cutting trials into packs is the matter of `pack`, their times
//! that of `cost`.

mod classes;
mod list;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use self::classes::{Choice, Classes, Outcome};
use crate::cost::{Experience, Scaling, SlotCost};
use crate::sched::{Limits, Policy, Remaining, Scheduler, Workload, simulate};
use crate::values::{Resources, Trial, TrialId, Width};

/// Choices whose last packs end at times that differ by less count as equally good, and the one with the fewest
/// core-seconds is taken: how much faster more cores are is a guess, that they take more core-seconds is not.
const AS_GOOD: f64 = 1.02;
/// List scheduling knows no more of a run than that: what ends later by this factor may end first.
const PERHAPS: f64 = 1.25;
/// So many choices are simulated, in sweeps of at most so many trials.
const SIMULATIONS: usize = 24;
const SIMULATED: usize = 300;
/// Most target times, and most changes of single classes from one start.
const TARGETS: usize = 64;
const CHANGES: usize = 256;
/// Most changes of two classes.
const PAIRS: usize = 1_024;
/// Choices from which changes start: the best so far.
const STARTS: usize = 6;
/// There are fewer where trying a choice takes long: about so many lists of lanes are looked at.
const LISTS: usize = 8_192;

/// What widths depend on besides the trials.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// What the run may use, whatever is busy.
    pub resources: &'a Resources,
    /// All memory, whatever is free, in MiB.
    pub ram_total_mib: u64,
}

impl Machine<'_> {
    /// Whether a trial of this width can train here.
    #[must_use]
    pub fn can_give(&self, width: Width) -> bool {
        match width {
            Width::Cores(cores) => cores <= self.resources.cores.len(),
            Width::Gpu => !self.resources.gpus.is_empty(),
        }
    }
}

/// A trial to be done, and the width that it has already, if it has one.
#[derive(Clone, Copy, Debug)]
struct Wish {
    cost: SlotCost,
    /// Trials of one shape can train in one pack.
    shape: usize,
    recorded: Option<Width>,
}

/// The widths of the trials to be done, in their order. Those that have a width already keep it; what the others
/// get does not depend on the order.
#[must_use]
pub fn decide_widths(
    remaining: &Remaining<'_>,
    recorded: &[Option<Width>],
    machine: Machine<'_>,
) -> Vec<Width> {
    let trials = remaining.trials;
    let mut order: Vec<usize> = (0..trials.len()).collect();
    order.sort_unstable_by_key(|number| (trials[*number].configuration.id, trials[*number].id));
    let sorted: Vec<Trial> = order.iter().map(|number| trials[*number].clone()).collect();
    let sorted = remaining.sorted(&sorted, &order);
    let wish = |(at, number): (usize, &usize)| Wish {
        cost: sorted.costs[at],
        shape: sorted.shapes[at],
        recorded: recorded[*number],
    };
    let wishes: Vec<Wish> = order.iter().enumerate().map(wish).collect();
    let decided = first_to_end(&sorted, decide(&wishes, machine, Scaling::ASSUMED), machine);
    let mut widths = vec![machine.resources.equal_width(); trials.len()];
    order.iter().zip(decided).for_each(|(number, width)| widths[*number] = width);
    widths
}

/// Of widths that are about equally good by list scheduling, those with which a simulated run ends first, or
/// nearly so.
fn first_to_end(remaining: &Remaining<'_>, mut all: Vec<Vec<Width>>, machine: Machine<'_>) -> Vec<Width> {
    if all.len() == 1 {
        return all.swap_remove(0);
    }
    let end = |widths: &Vec<Width>| {
        let of: HashMap<TrialId, Width> =
            remaining.trials.iter().map(|trial| trial.id).zip(widths.iter().copied()).collect();
        let work =
            Workload::of(remaining, Path::new(""), &|trial| of[&trial.id], &|_| true, &Experience::default());
        let resources = machine.resources.clone();
        let scheduler = Scheduler::new(Arc::new(work), resources, Limits::default(), Policy::ONCE);
        simulate(&scheduler, SystemTime::UNIX_EPOCH).makespan
    };
    let ends: Vec<Duration> = all.iter().map(end).collect();
    let first = ends.iter().min().copied().unwrap_or_default().mul_f64(AS_GOOD);
    all.swap_remove(ends.iter().position(|end| *end <= first).unwrap_or(0))
}

/// The widths of all wishes: of a small sweep several that are about equally good, those with the fewest
/// core-seconds first. In a large one simulated runs would take long and differ little.
fn decide(wishes: &[Wish], machine: Machine<'_>, scaling: Scaling) -> Vec<Vec<Width>> {
    let Resources { cores, gpus, at_once, known: _ } = machine.resources;
    let equal = machine.resources.equal_width();
    let is_open = wishes.iter().any(|wish| wish.recorded.is_none());
    if !is_open || !gpus.is_empty() || at_once.is_some() || cores.len() < 2 {
        return vec![wishes.iter().map(|wish| wish.recorded.unwrap_or(equal)).collect()];
    }
    let classes = Classes::of(wishes, machine, scaling);
    let mut choices = Search { classes: &classes, tried: Vec::new() }.good();
    if wishes.len() > SIMULATED {
        choices.truncate(1);
    }
    let widths = |choice: Choice| {
        let cores = |class: usize| Width::Cores(classes.candidates[choice[class]]);
        let width = |(wish, class): (&Wish, &Option<usize>)| wish.recorded.or_else(|| class.map(cores));
        wishes.iter().zip(&classes.of_wishes).map(|pair| width(pair).unwrap_or(equal)).collect()
    };
    choices.into_iter().map(widths).collect()
}

/// The choices that were tried, and what each leads to.
struct Search<'a> {
    classes: &'a Classes,
    tried: Vec<(Choice, Outcome)>,
}

impl Search<'_> {
    /// Choices with which the last pack ends first or nearly so, those with the fewest core-seconds first; then
    /// others with which it may. At least one.
    fn good(mut self) -> Vec<Choice> {
        let tries = (LISTS / self.classes.size().max(1)).max(4);
        for candidate in 0..self.classes.candidates.len() {
            self.attempt(self.classes.uniform(candidate));
        }
        for time_s in self.targets(tries.min(TARGETS)) {
            self.attempt(self.classes.reaching(time_s));
        }
        self.tried.sort_by(|(_, a), (_, b)| a.end_s.total_cmp(&b.end_s));
        self.tried.dedup_by(|(a, _), (b, _)| a == b);
        let starts: Vec<_> = self.tried.iter().take(STARTS).cloned().collect();
        for start in starts {
            self.change(start, (tries / STARTS).min(CHANGES));
        }
        self.change_two((tries / 2).min(PAIRS));
        let end_s = self.tried.iter().map(|(_, outcome)| outcome.end_s).fold(f64::INFINITY, f64::min);
        let nearly = |factor: f64| move |tried: &(Choice, Outcome)| tried.1.end_s <= factor * end_s;
        self.tried.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.tried.dedup_by(|(a, _), (b, _)| a == b);
        self.tried.sort_by(|(_, a), (_, b)| a.core_s.total_cmp(&b.core_s));
        let (best, rest): (Vec<_>, Vec<_>) = self.tried.into_iter().partition(nearly(AS_GOOD));
        let mut rest: Vec<_> = rest.into_iter().filter(nearly(PERHAPS)).collect();
        rest.sort_by(|(_, a), (_, b)| a.end_s.total_cmp(&b.end_s));
        best.into_iter().chain(rest).map(|(choice, _)| choice).take(SIMULATIONS).collect()
    }

    fn attempt(&mut self, choice: Choice) -> Outcome {
        let outcome = self.classes.outcome(&choice);
        self.tried.push((choice, outcome));
        outcome
    }

    /// So many of the times that a trial of some class can take, longest first.
    fn targets(&self, n: usize) -> Vec<f64> {
        let mut times_s = self.classes.times_s();
        times_s.sort_unstable_by(|a, b| b.total_cmp(a));
        times_s.dedup();
        let every = times_s.len().div_ceil(n).max(1);
        times_s.into_iter().step_by(every).collect()
    }

    /// Gives single classes of a choice other cores, as long as that helps.
    fn change(&mut self, (mut choice, Outcome { mut end_s, .. }): (Choice, Outcome), mut tries: usize) {
        let mut helped = true;
        while helped {
            helped = false;
            for class in self.classes.open() {
                for candidate in 0..self.classes.candidates.len() {
                    if candidate == choice[class] || tries == 0 {
                        continue;
                    }
                    tries -= 1;
                    let mut changed = choice.clone();
                    changed[class] = candidate;
                    let outcome = self.attempt(changed.clone());
                    if outcome.end_s < end_s {
                        (choice, end_s, helped) = (changed, outcome.end_s, true);
                    }
                }
            }
        }
    }

    /// Gives pairs of classes of the best choice so far other cores.
    fn change_two(&mut self, tries: usize) {
        let first = self.tried.iter().min_by(|(_, a), (_, b)| a.end_s.total_cmp(&b.end_s)).cloned();
        let Some((choice, _)) = first else { return };
        let classes: Vec<usize> = self.classes.open().collect();
        let pairs = classes.iter().enumerate().flat_map(|(n, a)| classes[..n].iter().map(move |b| (*a, *b)));
        let candidates = 0..self.classes.candidates.len();
        let both = candidates.clone().flat_map(|a| candidates.clone().map(move |b| (a, b)));
        let changes = pairs.flat_map(|classes| both.clone().map(move |both| (classes, both)));
        for ((a, b), (on_a, on_b)) in changes.take(tries) {
            let mut changed = choice.clone();
            (changed[a], changed[b]) = (on_a, on_b);
            self.attempt(changed);
        }
    }
}
