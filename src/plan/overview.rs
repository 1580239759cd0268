//! Owns what a sweep will do before it does it: the grid, the jobs and their predicted cost, as data
//! for `plan --json` and for the terminal. Pure.

use std::sync::Arc;
use std::time::Duration;

pub use crate::plan::table::table;

use serde::{Deserialize, Serialize};

use crate::cost::{self, Calibration, Prices, Standing};
use crate::families::params::ParamCounts;
use crate::job::Work;
use crate::plan::{Job, JobGraph};
use crate::sweep::SweepSpec;
use crate::sweep::card::Card;
use crate::values::{Configuration, ConfigurationId, JobKey, Placement, Settings, Trial, TrialId};

/// What a sweep will do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overview {
    /// Name of the sweep.
    pub sweep: String,
    /// The grid's points in file order.
    pub configurations: Vec<ConfigurationRow>,
    /// Every trial of the sweep, also those that are done.
    pub trials: Vec<TrialRow>,
    /// The jobs of this run, each behind those it needs.
    pub jobs: Vec<JobRow>,
    /// Where they run.
    pub places: Vec<Placement>,
    /// What the run is thought to cost.
    pub predicted: Predicted,
    /// What is in each task's data.
    pub data: Vec<Card>,
    /// What is allowed but worth saying, of the sweep file and of the data.
    pub warnings: Vec<String>,
}

/// One configuration; settings that do not apply are null.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfigurationRow {
    /// Its id.
    pub id: ConfigurationId,
    /// Its settings, each under its axis's name.
    #[serde(flatten)]
    pub settings: Settings<Arc<Configuration>>,
    /// Parameters of the adapters alone.
    pub adapter_params: u64,
    /// Parameters that train.
    pub trainable_params: u64,
    /// Share of parameters that train, in percent.
    pub trainable_percent: f64,
    /// All parameters, each tensor counted once.
    pub total_params: u64,
    /// Number of its trials.
    pub folds: usize,
}

/// One trial; settings that do not apply are null.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrialRow {
    /// Its id.
    pub id: TrialId,
    /// The settings of its configuration, each under its axis's name.
    #[serde(flatten)]
    pub settings: Settings<Arc<Configuration>>,
    /// The fold that it is validated on, from 0.
    pub fold: usize,
    /// Parameters that train.
    pub trainable_params: u64,
    /// All parameters, each tensor counted once.
    pub total_params: u64,
}

/// One job of the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRow {
    /// Its name.
    pub key: JobKey,
    /// What it does.
    pub kind: JobKind,
    /// Jobs that must be over before it starts.
    pub needs: Vec<JobKey>,
    /// The pack: trials that it trains together; empty for other work.
    pub trials: Vec<TrialId>,
    /// Predicted seconds on one of the places.
    pub duration_s: f64,
    /// Predicted largest memory, in MiB.
    pub mem_mib: f64,
    /// Predicted disk that it leaves, in MiB.
    pub disk_mib: f64,
}

/// What a job does, in the order in which the kinds run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Tokenises data.
    Prepare,
    /// Trains a pack.
    Train,
    /// Writes the report.
    Report,
}

/// What a run is thought to cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predicted {
    /// Seconds from start to report.
    pub duration_s: f64,
    /// No schedule of these jobs is shorter.
    pub lower_bound_s: f64,
    /// Why not.
    pub bound_by: Bound,
    /// Memory when the largest packs train at the same time, in MiB.
    pub mem_mib: f64,
    /// Disk that the run leaves, in MiB.
    pub disk_mib: f64,
}

/// What keeps a run from being shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// All training seconds, shared out evenly over the places.
    Places,
    /// The longest pack, which trains in one place.
    LongestPack,
    /// Preparing and reporting, one after the other beside the training.
    Beside,
}

/// What the jobs of a sweep will do on these places.
#[must_use]
pub fn overview(sweep: &SweepSpec, graph: &JobGraph, places: &[Placement]) -> Overview {
    let mut prices = Prices::new(sweep);
    let counts: Vec<_> = sweep.configurations.iter().map(|c| prices.params(c)).collect();
    let folds = sweep.splitting.splits();
    let configurations = sweep.configurations.iter().zip(&counts);
    let calibration = Calibration::assumed(places);
    let jobs: Vec<_> = graph.iter().map(|(_, job)| job_row(graph, job, &calibration)).collect();
    let duration = calibration.predict_remaining(graph, &|_| Standing::Waiting);
    Overview {
        sweep: sweep.name.clone(),
        configurations: configurations.clone().map(|(c, n)| configuration_row(c, n, folds)).collect(),
        trials: configurations
            .flat_map(|(c, n)| (0..folds).map(move |f| trial_row(&Trial::new(c, sweep.splitting, f), n)))
            .collect(),
        predicted: predict(&jobs, duration, places.len().max(1)),
        jobs,
        places: places.to_vec(),
        data: sweep.cards.clone(),
        warnings: sweep.all_warnings().collect(),
    }
}

fn configuration_row(one: &Arc<Configuration>, counts: &ParamCounts, folds: usize) -> ConfigurationRow {
    ConfigurationRow {
        id: one.id,
        settings: Settings(Arc::clone(one)),
        adapter_params: counts.adapter,
        trainable_params: counts.trainable,
        trainable_percent: counts.trainable_percent(),
        total_params: counts.total,
        folds,
    }
}

fn trial_row(trial: &Trial, counts: &ParamCounts) -> TrialRow {
    TrialRow {
        id: trial.id,
        settings: Settings(Arc::clone(&trial.configuration)),
        fold: trial.fold,
        trainable_params: counts.trainable,
        total_params: counts.total,
    }
}

fn job_row(graph: &JobGraph, job: &Job, calibration: &Calibration) -> JobRow {
    JobRow {
        key: job.key,
        kind: match job.work {
            Work::Prepare(_) => JobKind::Prepare,
            Work::Train(_) => JobKind::Train,
            Work::Report { .. } => JobKind::Report,
        },
        needs: job.needs.iter().map(|need| graph.job(*need).key).collect(),
        trials: job.trials(),
        duration_s: calibration.duration(job).as_secs_f64(),
        mem_mib: job.estimate.mem_mib,
        disk_mib: job.estimate.disk_mib,
    }
}

fn predict(jobs: &[JobRow], duration: Duration, places: usize) -> Predicted {
    let training = || jobs.iter().filter(|job| job.kind == JobKind::Train);
    let seconds: f64 = training().map(|job| job.duration_s).sum();
    let all: f64 = jobs.iter().map(|job| job.duration_s).sum();
    let bounds = [
        (Bound::Places, seconds / cost::count(places)),
        (Bound::LongestPack, training().map(|job| job.duration_s).fold(0.0, f64::max)),
        (Bound::Beside, all - seconds),
    ];
    let (bound_by, lower_bound_s) =
        bounds.into_iter().rev().max_by(|a, b| a.1.total_cmp(&b.1)).expect("there are three");
    let mut mem_mib: Vec<f64> = training().map(|job| job.mem_mib).collect();
    mem_mib.sort_by(|a, b| b.total_cmp(a));
    Predicted {
        duration_s: duration.as_secs_f64(),
        lower_bound_s,
        bound_by,
        mem_mib: mem_mib.iter().take(places).sum(),
        disk_mib: jobs.iter().map(|job| job.disk_mib).sum(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::plan::pack::{Limits, Room};
    use crate::plan::{example, graph};
    use crate::values::Device;

    #[test]
    fn the_lower_bound_says_what_makes_it() {
        let sweep = example::sweep();
        let predicted = |n: usize| {
            let places: Vec<_> =
                (0..n).map(|slot| Placement { device: Device::Cpu { slot }, cores: vec![slot] }).collect();
            let room = Room { places: &places, limits: Limits::default() };
            let present = graph::Present::NOTHING;
            let graph = graph::build(&sweep, &sweep.trials(), Path::new("r"), present, room);
            overview(&sweep, &graph, &places).predicted
        };
        let [few, many] = [2, 100].map(predicted);
        assert_eq!([few.bound_by, many.bound_by], [Bound::Places, Bound::LongestPack]);
        assert!(few.lower_bound_s > 5.0 * many.lower_bound_s);
        assert!(few.duration_s >= few.lower_bound_s && many.duration_s >= many.lower_bound_s);
    }
}
