//! Owns a round of a run: everything between the trials that a sweep has so far and the loop that trains those which
//! are left. A sweep whose points are proposed while it runs has a round for each generation; any other has one.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::measuring::Measuring;
use super::stream::Stream;
use super::triage::{self, Left};
use super::{RunError, RunOptions, Widths};
use crate::cost::unmeasured_mib;
use crate::data::store::TokenStore;
use crate::disk::FileError;
use crate::disk::layout::Layout;
use crate::record::ledger::{Ledger, TrialState};
use crate::record::{compared, experience};
use crate::sched::{Machine, Remaining, Scheduler, Simulated, Workload, simulate};
use crate::search::Brackets;
use crate::sweep::{Proposing, SweepSpec};
use crate::values::{Proposed, Resources, Trial, TrialId, What};

/// What all rounds of a run have in common.
pub(super) struct Run<'a> {
    pub(super) layout: &'a Layout,
    pub(super) options: &'a RunOptions,
    /// Nothing is stopped early.
    pub(super) no_stop: bool,
    pub(super) begun: Instant,
    pub(super) clock: Clock,
    /// How long earlier runs of the sweep took.
    pub(super) spent_before: Duration,
}

/// A sweep with what was proposed so far.
pub(super) struct Grown {
    pub(super) spec: SweepSpec,
    pub(super) proposed: Vec<Proposed>,
}

impl Grown {
    /// A sweep for which these generations were proposed.
    pub(super) fn of(spec: &SweepSpec, proposed: Vec<Proposed>) -> Self {
        Self { spec: spec.grown(&proposed), proposed }
    }
}

/// What a round trains.
#[derive(Clone, Copy)]
pub(super) enum Trains<'a> {
    /// Everything that is left of the sweep.
    All,
    /// These alone: a generation, or what a person let go on.
    Only(&'a HashSet<TrialId>),
    /// Nothing: it is the last one, for the report.
    Nothing,
}

impl Trains<'_> {
    fn has(self, trial: TrialId) -> bool {
        match self {
            Self::All => true,
            Self::Only(trials) => trials.contains(&trial),
            Self::Nothing => false,
        }
    }
}

/// A round that has not begun.
pub(super) struct Round {
    trials: Vec<Trial>,
    pub(super) left: Left,
    /// The brackets that it opens.
    opened: Vec<What>,
    widths: Widths,
    work: Arc<Workload>,
    scheduler: Scheduler,
    /// What is foreseen of it.
    pub(super) foreseen: Simulated,
    /// How long those after it may take, if each takes as long; `None` where it is the last one, with the report.
    pub(super) beyond: Option<Duration>,
}

impl Run<'_> {
    /// The round of a sweep that trains these trials: all others are over, or left for the next run.
    pub(super) fn round(
        &self,
        Grown { spec, proposed }: &Grown,
        mut brackets: Brackets,
        trains: Trains<'_>,
        stream: &mut Stream<'_, '_>,
    ) -> Result<Round, RunError> {
        let (layout, options) = (self.layout, self.options);
        let (trials, is_first) = (spec.trials(), matches!(trains, Trains::All));
        let is_new = |trial: &TrialId| trains.has(*trial);
        let (now, before): (Vec<Trial>, Vec<Trial>) =
            trials.iter().cloned().partition(|trial| is_new(&trial.id));
        let retry_failed = options.retry_failed && is_first;
        let mut left = triage::triage(layout, &now, retry_failed, &mut brackets, stream)?;
        left.add_ended(&before, &stream.ledger);
        compared::take_results(&mut brackets, layout, &left.done);
        brackets.read_rows(&|trial, step| compared::rows_at(layout, trial, step));
        let ended: HashSet<TrialId> = left.done.iter().chain(&left.failed).copied().collect();
        let opened = brackets.open(&trials, &|trial| ended.contains(&trial) || !is_new(&trial));
        opened.iter().for_each(|what| brackets.on(what));
        let remaining = Remaining::of(spec, &left.todo);
        let machine = Machine { resources: &options.resources, ram_total_mib: options.ram_total_mib };
        let widths = Widths::of(&remaining, &stream.ledger, machine, options.new_widths && is_first)?;
        let work = self.workload(&spec.name, &remaining, &widths)?;
        let resources = without(options.resources_now(), &stream.ledger);
        let scheduler = Scheduler::new(Arc::clone(&work), resources, options.limits, options.policy);
        let mut scheduler = scheduler.comparing(brackets);
        let is_last = matches!(trains, Trains::Nothing);
        let proposing = spec.proposing.as_ref().filter(|_| !is_last);
        let goes_on = proposing.filter(|proposing| proposing.left(proposed) > 0);
        if goes_on.is_some() {
            scheduler.leave_out_report();
        }
        let foreseen = simulate(&scheduler, self.clock.now());
        let spent = self.spent();
        let beyond = |proposing: &Proposing| {
            let searched = spec.searched(proposed);
            let at_hand = foreseen.makespan.mul_f64(foreseen.share_of(&|trial| searched.contains(&trial)));
            // What is left of a generation says little of a whole one.
            let each = if is_first { at_hand.max(proposing.mean(spent, proposed)) } else { at_hand };
            proposing.beyond(each, spent + foreseen.makespan, proposed)
        };
        let beyond = goes_on.map(beyond);
        Ok(Round { trials, left, opened, widths, work, scheduler, foreseen, beyond })
    }

    /// The remaining work.
    fn workload(
        &self,
        name: &str,
        remaining: &Remaining<'_>,
        widths: &Widths,
    ) -> Result<Arc<Workload>, RunError> {
        let Self { layout, options, .. } = self;
        let reports: PathBuf = std::path::absolute(Layout::report(&options.reports, name))
            .map_err(FileError::of("find", &options.reports))?;
        let is_there = |key| TokenStore::open(&Layout::store(layout.stores(), key)).is_ok();
        let known = experience::load(layout, options.processors.clone());
        let work = Workload::of(remaining, &reports, &|trial| widths.width(trial), &is_there, &known);
        Ok(Arc::new(work))
    }
}

impl Round {
    /// Begins it: publishes what was decided for it, and writes what its trials need. Returns its scheduler, and its
    /// first event.
    pub(super) fn begin(
        self,
        run: &Run<'_>,
        spec: &SweepSpec,
        stream: &mut Stream<'_, '_>,
    ) -> Result<(Scheduler, What), RunError> {
        let Self { trials, mut left, opened, widths, work, scheduler, foreseen, beyond } = self;
        for what in opened {
            stream.tell(what)?;
        }
        // What was begun on another width is gone before the new one is known, whatever happens in between.
        left.continued -= triage::start_over(run.layout, &widths.changed(&stream.ledger), stream)?;
        if !widths.decided.is_empty() {
            stream.tell(What::WidthsDecided { widths: widths.decided })?;
        }
        triage::write(run.layout, spec, &trials)?;
        let is_started =
            |id: &TrialId| stream.ledger.trial(*id).is_some_and(|standing| standing.attempts > 0);
        let started = trials.iter().map(|trial| trial.id).filter(is_started).collect();
        stream.measuring = Some(Measuring::new(run.layout, run.options, &work, started));
        if let Some(what) = training_foreseen(&foreseen) {
            stream.tell(what)?;
        }
        let planned = What::RunPlanned {
            trials: trials.into(),
            done: left.done.into(),
            todo: left.todo.iter().map(|trial| trial.id).collect(),
            continued: left.continued,
            resources: run.options.resources_now(),
            select: spec.select.clone(),
            predicted: foreseen.makespan + beyond.unwrap_or_default(),
        };
        Ok((scheduler, planned))
    }
}

/// The resources without GPUs that failed in this run.
fn without(resources: Resources, ledger: &Ledger) -> Resources {
    let retired = &ledger.this_run.retired;
    let gpus = resources.gpus.into_iter().filter(|gpu| !retired.contains(&gpu.device)).collect();
    Resources { gpus, ..resources }
}

impl Left {
    /// Adds trials of earlier rounds.
    fn add_ended(&mut self, trials: &[Trial], ledger: &Ledger) {
        for trial in trials {
            let state = ledger.state(trial.id);
            if *state == TrialState::Done {
                self.done.push(trial.id);
            } else if state.failure().is_some() {
                self.failed.push(trial.id);
            }
        }
    }
}

/// What is predicted of the training to be done; `None` where there is none.
fn training_foreseen(foreseen: &Simulated) -> Option<What> {
    let (end, mem_mib) = foreseen.training()?;
    let width = foreseen.jobs.iter().find(|job| !job.trials.is_empty())?.placement.width();
    let mem_mib = mem_mib - unmeasured_mib(width);
    Some(What::TrainingForeseen { seconds: end.as_secs_f64(), mem_mib: Some(mem_mib) })
}
