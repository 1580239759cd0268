//! Owns reading the weights of a folder in transformers' layout: which files they are in, their
//! formats (safetensors, torch's zip archives, torch's streams from before 1.6), and looking tensors
//! up by name.
//!
//! Nothing in a weight file is executed, nothing it claims is trusted unchecked, and its bytes stay in the file
//! until they are needed. Builds no model and needs no libtorch.

mod archive;
mod error;
mod names;
mod pickle;
mod place;
mod safetensors;
mod stream;
mod tensor;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use memmap2::Mmap;

pub use error::{Fault, WeightsError};
use tensor::Stored;
pub use tensor::{Kind, TensorView};

use crate::disk::mapped;
use crate::families::blueprint::Output;
use crate::families::{About, Architecture, Head, TensorShape};
use crate::values::ContentHash;

/// The weight files of transformers, in order of preference.
const LOOKED_FOR: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// Most bytes of an index of shards: a million tensors stay below it.
const MAX_INDEX_BYTES: u64 = 256 << 20;

/// Most bytes of a `config.json`: those in use have a thousandth of it.
pub const MAX_CONFIG_BYTES: u64 = 16 << 20;

/// The first bytes of a Git LFS pointer.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// The tensors of one model folder. Its files must not be changed in place while it lives.
#[derive(Debug)]
pub struct StateDict {
    folder: PathBuf,
    files: Vec<Mmap>,
    /// Each tensor with the index of its file.
    tensors: BTreeMap<String, (usize, Stored)>,
    /// Prefix of the whole model's names, as [`names::wrapping`] finds it.
    wrapping: String,
}

/// Finds all tensors of a model folder.
///
/// # Errors
/// When the folder has no weight file, or one cannot be read, is damaged, or asks for code to run.
pub fn read(folder: &Path) -> Result<StateDict, WeightsError> {
    let listed = Listed::find(folder)?;
    let mut found = StateDict::empty(folder);
    for path in &listed.files {
        found.add(path)?;
    }
    found.wrapping = names::wrapping(found.names());
    match listed.names.into_iter().find(|name| !found.tensors.contains_key(name)) {
        Some(name) => Err(found.missing(&name)),
        None => Ok(found),
    }
}

/// Finds all tensors of one weight file, of either format.
///
/// # Errors
/// When it cannot be read, is damaged, or asks for code to run.
pub fn read_file(path: &Path) -> Result<StateDict, WeightsError> {
    let mut found = StateDict::empty(path.parent().unwrap_or_else(|| Path::new(".")));
    found.add(path)?;
    Ok(found)
}

/// The hash of a folder's weight files and its `config.json`, which identifies the base in trials' ids. A
/// `config.json` that cannot be read adds nothing.
///
/// # Errors
/// When there are no weights, or they cannot be read.
pub fn content(folder: &Path) -> Result<ContentHash, WeightsError> {
    let mut hasher = blake3::Hasher::new();
    let weights = files(folder)?.into_iter().map(|path| (path, u64::MAX));
    for (path, most) in weights.chain([(folder.join("config.json"), MAX_CONFIG_BYTES)]) {
        if let Ok(file) = File::open(&path) {
            hasher.update_reader(file.take(most)).map_err(|source| read_error(&path, source))?;
        }
    }
    Ok(ContentHash::from_digest(&hasher.finalize()))
}

/// The files that [`read`] would read, in a stable order.
///
/// # Errors
/// When the folder has none, or its shard index is not readable.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, WeightsError> {
    Listed::find(folder).map(|listed| listed.files)
}

impl StateDict {
    fn empty(folder: &Path) -> Self {
        let (folder, wrapping) = (folder.to_owned(), String::new());
        Self { folder, files: Vec::new(), tensors: BTreeMap::new(), wrapping }
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The tensor with exactly this name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let (name, (file, stored)) = self.tensors.get_key_value(name)?;
        Some(stored.view(name, &self.files[*file]))
    }

    /// The tensor with exactly this name.
    ///
    /// # Errors
    /// [`WeightsError::Missing`] when there is none.
    pub fn exactly(&self, name: &str) -> Result<TensorView<'_>, WeightsError> {
        self.tensor(name).ok_or_else(|| self.missing(name))
    }

    /// The tensor with this name in a family's model. The file may have it with or without the family's prefix
    /// (files of the base model alone leave `bert.` out), after the file's wrapping prefix, under the names
    /// `gamma` and `beta` that old files of BERT use for the weight and bias of a `LayerNorm`, or as the output
    /// layer where that is the word embedding.
    ///
    /// # Errors
    /// [`WeightsError::Missing`] when there is none.
    pub fn find(&self, name: &str, about: &About) -> Result<TensorView<'_>, WeightsError> {
        names::candidates(name, about, &self.wrapping)
            .find_map(|name| self.tensor(&name))
            .ok_or_else(|| self.missing(name))
    }

    /// Whether a tensor is missing that a model can initialise at random.
    #[must_use]
    pub fn lacks(&self, architecture: &Architecture, name: &str) -> bool {
        architecture.optional_module_of(name).is_some() && self.find(name, architecture.about()).is_err()
    }

    /// The tensor as a model needs it: found as by [`StateDict::find`], of this shape, and finite.
    ///
    /// # Errors
    /// When it is missing, has another shape, or holds NaN or infinity.
    pub fn require(
        &self,
        name: &str,
        about: &About,
        shape: &[usize],
    ) -> Result<TensorView<'_>, WeightsError> {
        let tensor = self.find(name, about)?.with_shape(shape)?;
        tensor.check_finite()?;
        Ok(tensor)
    }

    /// Checks that every tensor of a base model exists, has its shape and is neither quantised nor under an
    /// adapter, and that a separate output layer equals the word embedding. Gives the missing modules that can
    /// be initialised at random.
    ///
    /// # Errors
    /// With the first tensor that does not fit.
    pub fn check(&self, architecture: &Architecture) -> Result<Vec<&'static str>, WeightsError> {
        if let Some(name) = self.names().find(|name| names::is_adapters(name)) {
            return Err(WeightsError::Adapters { name: name.to_owned(), folder: self.folder.clone() });
        }
        let (mut fresh, mut there) = (BTreeSet::new(), BTreeSet::new());
        for tensor in architecture.tensors() {
            let module = architecture.optional_module_of(&tensor.name);
            match (self.find(&tensor.name, architecture.about()), module) {
                (Ok(found), module) => {
                    if !found.kind.is_float() {
                        return Err(self.quantised(found.name));
                    }
                    found.with_shape(&tensor.shape)?;
                    there.extend(module);
                }
                (Err(_), Some(module)) => drop(fresh.insert(module)),
                (Err(missing), None) => {
                    let quantised = self.names().find(|name| names::is_quantised(name));
                    return Err(quantised.map_or(missing, |name| self.quantised(name)));
                }
            }
        }
        for shape in architecture.output(Head::LanguageModel).iter().flat_map(Output::of_base) {
            if let Ok(found) = self.find(&shape.name, architecture.about()) {
                if !found.kind.is_float() {
                    return Err(self.quantised(found.name));
                }
                found.with_shape(&shape.shape)?;
            }
        }
        if architecture.ties_words() && self.has_untied_output(architecture.about()) {
            return Err(WeightsError::UntiedOutput { folder: self.folder.clone() });
        }
        match fresh.intersection(&there).next() {
            Some(module) => Err(self.missing(module)),
            None => Ok(fresh.into_iter().collect()),
        }
    }

    /// Whether the output layer for words is missing, where it is not the word embedding: a model that was saved
    /// without a head has none.
    #[must_use]
    pub fn lacks_output(&self, architecture: &Architecture) -> bool {
        let output = architecture.output(Head::LanguageModel);
        let lacks = |shape: &TensorShape| self.find(&shape.name, architecture.about()).is_err();
        output.iter().flat_map(Output::of_base).any(|shape| lacks(&shape))
    }

    /// Whether a language model's output layer is stored separately and differs from the word embedding.
    fn has_untied_output(&self, about: &About) -> bool {
        let of = |name: String| self.tensor(&format!("{}{name}", self.wrapping));
        about.language_model.is_some()
            && about.same.iter().any(|(own, other)| {
                let embedding = of(format!("{}{own}", about.prefix)).or_else(|| of((*own).to_owned()));
                let output = of((*other).to_owned()).filter(|output| output.kind.is_float());
                embedding
                    .zip(output)
                    .is_some_and(|(a, b)| a.kind == b.kind && a.shape == b.shape && a.bytes != b.bytes)
            })
    }

    fn quantised(&self, name: &str) -> WeightsError {
        WeightsError::Quantised { name: name.to_owned(), folder: self.folder.clone() }
    }

    fn missing(&self, name: &str) -> WeightsError {
        WeightsError::Missing { name: name.to_owned(), folder: self.folder.clone() }
    }

    fn add(&mut self, path: &Path) -> Result<(), WeightsError> {
        let file = mapped::open(path).map_err(|source| read_error(path, source))?;
        let found = if file.starts_with(POINTER) {
            Err(Fault::Pointer)
        } else if path.extension().is_some_and(|extension| extension == "safetensors") {
            safetensors::tensors(&file)
        } else if stream::is_stream(&file) {
            stream::tensors(&file)
        } else {
            archive::tensors(&file)
        };
        let found = found.map_err(|fault| WeightsError::File { path: path.to_owned(), fault })?;
        let index = self.files.len();
        self.tensors.extend(found.into_iter().map(|(name, stored)| (name, (index, stored))));
        self.files.push(file);
        Ok(())
    }
}

/// The weight files of a folder, before they are read.
struct Listed {
    files: Vec<PathBuf>,
    /// Tensors that must be in the files; only an index of shards names them.
    names: Vec<String>,
}

impl Listed {
    fn find(folder: &Path) -> Result<Self, WeightsError> {
        let there = LOOKED_FOR.iter().map(|name| folder.join(name)).find(|path| path.is_file());
        let path = there
            .ok_or_else(|| WeightsError::NoWeights { folder: folder.to_owned(), looked_for: &LOOKED_FOR })?;
        if path.extension().is_some_and(|extension| extension == "json") {
            Self::from_index(folder, &path)
        } else {
            Ok(Self { files: vec![path], names: Vec::new() })
        }
    }

    fn from_index(folder: &Path, path: &Path) -> Result<Self, WeightsError> {
        let damaged =
            |reason: String| WeightsError::File { path: path.to_owned(), fault: Fault::damaged(reason) };
        let size = path.metadata().map_err(|source| read_error(path, source))?.len();
        if size > MAX_INDEX_BYTES {
            let what = "its list of shards".to_owned();
            let fault = Fault::Oversized { what, claimed: size, limit: MAX_INDEX_BYTES };
            return Err(WeightsError::File { path: path.to_owned(), fault });
        }
        let text = std::fs::read(path).map_err(|source| read_error(path, source))?;
        let index: ShardIndex = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        let mut shards: Vec<&str> = index.weight_map.values().map(String::as_str).collect();
        shards.sort_unstable();
        shards.dedup();
        if let Some(shard) = shards.iter().find(|shard| !is_file_name(shard)) {
            return Err(damaged(format!("it names the shard `{shard}`, which is not a file of its folder")));
        }
        let files = shards.into_iter().map(|shard| folder.join(shard)).collect();
        Ok(Self { files, names: index.weight_map.into_keys().collect() })
    }
}

/// transformers' index of a model in several files.
#[derive(serde::Deserialize)]
struct ShardIndex {
    /// File name by tensor name.
    weight_map: BTreeMap<String, String>,
}

fn is_file_name(text: &str) -> bool {
    let mut parts = Path::new(text).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
}

fn read_error(path: &Path, source: std::io::Error) -> WeightsError {
    WeightsError::Read { path: path.to_owned(), source }
}
