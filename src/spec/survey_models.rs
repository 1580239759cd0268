//! Owns the survey of model folders and tokenizers, local or from the hub. `check::models` judges what it
//! finds.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::families::{self, Architecture, ConfigError, Evidence, Head, Parts};
use crate::hub::Files;
use crate::model::weights::{self, MAX_CONFIG_BYTES, StateDict, WeightsError};
use crate::tokenizer::{self, Tokenizer, TokenizerError};
use crate::values::ContentHash;

use super::Intent;
use super::raw::{RawModel, RawSweep};
use super::survey::{Fault, Look, Origin};

/// The files of one model.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelFacts {
    /// For models with `from` that were looked at.
    pub(super) folder: Option<Result<FolderFacts, Fault>>,
    /// For models that name a tokenizer or whose folder exists.
    pub(super) tokenizer: Option<Result<TokenizerFacts, Fault>>,
    /// Whether `from` is a folder on this machine.
    pub(super) is_local: bool,
}

/// A model folder that exists.
#[derive(Clone, Debug)]
pub(super) struct FolderFacts {
    pub(super) path: PathBuf,
    pub(super) config: Result<Architecture, Fault>,
    pub(super) weights: Result<WeightFacts, Fault>,
    /// The outputs of its own head for texts, if it has one.
    own_head: Parts,
    /// The ids of special tokens in its `config.json`, by their keys.
    ids: Vec<(&'static str, u64)>,
}

/// Weights that could be read, or are not needed.
#[derive(Clone, Debug)]
pub(super) enum WeightFacts {
    Found {
        /// Hash of weights and configuration.
        content: ContentHash,
        /// Their names and shapes.
        tensors: Arc<StateDict>,
    },
    /// There are none, and a plan needs none.
    Absent,
}

/// A tokenizer that could be read.
#[derive(Clone, Debug)]
pub(super) struct TokenizerFacts {
    /// The folder, or the file itself.
    pub(super) path: PathBuf,
    /// Hash of the files that decide its behaviour.
    pub(super) content: ContentHash,
    /// Rows that an embedding needs for its tokens.
    pub(super) vocabulary: usize,
    /// The token with the highest id.
    pub(super) last_token: String,
    /// Special tokens around a text.
    pub(super) around_text: usize,
    /// Special tokens around a pair of texts.
    pub(super) around_pair: usize,
    /// Whether it has a token that ends a text.
    pub(super) ends_texts: bool,
    /// Its tokens for padding and for the beginning and end of a text.
    special: Vec<Special>,
}

/// A special token of a tokenizer.
#[derive(Clone, Debug)]
struct Special {
    /// Possible keys of its id in `config.json`.
    key: &'static str,
    token: String,
    id: u32,
}

/// `bos_token_id` and `eos_token_id` are left out: encoders' files carry other models' defaults there.
const SPECIAL: [&str; 3] = ["pad_token_id", "cls_token_id", "sep_token_id"];

/// Looks at the models that are used; nothing is known of the others.
pub(super) fn look(raw: &RawSweep, used: &HashSet<&str>, look: Look<'_>) -> Vec<ModelFacts> {
    let mut seen = Seen { look, folders: HashMap::new(), tokenizers: HashMap::new() };
    let mut facts = Vec::with_capacity(raw.models.len());
    for model in &raw.models {
        let is_used = used.contains(model.name.value.as_str());
        facts.push(if is_used { seen.model(model) } else { ModelFacts::default() });
    }
    facts
}

/// Earlier results: several models may start from one folder.
struct Seen<'a> {
    look: Look<'a>,
    /// By place, and by the family that the sweep names.
    folders: HashMap<(Origin, Option<String>), Result<FolderFacts, Fault>>,
    tokenizers: HashMap<Origin, Result<TokenizerFacts, Fault>>,
}

impl Seen<'_> {
    fn model(&mut self, model: &RawModel) -> ModelFacts {
        let from = model.from.as_ref().and_then(|at| {
            let revision = model.revision.as_ref().map(|at| format!("@{}", at.value)).unwrap_or_default();
            Some((self.look.model_origin(&format!("{}{revision}", at.value))?, at.value.clone()))
        });
        let is_local = matches!(&from, Some((Origin::Path(_), _)));
        let told = model.architecture.as_ref().map(|at| at.value.clone());
        let folder = from.map(|(origin, name)| (self.folder(origin, told, &name), name));
        let tokenizer = match (&model.tokenizer, &folder) {
            (Some(at), _) => {
                self.look.model_origin(&at.value).map(|origin| self.tokenizer(origin, &at.value))
            }
            (None, Some((Ok(folder), name))) => Some(self.tokenizer(Origin::Path(folder.path.clone()), name)),
            (None, Some((Err(_), _)) | None) => None,
        };
        ModelFacts { folder: folder.map(|(facts, _)| facts), tokenizer, is_local }
    }

    fn folder(&mut self, origin: Origin, told: Option<String>, name: &str) -> Result<FolderFacts, Fault> {
        let look = self.look;
        let read =
            |path: &Path, told: Option<&str>| model_folder(path, name, told, look.intent == Intent::Plan);
        let load = |(origin, told): &(Origin, Option<String>)| match origin {
            Origin::Path(path) => read(path, told.as_deref()),
            Origin::Hub(reference) => {
                let files = match look.intent {
                    Intent::Plan => Files::WithoutWeights,
                    Intent::Run => Files::All,
                };
                read(&look.model(reference, files)?, told.as_deref())
            }
        };
        self.folders.entry((origin, told)).or_insert_with_key(load).clone()
    }

    fn tokenizer(&mut self, origin: Origin, name: &str) -> Result<TokenizerFacts, Fault> {
        let look = self.look;
        let load = |origin: &Origin| match origin {
            Origin::Path(path) => tokenizer(path, name),
            Origin::Hub(reference) => tokenizer(&look.model(reference, Files::WithoutWeights)?, name),
        };
        self.tokenizers.entry(origin).or_insert_with_key(load).clone()
    }
}

fn model_folder(
    path: &Path,
    name: &str,
    told: Option<&str>,
    may_lack_weights: bool,
) -> Result<FolderFacts, Fault> {
    if !path.is_dir() {
        let hint = format!("`{}` should be a folder with config.json, weights and tokenizer", path.display());
        return Err(Fault { message: format!("no model folder `{name}`"), hint });
    }
    if path.join(ADAPTER).is_file() && !path.join(CONFIG).is_file() {
        return Err(adapter_alone(path, name));
    }
    let found = match weights(path) {
        Err(WeightsError::NoWeights { .. }) if may_lack_weights => Ok(WeightFacts::Absent),
        found => found,
    };
    let tensors = match &found {
        Ok(WeightFacts::Found { tensors, .. }) => Some(&**tensors),
        Ok(WeightFacts::Absent) | Err(_) => None,
    };
    let json = config_json(path, name);
    let config = json.as_ref().map_err(Clone::clone).and_then(|json| {
        let family = tensors.and_then(|tensors| families::family_of_tensors(tensors.names()));
        architecture(json, Evidence { told, tensors: family }, name)
    });
    let own_head = match (&json, &config, tensors) {
        (Ok(json), Ok(architecture), Some(tensors)) => own_head(json, architecture, tensors),
        (_, _, _) => None,
    };
    let own_head = own_head.unwrap_or_default();
    let ids = json.as_ref().map(|json| ids(json)).unwrap_or_default();
    let weights = found.map_err(|error| weights_fault(error, path, name));
    Ok(FolderFacts { path: path.to_path_buf(), config, weights, own_head, ids })
}

const CONFIG: &str = "config.json";
/// PEFT's name for the file with an adapter's settings.
const ADAPTER: &str = "adapter_config.json";

/// The fault of a folder with an adapter and no model.
fn adapter_alone(folder: &Path, name: &str) -> Fault {
    let settings = fs::read(folder.join(ADAPTER)).unwrap_or_default();
    let settings: serde_json::Value = serde_json::from_slice(&settings).unwrap_or_default();
    let base = settings["base_model_name_or_path"].as_str();
    let base = base.map(|base| format!(", here `{base}`")).unwrap_or_default();
    Fault {
        message: format!("`{name}` is an adapter of PEFT, not a model"),
        hint: format!(
            "`from` takes the model that an adapter is for{base}; `lorasweep import` reads the adapter"
        ),
    }
}

/// The outputs of a folder's own head, if it has one for texts.
fn own_head(json: &[u8], architecture: &Architecture, tensors: &StateDict) -> Option<Parts> {
    let find = |name: &str| tensors.find(name, architecture.about()).ok();
    let outputs = *find(&architecture.class_rows(Head::Classifier { labels: 1 })?)?.shape.first()?;
    let fits = |shape: &families::TensorShape| {
        find(&shape.name).is_some_and(|found| found.shape == shape.shape && found.kind.is_float())
    };
    let (classes, number) = (families::classes(json, outputs), families::gives_number(json, outputs));
    let head = architecture.head_tensors(Head::Classifier { labels: outputs });
    head.iter().all(fits).then(|| Parts { classes, number, ..Parts::default() })
}

fn config_json(folder: &Path, name: &str) -> Result<Vec<u8>, Fault> {
    let path = folder.join(CONFIG);
    if path.metadata().is_ok_and(|found| found.len() > MAX_CONFIG_BYTES) {
        return Err(Fault {
            message: format!("config.json in `{name}` has more than {} MiB", MAX_CONFIG_BYTES >> 20),
            hint: "copy the model's config.json again".to_owned(),
        });
    }
    fs::read(path).map_err(|error| Fault {
        message: format!("model folder `{name}` has no readable config.json: {error}"),
        hint: "save the model with transformers' `save_pretrained`, or copy its config.json here".to_owned(),
    })
}

fn architecture(json: &[u8], evidence: Evidence<'_>, name: &str) -> Result<Architecture, Fault> {
    let architecture = Architecture::from_config_and(json, evidence).and_then(|architecture| {
        let about = architecture.about();
        let unknown = || ConfigError::Family(about.name().to_owned());
        about.has_folders().then_some(architecture).ok_or_else(unknown)
    });
    architecture
        .map_err(|error| Fault { message: format!("config.json in `{name}` {error}"), hint: error.hint() })
}

/// The ids of special tokens in a `config.json`.
fn ids(json: &[u8]) -> Vec<(&'static str, u64)> {
    let config = families::config_keys(json).unwrap_or_default();
    SPECIAL.into_iter().filter_map(|key| Some((key, config.get(key)?.as_u64()?))).collect()
}

impl FolderFacts {
    /// The special tokens of a tokenizer that have other ids in `config.json`, in words.
    pub(super) fn disagreements(&self, tokenizer: &TokenizerFacts) -> Vec<String> {
        let other = |special: &Special| {
            let (key, id) = self.ids.iter().find(|(key, _)| *key == special.key)?;
            let (token, own) = (&special.token, special.id);
            (*id != u64::from(own))
                .then(|| format!("`{key}` is {id}, and the tokenizer's `{token}` is {own}"))
        };
        tokenizer.special.iter().filter_map(other).collect()
    }

    /// What the folder has besides the base model, or lacks; `fresh` are the missing modules. A head for texts
    /// reads a pooler: without one it is a head for tokens.
    pub(super) fn parts(&self, fresh: &[&str]) -> Parts {
        match fresh {
            [] => self.own_head.clone(),
            fresh => Parts { fresh: fresh.iter().map(ToString::to_string).collect(), ..Parts::default() },
        }
    }
}

fn weights(folder: &Path) -> Result<WeightFacts, WeightsError> {
    let tensors = Arc::new(weights::read(folder)?);
    Ok(WeightFacts::Found { content: weights::content(folder)?, tensors })
}

/// The fault of a folder's weights, with the folder under the sweep's name for it.
pub(super) fn weights_fault(error: WeightsError, folder: &Path, name: &str) -> Fault {
    let error = error.calling(folder, name);
    let hint = error.hint().unwrap_or_else(|| {
        "it belongs to the model: copy or download it, and see that you may read it".to_owned()
    });
    Fault { message: error.message(), hint }
}

/// The tokenizer at a path: a folder with it, or the file itself. It is loaded here once, so that a broken one
/// is reported before anything starts.
fn tokenizer(path: &Path, name: &str) -> Result<TokenizerFacts, Fault> {
    const GIVE: &str =
        "give a folder with tokenizer.json, vocab.txt, or vocab.json and merges.txt; or the file itself";
    let fault = |detail: &dyn Display, hint: Option<&str>| Fault {
        message: format!("cannot use the tokenizer in `{name}`: {detail}"),
        hint: hint.unwrap_or(GIVE).to_owned(),
    };
    let failed = |TokenizerError { fault: found, .. }| fault(&found, found.hint());
    let files = tokenizer::files(path).map_err(failed)?;
    let content = tokenizer::content(&files).map_err(|error| fault(&error, None))?;
    let loaded = Tokenizer::load(path).map_err(failed)?;
    let around = |pair| loaded.room(MUCH_ROOM, pair).map(|room| MUCH_ROOM - room).map_err(failed);
    Ok(TokenizerFacts {
        path: path.to_path_buf(),
        content,
        vocabulary: loaded.vocabulary_size(),
        last_token: last_token(&loaded),
        around_text: around(false)?,
        around_pair: around(true)?,
        ends_texts: loaded.end_of_text().is_some(),
        special: special(&loaded),
    })
}

fn last_token(tokenizer: &Tokenizer) -> String {
    let id = u32::try_from(tokenizer.vocabulary_size().saturating_sub(1)).unwrap_or(u32::MAX);
    tokenizer.token(id).unwrap_or_default()
}

/// The first and last token of an empty text are its special tokens.
fn special(tokenizer: &Tokenizer) -> Vec<Special> {
    let empty = tokenizer.encode_rows(&[String::new()], None, MUCH_ROOM).unwrap_or_default();
    let around = empty.first().map(|row| row.tokens.as_slice());
    let (first, last) = match around {
        Some([first, .., last]) => (Some(*first), Some(*last)),
        Some([_] | []) | None => (None, tokenizer.end_of_text()),
    };
    let special = SPECIAL.into_iter().zip([tokenizer.padding(), first, last]);
    let special = special.filter_map(|(key, id)| Some((key, id?)));
    special.map(|(key, id)| Special { key, token: tokenizer.token(id).unwrap_or_default(), id }).collect()
}

/// More tokens than special ones can take.
const MUCH_ROOM: usize = 1_000_000;
