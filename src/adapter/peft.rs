//! Owns PEFT's files: `adapter_config.json`, and the names of the tensors in
//! `adapter_model.safetensors`. Reads and writes text only, and computes nothing.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::AdapterError;
use crate::arch::{Architecture, Head};

/// Settings of an adapter.
pub const CONFIG: &str = "adapter_config.json";
/// Tensors of an adapter.
pub const TENSORS: &str = "adapter_model.safetensors";
/// Tensors of an adapter, pickled.
pub const PICKLED: &str = "adapter_model.bin";
/// What PEFT puts before a model's own names.
pub const PREFIX: &str = "base_model.model.";
/// What follows a module's name in those of its adapter's tensors.
pub const PARTS: [&str; 2] = [".lora_A.weight", ".lora_B.weight"];

/// What the model with the adapter is for, in PEFT's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskType {
    /// `SEQ_CLS`.
    Classifier,
    /// `CAUSAL_LM`.
    LanguageModel,
}

/// The modules that have adapters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// By name or suffix.
    Named(Vec<String>),
    /// By a regular expression, which is not evaluated: the tensors tell.
    Pattern,
}

/// The part of `adapter_config.json` that decides what an adapter computes.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterConfig {
    /// `None` where PEFT was not told.
    pub task: Option<TaskType>,
    /// Inner width r.
    pub rank: usize,
    /// Numerator of the scale.
    pub alpha: f64,
    /// Dropout on the adapter's input while it trains.
    pub dropout: f64,
    /// Scale by alpha / sqrt(r) where true, by alpha / r where false.
    pub rslora: bool,
    /// Modules with adapters.
    pub targets: Targets,
    /// Modules that were trained as a whole, by name or suffix.
    pub saved: Vec<String>,
    /// What the adapter calls its base.
    pub base: Option<String>,
}

/// The fields that have a value of their own in [`AdapterConfig`].
#[derive(Deserialize)]
struct Fields {
    peft_type: String,
    task_type: Option<String>,
    #[serde(default = "default_rank")]
    r: usize,
    #[serde(default = "default_alpha")]
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f64,
    #[serde(default)]
    use_rslora: bool,
    target_modules: Value,
    modules_to_save: Option<Vec<String>>,
    base_model_name_or_path: Option<String>,
}

/// PEFT's own defaults.
fn default_rank() -> usize {
    8
}

fn default_alpha() -> f64 {
    8.0
}

/// Fields that change nothing about what a saved adapter computes, whatever they hold.
const IRRELEVANT: [&str; 8] = [
    "auto_mapping",
    "fan_in_fan_out",
    "inference_mode",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "ensure_weight_tying",
];

/// Ways to start an adapter that leave the base as it is. Others (PiSSA, OLoRA, CorDA, LoftQ …)
/// change the base's weights, and the adapter alone is then not the model that was trained.
const PLAIN_STARTS: [&str; 4] = ["gaussian", "orthogonal", "eva", "true"];

impl AdapterConfig {
    /// Reads the text of an `adapter_config.json`; `path` is for messages.
    ///
    /// # Errors
    /// When it is no LoRA's, or uses a feature that is not computed here.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, AdapterError> {
        let broken = |reason: String| AdapterError::Settings { path: path.to_path_buf(), reason };
        let all: Map<String, Value> = serde_json::from_slice(text).map_err(|e| broken(e.to_string()))?;
        let fields: Fields =
            serde_json::from_value(Value::Object(all.clone())).map_err(|e| broken(e.to_string()))?;
        if fields.peft_type != "LORA" {
            return Err(unsupported("peft_type", &Value::String(fields.peft_type)));
        }
        for (key, value) in &all {
            check_feature(key, value)?;
        }
        if fields.r == 0 {
            return Err(broken("`r` is 0".to_owned()));
        }
        Ok(Self {
            task: task_type(fields.task_type.as_deref())?,
            rank: fields.r,
            alpha: fields.lora_alpha,
            dropout: fields.lora_dropout,
            rslora: fields.use_rslora,
            targets: targets(fields.target_modules).map_err(broken)?,
            saved: fields.modules_to_save.unwrap_or_default(),
            base: fields.base_model_name_or_path.filter(|name| !name.is_empty()),
        })
    }

    /// What the adapter's output is multiplied by.
    #[must_use]
    pub fn scale(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "ranks are far below 2^52")]
        let rank = self.rank as f64;
        self.alpha / if self.rslora { rank.sqrt() } else { rank }
    }

    /// The text of an `adapter_config.json` for adapters on these modules of an architecture.
    #[must_use]
    pub fn render(&self, architecture: &Architecture, head: Head, modules: &[String]) -> String {
        let task = match head {
            Head::Classifier { .. } => "SEQ_CLS",
            Head::LanguageModel => "CAUSAL_LM",
        };
        let transposed = match architecture {
            Architecture::Gpt2(_) => true,
            Architecture::Bert(_) | Architecture::GptMini(_) => false,
        };
        let targets = match &self.targets {
            Targets::Named(names) => names,
            Targets::Pattern => &modules.to_vec(),
        };
        let config = json!({
            "base_model_name_or_path": self.base,
            "bias": "none",
            "fan_in_fan_out": transposed,
            "inference_mode": true,
            "lora_alpha": whole(self.alpha),
            "lora_dropout": self.dropout,
            "modules_to_save": if self.saved.is_empty() { Value::Null } else { json!(self.saved) },
            "peft_type": "LORA",
            "r": self.rank,
            "target_modules": targets,
            "task_type": task,
            "use_dora": false,
            "use_rslora": self.rslora,
        });
        format!("{config:#}\n")
    }
}

/// PEFT writes whole numbers as such.
fn whole(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "the value is whole and was compared")]
    let integer = number as i64;
    #[expect(clippy::cast_precision_loss, reason = "compared for equality: what was lost shows")]
    let same = integer as f64 == number;
    if same { json!(integer) } else { json!(number) }
}

fn task_type(name: Option<&str>) -> Result<Option<TaskType>, AdapterError> {
    match name {
        None => Ok(None),
        Some("SEQ_CLS") => Ok(Some(TaskType::Classifier)),
        Some("CAUSAL_LM") => Ok(Some(TaskType::LanguageModel)),
        Some(other) => Err(unsupported("task_type", &Value::String(other.to_owned()))),
    }
}

fn targets(value: Value) -> Result<Targets, String> {
    match value {
        Value::String(_) | Value::Null => Ok(Targets::Pattern),
        list @ Value::Array(_) => serde_json::from_value(list)
            .map(Targets::Named)
            .map_err(|error| format!("`target_modules`: {error}")),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            Err("`target_modules` is neither a list nor a text".to_owned())
        }
    }
}

/// Refuses what would change the result. A setting that is not known here does that unless it is
/// switched off, so it is named too.
fn check_feature(key: &str, value: &Value) -> Result<(), AdapterError> {
    const KNOWN: [&str; 9] = [
        "peft_type",
        "task_type",
        "r",
        "lora_alpha",
        "lora_dropout",
        "use_rslora",
        "target_modules",
        "modules_to_save",
        "base_model_name_or_path",
    ];
    let is_off = match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => false,
    };
    let is_plain = match key {
        "bias" => value == "none",
        "init_lora_weights" => value == true || value.as_str().is_some_and(|how| PLAIN_STARTS.contains(&how)),
        _ => false,
    };
    if is_off || is_plain || KNOWN.contains(&key) || IRRELEVANT.contains(&key) {
        return Ok(());
    }
    Err(unsupported(key, value))
}

fn unsupported(key: &str, value: &Value) -> AdapterError {
    AdapterError::Unsupported { feature: format!("`{key}`: {value}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::BertConfig;

    /// What PEFT 0.21.2 writes for a classifier, shortened to one field of each kind.
    fn written() -> Map<String, Value> {
        let text = json!({
            "alpha_pattern": {}, "base_model_name_or_path": "bert-tiny", "bias": "none",
            "exclude_modules": null, "fan_in_fan_out": false, "inference_mode": true,
            "init_lora_weights": true, "layers_to_transform": null, "loftq_config": {}, "lora_alpha": 8,
            "lora_dropout": 0.1, "megatron_core": "megatron.core",
            "modules_to_save": ["classifier", "score"], "peft_type": "LORA", "peft_version": "0.21.2",
            "qalora_group_size": 16, "r": 4, "target_modules": ["value", "query"],
            "task_type": "SEQ_CLS", "use_dora": false, "use_rslora": true,
        });
        text.as_object().unwrap().clone()
    }

    fn parse(config: Map<String, Value>) -> Result<AdapterConfig, AdapterError> {
        AdapterConfig::parse(Path::new(CONFIG), Value::Object(config).to_string().as_bytes())
    }

    #[test]
    fn what_peft_writes_is_read() {
        let config = parse(written()).unwrap();
        assert_eq!(config.task, Some(TaskType::Classifier));
        assert_eq!((config.rank, config.alpha, config.dropout, config.scale()), (4, 8.0, 0.1, 4.0));
        assert_eq!(config.targets, Targets::Named(vec!["value".to_owned(), "query".to_owned()]));
        assert_eq!(config.saved, ["classifier", "score"]);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let config = parse(written()).unwrap();
        let architecture = Architecture::Bert(BertConfig::default());
        let text = config.render(&architecture, Head::Classifier { labels: 2 }, &[]);
        assert_eq!(AdapterConfig::parse(Path::new(CONFIG), text.as_bytes()).unwrap(), config);
        assert!(text.contains("\"lora_alpha\": 8,"), "{text}");
    }

    #[test]
    fn features_that_change_the_result_are_named() {
        let features = [
            ("use_dora", json!(true)),
            ("bias", json!("all")),
            ("lora_bias", json!(true)),
            ("layers_to_transform", json!([0])),
            ("alpha_pattern", json!({"query": 3})),
            ("rank_pattern", json!({"query": 3})),
            ("init_lora_weights", json!("pissa")),
            ("trainable_token_indices", json!([1])),
            ("a_feature_of_the_future", json!("on")),
            ("task_type", json!("TOKEN_CLS")),
            ("peft_type", json!("IA3")),
        ];
        for (key, value) in features {
            let mut config = written();
            config.insert(key.to_owned(), value.clone());
            let said = parse(config).unwrap_err().to_string();
            assert!(said.contains(&format!("`{key}`: {value}")), "{said}");
        }
    }

    #[test]
    fn a_broken_file_is_named() {
        for text in ["", "{", "[]", "{\"peft_type\": \"LORA\", \"r\": -1, \"target_modules\": []}"] {
            let said = AdapterConfig::parse(Path::new(CONFIG), text.as_bytes()).unwrap_err().to_string();
            assert!(said.contains(CONFIG), "{said}");
        }
        let zero = r#"{"peft_type": "LORA", "r": 0, "target_modules": ["query"]}"#;
        assert!(AdapterConfig::parse(Path::new(CONFIG), zero.as_bytes()).is_err());
    }
}
