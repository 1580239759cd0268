//! Folders that cannot be written to, that have odd names, and processes with few file descriptors.

use std::fs;
use std::process::Command;

use crate::disk::with_mounts;
use crate::fates::Fates;
use crate::life::{Ended, Life};
use crate::site::{FEW, PROGRAM, Said, Site};

#[test]
fn a_read_only_results_folder_is_refused_before_anything_runs() {
    let site = Site::new(FEW);
    fs::create_dir(site.folder().join("disk")).unwrap();
    let script = r#"
        mount -t tmpfs tmpfs disk; mkdir disk/results; mount -o remount,ro disk
        exec "$0" run chaos.yaml --results disk/results"#;
    let Some(said) = with_mounts(&site, script) else { return };
    assert_eq!(said.code, Some(5), "{}", said.stderr);
    for words in ["cannot write to `disk/results`: Read-only file system", "hint: ", "--results"] {
        assert!(said.stderr.contains(words), "no `{words}` in {}", said.stderr);
    }
    assert!(!site.folder().join("reports").exists() && said.stdout.is_empty());
}

/// The folder's permissions say nothing of a disk that has no room.
#[test]
fn a_full_reports_folder_is_refused_before_anything_runs() {
    let site = Site::new(FEW);
    fs::create_dir(site.folder().join("disk")).unwrap();
    let script = r#"
        mount -t tmpfs -o size=4k tmpfs disk; head -c 4096 /dev/zero > disk/ballast
        exec "$0" run chaos.yaml --reports disk"#;
    let Some(said) = with_mounts(&site, script) else { return };
    assert_eq!(said.code, Some(5), "{}", said.stderr);
    for words in ["cannot write to `disk`: No space left on device", "free some space", "--reports"] {
        assert!(said.stderr.contains(words), "no `{words}` in {}", said.stderr);
    }
    assert!(!site.layout.run().exists() && said.stdout.is_empty());
}

/// An archive, or a disk that the kernel has made read-only after an error.
#[test]
fn a_run_in_a_read_only_folder_can_still_be_looked_at() {
    let site = Site::new(FEW);
    assert_eq!(Life::start(&site, None).live(), Ended::Over);
    let trial = site.first_trial();
    let script = format!(
        r#"mount --bind results results; mount -o remount,bind,ro results
        if touch results/chaos/new; then exit 9; fi
        "$0" status chaos; "$0" verify chaos; "$0" explain chaos {trial}; "$0" report chaos --reports elsewhere"#
    );
    let Some(said) = with_mounts(&site, &script) else { return };
    assert_eq!(said.code, Some(0), "{said:?}");
    let table = |folder| fs::read(site.folder().join(folder).join("chaos/configurations.csv")).unwrap();
    assert_eq!(table("elsewhere"), table("reports"));
}

#[test]
fn spaces_quotes_and_other_scripts_in_a_path_are_letters_like_others() {
    let site = Site::within("mit Leerzeichen/é 測試 'q' \"d\" $HOME `x` ;&", FEW);
    let life = Life::start(&site, Some(1));
    life.wait_for_progress();
    assert_eq!(life.interrupt(), Ended::Stopped);
    let life = Life::start(&site, None);
    life.wait_for_progress();
    life.signal(rustix::process::Signal::KILL);
    assert_eq!(life.live(), Ended::Killed);
    assert_eq!(Life::start(&site, None).live(), Ended::Over);
    Fates::of(&site).assert_same(Fates::undisturbed());
    let run = site.layout.run().to_string_lossy().into_owned();
    let trial = site.first_trial().to_string();
    for args in [&["status", &run][..], &["explain", &run, &trial], &["logs", &run, &trial]] {
        let said = site.lorasweep(args);
        assert_eq!(said.code, Some(0), "{args:?}: {}", said.stderr);
    }
}

#[test]
fn a_sweep_needs_few_file_descriptors() {
    let site = Site::new(40);
    let script = "ulimit -n 256; exec \"$0\" run chaos.yaml --devices cpu:2 --quiet";
    let ended =
        Command::new("/bin/sh").args(["-c", script, PROGRAM]).current_dir(site.folder()).output().unwrap();
    let said = Said::from(ended);
    // One configuration of ten trials diverges.
    assert_eq!((said.code, site.results()), (Some(3), 30), "{}", said.stderr);
}
