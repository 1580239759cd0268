//! Owns conversations as text: a tokenizer's chat template, rendered as transformers' `apply_chat_template`
//! renders it, and which of the text is the assistant's. Knows no task and no data file. Read `learned.rs` next.
//!
//! A template is foreign code. It is run by minijinja without a loader, so that it reaches no file, and with a
//! budget for its steps and for the bytes that it makes.

mod error;
mod jinja;
mod json;
mod learned;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use minijinja::Environment;
use serde::{Deserialize, Serialize};

use super::Tokenizer;
use super::added;
use super::files::CHAT_TEMPLATE as JINJA;
use super::settings::{Settings, read, text_of};
pub use error::ChatError;
pub use learned::{EncodedChat, Rendered};

const CONFIG: &str = "tokenizer_config.json";
/// A file of older versions of transformers.
const JSON: &str = "chat_template.json";

/// Special tokens that templates know by these names.
const SPECIAL: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Who speaks in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions that hold for the whole conversation.
    System,
    /// The one who asks.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// Its name in templates.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl Turn {
    /// A message of this role.
    #[must_use]
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// A compiled chat template with its special tokens.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    /// Where it is from, for messages: a path, or the key of a sweep file.
    origin: String,
    environment: Environment<'static>,
    special: BTreeMap<&'static str, String>,
    /// Whether it marks the assistant's text itself.
    marks: bool,
}

impl ChatTemplate {
    /// A template's text; `origin` is where it is from, and `tokenizer` the folder whose special tokens it may
    /// name.
    ///
    /// # Errors
    /// Where it is no template, or the tokenizer's files cannot be read.
    pub fn new(text: &str, origin: &str, tokenizer: &Path) -> Result<Self, ChatError> {
        let (environment, marks) = jinja::compile(text).map_err(|error| ChatError::of(origin, &error))?;
        Ok(Self { origin: origin.to_owned(), environment, special: special(tokenizer)?, marks })
    }

    /// The template of a tokenizer: its own, or another one's text with where it is from.
    ///
    /// # Errors
    /// Where the tokenizer has none and none is given, the template is wrong, or files cannot be read.
    pub fn of(tokenizer: &Tokenizer, given: Option<(&str, &str)>) -> Result<Self, ChatError> {
        let path = tokenizer.path.as_path();
        let folder = if path.is_file() { path.parent().unwrap_or(path) } else { path };
        let mut template = match given {
            Some((text, origin)) => Self::new(text, origin, folder)?,
            None => Self::of_folder(folder)?,
        };
        // Old tokenizers do not name it in their files.
        if let Some(end) = tokenizer.end_of_text().and_then(|end| tokenizer.token(end)) {
            template.special.entry("eos_token").or_insert(end);
        }
        Ok(template)
    }

    /// The template of the tokenizer in this folder.
    ///
    /// # Errors
    /// Where it has none, or its files cannot be read.
    pub fn of_folder(folder: &Path) -> Result<Self, ChatError> {
        let Some((path, text)) = Self::text_in(folder)? else {
            return Err(ChatError::Absent { folder: folder.to_path_buf() });
        };
        Self::new(&text, &path.display().to_string(), folder)
    }

    /// The text of the template of the tokenizer in this folder, with its file; `None` where there is none.
    /// The order of the files is that of transformers.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn text_in(folder: &Path) -> Result<Option<(PathBuf, String)>, ChatError> {
        let file = |name: &str| {
            let path = folder.join(name);
            let bytes = read(&path).map_err(|error| ChatError::unreadable(&path, &error))?;
            Ok::<_, ChatError>(bytes.map(|bytes| (path, bytes)))
        };
        if let Some((path, bytes)) = file(JINJA)? {
            let text = String::from_utf8(bytes).map_err(|error| ChatError::unreadable(&path, &error))?;
            return Ok(Some((path, text)));
        }
        for name in [CONFIG, JSON] {
            let Some((path, bytes)) = file(name)? else { continue };
            let json: serde_json::Value =
                serde_json::from_slice(&bytes).map_err(|error| ChatError::unreadable(&path, &error))?;
            if let Some(text) = default_of(&json["chat_template"]) {
                return Ok(Some((path, text.to_owned())));
            }
        }
        Ok(None)
    }

    /// Conversations as text. With `prompt` it ends where the assistant's next turn begins.
    ///
    /// # Errors
    /// Where the template fails, or takes more than its budget.
    pub fn render(&self, turns: &[Turn], prompt: bool) -> Result<String, ChatError> {
        self.run(turns, prompt, Vec::new())
    }

    /// Renders turns; `more` are further variables.
    fn run(&self, turns: &[Turn], prompt: bool, mut more: Vec<(&str, String)>) -> Result<String, ChatError> {
        more.extend(self.special.iter().map(|(name, token)| (*name, token.clone())));
        jinja::render(&self.environment, turns, prompt, more)
            .map_err(|error| ChatError::of(&self.origin, &error))
    }
}

/// The template that is used where none is named: the only one, or that called `default`.
fn default_of(value: &serde_json::Value) -> Option<&str> {
    let named = |entry: &&serde_json::Value| entry["name"] == "default";
    value.as_str().or_else(|| value.as_array()?.iter().find(named)?["template"].as_str())
}

/// The special tokens of a tokenizer by the names that templates use.
fn special(folder: &Path) -> Result<BTreeMap<&'static str, String>, ChatError> {
    let main = folder.join("tokenizer.json");
    let damaged = |detail: String| ChatError::Unreadable { path: folder.to_path_buf(), detail };
    let settings = Settings::beside(&main).map_err(damaged)?;
    let mut all = BTreeMap::new();
    for name in SPECIAL {
        let beside = added::part(&main, name).map_err(damaged)?;
        let own =
            settings.part(name).or_else(|| text_of(&settings.eos_token).filter(|_| name == "eos_token"));
        if let Some(token) = own.map(str::to_owned).or(beside) {
            all.insert(name, token);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
