//! The whole program on a machine that is too small for the batch, by a limit of the kernel's.
#![cfg(feature = "torch")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should end")]

use std::fs;
use std::path::Path;
use std::process::Command;

use lorasweep::disk::layout::Layout;
use lorasweep::record::{self, TrialState, journal};
use lorasweep::values::{Failure, What};

/// The activations of a step on all 256 rows take far more than the limit, those of 32 far less.
const SWEEP: &str = "
name: small-machine
task: {train: train.csv, test: test.csv, text: [text], label: label, max_length: 128}
models:
  small: {architecture: bert, layers: 2, hidden: 64, heads: 8, intermediate: 256, tokenizer: tokenizer}
grid: [{method: scratch, model: small, learning_rate: 1e-3}]
training: {epochs: 1, batch_size: 256}
";

/// What a process may have of writable memory of its own, in KiB.
const LIMIT_KIB: u64 = 1 << 20;

fn write_sweep(folder: &Path) {
    let text = "good text bad row ".repeat(40);
    let table = |n: usize| {
        let rows = (0..n).map(|i| format!("{text},{}\n", ["yes", "no"][i % 2]));
        "text,label\n".to_owned() + &rows.collect::<String>()
    };
    fs::write(folder.join("train.csv"), table(320)).unwrap();
    fs::write(folder.join("test.csv"), table(8)).unwrap();
    fs::create_dir(folder.join("tokenizer")).unwrap();
    let words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\nbad\ntext\nrow\n";
    fs::write(folder.join("tokenizer/vocab.txt"), words).unwrap();
    fs::write(folder.join("sweep.yaml"), SWEEP).unwrap();
}

#[test]
fn a_trial_that_is_too_large_for_the_machine_learns_in_smaller_parts() {
    let folder = tempfile::tempdir().unwrap();
    write_sweep(folder.path());
    let script = format!("ulimit -d {LIMIT_KIB} && exec \"$0\" run sweep.yaml --devices cpu:1 --quiet");
    let ended = Command::new("/bin/sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_lorasweep")])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let layout = Layout::new(&folder.path().join("results"), "small-machine");
    let record = record::load(layout.run()).unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(record.trials[0].state, TrialState::Done, "{told}");
    let events = journal::read(&layout.journal()).unwrap().events;
    let failed = events.iter().filter_map(|event| {
        if let What::JobFailed { failure, .. } = &event.what { Some(failure) } else { None }
    });
    let failed: Vec<_> = failed.collect();
    assert!(
        !failed.is_empty() && failed.iter().all(|failure| **failure == Failure::OutOfMemory),
        "{failed:?}"
    );
    assert_eq!(record.trials[0].attempts as usize, failed.len() + 1);
}
