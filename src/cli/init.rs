//! `lorasweep init`: a commented starter sweep for one's own data file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::{InitArgs, TaskKind};
use crate::error::AppError;
use crate::hub::Reference;
use crate::spec::Starter;
use crate::ui::output;

pub(super) fn call(args: &InitArgs) -> Result<(), AppError> {
    let out = &args.out;
    let starter = Starter {
        data: &args.data,
        data_in_sweep: &seen_from(out, &args.data)?,
        model: &model(args)?,
        kind: args.kind.into(),
    };
    let text = starter
        .text()
        .map_err(|error| AppError::Input { hint: Some(error.hint()), message: error.to_string() })?;
    let created = OpenOptions::new().write(true).create_new(true).open(out);
    match created.and_then(|mut file| file.write_all(text.as_bytes())) {
        Ok(()) => {
            output::data(&format!("{}\n", out.display()))?;
            output::hint(&format!("look it over, then `lorasweep plan {}`", out.display()));
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(AppError::Input {
            message: format!("`{}` is there already", out.display()),
            hint: Some("`--out FILE` writes elsewhere; nothing was changed".to_owned()),
        }),
        Err(error) => Err(AppError::file("write", out, &error)),
    }
}

/// The model to start from as the sweep file must name it: where none is given, one that can learn
/// the task.
fn model(args: &InitArgs) -> Result<PathBuf, AppError> {
    match (&args.model, args.kind) {
        (Some(model), _) if !model.exists() && Reference::parse(&model.to_string_lossy()).is_some() => {
            Ok(model.clone())
        }
        (Some(model), _) => seen_from(&args.out, model),
        (None, TaskKind::Classification) => seen_from(&args.out, Path::new(".assets/all-MiniLM-L6-v2")),
        (None, TaskKind::LanguageModelling | TaskKind::QuestionAnswering) => {
            Ok(PathBuf::from("openai-community/gpt2"))
        }
    }
}

/// A path as a sweep file must name it: as typed where the sweep stands in the current folder,
/// absolute elsewhere.
fn seen_from(sweep: &Path, path: &Path) -> Result<PathBuf, AppError> {
    if sweep.parent().is_none_or(|folder| folder.as_os_str().is_empty()) {
        return Ok(path.to_path_buf());
    }
    std::path::absolute(path).map_err(|error| AppError::file("find", path, &error))
}
