//! Owns the work to be done and its predicted costs: trials, the shapes and lanes they belong to, the stores
//! they need, and the report. Never changes during a run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;
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
#[derive(Clone, Debug)]
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
    /// The kinds of GPU. Without any, all GPUs are of one kind.
    gpus: Vec<Gpus>,
}

/// GPUs of one kind.
#[derive(Clone, Debug)]
struct Gpus {
    name: String,
    /// How many kinds would do all of the work on GPUs in less time.
    faster: usize,
}

/// A kind of GPU, by its index in a workload; 0 on cores.
pub(super) type GpuKind = usize;

/// A trial and its cost.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) trial: Trial,
    pub(super) lane: usize,
    /// The cost of all its steps.
    whole: SlotCost,
    /// The cost of those that it does next.
    pub(super) cost: SlotCost,
    /// On cores, or on the first kind of GPU.
    pub(super) time: SlotTime,
}

/// What trials that can train together have in common.
#[derive(Clone, Debug)]
pub(super) struct ShapeWork {
    task: Arc<Task>,
    model: Arc<ModelSpec>,
    pub(super) store: usize,
    /// Rows of a trial in one pass.
    pub(super) rows: usize,
    pub(super) width: Width,
    /// How its packs train on each kind of GPU; one where it trains on cores.
    on: Vec<OnKind>,
    /// The memory of the trial that needs least, and of the one that needs most.
    mem_mib: RangeInclusive<f64>,
}

/// How packs of a shape train on a kind of GPU.
#[derive(Clone, Debug)]
struct OnKind {
    kind: Kind,
    rates: Rates,
    basis: Basis,
}

impl ShapeWork {
    /// The rates of its packs on a kind of GPU.
    pub(super) fn rates(&self, on: GpuKind) -> Rates {
        self.on[on].rates
    }

    /// Which of its trials need no more than this memory.
    pub(super) fn fit(&self, mem_mib: f64) -> Fit {
        if *self.mem_mib.end() <= mem_mib {
            Fit::All
        } else if *self.mem_mib.start() > mem_mib {
            Fit::None
        } else {
            Fit::Some { mem_mib }
        }
    }

    fn widen(&mut self, cost: &SlotCost) {
        let mib = |on: &OnKind| cost.footprint.mib(on.rates);
        let (least, most) = self.mem_mib.clone().into_inner();
        let of_all = self.on.iter().map(mib);
        self.mem_mib = of_all.clone().fold(least, f64::min)..=of_all.fold(most, f64::max);
    }
}

/// Which trials of a shape a memory holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fit {
    All,
    /// Those that need no more than this.
    Some {
        mem_mib: f64,
    },
    None,
}

impl Fit {
    /// Whether it holds this trial of the shape, on a kind of GPU.
    pub(super) fn holds(self, work: &Workload, trial: TrialNo, on: GpuKind) -> bool {
        match self {
            Self::All => true,
            Self::Some { mem_mib } => work.mem_mib(trial, on) <= mem_mib,
            Self::None => false,
        }
    }
}

/// A token store.
#[derive(Clone, Debug)]
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
            let time = cost.time(grouping.shape_works[shape].rates(0));
            grouping.shape_works[shape].widen(&cost);
            let lane = grouping.lane(shape, &cost, &time);
            Candidate { trial: trial.clone(), lane, time, whole: cost, cost }
        });
        let trials: Vec<Candidate> = trials.collect();
        let Grouping { numbers, shape_works: shapes, lane_shapes: lanes, stores, .. } = grouping;
        let widths: BTreeSet<Width> = shapes.iter().map(|shape| shape.width).collect();
        let widths = widths.into_iter().rev().collect();
        let names: Vec<&str> = experience.gpus().collect();
        let seconds = seconds_by_kind(&trials, &lanes, &shapes, names.len());
        let faster = |than: &f64| seconds.iter().filter(|seconds| *seconds < than).count();
        let kinds = names.iter().zip(&seconds);
        let gpus = kinds.map(|(name, seconds)| Gpus { name: (*name).to_owned(), faster: faster(seconds) });
        let gpus = gpus.collect();
        Self { trials, numbers, shapes, lanes, stores, report: folder.to_path_buf(), widths, gpus }
    }

    /// The kind of the GPUs with this name, and how many kinds are faster.
    pub(super) fn gpu_kind(&self, name: &str) -> (GpuKind, usize) {
        let kind = self.gpus.iter().position(|known| known.name == name).unwrap_or(0);
        (kind, self.gpus.get(kind).map_or(0, |gpu| gpu.faster))
    }

    /// The index of a trial; `None` where it is not to be done.
    pub(super) fn number(&self, trial: TrialId) -> Option<TrialNo> {
        self.numbers.get(&trial).copied()
    }

    /// From here on, a trial costs this share of all its steps: what it does until its next pause.
    pub(super) fn set_part(&mut self, trial: TrialNo, share: f64) {
        let rates = self.shapes[self.shape_of(trial)].rates(0);
        let candidate = &mut self.trials[trial];
        candidate.cost = candidate.whole.part(share);
        candidate.time = candidate.cost.time(rates);
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

    /// Predicted cost of these trials, at least one, in one pack on a kind of GPU.
    pub(super) fn pack_estimate(&self, trials: &[TrialNo], on: GpuKind) -> Estimate {
        let rates = self.shapes[self.shape_of(trials[0])].rates(on);
        trials.iter().map(|trial| &self.trials[*trial].cost).collect::<PackCost>().estimate(rates)
    }

    /// A trial's time on a kind of GPU.
    pub(super) fn time(&self, trial: TrialNo, on: GpuKind) -> SlotTime {
        let candidate = &self.trials[trial];
        if on == 0 {
            candidate.time
        } else {
            candidate.cost.time(self.shapes[self.shape_of(trial)].rates(on))
        }
    }

    /// The memory that a trial needs alone on a kind of GPU, in MiB.
    pub(super) fn mem_mib(&self, trial: TrialNo, on: GpuKind) -> f64 {
        self.trials[trial].cost.footprint.mib(self.shapes[self.shape_of(trial)].rates(on))
    }

    /// What kind of pack these trials are together, at least one, on a GPU of this name or on cores, and what that
    /// costs; `None` where one is not to be done.
    #[must_use]
    pub fn pack(&self, trials: &[TrialId], gpu: Option<&str>) -> Option<(&Kind, PackCost)> {
        let numbers: Vec<TrialNo> = trials.iter().map(|trial| self.number(*trial)).collect::<Option<_>>()?;
        let cost = numbers.iter().map(|trial| &self.trials[*trial].cost).collect();
        let on = gpu.map_or(0, |name| self.gpu_kind(name).0);
        Some((&self.shapes[self.shape_of(*numbers.first()?)].on[on].kind, cost))
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
        self.shapes.iter().flat_map(|shape| &shape.on).map(|on| on.basis).min()
    }

    /// A job that trains these trials, at least one.
    pub(super) fn train(&self, trials: &[TrialNo]) -> (JobKey, Work) {
        let ShapeWork { task, model, store, .. } = &self.shapes[self.shape_of(trials[0])];
        let pack = Pack {
            task: Arc::clone(task),
            model: Arc::clone(model),
            store: self.stores[*store].prepare.store,
            slots: trials.iter().map(|trial| self.trials[*trial].trial.clone()).collect(),
            until: BTreeMap::new(),
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

/// Seconds of all work on GPUs, by the kind of GPU.
fn seconds_by_kind(trials: &[Candidate], lanes: &[usize], shapes: &[ShapeWork], kinds: usize) -> Vec<f64> {
    if kinds < 2 {
        return vec![0.0; kinds];
    }
    let on_gpus = trials.iter().map(|one| (&one.cost, &shapes[lanes[one.lane]]));
    let on_gpus = on_gpus.filter(|(_, shape)| shape.width == Width::Gpu);
    let seconds = |kind: GpuKind| -> f64 {
        let times = on_gpus.clone().map(|(cost, shape)| cost.time(shape.rates(kind)));
        times.map(|time| (time.alone() + time.passes).as_secs_f64()).sum()
    };
    (0..kinds).map(seconds).collect()
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
        let on = known.experience.kinds(task, model, configuration, width).into_iter().map(|kind| {
            let (rates, basis) = known.experience.rates(&kind);
            OnKind { kind, rates, basis }
        });
        let model = self.models.entry(&model.name).or_insert_with(|| Arc::new(model.clone()));
        self.shape_works.push(ShapeWork {
            task: Arc::clone(task),
            model: Arc::clone(model),
            store,
            rows: configuration.training.batch_size,
            width,
            on: on.collect(),
            mem_mib: f64::INFINITY..=0.0,
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
