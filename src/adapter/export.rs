//! Owns the export of a model as a PEFT folder or a transformers folder. Trains nothing and runs no model.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tch::{Kind, Tensor};

use super::base::{self, ModelFolder};
use super::card::{self, Card};
use super::error::AdapterError;
use super::fit::{Adapted, is_words};
use super::folder::{Draft, Values};
use super::manifest::{BaseModel, MANIFEST, Manifest};
use super::model::Loaded;
use super::names::stored;
use super::peft::{self, AdapterConfig};
use super::python;
use crate::disk::layout::Layout;
use crate::families::blueprint::Sees;
use crate::families::{Architecture, Head, LinearShape, ModelSpec, Weights};
use crate::model::weights::{self, WeightsError};
use crate::record::{RunRecord, TrialRecord};
use crate::tasks::{Chat, Purpose};
use crate::values::{Lora, Method};

/// Exports a finished trial to `out` and returns the written files: its adapter, or the whole model where it
/// has none or `merged` asks for it.
///
/// # Errors
/// When a part of the model is gone, holds NaN, or cannot be represented in Python.
pub fn export(
    record: &RunRecord,
    trial: &TrialRecord,
    layout: &Layout,
    out: &Path,
    merged: bool,
) -> Result<Vec<PathBuf>, AdapterError> {
    let draft = Draft::begin(out)?;
    let configuration = &trial.trial.configuration;
    let (spec, task) = (record.sweep.model(configuration), record.sweep.task(configuration));
    let loaded = Loaded::of_trial(spec, task, &trial.trial, layout)?;
    let card = Card::of(record, trial);
    match &configuration.method {
        Method::Lora(lora) if !merged => adapter(&draft, &loaded, (spec, lora, false), &card)?,
        Method::Dora(lora) if !merged => adapter(&draft, &loaded, (spec, lora, true), &card)?,
        Method::Lora(_) | Method::Dora(_) | Method::Full | Method::Scratch | Method::Base => {
            whole(&draft, &loaded, spec, &card)?
        }
    }
    draft.tokenizer(&loaded.tokenizer)?;
    if let Purpose::Chat(Chat { template: Some(template), .. }) = &loaded.manifest.purpose {
        draft.chat_template(template)?;
    }
    draft.finish()
}

/// Writes a PEFT folder, of DoRA or of plain LoRA.
fn adapter(
    draft: &Draft,
    loaded: &Loaded,
    (spec, lora, dora): (&ModelSpec, &Lora, bool),
    card: &Card<'_>,
) -> Result<(), AdapterError> {
    let architecture = &spec.architecture;
    let (head, name) = (loaded.manifest.head(), &card.trial);
    let about = architecture.about();
    if !about.has_folders() {
        let reason = format!("transformers has no `{}` that PEFT could put it on", about.name());
        return Err(refused(name, &reason));
    }
    let Weights::Folder { path, .. } = &spec.weights else {
        return Err(refused(name, "its base has random weights, which are in no folder"));
    };
    let base = base_model(path, architecture, head)?;
    if ties_saved_words(architecture, &lora.modules_to_save) {
        return Err(refused(
            name,
            "it trained the word embedding, which PEFT does not tie to the output layer",
        ));
    }
    if let Some(module) = trained_twice(architecture, head, lora) {
        let reason = format!("it trained `{module}` whole and with an adapter too, which PEFT does not");
        return Err(refused(name, &reason));
    }
    let heads = architecture.head_tensors(head);
    let mut saved: Vec<String> =
        lora.modules_to_save.iter().filter(|module| *module != Lora::HEAD).cloned().collect();
    // A module that was initialised here because the base lacks it exists nowhere else.
    saved.extend(spec.parts.fresh.iter().filter(|module| !lora.modules_to_save.contains(module)).cloned());
    let mut of_head: Vec<&str> = heads.iter().filter_map(|tensor| tensor.name.split('.').next()).collect();
    of_head.dedup();
    saved.extend(of_head.into_iter().map(str::to_owned));
    let config = AdapterConfig::of_trial(lora, dora, saved, &base.name);
    let layers: Vec<Adapted> =
        architecture.adapted(head, lora).into_iter().map(|layer| Adapted::of(layer, &config)).collect();
    let whole = architecture.tensors_in(head, &config.saved);
    let whole = whole.iter().filter_map(|place| loaded.tensors.get_key_value(&place.name));
    let tensors = loaded.adapters.iter().chain(whole);
    let tensors = tensors.map(|(name, tensor)| Ok((stored(name), values(name, tensor)?)));
    draft.tensors(peft::TENSORS, &tensors.collect::<Result<_, AdapterError>>()?)?;
    draft.write(peft::CONFIG, config.render(architecture, head, &layers).as_bytes())?;
    draft.write("README.md", card::adapter(card, &loaded.manifest, &base).as_bytes())?;
    let mut manifest = loaded.manifest.clone();
    manifest.base = Some(base);
    draft.write(MANIFEST, &manifest.to_text())
}

/// The base of an adapter, as its folder is now.
fn base_model(path: &Path, architecture: &Architecture, head: Head) -> Result<BaseModel, AdapterError> {
    let folder = ModelFolder::open(path)?;
    let used = architecture.layers();
    let absolute = std::path::absolute(path).map_err(AdapterError::read(path))?;
    Ok(BaseModel {
        name: base::name(&absolute),
        layers: (used != folder.architecture.layers()).then_some(used),
        content: base::content(&folder.tensors, architecture, head)?,
        folder: absolute,
    })
}

/// Whether the word embedding is among the modules, and may be the output layer too.
fn ties_saved_words(architecture: &Architecture, modules: &[String]) -> bool {
    architecture.ties_words() && modules.iter().any(|module| is_words(module, architecture))
}

/// The first layer that has an adapter and was also trained as a whole.
fn trained_twice(architecture: &Architecture, head: Head, lora: &Lora) -> Option<String> {
    let whole = architecture.saved_tensors(head, &lora.modules_to_save);
    let is_whole =
        |layer: &LinearShape| whole.iter().any(|tensor| tensor.name == format!("{}.weight", layer.name));
    architecture.adapted(head, lora).into_iter().find(is_whole).map(|layer| layer.name)
}

/// Writes a transformers folder.
fn whole(draft: &Draft, loaded: &Loaded, spec: &ModelSpec, card: &Card<'_>) -> Result<(), AdapterError> {
    let own = match &spec.weights {
        Weights::Folder { path, .. } => Some(ModelFolder::open(path)?.config),
        Weights::Random { .. } | Weights::Absent => None,
    };
    let config = config(own.unwrap_or_default(), &loaded.manifest);
    let merged = loaded.merged();
    let tensors = merged.iter().map(|(name, tensor)| Ok((name.clone(), values(name, tensor)?)));
    draft.tensors("model.safetensors", &tensors.collect::<Result<_, AdapterError>>()?)?;
    draft.write("config.json", format!("{:#}\n", Value::Object(config)).as_bytes())?;
    draft.write("README.md", card::whole(card, &loaded.manifest).as_bytes())?;
    draft.write(MANIFEST, &loaded.manifest.to_text())
}

/// A `config.json`: the base's own, with the shapes, the head and the classes of this model.
fn config(mut config: Map<String, Value>, manifest: &Manifest) -> Map<String, Value> {
    let named = config.get("model_type").and_then(Value::as_str).map(str::to_owned);
    if let Ok(Value::Object(shapes)) = serde_json::to_value(&manifest.architecture) {
        // What is not given here is as the base has it: transformers takes some keys that are null for a value.
        let is_given =
            |value: &Value| !value.is_null() && value.as_object().is_none_or(|object| !object.is_empty());
        config.extend(shapes.into_iter().filter(|(_, value)| is_given(value)));
    }
    config.remove("torch_dtype");
    // It follows from the other keys, and has a word for each layer that the base had.
    config.remove("layer_types");
    config.insert("dtype".to_owned(), json!("float32"));
    let own_type = named.as_deref().filter(|named| manifest.architecture.about().is_called(named));
    if let Some(own_type) = own_type {
        config.insert("model_type".to_owned(), json!(own_type));
    }
    if let Some(class) = manifest.architecture.about().class(own_type, manifest.head()) {
        config.insert("architectures".to_owned(), json!([class]));
    }
    if manifest.architecture.blueprint().sees == Sees::Earlier {
        // Batches of texts need a padding token; no token attends to it. Some decoders end at any of several tokens.
        let given = |key: &str| config.get(key).filter(|value| !value.is_null()).cloned();
        let end = given("eos_token_id").unwrap_or(json!(manifest.architecture.vocab_size() - 1));
        let one = end.as_array().and_then(|ends| ends.first()).unwrap_or(&end).clone();
        config.insert("pad_token_id".to_owned(), given("pad_token_id").unwrap_or(one));
        config.insert("eos_token_id".to_owned(), end);
    }
    match &manifest.purpose {
        Purpose::Classification { labels, problem, .. } => {
            name_labels(&mut config, labels);
            config.insert("problem_type".to_owned(), json!(problem.name()));
        }
        Purpose::Tagging { labels } => name_labels(&mut config, labels),
        Purpose::LanguageModelling | Purpose::QuestionAnswering(_) | Purpose::Chat(_) => {}
    }
    config
}

/// Names the outputs of a head.
fn name_labels(config: &mut Map<String, Value>, labels: &[String]) {
    for (name, entries) in python::names(labels) {
        let key = |key: &Value| key.as_str().map_or_else(|| key.to_string(), str::to_owned);
        let entries = entries.iter().map(|(name, value)| (key(name), value.clone()));
        config.insert(name.to_owned(), Value::Object(entries.collect()));
    }
}

/// A tensor's values in 32 bits, after checking that they are finite.
fn values(name: &str, tensor: &Tensor) -> Result<Values<'static>, AdapterError> {
    let tensor = tensor.detach().to_kind(Kind::Float).contiguous();
    let shape =
        tensor.size().iter().map(|size| usize::try_from(*size).expect("sizes are positive")).collect();
    let flat = Vec::<f32>::try_from(tensor.view([-1])).expect("the tensor is flat and has 32 bits");
    if let Some(element) = flat.iter().position(|value| !value.is_finite()) {
        return Err(WeightsError::NotFinite { name: name.to_owned(), element }.into());
    }
    let bytes = bytemuck::cast_slice(&flat).to_vec();
    Ok(Values { kind: weights::Kind::F32, shape, bytes: bytes.into() })
}

fn refused(what: &str, reason: &str) -> AdapterError {
    AdapterError::Refused {
        what: format!("the adapter of {what}"),
        reason: reason.to_owned(),
        hint: "export the whole model with `--merged`".to_owned(),
    }
}
