//! Owns PEFT's files: `adapter_config.json`, and the names of the tensors in
//! `adapter_model.safetensors`. Reads and writes text only, and computes nothing.

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

/// The part of `adapter_config.json` that decides what an adapter computes.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterConfig {
    /// `None` where PEFT was not told.
    pub task: Option<TaskType>,
    /// Modules with adapters, and the sizes of each.
    pub rules: Rules,
    /// Dropout on the adapter's input while it trains.
    pub dropout: f64,
    /// Scale by alpha / sqrt(r) where true, by alpha / r where false.
    pub rslora: bool,
    /// Whether an adapter adds a constant of its own.
    pub lora_bias: bool,
    /// Biases of the base that were trained.
    pub biases: Biases,
    /// What the adapter started from.
    pub start: Start,
    /// Modules that were trained as a whole, by name or suffix.
    pub saved: Vec<String>,
    /// What the adapter calls its base.
    pub base: Option<String>,
}

/// The fields of `adapter_config.json` that are used; what is absent has PEFT's own default.
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

/// A value that PEFT takes alone or in a list.
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
    /// When it is no LoRA's, or uses a feature that is not computed here.
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
        let (saved, base) = (fields.modules_to_save.take(), fields.base_model_name_or_path.take());
        Ok(Self {
            task,
            dropout: fields.lora_dropout,
            rslora: fields.use_rslora,
            lora_bias: fields.lora_bias,
            biases,
            start,
            saved: saved.unwrap_or_default(),
            base: base.filter(|name| !name.is_empty()),
            rules: rules(fields).map_err(broken)?,
        })
    }

    /// The settings of a trial's adapter.
    #[must_use]
    pub fn of_trial(lora: &Lora, saved: Vec<String>, base: &str) -> Self {
        let layers = lora.layers_to_transform.clone().unwrap_or_default();
        let rules = Rules::plain(lora.targets.clone(), lora.rank, lora.alpha);
        // Which layers these are depends on the version of PEFT: they are written one by one.
        let targets = match &lora.targets[..] {
            [word] if word == Lora::ALL_LINEAR => Modules::Pattern(word.clone()),
            _ => rules.targets,
        };
        Self {
            task: None,
            rules: Rules { targets, layers, ..rules },
            dropout: lora.dropout,
            rslora: lora.rslora,
            lora_bias: false,
            biases: Biases::None,
            start: Start::Plain,
            saved,
            base: Some(base.to_owned()),
        }
    }

    /// What the output of an adapter of these sizes is multiplied by.
    #[must_use]
    pub fn scale(&self, rank: usize, alpha: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "ranks are far below 2^52")]
        let rank = rank as f64;
        alpha / if self.rslora { rank.sqrt() } else { rank }
    }

    /// The text of an `adapter_config.json` for these adapters of an architecture. Where rules chose
    /// them, it has the modules' full names instead.
    #[must_use]
    pub fn render(&self, architecture: &Architecture, head: Head, layers: &[Adapted]) -> String {
        let task = match head {
            Head::Classifier { .. } => "SEQ_CLS",
            Head::LanguageModel => "CAUSAL_LM",
        };
        let transposed = architecture.linears().iter().any(|linear| linear.is_transposed);
        let start = match self.start {
            Start::Plain => json!(true),
            Start::Pissa { .. } => json!("pissa"),
            Start::Olora => json!("olora"),
        };
        let rules = &self.rules;
        // Layers are told as such where nothing says what stands before their numbers, as for a trial's.
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
            "use_dora": false,
            "use_rslora": self.rslora,
        });
        if by_name && !rules.layers.is_empty() {
            config["layers_to_transform"] = json!(rules.layers);
        }
        // Versions of PEFT that do not have this setting refuse a file that names it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::BertConfig;

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

    fn with(key: &str, value: Value) -> Result<AdapterConfig, AdapterError> {
        let mut config = written();
        config.insert(key.to_owned(), value);
        parse(config)
    }

    #[test]
    fn what_peft_writes_is_read() {
        let config = parse(written()).unwrap();
        assert_eq!(config.task, Some(TaskType::Classifier));
        assert_eq!((config.rules.rank.usual, config.rules.alpha.usual, config.dropout), (4, 8.0, 0.1));
        assert_eq!(config.scale(4, 8.0), 4.0);
        assert_eq!(config.rules.targets, Modules::Named(vec!["value".to_owned(), "query".to_owned()]));
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
    fn sizes_by_pattern_are_written_by_the_modules_full_names() {
        let mut config = written();
        config.insert("rank_pattern".to_owned(), json!({"layer.1.*": 2}));
        config.insert("alpha_pattern".to_owned(), json!({"value": 3}));
        config.insert("exclude_modules".to_owned(), json!("none of them"));
        let config = parse(config).unwrap();
        let architecture = Architecture::Bert(BertConfig { num_hidden_layers: 2, ..BertConfig::default() });
        let layers = architecture.lora_targets(&["query".to_owned(), "value".to_owned()]);
        let layers: Vec<Adapted> = layers.into_iter().map(|layer| Adapted::of(layer, &config)).collect();
        let text = config.render(&architecture, Head::Classifier { labels: 2 }, &layers);
        let written: Value = serde_json::from_str(&text).unwrap();
        let name = |layer: usize, part: &str| format!("bert.encoder.layer.{layer}.attention.self.{part}");
        let (first, second) = (name(1, "query"), name(1, "value"));
        assert_eq!(written["rank_pattern"], json!({first: 2, second: 2}));
        assert_eq!(written["alpha_pattern"], json!({name(0, "value"): 3, name(1, "value"): 3}));
        assert_eq!(written["target_modules"].as_array().unwrap().len(), 4);
        let again = AdapterConfig::parse(Path::new(CONFIG), text.as_bytes()).unwrap();
        let sizes = |config: &AdapterConfig| -> Vec<(usize, f64, f64)> {
            let layers = layers.iter().map(|layer| Adapted::of(layer.layer.clone(), config));
            layers.map(|layer| (layer.rank, layer.alpha, layer.scale)).collect()
        };
        assert_eq!(sizes(&again), sizes(&config));
        // rsLoRA, as `written` says: 8 / sqrt 4, 3 / sqrt 4, 8 / sqrt 2, 3 / sqrt 2.
        let root = 2.0_f64.sqrt();
        let expected = [(4, 8.0, 4.0), (4, 3.0, 1.5), (2, 8.0, 8.0 / root), (2, 3.0, 3.0 / root)];
        assert_eq!(sizes(&config), expected);
    }

    #[test]
    fn settings_that_leave_plain_tensors_are_read() {
        for (key, value) in [
            ("bias", json!("all")),
            ("bias", json!("lora_only")),
            ("lora_bias", json!(true)),
            ("layers_to_transform", json!([0])),
            ("layers_to_transform", json!(3)),
            ("layers_pattern", json!("layer")),
            ("exclude_modules", json!(["0.attention.self.query"])),
            ("init_lora_weights", json!(false)),
            ("init_lora_weights", json!("Gaussian")),
            ("init_lora_weights", json!("eva")),
            ("init_lora_weights", json!("pissa")),
            ("init_lora_weights", json!("olora")),
            ("corda_config", json!({"corda_method": "ipm"})),
            ("eva_config", json!({"rho": 2.0})),
            ("megatron_config", json!({"tensor_model_parallel_size": 1})),
            ("target_modules", json!("all-linear")),
            ("enable_lora", Value::Null),
        ] {
            assert!(with(key, value.clone()).is_ok(), "{key}: {value}");
        }
        let start = |name: &str| with("init_lora_weights", json!(name)).unwrap().start;
        assert_eq!(start("pissa_niter_16"), Start::Pissa { randomised: true });
        assert_eq!(start("olora"), Start::Olora);
    }

    #[test]
    fn features_that_change_the_result_are_named() {
        let features = [
            ("use_dora", json!(true)),
            ("bias", json!("some")),
            ("init_lora_weights", json!("corda")),
            ("init_lora_weights", json!("loftq")),
            ("init_lora_weights", json!("lora_ga")),
            ("trainable_token_indices", json!([1])),
            ("target_parameters", json!(["value.weight"])),
            ("layer_replication", json!([[0, 4], [2, 5]])),
            ("alora_invocation_tokens", json!([1, 2])),
            ("use_qalora", json!(true)),
            ("a_feature_of_the_future", json!("on")),
            ("task_type", json!("TOKEN_CLS")),
            ("peft_type", json!("IA3")),
        ];
        for (key, value) in features {
            let said = with(key, value.clone()).unwrap_err().to_string();
            assert!(said.contains(&format!("`{key}`: {value}")), "{said}");
        }
    }

    #[test]
    fn a_broken_file_is_named() {
        for text in ["", "{", "[]", "{\"peft_type\": \"LORA\", \"r\": -1, \"target_modules\": []}"] {
            let said = AdapterConfig::parse(Path::new(CONFIG), text.as_bytes()).unwrap_err().to_string();
            assert!(said.contains(CONFIG), "{said}");
        }
        for (key, value, word) in [
            ("r", json!(0), "rank"),
            ("rank_pattern", json!({"query": 0}), "rank"),
            ("alpha_pattern", json!({"layer.(": 2}), "`layer.(`"),
            ("target_modules", json!({"query": true}), "neither one value nor a list"),
        ] {
            let said = with(key, value).unwrap_err().to_string();
            assert!(said.contains(CONFIG) && said.contains(word), "{said}");
        }
    }
}
