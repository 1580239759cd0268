//! Owns the work to be done and its predicted costs: trials, the shapes and lanes they belong to, the stores
//! they need, and the report. Never changes during a run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cost::{self, CostTable, Estimate, PackCost, SlotCost, SlotTime, Speed};
use crate::data::store::store_key;
use crate::families::ModelSpec;
use crate::job::{Pack, Prepare, Work};
use crate::sweep::SweepSpec;
use crate::tasks::Task;
use crate::values::{ConfigurationId, ContentHash, JobKey, PackKey, Placement, Trial, TrialId};

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
    pub(super) speed: Speed,
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
}

/// A token store.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) prepare: Prepare,
    /// Whether it need not be prepared.
    pub(super) is_there: bool,
}

impl Workload {
    /// The work for the trials `todo` of a sweep, on places of these kinds, with a report in `folder` at the
    /// end. `is_there` says which token stores need not be prepared.
    #[must_use]
    pub fn of(
        sweep: &SweepSpec,
        todo: &[Trial],
        folder: &Path,
        places: &[Placement],
        is_there: &dyn Fn(ContentHash) -> bool,
    ) -> Self {
        let speed = Speed::of(places);
        let mut costs = CostTable::new(sweep);
        let mut grouping = Grouping::default();
        let trials = todo.iter().enumerate().map(|(number, trial)| {
            let cost = costs.slot(trial);
            grouping.numbers.insert(trial.id, number);
            let (shape, time) = (grouping.shape(sweep, trial, is_there), cost.time(speed));
            let lane = grouping.lane(shape, &cost, &time);
            Candidate { trial: trial.clone(), lane, time, cost }
        });
        let trials = trials.collect();
        let Grouping { numbers, shape_works: shapes, lane_shapes: lanes, stores, .. } = grouping;
        Self { trials, numbers, shapes, lanes, stores, report: folder.to_path_buf(), speed }
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

    /// Predicted cost of these trials in one pack.
    pub(super) fn pack_estimate(&self, trials: &[TrialNo]) -> Estimate {
        trials.iter().map(|trial| &self.trials[*trial].cost).collect::<PackCost>().estimate(self.speed)
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

    /// The jobs that make the stores, in their order, and the report.
    pub(super) fn beside(&self) -> Vec<(JobKey, Work)> {
        let prepares = self.stores.iter().map(|store| {
            (JobKey::Prepare(store.prepare.store), Work::Prepare(Box::new(store.prepare.clone())))
        });
        let report = (JobKey::Report, Work::Report { folder: self.report.clone() });
        prepares.chain([report]).collect()
    }

    /// Predicted cost of a job alongside training.
    pub(super) fn estimate(&self, work: &Work) -> Estimate {
        cost::estimate(work, self.speed)
    }
}

/// Shapes, lanes and stores, as they are found.
#[derive(Default)]
struct Grouping<'a> {
    numbers: HashMap<TrialId, TrialNo>,
    shapes: HashMap<PackKey, usize>,
    by_configuration: HashMap<ConfigurationId, usize>,
    shape_works: Vec<ShapeWork>,
    lanes: HashMap<(usize, Option<(u64, usize)>), usize>,
    lane_shapes: Vec<usize>,
    stores: Vec<Store>,
    models: HashMap<&'a str, Arc<ModelSpec>>,
}

impl<'a> Grouping<'a> {
    fn shape(
        &mut self,
        sweep: &'a SweepSpec,
        trial: &'a Trial,
        is_there: &dyn Fn(ContentHash) -> bool,
    ) -> usize {
        let configuration = &trial.configuration;
        if let Some(known) = self.by_configuration.get(&configuration.id) {
            return *known;
        }
        let next = self.shapes.len();
        let shape = *self.shapes.entry(PackKey::of(configuration)).or_insert(next);
        self.by_configuration.insert(configuration.id, shape);
        if shape < next {
            return shape;
        }
        let (task, model) = (sweep.task(configuration), sweep.model(configuration));
        let key = store_key(task, model.tokenizer_content);
        let known = self.stores.iter().position(|store| store.prepare.store == key);
        let store = known.unwrap_or_else(|| {
            let prepare = Prepare { store: key, task: Arc::clone(task), tokenizer: model.tokenizer.clone() };
            self.stores.push(Store { prepare, is_there: is_there(key) });
            self.stores.len() - 1
        });
        let model = self.models.entry(&model.name).or_insert_with(|| Arc::new(model.clone()));
        self.shape_works.push(ShapeWork {
            task: Arc::clone(task),
            model: Arc::clone(model),
            store,
            rows: configuration.training.batch_size,
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
