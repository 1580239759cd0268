//! Owns the check that a recorded sweep can be trained again as it was: its data, base models and tokenizers are
//! the same. Writes nothing.

use crate::adapter::AdapterError;
use crate::data::sources;
use crate::data::store::{TokenStore, store_key};
use crate::disk::layout::Layout;
use crate::error::AppError;
use crate::families::{ModelSpec, Weights};
use crate::model::weights;
use crate::sweep::SweepSpec;
use crate::tasks::{DataFile, Task};
use crate::tokenizer;
use crate::values::{ContentHash, Method};

/// Compares everything that a sweep's trials read with what was recorded. Tokens that are stored are those of the
/// recorded data, whatever has become of its files.
///
/// # Errors
/// Where something is gone, or has changed.
pub(super) fn check(sweep: &SweepSpec, layout: &Layout) -> Result<(), AppError> {
    for model in sweep.models.values() {
        let starts_from_it =
            |one: &Method| !matches!(one, Method::Scratch) && matches!(model.weights, Weights::Folder { .. });
        let mut methods = sweep.configurations.iter().filter(|one| one.model == model.name);
        base(model, methods.any(|one| starts_from_it(&one.method)))?;
    }
    for one in &sweep.configurations {
        let (task, model) = (sweep.task(one), sweep.model(one));
        let store = Layout::store(layout.stores(), store_key(task, model.tokenizer_content));
        if TokenStore::open(&store).is_err() {
            data(task)?;
        }
    }
    Ok(())
}

fn base(model: &ModelSpec, weights_too: bool) -> Result<(), AppError> {
    if let (Weights::Folder { path, content }, true) = (&model.weights, weights_too)
        && weights::content(path).map_err(AdapterError::from)? != *content
    {
        return Err(AdapterError::ChangedBase { folder: path.clone() }.into());
    }
    let files = tokenizer::files(&model.tokenizer).map_err(AdapterError::from)?;
    let content: Option<ContentHash> = tokenizer::content(&files).ok();
    if content != Some(model.tokenizer_content) {
        return Err(AppError::Input {
            message: format!("the tokenizer `{}` has changed since the run", model.tokenizer.display()),
            hint: Some("put it back, or run the sweep again".to_owned()),
        });
    }
    Ok(())
}

fn data(task: &Task) -> Result<(), AppError> {
    let files: [Option<&DataFile>; 3] = [Some(&task.train), task.validation.as_ref(), task.test.as_ref()];
    for file in files.into_iter().flatten() {
        sources::read(file, task).map_err(AdapterError::from)?;
    }
    Ok(())
}
