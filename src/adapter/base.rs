//! Owns model folders in transformers' layout, for use with adapters: `config.json` and the weights next to it.
//! Builds no model.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::error::AdapterError;
use crate::families::{self, Architecture, Evidence, Head};
use crate::model::weights::{self, StateDict};
use crate::values::ContentHash;

/// A model folder.
#[derive(Debug)]
pub struct ModelFolder {
    /// Where it is.
    pub path: PathBuf,
    /// Its unchanged `config.json`.
    pub config: Map<String, Value>,
    /// Its shapes.
    pub architecture: Architecture,
    /// Its weights.
    pub tensors: StateDict,
}

impl ModelFolder {
    /// Opens a folder and compares its weights with its `config.json`.
    ///
    /// # Errors
    /// When a file is missing or damaged, the model belongs to no supported family, or a tensor is missing or
    /// has another shape.
    pub fn open(path: &Path) -> Result<Self, AdapterError> {
        let file = path.join("config.json");
        let text = fs::read(&file).map_err(AdapterError::read(&file))?;
        let config = families::config_keys(&text)
            .map_err(|problem| AdapterError::Config { path: file.clone(), problem })?;
        let tensors = weights::read(path)?;
        let family = families::family_of_tensors(tensors.names());
        let architecture = Architecture::from_config_and(&text, Evidence { told: None, tensors: family })
            .map_err(|problem| AdapterError::Config { path: file, problem })?;
        tensors.check(&architecture)?;
        Ok(Self { path: path.to_path_buf(), config, architecture, tensors })
    }

    /// The names of the classes, where `config.json` has any.
    #[must_use]
    pub fn labels(&self) -> Option<Vec<String>> {
        let names = self.config.get("id2label")?.as_object()?;
        (0..names.len()).map(|index| Some(names.get(&index.to_string())?.as_str()?.to_owned())).collect()
    }
}

/// The hash of the values that an architecture with this head uses from these weights. It is the same for every
/// format and file layout, and does not depend on unused layers.
///
/// # Errors
/// When a tensor is missing or has another shape.
pub fn content(
    tensors: &StateDict,
    architecture: &Architecture,
    head: Head,
) -> Result<ContentHash, AdapterError> {
    let mut hasher = blake3::Hasher::new();
    let shapes = architecture.base_tensors(head).into_iter();
    for shape in shapes.filter(|shape| !tensors.lacks(architecture, &shape.name)) {
        let tensor = tensors.find(&shape.name, architecture.about())?.with_shape(&shape.shape)?;
        hasher.update(format!("{} {:?} {:?}\n", shape.name, shape.shape, tensor.kind).as_bytes());
        hasher.update(&tensor.bytes);
    }
    Ok(ContentHash::from_digest(&hasher.finalize()))
}

/// A model's name: its id where the folder is a snapshot of the hub's cache, else the folder.
#[must_use]
pub fn name(folder: &Path) -> String {
    let parts = folder.components().filter_map(|part| part.as_os_str().to_str());
    let id = parts.filter_map(|part| part.strip_prefix("models--")).next_back();
    id.map_or_else(|| folder.display().to_string(), |id| id.replacen("--", "/", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_of_the_hub_has_its_id_for_a_name() {
        let snapshot = "/home/me/.cache/huggingface/hub/models--prajjwal1--bert-tiny/snapshots/6f75de8";
        assert_eq!(name(Path::new(snapshot)), "prajjwal1/bert-tiny");
        assert_eq!(name(Path::new("/models/bert-tiny")), "/models/bert-tiny");
    }
}
