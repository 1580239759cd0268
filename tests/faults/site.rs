//! A folder with a sweep of tiny trials.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lorasweep::disk::layout::Layout;
use lorasweep::values::TrialId;
use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_lorasweep");

/// Adapters with dropout on an untrained base, models from scratch, and a configuration that diverges.
const SWEEP: &str = "
name: chaos
task: {train: train.csv, test: test.csv, text: [text], label: label, max_length: 8}
models:
  small: {architecture: bert, layers: 1, hidden: 8, heads: 2, intermediate: 8, tokenizer: tokenizer}
grid:
  - {method: lora, model: small, rank: 4, alpha: 4, dropout: 0.2, learning_rate: [@adapters@]}
  - {method: scratch, model: small, learning_rate: [@models@]}
kfold: {k: @folds@, seed: 1}
training: {epochs: @epochs@, batch_size: 4, evaluate_every: 5, keep: best}
";

/// Adapters that are compared, of which one diverges, and a baseline that runs whole. Of 40 steps
/// halving has rungs at 12 and 24, and the median's rule at 8, 16, 24 and 32.
const COMPARED: &str = "
name: chaos
task: {train: train.csv, test: test.csv, text: [text], label: label, max_length: 8}
models:
  small: {architecture: bert, layers: 1, hidden: 8, heads: 2, intermediate: 8, tokenizer: tokenizer}
grid:
  - {method: lora, model: small, rank: 4, alpha: 4, dropout: 0.2, learning_rate: @rates@}
  - {method: scratch, model: small, learning_rate: 1e-3}
search: @search@
kfold: {k: 2, seed: 1}
training: {epochs: 8, batch_size: 4, evaluate_every: 4, keep: best}
";

/// The learning rates of a grid of adapters; the last diverges.
pub(crate) const GRID: &str = "[1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1, 1e30]";
/// A range to draw them from.
pub(crate) const RANGE: &str = "{log_uniform: [1e-5, 1]}";

/// The smallest sweep: one configuration of adapters, and the one that diverges.
pub(crate) const FEW: usize = 4;

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
    /// A sweep of so many trials or a few more.
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

    /// A sweep of adapters with these learning rates that are drawn, compared and stopped like this.
    pub(crate) fn compared(rates: &str, search: &str) -> Self {
        let site = Self::new(FEW);
        site.search(rates, search);
        site
    }

    /// Writes the sweep again, with other learning rates or another `search`.
    pub(crate) fn search(&self, rates: &str, search: &str) {
        let sweep = COMPARED.replace("@rates@", rates).replace("@search@", search);
        fs::write(self.folder.join("chaos.yaml"), sweep).unwrap();
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

    /// Number of trials that have a result.
    pub(crate) fn results(&self) -> usize {
        let trials = fs::read_dir(self.layout.trials()).into_iter().flatten();
        trials.filter(|trial| trial.as_ref().unwrap().path().join("result.json").exists()).count()
    }
}

fn write(folder: &Path, trials: usize) {
    let table = |n: usize| {
        let rows = (0..n).map(|i| format!("{},{}\n", ["good text", "bad row"][i % 2], ["yes", "no"][i % 2]));
        "text,label\n".to_owned() + &rows.collect::<String>()
    };
    let (folds, epochs) = if trials > FEW { (10, 1) } else { (2, 30) };
    let configurations = trials.div_ceil(folds).max(2);
    // Half of them are adapters; of the others the last diverges.
    let rates = |first: f64, count: usize| (1..=count).map(|n| format!("{:e}", first * n as f64)).collect();
    let adapters: Vec<String> = rates(1e-3, configurations / 2);
    let mut models: Vec<String> = rates(1e-4, configurations - configurations / 2 - 1);
    models.push("1e30".to_owned());
    let sweep = SWEEP
        .replace("@adapters@", &adapters.join(", "))
        .replace("@models@", &models.join(", "))
        .replace("@folds@", &folds.to_string())
        .replace("@epochs@", &epochs.to_string());
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
