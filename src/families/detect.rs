//! Owns which family a model folder is of: what its `config.json` says, or else what its keys, its
//! tensors' names or the user say. Reads no file.

use serde_json::{Map, Value};

use super::config::ConfigError;

pub(super) const BERT: &str = "bert";
pub(super) const GPT2: &str = "gpt2";

/// What says which family a model is of where its `config.json` names none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'a> {
    /// What the user says.
    pub told: Option<&'a str>,
    /// What the names of the tensors say, as [`family_of_tensors`] reads them.
    pub tensors: Option<&'a str>,
}

/// The keys that every `config.json` of a family has, and those that only others have.
struct Keys {
    family: &'static str,
    all: &'static [&'static str],
    none: &'static [&'static str],
}

const KEYS: [Keys; 2] = [
    Keys {
        family: BERT,
        all: &[
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "type_vocab_size",
        ],
        // ALBERT and ELECTRA, DeBERTa, LayoutLM, DistilBERT, BigBird.
        none: &[
            "embedding_size",
            "relative_attention",
            "pos_att_type",
            "max_2d_position_embeddings",
            "dim",
            "attention_type",
        ],
    },
    Keys {
        family: GPT2,
        all: &["n_embd", "n_layer", "n_head"],
        // OpenAI GPT, GPT-J, CodeGen.
        none: &["afn", "predict_special_tokens", "rotary_dim"],
    },
];

/// The family of a `config.json`.
pub(super) fn family(config: &Map<String, Value>, evidence: Evidence<'_>) -> Result<String, ConfigError> {
    let named = config.get("model_type").and_then(Value::as_str).filter(|name| !name.is_empty());
    match (named, evidence.told) {
        (Some(named), Some(told)) if named != told => {
            Err(ConfigError::Told { told: told.to_owned(), named: named.to_owned() })
        }
        (Some(family), _) | (None, Some(family)) => Ok(family.to_owned()),
        (None, None) => guess(config, evidence.tensors),
    }
}

fn guess(config: &Map<String, Value>, tensors: Option<&str>) -> Result<String, ConfigError> {
    let classes = config.get("architectures").and_then(Value::as_array);
    let class = classes.and_then(|classes| classes.first()?.as_str());
    if let Some(class) = class {
        let family = [("Bert", BERT), ("GPT2", GPT2)].into_iter().find(|(start, _)| {
            let rest = class.strip_prefix(start);
            rest.is_some_and(|rest| {
                ["Model", "For", "LMHead", "DoubleHeads"].iter().any(|x| rest.starts_with(x))
            })
        });
        return match family {
            // RoBERTa's classes are not called so, and Japanese BERTs' are.
            Some((_, family)) => Ok(family.to_owned()),
            None => Err(ConfigError::Class(class.to_owned())),
        };
    }
    let by_keys = || KEYS.iter().find(|keys| keys.fit(config)).map(|keys| keys.family);
    match (tensors, by_keys()) {
        // Names without a prefix are RoBERTa's too.
        (Some(BERT) | None, Some(BERT)) if is_roberta(config) => Err(ConfigError::Unknown),
        (Some(tensors), Some(keys)) if tensors == keys => Ok(keys.to_owned()),
        (Some(tensors), _) if ![BERT, GPT2].contains(&tensors) => {
            Err(ConfigError::Family(tensors.to_owned()))
        }
        (None, Some(keys)) => Ok(keys.to_owned()),
        (Some(tensors), None) if has_sizes(config, tensors) => Ok(tensors.to_owned()),
        (Some(_) | None, _) => Err(ConfigError::Unknown),
    }
}

impl Keys {
    fn fit(&self, config: &Map<String, Value>) -> bool {
        self.all.iter().all(|key| config.contains_key(*key))
            && !self.none.iter().any(|key| config.contains_key(*key))
    }
}

/// Whether a configuration has the width at least: with none, all sizes would be made up.
fn has_sizes(config: &Map<String, Value>, family: &str) -> bool {
    config.contains_key(if family == GPT2 { "n_embd" } else { "hidden_size" })
}

/// RoBERTa has BERT's keys. Its padding is token 1, and it knows one type of token.
fn is_roberta(config: &Map<String, Value>) -> bool {
    let is_one = |key: &str| config.get(key).and_then(Value::as_u64) == Some(1);
    is_one("pad_token_id") && is_one("type_vocab_size")
}

/// The family that the names of a file's tensors show: `bert` or `gpt2`, or the name that another
/// family's models put before theirs.
#[must_use]
pub fn family_of_tensors<'n>(mut names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    const ATTENTION: &str = "encoder.layer.0.attention.self.query.weight";
    names.find_map(|name| {
        let is_end = |before: &str| before.is_empty() || before.ends_with('.');
        if name.strip_suffix("h.0.attn.c_attn.weight").is_some_and(is_end) {
            return Some(GPT2);
        }
        let before = name.strip_suffix(ATTENTION).filter(|before| is_end(before))?;
        match before.trim_end_matches('.').rsplit('.').next() {
            None | Some("" | "module" | "model" | "auto_model" | "_orig_mod") => Some(BERT),
            other => other,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(config: &str, evidence: Evidence<'_>) -> Result<String, ConfigError> {
        let Ok(Value::Object(config)) = serde_json::from_str(config) else { panic!("{config}") };
        family(&config, evidence)
    }

    const NONE: Evidence<'_> = Evidence { told: None, tensors: None };
    /// As the configuration of `prajjwal1/bert-tiny` is described.
    const TINY: &str = r#"{"hidden_size": 128, "hidden_act": "gelu", "initializer_range": 0.02,
        "vocab_size": 30522, "hidden_dropout_prob": 0.1, "num_attention_heads": 2, "type_vocab_size": 2,
        "max_position_embeddings": 512, "num_hidden_layers": 2, "intermediate_size": 512,
        "attention_probs_dropout_prob": 0.1}"#;

    #[test]
    fn keys_and_tensors_say_what_is_not_named() {
        assert_eq!(of(TINY, NONE).unwrap(), "bert");
        assert_eq!(of(r#"{"n_embd": 8, "n_layer": 1, "n_head": 2}"#, NONE).unwrap(), "gpt2");
        assert_eq!(of(r#"{"architectures": ["GPT2LMHeadModel"]}"#, NONE).unwrap(), "gpt2");
        assert_eq!(of(r#"{"architectures": ["BertForMaskedLM"]}"#, NONE).unwrap(), "bert");
        let tensors = Evidence { told: None, tensors: Some("bert") };
        assert_eq!(of(r#"{"hidden_size": 8}"#, tensors).unwrap(), "bert");
        for unknown in ["{}", r#"{"vocab_size": 5}"#] {
            assert_eq!(of(unknown, NONE), Err(ConfigError::Unknown));
            assert_eq!(of(unknown, tensors), Err(ConfigError::Unknown));
        }
        let told = Evidence { told: Some("bert"), tensors: None };
        assert_eq!(of("{}", told).unwrap(), "bert");
        assert!(matches!(of(r#"{"model_type": "gpt2"}"#, told), Err(ConfigError::Told { .. })));
    }

    #[test]
    fn other_families_are_not_taken_for_these() {
        let roberta = TINY.replace("\"type_vocab_size\": 2", "\"type_vocab_size\": 1, \"pad_token_id\": 1");
        assert_eq!(of(&roberta, NONE), Err(ConfigError::Unknown));
        assert_eq!(of(TINY, Evidence { told: None, tensors: Some("gpt2") }), Err(ConfigError::Unknown));
        let electra = Evidence { told: None, tensors: Some("electra") };
        assert_eq!(of(TINY, electra), Err(ConfigError::Family("electra".to_owned())));
        let class = of(r#"{"architectures": ["BertweetModel"]}"#, NONE);
        assert_eq!(class, Err(ConfigError::Class("BertweetModel".to_owned())));
        assert_eq!(
            of(r#"{"n_embd": 8, "n_layer": 1, "n_head": 2, "afn": "gelu"}"#, NONE),
            Err(ConfigError::Unknown)
        );
    }

    #[test]
    fn tensors_show_their_family() {
        for (name, family) in [
            ("bert.encoder.layer.0.attention.self.query.weight", Some("bert")),
            ("encoder.layer.0.attention.self.query.weight", Some("bert")),
            ("module.encoder.layer.0.attention.self.query.weight", Some("bert")),
            ("roberta.encoder.layer.0.attention.self.query.weight", Some("roberta")),
            ("transformer.h.0.attn.c_attn.weight", Some("gpt2")),
            ("h.0.attn.c_attn.weight", Some("gpt2")),
            ("h.0.attn.attention.q_proj.weight", None),
        ] {
            assert_eq!(family_of_tensors(["x", name].into_iter()), family, "{name}");
        }
    }
}
