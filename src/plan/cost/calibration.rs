//! Owns how long jobs take on the devices at hand: guesses at first, then what finished trials took.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use crate::job::{Device, Pack, Placement, Work};
use crate::outcome::Cost;
use crate::plan::cost::{CPU_FLOPS_PER_CORE, GPU_FLOPS, TRAIN_START, count, trial_flops};
use crate::plan::{Job, JobGraph, JobId};
use crate::spec::SweepSpec;
use crate::trial::Trial;

/// What is known of how fast the places are, by model and method.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    places: usize,
    /// Seconds on a place per second on one CPU core, before anything is measured.
    assumed: f64,
    /// Cores that a job without a device has to itself before the training starts.
    host_cores: f64,
    learned: BTreeMap<(String, &'static str), Learned>,
    overall: Learned,
}

/// Seconds that finished trials took, and seconds they were thought to take on one CPU core.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
struct Learned {
    measured_s: f64,
    estimated_s: f64,
}

impl Learned {
    fn ratio(self) -> Option<f64> {
        (self.measured_s > 0.0 && self.estimated_s > 0.0).then(|| self.measured_s / self.estimated_s)
    }

    fn add(&mut self, other: Self) {
        self.measured_s += other.measured_s;
        self.estimated_s += other.estimated_s;
    }
}

/// Where a job stands, as far as the time left depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It takes no more time.
    Over,
    /// It has run for this long.
    Running(Duration),
    /// It will run.
    Waiting,
}

impl Calibration {
    /// Guesses for these places from their kind and their number of cores.
    #[must_use]
    pub fn assumed(places: &[Placement]) -> Self {
        let flops: f64 = places.iter().map(flops_per_s).sum();
        let n_places = places.len().max(1);
        let cores: usize = places.iter().map(|place| place.cores.len()).sum();
        Self {
            places: n_places,
            assumed: CPU_FLOPS_PER_CORE * count(n_places) / flops.max(CPU_FLOPS_PER_CORE),
            host_cores: count(cores.max(1)),
            learned: BTreeMap::new(),
            overall: Learned::default(),
        }
    }

    /// Takes in what a finished trial of the sweep cost.
    pub fn observe(&mut self, sweep: &SweepSpec, trial: &Trial, cost: &Cost) {
        let configuration = &trial.configuration;
        let Some(model) = sweep.models.get(&configuration.model) else { return };
        let estimated_s = trial_flops(&sweep.task, model, trial) / CPU_FLOPS_PER_CORE;
        let seen = Learned { measured_s: cost.wall_s, estimated_s };
        let key = (configuration.model.clone(), configuration.method.name());
        self.learned.entry(key).or_default().add(seen);
        self.overall.add(seen);
    }

    /// How long a job takes on one of the places.
    #[must_use]
    pub fn duration(&self, job: &Job) -> Duration {
        let estimate = job.estimate.duration;
        match &job.work {
            Work::Train(pack) => {
                let work = estimate.saturating_sub(TRAIN_START);
                TRAIN_START + work.mul_f64(self.ratio(pack))
            }
            Work::Prepare(_) => estimate.div_f64(self.host_cores),
            Work::Summarise { .. } | Work::Report { .. } => estimate,
        }
    }

    fn ratio(&self, pack: &Pack) -> f64 {
        let first = pack.slots.first().map(|trial| &trial.configuration);
        first
            .and_then(|c| self.learned.get(&(c.model.clone(), c.method.name())))
            .and_then(|learned| learned.ratio())
            .or_else(|| self.overall.ratio())
            .unwrap_or(self.assumed)
    }

    /// How long until all jobs are over: list scheduling, longest first (Graham 1969), with what
    /// needs no device one after the other beside the training.
    #[must_use]
    pub fn predict_remaining(&self, graph: &JobGraph, standing: &dyn Fn(JobId) -> Standing) -> Duration {
        let mut ends = vec![Duration::ZERO; graph.len()];
        let mut trains = Vec::new();
        let mut free = BinaryHeap::new();
        let mut host = Duration::ZERO;
        // What comes after the training waits until that is placed.
        let mut after = Vec::new();
        for (id, job) in graph.iter() {
            let (running, left) = match standing(id) {
                Standing::Over => continue,
                Standing::Running(elapsed) => (true, self.duration(job).saturating_sub(elapsed)),
                Standing::Waiting => (false, self.duration(job)),
            };
            match &job.work {
                Work::Train(_) if running => {
                    ends[id.0 as usize] = left;
                    free.push(Reverse(left));
                }
                Work::Train(_) => trains.push((Reverse(left), id)),
                Work::Prepare(_) => {
                    host += left;
                    ends[id.0 as usize] = host;
                }
                Work::Summarise { .. } | Work::Report { .. } => after.push((id, left)),
            }
        }
        free.extend((free.len()..self.places).map(|_| Reverse(Duration::ZERO)));
        trains.sort_unstable();
        for (Reverse(left), id) in trains {
            let Reverse(place) = free.pop().unwrap_or_default();
            let end = place.max(needs_end(graph.job(id), &ends)) + left;
            ends[id.0 as usize] = end;
            free.push(Reverse(end));
        }
        for (id, left) in after {
            let start = needs_end(graph.job(id), &ends);
            ends[id.0 as usize] = start + left;
        }
        ends.into_iter().max().unwrap_or_default()
    }
}

fn needs_end(job: &Job, ends: &[Duration]) -> Duration {
    job.needs.iter().map(|need| ends[need.0 as usize]).max().unwrap_or_default()
}

fn flops_per_s(place: &Placement) -> f64 {
    match place.device {
        Device::Cuda { .. } => GPU_FLOPS,
        Device::Cpu { .. } | Device::Host => CPU_FLOPS_PER_CORE * count(place.cores.len().max(1)),
    }
}
