//! Owns the overview of a plan: the grid, the jobs and their predicted cost, as data for `plan --json` and for
//! the terminal. Pure.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cost::{self, Basis, CostTable};
use crate::data::store::store_key;
use crate::families::params::ParamCounts;
use crate::sched::{Simulated, SimulatedJob};
use crate::search::StopRule;
use crate::sweep::SweepSpec;
use crate::sweep::card::Card;
use crate::values::{
    Configuration, ConfigurationId, Device, JobKey, Resources, Settings, Trial, TrialId, Width,
};

/// What a sweep will do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overview {
    /// Name of the sweep.
    pub sweep: String,
    /// The grid's points in file order.
    pub configurations: Vec<ConfigurationRow>,
    /// Every trial of the sweep, including those that are done.
    pub trials: Vec<TrialRow>,
    /// Number of trials already done in an earlier run.
    pub done: usize,
    /// Number of trials that failed in an earlier run, and are not tried again unless the user asks for it.
    pub failed: usize,
    /// Number of trials that were stopped early in an earlier run.
    pub stopped: usize,
    /// What is stopped early; null where nothing is.
    pub stopping: Option<Stopping>,
    /// What is proposed while the sweep runs; null where all points are known.
    pub to_propose: Option<ToPropose>,
    /// The jobs of this run as they start: preparation, packs and the report. A trial is in one pack, or in one for
    /// each part of its training that ends at a rung.
    pub jobs: Vec<JobRow>,
    /// Where they can run.
    pub resources: Resources,
    /// Predicted cost of the run.
    pub predicted: Predicted,
    /// What the predicted times of trials rest on; null where none is to be trained, or that is not known.
    pub basis: Option<Basis>,
    /// The data card of each task.
    pub data: Vec<Card>,
    /// Warnings about the sweep file and the data.
    pub warnings: Vec<String>,
}

/// What is to be stopped early. Which configurations that will be is not known: it is assumed that as many go on as the
/// rule says, that these are the first of the sweep, and that no rung is put off.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stopping {
    /// The rule.
    pub rule: StopRule,
    /// The shares of the steps at which its rungs are.
    pub rungs: Vec<f64>,
    /// Number of brackets, in each of which configurations are compared with one another.
    pub brackets: usize,
    /// Configurations that are compared.
    pub configurations: usize,
    /// Trials of this run that do not start, if all comes as assumed.
    pub not_started: usize,
}

/// Points that are proposed after others are over, so that nothing is known of them but how many they are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToPropose {
    /// How many, at most.
    pub points: usize,
    /// How many of all blocks at once.
    pub at_once: usize,
    /// Seconds that they take beyond what is predicted, if each generation takes as long as the one at hand, and the
    /// budget leaves so much.
    pub assumed_s: f64,
    /// Seconds that all runs of the sweep may take; null where there is no budget.
    pub budget_s: Option<f64>,
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
    /// The job that must be done before it starts, if its data is not prepared yet. The report needs every
    /// trial to have ended.
    pub needs: Option<JobKey>,
    /// Parameters that train.
    pub trainable_params: u64,
    /// All parameters, each tensor counted once.
    pub total_params: u64,
}

/// One job, as a simulated run starts it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRow {
    /// Its name.
    pub key: JobKey,
    /// What it does.
    pub kind: JobKind,
    /// The pack: trials that it trains together; empty for other work.
    pub trials: Vec<TrialId>,
    /// Where it runs.
    pub device: Device,
    /// What its trials train on; null for other work.
    pub width: Option<Width>,
    /// Predicted start, in seconds from the beginning of the run.
    pub start_s: f64,
    /// Predicted duration in seconds.
    pub duration_s: f64,
    /// Predicted largest memory, in MiB.
    pub mem_mib: f64,
    /// Predicted disk space that it takes afterwards, in MiB.
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

/// Predicted cost of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predicted {
    /// Seconds from start to report.
    pub duration_s: f64,
    /// A lower bound, in seconds, for any schedule of these jobs.
    pub lower_bound_s: f64,
    /// What gives that bound.
    pub bound_by: Bound,
    /// Largest memory of packs that train at the same time, in MiB.
    pub mem_mib: f64,
    /// Disk space that the run takes afterwards, in MiB.
    pub disk_mib: f64,
}

/// What keeps a run from being shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// All training, distributed evenly over the cores or GPUs.
    Places,
    /// The longest pack.
    LongestPack,
    /// Preparing and reporting, one after the other, alongside training.
    Beside,
}

/// What a sweep will do with these resources, if its jobs run as simulated and no earlier run has done any.
#[must_use]
pub fn overview(sweep: &SweepSpec, run: &Simulated, resources: &Resources) -> Overview {
    let mut costs = CostTable::new(sweep);
    let counts: Vec<_> = sweep.configurations.iter().map(|c| costs.params(c)).collect();
    let folds = sweep.splitting.splits();
    let configurations = sweep.configurations.iter().zip(&counts);
    let jobs: Vec<_> = run.jobs.iter().map(job_row).collect();
    let mut needs = Needs { sweep, jobs: &jobs, known: HashMap::new() };
    Overview {
        sweep: sweep.name.clone(),
        configurations: configurations.clone().map(|(c, n)| configuration_row(c, n, folds)).collect(),
        trials: configurations
            .flat_map(|(c, n)| {
                let needs = needs.of(c);
                let trial = move |fold| Trial::new(c, sweep.splitting, fold);
                (0..folds).map(move |fold| trial_row(&trial(fold), n, needs))
            })
            .collect(),
        done: 0,
        failed: 0,
        stopped: 0,
        stopping: None,
        to_propose: None,
        basis: None,
        predicted: predict(&jobs, run.makespan, resources),
        jobs,
        resources: resources.clone(),
        data: sweep.cards.clone(),
        warnings: sweep.all_warnings().collect(),
    }
}

/// The jobs that trials need, by the names of their task and model.
struct Needs<'a> {
    sweep: &'a SweepSpec,
    jobs: &'a [JobRow],
    known: HashMap<(&'a str, &'a str), Option<JobKey>>,
}

impl<'a> Needs<'a> {
    /// The job that a configuration's trials need, where the run has it.
    fn of(&mut self, configuration: &'a Configuration) -> Option<JobKey> {
        let names = (configuration.task.as_str(), configuration.model.as_str());
        *self.known.entry(names).or_insert_with(|| {
            let (task, model) = (self.sweep.task(configuration), self.sweep.model(configuration));
            let key = JobKey::Prepare(store_key(task, model.tokenizer_content));
            self.jobs.iter().any(|job| job.key == key).then_some(key)
        })
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

fn trial_row(trial: &Trial, counts: &ParamCounts, needs: Option<JobKey>) -> TrialRow {
    TrialRow {
        id: trial.id,
        settings: Settings(Arc::clone(&trial.configuration)),
        fold: trial.fold,
        needs,
        trainable_params: counts.trainable,
        total_params: counts.total,
    }
}

fn job_row(job: &SimulatedJob) -> JobRow {
    JobRow {
        key: job.key,
        kind: match job.key {
            JobKey::Prepare(_) => JobKind::Prepare,
            JobKey::Train(_) => JobKind::Train,
            JobKey::Report => JobKind::Report,
        },
        trials: job.trials.clone(),
        device: job.placement.device,
        width: (!job.trials.is_empty()).then(|| job.placement.width()),
        start_s: job.start.as_secs_f64(),
        duration_s: (job.end - job.start).as_secs_f64(),
        mem_mib: job.estimate.mem_mib,
        disk_mib: job.estimate.disk_mib,
    }
}

fn predict(jobs: &[JobRow], duration: Duration, resources: &Resources) -> Predicted {
    let training = || jobs.iter().filter(|job| job.kind == JobKind::Train);
    let seconds: f64 = training().map(|job| job.duration_s).sum();
    let all: f64 = jobs.iter().map(|job| job.duration_s).sum();
    let bounds = [
        (Bound::Places, training().map(|job| job.duration_s * share(job, resources)).sum()),
        (Bound::LongestPack, training().map(|job| job.duration_s).fold(0.0, f64::max)),
        (Bound::Beside, all - seconds),
    ];
    let (bound_by, lower_bound_s) =
        bounds.into_iter().rev().max_by(|a, b| a.1.total_cmp(&b.1)).expect("there are three");
    Predicted {
        duration_s: duration.as_secs_f64(),
        lower_bound_s,
        bound_by,
        mem_mib: most_at_once_mib(training()),
        disk_mib: jobs.iter().map(|job| job.disk_mib).sum(),
    }
}

/// The share of all cores, or of what all GPUs do in the same time, that a pack trains on.
fn share(job: &JobRow, resources: &Resources) -> f64 {
    let of = |used: usize, all: usize| cost::count(used) / cost::count(all.max(1));
    match job.width {
        Some(Width::Cores(cores)) => {
            of(cores, resources.cores.len()).max(resources.at_once.map_or(0.0, |packs| of(1, packs)))
        }
        Some(Width::Gpu) => {
            let speed = |device| Some(resources.known(device)?.speed?.fp32_gflops);
            let all: Option<Vec<u64>> = resources.gpus.iter().map(|gpu| speed(gpu.device)).collect();
            match (speed(job.device), all) {
                (Some(here), Some(all)) => here as f64 / all.iter().sum::<u64>().max(1) as f64,
                (_, None) | (None, _) => of(1, resources.gpus.len()),
            }
        }
        None => 0.0,
    }
}

/// The largest memory that jobs need at any time; when one ends as another starts, only one of them counts.
fn most_at_once_mib<'a>(jobs: impl Iterator<Item = &'a JobRow>) -> f64 {
    let ends = |job: &JobRow| [(job.start_s + job.duration_s, -job.mem_mib), (job.start_s, job.mem_mib)];
    let mut changes: Vec<(f64, f64)> = jobs.flat_map(ends).collect();
    changes.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let sums = changes.iter().scan(0.0, |sum, (_, mib)| {
        *sum += mib;
        Some(*sum)
    });
    sums.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::example;

    fn cores(n: usize) -> Resources {
        Resources { cores: (0..n).collect(), ..Resources::default() }
    }

    fn run(sweep: &SweepSpec, resources: &Resources, prepared: bool) -> Simulated {
        example::foreseen(sweep, &sweep.trials(), resources, prepared)
    }

    #[test]
    fn the_lower_bound_says_what_makes_it() {
        let sweep = example::sweep();
        let predicted = |n: usize| {
            let cores = cores(n);
            overview(&sweep, &run(&sweep, &cores, false), &cores).predicted
        };
        let [few, many] = [2, 100].map(predicted);
        assert_eq!([few.bound_by, many.bound_by], [Bound::Places, Bound::LongestPack]);
        assert!(few.lower_bound_s > 5.0 * many.lower_bound_s);
        assert!(few.duration_s >= few.lower_bound_s && many.duration_s >= many.lower_bound_s);
    }

    #[test]
    fn a_trial_needs_its_store_and_is_in_one_pack() {
        let sweep = example::sweep();
        let overview = overview(&sweep, &run(&sweep, &cores(1), false), &cores(1));
        for trial in &overview.trials {
            let prepare = overview.jobs.iter().find(|job| Some(job.key) == trial.needs).unwrap();
            let packs = overview.jobs.iter().filter(|job| job.trials.contains(&trial.id));
            let [pack] = packs.collect::<Vec<_>>()[..] else { panic!("{} is in several packs", trial.id) };
            assert!(pack.start_s >= prepare.start_s + prepare.duration_s);
        }
        let there = super::overview(&sweep, &run(&sweep, &cores(1), true), &cores(1));
        assert!(there.trials.iter().all(|trial| trial.needs.is_none()));
    }
}
