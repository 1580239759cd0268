//! Runs that earlier versions left are read and looked at, and what they trained is not mixed with what this
//! version trains. In `tests/fixtures/runs`:
//!
//! - `journal_1` was written by the version before the journal's entries became events: one trial is done, one
//!   failed, one was interrupted and has a checkpoint; a job that no longer exists wrote summaries.
//! - `training_2` was trained by the last version that drew dropout masks with libtorch's generator: adapters on
//!   the model of `tests/fixtures/bert`, of which one is done, one was interrupted and one was waiting.
//!
//! `status.json` is what these versions said of them, `predicted.json` the answer of the second one's finished
//! trial to "good row", and `exported.safetensors` its adapter.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should end")]

use std::fs;
use std::path::Path;
use std::process::Command;

use lorasweep::disk::layout::Layout;
use lorasweep::record::ledger::Ledger;
use lorasweep::record::resume::{self, Checkpoint};
use lorasweep::record::{self, TrialState, checkpoint, journal};
use lorasweep::values::{Failure, TrialId, What};
use serde_json::Value;

const DONE: &str = "a5eeee3df3c0d3a5";
const FAILED: &str = "b6be5a8ee355a025";
const INTERRUPTED: &str = "7e8b5ec36099585f";

/// A copy of a run with the files that its sweep names.
fn old_run(name: &str) -> (tempfile::TempDir, Layout) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folder = tempfile::tempdir().unwrap();
    copy(&fixtures.join("runs").join(name), folder.path());
    let tiny = folder.path().join("tiny");
    if tiny.exists() {
        for file in ["config.json", "model.safetensors"] {
            fs::copy(fixtures.join("bert").join(file), tiny.join(file)).unwrap();
        }
    }
    let layout = Layout::new(&folder.path().join("results"), "old");
    let sweep = fs::read_to_string(layout.sweep()).unwrap();
    fs::write(layout.sweep(), sweep.replace("/tmp/fix", folder.path().to_str().unwrap())).unwrap();
    (folder, layout)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, to).unwrap();
        }
    }
}

/// Exit code, standard output and standard error of the program.
fn lorasweep(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let ended =
        Command::new(env!("CARGO_BIN_EXE_lorasweep")).args(args).current_dir(folder).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ended.status.code(), text(ended.stdout), text(ended.stderr))
}

/// Standard output of a command that succeeds.
#[track_caller]
fn said(folder: &Path, args: &[&str]) -> String {
    let (code, stdout, stderr) = lorasweep(folder, args);
    assert_eq!(code, Some(0), "{args:?}: {stderr}");
    stdout
}

/// What `status` says holds all that it said when the run was left.
#[track_caller]
fn assert_status_holds(folder: &Path) {
    let before: Value = serde_json::from_slice(&fs::read(folder.join("status.json")).unwrap()).unwrap();
    let now: Value = serde_json::from_str(&said(folder, &["status", "results/old", "--json"])).unwrap();
    assert!(holds(&now, &before), "{now:#}");
}

fn id(text: &str) -> TrialId {
    text.parse().unwrap()
}

/// Whether one value holds all that another does; it may have more fields.
fn holds(now: &Value, before: &Value) -> bool {
    match (now, before) {
        (Value::Object(now), Value::Object(before)) => {
            before.iter().all(|(key, before)| now.get(key).is_some_and(|now| holds(now, before)))
        }
        (Value::Array(now), Value::Array(before)) => {
            now.len() == before.len() && now.iter().zip(before).all(|(now, before)| holds(now, before))
        }
        (now, before) => now == before,
    }
}

#[test]
fn its_journal_tells_the_same_and_its_jobs_for_summaries_are_passed_over() {
    let (_folder, layout) = old_run("journal_1");
    let replay = journal::read(&layout.journal()).unwrap();
    assert_eq!(replay.dropped(), None);
    // Three entries of the job for summaries are not among them.
    assert_eq!(replay.events.len(), 21);
    assert_eq!(replay.events.last().map(|event| event.what.is_announcement()), Some(true));
    assert!(matches!(replay.events[0].what, What::RunStarted { .. }));
    let ledger = Ledger::replay(&replay.events);
    let diverged = Failure::Diverged { step: 2 };
    assert_eq!(*ledger.state(id(DONE)), TrialState::Done);
    assert_eq!(*ledger.state(id(FAILED)), TrialState::Failed { failure: diverged });
    assert_eq!(*ledger.state(id(INTERRUPTED)), TrialState::Interrupted);
    assert_eq!(resume::checkpoint(&layout.last_checkpoint(id(INTERRUPTED))), Checkpoint::Readable);
    let length = checkpoint::verify(&layout.last_checkpoint(id(INTERRUPTED)), id(INTERRUPTED)).unwrap();
    assert!(length.is_some_and(|bytes| bytes > 0));
    // It can be written on.
    let (mut journal, again) = journal::Journal::open(&layout.journal()).unwrap();
    journal.append(&replay.events[0]).unwrap();
    assert_eq!(again.events, replay.events);
    assert_eq!(journal::read(&layout.journal()).unwrap().events.len(), 22);
}

#[test]
fn every_command_that_looks_at_it_says_what_it_did() {
    let (folder, layout) = old_run("journal_1");
    let said = |args: &[&str]| said(folder.path(), args);
    assert_status_holds(folder.path());
    let status = said(&["status", "results/old"]);
    assert!(status.contains("interrupted, step 81, epoch 9.00 of 20, loss 0.693"), "{status}");
    assert!(said(&["explain", "results/old", FAILED]).contains("diverged at step 2"));
    let verified = said(&["verify", "results/old"]);
    assert!(
        verified.contains("21 journal entries, 1 result,") && verified.contains("damaged: 0"),
        "{verified}"
    );
    let written = said(&["report", "results/old", "--reports", "reports"]);
    assert!(written.contains("report.html"), "{written}");
    let record = record::load(layout.run()).unwrap();
    let lines = |trial: &str| record.trials.iter().find(|of| of.trial.id == id(trial)).unwrap().metrics.len();
    assert!(lines(DONE) > 0 && lines(INTERRUPTED) > 0 && lines(FAILED) == 0);

    assert!(layout.old_summaries().is_dir());
    let freed = said(&["gc", "results/old", "--yes"]);
    assert!(freed.contains("summaries that an earlier version wrote: 1"), "{freed}");
    assert!(!layout.old_summaries().exists());
}

/// What this version trains differently is never mixed with what is done: it is trained again, after a yes.
#[cfg(feature = "torch")]
#[test]
fn each_is_refused_by_name_and_trained_again_when_asked() {
    for (name, trials) in [("journal_1", [DONE, INTERRUPTED]), ("training_2", ADAPTERS)] {
        let (folder, layout) = old_run(name);
        let result = fs::read(layout.result(id(trials[0]))).unwrap();
        let run = ["run", "old.yaml", "--devices", "cpu:1", "--json"];
        let (code, _, stderr) = lorasweep(folder.path(), &run);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("2 of 3 trials would be trained again"), "{stderr}");
        assert!(stderr.contains("this version of lorasweep trains in another way"), "{stderr}");
        assert!(stderr.contains("`--yes` retrains them and sets the old results aside"), "{stderr}");

        let (code, stdout, stderr) = lorasweep(folder.path(), &[&run[..], &["--yes"]].concat());
        let failing = name == "journal_1";
        assert_eq!(code, Some(if failing { 3 } else { 0 }), "{stderr}");
        let events: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let planned = events.iter().find(|event| event["event"] == "run_planned").unwrap();
        assert_eq!([&planned["kept"], &planned["todo"], &planned["continued"]], [0, 3, 0]);
        let record = record::load(layout.run()).unwrap();
        assert!(record.trials.iter().all(|trial| trials.iter().all(|old| trial.trial.id != id(old))));
        assert_eq!(
            record.trials.iter().filter(|trial| trial.result.is_some()).count(),
            if failing { 2 } else { 3 }
        );
        // The old results stay until somebody removes them.
        assert_eq!(fs::read(layout.result(id(trials[0]))).unwrap(), result);
        let verified = said(folder.path(), &["verify", "results/old"]);
        assert!(verified.contains("damaged: 0"), "{verified}");
    }
}

/// The finished and the interrupted trial of `training_2`.
const ADAPTERS: [&str; 2] = ["7ae84b01dbac457a", "e40fb5524c951d64"];

#[test]
fn adapters_of_training_2_are_looked_at_and_reported() {
    let (folder, layout) = old_run("training_2");
    let said = |args: &[&str]| said(folder.path(), args);
    assert_status_holds(folder.path());
    let [done, interrupted] = ADAPTERS;
    let status = said(&["status", "results/old"]);
    assert!(status.contains("interrupted, step 50, epoch 5.56 of 15, loss 0.004"), "{status}");
    for (trial, fate) in [(done, "done"), (interrupted, "interrupted")] {
        let told = said(&["explain", "results/old", trial]);
        assert!(told.contains(fate), "{told}");
    }
    let verified = said(&["verify", "results/old"]);
    assert!(verified.contains("1 result,") && verified.contains("damaged: 0"), "{verified}");
    assert!(verified.contains("an earlier version of lorasweep made it"), "{verified}");
    said(&["report", "results/old", "--reports", "reports"]);
    let [best, last] = [layout.best_checkpoint(id(done)), layout.last_checkpoint(id(done))];
    said(&["gc", "results/old", "--yes"]);
    assert!(!best.exists() && last.exists() && layout.last_checkpoint(id(interrupted)).exists());
}

#[cfg(feature = "torch")]
#[test]
fn an_adapter_of_training_2_answers_and_is_exported_as_before() {
    let (folder, _) = old_run("training_2");
    let folder = folder.path();
    let answer = |text: &str| {
        let mut answer: Value = serde_json::from_str(text).unwrap();
        let numbers: Vec<f64> = ["logits", "probabilities"]
            .iter()
            .flat_map(|key| answer[key].take().as_array().unwrap().clone())
            .map(|number| number.as_f64().unwrap())
            .collect();
        (answer, numbers)
    };
    let asked = said(folder, &["predict", "results/old", ADAPTERS[0], "good row", "--json", "--logits"]);
    let [(now, numbers), (before, expected)] =
        [&asked, &fs::read_to_string(folder.join("predicted.json")).unwrap()].map(|text| answer(text));
    assert_eq!(now, before);
    for (number, expected) in numbers.iter().zip(&expected) {
        assert!((number - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{number} {expected}");
    }
    said(folder, &["export", "results/old", ADAPTERS[0], "--out", "exported"]);
    let [now, before] = ["exported/adapter_model.safetensors", "exported.safetensors"]
        .map(|file| fs::read(folder.join(file)).unwrap());
    assert_eq!(now, before);
}
