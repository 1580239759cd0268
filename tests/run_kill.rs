//! The whole program, killed again and again: every trial is trained to its end once.
#![cfg(feature = "torch")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should end")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lorasweep::disk::layout::Layout;
use lorasweep::record::{self, TrialState, journal};
use lorasweep::values::What;

const SWEEP: &str = "
name: killed
task: {train: train.csv, test: test.csv, text: [text], label: label, max_length: 8}
models:
  small: {architecture: bert, layers: 1, hidden: 8, heads: 2, intermediate: 8, tokenizer: tokenizer}
grid: [{method: scratch, model: small, learning_rate: [1e-3, 2e-3]}]
kfold: {k: 2, seed: 1}
training: {epochs: 2, batch_size: 4, evaluate_every: 5}
";

fn write_sweep(folder: &Path) -> PathBuf {
    let rows =
        |n: usize| (0..n).map(|i| format!("{},{}\n", ["good text", "bad row"][i % 2], ["yes", "no"][i % 2]));
    let table = |n| "text,label\n".to_owned() + &rows(n).collect::<String>();
    fs::write(folder.join("train.csv"), table(40)).unwrap();
    fs::write(folder.join("test.csv"), table(8)).unwrap();
    fs::create_dir(folder.join("tokenizer")).unwrap();
    fs::write(folder.join("tokenizer/vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\nbad\ntext\nrow\n")
        .unwrap();
    let path = folder.join("killed.yaml");
    fs::write(&path, SWEEP).unwrap();
    path
}

/// Runs the sweep and kills it after so many events. Says whether it ended by itself.
fn run(folder: &Path, sweep: &Path, n_events: usize) -> bool {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lorasweep"))
        .current_dir(folder)
        .args(["run", "--json", "--devices", "cpu:1"])
        .arg(sweep)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let events = BufReader::new(child.stdout.take().unwrap()).lines().take(n_events).count();
    if events == n_events {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    let by_itself = events < n_events;
    assert!(status.success() || !by_itself, "{status}");
    by_itself
}

#[test]
fn a_sweep_that_is_killed_again_and_again_trains_every_trial_once() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = write_sweep(folder.path());
    let kills = (3..).step_by(4).take_while(|n| !run(folder.path(), &sweep, *n)).count();
    assert!(kills > 1, "the sweep ended before it could be killed");

    let layout = Layout::new(&folder.path().join("results"), "killed");
    let record = record::load(layout.run()).unwrap();
    assert_eq!(record.trials.len(), 4);
    assert!(record.trials.iter().all(|trial| trial.state == TrialState::Done));
    let mut finished = BTreeMap::new();
    for event in journal::read(&layout.journal()).unwrap().events {
        if let What::TrialFinished { trial, .. } = event.what {
            *finished.entry(trial).or_insert(0) += 1;
        }
    }
    assert!(finished.values().all(|times| *times == 1), "{finished:?}");
}
