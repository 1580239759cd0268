//! Files that change, are damaged or go away while a sweep is under way.

use std::fs;
use std::path::PathBuf;

use lorasweep::record::{self, TrialState};

use crate::fates::Fates;
use crate::life::{Ended, Life};
use crate::site::{FEW, Site};

/// A sweep that was interrupted when some of it was at work.
fn half_done() -> Site {
    let site = Site::new(FEW);
    let life = Life::start(&site, Some(1));
    life.wait_for_progress();
    assert_eq!(life.interrupt(), Ended::Stopped);
    site
}

fn ends_as_undisturbed(site: &Site) {
    assert_eq!(Life::start(site, None).live(), Ended::Over);
    let fates = Fates::of(site);
    fates.assert_each_once();
    fates.assert_same(Fates::undisturbed());
}

/// The token store, and the checkpoints of trials that were interrupted.
fn what_the_next_run_needs(site: &Site) -> Vec<PathBuf> {
    let record = record::load(site.layout.run()).unwrap();
    let open = record.trials.iter().filter(|trial| trial.state == TrialState::Interrupted);
    let mut files: Vec<_> = open.map(|trial| site.layout.last_checkpoint(trial.trial.id)).collect();
    files.retain(|file| file.exists());
    assert!(!files.is_empty(), "nothing was at work");
    let stores = fs::read_dir(site.layout.stores()).unwrap().map(|entry| entry.unwrap().path());
    files.extend(stores.map(|store| store.join("train.tokens")).filter(|file| file.exists()));
    files
}

#[test]
fn damaged_checkpoints_and_stores_are_told_and_made_again() {
    let site = half_done();
    let files = what_the_next_run_needs(&site);
    for (n, file) in files.iter().enumerate() {
        let mut bytes = fs::read(file).unwrap();
        if n % 2 == 0 {
            *bytes.last_mut().unwrap() ^= 1;
        } else {
            bytes.truncate(bytes.len() / 2);
        }
        fs::write(file, bytes).unwrap();
    }
    let said = site.lorasweep(&["verify", "chaos"]);
    let damaged = format!("damaged: {}", files.len());
    assert!(said.code == Some(1) && said.stdout.contains(&damaged), "{said:?}");
    ends_as_undisturbed(&site);
}

#[test]
fn data_that_goes_away_while_trials_train_is_not_missed() {
    let site = Site::new(FEW);
    let life = Life::start(&site, Some(1));
    life.wait_for_progress();
    fs::rename(site.folder().join("train.csv"), site.folder().join("elsewhere.csv")).unwrap();
    assert_eq!(life.live(), Ended::Over);
    Fates::of(&site).assert_same(Fates::undisturbed());
    let again = site.lorasweep(&["run", "chaos.yaml", "--devices", "cpu:2"]);
    assert!(again.code == Some(2) && again.stderr.contains("train.csv"), "{}", again.stderr);
    assert_eq!(site.lorasweep(&["status", "chaos"]).code, Some(0));
}

#[test]
fn changed_data_makes_new_trials_and_the_old_ones_wait_for_it_to_come_back() {
    let site = half_done();
    let before = record::load(site.layout.run()).unwrap();
    let data = site.folder().join("train.csv");
    let whole = fs::read_to_string(&data).unwrap();
    fs::write(&data, format!("{whole}good row,yes\n")).unwrap();
    let asked = site.lorasweep(&["run", "chaos.yaml", "--devices", "cpu:2"]);
    assert!(asked.code == Some(2) && asked.stderr.contains("the training data changed"), "{asked:?}");
    assert_eq!(Life::start(&site, None).live(), Ended::Over);
    let changed = record::load(site.layout.run()).unwrap();
    let old: Vec<_> = before.trials.iter().map(|trial| trial.trial.id).collect();
    assert!(changed.trials.iter().all(|trial| !old.contains(&trial.trial.id)));
    assert!(!changed.removed.is_empty() && changed.removed.iter().all(|trial| old.contains(trial)));

    fs::write(&data, whole).unwrap();
    ends_as_undisturbed(&site);
}
