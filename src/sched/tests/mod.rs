//! Laws and cases of the scheduler. `world` has children that do in turn what random numbers say, and what
//! must hold meanwhile.

mod cases;
mod explained;
mod joins;
mod laws;
mod packs;
mod scarcity;
mod scenario;
mod world;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::sched::{Action, Launch, Limits, Policy, Scheduler, Workload};
use crate::sweep::SweepSpec;
use crate::values::{CommandLine, Device, JobKey, Placement, Trial, TrialId, What};

fn cpus(n: usize) -> Vec<Placement> {
    let place = |slot| Placement { device: Device::Cpu { slot }, cores: vec![2 * slot, 2 * slot + 1] };
    (0..n).map(place).collect()
}

fn gpus(n: usize) -> Vec<Placement> {
    (0..n).map(|index| Placement { device: Device::Cuda { index }, cores: vec![index] }).collect()
}

/// All trials of a sweep, whose stores are there or have to be prepared.
fn workload(sweep: &SweepSpec, places: &[Placement], prepared: bool) -> Arc<Workload> {
    Arc::new(Workload::of(sweep, &sweep.trials(), Path::new("reports"), places, &|_| prepared))
}

/// A scheduler of a sweep whose data is prepared, at the start of its run.
fn started(
    sweep: &SweepSpec,
    places: Vec<Placement>,
    limits: Limits,
    policy: Policy,
) -> (Scheduler, Vec<Action>) {
    begin(workload(sweep, &places, true), places, limits, policy)
}

/// The same for the trials of the first fold.
fn started_fold(
    sweep: &SweepSpec,
    places: Vec<Placement>,
    limits: Limits,
    policy: Policy,
) -> (Scheduler, Vec<Action>) {
    let todo: Vec<Trial> = sweep.trials().into_iter().filter(|trial| trial.fold == 0).collect();
    let work = Workload::of(sweep, &todo, Path::new("reports"), &places, &|_| true);
    begin(Arc::new(work), places, limits, policy)
}

fn begin(
    work: Arc<Workload>,
    places: Vec<Placement>,
    limits: Limits,
    policy: Policy,
) -> (Scheduler, Vec<Action>) {
    let mut scheduler = Scheduler::new(work, places, limits, policy);
    let actions = scheduler.step(at(0), &begun());
    (scheduler, actions)
}

fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(second)
}

fn begun() -> What {
    What::RunStarted {
        pid: 1,
        host: String::new(),
        version: String::new(),
        command_line: CommandLine::default(),
        places: Vec::new(),
        settings: None,
    }
}

fn finished(trial: TrialId) -> What {
    What::TrialFinished { trial, result: None }
}

/// The jobs that were started, and the trials of each.
fn launched(actions: &[Action]) -> Vec<(JobKey, Vec<TrialId>)> {
    let launch = |action: &Action| match action {
        Action::Launch(Launch { job, work, .. }) => {
            Some((*job, work.trials().iter().map(|trial| trial.id).collect()))
        }
        Action::Join { .. }
        | Action::Stop { .. }
        | Action::CutShort { .. }
        | Action::Retire { .. }
        | Action::GiveUp { .. }
        | Action::WakeAt { .. }
        | Action::End => None,
    };
    actions.iter().filter_map(launch).collect()
}
