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
        let flops = trial_flops(sweep.task(configuration), sweep.model(configuration), trial);
        let estimated_s = flops / CPU_FLOPS_PER_CORE;
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::plan::{example, graph};

    fn places(n: usize) -> Vec<Placement> {
        (0..n).map(|slot| Placement { device: Device::Cpu { slot }, cores: vec![slot] }).collect()
    }

    fn graph() -> JobGraph {
        let sweep = example::sweep();
        graph::build(&sweep, &sweep.trials(), Path::new("r"), graph::Present::NOTHING)
    }

    fn train_jobs(graph: &JobGraph) -> Vec<&Job> {
        graph.iter().map(|(_, job)| job).filter(|job| matches!(job.work, Work::Train(_))).collect()
    }

    #[test]
    fn what_a_trial_took_is_expected_of_its_like() {
        let (sweep, graph) = (example::sweep(), graph());
        let trial = &sweep.trials()[0];
        let mut calibration = Calibration::assumed(&places(1));
        let before = calibration.duration(train_jobs(&graph)[0]);
        let cost = Cost { wall_s: 40.0, ..Cost::default() };
        calibration.observe(&sweep, trial, &cost);
        let [same, full] = [0, 6].map(|n| calibration.duration(train_jobs(&graph)[n]));
        assert!((same.as_secs_f64() - TRAIN_START.as_secs_f64() - 40.0).abs() < 1e-6, "{same:?}");
        assert!(before < same && same < full, "the whole model is as much slower than thought");
    }

    #[test]
    fn more_cores_are_faster() {
        let graph = graph();
        let cores = |n: usize| Placement { device: Device::Cpu { slot: 0 }, cores: (0..n).collect() };
        let [one, four] = [1, 4].map(|n| {
            let calibration = Calibration::assumed(&[cores(n)]);
            (calibration.duration(train_jobs(&graph)[0]) - TRAIN_START).as_secs_f64()
        });
        assert!((one / four - 4.0).abs() < 1e-6);
    }

    #[test]
    fn the_prediction_lies_between_grahams_bounds() {
        let graph = graph();
        for n_places in 1..20 {
            let calibration = Calibration::assumed(&places(n_places));
            let predicted = calibration.predict_remaining(&graph, &|_| Standing::Waiting);
            let (mut training, mut beside, mut longest) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
            for (_, job) in graph.iter() {
                let duration = calibration.duration(job);
                let is_train = matches!(job.work, Work::Train(_));
                *if is_train { &mut training } else { &mut beside } += duration;
                longest = longest.max(duration);
            }
            let bound = training.div_f64(count(n_places));
            assert!(predicted >= bound.max(longest), "{n_places} places");
            assert!(predicted <= bound + longest + beside, "{n_places} places");
        }
    }

    #[test]
    fn time_passes_while_a_job_runs_and_what_is_over_takes_none() {
        let graph = graph();
        let calibration = Calibration::assumed(&places(2));
        let remaining = |elapsed: Duration| {
            calibration.predict_remaining(&graph, &|job| match job.0 {
                0..5 => Standing::Over,
                5 | 6 => Standing::Running(elapsed),
                _ => Standing::Waiting,
            })
        };
        let seconds = Duration::from_secs(2);
        assert_eq!(remaining(Duration::ZERO) - remaining(seconds), seconds);
        assert!(remaining(Duration::from_secs(3_600)) > Duration::ZERO, "an overdue job holds nobody up");
        assert_eq!(calibration.predict_remaining(&graph, &|_| Standing::Over), Duration::ZERO);
    }
}
