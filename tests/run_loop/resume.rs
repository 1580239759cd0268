//! Crashes at every point, and what the next run makes of them.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam::channel::never;
use lorasweep::disk::layout::Layout;
use lorasweep::error::AppError;
use lorasweep::exec::{Exit, News};
use lorasweep::record::TrialState;
use lorasweep::record::journal::{self, Journal};
use lorasweep::sweep::SweepSpec;
use lorasweep::values::{Event, Reader, TrialId, What};

use crate::fake_executor::FakeExecutor;
use crate::support::{Site, sweep, when_training, work, write_checkpoint, write_result};

/// Trials that have a result on disk.
fn results(layout: &Layout, sweep: &SweepSpec) -> Vec<TrialId> {
    let ids = sweep.trials().into_iter().map(|trial| trial.id);
    ids.filter(|id| layout.result(*id).exists()).collect()
}

/// Panics at the event of this number, as a crash of the orchestrator.
pub(crate) struct CrashAt(pub(crate) usize);

impl Reader for CrashAt {
    fn on(&mut self, event: &Event) {
        assert!(self.0 > 0, "crashed on purpose at {event:?}");
        self.0 -= 1;
    }
}

/// Runs again after a crash: what has a result is left alone, and all is done in the end.
fn goes_on(site: &Site, sweep: &SweepSpec, crash: &str) {
    let done = results(&site.layout(sweep), sweep);
    let outcome = site.run(sweep, work);
    assert_eq!(outcome.summary.done, sweep.trials().len(), "{crash}");
    assert_eq!(outcome.summary.kept, done.len(), "{crash}");
    for trial in done {
        assert!(!outcome.started.contains(&format!("train-{trial}")), "{crash}: {trial} ran twice");
    }
    assert!(outcome.record.trials.iter().all(|trial| trial.state == TrialState::Done), "{crash}");
    assert_eq!(outcome.started.last().unwrap(), "report", "{crash}");
}

#[test]
fn a_crash_of_the_orchestrator_at_any_event_loses_no_finished_trial() {
    let sweep = sweep(&[1e-3, 2e-3]);
    for n in 0.. {
        let site = Site::new();
        let crashed = catch_unwind(AssertUnwindSafe(|| {
            let mut executor = FakeExecutor::new(work);
            site.start(&sweep, &mut executor, &mut CrashAt(n), &never()).unwrap();
        }));
        if crashed.is_ok() {
            assert!(n > 10, "the run has {n} events");
            return;
        }
        goes_on(&site, &sweep, &format!("event {n}"));
    }
}

#[test]
fn any_prefix_of_the_journal_is_enough_to_go_on() {
    let (first, sweep) = (Site::new(), sweep(&[1e-3, 2e-3]));
    first.run(&sweep, work);
    let told = journal::read(&first.layout(&sweep).journal()).unwrap().events;
    for n in 0..=told.len() {
        // Result files may be ahead of the journal, or (a restored backup) as old as it is.
        for ahead in [true, false] {
            let site = Site::new();
            let layout = site.layout(&sweep);
            fs::create_dir_all(layout.run()).unwrap();
            let (mut journal, _) = Journal::open(&layout.journal()).unwrap();
            for event in &told[..n] {
                journal.append(event).unwrap();
            }
            for event in &told[..if ahead { told.len() } else { n }] {
                if let What::TrialFinished { trial, .. } = &event.what {
                    write_result(&layout, *trial);
                }
            }
            goes_on(&site, &sweep, &format!("{n} events, results ahead: {ahead}"));
        }
    }
}

#[test]
fn a_run_without_its_journal_keeps_its_results() {
    let (site, sweep) = (Site::new(), sweep(&[1e-3]));
    site.run(&sweep, work);
    fs::remove_file(site.layout(&sweep).journal()).unwrap();
    goes_on(&site, &sweep, "no journal");
}

#[test]
fn a_foreign_journal_is_refused_with_a_way_out() {
    let (site, sweep) = (Site::new(), sweep(&[1e-3]));
    site.run(&sweep, work);
    fs::write(site.layout(&sweep).journal(), "a shopping list, quite long\n").unwrap();
    let mut executor = FakeExecutor::new(work);
    let error = site.start(&sweep, &mut executor, &mut CrashAt(usize::MAX), &never()).unwrap_err();
    assert!(AppError::from(error).hint().unwrap().contains("move the file away"));
}

#[test]
fn a_damaged_checkpoint_or_result_means_starting_anew() {
    let (site, sweep) = (Site::new(), sweep(&[1e-3]));
    site.run(&sweep, work);
    let layout = site.layout(&sweep);
    let [good, bad] = [0, 1].map(|n| sweep.trials()[n].id);
    for trial in [good, bad] {
        write_checkpoint(&layout, trial);
        fs::write(layout.result(trial), "{\"trial\":").unwrap();
    }
    fs::write(layout.last_checkpoint(bad), "half a he").unwrap();
    let outcome = site.run(
        &sweep,
        when_training(|trial, layout| {
            assert_eq!(layout.last_checkpoint(trial).exists(), trial == good);
            write_result(layout, trial);
            vec![News::Ended(Exit::Done)]
        }),
    );
    assert_eq!((outcome.summary.done, outcome.n_trained()), (2, 2));
    let warns = |event: &&Event| matches!(&event.what, What::Warned { message } if message.contains(&bad.to_string()));
    assert_eq!(outcome.events.iter().filter(warns).count(), 1);
}

#[test]
fn a_changed_sweep_runs_what_is_new_and_shows_what_it_lost_apart() {
    let site = Site::new();
    let before = sweep(&[1e-3, 2e-3]);
    let after = sweep(&[2e-3, 3e-3]);
    site.run(&before, work);
    let outcome = site.run(&after, work);
    assert_eq!((outcome.summary.kept, outcome.summary.done, outcome.n_trained()), (2, 4, 2));
    let mut lost: Vec<_> = before.trials()[..2].iter().map(|trial| trial.id).collect();
    lost.sort_unstable();
    assert_eq!(outcome.record.removed, lost);
    let layout: Layout = site.layout(&after);
    assert!(lost.iter().all(|trial| layout.result(*trial).exists()));
}

#[test]
fn a_finished_run_only_brings_its_report_up_to_date() {
    let (site, sweep) = (Site::new(), sweep(&[1e-3, 2e-3]));
    site.run(&sweep, work);
    let again = site.run(&sweep, work);
    assert_eq!(again.started, ["report"]);
    assert!(again.summary.reported);
}

#[test]
fn a_run_remembers_how_it_was_started_last() {
    let (mut site, sweep) = (Site::new(), sweep(&[1e-3]));
    for spec in ["first.yaml", "second.yaml"] {
        site.options.command_line.words = vec!["run".to_owned(), spec.to_owned()];
        assert_eq!(site.run(&sweep, work).record.command_line, site.options.command_line);
    }
}
