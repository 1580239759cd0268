//! `refit` from the outside: a sweep ends with a model that was trained on all rows.
#![cfg(feature = "torch")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should end")]

#[expect(dead_code, reason = "other tests use the rest")]
mod cli_support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use cli_support::{Said, lorasweep, names};
use lorasweep::disk::layout::Layout;
use lorasweep::record::{self, RunRecord, TrialState};
use lorasweep::train::checkpoint;
use lorasweep::values::{Splitting, TrialId};
use serde_json::Value;
use tempfile::TempDir;

const SWEEP: &str = "\
name: pets
task: {kind: classification, train: train.csv, test: test.csv, text: [text], label: label, max_length: 8}
models:
  small: {architecture: bert, layers: 1, hidden: 8, heads: 2, intermediate: 8, tokenizer: vocab.txt}
grid: [{method: scratch, model: small, learning_rate: [1e-4, 3e-2]}]
kfold: {k: 2, stratified: true, seed: 1}
training: {epochs: 5, batch_size: 4, seed: 7}
devices: cpu
";

const ROWS: usize = 40;
const TEST_ROWS: usize = 10;

/// A folder with a sweep, after these changes to its file.
fn folder(changes: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let row = |i: usize| ["the cat sat,cat\n", "a dog ran,dog\n"][i % 2];
    let table = |n: usize| "text,label\n".to_owned() + &(0..n).map(row).collect::<String>();
    let sweep = changes.iter().fold(SWEEP.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    let vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\na\ncat\ndog\nsat\nran\n";
    for (name, text) in [
        ("sweep.yaml", sweep),
        ("train.csv", table(ROWS)),
        ("test.csv", table(TEST_ROWS)),
        ("vocab.txt", vocabulary.to_owned()),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// A folder with a finished run.
fn run(changes: &[(&str, &str)]) -> TempDir {
    let folder = folder(changes);
    done(folder.path(), &["run", "sweep.yaml", "--quiet"]);
    folder
}

#[track_caller]
fn done(folder: &Path, words: &[&str]) -> Said {
    let said = lorasweep(folder, words);
    assert_eq!(said.code, 0, "{words:?}: {}", said.stderr);
    said
}

#[track_caller]
fn refused(folder: &Path, words: &[&str], parts: &[&str]) {
    let said = lorasweep(folder, words);
    assert_eq!(said.code, 2, "{words:?}: {}", said.stderr);
    for part in parts {
        assert!(said.stderr.contains(part), "{words:?}: no `{part}` in {}", said.stderr);
    }
}

fn refit(folder: &Path) -> (Layout, RunRecord) {
    let layout = Layout::new(&folder.join("results"), "pets").refit();
    let record = record::load(layout.run()).unwrap();
    (layout, record)
}

fn events(said: &Said) -> Vec<Value> {
    said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The labels that a model gives to two texts.
fn answers(folder: &Path, model: &[&str]) -> [String; 2] {
    ["the cat sat", "a dog ran"].map(|text| {
        let said = done(folder, &[&["predict", "--json"], model, &[text]].concat());
        serde_json::from_str::<Value>(&said.stdout).unwrap()["label"].as_str().unwrap().to_owned()
    })
}

#[test]
fn a_sweep_ends_with_a_model_of_all_rows_that_can_be_asked_and_exported() {
    let folder = run(&[]);
    let path = folder.path();
    refused(path, &["predict", "pets", "--best", "a cat"], &["`pets` has no refit", "lorasweep refit pets"]);
    let said = done(path, &["refit", "pets"]);
    for part in
        ["selected: validation accuracy 100.0 ± 0.0 % over 2 trials, the best of 2 configurations", "lr 3e-2"]
    {
        assert!(said.stderr.contains(part), "no `{part}` in {}", said.stderr);
    }
    for part in ["on all 40 training rows", "on 10 test rows", "lorasweep predict pets --best 'a text'"] {
        assert!(said.stdout.contains(part), "no `{part}` in {}", said.stdout);
    }
    let (layout, refitted) = refit(path);
    let before = record::load(Layout::new(&path.join("results"), "pets").run()).unwrap();
    let [trial] = &refitted.trials[..] else { panic!("one seed, one trial") };
    assert_eq!(refitted.sweep.splitting, Splitting::All);
    assert!(
        before.trials.iter().any(|one| one.trial.configuration == trial.trial.configuration),
        "its settings"
    );
    let result = trial.finished().unwrap();
    assert_eq!((result.validation.clone(), result.cost.train_rows), (None, 5 * ROWS as u64));
    assert_eq!(result.cost.evaluated_rows, TEST_ROWS as u64);

    let id = trial.trial.id.to_string();
    let wanted = ["cat", "dog"].map(str::to_owned);
    assert_eq!(answers(path, &["pets", "--best"]), wanted);
    assert_eq!(answers(path, &["pets.refit", &id[..9]]), wanted);
    assert_eq!(answers(path, &["pets.refit", "--best"]), wanted);
    done(path, &["export", "pets", "--best", "--out", "model"]);
    assert_eq!(answers(path, &["--model", "model"]), wanted);
    let card = fs::read_to_string(path.join("model/README.md")).unwrap();
    for part in [
        "Refitted on all 40 training rows: this configuration was selected on validation rows in the sweep `pets`",
        "| rows | metric | this model | 1 of 1 seeds | 2 of 2 trials of `pets` |",
        "| validation | accuracy | – | – | 100.00 ± 0.00 |",
        "| test | accuracy | 100.00 | 100.00 | – |",
    ] {
        assert!(card.contains(part), "no `{part}` in {card}");
    }

    // It is a run as any other, and the other is what it was.
    for run in ["pets", "pets.refit"] {
        assert!(done(path, &["status", run]).stderr.contains("all trials are done"));
        assert!(done(path, &["verify", run]).stdout.contains("damaged: 0"));
        let garbage = done(path, &["gc", run, "--removed"]).stdout;
        assert!(!garbage.contains("token store") && !garbage.contains(&id), "{garbage}");
    }
    let report = fs::read_to_string(path.join("reports/pets.refit/report.md")).unwrap();
    assert!(report.contains("Refitted on all training rows"), "{report}");
    refused(path, &["refit", "pets.refit"], &["is a refit itself, of `pets`", "lorasweep refit pets"]);
    let again = done(path, &["refit", "pets", "--json"]);
    assert!(!again.stdout.contains("trial_finished"), "what is done is kept");
    assert_eq!(events(&again).last().unwrap()["trials"][0]["trial"], id);
    assert_eq!(refit(path).0, layout);
    assert_eq!(names(&path.join("results")).iter().filter(|name| !name.starts_with('.')).count(), 2);
}

#[test]
fn the_first_seed_is_the_model_whatever_the_test_rows_say() {
    let folder = run(&[]);
    let path = folder.path();
    let said = done(path, &["refit", "pets", "--seeds", "3", "--json"]);
    let events = events(&said);
    let told = events.last().unwrap();
    let seeds: Vec<_> = told["trials"].as_array().unwrap().iter().map(|one| one["seed"].clone()).collect();
    assert_eq!((told["event"].as_str(), seeds), (Some("refitted"), vec![7.into(), 8.into(), 9.into()]));
    let (layout, record) = refit(path);
    assert!(record.trials.iter().all(|trial| trial.state == TrialState::Done));

    // Were the test rows to choose, it would be another one.
    let first = record.trials[0].trial.id;
    let mut result = record.trials[0].result.clone().unwrap();
    result.test.as_mut().unwrap().set(lorasweep::values::Metric::Accuracy, 0.01);
    lorasweep::disk::files::write_sealed(&layout.result(first), &result).unwrap();
    done(path, &["export", "pets", "--best", "--out", "model"]);
    let card = fs::read_to_string(path.join("model/README.md")).unwrap();
    assert!(card.contains(&format!("# Model of trial {first}")), "{card}");
    assert!(card.contains("3 of 3 seeds") && card.contains("| test | accuracy | 1.00 |"), "{card}");
}

/// Refits and kills after so many events. Says whether it ended by itself, and how many trials went on from a
/// checkpoint.
fn refit_for(folder: &Path, n_events: usize) -> (bool, u64) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lorasweep"))
        .current_dir(folder)
        .args(["refit", "pets", "--json", "--checkpoint-every", "1ms"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let events: Vec<Value> =
        lines.take(n_events).map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let by_itself = events.len() < n_events;
    if !by_itself {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    assert!(status.success() || !by_itself, "{status}");
    (by_itself, events.iter().filter_map(|event| event["continued"].as_u64()).sum())
}

/// What training decides: the weights, and all of the result but times.
fn decided(folder: &Path) -> BTreeMap<TrialId, (BTreeMap<String, Vec<f32>>, Value)> {
    let (layout, record) = refit(folder);
    let of = |trial: &record::TrialRecord| {
        let id = trial.trial.id;
        let (_, tensors) = checkpoint::load(&layout.last_checkpoint(id)).unwrap();
        let numbers = |tensor: tch::Tensor| Vec::<f32>::try_from(tensor.view([-1])).unwrap();
        let tensors = tensors.into_iter().map(|(name, tensor)| (name, numbers(tensor))).collect();
        let mut result = serde_json::to_value(trial.finished().unwrap()).unwrap();
        result["cost"].take();
        (id, (tensors, result))
    };
    record.trials.iter().map(of).collect()
}

#[test]
fn killed_again_and_again_it_ends_with_the_same_weights() {
    let folder = run(&[]);
    let path = folder.path();
    done(path, &["refit", "pets", "--quiet"]);
    let undisturbed = decided(path);
    fs::remove_dir_all(path.join("results/pets.refit")).unwrap();
    let mut continued = 0;
    let ends = |n: &usize| {
        let (by_itself, more) = refit_for(path, *n);
        continued += more;
        by_itself
    };
    assert!((5..).step_by(3).find(ends) > Some(5), "it ended before it could be killed");
    assert!(continued > 0, "no trial went on from a checkpoint");
    assert_eq!(decided(path), undisturbed);
}

#[test]
fn with_a_validation_file_what_is_trained_is_taken_over() {
    let folder = run(&[
        ("kfold: {k: 2, stratified: true, seed: 1}\n", ""),
        ("test: test.csv", "validation: test.csv"),
    ]);
    let path = folder.path();
    let said = done(path, &["refit", "pets", "--json"]);
    assert!(!said.stdout.contains("trial_progressed"), "{}", said.stdout);
    let (_, refitted) = refit(path);
    let before = record::load(Layout::new(&path.join("results"), "pets").run()).unwrap();
    let own = &refitted.trials[0];
    let selected = before.trials.iter().find(|one| one.trial == own.trial).unwrap();
    assert_eq!(own.finished(), selected.finished());
    assert_eq!(answers(path, &["pets", "--best"]), ["cat", "dog"].map(str::to_owned));
    let said = done(path, &["refit", "pets", "--quiet"]);
    assert!(said.stdout.contains("no test rows"), "{}", said.stdout);
}

#[test]
fn what_cannot_be_refitted_says_what_to_do() {
    let folder = folder(&[]);
    let path = folder.path();
    refused(path, &["refit", "pets"], &["`pets` is not a run", "lorasweep run SPEC"]);
    let only = ["run", "sweep.yaml", "--quiet", "--only", "learning_rate=3e-2"];
    done(path, &only);
    refused(path, &["refit", "pets", "--task", "other"], &["no task `other`", "its tasks: `task`"]);
    refused(path, &["refit", "pets", "--configuration", "zz"], &["no configuration", "configurations.csv"]);
    refused(path, &["refit", "pets", "--trial", "zz"], &["no trial or configuration"]);
    let (trial, configuration) = {
        let record = record::load(Layout::new(&path.join("results"), "pets").run()).unwrap();
        let trial = &record.trials[1].trial;
        (trial.id.to_string(), trial.configuration.id.to_string())
    };
    // A result is lost: the trial is not finished any more.
    let result = path.join("results/pets/trials").join(&trial).join("result.json");
    let kept = fs::read(&result).unwrap();
    fs::remove_file(&result).unwrap();
    refused(path, &["refit", "pets"], &["1 trial is not finished", "--partial", "lorasweep run sweep.yaml"]);
    refused(path, &["refit", "pets", "--configuration", &configuration[..9]], &["1 of 2 trials done"]);
    fs::write(&result, kept).unwrap();

    // Tokens that are stored are those of the recorded data; without them, the data must be the same.
    let data = fs::read_to_string(path.join("train.csv")).unwrap();
    fs::write(path.join("train.csv"), data + "another cat,cat\n").unwrap();
    fs::remove_dir_all(path.join("results/.stores")).unwrap();
    refused(path, &["refit", "pets"], &["train.csv", "has changed since it was checked"]);
    fs::write(path.join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n").unwrap();
    refused(path, &["refit", "pets"], &["vocab.txt", "has changed since the run"]);
    assert!(!path.join("results/pets.refit").exists(), "nothing is begun");
}
