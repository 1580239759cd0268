//! A folder with a sweep of tiny trials.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lorasweep::run::layout::Layout;
use lorasweep::trial::TrialId;
use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_lorasweep");

/// Adapters with dropout on an untrained base, models from scratch, and a configuration that diverges.
const SWEEP: &str = "
name: chaos
task: {train: train.csv, test: test.csv, text: [text], label: label, max_length: 8}
models:
  small: {architecture: bert, layers: 1, hidden: 8, heads: 2, intermediate: 8, tokenizer: tokenizer}
grid:
  - {method: lora, model: small, rank: [1, 4], alpha: 4, dropout: 0.2, learning_rate: [@adapters@]}
  - {method: scratch, model: small, learning_rate: [@models@]}
  - {method: scratch, model: small, learning_rate: 1e30}
kfold: {k: @folds@, seed: 1}
training: {epochs: 2, batch_size: 4, evaluate_every: 5, keep: best}
";

/// A sweep, the files that it names, and what comes of it.
pub(crate) struct Site {
    _temporary: TempDir,
    folder: PathBuf,
    pub(crate) layout: Layout,
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let Output { status, stdout, stderr } = output;
        Self { code: status.code(), stdout: text(&stdout), stderr: text(&stderr) }
    }
}

impl Site {
    /// A sweep of so many trials at least; no less than eight.
    pub(crate) fn new(trials: usize) -> Self {
        Self::within("", trials)
    }

    /// The same in a folder of this name.
    pub(crate) fn within(name: &str, trials: usize) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        // Spelled as on the command lines of children.
        let folder = temporary.path().canonicalize().unwrap().join(name);
        fs::create_dir_all(&folder).unwrap();
        write(&folder, trials);
        let layout = Layout::new(&folder.join("results"), "chaos");
        Self { _temporary: temporary, folder, layout }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs the program in the sweep's folder.
    pub(crate) fn lorasweep(&self, args: &[&str]) -> Said {
        Command::new(PROGRAM).args(args).current_dir(&self.folder).output().unwrap().into()
    }

    /// The sweep's first trial.
    pub(crate) fn first_trial(&self) -> TrialId {
        let plan: serde_json::Value =
            serde_json::from_str(&self.lorasweep(&["plan", "chaos.yaml", "--json"]).stdout).unwrap();
        plan["trials"][0]["id"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn journal_length(&self) -> u64 {
        fs::metadata(self.layout.journal()).map_or(0, |journal| journal.len())
    }
}

fn write(folder: &Path, trials: usize) {
    let table = |n: usize| {
        let rows = (0..n).map(|i| format!("{},{}\n", ["good text", "bad row"][i % 2], ["yes", "no"][i % 2]));
        "text,label\n".to_owned() + &rows.collect::<String>()
    };
    let folds = if trials < 20 { 2 } else { 5 };
    // Two configurations of adapters for each rate, one of models, and the one that diverges.
    let rates = trials.div_ceil(folds).saturating_sub(1).div_ceil(3).max(1);
    let rates = |first: f64| {
        let rates: Vec<String> = (0..rates).map(|n| format!("{:e}", first * (1.0 + n as f64))).collect();
        rates.join(", ")
    };
    let sweep = SWEEP
        .replace("@adapters@", &rates(1e-3))
        .replace("@models@", &rates(1e-4))
        .replace("@folds@", &folds.to_string());
    fs::create_dir(folder.join("tokenizer")).unwrap();
    let vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\nbad\ntext\nrow\n";
    for (name, text) in [
        ("train.csv", table(40)),
        ("test.csv", table(8)),
        ("tokenizer/vocab.txt", vocabulary.to_owned()),
        ("chaos.yaml", sweep),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
}
