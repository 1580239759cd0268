//! `lorasweep gc`: what it removes, what it leaves, and when it refuses.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use lorasweep::disk::lock::Lock;
use lorasweep::sweep::SweepSpec;
use lorasweep::values::{Configuration, Keep, Training};
use serde_json::Value;

use crate::keep::{damage, finished, leave_all, lorasweep, store, write_store};
use crate::support::{Site, sweep};

/// What would be removed: its kind and its path.
fn listed(site: &Site, sweep: &SweepSpec, options: &[&str]) -> Vec<(String, PathBuf)> {
    let said = lorasweep("gc", &site.layout(sweep), &[&["--json"], options].concat());
    assert_eq!(said.code, 0, "{}", said.stderr);
    let told: Value = serde_json::from_str(&said.stdout).unwrap();
    let one =
        |one: &Value| (one["reason"].as_str().unwrap().to_owned(), one["path"].as_str().unwrap().into());
    told["garbage"].as_array().unwrap().iter().map(one).collect()
}

#[test]
fn what_no_trial_needs_is_shown_and_removed_when_asked_to() {
    let (before, after) = (sweep(&[1e-3, 2e-3]), sweep(&[2e-3]));
    let site = finished(&before);
    site.run(&after, leave_all);
    let layout = site.layout(&after);
    let [gone, kept] = [&before, &after].map(|sweep| sweep.trials()[0].id);
    let leftovers = [layout.run().join(".new-77-sweep.json"), layout.trial(kept).join("checkpoint/.new-1-a")];
    let unused = layout.stores().join("00000000000000000000000000000000");
    let aside = layout.run().join("journal.damaged-1");
    let old_job = layout.jobs().join("report.json");
    for file in leftovers.iter().chain([&aside, &old_job]) {
        fs::write(file, "half").unwrap();
    }
    write_store(&unused);
    let spare = after.trials().into_iter().map(|trial| layout.best_checkpoint(trial.id));
    let mut expected: Vec<(String, PathBuf)> = spare.map(|path| ("spare_weights".to_owned(), path)).collect();
    expected.extend(leftovers.iter().map(|path| ("leftover".to_owned(), path.clone())));
    expected.extend([
        ("damaged_journal".to_owned(), aside),
        ("old_job".to_owned(), old_job),
        ("unused_store".to_owned(), unused),
    ]);
    let sorted = |mut listed: Vec<(String, PathBuf)>| {
        listed.sort();
        listed
    };
    assert_eq!(sorted(listed(&site, &after, &[])), sorted(expected.clone()));

    let said = lorasweep("gc", &layout, &[]);
    assert!(said.stderr.contains("`--yes` removes it") && said.stderr.contains("2 trials no longer"));
    assert!(said.stdout.contains("token stores that no sweep here reads: 1"), "{}", said.stdout);
    assert!(expected.iter().all(|(_, path)| path.exists()), "nobody said yes");

    let said = lorasweep("gc", &layout, &["--yes"]);
    assert!(said.code == 0 && said.stderr.contains("freed"), "{}", said.stderr);
    assert!(expected.iter().all(|(_, path)| !path.exists()));
    assert!(layout.trial(gone).exists());
    assert_eq!(lorasweep("gc", &layout, &["--yes", "--removed"]).code, 0);
    assert!(before.trials()[..2].iter().all(|trial| !layout.trial(trial.id).exists()));
    assert_eq!(listed(&site, &after, &["--removed"]), []);

    assert_eq!(lorasweep("verify", &layout, &[]).code, 0);
    let again = site.run(&after, leave_all);
    assert_eq!((again.started, again.summary.done), (vec!["report".to_owned()], 2));
}

#[test]
fn trials_beside_the_part_that_ran_last_are_not_removed() {
    let whole = sweep(&[1e-3, 2e-3]);
    let site = finished(&whole);
    let part = whole.with(|sweep| {
        sweep.configurations.truncate(1);
        sweep.only = vec!["learning_rate=1e-3".to_owned()];
    });
    let part = part.unwrap();
    site.run(&part, leave_all);
    let said = lorasweep("gc", &site.layout(&part), &["--removed", "--yes"]);
    assert!(said.code == 0 && said.stderr.contains("a part of the grid (`--only`)"), "{}", said.stderr);
    assert!(whole.trials().iter().all(|trial| site.layout(&part).trial(trial.id).exists()));
}

#[test]
fn the_weights_that_keep_names_stay() {
    let sweep = sweep(&[1e-3]);
    let one = &sweep.configurations[0];
    let training = Training { keep: Keep::Best, ..one.training.clone() };
    let best = Configuration::new(sweep.task(one), sweep.model(one), one.method.clone(), training);
    let sweep = sweep.with(|sweep| sweep.configurations = vec![Arc::new(best)]).unwrap();
    let site = finished(&sweep);
    let layout = site.layout(&sweep);
    let [whole, broken] = [0, 1].map(|n| sweep.trials()[n].id);
    damage(&layout.best_checkpoint(broken));
    let spare = ("spare_weights".to_owned(), layout.last_checkpoint(whole));
    assert_eq!(listed(&site, &sweep, &["--yes"]), [spare], "the last are the only ones the other has");
    assert!(layout.best_checkpoint(whole).exists() && !layout.last_checkpoint(whole).exists());
    assert!(layout.last_checkpoint(broken).exists());
}

#[test]
fn a_link_leads_to_nothing_that_is_removed() {
    let sweep = sweep(&[1e-3]);
    let site = finished(&sweep);
    let run = site.layout(&sweep).run().to_path_buf();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join(".new-1-precious"), "precious").unwrap();
    for link in [".new-1-link", "trials/link", "journal.damaged-7"] {
        std::os::unix::fs::symlink(outside.path(), run.join(link)).unwrap();
    }
    assert_eq!(lorasweep("gc", &site.layout(&sweep), &["--yes", "--removed"]).code, 0);
    assert!(outside.path().join(".new-1-precious").exists());
    assert!(run.join(".new-1-link").symlink_metadata().is_err(), "the link itself is a leftover");
}

#[test]
fn unfinished_trials_keep_all() {
    let sweep = sweep(&[1e-3]);
    let site = finished(&sweep);
    let layout = site.layout(&sweep);
    for trial in sweep.trials() {
        damage(&layout.result(trial.id));
    }
    assert_eq!(listed(&site, &sweep, &["--yes"]), []);
}

#[test]
fn a_run_at_work_is_left_alone() {
    let sweep = sweep(&[1e-3]);
    let site = finished(&sweep);
    let layout = site.layout(&sweep);
    let held = Lock::acquire(&layout.lock()).unwrap();
    let said = lorasweep("gc", &layout, &["--yes"]);
    assert!(said.code == 2 && said.stdout.is_empty(), "{}", said.stdout);
    assert!(said.stderr.contains(&format!("process {} on ", std::process::id())), "{}", said.stderr);
    assert!(layout.best_checkpoint(sweep.trials()[0].id).exists());
    drop(held);

    // Another run of the same folder may be about to read any store.
    let unused = layout.stores().join("00000000000000000000000000000000");
    write_store(&unused);
    let other = Lock::share(&layout.stores_lock()).unwrap();
    assert_eq!(lorasweep("gc", &layout, &["--yes"]).code, 0);
    assert!(unused.exists());
    drop(other);
    assert_eq!(lorasweep("gc", &layout, &["--yes"]).code, 0);
    assert!(!unused.exists());
}

#[test]
fn stores_stay_while_a_sweep_that_may_read_them_cannot_be_read() {
    let sweep = sweep(&[1e-3]);
    let site = finished(&sweep);
    let unused = site.layout(&sweep).stores().join("00000000000000000000000000000000");
    write_store(&unused);
    let other = site.options.results.join("other");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("sweep.json"), "{").unwrap();
    assert_eq!(lorasweep("gc", &site.layout(&sweep), &["--yes"]).code, 0);
    assert!(unused.exists() && store(&site, &sweep).exists());
}
