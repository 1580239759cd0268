//! Owns whole models on the host, with one slot: base, head and adapters, from a trial, an adapter's folder or
//! a model folder. Writes nothing and predicts nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tch::{Device, Tensor};

use super::base::{self, ModelFolder};
use super::error::AdapterError;
use super::manifest::{BaseModel, Manifest};
use super::names::BIAS;
use super::peft::{self, AdapterConfig};
use super::{fit, heads, start};
use crate::disk::files;
use crate::disk::layout::Layout;
use crate::families::{Architecture, Head, ModelSpec, TensorShape, Weights};
use crate::model::build::{self, Base};
use crate::model::layers::AdapterSettings;
use crate::model::magnitude;
use crate::model::params::{Params, Weight, fill};
use crate::model::weights::WeightsError;
use crate::model::{self, weights};
use crate::tasks::Task;
use crate::train::checkpoint;
use crate::values::{Configuration, Keep, Method, Precision, Training, Trial, TrialResult};

/// A model with everything that prediction needs.
#[derive(Debug)]
pub struct Loaded {
    /// Its purpose and its shapes.
    pub manifest: Manifest,
    /// Where its tokenizer is.
    pub tokenizer: PathBuf,
    /// Base and head, by transformers' names.
    pub tensors: BTreeMap<String, Tensor>,
    /// Adapters, by PEFT's names without the prefix; empty for a whole model.
    pub adapters: BTreeMap<String, Tensor>,
    /// Factor on the output of each module's adapter.
    pub scales: BTreeMap<String, f64>,
}

impl Loaded {
    /// A finished trial's model, with the weights that it was judged by.
    ///
    /// # Errors
    /// When its checkpoint or its base is missing, damaged or has changed.
    pub fn of_trial(
        spec: &ModelSpec,
        task: &Task,
        trial: &Trial,
        layout: &Layout,
    ) -> Result<Self, AdapterError> {
        let (method, head) = (&trial.configuration.method, task.objective.head());
        if let (Weights::Folder { path, content }, true) = (&spec.weights, *method != Method::Scratch)
            && weights::content(path)? != *content
        {
            return Err(AdapterError::ChangedBase { folder: path.clone() });
        }
        let base = Base::of(spec, task, method)?;
        let now = Configuration::new(task, spec, method.clone(), trial.configuration.training.clone());
        if now.id != trial.configuration.id && base.leaves_drawn(&spec.architecture, head, method) {
            return Err(AdapterError::DrawnOtherwise { trial: trial.id });
        }
        let start = build::start(&spec.architecture, head, &[in_fp32(trial)], &base, Device::Cpu)?;
        restore(&start.params, trial, layout)?;
        let value = |name: &str| match start.params.find(name) {
            Some(Weight::Shared(tensor)) => Some(tensor),
            Some(Weight::Stacked(tensor)) => Some(tensor.detach().get(0)),
            None => None,
        };
        let places = spec.architecture.all_tensors(head);
        let tensors =
            places.into_iter().filter_map(|place| Some((place.name.clone(), value(&place.name)?))).collect();
        let (mut adapters, mut scales) = (BTreeMap::new(), BTreeMap::new());
        if let Some(lora) = method.lora() {
            for layer in spec.architecture.adapted(head, lora) {
                scales.insert(layer.name.clone(), lora.scale());
                let [a, b] = peft::PARTS;
                let names = [a, b, peft::LENGTHS].map(|part| format!("{}{part}", layer.name));
                adapters.extend(names.into_iter().filter_map(|name| Some((name.clone(), value(&name)?))));
            }
        }
        let mut manifest = Manifest::of_task(task, spec.architecture.clone());
        manifest.threshold = threshold(trial, layout)?;
        Ok(Self { manifest, tokenizer: spec.tokenizer.clone(), tensors, adapters, scales })
    }

    /// The model of an exported or imported adapter, on the given base or, without one, on the base that the
    /// adapter names.
    ///
    /// # Errors
    /// When a file is missing or damaged, or the base is not the adapter's.
    pub fn of_adapter(folder: &Path, given: Option<&Path>) -> Result<Self, AdapterError> {
        let manifest = Manifest::read(folder)?.ok_or_else(|| not_exported(folder))?;
        let base = manifest.base.as_ref().ok_or_else(|| not_exported(folder))?;
        let path = folder.join(peft::CONFIG);
        let text = std::fs::read(&path).map_err(AdapterError::read(&path))?;
        let config = AdapterConfig::parse(&path, &text)?;
        let file = weights::read_file(&folder.join(peft::TENSORS))?;
        let architecture = &manifest.architecture;
        let fitted = fit::fit(&config, &file, architecture)?;
        if fitted.head != manifest.head() {
            let reason = "its head is not that of the adapter's tensors".to_owned();
            return Err(AdapterError::Settings { path: folder.join(super::manifest::MANIFEST), reason });
        }
        let mut tensors = base_tensors(base, given, architecture, fitted.head)?;
        for place in &fitted.saved {
            let saved = build::tensor(&fitted.read(&file, &place.name, &place.shape)?);
            tensors.insert(place.name.clone(), saved);
        }
        if let Some(place) = architecture
            .base_tensors(fitted.head)
            .into_iter()
            .find(|place| !tensors.contains_key(&place.name))
        {
            return Err(WeightsError::Missing { name: place.name, folder: folder.to_path_buf() }.into());
        }
        let (mut adapters, mut scales) = (BTreeMap::new(), BTreeMap::new());
        for layer in &fitted.layers {
            let weight = tensors.get_mut(&format!("{}.weight", layer.name()));
            let weight = weight.expect("adapters sit on the model's layers");
            let transposed = is_transposed(architecture, layer.name());
            *weight = start::residual(weight, transposed, config.start, layer.rank, layer.scale);
            for (name, shape) in layer.tensors(&config) {
                let part = build::tensor(&fitted.read(&file, &name, &shape)?);
                if name.ends_with(BIAS) {
                    let bias = format!("{}.bias", layer.name());
                    let sum = tensors.get(&bias).map(|bias| bias + part * layer.scale);
                    tensors.extend(sum.map(|sum| (bias, sum)));
                } else {
                    adapters.insert(name, part);
                }
            }
            scales.insert(layer.name().to_owned(), layer.scale);
        }
        Ok(Self { manifest, tokenizer: folder.to_path_buf(), tensors, adapters, scales })
    }

    /// A whole model in transformers' layout, exported by lorasweep or saved by transformers.
    ///
    /// # Errors
    /// When a file is missing or damaged, or the model has no supported head.
    pub fn of_model(folder: &Path) -> Result<Self, AdapterError> {
        let known = Manifest::read(folder)?.filter(|manifest| manifest.base.is_none());
        if known.is_none() {
            heads::check_class(folder)?;
        }
        let model = ModelFolder::open(folder)?;
        let manifest = match known {
            Some(manifest) => manifest,
            None => {
                let (architecture, purpose) = (model.architecture.clone(), heads::purpose(&model)?);
                Manifest::new(purpose, architecture.max_length(), architecture)
            }
        };
        let architecture = &manifest.architecture;
        let mut tensors = BTreeMap::new();
        for place in architecture.all_tensors(manifest.head()) {
            tensors.insert(place.name.clone(), build::read(&model.tensors, architecture.about(), &place)?);
        }
        let tokenizer = folder.to_path_buf();
        Ok(Self { manifest, tokenizer, tensors, adapters: BTreeMap::new(), scales: BTreeMap::new() })
    }

    /// The model, ready for prediction.
    #[must_use]
    pub fn model(&self) -> model::Model {
        let mut params = Params::new(1);
        for (name, tensor) in &self.tensors {
            params.freeze(name, tensor.shallow_clone());
        }
        for (name, tensor) in &self.adapters {
            // Each adapter has its own scale, so the scale is multiplied in here.
            let scale = name.strip_suffix(peft::PARTS[1]).map(|module| self.scales[module]);
            let value = scale.map_or_else(|| tensor.shallow_clone(), |scale| tensor * scale);
            params.train(name, &[value], true);
        }
        let settings = AdapterSettings { scales: vec![1.0], dropouts: vec![0.0] };
        let settings = (!self.adapters.is_empty()).then_some(&settings);
        model::Model::new(&self.manifest.architecture, self.manifest.head(), &params, settings)
    }

    /// Base and head with the adapters' products added: `W + scale B A` (Hu et al. 2021, section 4.1), with DoRA's
    /// rows multiplied to have the lengths that it trained.
    #[must_use]
    pub fn merged(&self) -> BTreeMap<String, Tensor> {
        let mut merged: BTreeMap<String, Tensor> =
            self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
        for (name, a) in &self.adapters {
            let Some(module) = name.strip_suffix(peft::PARTS[0]) else { continue };
            let b = &self.adapters[&format!("{module}{}", peft::PARTS[1])];
            let weight =
                &mut merged.get_mut(&format!("{module}.weight")).expect("adapters sit on the model's layers");
            let product = b.matmul(a) * self.scales[module];
            let product =
                if is_transposed(&self.manifest.architecture, module) { product.tr() } else { product };
            **weight = &**weight + product;
            if let Some(lengths) = self.adapters.get(&format!("{module}{}", peft::LENGTHS)) {
                let across = if is_transposed(&self.manifest.architecture, module) { 0 } else { 1 };
                let factor = lengths / magnitude::lengths(weight, across);
                **weight = &**weight * factor.unsqueeze(across);
            }
        }
        merged
    }
}

/// Whether a layer's matrix is `[in, out]`.
fn is_transposed(architecture: &Architecture, module: &str) -> bool {
    architecture
        .linears(Head::LanguageModel)
        .iter()
        .any(|linear| linear.name == module && linear.is_transposed)
}

/// From which probability on a trial's labels were answered, where each was judged by itself.
fn threshold(trial: &Trial, layout: &Layout) -> Result<Option<f64>, AdapterError> {
    let path = layout.result(trial.id);
    let result: Option<TrialResult> = files::read_sealed(&path)
        .map_err(|error| AdapterError::Settings { path: path.clone(), reason: error.to_string() })?;
    let scores = result.and_then(|result| result.validation.or(result.test));
    Ok(scores.and_then(|scores| scores.threshold()))
}

/// The same trial in 32 bits, the format in which models are exported and used.
fn in_fp32(trial: &Trial) -> Trial {
    let configuration = (*trial.configuration).clone();
    let training = Training { precision: Precision::Fp32, ..configuration.training };
    Trial { configuration: Arc::new(Configuration { training, ..configuration }), ..trial.clone() }
}

/// Loads what a trial trained: the weights that it was judged by.
fn restore(params: &Params, trial: &Trial, layout: &Layout) -> Result<(), AdapterError> {
    let trained = params.slot(0);
    if trained.is_empty() {
        return Ok(());
    }
    let path = match trial.keep() {
        Keep::Last => layout.last_checkpoint(trial.id),
        Keep::Best => layout.best_checkpoint(trial.id),
    };
    let unusable = |reason: String| AdapterError::Settings { path: path.clone(), reason };
    let (state, values) = checkpoint::load(&path).map_err(|error| unusable(error.to_string()))?;
    if state.trial != trial.id {
        return Err(unusable(format!("it belongs to the trial {}", state.trial)));
    }
    fill(&trained, &values).map_err(unusable)
}

/// The tensors of an adapter's base, after checking that it is the adapter's.
fn base_tensors(
    base: &BaseModel,
    given: Option<&Path>,
    architecture: &Architecture,
    head: Head,
) -> Result<BTreeMap<String, Tensor>, AdapterError> {
    // A relative path would depend on the folder that the program is started in.
    let recorded = Some(base.folder.as_path()).filter(|folder| folder.is_absolute() && folder.is_dir());
    let folder = given.or(recorded).ok_or_else(|| AdapterError::NoBase { name: base.name.clone() })?;
    let wrong = |detail: String| AdapterError::WrongBase { base: folder.to_path_buf(), detail };
    let file = weights::read(folder)?;
    file.check(architecture).map_err(|error| wrong(error.to_string()))?;
    if base::content(&file, architecture, head)? != base.content {
        let same = "its tensors have the right shapes and other values";
        return Err(wrong(format!("{same} than those of `{}`", base.name)));
    }
    let about = architecture.about();
    let read = |place: TensorShape| Ok((place.name.clone(), build::read(&file, about, &place)?));
    // Tensors that the base lacks come from the adapter.
    let there =
        architecture.base_tensors(head).into_iter().filter(|place| !file.lacks(architecture, &place.name));
    there.map(read).collect()
}

/// The error for a folder that is not an adapter's, or not yet imported.
fn not_exported(folder: &Path) -> AdapterError {
    let shown = folder.display();
    let (found, hint) = if !folder.is_dir() {
        ("there is no such folder", "check the path".to_owned())
    } else if folder.join(peft::CONFIG).exists() {
        let hint =
            format!("`lorasweep import {shown} --base FOLDER --out DIR` makes `DIR` of it, for `--adapter`");
        ("it is as PEFT saved it, and does not say on which base", hint)
    } else if folder.join("config.json").exists() {
        ("it holds a whole model", format!("`lorasweep predict --model {shown}` asks that"))
    } else {
        (
            "it has no lorasweep.json",
            "give a folder that `lorasweep export` or `lorasweep import` wrote".to_owned(),
        )
    };
    AdapterError::OtherFolder { folder: folder.to_path_buf(), wanted: "an adapter", found, hint }
}
