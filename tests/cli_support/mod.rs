//! A sweep folder and the program, for the tests of the command line.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A sweep of three configurations that can be checked and planned without a pretrained model.
const SWEEP: &str = "\
name: cats-and-dogs
task: {kind: classification, train: train.csv, text: [text], label: label, max_length: 16}
models:
  small: {architecture: bert, layers: 1, hidden: 8, heads: 2, intermediate: 16, tokenizer: vocab.txt}
grid:
  - {method: scratch, model: small, learning_rate: [1e-3, 2e-3, 5e-3]}
kfold: {k: 2, stratified: true, seed: 1}
training: {epochs: 1, batch_size: 4, seed: 1}
devices: cpu
";

/// How a command ended and what it said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program in a folder.
pub(crate) fn lorasweep(folder: &Path, args: &[&str]) -> Said {
    lorasweep_with(folder, args, |_| {})
}

/// Runs the program in a folder, and in surroundings.
pub(crate) fn lorasweep_with(folder: &Path, args: &[&str], surround: impl Fn(&mut Command)) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lorasweep"));
    command.args(args).current_dir(folder).stdin(Stdio::null());
    surround(&mut command);
    let output = command.output().expect("the program starts");
    Said {
        code: output.status.code().expect("no signal ends it"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// A folder with a sweep and the files that it names.
pub(crate) fn sweep_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rows: String = (0..12).map(|i| format!("{}\n", ["the cat,cat", "a dog,dog"][i % 2])).collect();
    let files = [
        ("sweep.yaml", SWEEP.to_owned()),
        ("train.csv", format!("text,label\n{rows}")),
        ("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\na\ncat\ndog\n".to_owned()),
    ];
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("a writable folder");
    }
    folder
}

/// What a folder holds.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
