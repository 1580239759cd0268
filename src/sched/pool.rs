//! Owns the waiting trials, in the order in which packs take them.
//!
//! The trials of a lane are sorted longest first. Lanes are grouped by size: a sweep has many lanes but few
//! sizes, so that a decision looks at sizes rather than at every trial. Knows no places.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::cost::SlotTime;
use crate::sched::trial::Turn;
use crate::sched::workload::{Candidate, TrialNo, Workload};

/// Trials of one shape that see the same batches, so that they share a trunk within a pack.
#[derive(Clone, Debug, Default)]
struct Lane {
    /// Longest first; equal ones in the sweep's order.
    trials: VecDeque<TrialNo>,
    /// Their own time one after the other, without what they share.
    own: Duration,
}

/// The size of a lane. Lanes of equal size are interchangeable; the longest sorts last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size {
    /// Time of all trials in one pack, without the fixed time of every pack.
    pub(super) whole: Duration,
    /// Number of trials.
    pub(super) trials: usize,
    /// Their own time one after the other, without what they share.
    pub(super) own: Duration,
    /// Own time of the longest trial.
    pub(super) longest: Duration,
    /// Time of the shared trunk.
    pub(super) trunk: Duration,
    /// Fixed time of their passes.
    pub(super) passes: Duration,
}

/// The lanes of each size. Lanes are numbered in the order of their first trials.
pub(super) type Lanes = BTreeMap<Size, BTreeSet<Reverse<usize>>>;

/// All waiting trials.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    lanes: Vec<Lane>,
    /// Lanes with waiting trials, by shape.
    shapes: Vec<Lanes>,
    /// Trials that failed together and start together again, by group.
    again: BTreeMap<usize, Vec<TrialNo>>,
    /// Trials that start only when nothing else runs.
    alone: BTreeSet<TrialNo>,
}

impl Pool {
    /// The trials of a workload that wait.
    pub(super) fn of(work: &Workload, waits: &dyn Fn(TrialNo) -> bool) -> Self {
        let mut lanes = vec![Lane::default(); work.lanes.len()];
        for (number, trial) in work.trials.iter().enumerate().filter(|(number, _)| waits(*number)) {
            lanes[trial.lane].trials.push_back(number);
            lanes[trial.lane].own += trial.time.own;
        }
        let mut shapes = vec![Lanes::new(); work.shapes.len()];
        for (number, lane) in lanes.iter_mut().enumerate() {
            lane.trials.make_contiguous().sort_by_key(|trial| order(work, *trial));
            if let Some(size) = lane.size(work) {
                shapes[work.lanes[number]].entry(size).or_default().insert(Reverse(number));
            }
        }
        Self { lanes, shapes, again: BTreeMap::new(), alone: BTreeSet::new() }
    }

    /// A shape's lanes with waiting trials, by size.
    pub(super) fn lanes(&self, shape: usize) -> &Lanes {
        &self.shapes[shape]
    }

    /// The waiting trials of a lane, longest first.
    pub(super) fn lane(&self, lane: usize) -> &VecDeque<TrialNo> {
        &self.lanes[lane].trials
    }

    /// The groups of trials that start together again, in the order of their failures.
    pub(super) fn again(&self) -> impl Iterator<Item = &[TrialNo]> {
        self.again.values().map(Vec::as_slice)
    }

    /// The trials that wait until nothing else runs.
    pub(super) fn alone(&self) -> impl Iterator<Item = TrialNo> {
        self.alone.iter().copied()
    }

    /// Adds a trial that waits for this turn.
    pub(super) fn add(&mut self, work: &Workload, trial: TrialNo, turn: Turn) {
        match turn {
            Turn::InLane => {
                let place = order(work, trial);
                self.change(work, work.trials[trial].lane, |lane, own| {
                    let at = lane.trials.partition_point(|other| order(work, *other) < place);
                    lane.trials.insert(at, trial);
                    lane.own += own(trial);
                });
            }
            Turn::Together { group } => self.again.entry(group).or_default().push(trial),
            Turn::Alone => _ = self.alone.insert(trial),
        }
    }

    /// Removes a trial that waits for this turn.
    pub(super) fn take(&mut self, work: &Workload, trial: TrialNo, turn: Turn) {
        match turn {
            Turn::InLane => self.change(work, work.trials[trial].lane, |lane, own| {
                let place = order(work, trial);
                if let Ok(at) = lane.trials.binary_search_by_key(&place, |other| order(work, *other)) {
                    lane.trials.remove(at);
                    lane.own -= own(trial);
                }
            }),
            Turn::Together { group } => {
                if let Some(trials) = self.again.get_mut(&group) {
                    trials.retain(|other| *other != trial);
                    if trials.is_empty() {
                        self.again.remove(&group);
                    }
                }
            }
            Turn::Alone => _ = self.alone.remove(&trial),
        }
    }

    pub(super) fn clear(&mut self) {
        self.lanes.iter_mut().for_each(|lane| *lane = Lane::default());
        self.shapes.iter_mut().for_each(Lanes::clear);
        self.again.clear();
        self.alone.clear();
    }

    /// Changes a lane, and moves it to its new size.
    fn change(
        &mut self,
        work: &Workload,
        number: usize,
        change: impl FnOnce(&mut Lane, &dyn Fn(TrialNo) -> Duration),
    ) {
        let (lane, lanes) = (&mut self.lanes[number], &mut self.shapes[work.lanes[number]]);
        if let Some(before) = lane.size(work)
            && let Some(alike) = lanes.get_mut(&before)
        {
            alike.remove(&Reverse(number));
            if alike.is_empty() {
                lanes.remove(&before);
            }
        }
        change(lane, &|trial| work.trials[trial].time.own);
        if let Some(after) = lane.size(work) {
            lanes.entry(after).or_default().insert(Reverse(number));
        }
    }
}

impl Lane {
    /// `None` without trials.
    fn size(&self, work: &Workload) -> Option<Size> {
        let SlotTime { own: longest, trunk, passes } = work.trials[*self.trials.front()?].time;
        let (trials, own) = (self.trials.len(), self.own);
        Some(Size { whole: own + trunk, trials, own, longest, trunk, passes })
    }
}

/// A trial's sort key within its lane.
fn order(work: &Workload, trial: TrialNo) -> (Reverse<Duration>, (u64, usize), TrialNo) {
    let Candidate { cost, time, .. } = &work.trials[trial];
    (Reverse(time.alone()), cost.batches, trial)
}
