//! Disks that are full, for each kind of file and for all at once, or that turn read-only. Needs mounts
//! of its own.

use std::fs;
use std::process::Command;

use lorasweep::record::{self, TrialState};

use crate::fates::Fates;
use crate::life::{Ended, Life};
use crate::site::{FEW, PROGRAM, Said, Site};

const RUN: &str = r#""$0" run chaos.yaml --devices cpu:2 --quiet"#;

/// Runs a shell script in the sweep's folder, with mounts that nobody else sees and that are gone at
/// its end; `$0` is the program. `None` where this machine does not let us mount.
#[expect(clippy::print_stdout, reason = "a test that skips says why")]
pub(crate) fn with_mounts(site: &Site, script: &str) -> Option<Said> {
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "/bin/sh", "-euc", script, PROGRAM]);
        command.current_dir(site.folder()).output()
    };
    match unshare("mount -t tmpfs tmpfs /mnt") {
        Ok(tried) if tried.status.success() => Some(unshare(script).unwrap().into()),
        Ok(tried) => {
            println!("skipped, nothing can be mounted: {}", String::from_utf8_lossy(&tried.stderr));
            None
        }
        Err(error) => {
            println!("skipped, `unshare` does not start: {error}");
            None
        }
    }
}

/// The run stopped for the disk and fails no trial for it; with room again it ends as if nothing had
/// happened.
#[track_caller]
fn stopped_and_goes_on(site: &Site, said: &Said) {
    assert_eq!(said.code, Some(5), "{}", said.stderr);
    // Where there was no room for the reason either, the child's exit code tells it.
    let why = ["No space left on device", "Read-only file system", "its files cannot be written"];
    assert!(why.iter().any(|why| said.stderr.contains(why)), "{}", said.stderr);
    for words in ["hint: ", "continues"] {
        assert!(said.stderr.contains(words), "no `{words}` in {}", said.stderr);
    }
    if let Ok(record) = record::load(site.layout.run()) {
        let undisturbed = Fates::undisturbed();
        for trial in record.trials {
            let failed = matches!(trial.state, TrialState::Failed { .. });
            assert!(!failed || undisturbed.failed(trial.trial.id), "{:?}", trial.state);
        }
    }
    assert_eq!(Life::start(site, None).live(), Ended::Over);
    let fates = Fates::of(site);
    fates.assert_each_once();
    fates.assert_same(Fates::undisturbed());
}

#[test]
fn no_room_for_a_checkpoint() {
    let site = Site::new(FEW);
    let trial = site.first_trial();
    let folder = site.layout.last_checkpoint(trial).parent().unwrap().to_path_buf();
    fs::create_dir_all(&folder).unwrap();
    let folder = folder.display();
    let full =
        format!("mount -t tmpfs -o size=4k tmpfs '{folder}'; head -c 4096 /dev/zero > '{folder}/ballast'");
    let Some(said) = with_mounts(&site, &format!("{full}; exec {RUN}")) else { return };
    stopped_and_goes_on(&site, &said);
}

#[test]
fn no_room_for_metrics() {
    let site = Site::new(FEW);
    let metrics = site.layout.metrics(site.first_trial());
    fs::create_dir_all(metrics.parent().unwrap()).unwrap();
    fs::create_dir(site.folder().join("full")).unwrap();
    std::os::unix::fs::symlink(site.folder().join("full/metrics"), &metrics).unwrap();
    let full = "mount -t tmpfs -o size=4k tmpfs full; head -c 4096 /dev/zero > full/ballast";
    let Some(said) = with_mounts(&site, &format!("{full}; exec {RUN}")) else { return };
    fs::remove_file(metrics).unwrap();
    stopped_and_goes_on(&site, &said);
}

#[test]
fn no_room_for_the_journal() {
    // The journal tells where the run was started: with such a folder it needs more than a page.
    let site = Site::within(&vec!["x".repeat(200); 6].join("/"), FEW);
    let journal = site.layout.journal();
    fs::create_dir_all(site.layout.run()).unwrap();
    fs::create_dir(site.folder().join("full")).unwrap();
    std::os::unix::fs::symlink(site.folder().join("full/journal"), &journal).unwrap();
    let full = "mount -t tmpfs -o size=4k tmpfs full";
    let script =
        format!("{full}; code=0; {RUN} --pack-slots 1 || code=$?; cp full/journal saved; exit $code");
    let Some(said) = with_mounts(&site, &script) else { return };
    fs::remove_file(&journal).unwrap();
    fs::rename(site.folder().join("saved"), &journal).unwrap();
    assert_eq!(fs::metadata(&journal).unwrap().len(), 4096);
    stopped_and_goes_on(&site, &said);
}

#[test]
fn no_room_for_the_report() {
    let site = Site::new(FEW);
    fs::create_dir(site.folder().join("reports")).unwrap();
    let full = "mount -t tmpfs -o size=4k tmpfs reports";
    let Some(said) = with_mounts(&site, &format!("{full}; exec {RUN}")) else { return };
    stopped_and_goes_on(&site, &said);
}

#[test]
fn no_room_for_a_token_store() {
    let site = Site::new(FEW);
    fs::create_dir_all(site.layout.stores()).unwrap();
    let full =
        "mount -t tmpfs -o size=4k tmpfs results/.stores; head -c 4096 /dev/zero > results/.stores/ballast";
    let Some(said) = with_mounts(&site, &format!("{full}; exec {RUN}")) else { return };
    stopped_and_goes_on(&site, &said);
}

/// The disk of all results runs full some time after the sweep began: every kind of file may be the
/// first that finds no room.
#[test]
fn no_room_for_anything_any_more() {
    let site = Site::new(FEW);
    fs::create_dir(site.folder().join("results")).unwrap();
    let script = format!(
        r#"mount -t tmpfs -o size=64m tmpfs results
        {RUN} --json > events & run=$!
        until grep -q job_launching events; do kill -0 $run; sleep 0.01; done
        free=$(df -k results | awk 'END {{ print $4 }}')
        head -c $((free - 40))K /dev/zero > results/ballast
        code=0; wait $run || code=$?
        rm results/ballast; cp -a results saved; exit $code"#
    );
    let Some(said) = with_mounts(&site, &script.replace("--quiet --json", "--json")) else { return };
    fs::remove_dir(site.folder().join("results")).unwrap();
    fs::rename(site.folder().join("saved"), site.folder().join("results")).unwrap();
    stopped_and_goes_on(&site, &said);
}

/// The disk of all results turns read-only while the sweep is at work, as ext4 does after an error:
/// from then on a read-only mount lies over it.
#[test]
fn a_disk_that_turns_read_only() {
    let site = Site::new(FEW);
    fs::create_dir(site.folder().join("results")).unwrap();
    let script = format!(
        r#"{RUN} --json > events & run=$!
        until grep -q job_launching events; do kill -0 $run; sleep 0.01; done
        mount --bind results results
        # Busy while a file is open for writing there: tried until none is.
        until mount -o remount,bind,ro results; do kill -0 $run; sleep 0.01; done
        code=0; wait $run || code=$?; exit $code"#
    );
    let Some(said) = with_mounts(&site, &script.replace("--quiet --json", "--json")) else { return };
    stopped_and_goes_on(&site, &said);
}
