//! Owns the hub's settings in the environment: cache, endpoint, token, offline mode, with the names and the
//! precedence of Python's `huggingface_hub`. Reads the token file, nothing else.

use std::fmt;
use std::path::{Path, PathBuf};

const ENDPOINT: &str = "https://huggingface.co";

/// How the hub is reached and where its files are kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Folder of the cache: `HF_HUB_CACHE`, else `hub` in `HF_HOME`.
    pub cache: PathBuf,
    /// The hub's address, without a trailing slash: `HF_ENDPOINT`.
    pub endpoint: String,
    /// The access token: `HF_TOKEN`, else the file that `hf auth login` writes.
    pub token: Option<String>,
    /// Whether the cache alone is used: `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE`.
    pub offline: bool,
}

impl Settings {
    /// The settings of this process's environment.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// The settings in these variables; an empty variable counts as not set.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&str]| {
            names.iter().find_map(|name| variable(name).filter(|value| !value.trim().is_empty()))
        };
        let user = first(&["HOME"]).map_or_else(|| PathBuf::from("."), PathBuf::from);
        let folder = |names: &[&str]| first(names).map(|value| expand(&value, &user));
        let home = folder(&["HF_HOME"]).unwrap_or_else(|| {
            folder(&["XDG_CACHE_HOME"]).unwrap_or_else(|| user.join(".cache")).join("huggingface")
        });
        let token_file = folder(&["HF_TOKEN_PATH"]).unwrap_or_else(|| home.join("token"));
        let endpoint = first(&["HF_ENDPOINT"]).unwrap_or_else(|| ENDPOINT.to_owned());
        let token = || std::fs::read_to_string(token_file).ok();
        Self {
            cache: folder(&["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"]).unwrap_or_else(|| home.join("hub")),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: first(&["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"])
                .or_else(token)
                .map(|token| token.trim().to_owned())
                .filter(|token| !token.is_empty()),
            offline: ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]
                .iter()
                .any(|name| variable(name).is_some_and(|value| is_true(&value))),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("cache", &self.cache)
            .field("endpoint", &self.endpoint)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("offline", &self.offline)
            .finish()
    }
}

fn expand(text: &str, user: &Path) -> PathBuf {
    text.strip_prefix("~/").map_or_else(|| PathBuf::from(text), |rest| user.join(rest))
}

fn is_true(value: &str) -> bool {
    matches!(value.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Settings {
        Settings::from_variables(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_have_pythons_order() {
        let bare = settings(&[("HOME", "/nowhere")]);
        assert_eq!(bare.cache, Path::new("/nowhere/.cache/huggingface/hub"));
        assert_eq!((bare.endpoint.as_str(), bare.token, bare.offline), (ENDPOINT, None, false));
        let home = settings(&[("HF_HOME", "~/hf"), ("HOME", "/nowhere"), ("XDG_CACHE_HOME", "/xdg")]);
        assert_eq!(home.cache, Path::new("/nowhere/hf/hub"));
        let all = settings(&[
            ("HF_HUB_CACHE", "/cache"),
            ("HF_HOME", "/hf"),
            ("HF_ENDPOINT", "http://mirror/"),
            ("HF_TOKEN", " hf_secret\n"),
            ("TRANSFORMERS_OFFLINE", "yes"),
        ]);
        assert_eq!(all.cache, Path::new("/cache"));
        assert_eq!((all.endpoint.as_str(), all.offline), ("http://mirror", true));
        assert_eq!(all.token.as_deref(), Some("hf_secret"));
        assert!(!settings(&[("HF_HUB_OFFLINE", "0"), ("HF_ENDPOINT", "")]).offline);
    }

    #[test]
    fn the_token_file_is_used_and_no_token_is_shown() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "hf_secret\n").unwrap();
        let settings = settings(&[("HF_HOME", home.path().to_str().unwrap())]);
        assert_eq!(settings.token.as_deref(), Some("hf_secret"));
        assert!(!format!("{settings:?}").contains("hf_secret"));
    }
}
