//! Runs that earlier versions left are read, looked at and continued by this one. In `tests/fixtures/runs`:
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

#[cfg(feature = "torch")]
#[test]
fn it_is_continued_from_its_checkpoint_and_what_is_done_stays() {
    use lorasweep::values::MetricLine;

    let (folder, layout) = old_run("journal_1");
    let result = fs::read(layout.result(id(DONE))).unwrap();
    let before = record::metrics(&layout, id(INTERRUPTED));
    let run = ["run", "old.yaml", "--devices", "cpu:1", "--pack-slots", "1", "--json"];
    let (code, stdout, stderr) = lorasweep(folder.path(), &run);
    assert_eq!(code, Some(3), "one trial failed before: {stderr}");
    let events: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |name: &str| events.iter().filter(|event| event["event"] == name).collect::<Vec<_>>();
    let planned = of("run_planned")[0];
    assert_eq!([&planned["kept"], &planned["todo"], &planned["continued"]], [1, 1, 1]);
    let first = &of("trial_progressed")[0]["progress"];
    assert!(first["trial"] == INTERRUPTED && first["step"].as_u64() > Some(80), "{first}");
    assert_eq!(of("trial_finished").len(), 1);

    let record = record::load(layout.run()).unwrap();
    let states: Vec<_> = record.trials.iter().map(|trial| trial.state.name()).collect();
    assert_eq!(states, ["done", "failed", "done"]);
    assert_eq!(fs::read(layout.result(id(DONE))).unwrap(), result);
    let after = record::metrics(&layout, id(INTERRUPTED));
    assert_eq!(after[..before.len()], before, "the steps before the checkpoint are not trained again");
    let last = after.iter().rev().find_map(|line| match line {
        MetricLine::Train { step, .. } => Some(*step),
        MetricLine::Validation { .. } => None,
    });
    assert_eq!(last, Some(180));
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
