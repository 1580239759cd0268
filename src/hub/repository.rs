//! Owns one repository of the hub: its addresses, its place in the cache, both as in Python's
//! `huggingface_hub`, and its name in errors. Builds requests but sends none.

use std::path::PathBuf;

use ureq::config::RedirectAuthHeaders;
use ureq::typestate::WithoutBody;
use ureq::{Agent, RequestBuilder};

use super::{HubError, Problem, Reference, Settings};

/// How requests name this program.
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// What a repository holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Model,
    DataSet,
}

impl Kind {
    /// Prefix of the cache's folders and of the addresses of listings.
    fn plural(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::DataSet => "datasets",
        }
    }
}

/// A repository at a revision, on the hub and in the cache.
pub(super) struct Repository<'a> {
    kind: Kind,
    agent: Agent,
    pub(super) reference: &'a Reference,
    pub(super) settings: &'a Settings,
}

impl<'a> Repository<'a> {
    pub(super) fn new(kind: Kind, reference: &'a Reference, settings: &'a Settings) -> Self {
        // The token must be sent again when the hub redirects to a repository's new name, but never to the
        // other hosts that serve large files.
        let config = Agent::config_builder()
            .user_agent(USER_AGENT)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .build();
        Self { kind, agent: config.into(), reference, settings }
    }

    /// The request for the revision's commit and its files.
    pub(super) fn ask_for_listing(&self) -> RequestBuilder<WithoutBody> {
        let (kind, name) = (self.kind.plural(), self.reference.repository());
        let revision = self.reference.revision().replace('/', "%2F");
        let address = format!("{}/api/{kind}/{name}/revision/{revision}", self.settings.endpoint);
        self.get(&address).query("blobs", "true")
    }

    /// The request for a file of a commit.
    pub(super) fn ask_for_file(&self, commit: &str, path: &str) -> RequestBuilder<WithoutBody> {
        self.get(&format!("{}/resolve/{commit}/{}", self.page(), escape(path)))
    }

    fn get(&self, address: &str) -> RequestBuilder<WithoutBody> {
        let request = self.agent.get(address);
        match &self.settings.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    /// The repository's folder in the cache, relative to it.
    pub(super) fn folder_name(&self) -> String {
        format!("{}--{}", self.kind.plural(), self.reference.repository().replace('/', "--"))
    }

    /// The repository's folder in the cache.
    pub(super) fn folder(&self) -> PathBuf {
        self.settings.cache.join(self.folder_name())
    }

    /// Its page for people.
    fn page(&self) -> String {
        let prefix = match self.kind {
            Kind::Model => "",
            Kind::DataSet => "datasets/",
        };
        format!("{}/{prefix}{}", self.settings.endpoint, self.reference.repository())
    }

    /// A problem with this repository.
    pub(super) fn error(&self, problem: Problem) -> HubError {
        let kind = match self.kind {
            Kind::Model => "model",
            Kind::DataSet => "data set",
        };
        HubError { subject: format!("{kind} `{}`", self.reference), page: self.page(), problem }
    }
}

/// A path escaped for an address.
fn escape(path: &str) -> String {
    path.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_for_addresses() {
        assert_eq!(escape("data/train-0.parquet"), "data/train-0.parquet");
        assert_eq!(escape("a b#?%ü"), "a%20b%23%3F%25%C3%BC");
    }
}
