//! `lorasweep import`: an adapter that PEFT saved, checked and made ready for `lorasweep predict`.

use std::path::PathBuf;

use clap::Args;

use super::print_paths;
use crate::adapter::import::{self, Request};
use crate::error::AppError;

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Folder with adapter_config.json and the adapter's tensors
    adapter: PathBuf,
    /// Folder of the model that the adapter was trained on
    #[arg(long, value_name = "FOLDER")]
    base: PathBuf,
    /// Folder to write; it must not exist yet, or be empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Names of the classes, in the order of their indices
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    labels: Option<Vec<String>>,
    /// Number of the base's first layers that the adapter was trained on
    #[arg(long, value_name = "N")]
    layers: Option<usize>,
}

pub(super) fn call(args: &ImportArgs) -> Result<(), AppError> {
    let request = Request {
        adapter: &args.adapter,
        base: &args.base,
        out: &args.out,
        labels: args.labels.as_deref(),
        layers: args.layers,
    };
    print_paths(&import::import(&request)?)
}
