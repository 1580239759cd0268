//! Owns the import of an adapter that PEFT saved: checks it against its base and writes it in the format of an
//! export. Computes nothing with the weights.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::base::{self, ModelFolder};
use super::error::AdapterError;
use super::features::{Biases, Start};
use super::fit::{self, Fitted};
use super::folder::{Draft, Values};
use super::manifest::{BaseModel, MANIFEST, Manifest};
use super::names::{stored, stored_beside};
use super::peft::{self, AdapterConfig};
use super::{card, heads};
use crate::families::{Architecture, Head};
use crate::model::weights::{self, StateDict};
use crate::tasks::{Problem, Purpose};

/// What to import.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// PEFT's folder.
    pub adapter: &'a Path,
    /// The folder of its base.
    pub base: &'a Path,
    /// Where to write.
    pub out: &'a Path,
    /// Class names by index; where absent, the base's names, or numbers.
    pub labels: Option<&'a [String]>,
    /// What the head's numbers mean; where absent, the base's `problem_type` decides.
    pub problem: Option<Problem>,
    /// Number of the base's first layers that the adapter was trained on; all where absent.
    pub layers: Option<usize>,
}

/// The result of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The files that were written.
    pub files: Vec<PathBuf>,
    /// What the user should know about the adapter.
    pub notes: Vec<String>,
}

/// Imports an adapter.
///
/// # Errors
/// When a file is missing or damaged, or the adapter does not fit the base or uses an unsupported feature.
pub fn import(request: &Request<'_>) -> Result<Imported, AdapterError> {
    let draft = Draft::begin(request.out)?;
    let path = request.adapter.join(peft::CONFIG);
    let text = std::fs::read(&path).map_err(|error| unread(request, &path, error))?;
    let config = AdapterConfig::parse(&path, &text)?;
    let file = open(request.adapter)?;
    let base = ModelFolder::open(request.base)?;
    let all = base.architecture.layers();
    let layers = request.layers.unwrap_or(all);
    if layers == 0 || layers > all {
        return Err(AdapterError::Question {
            message: format!(
                "the base in `{}` has {all} layers, and {layers} are asked for",
                base.path.display()
            ),
            hint: format!("give `--layers` a number from 1 to {all}"),
        });
    }
    let architecture = base.architecture.truncated(layers);
    let fitted = fit::fit(&config, &file, &architecture)?;
    if let Some((module, name)) = drawn(&base, &architecture, &fitted) {
        return Err(AdapterError::Drawn { base: base.path, name, module });
    }
    let known = Manifest::read(request.adapter)?;
    let purpose = purpose(fitted.head, request, known.as_ref(), &base)?;
    let folder = std::path::absolute(request.base).map_err(AdapterError::read(request.base))?;
    let model = BaseModel {
        name: base::name(&folder),
        layers: (layers < all).then_some(layers),
        content: base::content(&base.tensors, &architecture, fitted.head)?,
        folder,
    };
    let mut manifest = Manifest::new(purpose, architecture.max_length(), architecture);
    if let Some(known) = known {
        (manifest.max_length, manifest.cleaning) = (known.max_length, known.cleaning);
    }
    let saved = saved(&config, fitted.head, &manifest.architecture);
    let config = AdapterConfig { base: Some(model.name.clone()), saved, ..config };
    let tensors = tensors(&config, &fitted, &file)?;
    draft.tensors(peft::TENSORS, &tensors)?;
    draft
        .write(peft::CONFIG, config.render(&manifest.architecture, fitted.head, &fitted.layers).as_bytes())?;
    draft.write("README.md", card::imported(&manifest, &model).as_bytes())?;
    manifest.base = Some(model);
    draft.write(MANIFEST, &manifest.to_text())?;
    draft.tokenizer(request.base)?;
    Ok(Imported { files: draft.finish()?, notes: notes(&config, &fitted) })
}

/// A tensor that neither the base nor the adapter has, so it was initialised at random for the training, behind its
/// module's name.
fn drawn(base: &ModelFolder, architecture: &Architecture, fitted: &Fitted) -> Option<(&'static str, String)> {
    let brought = |name: &str| fitted.saved.iter().any(|place| place.name == name);
    let mut names = architecture.tensors().into_iter().map(|place| place.name);
    let name = names.find(|name| base.tensors.lacks(architecture, name) && !brought(name))?;
    Some((architecture.optional_module_of(&name)?, name))
}

/// The modules that trained as a whole, without a word embedding that is also the output layer, since PEFT
/// would separate the two.
fn saved(config: &AdapterConfig, head: Head, architecture: &Architecture) -> Vec<String> {
    let tied = |module: &&String| {
        head == Head::LanguageModel
            && architecture.ties_words()
            && (*module == "lm_head" || fit::is_words(module, architecture))
    };
    config.saved.iter().filter(|module| !tied(module)).cloned().collect()
}

/// Notes on an imported adapter.
fn notes(config: &AdapterConfig, fitted: &Fitted) -> Vec<String> {
    let mut notes = Vec::new();
    if let (Biases::Trained { .. }, false) = (config.biases, fitted.has_biases) {
        notes.push(format!(
            "the adapter's settings say that biases were trained (`bias`: `{}`), and its file has none: those of \
             the base are used",
            config.biases.name()
        ));
    }
    match config.start {
        Start::Plain => {}
        Start::Pissa { randomised } => {
            notes.push(
                "the adapter was trained on what PiSSA left of the base, and that is computed anew: the base must \
                 be the one before PiSSA changed it"
                    .to_owned(),
            );
            if randomised {
                notes.push(
                    "PiSSA started from a randomised decomposition that nobody kept; the exact one is used, which \
                     differs a little"
                        .to_owned(),
                );
            }
        }
        Start::Olora => notes.push(
            "the adapter was trained on what OLoRA left of the base, and that is computed anew: the base must be \
             the one before OLoRA changed it"
                .to_owned(),
        ),
    }
    notes
}

/// The error for an adapter whose settings cannot be read.
fn unread(request: &Request<'_>, path: &Path, error: std::io::Error) -> AdapterError {
    let folder = request.adapter;
    let (found, hint) = if folder.join("config.json").exists() {
        let hint = format!("`lorasweep predict --model {}` asks a whole model", folder.display());
        ("it holds a whole model", hint)
    } else if folder.is_dir() {
        ("it has no adapter_config.json", "give the folder that PEFT's `save_pretrained` wrote".to_owned())
    } else {
        ("there is no such folder", "check the path".to_owned())
    };
    if error.kind() != std::io::ErrorKind::NotFound {
        return AdapterError::read(path)(error);
    }
    AdapterError::OtherFolder { folder: folder.to_path_buf(), wanted: "an adapter", found, hint }
}

/// The adapter's tensors, in either of PEFT's formats.
fn open(folder: &Path) -> Result<StateDict, AdapterError> {
    let path =
        [peft::TENSORS, peft::PICKLED].map(|name| folder.join(name)).into_iter().find(|path| path.is_file());
    match path {
        Some(path) => Ok(weights::read_file(&path)?),
        None => Err(AdapterError::Settings {
            path: folder.to_path_buf(),
            reason: format!("it has neither `{}` nor `{}`", peft::TENSORS, peft::PICKLED),
        }),
    }
}

/// The adapter's tensors under the names that PEFT looks for.
fn tensors<'a>(
    config: &AdapterConfig,
    fitted: &Fitted,
    file: &'a StateDict,
) -> Result<BTreeMap<String, Values<'a>>, AdapterError> {
    let parts = fitted.layers.iter().flat_map(|layer| layer.tensors(config));
    let parts = parts.map(|(name, shape)| (stored(&name), name, shape));
    let saved = fitted.saved.iter().map(|place| {
        (stored_beside(&place.name, &fitted.index.modules), place.name.clone(), place.shape.clone())
    });
    let mut tensors = BTreeMap::new();
    for (stored, name, shape) in parts.chain(saved) {
        let tensor = fitted.read(file, &name, &shape)?;
        tensors.insert(stored, Values { kind: tensor.kind, shape, bytes: tensor.bytes });
    }
    Ok(tensors)
}

/// The adapter's purpose. Class names are the given ones, else those of an export, else the base's.
fn purpose(
    head: Head,
    request: &Request<'_>,
    known: Option<&Manifest>,
    base: &ModelFolder,
) -> Result<Purpose, AdapterError> {
    let known = known.map(|known| &known.purpose).filter(|known| known.head() == head);
    let (classes, tags) = match head {
        Head::Classifier { labels } => (labels, false),
        Head::Tagger { labels } => (labels, true),
        Head::LanguageModel => (0, false),
    };
    if classes == 0 {
        let option = [("--labels", request.labels.is_some()), ("--problem-type", request.problem.is_some())];
        return match option.iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(AdapterError::Question {
                message: format!("`{option}` is for classes, and this adapter is a language model's"),
                hint: format!("leave `{option}` out"),
            }),
            None => Ok(known.cloned().unwrap_or(Purpose::LanguageModelling)),
        };
    }
    let (own, pairs, learned) = match known {
        Some(Purpose::Classification { labels, pairs, problem }) => {
            (Some(labels.clone()), *pairs, Some(*problem))
        }
        Some(Purpose::Tagging { labels }) => (Some(labels.clone()), false, None),
        Some(Purpose::LanguageModelling | Purpose::QuestionAnswering(_) | Purpose::Chat(_)) | None => {
            (base.labels().filter(|own| own.len() == classes), false, None)
        }
    };
    let labels = match request.labels {
        Some(given) if given.len() != classes => {
            return Err(AdapterError::Labels { given: given.len(), classes });
        }
        Some(given) => given.to_vec(),
        None => own.unwrap_or_else(|| Purpose::numbered(classes)),
    };
    if tags {
        return match request.problem {
            Some(_) => Err(AdapterError::Question {
                message: "`--problem-type` is for classes of texts, and this adapter tags words".to_owned(),
                hint: "leave `--problem-type` out".to_owned(),
            }),
            None => Ok(Purpose::Tagging { labels }),
        };
    }
    let problem = match request.problem.or(learned) {
        Some(problem) => problem,
        None => heads::problem(base, classes)?,
    };
    Ok(Purpose::Classification { labels, pairs, problem })
}
