//! Laws and cases of the scheduler. `world` has children that do in turn what random numbers say, and what
//! must hold meanwhile.

mod cases;
mod compared;
mod devices;
mod explained;
mod joins;
mod laws;
mod packs;
mod scarcity;
mod scenario;
mod unlike;
mod widths;
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::cost::{Experience, Processors};
use crate::sched::{Action, Launch, Limits, Policy, Remaining, Scheduler, Workload};
use crate::sweep::SweepSpec;
use crate::values::{CommandLine, Device, JobKey, Placement, Resources, Trial, TrialId, What, Width};

/// So many places of two cores each.
fn cpus(n: usize) -> Resources {
    equal(n, 2)
}

/// So many places of so many cores each.
fn equal(places: usize, cores: usize) -> Resources {
    Resources { cores: (0..places * cores).collect(), at_once: Some(places), ..Resources::default() }
}

fn gpus(n: usize) -> Resources {
    let gpu = |index| Placement { device: Device::Cuda { index }, cores: vec![index] };
    Resources { gpus: (0..n).map(gpu).collect(), ..Resources::default() }
}

/// How many packs of equal width train at the same time.
fn places(resources: &Resources) -> usize {
    match resources.equal_width() {
        Width::Cores(cores) => (resources.cores.len() / cores).min(resources.at_once.unwrap_or(usize::MAX)),
        Width::Gpu => resources.gpus.len(),
    }
}

/// All trials of a sweep, whose stores are there or have to be prepared, all of one width.
fn workload(sweep: &SweepSpec, resources: &Resources, prepared: bool) -> Arc<Workload> {
    work(sweep, &sweep.trials(), resources, prepared)
}

fn work(sweep: &SweepSpec, todo: &[Trial], resources: &Resources, prepared: bool) -> Arc<Workload> {
    of_widths(sweep, todo, &[resources.equal_width()], prepared)
}

/// Trials of these widths in turn.
fn of_widths(sweep: &SweepSpec, todo: &[Trial], widths: &[Width], prepared: bool) -> Arc<Workload> {
    on(sweep, todo, widths, prepared, &Resources::default())
}

/// The same, where these GPUs are known.
fn on(
    sweep: &SweepSpec,
    todo: &[Trial],
    widths: &[Width],
    prepared: bool,
    resources: &Resources,
) -> Arc<Workload> {
    let trials = todo.iter().map(|trial| trial.id);
    let widths: BTreeMap<TrialId, Width> = trials.zip(widths.iter().copied().cycle()).collect();
    let width = |trial: &Trial| widths[&trial.id];
    let remaining = Remaining::of(sweep, todo);
    let known = Experience::new(Processors::new("", resources), None);
    Arc::new(Workload::of(&remaining, Path::new("reports"), &width, &|_| prepared, &known))
}

/// A scheduler of a sweep whose data is prepared, at the start of its run.
fn started(
    sweep: &SweepSpec,
    resources: Resources,
    limits: Limits,
    policy: Policy,
) -> (Scheduler, Vec<Action>) {
    begin(workload(sweep, &resources, true), resources, limits, policy)
}

/// The same for the trials of the first fold.
fn started_fold(
    sweep: &SweepSpec,
    resources: Resources,
    limits: Limits,
    policy: Policy,
) -> (Scheduler, Vec<Action>) {
    let todo: Vec<Trial> = sweep.trials().into_iter().filter(|trial| trial.fold == 0).collect();
    begin(work(sweep, &todo, &resources, true), resources, limits, policy)
}

fn begin(
    work: Arc<Workload>,
    resources: Resources,
    limits: Limits,
    policy: Policy,
) -> (Scheduler, Vec<Action>) {
    let mut scheduler = Scheduler::new(work, resources, limits, policy);
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
        resources: Resources::default(),
        settings: None,
    }
}

fn finished(trial: TrialId) -> What {
    What::TrialFinished { trial, result: None }
}

/// The jobs that were started.
fn launches(actions: &[Action]) -> impl Iterator<Item = &Launch> {
    actions.iter().filter_map(|action| match action {
        Action::Launch(launch) => Some(launch),
        Action::Join { .. }
        | Action::Pause { .. }
        | Action::Announce(_)
        | Action::Stop { .. }
        | Action::CutShort { .. }
        | Action::Retire { .. }
        | Action::GiveUp { .. }
        | Action::WakeAt { .. }
        | Action::End => None,
    })
}

/// The keys of the jobs that were started, and the trials of each.
fn launched(actions: &[Action]) -> Vec<(JobKey, Vec<TrialId>)> {
    let launch = |launch: &Launch| (launch.job, launch.work.trials().iter().map(|trial| trial.id).collect());
    launches(actions).map(launch).collect()
}
