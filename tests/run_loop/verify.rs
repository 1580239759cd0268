//! `lorasweep verify` on runs that are whole and on damaged ones, and the next run as it said.

use std::fs;

use lorasweep::disk::layout::Layout;
use lorasweep::disk::lock::Lock;
use lorasweep::record::journal::{self, Journal};
use lorasweep::record::verify;
use lorasweep::values::What;
use serde_json::Value;

use crate::keep::{damage, finished, leave_all, lorasweep, store, write_checkpoint};
use crate::support::{Site, sweep, work};

fn findings(site: &Site, sweep: &lorasweep::sweep::SweepSpec, code: i32) -> Vec<(String, String, String)> {
    let said = lorasweep("verify", &site.layout(sweep), &["--json"]);
    assert_eq!(said.code, code, "{}\n{}", said.stdout, said.stderr);
    let found: Value = serde_json::from_str(&said.stdout).unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let told = |finding| (text(finding, "path"), text(finding, "problem"), text(finding, "next"));
    found["findings"].as_array().unwrap().iter().map(told).collect()
}

#[test]
fn a_whole_run_is_whole() {
    let sweep = sweep(&[1e-3, 2e-3]);
    let site = finished(&sweep);
    assert_eq!(findings(&site, &sweep, 0), []);
    let said = lorasweep("verify", &site.layout(&sweep), &[]);
    assert!(
        said.stdout
            .contains("4 results, 4 metric files, 8 checkpoints, 8 files of rows, 1 token store; damaged: 0"),
        "{}",
        said.stdout
    );
}

#[test]
fn each_damaged_file_is_named_with_what_becomes_of_it() {
    let sweep = sweep(&[1e-3]);
    let id = sweep.trials()[0].id;
    let site = finished(&sweep);
    let layout = site.layout(&sweep);
    let store = store(&site, &sweep);
    // Each file with the number of trials that train because of it.
    for (path, named, next, n_trained) in [
        (layout.result(id), layout.result(id), "the trial continues from its last checkpoint", 1),
        (layout.last_checkpoint(id), layout.last_checkpoint(id), "its weights are lost", 0),
        (layout.best_checkpoint(id), layout.best_checkpoint(id), "`lorasweep gc` removes it", 0),
        (layout.metrics(id), layout.metrics(id), "curves lack these points", 0),
        (layout.validation_rows(id), layout.validation_rows(id), "comparisons row by row lack the trial", 0),
        (layout.test_rows(id), layout.test_rows(id), "comparisons row by row lack the trial", 0),
        (store.join("train.tokens"), store.clone(), "it is made again", 0),
        (layout.sweep(), layout.sweep(), "it is written anew", 0),
        (layout.trial_file(id), layout.trial_file(id), "it is written anew", 0),
        (layout.journal(), layout.journal(), "the whole is kept aside", 0),
    ] {
        let whole = fs::read(&path).unwrap();
        if path == layout.sweep() || path == layout.trial_file(id) {
            fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        } else {
            damage(&path);
        }
        let found = findings(&site, &sweep, 1);
        let [(told, _, then)] = &found[..] else { panic!("{}: {found:?}", path.display()) };
        assert_eq!(*told, named.display().to_string());
        assert!(then.contains(next), "{}: {then}", path.display());
        let said = lorasweep("verify", &layout, &[]);
        assert!(said.code == 1 && said.stderr.contains("1 damaged file"), "{}", said.stderr);
        let again = site.run(&sweep, leave_all);
        assert_eq!((again.n_trained(), again.summary.done), (n_trained, 2), "{}", path.display());
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn a_file_that_is_missing_or_was_changed_by_hand_is_told_with_what_to_do() {
    let sweep = sweep(&[1e-3]);
    let site = finished(&sweep);
    let layout = site.layout(&sweep);
    let said = |command: &str| lorasweep(command, &layout, &[]);
    let whole = fs::read(layout.journal()).unwrap();
    damage(&layout.journal());
    for (problem_told, told) in [
        ("is damaged at byte", "the journal is damaged at byte "),
        ("it is missing", "the journal is missing"),
    ] {
        let [(path, problem, _)] = &findings(&site, &sweep, 1)[..] else { panic!("one file") };
        assert_eq!(*path, layout.journal().display().to_string());
        assert!(problem.contains(problem_told), "{problem}");
        let status = said("status");
        assert!(status.code == 0 && status.stderr.contains(told), "{}", status.stderr);
        let json = lorasweep("status", &layout, &["--json"]);
        assert!(json.stdout.contains(&format!("\"journal_damage\": \"{told}")), "{}", json.stdout);
        let explain = lorasweep("explain", &layout, &[&sweep.trials()[0].id.to_string()]);
        assert!(explain.stderr.contains(told), "{}", explain.stderr);
        let _ = fs::remove_file(layout.journal());
    }
    fs::write(layout.journal(), whole).unwrap();

    let whole = fs::read_to_string(layout.sweep()).unwrap();
    fs::write(layout.sweep(), whole.replace("\"epochs\": 1.0", "\"epochs\": 2.0")).unwrap();
    let found = findings(&site, &sweep, 1);
    assert!(found[0].1.contains("has other settings than its id was made from"), "{found:?}");
    fs::write(layout.sweep(), &whole[..100]).unwrap();
    for problem in ["cannot read `", "sweep.json` is missing"] {
        let status = said("status");
        assert!(status.code == 2 && status.stderr.contains(problem), "{}", status.stderr);
        assert!(status.stderr.contains("hint: `lorasweep run SPEC` writes it again"), "{}", status.stderr);
        let [(path, ..)] = &findings(&site, &sweep, 1)[..] else { panic!("one file") };
        assert_eq!(*path, layout.sweep().display().to_string());
        let _ = fs::remove_file(layout.sweep());
    }
}

/// Cuts a run's journal off before the first event that is one of these.
fn keep_events(layout: &Layout, until: impl Fn(&What) -> bool) {
    let events = journal::read(&layout.journal()).unwrap().events;
    fs::remove_file(layout.journal()).unwrap();
    let mut journal = Journal::open(&layout.journal()).unwrap().0;
    events.iter().take_while(|event| !until(&event.what)).for_each(|event| journal.append(event).unwrap());
}

#[test]
fn a_journal_without_entries_is_no_journal_of_results() {
    let sweep = sweep(&[1e-3]);
    let site = finished(&sweep);
    let layout = site.layout(&sweep);
    fs::write(layout.journal(), "").unwrap();
    let [(path, problem, _)] = &findings(&site, &sweep, 1)[..] else { panic!("one file") };
    assert_eq!(
        (path.as_str(), problem.as_str()),
        (layout.journal().to_str().unwrap(), "it has no entry, and there are results")
    );
    assert_eq!(site.run(&sweep, leave_all).n_trained(), 0);
    assert_eq!(findings(&site, &sweep, 0), []);
    fs::create_dir_all(layout.orders()).unwrap();
    fs::write(layout.order(sweep.trials()[0].id), "{").unwrap();
    assert_eq!(findings(&site, &sweep, 1)[0].1, "it holds no order");
}

/// A trial that was at work when all was killed.
#[test]
fn a_damaged_checkpoint_of_an_unfinished_trial_means_starting_anew() {
    let sweep = sweep(&[1e-3]);
    let site = finished(&sweep);
    let (layout, id) = (site.layout(&sweep), sweep.trials()[0].id);
    fs::remove_file(layout.result(id)).unwrap();
    let [(path, problem, next)] = &findings(&site, &sweep, 1)[..] else { panic!("one file") };
    assert_eq!(*path, layout.result(id).display().to_string());
    assert!(problem.contains("the journal says that the trial is done"), "{problem}");
    assert_eq!(next, "the trial continues from its last checkpoint");
    keep_events(&layout, |what| matches!(what, What::TrialFinished { trial, .. } if *trial == id));
    assert_eq!(findings(&site, &sweep, 0), []);
    damage(&layout.best_checkpoint(id));
    assert_eq!(findings(&site, &sweep, 1)[0].2, "the trial starts over");
    write_checkpoint(&layout.best_checkpoint(id), sweep.trials()[1].id);
    assert!(findings(&site, &sweep, 1)[0].1.contains("it belongs to trial"));
}

#[test]
fn what_a_crash_leaves_is_no_damage() {
    let sweep = sweep(&[1e-3]);
    let site = finished(&sweep);
    let (layout, id) = (site.layout(&sweep), sweep.trials()[0].id);
    let whole = fs::read(layout.journal()).unwrap();
    fs::write(layout.journal(), &whole[..whole.len() - 5]).unwrap();
    let metrics = fs::read(layout.metrics(id)).unwrap();
    fs::write(layout.metrics(id), &metrics[..metrics.len() - 5]).unwrap();
    let found = findings(&site, &sweep, 0);
    assert!(matches!(&found[..], [(_, problem, _)] if problem.contains("torn by a crash")), "{found:?}");
    let _held = Lock::acquire(&layout.lock()).unwrap();
    assert_eq!(findings(&site, &sweep, 0), [], "the holder may be writing it");
    assert!(lorasweep("verify", &layout, &[]).stderr.contains("is using it now"));
}

#[test]
fn a_run_that_was_killed_before_its_first_job_has_lost_nothing() {
    let sweep = sweep(&[1e-3]);
    let site = Site::new();
    let layout = site.layout(&sweep);
    fs::create_dir_all(layout.run()).unwrap();
    assert!(verify::verify(&layout).unwrap().findings.is_empty(), "it has written nothing yet");
    let whole = journal::read(&finished(&sweep).layout(&sweep).journal()).unwrap().events;
    for (n_events, is_lost) in [(0, false), (1, false), (whole.len(), true)] {
        let mut begun = Journal::open(&layout.journal()).unwrap().0;
        whole[..n_events].iter().for_each(|event| begun.append(event).unwrap());
        drop(begun);
        let [(path, problem, _)] = &findings(&site, &sweep, i32::from(is_lost))[..] else {
            panic!("one file")
        };
        assert_eq!((path.as_str(), problem.as_str()), (layout.sweep().to_str().unwrap(), "it is missing"));
    }
    assert_eq!(site.run(&sweep, leave_all).summary.left, 0);
    assert_eq!(findings(&site, &sweep, 0), []);
}

#[test]
fn what_the_sweep_no_longer_has_matters_no_more() {
    let (before, after) = (sweep(&[1e-3, 2e-3]), sweep(&[2e-3]));
    let site = finished(&before);
    site.run(&after, leave_all);
    damage(&site.layout(&after).result(before.trials()[0].id));
    assert_eq!(findings(&site, &after, 1)[0].2, "nothing: the sweep no longer has the trial");
}

#[test]
fn a_journal_damaged_in_the_middle_is_told_and_the_run_goes_on() {
    let sweep = sweep(&[1e-3, 2e-3]);
    let site = finished(&sweep);
    let layout = site.layout(&sweep);
    let n_entries = journal::read(&layout.journal()).unwrap().events.len();
    damage(&layout.journal());
    let again = site.run(&sweep, work);
    assert_eq!((again.summary.done, again.n_trained()), (4, 0));
    let warned = again.events.iter().find_map(|event| {
        let What::Warned { message } = &event.what else { return None };
        message.contains("journal is damaged").then_some(message)
    });
    let warned = warned.unwrap();
    assert!(warned.contains("journal.damaged-1"), "{warned}");
    assert!(layout.run().join("journal.damaged-1").is_file());
    assert!(journal::read(&layout.journal()).unwrap().events.len() < n_entries);
    assert_eq!(findings(&site, &sweep, 0), []);
}

#[test]
fn what_is_no_run_is_bad_input() {
    let site = Site::new();
    let said = lorasweep("verify", &site.layout(&sweep(&[1e-3])), &[]);
    assert!(said.code == 2 && said.stdout.is_empty() && said.stderr.contains("hint: "), "{}", said.stderr);
}
