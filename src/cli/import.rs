//! `lorasweep import`: an adapter that PEFT saved, checked and made ready for `lorasweep predict`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::adapter::import::{self, Request};
use crate::adapter::{AdapterError, labels};
use crate::disk::FileError;
use crate::error::AppError;
use crate::tasks::Problem;
use crate::ui::output;

/// Arguments of `import`.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// Folder with adapter_config.json and the adapter's tensors
    adapter: PathBuf,
    /// Folder of the model that the adapter was trained on
    #[arg(long, value_name = "FOLDER")]
    base: PathBuf,
    /// Folder to write; it must not exist yet, or be empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Names of the classes in the order of their indices: `a,b,c`, a name with a comma in double
    /// quotes; or one name each time, as it is, where --labels is repeated
    #[arg(long, value_name = "NAMES")]
    labels: Vec<String>,
    /// File with the names of the classes, one per line
    #[arg(long, value_name = "FILE", conflicts_with = "labels")]
    labels_file: Option<PathBuf>,
    /// What the head's numbers mean; without it, the base's `problem_type`, and a score where the head
    /// has one number
    #[arg(long, value_name = "TYPE", value_enum)]
    problem_type: Option<ProblemArg>,
    /// Number of the base's first layers that the adapter was trained on
    #[arg(long, value_name = "N")]
    layers: Option<usize>,
}

/// transformers' words for what the numbers of a classifier's head mean.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum ProblemArg {
    /// One class is right
    SingleLabelClassification,
    /// Each class is right or not by itself
    MultiLabelClassification,
    /// The numbers are what is asked for
    Regression,
}

impl From<ProblemArg> for Problem {
    fn from(word: ProblemArg) -> Self {
        match word {
            ProblemArg::SingleLabelClassification => Self::SingleLabel,
            ProblemArg::MultiLabelClassification => Self::MultiLabel,
            ProblemArg::Regression => Self::Regression,
        }
    }
}

pub(super) fn call(args: &ImportArgs) -> Result<(), AppError> {
    let labels = match (&args.labels[..], &args.labels_file) {
        ([], None) => None,
        ([], Some(file)) => Some(from_file(file)?),
        ([one], _) => Some(labels::split(one)?),
        (names, _) => Some(names.to_vec()),
    };
    if let Some(labels) = &labels {
        labels::check(labels)?;
    }
    let request = Request {
        adapter: &args.adapter,
        base: &args.base,
        out: &args.out,
        labels: labels.as_deref(),
        problem: args.problem_type.map(Problem::from),
        layers: args.layers,
    };
    let imported = import::import(&request)?;
    for note in &imported.notes {
        output::warning(note);
    }
    output::paths(&imported.files)
}

fn from_file(path: &Path) -> Result<Vec<String>, AppError> {
    let text = std::fs::read_to_string(path).map_err(FileError::of("read", path))?;
    let labels = labels::lines(&text);
    if labels.is_empty() {
        let reason = format!("are missing: `{}` has no line of text", path.display());
        return Err(AdapterError::LabelNames { reason }.into());
    }
    Ok(labels)
}
