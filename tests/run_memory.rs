//! The whole program's memory: on a machine that is too small for the batch, by a limit of the kernel's, and where
//! layers are computed again on the way back.
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

/// A decoder of long rows, whose activations take most of a process's memory: one step, and one row to validate on.
const LONG_ROWS: &str = "
name: long-rows
task: {kind: language_modelling, train: train.txt, validation: validation.txt, max_length: 1024}
models:
  small: {architecture: qwen3, layers: 6, hidden: 256, heads: 8, kv_heads: 4, intermediate: 1536, positions: 1024,
          tokenizer: tokenizer}
grid: [{method: lora, model: small, learning_rate: 1e-3}]
training: {epochs: 1, batch_size: 4}
devices: cpu:1
";

fn write_long_rows(folder: &Path) {
    let text = "good text bad row ".repeat(256);
    fs::write(folder.join("train.txt"), text.repeat(4) + "good").unwrap();
    fs::write(folder.join("validation.txt"), text + "good").unwrap();
    fs::create_dir(folder.join("tokenizer")).unwrap();
    let words = ["row", "good", "bad", "text", "<|endoftext|>"];
    let vocabulary: serde_json::Map<_, _> =
        (0..).zip(words).map(|(n, word)| (word.to_owned(), n.into())).collect();
    let tokenizer = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "pre_tokenizer": {"type": "Whitespace"}, "decoder": null, "added_tokens": [],
        "model": {"type": "WordLevel", "unk_token": "row", "vocab": vocabulary},
    });
    fs::write(folder.join("tokenizer/tokenizer.json"), tokenizer.to_string()).unwrap();
    fs::write(folder.join("tokenizer/tokenizer_config.json"), r#"{"eos_token": "<|endoftext|>"}"#).unwrap();
    fs::write(folder.join("sweep.yaml"), LONG_ROWS).unwrap();
}

/// The memory of a trial in MiB, predicted and measured, and its loss.
fn predicted_and_measured(recompute: bool) -> ([f64; 2], f64) {
    let folder = tempfile::tempdir().unwrap();
    write_long_rows(folder.path());
    let set = format!("training.recompute={recompute}");
    let call = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lorasweep"));
        let ended =
            command.args(arguments).args(["--set", &set]).current_dir(folder.path()).output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        ended.stdout
    };
    let plan: serde_json::Value = serde_json::from_slice(&call(&["plan", "sweep.yaml", "--json"])).unwrap();
    let jobs = plan["jobs"].as_array().unwrap().iter().filter(|job| job["kind"] == "train");
    let predicted = jobs.map(|job| job["mem_mib"].as_f64().unwrap()).fold(0.0, f64::max);
    call(&["run", "sweep.yaml", "--quiet"]);
    let layout = Layout::new(&folder.path().join("results"), "long-rows");
    let record = record::load(layout.run()).unwrap();
    let result = record.trials[0].result.as_ref().unwrap();
    let loss = result.validation.as_ref().unwrap().loss().unwrap();
    ([predicted, result.cost.peak_memory_mib], loss)
}

#[test]
fn layers_that_are_computed_again_take_less_memory_as_predicted() {
    let [([_, plain], loss), ([predicted, again], same)] = [false, true].map(predicted_and_measured);
    assert_eq!(loss, same);
    assert!(again < 0.6 * plain, "{again:.0} MiB of {plain:.0} MiB");
    assert!((predicted / again - 1.0).abs() < 0.15, "{predicted:.0} MiB predicted, {again:.0} MiB measured");
}
