//! Owns which family a model folder belongs to: by its `config.json`, or else by its keys, its tensors' names
//! or the user. Reads no file.

use serde_json::{Map, Value};

use super::config::ConfigError;
use super::family::{About, Keys};
use super::{ALL, named};

/// Evidence for a model's family, where its `config.json` does not name it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'a> {
    /// The family that the user names.
    pub told: Option<&'a str>,
    /// The family shown by the tensors' names, as [`family_of_tensors`] finds it.
    pub tensors: Option<&'a str>,
}

/// The family of a `config.json`.
pub(super) fn family(
    config: &Map<String, Value>,
    evidence: Evidence<'_>,
) -> Result<&'static About, ConfigError> {
    let stated = config.get("model_type").and_then(Value::as_str).filter(|name| !name.is_empty());
    match (stated, evidence.told) {
        (Some(stated), Some(told)) if !is_one_family(stated, told) => {
            Err(ConfigError::Told { told: told.to_owned(), named: stated.to_owned() })
        }
        (Some(name), _) | (None, Some(name)) => {
            named(name).ok_or_else(|| ConfigError::Family(name.to_owned()))
        }
        (None, None) => guess(config, evidence.tensors),
    }
}

/// Whether two names belong to the same family.
fn is_one_family(one: &str, other: &str) -> bool {
    one == other || named(one).zip(named(other)).is_some_and(|(one, other)| one.name() == other.name())
}

fn guess(config: &Map<String, Value>, tensors: Option<&str>) -> Result<&'static About, ConfigError> {
    let classes = config.get("architectures").and_then(Value::as_array);
    let class = classes.and_then(|classes| classes.first()?.as_str());
    if let Some(class) = class {
        return of_class(class).ok_or_else(|| ConfigError::Class(class.to_owned()));
    }
    let by_tensors = match tensors {
        Some(name) => Some(named(name).ok_or_else(|| ConfigError::Family(name.to_owned()))?),
        None => None,
    };
    let is_other = |about: &About| about.keys.as_ref().is_some_and(|keys| keys.are_others(config));
    let by_keys = ALL.into_iter().find(|about| about.keys.as_ref().is_some_and(|keys| keys.fit(config)));
    match (by_tensors, by_keys) {
        (Some(tensors), Some(keys)) if tensors.name() == keys.name() => Ok(keys),
        (None, Some(keys)) => Ok(keys),
        // Without a width, all sizes would be guesses.
        (Some(tensors), None) if config.contains_key(tensors.width) && !is_other(tensors) => Ok(tensors),
        (Some(tensors), _) => {
            let like = |about: &&About| about.has_folders() && about.first_layer == tensors.first_layer;
            Err(ConfigError::Unknown(ALL.into_iter().filter(like).map(About::name).collect()))
        }
        (None, None) => Err(ConfigError::Unknown(Vec::new())),
    }
}

/// The family of one of transformers' classes. The beginning of its name is not enough: `BertweetModel` is not
/// BERT's.
fn of_class(class: &str) -> Option<&'static About> {
    let is_class = |start: &str| {
        let rest = class.strip_prefix(start);
        rest.is_some_and(|rest| ["Model", "For", "LMHead", "DoubleHeads"].iter().any(|x| rest.starts_with(x)))
    };
    ALL.into_iter().find(|about| about.names.iter().filter_map(|name| name.class).any(is_class))
}

impl Keys {
    fn fit(&self, config: &Map<String, Value>) -> bool {
        self.all.iter().all(|key| config.contains_key(*key)) && !self.are_others(config)
    }

    /// Whether keys or values show another family.
    fn are_others(&self, config: &Map<String, Value>) -> bool {
        let has = |(key, value): &(&str, u64)| config.get(*key).and_then(Value::as_u64) == Some(*value);
        self.none.iter().any(|key| config.contains_key(*key))
            || (!self.unless.is_empty() && self.unless.iter().all(has))
    }
}

/// The family shown by the names of a file's tensors, or the prefix of an unknown family. Names without a
/// prefix belong to the first family that has such names.
#[must_use]
pub fn family_of_tensors<'n>(names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let mut names = names.filter_map(|name| {
        let like: Vec<&'static About> = ALL.into_iter().filter(|about| about.begins(name)).collect();
        let first = like.first()?;
        let before = name.strip_suffix(first.first_layer)?.trim_end_matches('.');
        let last = before.rsplit('.').next().unwrap_or_default();
        if let Some(own) = like.iter().find(|about| about.prefix.trim_end_matches('.') == last) {
            return Some(own.name());
        }
        let is_wrapper = ["", "module", "model", "auto_model", "_orig_mod"].contains(&last);
        Some(if is_wrapper { first.name() } else { last })
    });
    names.next()
}

impl About {
    /// Whether a tensor is the one that identifies the family, with any prefix.
    fn begins(&self, tensor: &str) -> bool {
        let before = tensor.strip_suffix(self.first_layer);
        self.has_folders() && before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(config: &str, evidence: Evidence<'_>) -> Result<String, ConfigError> {
        let Ok(Value::Object(config)) = serde_json::from_str(config) else { panic!("{config}") };
        family(&config, evidence).map(|about| about.name().to_owned())
    }

    fn could_be(families: &[&'static str]) -> Result<String, ConfigError> {
        Err(ConfigError::Unknown(families.to_vec()))
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
            assert_eq!(of(unknown, NONE), Err(ConfigError::Unknown(Vec::new())));
            assert_eq!(of(unknown, tensors), could_be(&["bert", "roberta", "electra"]));
        }
        let told = Evidence { told: Some("bert"), tensors: None };
        assert_eq!(of("{}", told).unwrap(), "bert");
        assert!(matches!(of(r#"{"model_type": "gpt2"}"#, told), Err(ConfigError::Told { .. })));
    }

    #[test]
    fn other_families_are_not_taken_for_these() {
        let roberta = TINY.replace("\"type_vocab_size\": 2", "\"type_vocab_size\": 1, \"pad_token_id\": 1");
        assert_eq!(of(&roberta, NONE), could_be(&[]));
        assert_eq!(of(TINY, Evidence { told: None, tensors: Some("gpt2") }), could_be(&["gpt2"]));
        // ELECTRA's tensors are called as BERT's where nothing stands before their names.
        let electra = TINY.replace("\"hidden_size\"", "\"embedding_size\": 128, \"hidden_size\"");
        let bare = Evidence { told: None, tensors: Some("bert") };
        assert_eq!(of(&electra, bare), could_be(&["bert", "roberta", "electra"]));
        let unknown = of(&electra, bare).unwrap_err();
        assert!(
            unknown.to_string().ends_with("its tensors could be those of `bert`, `roberta` or `electra`")
        );
        assert!(
            unknown.hint().starts_with("say which it is: `architecture: bert` (or `roberta` or `electra`)")
        );
        let mpnet = Evidence { told: None, tensors: Some("mpnet") };
        assert_eq!(of(TINY, mpnet), Err(ConfigError::Family("mpnet".to_owned())));
        let class = of(r#"{"architectures": ["BertweetModel"]}"#, NONE);
        assert_eq!(class, Err(ConfigError::Class("BertweetModel".to_owned())));
        assert_eq!(of(r#"{"n_embd": 8, "n_layer": 1, "n_head": 2, "afn": "gelu"}"#, NONE), could_be(&[]));
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
