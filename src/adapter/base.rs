//! Owns model folders in transformers' layout, as adapters meet them: what `config.json` says, and
//! the weights beside it. Builds no model.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::error::AdapterError;
use crate::arch::Architecture;
use crate::content::ContentHash;
use crate::model::weights::{self, Checkpoint};

/// Most layers that a file may claim: more is a mistake, or wants to exhaust the memory.
const MOST_LAYERS: usize = 1000;
/// Widest layer that a file may claim.
const WIDEST: usize = 1 << 20;
/// Most rows of a table that a file may claim.
const MOST_ROWS: usize = 1 << 28;

/// A model folder.
#[derive(Debug)]
pub struct ModelFolder {
    /// Where it is.
    pub path: PathBuf,
    /// Its `config.json` as it is.
    pub config: Map<String, Value>,
    /// Its shapes.
    pub architecture: Architecture,
    /// Its weights.
    pub tensors: Checkpoint,
}

impl ModelFolder {
    /// Opens a folder and compares its weights with its `config.json`.
    ///
    /// # Errors
    /// When a file is missing or damaged, the model is none of the supported families, or a tensor is
    /// missing or has another shape.
    pub fn open(path: &Path) -> Result<Self, AdapterError> {
        let file = path.join("config.json");
        let text = fs::read(&file).map_err(AdapterError::read(&file))?;
        let config: Map<String, Value> = serde_json::from_slice(&text)
            .map_err(|error| AdapterError::Settings { path: file.clone(), reason: error.to_string() })?;
        let architecture =
            architecture(&config).map_err(|reason| AdapterError::Settings { path: file, reason })?;
        let tensors = weights::read(path)?;
        tensors.check(&architecture)?;
        Ok(Self { path: path.to_path_buf(), config, architecture, tensors })
    }

    /// The classes' names, where `config.json` has any.
    #[must_use]
    pub fn labels(&self) -> Option<Vec<String>> {
        let names = self.config.get("id2label")?.as_object()?;
        (0..names.len()).map(|index| Some(names.get(&index.to_string())?.as_str()?.to_owned())).collect()
    }
}

/// The hash of the values that an architecture takes from some weights. It is the same for every
/// format and file layout, and tells nothing of layers that are not used.
///
/// # Errors
/// When a tensor is missing or has another shape.
pub fn content(tensors: &Checkpoint, architecture: &Architecture) -> Result<ContentHash, AdapterError> {
    let mut hasher = blake3::Hasher::new();
    for shape in architecture.tensors() {
        let tensor = tensors.find(&shape.name, architecture.base_prefix())?.with_shape(&shape.shape)?;
        hasher.update(format!("{} {:?} {:?}\n", shape.name, shape.shape, tensor.kind).as_bytes());
        hasher.update(&tensor.bytes);
    }
    Ok(ContentHash::from_digest(&hasher.finalize()))
}

/// The first layers of an architecture.
#[must_use]
pub fn truncated(architecture: &Architecture, layers: usize) -> Architecture {
    let mut architecture = architecture.clone();
    match &mut architecture {
        Architecture::Bert(config) => config.num_hidden_layers = layers,
        Architecture::Gpt2(config) => config.n_layer = layers,
        Architecture::GptMini(_) => {}
    }
    architecture
}

/// What a model is called: its id where the folder is a snapshot of the hub's cache, else the folder.
#[must_use]
pub fn name(folder: &Path) -> String {
    let parts = folder.components().filter_map(|part| part.as_os_str().to_str());
    let id = parts.filter_map(|part| part.strip_prefix("models--")).next_back();
    id.map_or_else(|| folder.display().to_string(), |id| id.replacen("--", "/", 1))
}

/// Whether a model can have these sizes, which may come from a file that nobody vouches for.
///
/// # Errors
/// Says which cannot be.
pub(super) fn sound(architecture: &Architecture) -> Result<(), String> {
    let stack = architecture.stack();
    let sizes = [
        ("layers", stack.layers, MOST_LAYERS),
        ("width", stack.width, WIDEST),
        ("inner width", stack.inner, WIDEST),
        ("vocabulary", architecture.vocab_size(), MOST_ROWS),
        ("longest sequence", architecture.max_length(), MOST_ROWS),
    ];
    if let Some((what, size, most)) = sizes.into_iter().find(|(_, size, most)| size > most) {
        return Err(format!("the {what} {size} is beyond {most}"));
    }
    if stack.width == 0 || stack.heads == 0 || !stack.width.is_multiple_of(stack.heads) {
        return Err(format!("{} attention heads do not divide the width {}", stack.heads, stack.width));
    }
    Ok(())
}

/// Reads the architecture of a `config.json`, and refuses what would be computed otherwise there.
fn architecture(config: &Map<String, Value>) -> Result<Architecture, String> {
    let kind = config.get("model_type").and_then(Value::as_str).unwrap_or("absent");
    if !["bert", "gpt2", "gptmini"].contains(&kind) {
        return Err(format!("`model_type` is `{kind}`; supported are `bert`, `gpt2` and `gptmini`"));
    }
    let architecture: Architecture =
        serde_json::from_value(Value::Object(config.clone())).map_err(|error| error.to_string())?;
    let relative =
        config.get("position_embedding_type").is_some_and(|kind| kind != "absolute" && !kind.is_null());
    let decoder = config.get("is_decoder").is_some_and(|is| is == true);
    let odd = match &architecture {
        Architecture::Bert(bert) if bert.hidden_act != "gelu" => Some("an activation other than `gelu`"),
        Architecture::Bert(_) if relative => Some("relative positions"),
        Architecture::Bert(_) if decoder => Some("a decoder's attention"),
        Architecture::Gpt2(gpt2) if gpt2.activation_function != "gelu_new" => {
            Some("an activation other than `gelu_new`")
        }
        Architecture::Gpt2(gpt2) if !gpt2.scale_attn_weights || gpt2.scale_attn_by_inverse_layer_idx => {
            Some("another scale of attention")
        }
        Architecture::Gpt2(gpt2) if !gpt2.tie_word_embeddings => Some("an output layer of its own"),
        Architecture::Bert(_) | Architecture::Gpt2(_) | Architecture::GptMini(_) => None,
    };
    if let Some(odd) = odd {
        return Err(format!("the model has {odd}, which is not supported"));
    }
    sound(&architecture)?;
    Ok(architecture)
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

    #[test]
    fn what_would_be_computed_otherwise_is_refused() {
        let read = |text: &str| architecture(&serde_json::from_str(text).unwrap());
        assert!(read(r#"{"model_type": "bert", "num_hidden_layers": 2}"#).is_ok());
        for text in [
            r#"{}"#,
            r#"{"model_type": "llama"}"#,
            r#"{"model_type": "bert", "hidden_act": "relu"}"#,
            r#"{"model_type": "bert", "position_embedding_type": "relative_key"}"#,
            r#"{"model_type": "bert", "is_decoder": true}"#,
            r#"{"model_type": "bert", "num_hidden_layers": 1000000000}"#,
            r#"{"model_type": "bert", "num_attention_heads": 0}"#,
            r#"{"model_type": "gpt2", "n_head": 7}"#,
            r#"{"model_type": "gpt2", "activation_function": "relu"}"#,
            r#"{"model_type": "gpt2", "tie_word_embeddings": false}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
