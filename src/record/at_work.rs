//! Owns the reconstruction of a running scheduler from its journal, so that another command reports on a live
//! run as that run itself would. Starts and writes nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use crate::cost::Experience;
use crate::data::store::TokenStore;
use crate::disk::layout::Layout;
use crate::record::{Ledger, RunRecord, TrialRecord, TrialState, compared, proposed};
use crate::sched::{Remaining, Scheduler, Workload};
use crate::search::{Brackets, Turn};
use crate::values::{Event, JobKey, RunSettings, Trial, TrialId, What, Width};

/// The scheduler of the run that these events end with, in its state at `now`, except for the measured speed of
/// its own trials, which is not in the events. `None` where that run's version did not record enough, or
/// it has not yet decided on what its trials train.
#[must_use]
pub fn scheduler(
    record: &RunRecord,
    layout: &Layout,
    all: &[Event],
    experience: &Experience,
    now: SystemTime,
) -> Option<Scheduler> {
    let is_start = |event: &Event| matches!(event.what, What::RunStarted { .. });
    let is_proposed = |event: &Event| matches!(event.what, What::GenerationProposed { .. });
    let start = all.iter().rposition(is_start)?;
    let What::RunStarted { resources, settings: Some(settings), .. } = &all[start].what else {
        return None;
    };
    let RunSettings { limits, policy, retry_failed, no_stop } = **settings;
    // Each generation has a scheduler of its own.
    let generation = all[start..].iter().rposition(is_proposed).map(|at| start + at);
    let retry_failed = retry_failed && generation.is_none();
    let (earlier, events) = all.split_at(generation.unwrap_or(start));
    let trials: Vec<Trial> = record.trials.iter().map(|trial| trial.trial.clone()).collect();
    let mut brackets = compared::brackets(&record.sweep, &trials, earlier, no_stop);
    let (given, earlier) = (Given::of(events), Ledger::replay(earlier));
    as_at_the_start(&mut brackets, events, &trials, retry_failed.then_some(&earlier));
    let is_to_do = |trial: &&TrialRecord| {
        let id = trial.trial.id;
        let failed = matches!(earlier.state(id), TrialState::Failed { .. });
        let stopped = brackets.turn(id) == Turn::Stopped;
        let is_left = trial.state != TrialState::Done && (retry_failed || !failed) && !stopped;
        is_left || given.trials.contains(&id)
    };
    let todo: Vec<Trial> = record.trials.iter().filter(is_to_do).map(|trial| trial.trial.clone()).collect();
    let is_there = |store| {
        !given.jobs.contains(&JobKey::Prepare(store))
            && TokenStore::open(&Layout::store(layout.stores(), store)).is_ok()
    };
    let ledger = Ledger::replay(all);
    let widths = todo.iter().map(|trial| Some((trial.id, ledger.width(trial.id)?.width)));
    let widths: HashMap<TrialId, Width> = widths.collect::<Option<_>>()?;
    // The report's folder has no influence.
    let work = Workload::of(
        &Remaining::of(&record.sweep, &todo),
        layout.run(),
        &|trial| widths[&trial.id],
        &is_there,
        &experience.on(resources),
    );
    // Brackets were opened before the first of these trials started.
    for event in events {
        if let What::BracketsOpened { .. } = event.what {
            brackets.on(&event.what);
        }
    }
    let scheduler = Scheduler::new(Arc::new(work), resources.clone(), limits, policy);
    let mut scheduler = scheduler.comparing(brackets);
    let proposed = proposed::generations(all);
    if record.sweep.proposing.as_ref().is_some_and(|proposing| proposing.left(&proposed) > 0) {
        scheduler.leave_out_report();
    }
    events.iter().for_each(|event| scheduler.replay(event.at.into(), &event.what));
    scheduler.replay(now, &What::Woke);
    Some(scheduler)
}

/// Does to the brackets what a run does before it looks at what is left: it heeds the orders that were given since
/// the last one, and lets those race again that failed and are tried again.
fn as_at_the_start(brackets: &mut Brackets, events: &[Event], trials: &[Trial], retried: Option<&Ledger>) {
    for event in events.iter().take_while(|event| !matches!(event.what, What::JobLaunching { .. })) {
        if let What::StopOrdered { .. } | What::KeepOrdered { .. } | What::TrialsFreed { .. } = event.what {
            brackets.on(&event.what);
        }
    }
    let has_failed = |ledger: &Ledger, id| matches!(ledger.state(id), TrialState::Failed { .. });
    for trial in trials.iter().filter(|trial| retried.is_some_and(|ledger| has_failed(ledger, trial.id))) {
        // Where it was freed, an event said so.
        let _ = brackets.retry(trial.id);
    }
}

/// The trials that a run has worked on so far.
#[derive(Default)]
struct Given {
    jobs: BTreeSet<JobKey>,
    trials: BTreeSet<TrialId>,
}

impl Given {
    fn of(events: &[Event]) -> Self {
        let mut given = Self::default();
        for event in events {
            if let What::JobLaunching { key, trials, .. } = &event.what {
                given.jobs.insert(*key);
                given.trials.extend(trials);
            } else if let What::TrialJoining { trial, .. } = &event.what {
                given.trials.insert(*trial);
            }
        }
        given
    }
}
