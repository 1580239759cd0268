//! Owns what a model's `config.json` may contain: which families and variants are computed correctly here, and
//! which sizes a model can have. The file may come from anybody, so all of it is checked before any of it is
//! used. Reads no file.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::detect::{self, Evidence};
use super::{ALL, Architecture};

/// More layers than any model has; keeps a typing error from filling the memory.
pub const MOST_LAYERS: usize = 1_000;
/// Wider than any layer, and longer than any sequence.
pub const WIDEST: usize = 100_000;
/// More positions than any model has that has no table of them.
pub(super) const MOST_POSITIONS: usize = 1_000 * WIDEST;
/// More words than any tokenizer has.
pub(super) const MOST_WORDS: usize = 100 * WIDEST;

/// What is wrong with a `config.json`, worded to follow the file's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is not JSON.
    #[error("is not JSON: line {line}, column {column} cannot be read")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// It is JSON but not an object.
    #[error("is not a JSON object with the model's settings")]
    NoObject,
    /// A value of another type.
    #[error("says `{key}` is {found}, and that must be {wanted}")]
    Type {
        /// Its key.
        key: String,
        /// The value, as JSON has it.
        found: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// A family that is not supported.
    #[error("says `model_type` is `{0}`")]
    Family(String),
    /// A class of transformers that is not supported, where no family is named.
    #[error("says `architectures` is `{0}`")]
    Class(String),
    /// Neither the configuration nor the weights show the family.
    #[error("names neither `model_type` nor `architectures`, and {}", undecided(.0))]
    Unknown(
        /// The families with such tensor names; empty where no weights are known.
        Vec<&'static str>,
    ),
    /// The user names another family than the configuration.
    #[error("says `model_type` is `{named}`, and the sweep says `architecture` is `{told}`")]
    Told {
        /// The user's.
        told: String,
        /// The configuration's.
        named: String,
    },
    /// Weights that are packed into integers.
    #[error("says the weights are quantised (`{0}`), which is not supported")]
    Quantised(String),
    /// A variant that would be computed differently here.
    #[error("says the model has {found}")]
    Variant {
        /// The unsupported property.
        found: String,
        /// What is supported.
        wanted: &'static str,
    },
    /// A number that no model of the family can have.
    #[error("says {0}")]
    Number(String),
}

impl ConfigError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Family(_) | Self::Class(_) => format!("use a model of type {}", one_of(&known())),
            Self::Unknown(like) => {
                let known = if like.is_empty() { known() } else { like.clone() };
                let others = match &known[1..] {
                    [] => String::new(),
                    others => format!(" (or {})", one_of(others)),
                };
                format!(
                    "say which it is: `architecture: {first}`{others} beside `from` in the sweep, or \
                     `\"model_type\": \"{first}\"` in config.json",
                    first = known[0],
                )
            }
            Self::Type { key, .. } if key == "pad_token_id" => {
                "write the id of the tokenizer's padding token there".to_owned()
            }
            Self::Told { .. } => "remove `architecture`: the model says what it is".to_owned(),
            Self::Quantised(_) => {
                "use the model that it was made from, in float32, float16 or bfloat16".to_owned()
            }
            Self::Variant { wanted, .. } => format!("use a model with {wanted}"),
            Self::Syntax { .. } | Self::NoObject | Self::Type { .. } | Self::Number(_) => {
                "copy the model's config.json again".to_owned()
            }
        }
    }
}

/// The names of the families that exist as folders.
fn known() -> Vec<&'static str> {
    ALL.into_iter().filter(|about| about.has_folders()).map(|about| about.name()).collect()
}

/// Names as a choice: "`a`, `b` or `c`".
fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Why the family is not decided.
fn undecided(like: &[&str]) -> String {
    match like {
        [] => "its keys do not show which model it is".to_owned(),
        like => format!("its tensors could be those of {}", one_of(like)),
    }
}

/// Keys of many families' configurations that are never used here; defaults are transformers'.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Common {
    position_embedding_type: Value,
    pub(super) add_cross_attention: bool,
    is_decoder: bool,
    layer_types: Value,
}

/// An unsupported property of a variant, and what is supported instead.
pub(super) type Variant = Option<(String, &'static str)>;

impl Common {
    /// Properties of a model that is not an encoder with absolute positions.
    pub(super) fn not_an_encoder(&self) -> Variant {
        if !self.position_embedding_type.is_null() && self.position_embedding_type != "absolute" {
            Some(("relative position embeddings".to_owned(), "absolute positions"))
        } else if self.add_cross_attention {
            cross_attention()
        } else if self.is_decoder {
            Some(("a decoder's attention".to_owned(), "attention to all tokens"))
        } else {
            None
        }
    }
}

impl Common {
    /// Whether `layer_types` names other layers than these as those with a window of attention.
    pub(super) fn other_windows(&self, windows: &[bool]) -> bool {
        let name = |windowed: &bool| if *windowed { "sliding_attention" } else { "full_attention" };
        let expected: Vec<Value> = windows.iter().map(name).map(Value::from).collect();
        !self.layer_types.is_null() && self.layer_types != Value::Array(expected)
    }
}

/// An activation other than the supported one, which is given with its description.
pub(super) fn other_activation(found: &str, [name, wanted]: [&'static str; 2]) -> Variant {
    (found != name).then(|| (format!("activation `{found}`"), wanted))
}

/// Rotary positions whose base is no number above 0.
pub(super) fn other_base(base: f64) -> (String, &'static str) {
    (format!("rotary positions with the base {base}"), "rotary positions with a base above 0")
}

/// Rotary positions of which some numbers of a head know nothing.
pub(super) fn turned_in_part() -> (String, &'static str) {
    ("rotary positions in a part of each head".to_owned(), "rotary positions in all of each head")
}

pub(super) fn cross_attention() -> Variant {
    Some(("cross attention".to_owned(), "self attention alone"))
}

impl Architecture {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// When it is invalid, or describes a model that is not supported or cannot exist.
    pub fn from_config(json: &[u8]) -> Result<Self, ConfigError> {
        Self::from_config_and(json, Evidence::default())
    }

    /// Reads a `config.json` that may not name its family; then other evidence decides.
    ///
    /// # Errors
    /// When it is invalid, when nothing shows the family, or when it describes a model that is not supported or
    /// cannot exist.
    pub fn from_config_and(json: &[u8], evidence: Evidence<'_>) -> Result<Self, ConfigError> {
        let keys = keys(json)?;
        if let Some(method) = quantised(&keys) {
            return Err(ConfigError::Quantised(method));
        }
        let common: Common = parsed(json)?;
        let about = detect::family(&keys, evidence)?;
        let architecture = (about.read)(json)?;
        // What is asked of a model may take as long as it is large, so its numbers come first.
        architecture.check_numbers()?;
        match architecture.family().variant(&common) {
            Some((found, wanted)) => Err(ConfigError::Variant { found, wanted }),
            None => Ok(architecture),
        }
    }

    /// Whether a model can have these numbers.
    ///
    /// # Errors
    /// Names the first that it cannot have.
    pub fn check_numbers(&self) -> Result<(), ConfigError> {
        let wrong = self.family().numbers().wrong().or_else(|| padding(self));
        wrong.map_or(Ok(()), |wrong| Err(ConfigError::Number(wrong)))
    }
}

/// How the weights are quantised, where the configuration says that they are.
fn quantised(config: &Map<String, Value>) -> Option<String> {
    let settings = config.get("quantization_config").filter(|settings| !settings.is_null())?;
    let bits = |key: &str| settings.get(key).and_then(Value::as_bool) == Some(true);
    let method = settings.get("quant_method").and_then(Value::as_str);
    let by_flags = (bits("load_in_8bit") || bits("load_in_4bit")).then_some("bitsandbytes");
    Some(method.or(by_flags).unwrap_or("an unknown method").to_owned())
}

/// The keys of a `config.json` with their values.
///
/// # Errors
/// Where it is not a JSON object.
pub fn keys(json: &[u8]) -> Result<Map<String, Value>, ConfigError> {
    let syntax =
        |error: serde_json::Error| ConfigError::Syntax { line: error.line(), column: error.column() };
    match serde_json::from_slice(json).map_err(syntax)? {
        Value::Object(keys) => Ok(keys),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(ConfigError::NoObject)
        }
    }
}

/// A configuration, with its family's defaults for missing keys.
pub(super) fn parsed<T>(json: &[u8]) -> Result<T, ConfigError>
where
    T: Default + Serialize + DeserializeOwned,
{
    let given = keys(json)?;
    let defaults = serde_json::to_value(T::default()).expect("configurations are numbers and texts");
    let read = |given: &[(&String, &Value)]| -> Option<T> {
        let mut all = defaults.clone();
        for (key, value) in given {
            all[key.as_str()] = (*value).clone();
        }
        serde_json::from_value(all).ok()
    };
    let known: Vec<_> = given.iter().filter(|(key, _)| defaults.get(key).is_some()).collect();
    read(&known).ok_or_else(|| {
        let wrong = known.iter().find(|one| read(&[**one]).is_none());
        let (key, value) = wrong.expect("keys are read one by one");
        let wanted = kind_of(&defaults[key.as_str()]);
        ConfigError::Type { key: (*key).clone(), found: shown(value), wanted }
    })
}

/// A value in a message.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => format!("`{value}`"),
    }
}

/// The required type of a value, judged by its default; without a default, a number that may be missing.
fn kind_of(default: &Value) -> &'static str {
    match default {
        Value::Bool(_) => "`true` or `false`",
        Value::String(_) => "a text",
        Value::Number(number) if number.is_u64() => "a whole number from 0 on",
        Value::Object(_) => "an object as transformers writes it, or `null`",
        Value::Number(_) | Value::Null | Value::Array(_) => "a number",
    }
}

/// Rows are padded with the padding token, so the embedding must have it.
fn padding(architecture: &Architecture) -> Option<String> {
    let (padding, rows) = (architecture.padding(), architecture.vocab_size());
    (padding >= rows).then(|| format!("`pad_token_id` is {padding}, and `vocab_size` is {rows}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_supported_is_read() {
        for json in [
            r#"{"model_type": "bert", "num_hidden_layers": 2, "position_embedding_type": "absolute"}"#,
            r#"{"model_type": "gpt2", "n_head": 8, "n_inner": null, "pad_token_id": null}"#,
            r#"{"model_type": "gptmini"}"#,
        ] {
            assert!(Architecture::from_config(json.as_bytes()).is_ok(), "{json}");
        }
    }

    #[test]
    fn what_would_be_computed_otherwise_is_refused() {
        for (json, said) in [
            ("{\n \"a\"", "is not JSON: line 2, column 4"),
            ("[]", "is not a JSON object"),
            (
                r#"{"model_type": "bert", "hidden_size": "8"}"#,
                "`hidden_size` is `\"8\"`, and that must be a whole",
            ),
            (
                r#"{"model_type": "roberta", "pad_token_id": null}"#,
                "`pad_token_id` is `null`, and that must be a whole",
            ),
            (
                r#"{"model_type": "electra", "layer_norm_eps": "small"}"#,
                "`layer_norm_eps` is `\"small\"`, and that must be a number",
            ),
            (
                r#"{"model_type": "bert", "classifier_dropout": true}"#,
                "`classifier_dropout` is `true`, and that must be a number",
            ),
            (
                r#"{"model_type": "distilbert", "activation": 1}"#,
                "`activation` is `1`, and that must be a text",
            ),
            (r#"{"model_type": "bert", "is_decoder": 0}"#, "`is_decoder` is `0`, and that must be `true` or"),
            ("{}", "neither `model_type` nor `architectures`"),
            (r#"{"model_type": "gpt2", "quantization_config": {"quant_method": "gptq"}}"#, "(`gptq`)"),
            (r#"{"model_type": "bert", "quantization_config": {"load_in_8bit": true}}"#, "(`bitsandbytes`)"),
            (r#"{"model_type": "t5"}"#, "`t5`"),
            (r#"{"model_type": "bert", "hidden_act": "relu"}"#, "`relu`"),
            (r#"{"model_type": "bert", "position_embedding_type": "relative_key"}"#, "relative"),
            (r#"{"model_type": "bert", "is_decoder": true}"#, "decoder"),
            (r#"{"model_type": "gpt2", "add_cross_attention": true}"#, "cross attention"),
            (r#"{"model_type": "gpt2", "activation_function": "relu"}"#, "`relu`"),
            (r#"{"model_type": "gpt2", "scale_attn_weights": false}"#, "scaled unlike"),
            (r#"{"model_type": "gpt2", "tie_word_embeddings": false}"#, "of its own"),
        ] {
            let error = Architecture::from_config(json.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(said), "{json}: {error}");
        }
    }

    #[test]
    fn numbers_that_no_model_has_are_refused() {
        for (json, said) in [
            (r#"{"model_type": "bert", "num_hidden_layers": 1000000000}"#, "`num_hidden_layers` is 10"),
            (r#"{"model_type": "bert", "num_attention_heads": 0}"#, "`num_attention_heads` is 0"),
            (r#"{"model_type": "bert", "hidden_size": 100}"#, "12, which does not divide `hidden_size` 100"),
            (r#"{"model_type": "bert", "hidden_dropout_prob": 1.0}"#, "`hidden_dropout_prob` is 1"),
            (r#"{"model_type": "bert", "vocab_size": 5, "pad_token_id": 5}"#, "`pad_token_id` is 5"),
            (r#"{"model_type": "gpt2", "n_head": 7}"#, "`n_head` is 7, which does not divide `n_embd` 768"),
            (r#"{"model_type": "gpt2", "attn_pdrop": -0.1}"#, "`attn_pdrop` is -0.1"),
            (r#"{"model_type": "gpt2", "n_positions": 1000000}"#, "`n_positions` is 1000000"),
            (r#"{"model_type": "gptmini", "length": 0}"#, "`length` is 0"),
        ] {
            let error = Architecture::from_config(json.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(said), "{json}: {error}");
        }
    }
}
