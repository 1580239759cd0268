//! Owns the import of an adapter that PEFT saved: it is checked against its base and written in the
//! form of an export. Computes nothing with the weights.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::base::{self, ModelFolder};
use super::card;
use super::error::AdapterError;
use super::fit;
use super::folder::{Draft, Values};
use super::manifest::{BaseModel, MANIFEST, Manifest, Purpose};
use super::peft::{self, AdapterConfig};
use crate::arch::Head;
use crate::model::weights::{self, Checkpoint};

/// What to import.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// PEFT's folder.
    pub adapter: &'a Path,
    /// The folder of its base.
    pub base: &'a Path,
    /// Where to write.
    pub out: &'a Path,
    /// Class names by index; those of the base, or numbers, where absent.
    pub labels: Option<&'a [String]>,
    /// Number of the base's first layers that the adapter was trained on; all where absent.
    pub layers: Option<usize>,
}

/// Imports an adapter and says which files were written.
///
/// # Errors
/// When a file is missing or damaged, the adapter does not fit the base, or uses a feature that is
/// not computed here.
pub fn import(request: &Request<'_>) -> Result<Vec<PathBuf>, AdapterError> {
    let draft = Draft::begin(request.out)?;
    let path = request.adapter.join(peft::CONFIG);
    let text = std::fs::read(&path).map_err(AdapterError::read(&path))?;
    let config = AdapterConfig::parse(&path, &text)?;
    let file = open(request.adapter)?;
    let base = ModelFolder::open(request.base)?;
    let all = base.architecture.stack().layers;
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
    let architecture = base::truncated(&base.architecture, layers);
    let fitted = fit::fit(&config, &file, &architecture)?;
    let known = Manifest::read(request.adapter)?;
    let purpose = purpose(fitted.head, request.labels, known.as_ref(), &base)?;
    let folder = std::path::absolute(request.base).map_err(AdapterError::read(request.base))?;
    let model = BaseModel {
        name: base::name(&folder),
        layers: (layers < all).then_some(layers),
        content: base::content(&base.tensors, &architecture)?,
        folder,
    };
    let mut manifest = Manifest::new(purpose, architecture.max_length(), architecture);
    if let Some(known) = known {
        (manifest.max_length, manifest.cleaning) = (known.max_length, known.cleaning);
    }
    let modules: Vec<String> = fitted.layers.iter().map(|layer| layer.name.clone()).collect();
    let config = AdapterConfig { base: Some(model.name.clone()), ..config };
    let tensors: BTreeMap<String, Values<'_>> = file.names().filter_map(|name| values(&file, name)).collect();
    draft.tensors(peft::TENSORS, &tensors)?;
    draft.write(peft::CONFIG, config.render(&manifest.architecture, fitted.head, &modules).as_bytes())?;
    draft.write("README.md", card::imported(&manifest, &model).as_bytes())?;
    manifest.base = Some(model);
    draft.write(MANIFEST, &manifest.to_text())?;
    draft.tokenizer(request.base)?;
    draft.finish()
}

/// The adapter's tensors, in either of PEFT's formats.
fn open(folder: &Path) -> Result<Checkpoint, AdapterError> {
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

fn values<'a>(file: &'a Checkpoint, name: &str) -> Option<(String, Values<'a>)> {
    let tensor = file.tensor(name)?;
    let values = Values { kind: tensor.kind, shape: tensor.shape.to_vec(), bytes: tensor.bytes };
    Some((name.to_owned(), values))
}

/// What the adapter is for. Class names are those given, else those that an export names, else the base's.
fn purpose(
    head: Head,
    labels: Option<&[String]>,
    known: Option<&Manifest>,
    base: &ModelFolder,
) -> Result<Purpose, AdapterError> {
    let known = known.map(|known| &known.purpose).filter(|known| known.head() == head);
    match (head, labels, known) {
        (Head::Classifier { labels: classes }, Some(given), _) if given.len() != classes => {
            Err(AdapterError::Labels { given: given.len(), classes })
        }
        (Head::Classifier { .. }, Some(given), Some(Purpose::Classification { pairs, .. })) => {
            Ok(Purpose::Classification { labels: given.to_vec(), pairs: *pairs })
        }
        (Head::Classifier { .. }, Some(given), _) => {
            Ok(Purpose::Classification { labels: given.to_vec(), pairs: false })
        }
        (Head::LanguageModel, Some(_), _) => Err(AdapterError::Question {
            message: "`--labels` names classes, and this adapter is a language model's".to_owned(),
            hint: "leave `--labels` out".to_owned(),
        }),
        (_, None, Some(known)) => Ok(known.clone()),
        (Head::Classifier { labels: classes }, None, None) => {
            let own = base.labels().filter(|own| own.len() == classes);
            let labels = own.unwrap_or_else(|| Purpose::numbered(classes));
            Ok(Purpose::Classification { labels, pairs: false })
        }
        (Head::LanguageModel, None, None) => Ok(Purpose::LanguageModelling),
    }
}
