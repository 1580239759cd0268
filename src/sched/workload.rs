//! Owns the work to be done and its predicted costs: trials, the shapes and lanes they belong to, the stores
//! they need, and the report. Never changes during a run.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cost::{self, Basis, Estimate, Experience, Kind, PackCost, Rates, SlotCost, SlotTime};
use crate::data::store::store_key;
use crate::families::ModelSpec;
use crate::job::{Pack, Prepare, Work};
use crate::sched::remaining::Remaining;
use crate::tasks::Task;
use crate::values::{ContentHash, JobKey, Trial, TrialId, Width};

/// A trial's index in its workload, in the order of the sweep.
pub(super) type TrialNo = usize;

/// The remaining trials, and what they need.
#[derive(Debug)]
pub struct Workload {
    pub(super) trials: Vec<Candidate>,
    numbers: HashMap<TrialId, TrialNo>,
    pub(super) shapes: Vec<ShapeWork>,
    /// The shape of each lane.
    pub(super) lanes: Vec<usize>,
    pub(super) stores: Vec<Store>,
    report: PathBuf,
    /// The widths that occur, the widest first.
    pub(super) widths: Vec<Width>,
}

/// A trial and its cost.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) trial: Trial,
    pub(super) lane: usize,
    pub(super) cost: SlotCost,
    pub(super) time: SlotTime,
}

/// What trials that can train together have in common.
#[derive(Debug)]
pub(super) struct ShapeWork {
    task: Arc<Task>,
    model: Arc<ModelSpec>,
    pub(super) store: usize,
    /// Rows of a trial in one pass.
    pub(super) rows: usize,
    pub(super) width: Width,
    kind: Kind,
    pub(super) rates: Rates,
    basis: Basis,
}

/// A token store.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) prepare: Prepare,
    /// Whether it need not be prepared.
    pub(super) is_there: bool,
}

impl Workload {
    /// The work for these trials, each of the width that `widths` says, with a report in `folder` at the end.
    /// `is_there` says which token stores need not be prepared, `experience` what such packs took before.
    #[must_use]
    pub fn of(
        remaining: &Remaining<'_>,
        folder: &Path,
        widths: &dyn Fn(&Trial) -> Width,
        is_there: &dyn Fn(ContentHash) -> bool,
        experience: &Experience,
    ) -> Self {
        let known = Known { widths, is_there, experience };
        let mut grouping = Grouping::default();
        let trials = remaining.trials.iter().enumerate().map(|(number, trial)| {
            let cost = remaining.costs[number];
            grouping.numbers.insert(trial.id, number);
            let shape = grouping.shape(remaining, number, (known.widths)(trial), &known);
            let time = cost.time(grouping.shape_works[shape].rates);
            let lane = grouping.lane(shape, &cost, &time);
            Candidate { trial: trial.clone(), lane, time, cost }
        });
        let trials = trials.collect();
        let Grouping { numbers, shape_works: shapes, lane_shapes: lanes, stores, .. } = grouping;
        let widths: BTreeSet<Width> = shapes.iter().map(|shape| shape.width).collect();
        let widths = widths.into_iter().rev().collect();
        Self { trials, numbers, shapes, lanes, stores, report: folder.to_path_buf(), widths }
    }

    /// The index of a trial; `None` where it is not to be done.
    pub(super) fn number(&self, trial: TrialId) -> Option<TrialNo> {
        self.numbers.get(&trial).copied()
    }

    pub(super) fn id(&self, trial: TrialNo) -> TrialId {
        self.trials[trial].trial.id
    }

    pub(super) fn shape_of(&self, trial: TrialNo) -> usize {
        self.lanes[self.trials[trial].lane]
    }

    pub(super) fn width_of(&self, trial: TrialNo) -> Width {
        self.shapes[self.shape_of(trial)].width
    }

    /// Predicted cost of these trials in one pack, at least one.
    pub(super) fn pack_estimate(&self, trials: &[TrialNo]) -> Estimate {
        let rates = self.shapes[self.shape_of(trials[0])].rates;
        trials.iter().map(|trial| &self.trials[*trial].cost).collect::<PackCost>().estimate(rates)
    }

    /// What kind of pack these trials are together, at least one, and what that costs; `None` where one is not to
    /// be done.
    #[must_use]
    pub fn pack(&self, trials: &[TrialId]) -> Option<(&Kind, PackCost)> {
        let numbers: Vec<TrialNo> = trials.iter().map(|trial| self.number(*trial)).collect::<Option<_>>()?;
        let cost = numbers.iter().map(|trial| &self.trials[*trial].cost).collect();
        Some((&self.shapes[self.shape_of(*numbers.first()?)].kind, cost))
    }

    /// The least memory that suffices for every trial, in MiB, by the assumed rates.
    #[must_use]
    pub fn least_mib(&self) -> f64 {
        let mib = |one: &Candidate| {
            let width = self.shapes[self.lanes[one.lane]].width;
            one.cost.footprint.mib(Rates::assumed(width))
        };
        self.trials.iter().map(mib).fold(0.0, f64::max)
    }

    /// What its predictions rest on, at least; `None` without trials.
    #[must_use]
    pub fn basis(&self) -> Option<Basis> {
        self.shapes.iter().map(|shape| shape.basis).min()
    }

    /// A job that trains these trials, at least one.
    pub(super) fn train(&self, trials: &[TrialNo]) -> (JobKey, Work) {
        let ShapeWork { task, model, store, .. } = &self.shapes[self.shape_of(trials[0])];
        let pack = Pack {
            task: Arc::clone(task),
            model: Arc::clone(model),
            store: self.stores[*store].prepare.store,
            slots: trials.iter().map(|trial| self.trials[*trial].trial.clone()).collect(),
        };
        (JobKey::Train(self.id(trials[0])), Work::Train(Box::new(pack)))
    }

    /// The jobs that make the stores on so many cores, in their order, and the report, with their predicted
    /// costs.
    pub(super) fn beside(&self, cores: usize) -> Vec<(JobKey, Work, Estimate)> {
        let prepares = self.stores.iter().map(|store| {
            let estimate = cost::estimate_prepare(&store.prepare, cores);
            (JobKey::Prepare(store.prepare.store), Work::Prepare(Box::new(store.prepare.clone())), estimate)
        });
        let report = (JobKey::Report, Work::Report { folder: self.report.clone() }, cost::REPORT);
        prepares.chain([report]).collect()
    }
}

/// What is known of trials besides the trials themselves.
struct Known<'a> {
    widths: &'a dyn Fn(&Trial) -> Width,
    is_there: &'a dyn Fn(ContentHash) -> bool,
    experience: &'a Experience,
}

/// Shapes, lanes and stores, as they are found.
#[derive(Default)]
struct Grouping<'a> {
    numbers: HashMap<TrialId, TrialNo>,
    shapes: HashMap<(usize, Width), usize>,
    shape_works: Vec<ShapeWork>,
    lanes: HashMap<(usize, Option<(u64, usize)>), usize>,
    lane_shapes: Vec<usize>,
    stores: Vec<Store>,
    models: HashMap<&'a str, Arc<ModelSpec>>,
}

impl<'a> Grouping<'a> {
    fn shape(&mut self, remaining: &Remaining<'a>, trial: TrialNo, width: Width, known: &Known<'_>) -> usize {
        let next = self.shapes.len();
        let shape = *self.shapes.entry((remaining.shapes[trial], width)).or_insert(next);
        if shape < next {
            return shape;
        }
        let (sweep, configuration) = (remaining.sweep, &remaining.trials[trial].configuration);
        let (task, model) = (sweep.task(configuration), sweep.model(configuration));
        let key = store_key(task, model.tokenizer_content);
        let there = self.stores.iter().position(|store| store.prepare.store == key);
        let store = there.unwrap_or_else(|| {
            let prepare = Prepare { store: key, task: Arc::clone(task), tokenizer: model.tokenizer.clone() };
            self.stores.push(Store { prepare, is_there: (known.is_there)(key) });
            self.stores.len() - 1
        });
        let kind = known.experience.kind(task, model, configuration, width);
        let (rates, basis) = known.experience.rates(&kind);
        let model = self.models.entry(&model.name).or_insert_with(|| Arc::new(model.clone()));
        self.shape_works.push(ShapeWork {
            task: Arc::clone(task),
            model: Arc::clone(model),
            store,
            rows: configuration.training.batch_size,
            width,
            kind,
            rates,
            basis,
        });
        shape
    }

    /// Trials of a shape that see the same batches share a lane. Trials whose trunk takes no longer than the
    /// fixed time of their passes all share one lane, since they save no more with equal batches.
    fn lane(&mut self, shape: usize, cost: &SlotCost, time: &SlotTime) -> usize {
        let batches = (time.trunk > time.passes).then_some(cost.batches);
        let next = self.lane_shapes.len();
        let lane = *self.lanes.entry((shape, batches)).or_insert(next);
        if lane == next {
            self.lane_shapes.push(shape);
        }
        lane
    }
}
