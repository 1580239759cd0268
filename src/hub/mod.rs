//! Owns models and data sets of the Hugging Face hub: which files of a repository are wanted, and how
//! they come into the cache that Python's `huggingface_hub` shares. Prints nothing, reads none of the
//! files it brings but to check their sums, and never writes outside the cache.
//!
//! All of it is written here: the crate `hf-hub` appends whatever a server answers to a request for the
//! rest of a file, compares no sum, makes paths of names that the server chose, and since its version 1
//! brings an asynchronous runtime.
//!
//! A file counts as downloaded once its length and its sum fit: it is received under
//! `blobs/SUM.incomplete`, under the lock that Python takes too, and renamed. A transfer that breaks
//! goes on where it broke, now or at the next call. A branch is pinned to one commit first, and the
//! cache's reference moves to that commit after its last file has come.

mod cache;
mod client;
mod error;
mod listing;
mod reference;
mod repository;
mod selection;
mod settings;
mod splits;
mod sum;
mod transfer;

use std::path::PathBuf;

pub use error::{HubError, Missing, Problem};
pub use reference::Reference;
pub use settings::Settings;

use listing::Listing;
use repository::{Kind, Repository};
use transfer::Wanted;

/// Which files of a model are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// Configuration, tokenizer and weights: what training needs.
    All,
    /// Configuration and tokenizer: what planning needs.
    WithoutWeights,
}

/// What lies in the cache after a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The commit's folder, with the files as the repository names them.
    pub folder: PathBuf,
    /// The wanted files, within the folder, sorted.
    pub files: Vec<PathBuf>,
    /// The commit that the revision stood for: 40 hexadecimal digits.
    pub commit: String,
}

/// How far the files of one call are, in bytes. Told after every piece that arrives; bytes that an
/// earlier call had received count as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file that is on its way, as the repository names it.
    pub file: &'a str,
    /// Bytes received, over all files.
    pub done: u64,
    /// Bytes to be received, over all files that were not in the cache.
    pub total: u64,
}

/// The hub, as the settings describe it.
#[derive(Debug)]
pub struct Hub {
    settings: Settings,
}

impl Hub {
    /// A hub by settings. Asks nobody yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// The hub that the environment describes, as Python's `huggingface_hub` reads it.
    #[must_use]
    pub fn from_env() -> Self {
        Self::new(Settings::from_env())
    }

    /// Brings a model's files into the cache: one kind of weights, safetensors before PyTorch's own.
    ///
    /// # Errors
    /// When the hub does not give the files, or, offline, when the cache does not hold them.
    pub fn model(
        &self,
        reference: &Reference,
        what: Files,
        progress: &dyn Fn(Progress<'_>),
    ) -> Result<Snapshot, HubError> {
        let repository = Repository::new(Kind::Model, reference, &self.settings);
        let select = |paths: &[&str]| selection::model_files(paths, what);
        if reference.folder().is_some() || reference.split().is_some() {
            return Err(repository.error(Problem::ModelWithFolder));
        }
        bring(&repository, &select, progress).map_err(|problem| repository.error(problem))
    }

    /// Brings the files of one split of a data set into the cache.
    ///
    /// # Errors
    /// When the reference leaves open which files are meant, when the hub does not give them, or,
    /// offline, when the cache does not hold them.
    pub fn dataset(
        &self,
        reference: &Reference,
        progress: &dyn Fn(Progress<'_>),
    ) -> Result<Snapshot, HubError> {
        let repository = Repository::new(Kind::DataSet, reference, &self.settings);
        let select = |paths: &[&str]| splits::split_files(paths, reference.folder(), reference.split());
        bring(&repository, &select, progress).map_err(|problem| repository.error(problem))
    }
}

/// Chooses files by their paths in the repository.
type Select<'a> = dyn Fn(&[&str]) -> Result<Vec<String>, Problem> + 'a;

/// The hub's newest commit if it can be asked, else what the cache holds.
fn bring(
    repository: &Repository<'_>,
    select: &Select<'_>,
    progress: &dyn Fn(Progress<'_>),
) -> Result<Snapshot, Problem> {
    if repository.settings.offline {
        return repository
            .found_in_cache(select)
            .map_err(|missing| Problem::Offline { cache: repository.settings.cache.clone(), missing });
    }
    match repository.listing() {
        Ok(listing) => download(repository, &listing, select, progress),
        Err(Problem::Unreachable { endpoint, reason }) => {
            repository.found_in_cache(select).map_err(|_| Problem::Unreachable { endpoint, reason })
        }
        Err(other) => Err(other),
    }
}

fn download(
    repository: &Repository<'_>,
    listing: &Listing,
    select: &Select<'_>,
    progress: &dyn Fn(Progress<'_>),
) -> Result<Snapshot, Problem> {
    let paths: Vec<&str> = listing.files.keys().map(String::as_str).collect();
    let wanted = select(&paths)?;
    let folder = repository.snapshot(&listing.commit);
    let absent: Vec<_> = wanted
        .iter()
        .map(|path| Wanted { commit: &listing.commit, path, file: &listing.files[path] })
        .filter(|wanted| !cache::has_length(&folder.join(wanted.path), wanted.file.size))
        .collect();
    let total = absent.iter().map(|wanted| wanted.file.size).sum();
    let mut before = 0;
    for wanted in &absent {
        let tell = |received| progress(Progress { file: wanted.path, done: before + received, total });
        repository.fetch(wanted, &tell)?;
        before += wanted.file.size;
    }
    repository.set_reference(&listing.commit)?;
    Ok(repository.describe(&listing.commit, wanted))
}
