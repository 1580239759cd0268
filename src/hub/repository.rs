//! Owns one repository of the hub as the rest of this module sees it: its addresses, its place in the
//! cache, and its name in errors.

use hf_hub::api::sync::{Api, ApiBuilder, ApiRepo};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};

use super::{HubError, Problem, Reference, Settings};

/// What a repository holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Model,
    DataSet,
}

/// A repository at a revision, on the hub and in the cache.
pub(super) struct Repository<'a> {
    kind: Kind,
    api: Api,
    pub(super) reference: &'a Reference,
    pub(super) settings: &'a Settings,
}

impl<'a> Repository<'a> {
    pub(super) fn new(kind: Kind, reference: &'a Reference, settings: &'a Settings) -> Self {
        let api = ApiBuilder::from_cache(Cache::new(settings.cache.clone()))
            .with_endpoint(settings.endpoint.clone())
            .with_token(settings.token.clone())
            .with_user_agent(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .build()
            .expect("only the system's own TLS can fail here, and it is not used");
        Self { kind, api, reference, settings }
    }

    fn at(&self, revision: &str) -> Repo {
        let kind = match self.kind {
            Kind::Model => RepoType::Model,
            Kind::DataSet => RepoType::Dataset,
        };
        Repo::with_revision(self.reference.repository().to_owned(), kind, revision.to_owned())
    }

    /// The hub's side at a revision or commit.
    pub(super) fn remote(&self, revision: &str) -> ApiRepo {
        self.api.repo(self.at(revision))
    }

    /// The cache's side at the reference's revision.
    pub(super) fn cached(&self) -> CacheRepo {
        Cache::new(self.settings.cache.clone()).repo(self.at(self.reference.revision()))
    }

    /// The repository's folder in the cache, relative to it.
    pub(super) fn folder_name(&self) -> String {
        self.at(self.reference.revision()).folder_name()
    }

    /// A problem with this repository.
    pub(super) fn error(&self, problem: Problem) -> HubError {
        let name = self.reference.repository();
        let (kind, prefix) = match self.kind {
            Kind::Model => ("model", ""),
            Kind::DataSet => ("data set", "datasets/"),
        };
        HubError {
            subject: format!("{kind} `{}`", self.reference),
            page: format!("{}/{prefix}{name}", self.settings.endpoint),
            problem,
        }
    }
}
