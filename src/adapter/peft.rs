//! Owns PEFT's files: `adapter_config.json`, and the names of the tensors in
//! `adapter_model.safetensors`. Reads and writes text only, and computes nothing.

#[cfg(test)]
mod tests;

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::AdapterError;
use super::features::{self, Biases, Start, unsupported};
use super::fit::Adapted;
use super::rules::{Entries, Expression, Modules, Rules, Sizes};
use crate::families::{Architecture, Head};
use crate::values::Lora;

/// Settings of an adapter.
pub const CONFIG: &str = "adapter_config.json";
/// Tensors of an adapter.
pub const TENSORS: &str = "adapter_model.safetensors";
/// Tensors of an adapter, pickled.
pub const PICKLED: &str = "adapter_model.bin";
/// PEFT's prefix of a model's own names.
pub const PREFIX: &str = "base_model.model.";
/// Suffixes of an adapter's matrices after the module's name.
pub const PARTS: [&str; 2] = [".lora_A.weight", ".lora_B.weight"];
/// Suffix of the lengths that DoRA trains.
pub const LENGTHS: &str = ".lora_magnitude_vector";

/// PEFT's word for the purpose of the model with the adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskType {
    /// `SEQ_CLS`.
    Classifier,
    /// `TOKEN_CLS`.
    Tagger,
    /// `CAUSAL_LM`.
    LanguageModel,
}

/// The part of `adapter_config.json` that decides what an adapter computes.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterConfig {
    /// `None` where PEFT was not given one.
    pub task: Option<TaskType>,
    /// Modules with adapters, and the sizes of each.
    pub rules: Rules,
    /// Dropout on the adapter's input while it trains.
    pub dropout: f64,
    /// Scale by alpha / sqrt(r) where true, by alpha / r where false.
    pub rslora: bool,
    /// Whether the lengths of the adapted weights' rows were trained: DoRA.
    pub dora: bool,
    /// Whether the adapter adds a bias of its own.
    pub lora_bias: bool,
    /// Biases of the base that were trained.
    pub biases: Biases,
    /// How the adapter was initialised.
    pub start: Start,
    /// Modules that were trained as a whole, by name or suffix.
    pub saved: Vec<String>,
    /// The adapter's name for its base.
    pub base: Option<String>,
}

/// The used fields of `adapter_config.json`; absent ones have PEFT's default.
#[derive(Deserialize)]
struct Fields {
    task_type: Option<String>,
    #[serde(default = "default_size")]
    r: usize,
    lora_alpha: Option<f64>,
    #[serde(default)]
    lora_dropout: f64,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    lora_bias: bool,
    bias: Option<String>,
    init_lora_weights: Option<Value>,
    target_modules: Option<OneOrMany<String>>,
    exclude_modules: Option<OneOrMany<String>>,
    layers_to_transform: Option<OneOrMany<usize>>,
    layers_pattern: Option<OneOrMany<String>>,
    rank_pattern: Option<Entries<usize>>,
    alpha_pattern: Option<Entries<f64>>,
    modules_to_save: Option<Vec<String>>,
    base_model_name_or_path: Option<String>,
}

/// A value that PEFT accepts alone or in a list.
#[derive(Deserialize)]
#[serde(untagged, expecting = "neither one value nor a list of them")]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn all(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

fn default_size() -> usize {
    8
}

impl AdapterConfig {
    /// Reads the text of an `adapter_config.json`; `path` is for messages.
    ///
    /// # Errors
    /// When it does not describe a LoRA adapter, or uses an unsupported feature.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, AdapterError> {
        let broken = |reason: String| AdapterError::Settings { path: path.to_path_buf(), reason };
        let all: Map<String, Value> = serde_json::from_slice(text).map_err(|e| broken(e.to_string()))?;
        match all.get("peft_type") {
            Some(kind) if kind == "LORA" => {}
            Some(other) => return Err(unsupported("peft_type", other)),
            None => return Err(broken("it has no `peft_type`".to_owned())),
        }
        for (key, value) in &all {
            features::check(key, value)?;
        }
        let mut fields: Fields = serde_json::from_slice(text).map_err(|e| broken(e.to_string()))?;
        let (task, biases) =
            (task_type(fields.task_type.as_deref())?, Biases::parse(fields.bias.as_deref())?);
        let start = Start::parse(fields.init_lora_weights.as_ref())?;
        if fields.use_dora && fields.lora_bias {
            // PEFT trains no such adapter.
            return Err(AdapterError::Unsupported { feature: "`lora_bias` with `use_dora`".to_owned() });
        }
        let (saved, base) = (fields.modules_to_save.take(), fields.base_model_name_or_path.take());
        Ok(Self {
            task,
            dropout: fields.lora_dropout,
            rslora: fields.use_rslora,
            dora: fields.use_dora,
            lora_bias: fields.lora_bias,
            biases,
            start,
            saved: saved.unwrap_or_default(),
            base: base.filter(|name| !name.is_empty()),
            rules: rules(fields).map_err(broken)?,
        })
    }

    /// The settings of a trial's adapter, with DoRA's lengths or without.
    #[must_use]
    pub fn of_trial(lora: &Lora, dora: bool, saved: Vec<String>, base: &str) -> Self {
        let layers = lora.layers_to_transform.clone().unwrap_or_default();
        let rules = Rules::plain(lora.targets.clone(), lora.rank, lora.alpha);
        // Versions of PEFT disagree on these layers, so they are listed one by one.
        let targets = match &lora.targets[..] {
            [word] if word == Lora::ALL_LINEAR => Modules::Pattern(word.clone()),
            _ => rules.targets,
        };
        Self {
            task: None,
            rules: Rules { targets, layers, ..rules },
            dropout: lora.dropout,
            rslora: lora.rslora,
            dora,
            lora_bias: false,
            biases: Biases::None,
            start: Start::Plain,
            saved,
            base: Some(base.to_owned()),
        }
    }

    /// Factor on the output of an adapter with these sizes.
    #[must_use]
    pub fn scale(&self, rank: usize, alpha: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "ranks are far below 2^52")]
        let rank = rank as f64;
        alpha / if self.rslora { rank.sqrt() } else { rank }
    }

    /// The text of an `adapter_config.json` for these adapters of an architecture. Where rules chose the
    /// modules, their full names are listed instead.
    #[must_use]
    pub fn render(&self, architecture: &Architecture, head: Head, layers: &[Adapted]) -> String {
        let task = match head {
            Head::Classifier { .. } => "SEQ_CLS",
            Head::Tagger { .. } => "TOKEN_CLS",
            Head::LanguageModel => "CAUSAL_LM",
        };
        let transposed = architecture.linears(head).iter().any(|linear| linear.is_transposed);
        let start = match self.start {
            Start::Plain => json!(true),
            Start::Pissa { .. } => json!("pissa"),
            Start::Olora => json!("olora"),
        };
        let rules = &self.rules;
        // Layer numbers are written as such only where no rule says what comes before them, as for a trial.
        let by_name = matches!(rules.targets, Modules::Named(_))
            && rules.exclude.is_none()
            && (rules.layers.is_empty() || rules.stacks.is_empty());
        let targets = match &rules.targets {
            Modules::Named(names) if by_name => names.clone(),
            Modules::Named(_) | Modules::Pattern(_) => {
                layers.iter().map(|layer| layer.name().to_owned()).collect()
            }
        };
        let unusual = |is: &dyn Fn(&Adapted) -> Option<Value>| -> Map<String, Value> {
            layers.iter().filter_map(|layer| Some((layer.name().to_owned(), is(layer)?))).collect()
        };
        let mut config = json!({
            "alpha_pattern": unusual(&|layer| (layer.alpha != rules.alpha.usual).then(|| whole(layer.alpha))),
            "base_model_name_or_path": self.base,
            "bias": self.biases.name(),
            "fan_in_fan_out": transposed,
            "inference_mode": true,
            "init_lora_weights": start,
            "lora_alpha": whole(rules.alpha.usual),
            "lora_dropout": self.dropout,
            "modules_to_save": if self.saved.is_empty() { Value::Null } else { json!(self.saved) },
            "peft_type": "LORA",
            "r": rules.rank.usual,
            "rank_pattern": unusual(&|layer| (layer.rank != rules.rank.usual).then(|| json!(layer.rank))),
            "target_modules": targets,
            "task_type": task,
            "use_dora": self.dora,
            "use_rslora": self.rslora,
        });
        if by_name && !rules.layers.is_empty() {
            config["layers_to_transform"] = json!(rules.layers);
        }
        // Versions of PEFT without this setting refuse a file that has it.
        if self.lora_bias {
            config["lora_bias"] = json!(true);
        }
        format!("{config:#}\n")
    }
}

fn rules(fields: Fields) -> Result<Rules, String> {
    let targets = match fields.target_modules {
        None => Modules::Pattern(String::new()),
        Some(OneOrMany::One(pattern)) => Modules::Pattern(pattern),
        Some(OneOrMany::Many(names)) => Modules::Named(names),
    };
    let exclude = match fields.exclude_modules {
        Some(OneOrMany::One(pattern)) if !pattern.is_empty() => Some(Expression::whole(&pattern)?),
        Some(OneOrMany::Many(names)) if !names.is_empty() => Some(Expression::any_of(&names)?),
        None | Some(OneOrMany::One(_) | OneOrMany::Many(_)) => None,
    };
    let stacks = fields.layers_pattern.map(OneOrMany::all).unwrap_or_default();
    let stacks: Vec<String> = stacks.into_iter().filter(|stack| !stack.is_empty()).collect();
    let stacks = if stacks.is_empty() {
        vec![Expression::any_layer()?]
    } else {
        stacks.iter().map(|stack| Expression::before_layer(stack)).collect::<Result<_, _>>()?
    };
    let rank = sizes(fields.r, fields.rank_pattern)?;
    if rank.usual == 0 || rank.patterns.iter().any(|(_, rank)| *rank == 0) {
        return Err("a rank is 0".to_owned());
    }
    let layers = fields.layers_to_transform.map(OneOrMany::all).unwrap_or_default();
    let alpha = sizes(fields.lora_alpha.unwrap_or(8.0), fields.alpha_pattern)?;
    Ok(Rules { targets, exclude, layers, stacks, rank, alpha })
}

fn sizes<T>(usual: T, entries: Option<Entries<T>>) -> Result<Sizes<T>, String> {
    let Entries(entries) = entries.unwrap_or_default();
    let patterns = entries.into_iter().map(|(key, size)| Ok((Expression::at_end(&key)?, size)));
    Ok(Sizes { usual, patterns: patterns.collect::<Result<_, String>>()? })
}

/// PEFT writes whole numbers without decimals.
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
        Some("TOKEN_CLS") => Ok(Some(TaskType::Tagger)),
        Some("CAUSAL_LM") => Ok(Some(TaskType::LanguageModel)),
        Some(other) => Err(unsupported("task_type", &Value::String(other.to_owned()))),
    }
}
