//! Owns models and data sets of the Hugging Face hub: which files of a repository are wanted, and how they get
//! into the cache that Python's `huggingface_hub` shares. Prints nothing, reads the fetched files only to check
//! their checksums, and never writes outside the cache.
//!
//! The transfer is our own code, because the crate `hf-hub` appends any answer to a request for the rest of a
//! file, checks no checksums, builds paths from names that the server chose, and since version 1 needs an
//! asynchronous runtime.
//!
//! A file counts as downloaded once its length and its checksum match: it is received as
//! `blobs/SUM.incomplete`, under the lock that Python takes too, and then renamed. A broken transfer continues
//! where it stopped, now or at the next call. A branch is pinned to one commit first, and the cache's reference
//! moves to that commit after its last file has arrived.
//!
//! Read `reference.rs` first, then `selection.rs` and `splits.rs` (which files) and `transfer.rs` (how they
//! arrive).

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

/// The cached files after a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The commit's folder, with the files as the repository names them.
    pub folder: PathBuf,
    /// The wanted files, within the folder, sorted.
    pub files: Vec<PathBuf>,
    /// The commit that the revision points to: 40 hexadecimal digits.
    pub commit: String,
}

/// Progress of the files of one call, in bytes. Reported after every piece that arrives; bytes received by an
/// earlier call count as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file being transferred, as the repository names it.
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
    /// A hub with these settings. Sends no request yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// The hub that the environment describes, as Python's `huggingface_hub` reads it.
    #[must_use]
    pub fn from_env() -> Self {
        Self::new(Settings::from_env())
    }

    /// Fetches a model's files into the cache: one kind of weights, safetensors before PyTorch's own.
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

    /// Fetches the files of one split of a data set into the cache.
    ///
    /// # Errors
    /// When the reference does not say which files are meant, when the hub does not give them, or, offline,
    /// when the cache does not hold them.
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
