//! `lorasweep init`: a commented starter sweep for one's own data file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::{DeviceArgs, plan};
use crate::disk::FileError;
use crate::error::AppError;
use crate::hub::{Hub, Reference};
use crate::spec::{self, Downloads, Intent, Overrides, Starter};
use crate::tasks::{self, TaskKind};
use crate::ui::output;
use crate::values::{quantity, shell};

/// The encoder that `make setup` fetches.
const ENCODER: &str = ".assets/all-MiniLM-L6-v2";

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The training data: CSV, TSV, JSON Lines, Parquet, text, or SQuAD's JSON
    data: PathBuf,
    /// What the models are to learn [default: classification, or regression where the label is a column of
    /// numbers that measure something]
    #[arg(long, value_name = "KIND", value_parser = kinds())]
    kind: Option<&'static dyn TaskKind>,
    /// Where to write the sweep file
    #[arg(long, value_name = "FILE", default_value = "sweep.yaml")]
    out: PathBuf,
    /// Pretrained model to start from: a folder, or owner/name on the hub [default: what fits the kind]
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,
}

impl InitArgs {
    /// Whether a language model is needed.
    fn is_by_token(&self) -> bool {
        self.kind.is_some_and(TaskKind::by_token)
    }
}

pub(super) fn call(args: &InitArgs) -> Result<(), AppError> {
    let out = &args.out;
    let here = args.model.as_deref().unwrap_or_else(|| Path::new(ENCODER));
    let folder = Some(here).filter(|folder| folder.is_dir() && (args.model.is_some() || !args.is_by_token()));
    let starter = Starter {
        data: &args.data,
        data_in_sweep: &seen_from(out, &args.data)?,
        model: &model(args)?,
        model_folder: folder,
        kind: args.kind,
    };
    let text = starter
        .text()
        .map_err(|error| AppError::Input { hint: Some(error.hint()), message: error.to_string() })?;
    let created = OpenOptions::new().write(true).create_new(true).open(out);
    match created.and_then(|mut file| file.write_all(text.as_bytes())) {
        Ok(()) => {
            output::data(&format!("{}\n", out.display()))?;
            if folder.is_some() && !text.contains(Starter::TO_CHANGE) {
                say_cost(out);
            }
            output::hint(&next(out, &text));
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(AppError::Input {
            message: format!("`{}` is there already", out.display()),
            hint: Some("`--out FILE` writes elsewhere; nothing was changed".to_owned()),
        }),
        Err(error) => Err(FileError::new("write", out, error).into()),
    }
}

/// What to do next.
fn next(out: &Path, text: &str) -> String {
    let file = shell::quoted([out.to_string_lossy()]);
    if text.contains(Starter::TO_CHANGE) {
        let change = Starter::TO_CHANGE;
        return format!("replace `{change}` with the name of a column, then `lorasweep check {file}`");
    }
    format!("look it over, then `lorasweep check {file}` and `lorasweep run {file}`")
}

/// Prints how many trials were written and their predicted time on this machine. If that is not possible,
/// `check` will say why.
fn say_cost(out: &Path) {
    let hub = Hub::from_env();
    let downloads = Downloads { hub: &hub, progress: &|_| {} };
    let devices = DeviceArgs { devices: None, pack_slots: None, new_widths: false };
    let Ok(sweep) = spec::load(out, &Overrides::default(), Intent::Plan, downloads) else { return };
    let Ok(overview) = plan::overview_of(&sweep, &devices, Path::new("results"), false) else { return };
    output::say(&format!(
        "{}, {}: expected to take about {} on {}",
        quantity::counted(sweep.configurations.len(), "configuration"),
        quantity::counted(overview.trials.len(), "trial"),
        quantity::predicted(overview.predicted.duration_s),
        overview.resources
    ));
}

/// The model to start from, as the sweep file must name it; where none is given, one that can learn the task.
fn model(args: &InitArgs) -> Result<PathBuf, AppError> {
    match (&args.model, args.is_by_token()) {
        (Some(model), _) if !model.exists() && Reference::parse(&model.to_string_lossy()).is_some() => {
            Ok(model.clone())
        }
        (Some(model), _) => seen_from(&args.out, model),
        (None, false) => seen_from(&args.out, Path::new(ENCODER)),
        (None, true) => Ok(PathBuf::from("openai-community/gpt2")),
    }
}

/// A path as a sweep file must name it: as typed if the sweep is in the current folder, else absolute.
fn seen_from(sweep: &Path, path: &Path) -> Result<PathBuf, AppError> {
    if sweep.parent().is_none_or(|folder| folder.as_os_str().is_empty()) {
        return Ok(path.to_path_buf());
    }
    Ok(std::path::absolute(path).map_err(FileError::of("find", path))?)
}

/// The kinds of tasks by their names; a hyphen counts as an underscore.
fn kinds() -> impl TypedValueParser<Value = &'static dyn TaskKind> {
    let word = |kind: &dyn TaskKind| {
        let name: &'static str = kind.name().replace('_', "-").leak();
        PossibleValue::new(name).alias(kind.name()).help(kind.about())
    };
    let known = PossibleValuesParser::new(tasks::KINDS.map(word));
    known.map(|name| tasks::kind(&name.replace('-', "_")).expect("the parser knows the kinds alone"))
}
