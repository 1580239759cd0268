//! Owns the look at the files that a sweep names: data files, model folders, tokenizers. The only
//! part of `spec` that does I/O, and it only reads. What it finds is judged by `check`.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::arch::BertConfig;
use crate::content::ContentHash;
use crate::data::sources::{self, Fields, SourceError, SurveyRequest};
use crate::data::tokenizer::{self, Tokenizer};
use crate::model::weights::{self, Checkpoint, WeightsError};
use crate::task::Cleaning;

use super::check_task::DEFAULT_MAX_LENGTH;
use super::raw::{RawModel, RawSweep, RawTask};
use super::source::At;

/// What there is at the paths of a sweep.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) train: Option<DataFacts>,
    pub(super) validation: Option<DataFacts>,
    pub(super) test: Option<DataFacts>,
    /// For each model of the sweep, in its order.
    pub(super) models: Vec<ModelFacts>,
}

/// A data file that the sweep names.
#[derive(Debug)]
pub(super) struct DataFacts {
    pub(super) path: PathBuf,
    pub(super) found: Result<sources::Survey, SourceError>,
}

/// The files of one model.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelFacts {
    /// Of models with `from`.
    pub(super) folder: Option<Result<FolderFacts, Fault>>,
    /// Of models that name a tokenizer or whose folder exists.
    pub(super) tokenizer: Option<Result<TokenizerFacts, Fault>>,
}

/// A model folder that exists.
#[derive(Clone, Debug)]
pub(super) struct FolderFacts {
    pub(super) path: PathBuf,
    pub(super) config: Result<BertConfig, Fault>,
    pub(super) weights: Result<WeightFacts, Fault>,
}

/// Weights that could be read.
#[derive(Clone, Debug)]
pub(super) struct WeightFacts {
    /// Hash of weights and configuration.
    pub(super) content: ContentHash,
    /// Their names and shapes.
    pub(super) tensors: Arc<Checkpoint>,
}

/// A tokenizer that could be read.
#[derive(Clone, Debug)]
pub(super) struct TokenizerFacts {
    /// The folder, or the file itself.
    pub(super) path: PathBuf,
    /// Hash of the files that decide what it does.
    pub(super) content: ContentHash,
    /// Rows that an embedding needs for it.
    pub(super) vocabulary: usize,
}

/// What is wrong with a model's files.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) hint: String,
}

/// Looks at everything that the sweep names. Relative paths start from `folder`, the sweep file's.
pub(super) fn look(raw: &RawSweep, folder: &Path) -> Survey {
    let mut seen = Seen::default();
    let length = raw.task.as_ref().and_then(|task| task.max_length.as_ref());
    let max_length = length.map_or(DEFAULT_MAX_LENGTH, |at| at.value);
    let task = raw.task.as_ref();
    let data =
        |path: fn(&RawTask) -> Option<&str>| task.and_then(|task| data_file(task, path(task)?, folder));
    Survey {
        train: data(|task| Some(&task.train.as_ref()?.value)),
        validation: data(|task| Some(&task.validation.as_ref()?.value)),
        test: data(|task| Some(&task.test.as_ref()?.value)),
        models: raw.models.iter().map(|model| model_files(model, folder, max_length, &mut seen)).collect(),
    }
}

fn data_file(task: &RawTask, path: &str, folder: &Path) -> Option<DataFacts> {
    let path = folder.join(path);
    let texts = |at: &Vec<_>| at.iter().map(|at: &At<String>| at.value.clone()).collect();
    let columns: Option<Vec<String>> = task.columns.as_ref().map(|at| texts(&at.value));
    let text: Vec<String> = task.text.as_ref().map(|at| texts(&at.value)).unwrap_or_default();
    let label = task.label.as_ref().map(|at| at.value.as_str());
    let fields = Fields::Labelled { text: &text, pair: &[], label, map: &BTreeMap::new() };
    let cleaning = Cleaning::default();
    let found = sources::survey(&SurveyRequest {
        path: &path,
        columns: columns.as_deref(),
        fields,
        cleaning: &cleaning,
        classes: None,
    });
    Some(DataFacts { path, found })
}

/// What was found already: several models may start from one folder.
#[derive(Default)]
struct Seen {
    folders: HashMap<PathBuf, Result<FolderFacts, Fault>>,
    tokenizers: HashMap<PathBuf, Result<TokenizerFacts, Fault>>,
}

fn model_files(model: &RawModel, folder: &Path, max_length: usize, seen: &mut Seen) -> ModelFacts {
    let resolve = |at: &At<String>| (folder.join(&at.value), at.value.clone());
    let from = model.from.as_ref().map(resolve);
    let named = model.tokenizer.as_ref().map(resolve);
    let tokenizer = named.or_else(|| from.clone().filter(|(path, _)| path.is_dir()));
    ModelFacts {
        folder: from.map(|(path, name)| {
            seen.folders.entry(path.clone()).or_insert_with(|| model_folder(&path, &name)).clone()
        }),
        tokenizer: tokenizer.map(|(path, name)| {
            let load = || self::tokenizer(&path, &name, max_length);
            seen.tokenizers.entry(path.clone()).or_insert_with(load).clone()
        }),
    }
}

fn model_folder(path: &Path, name: &str) -> Result<FolderFacts, Fault> {
    if !path.is_dir() {
        let hint = format!("`{}` should be a folder with config.json, weights and tokenizer", path.display());
        return Err(Fault { message: format!("no model folder `{name}`"), hint });
    }
    Ok(FolderFacts { path: path.to_path_buf(), config: config(path, name), weights: weights(path, name) })
}

/// The parts of `config.json` that say whether the rest can be trusted.
#[derive(Deserialize)]
struct ConfigHead {
    model_type: Option<String>,
    position_embedding_type: Option<String>,
}

fn config(folder: &Path, name: &str) -> Result<BertConfig, Fault> {
    let fault = |message: String, hint: &str| Fault { message, hint: hint.to_owned() };
    let bytes = fs::read(folder.join("config.json")).map_err(|error| {
        let message = format!("model folder `{name}` has no readable config.json: {error}");
        fault(message, "save the model with transformers' `save_pretrained`, or copy its config.json here")
    })?;
    let broken = |error: serde_json::Error| {
        fault(format!("config.json in `{name}` is broken: {error}"), "copy the model's config.json again")
    };
    let head: ConfigHead = serde_json::from_slice(&bytes).map_err(broken)?;
    let model_type = head.model_type.unwrap_or_else(|| "absent".to_owned());
    if model_type != "bert" {
        let message = format!("config.json in `{name}` says `model_type` is `{model_type}`");
        return Err(fault(message, "use a model of type `bert`"));
    }
    if head.position_embedding_type.is_some_and(|kind| kind != "absolute") {
        let message = format!("the model in `{name}` has relative position embeddings");
        return Err(fault(message, "use a BERT with absolute positions"));
    }
    let config: BertConfig = serde_json::from_slice(&bytes).map_err(broken)?;
    if config.hidden_act != "gelu" {
        let message = format!("the model in `{name}` has activation `{}`", config.hidden_act);
        return Err(fault(message, "use a BERT with activation `gelu`"));
    }
    Ok(config)
}

fn weights(folder: &Path, name: &str) -> Result<WeightFacts, Fault> {
    let fault = |error: WeightsError| weights_fault(&error, folder, name);
    let files = weights::files(folder).map_err(fault)?;
    let tensors = Arc::new(weights::read(folder).map_err(fault)?);
    let mut hasher = blake3::Hasher::new();
    for path in files.into_iter().chain([folder.join("config.json")]) {
        // A config.json that cannot be read is told by `config`.
        if let Ok(file) = File::open(&path) {
            hasher.update_reader(file).map_err(|source| fault(WeightsError::Read { path, source }))?;
        }
    }
    Ok(WeightFacts { content: ContentHash::from_digest(&hasher.finalize()), tensors })
}

/// An error of a folder's weights, with the folder called as the sweep calls it. What these errors
/// say ends with what to do, behind a semicolon.
pub(super) fn weights_fault(error: &WeightsError, folder: &Path, name: &str) -> Fault {
    let text = error.to_string().replace(&folder.display().to_string(), name);
    let (message, hint) = text
        .rsplit_once("; ")
        .unwrap_or((&text, "it belongs to the model: copy or download it, and see that you may read it"));
    Fault { message: message.to_owned(), hint: hint.to_owned() }
}

/// The tokenizer at a path: a folder with it, or the file itself. It is loaded once here, so that a
/// broken one fails before anything starts.
fn tokenizer(path: &Path, name: &str, max_length: usize) -> Result<TokenizerFacts, Fault> {
    let fault = |detail: &str| Fault {
        message: format!("cannot use the tokenizer in `{name}`: {detail}"),
        hint: "give a folder with tokenizer.json or vocab.txt, or the file itself".to_owned(),
    };
    let files = tokenizer::files(path).map_err(|error| fault(&error.detail))?;
    let mut hasher = blake3::Hasher::new();
    for file in &files {
        let opened = File::open(file).and_then(|file| hasher.update_reader(file).map(|_| ()));
        opened.map_err(|error| fault(&error.to_string()))?;
    }
    let loaded = Tokenizer::load(path).map_err(|error| fault(&error.detail))?;
    loaded.room(max_length, false).map_err(|error| fault(&error.detail))?;
    Ok(TokenizerFacts {
        path: path.to_path_buf(),
        content: ContentHash::from_digest(&hasher.finalize()),
        vocabulary: loaded.vocabulary_size(),
    })
}
