//! Owns which of PEFT's settings change what a saved adapter computes. An unknown setting is assumed to do so,
//! unless it is switched off.

use serde_json::Value;

use super::error::AdapterError;

/// Settings read into [`super::peft::AdapterConfig`].
const KNOWN: [&str; 17] = [
    "peft_type",
    "task_type",
    "r",
    "lora_alpha",
    "lora_dropout",
    "use_rslora",
    "use_dora",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
    "lora_bias",
    "init_lora_weights",
    "base_model_name_or_path",
];

/// Settings that never change what a saved adapter computes: details of its initialisation beyond
/// `init_lora_weights`, the devices it trained on, or who wrote the file.
const IRRELEVANT: [&str; 15] = [
    "auto_mapping",
    "fan_in_fan_out",
    "inference_mode",
    "peft_version",
    "revision",
    "merge_weights",
    "megatron_config",
    "megatron_core",
    "qalora_group_size",
    "loftq_config",
    "eva_config",
    "corda_config",
    "lora_ga_config",
    "runtime_config",
    "ensure_weight_tying",
];

/// Initialisations that leave the base unchanged.
const PLAIN_STARTS: [&str; 6] = ["gaussian", "orthogonal", "eva", "mica", "true", "default"];

/// The initialisation of an adapter's tensors, which can also change the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Any initialisation that leaves the base unchanged.
    Plain,
    /// The base's largest singular values were moved into the adapter (PiSSA, Meng et al. 2024).
    Pissa {
        /// Computed from random numbers that were not kept: `pissa_niter_16` and the like.
        randomised: bool,
    },
    /// The first columns of the base's QR decomposition were moved into it (OLoRA, Büyükakyüz 2024).
    Olora,
}

/// Which biases were trained with the adapters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Biases {
    /// None.
    None,
    /// All of them, or those of the layers with adapters; the file's tensors show which.
    Trained {
        /// All of them.
        all: bool,
    },
}

impl Start {
    /// Reads `init_lora_weights`.
    ///
    /// # Errors
    /// Where the base was changed in a way that cannot be recomputed from file and base.
    pub(super) fn parse(value: Option<&Value>) -> Result<Self, AdapterError> {
        let name = match value {
            None | Some(Value::Null | Value::Bool(_)) => return Ok(Self::Plain),
            Some(Value::String(name)) => name.to_lowercase(),
            Some(other @ (Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
                return Err(AdapterError::UnsupportedStart { value: other.to_string() });
            }
        };
        match name.as_str() {
            "olora" => Ok(Self::Olora),
            "pissa" => Ok(Self::Pissa { randomised: false }),
            name if name.starts_with("pissa_niter_") => Ok(Self::Pissa { randomised: true }),
            name if PLAIN_STARTS.contains(&name) => Ok(Self::Plain),
            name => Err(AdapterError::UnsupportedStart { value: Value::from(name).to_string() }),
        }
    }
}

impl Biases {
    /// Reads `bias`.
    ///
    /// # Errors
    /// When it is not one of PEFT's words.
    pub(super) fn parse(value: Option<&str>) -> Result<Self, AdapterError> {
        match value {
            None | Some("none") => Ok(Self::None),
            Some("all") => Ok(Self::Trained { all: true }),
            Some("lora_only") => Ok(Self::Trained { all: false }),
            Some(other) => Err(unsupported("bias", &Value::from(other))),
        }
    }

    /// PEFT's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Trained { all: true } => "all",
            Self::Trained { all: false } => "lora_only",
        }
    }
}

/// Refuses a setting that would change the result and is not supported here.
pub(super) fn check(key: &str, value: &Value) -> Result<(), AdapterError> {
    let is_off = match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => false,
    };
    if is_off || key == "bias" || KNOWN.contains(&key) || IRRELEVANT.contains(&key) {
        return Ok(());
    }
    Err(unsupported(key, value))
}

/// The error about an unsupported setting and its value.
pub(super) fn unsupported(key: &str, value: &Value) -> AdapterError {
    AdapterError::Unsupported { feature: format!("`{key}`: {value}") }
}
