//! Owns the relevant settings of `tokenizer_config.json`, and which tokenizers are refused: one that is
//! computed differently here would give a model other tokens than it was trained on.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Fault;
use super::added::Entry;
use super::files::MAX_BYTES;
use crate::families::Tokenizers;

/// The relevant settings of `tokenizer_config.json`; the defaults are BERT's and GPT-2's.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct Settings {
    pub(super) do_lower_case: bool,
    pub(super) strip_accents: Option<bool>,
    pub(super) tokenize_chinese_chars: bool,
    pub(super) add_prefix_space: bool,
    /// A text, or an object with it as `content`.
    pub(super) eos_token: Value,
    /// Tokens outside the vocabulary, by id.
    pub(super) added_tokens_decoder: Option<BTreeMap<String, Entry>>,
    /// All other keys.
    #[serde(skip)]
    pub(super) rest: Map<String, Value>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            do_lower_case: true,
            strip_accents: None,
            tokenize_chinese_chars: true,
            add_prefix_space: false,
            eos_token: Value::Null,
            added_tokens_decoder: None,
            rest: Map::new(),
        }
    }
}

/// File names of sentencepiece models in transformers.
const SENTENCEPIECE: [&str; 5] =
    ["spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "spm.model", "source.spm"];

impl Settings {
    /// The settings next to a tokenizer's main file.
    pub(super) fn beside(main: &Path) -> Result<Self, String> {
        const NAME: &str = "tokenizer_config.json";
        let Some(bytes) = read(&main.with_file_name(NAME)).map_err(|error| format!("{NAME}: {error}"))?
        else {
            return Ok(Self::default());
        };
        let told = |error: serde_json::Error| format!("{NAME}: {error}");
        let settings: Self = serde_json::from_slice(&bytes).map_err(told)?;
        Ok(Self { rest: serde_json::from_slice(&bytes).map_err(told)?, ..settings })
    }

    /// The name of a special token, where they have one: `cls_token` and the like.
    pub(super) fn part(&self, name: &str) -> Option<&str> {
        self.rest.get(name).and_then(text_of)
    }

    /// Checks that the vocabulary in a main file belongs to a supported tokenizer. A `tokenizer.json` describes
    /// itself completely.
    pub(super) fn check_kind(&self, main: &Path) -> Result<(), Fault> {
        let class = self.class(main);
        let is_known =
            |class: &&String| Tokenizers::of_bytes(is_byte_level(main)).any(|all| all.reads(class));
        if let Some(class) = class.as_ref().filter(|class| !is_known(class)) {
            let class = class.strip_suffix("Fast").unwrap_or(class);
            return Err(Fault::OtherClass(class.to_owned()));
        }
        if let Some((key, value)) = self.other_words() {
            return Err(Fault::OtherWords { key, value });
        }
        let folder = main.parent().unwrap_or_else(|| Path::new("."));
        match foreign_file(folder).or_else(|| is_sentencepiece(main)) {
            Some(file) if class.is_none() => Err(Fault::OtherFile(file)),
            Some(_) | None => Ok(()),
        }
    }

    /// The tokenizers that a main file's vocabulary belongs to, by its class or else by the model next to it.
    pub(super) fn tokenizers(&self, main: &Path) -> &'static Tokenizers {
        let model_type = config_beside(main, "model_type");
        Tokenizers::of(is_byte_level(main), self.class(main).as_deref(), model_type.as_deref())
    }

    /// The class of transformers that reads the tokenizer: old models name it in their `config.json`.
    fn class(&self, main: &Path) -> Option<String> {
        let own = self.rest.get("tokenizer_class").and_then(Value::as_str);
        own.map(str::to_owned).or_else(|| config_beside(main, "tokenizer_class"))
    }

    /// A setting that splits words, or their parts, differently from plain WordPiece.
    fn other_words(&self) -> Option<(&'static str, String)> {
        let plain = [("word_tokenizer_type", "basic"), ("subword_tokenizer_type", "wordpiece")];
        let kinds = plain.into_iter().find_map(|(key, plain)| {
            let kind = self.rest.get(key)?.as_str()?;
            (kind != plain).then(|| (key, kind.to_owned()))
        });
        kinds.or_else(|| {
            let off = |key: &&str| self.rest.get(*key).and_then(Value::as_bool) == Some(false);
            let key =
                ["do_basic_tokenize", "do_word_tokenize", "do_subword_tokenize"].into_iter().find(off)?;
            Some((key, "false".to_owned()))
        })
    }
}

/// The value of a key in the `config.json` next to a tokenizer.
fn config_beside(main: &Path, key: &str) -> Option<String> {
    let config = read(&main.with_file_name("config.json")).ok()??;
    let config: Map<String, Value> = serde_json::from_slice(&config).ok()?;
    Some(config.get(key)?.as_str()?.to_owned())
}

/// The class of transformers that reads the tokenizer with this main file, where no file next to it names one.
#[must_use]
pub fn python_class(main: &Path) -> &'static str {
    if is_whole(main) {
        return "PreTrainedTokenizerFast";
    }
    Settings::beside(main).unwrap_or_default().tokenizers(main).classes[0]
}

/// Whether a main file is a vocabulary of bytes.
pub(super) fn is_byte_level(main: &Path) -> bool {
    main.file_name().is_some_and(|name| name == "vocab.json")
}

/// Whether a main file is a `tokenizer.json`, which describes its tokenizer completely.
pub(super) fn is_whole(main: &Path) -> bool {
    !is_byte_level(main) && main.extension().is_some_and(|ending| ending == "json")
}

/// A file in a folder that belongs to an unsupported tokenizer.
pub(super) fn foreign_file(folder: &Path) -> Option<String> {
    let names = SENTENCEPIECE.into_iter().chain(["bpe.codes"]);
    names.into_iter().find(|name| folder.join(name).is_file()).map(str::to_owned)
}

fn is_sentencepiece(main: &Path) -> Option<String> {
    let ending = main.extension()?.to_str()?;
    ["model", "spm"]
        .contains(&ending)
        .then(|| main.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

/// Reads a file of a sane size; `None` where there is none.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Ok(found) if found.len() > MAX_BYTES => {
            Err(io::Error::other(format!("it has more than {} MiB", MAX_BYTES >> 20)))
        }
        Ok(_) => fs::read(path).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A token that is written as a text, or as an object with it as `content`.
pub(super) fn text_of(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}
