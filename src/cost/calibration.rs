//! Owns how long jobs take on the devices at hand: guesses at first, then what finished trials took.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use crate::cost::together::charged_s;
use crate::cost::{Prices, Speed, TRAIN_START};
use crate::job::{Pack, Work};
use crate::plan::{Job, JobGraph, JobId};
use crate::sweep::SweepSpec;
use crate::values::{Cost, Placement, Trial};

/// What is known of how fast the places are, by model and method.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    places: usize,
    speed: Speed,
    learned: BTreeMap<(String, &'static str), Learned>,
    overall: Learned,
}

/// Seconds that finished trials took, and seconds they were thought to take.
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
        Self {
            places: places.len().max(1),
            speed: Speed::of(places),
            learned: BTreeMap::new(),
            overall: Learned::default(),
        }
    }

    /// Takes in what a finished trial of the sweep cost: its part of the time of the trials that trained
    /// `together` in its process, itself among them.
    pub fn observe(&mut self, sweep: &SweepSpec, together: &[Trial], trial: &Trial, cost: &Cost) {
        let configuration = &trial.configuration;
        let mut prices = Prices::new(sweep);
        let slots: Vec<_> = together.iter().map(|trial| prices.slot(trial)).collect();
        let estimated_s = charged_s(&slots, &prices.slot(trial), self.speed);
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
            Work::Prepare(_) | Work::Report { .. } => estimate,
        }
    }

    fn ratio(&self, pack: &Pack) -> f64 {
        let first = pack.slots.first().map(|trial| &trial.configuration);
        first
            .and_then(|c| self.learned.get(&(c.model.clone(), c.method.name())))
            .and_then(|learned| learned.ratio())
            .or_else(|| self.overall.ratio())
            .unwrap_or(1.0)
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
                Work::Report { .. } => after.push((id, left)),
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cost::count;
    use crate::plan::pack::{Limits, Room};
    use crate::plan::{example, graph};
    use crate::values::Device;

    fn places(n: usize) -> Vec<Placement> {
        (0..n).map(|slot| Placement { device: Device::Cpu { slot }, cores: vec![slot] }).collect()
    }

    /// Every trial in a job of its own.
    fn graph(places: &[Placement]) -> JobGraph {
        let sweep = example::sweep();
        let room = Room { places, limits: Limits::ALONE };
        graph::build(&sweep, &sweep.trials(), Path::new("r"), graph::Present::NOTHING, room)
    }

    fn train_jobs(graph: &JobGraph) -> Vec<&Job> {
        graph.iter().map(|(_, job)| job).filter(|job| matches!(job.work, Work::Train(_))).collect()
    }

    #[test]
    fn what_a_trial_took_is_expected_of_its_like() {
        let (sweep, graph) = (example::sweep(), graph(&places(1)));
        let trial = &sweep.trials()[0];
        let mut calibration = Calibration::assumed(&places(1));
        let before = calibration.duration(train_jobs(&graph)[0]);
        let cost = Cost { wall_s: 40.0, ..Cost::default() };
        calibration.observe(&sweep, std::slice::from_ref(trial), trial, &cost);
        let [same, full] = [0, 6].map(|n| calibration.duration(train_jobs(&graph)[n]));
        assert!((same.as_secs_f64() - TRAIN_START.as_secs_f64() - 40.0).abs() < 1e-6, "{same:?}");
        assert!(before < same && same < full, "the whole model is as much slower than thought");
    }

    #[test]
    fn what_trials_of_a_pack_took_adds_up_to_what_is_expected_of_the_next() {
        let (sweep, places) = (example::sweep(), places(1));
        let room = Room { places: &places, limits: Limits::default() };
        let graph = graph::build(&sweep, &sweep.trials(), Path::new("r"), graph::Present::NOTHING, room);
        let jobs = train_jobs(&graph);
        let packed = jobs.iter().find(|job| job.trials().len() > 1).expect("trials with a trunk");
        let Work::Train(pack) = &packed.work else { panic!("it trains") };
        let mut calibration = Calibration::assumed(&places);
        // Twice as slow as thought, and shared out evenly, as the training loop charges its slots.
        let thought = packed.estimate.duration.saturating_sub(TRAIN_START);
        let wall_s = 2.0 * thought.as_secs_f64() / count(pack.slots.len());
        for trial in &pack.slots {
            calibration.observe(&sweep, &pack.slots, trial, &Cost { wall_s, ..Cost::default() });
        }
        let expected = (TRAIN_START + 2 * thought).as_secs_f64();
        assert!((calibration.duration(packed).as_secs_f64() - expected).abs() < 1e-6);
    }

    #[test]
    fn the_prediction_lies_between_grahams_bounds() {
        for n_places in 1..20 {
            let graph = graph(&places(n_places));
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
        let graph = graph(&places(2));
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
