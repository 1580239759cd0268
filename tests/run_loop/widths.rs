//! What trials train on: decided once, kept by every later run, or the run says why it cannot.

use std::collections::BTreeMap;
use std::fs;

use crossbeam::channel::never;
use lorasweep::disk::layout::Layout;
use lorasweep::error::AppError;
use lorasweep::exec::{Exit, News};
use lorasweep::record::journal::{self, Journal};
use lorasweep::record::ledger::Ledger;
use lorasweep::sweep::SweepSpec;
use lorasweep::values::{Event, Failure, JobKey, Limits, TrialId, What, Width};

use crate::fake_executor::FakeExecutor;
use crate::support::{Remember, Site, cores, failed, sweep, when_training, work, write_checkpoint};

fn events(site: &Site, sweep: &SweepSpec) -> Vec<Event> {
    journal::read(&site.layout(sweep).journal()).unwrap().events
}

/// On what each trial was started, at every start.
fn started_on(events: &[Event]) -> BTreeMap<TrialId, Vec<Width>> {
    let mut started: BTreeMap<TrialId, Vec<Width>> = BTreeMap::new();
    for event in events {
        if let What::JobLaunching { key: JobKey::Train(_), placement, trials, .. } = &event.what {
            trials.iter().for_each(|trial| started.entry(*trial).or_default().push(placement.width()));
        }
    }
    started
}

/// A site with so many cores, where a sweep was begun and every trial was killed: one alone has all cores.
fn begun(sweep: &SweepSpec, n: usize) -> Site {
    let mut site = Site::new();
    site.options.resources = cores(n);
    site.run(
        sweep,
        when_training(|trial, layout| {
            write_checkpoint(layout, trial);
            vec![News::Ended(Exit::Interrupted)]
        }),
    );
    site
}

/// Every start of a trial is on what was decided first.
fn widths_stay(events: &[Event]) {
    let mut decided = BTreeMap::new();
    for event in events {
        if let What::WidthsDecided { widths } = &event.what {
            for of in widths {
                for trial in &of.trials {
                    assert!(decided.insert(*trial, of.width).is_none(), "decided twice on {trial}");
                }
            }
        }
    }
    for (trial, widths) in started_on(events) {
        assert!(widths.iter().all(|width| *width == decided[&trial]), "{trial}: {widths:?}");
    }
}

#[test]
fn trials_that_are_added_or_continued_with_less_memory_keep_their_widths() {
    let (before, after) = (sweep(&[1e-3]), sweep(&[1e-3, 2e-3, 3e-3, 4e-3, 5e-3]));
    let mut site = begun(&before, 4);
    let first = started_on(&events(&site, &before));
    assert!(first.values().flatten().all(|width| *width > Width::Cores(1)), "{first:?}");
    site.options.limits = Limits { mem_mib: 1.0, ..Limits::default() };
    let outcome = site.run(&after, work);
    assert_eq!(outcome.summary.done, 10);
    widths_stay(&events(&site, &after));
}

#[test]
fn any_prefix_of_the_journal_keeps_the_widths_that_it_has() {
    let sweep = sweep(&[1e-3, 2e-3]);
    let first = begun(&sweep, 4);
    let told = events(&first, &sweep);
    for n in 0..=told.len() {
        let mut site = Site::new();
        site.options.resources = cores(8);
        let layout: Layout = site.layout(&sweep);
        fs::create_dir_all(layout.run()).unwrap();
        let (mut journal, _) = Journal::open(&layout.journal()).unwrap();
        told[..n].iter().for_each(|event| journal.append(event).unwrap());
        assert_eq!(site.run(&sweep, work).summary.done, 4);
        widths_stay(&events(&site, &sweep));
    }
}

#[test]
fn fewer_cores_than_trials_were_begun_on_are_refused_before_anything_starts() {
    let sweep = sweep(&[1e-3]);
    let mut site = begun(&sweep, 4);
    let before = started_on(&events(&site, &sweep));
    let wide = *before.values().flatten().max().unwrap();
    site.options.resources = cores(1);
    let mut executor = FakeExecutor::new(|_, _| panic!("nothing starts"));
    let refused = site.start(&sweep, &mut executor, &mut Remember::default(), &never()).unwrap_err();
    let error = AppError::from(refused);
    assert_eq!(error.exit_code(), 5);
    let said = error.to_string();
    assert!(said.starts_with(&format!("2 trials train on {wide} each, as decided on ")), "{said}");
    assert!(
        said.ends_with("; this run may use 1 core, and the digits of their results would differ"),
        "{said}"
    );
    assert!(error.hint().unwrap().contains("`--new-widths`"));
    // Without the wish, and where there are as many cores, they go on as before.
    site.options.resources = cores(4);
    assert_eq!(site.run(&sweep, work).summary.done, 2);
    widths_stay(&events(&site, &sweep));
}

#[test]
fn new_widths_start_over_what_was_begun_on_others_and_keep_what_is_done() {
    let sweep = sweep(&[1e-3]);
    let mut site = begun(&sweep, 4);
    let [done, begun] = [0, 1].map(|n| sweep.trials()[n].id);
    crate::support::write_result(&site.layout(&sweep), done);
    site.options.resources = cores(1);
    site.options.new_widths = true;
    let outcome = site.run(
        &sweep,
        when_training(|trial, layout| {
            assert!(trial == begun && !layout.last_checkpoint(trial).exists());
            failed(Failure::Diverged { step: 1 })
        }),
    );
    assert_eq!((outcome.summary.kept, outcome.n_trained()), (1, 1));
    let events = events(&site, &sweep);
    assert_eq!(started_on(&events)[&begun].last(), Some(&Width::Cores(1)));
    let ledger = Ledger::replay(&events);
    assert_eq!(ledger.width(begun).unwrap().width, Width::Cores(1));
    assert!(ledger.width(done).unwrap().width > Width::Cores(1));
}
