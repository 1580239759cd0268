//! Owns the remaining work of a sweep, found from its folder before anything starts, for `plan` and `run`.
//! Starts nothing.

use std::collections::HashSet;

use crate::cost::{Basis, Processors};
use crate::disk::layout::Layout;
use crate::plan;
use crate::plan::overview::{Stopping, ToPropose};
use crate::record::resume::{self, Decision, RecordedState};
use crate::record::{Ledger, compared, experience, journal, orders, proposed};
use crate::run::{WidthError, Widths};
use crate::sched::{Limits, Machine, Remaining, Simulated, Workload};
use crate::search::Turn;
use crate::sweep::SweepSpec;
use crate::values::{Event, Trial, TrialId};

/// The remaining work of a sweep.
pub(super) struct Ahead {
    /// Trials that are done and kept.
    pub(super) done: usize,
    /// Trials that failed and are not tried again.
    pub(super) failed: usize,
    /// Trials that were stopped early, and do not go on.
    pub(super) stopped: usize,
    /// What is stopped early in the rest; `None` where nothing is.
    pub(super) stopping: Option<Stopping>,
    /// What is proposed when all of that is over; `None` where all points are known.
    pub(super) to_propose: Option<ToPropose>,
    /// The simulated run of all other trials.
    pub(super) run: Simulated,
    /// The least memory that suffices for every trial of it, in MiB, whatever such trials took before.
    pub(super) least_mib: f64,
    /// What the predicted times of trials rest on; `None` where none is to be trained.
    pub(super) basis: Option<Basis>,
}

/// How it is to be done.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) machine: Machine<'a>,
    pub(super) processors: &'a Processors,
    pub(super) limits: Limits,
    pub(super) retry_failed: bool,
    pub(super) no_stop: bool,
    pub(super) new_widths: bool,
}

impl Ahead {
    /// Looks at a sweep's folder; without one, nothing has been done yet.
    ///
    /// # Errors
    /// When this machine cannot give the cores or the GPU that trials were begun on.
    pub(super) fn of(sweep: &SweepSpec, layout: &Layout, wanted: Wanted<'_>) -> Result<Self, WidthError> {
        let Wanted { machine, processors, limits, retry_failed, no_stop, new_widths } = wanted;
        // An unreadable journal is reported when the run starts; results count without it.
        let events = journal::read(&layout.journal()).map(|replay| replay.events).unwrap_or_default();
        let ledger = Ledger::replay(&events);
        let trials = sweep.trials();
        let no_stop = compared::goes_on_with_all(sweep, &events, no_stop);
        let mut brackets = compared::brackets(sweep, &trials, &events, no_stop);
        let kept = wanted.no_stop.then(|| orders::keep_all(&brackets)).flatten();
        kept.iter().for_each(|kept| brackets.on(kept));
        for (trial, given) in orders::pending(layout) {
            brackets.on(&given.order.event(&brackets, trial));
        }
        let (mut done, mut failed, mut stopped) = (Vec::new(), Vec::new(), 0);
        let was_started = layout.run().exists();
        let is_to_do = |trial: &&Trial| {
            if !was_started {
                return true;
            }
            let evidence = resume::look(layout, &ledger, trial.id);
            if evidence.recorded == RecordedState::Failed && retry_failed {
                brackets.retry(trial.id).iter().for_each(|freed| brackets.on(freed));
            }
            let keeps = resume::decide(evidence, retry_failed) == Decision::Keep;
            let stops = !keeps && brackets.turn(trial.id) == Turn::Stopped;
            done.extend((keeps && evidence.result).then_some(trial.id));
            failed.extend((keeps && !evidence.result).then_some(trial.id));
            stopped += usize::from(stops);
            !keeps && !stops
        };
        let todo: Vec<Trial> = trials.iter().filter(is_to_do).cloned().collect();
        compared::take_results(&mut brackets, layout, &done);
        let ended: HashSet<TrialId> = done.iter().chain(&failed).copied().collect();
        brackets.open(&trials, &|trial| ended.contains(&trial)).iter().for_each(|what| brackets.on(what));
        let (done, failed) = (done.len(), failed.len());
        let remaining = Remaining::of(sweep, &todo);
        let widths = Widths::of(&remaining, &ledger, machine, new_widths)?;
        let is_there = |store| Layout::store(layout.stores(), store).is_dir();
        // The report's folder has no influence.
        let known = experience::load(layout, processors.clone());
        let work = Workload::of(&remaining, layout.run(), &|trial| widths.width(trial), &is_there, &known);
        let (basis, least_mib) = (work.basis(), work.least_mib());
        let racing = brackets.racing();
        let run = plan::foresee(work, brackets, machine.resources, limits);
        let started: HashSet<TrialId> = run.jobs.iter().flat_map(|job| job.trials.iter().copied()).collect();
        let rule = sweep.stop.filter(|_| !no_stop && racing[0] > 0);
        let stopping = rule.map(|rule| Stopping {
            rule,
            rungs: rule.rungs().to_vec(),
            brackets: racing[0],
            configurations: racing[1],
            not_started: todo.len() - started.len(),
        });
        let to_propose = to_propose(sweep, &events, &run);
        Ok(Self { done, failed, stopped, stopping, to_propose, run, least_mib, basis })
    }
}

/// What is proposed once all that is left is done.
fn to_propose(sweep: &SweepSpec, events: &[Event], run: &Simulated) -> Option<ToPropose> {
    let (known, spent) = (proposed::generations(events), proposed::spent(events));
    let proposing = sweep.proposing.as_ref().filter(|proposing| proposing.left(&known) > 0)?;
    let searched = sweep.searched(&known);
    let at_hand = run.makespan.mul_f64(run.share_of(&|trial| searched.contains(&trial)));
    let each = at_hand.max(proposing.mean(spent, &known));
    Some(ToPropose {
        points: proposing.left(&known),
        at_once: proposing.at_once(),
        assumed_s: proposing.beyond(each, spent + run.makespan, &known).as_secs_f64(),
        budget_s: proposing.budget_s,
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::cost::{Rates, Taken};
    use crate::disk::files;
    use crate::plan::example;
    use crate::record::journal::Journal;
    use crate::values::{Cost, Failure, Metric, Resources, Scores, TrialResult, What, Width};

    fn write_result(layout: &Layout, trial: TrialId) {
        let scores = Scores::of("classification").with(Metric::Loss, 0.1).with(Metric::Accuracy, 0.9);
        let result = TrialResult {
            trial,
            validation: Some(scores),
            kept_step: 1,
            test: None,
            steps: 1,
            trainable_params: 1,
            total_params: 1,
            cost: Cost::default(),
            class_rows: None,
            baseline: None,
        };
        files::write_sealed(&layout.result(trial), &result).unwrap();
    }

    #[test]
    fn what_packs_took_changes_predictions_and_not_what_is_refused() {
        let (sweep, folder) = (example::sweep(), tempfile::tempdir().unwrap());
        let (trials, width) = (sweep.trials(), Width::Cores(1));
        let resources = Resources { cores: vec![0], ..Resources::default() };
        let (machine, processors) =
            (Machine { resources: &resources, ram_total_mib: 8_000 }, Processors::default());
        let layout = Layout::new(folder.path(), &sweep.name);
        let limits = Limits::default();
        let seen = || {
            let wanted = Wanted {
                machine,
                processors: &processors,
                limits,
                retry_failed: false,
                no_stop: false,
                new_widths: false,
            };
            let Ahead { run, least_mib, basis, .. } = Ahead::of(&sweep, &layout, wanted).unwrap();
            (least_mib, basis, run.training().unwrap().1)
        };
        let (least_mib, basis, mem_mib) = seen();
        assert_eq!(basis, Some(Basis::Assumed));
        let mut known = experience::load(&layout, processors.clone());
        let work =
            Workload::of(&Remaining::of(&sweep, &trials), folder.path(), &|_| width, &|_| true, &known);
        for trial in &trials {
            let (kind, cost) = work.pack(&[trial.id], None).unwrap();
            let peak_mib = 9.0 * cost.estimate(Rates::assumed(width)).mem_mib;
            known.add(kind, &Taken::of(&cost, width, 10.0, 9.0, Some(peak_mib)));
        }
        experience::save(&layout, &known).unwrap();
        let (least_mib_now, basis, mem_mib_now) = seen();
        assert_eq!(basis, Some(Basis::Measured));
        assert!((least_mib_now - least_mib).abs() < 1e-9, "{least_mib} {least_mib_now}");
        assert!(mem_mib_now > 5.0 * mem_mib, "{mem_mib} {mem_mib_now}");
    }

    #[test]
    fn what_is_done_or_failed_is_not_ahead_unless_it_is_tried_again() {
        let (sweep, folder) = (example::sweep(), tempfile::tempdir().unwrap());
        let resources = Resources { cores: vec![0], ..Resources::default() };
        let machine = Machine { resources: &resources, ram_total_mib: 8_000 };
        let layout = Layout::new(folder.path(), &sweep.name);
        let seen = |retry_failed| {
            let wanted = Wanted {
                machine,
                processors: &Processors::default(),
                limits: Limits::default(),
                retry_failed,
                no_stop: false,
                new_widths: false,
            };
            let Ahead { done, failed, run, .. } = Ahead::of(&sweep, &layout, wanted).unwrap();
            [done, failed, run.jobs.iter().map(|job| job.trials.len()).sum()]
        };
        assert_eq!(seen(false), [0, 0, 15]);
        let [done, failed] = [0, 1].map(|n| sweep.trials()[n].id);
        write_result(&layout, done);
        let (mut journal, _) = Journal::open(&layout.journal()).unwrap();
        let what = What::TrialFailed { trial: failed, failure: Failure::OutOfMemory };
        journal.append(&Event { at: Timestamp::UNIX_EPOCH, what }).unwrap();
        assert_eq!([seen(false), seen(true)], [[1, 1, 13], [1, 0, 14]]);
    }
}
