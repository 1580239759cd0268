//! Crashes at every point, and what the next run makes of them.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam::channel::never;
use lorasweep::disk::layout::Layout;
use lorasweep::exec::fake::FakeExecutor;
use lorasweep::exec::{Exit, What};
use lorasweep::record::TrialState;
use lorasweep::record::journal::{self, Happened, Journal};
use lorasweep::sweep::SweepSpec;
use lorasweep::ui::{Notice, Observer};
use lorasweep::values::TrialId;

use crate::support::{Site, sweep, when_training, work, write_checkpoint, write_result};

/// Trials that have a result on disk.
fn results(layout: &Layout, sweep: &SweepSpec) -> Vec<TrialId> {
    let ids = sweep.trials().into_iter().map(|trial| trial.id);
    ids.filter(|id| layout.result(*id).exists()).collect()
}

/// Panics at the notice of this number, as a crash of the orchestrator.
struct CrashAt(usize);

impl Observer for CrashAt {
    fn observe(&mut self, notice: &Notice<'_>) {
        assert!(self.0 > 0, "crashed on purpose at {notice:?}");
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
fn a_crash_of_the_orchestrator_at_any_notice_loses_no_finished_trial() {
    let sweep = sweep(&[1e-3, 2e-3]);
    for n in 0.. {
        let site = Site::new();
        let crashed = catch_unwind(AssertUnwindSafe(|| {
            let mut executor = FakeExecutor::new(work);
            site.start(&sweep, &mut executor, &mut CrashAt(n), &never()).unwrap();
        }));
        if crashed.is_ok() {
            assert!(n > 10, "the run shows {n} notices");
            return;
        }
        goes_on(&site, &sweep, &format!("notice {n}"));
    }
}

#[test]
fn any_prefix_of_the_journal_is_enough_to_go_on() {
    let (first, sweep) = (Site::new(), sweep(&[1e-3, 2e-3]));
    first.run(&sweep, work);
    let told = journal::read(&first.layout(&sweep).journal()).unwrap().entries;
    for n in 0..=told.len() {
        // Result files may be ahead of the journal, or (a restored backup) as old as it is.
        for ahead in [true, false] {
            let site = Site::new();
            let layout = site.layout(&sweep);
            fs::create_dir_all(layout.run()).unwrap();
            let (mut journal, _) = Journal::open(&layout.journal()).unwrap();
            for entry in &told[..n] {
                journal.append(entry).unwrap();
            }
            for entry in &told[..if ahead { told.len() } else { n }] {
                if let Happened::TrialFinished { trial } = &entry.what {
                    write_result(&layout, *trial);
                }
            }
            goes_on(&site, &sweep, &format!("{n} entries, results ahead: {ahead}"));
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
    assert!(error.hint().unwrap().contains("move the file away"));
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
            vec![What::Ended(Exit::Done)]
        }),
    );
    assert_eq!((outcome.summary.done, outcome.n_trained()), (2, 2));
    let warnings = outcome.notices.iter().filter(|notice| notice.starts_with("Warned"));
    assert_eq!(warnings.filter(|notice| notice.contains(&bad.to_string())).count(), 1);
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
fn a_summary_that_a_crash_left_unwritten_is_written_by_the_next_run() {
    let (site, sweep) = (Site::new(), sweep(&[1e-3, 2e-3]));
    site.run(&sweep, work);
    let again = site.run(&sweep, work);
    assert_eq!(again.started, ["report"], "a finished run only brings its report up to date");
    assert!(again.summary.reported);
    let missing = sweep.configurations[1].id;
    fs::remove_file(site.layout(&sweep).summary(missing)).unwrap();
    let mended = site.run(&sweep, work);
    assert_eq!(mended.started, ["summarise", "report"]);
    assert!(site.layout(&sweep).summary(missing).exists());
}

#[test]
fn a_summary_never_outlives_what_it_tells_of() {
    let (site, sweep) = (Site::new(), sweep(&[1e-3]));
    site.run(&sweep, work);
    let layout = site.layout(&sweep);
    fs::remove_file(layout.result(sweep.trials()[0].id)).unwrap();
    let summary = layout.summary(sweep.configurations[0].id);
    let unseen = when_training(move |trial, layout| {
        assert!(!summary.exists());
        write_result(layout, trial);
        vec![What::Ended(Exit::Done)]
    });
    assert_eq!(site.run(&sweep, unseen).n_trained(), 1);
}

#[test]
fn a_run_remembers_how_it_was_started_last() {
    let (mut site, sweep) = (Site::new(), sweep(&[1e-3]));
    for spec in ["first.yaml", "second.yaml"] {
        site.options.typed.words = vec!["run".to_owned(), spec.to_owned()];
        assert_eq!(site.run(&sweep, work).record.typed, site.options.typed);
    }
}
