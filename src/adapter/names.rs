//! Owns the names of an adapter's tensors in files: with or without PEFT's prefix, with the adapter's own name
//! in them, wrapped by `modules_to_save`, or next to the layer that an adapter wraps. Reads no values.

use std::collections::{BTreeMap, BTreeSet};

use super::error::AdapterError;
use super::peft::{LENGTHS, PARTS, PREFIX};
use crate::families::{Architecture, Head};

/// Parts of tensor names that belong to unsupported features of PEFT.
const FEATURES: [(&str, &str); 2] =
    [(".lora_embedding_A", "adapters on embeddings"), (".token_adapter.", "`trainable_token_indices`")];

/// Suffix of the constant that `lora_bias` adds to an adapter's output.
pub(super) const BIAS: &str = ".lora_B.bias";
/// What `modules_to_save` appends to a module's name.
const WRAPPED: &str = ".modules_to_save.";
/// The output layer of a language model.
const OUTPUT: &str = "lm_head.weight";

/// The tensors of an adapter's file, by their role.
#[derive(Debug, Default)]
pub struct Index {
    /// The modules with adapters, by the architecture's names.
    pub modules: BTreeSet<String>,
    /// Tensors that replace one of the model's, by the model's names.
    pub whole: BTreeSet<String>,
    /// The output layer's name in the file, where a language model's adapter saved it.
    pub output: Option<String>,
    /// From the model's names, with the adapter's suffixes, to the file's names.
    files: BTreeMap<String, String>,
}

impl Index {
    /// Determines the role of each tensor in a file.
    ///
    /// # Errors
    /// When a tensor has no place in the model or belongs to an unsupported feature, or when two have the same
    /// place.
    pub fn new<'a>(
        names: impl Iterator<Item = &'a str>,
        architecture: &Architecture,
    ) -> Result<Self, AdapterError> {
        let places = Places::of(architecture);
        let mut index = Self::default();
        for name in names {
            let own = match places.role(name)? {
                Role::Part { module, part } => {
                    let own = format!("{module}{part}");
                    index.modules.insert(module);
                    own
                }
                Role::Whole(own) => {
                    index.whole.insert(own.clone());
                    own
                }
                Role::Output => {
                    index.output = Some(name.to_owned());
                    continue;
                }
                Role::Before => continue,
            };
            index.add(own, name)?;
        }
        Ok(index)
    }

    fn add(&mut self, own: String, name: &str) -> Result<(), AdapterError> {
        let Some(other) = self.files.get(&own) else {
            self.files.insert(own, name.to_owned());
            return Ok(());
        };
        // With `bias: all` PEFT saves a head's bias under both of its names, and reads the plain one.
        match [other.as_str(), name].map(|name| name.contains(WRAPPED)) {
            [false, true] => {}
            [true, false] => {
                self.files.insert(own, name.to_owned());
            }
            [true, true] | [false, false] => {
                return Err(AdapterError::Twice { one: other.clone(), other: name.to_owned() });
            }
        }
        Ok(())
    }

    /// A tensor's name in the file; PEFT's name for it where the file does not have it.
    #[must_use]
    pub fn file(&self, own: &str) -> String {
        self.files.get(own).cloned().unwrap_or_else(|| stored(own))
    }

    /// Whether the file has a tensor.
    #[must_use]
    pub fn has(&self, own: &str) -> bool {
        self.files.contains_key(own)
    }
}

/// A tensor's name in PEFT's file.
#[must_use]
pub fn stored(own: &str) -> String {
    format!("{PREFIX}{own}")
}

/// A tensor's name in PEFT's file, where the tensor replaces one of a layer that has an adapter, since PEFT
/// wraps that layer in its own.
#[must_use]
pub fn stored_beside(own: &str, modules: &BTreeSet<String>) -> String {
    match own.rsplit_once('.') {
        Some((module, last)) if modules.contains(module) => stored(&format!("{module}.base_layer.{last}")),
        Some(_) | None => stored(own),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Role {
    /// A tensor of the adapter on a module.
    Part {
        module: String,
        /// The rest of its name.
        part: &'static str,
    },
    /// A tensor that replaces one of base or head.
    Whole(String),
    /// The output layer of a language model.
    Output,
    /// A module's weights before training: PEFT keeps them to switch the adapter off.
    Before,
}

/// The names of a model's tensors and modules.
struct Places {
    tensors: BTreeSet<String>,
    prefix: &'static str,
    /// Whether the output layer of a language model is its word embedding.
    ties_words: bool,
}

impl Places {
    fn of(architecture: &Architecture) -> Self {
        let head = architecture.head_tensors(Head::Classifier { labels: 1 });
        let base = architecture.base_tensors(Head::LanguageModel);
        Self {
            tensors: base.into_iter().chain(head).map(|tensor| tensor.name).collect(),
            prefix: architecture.base_prefix(),
            ties_words: architecture.ties_words(),
        }
    }

    fn role(&self, name: &str) -> Result<Role, AdapterError> {
        if let Some((_, feature)) = FEATURES.iter().find(|(mark, _)| name.contains(mark)) {
            return Err(AdapterError::Unsupported { feature: (*feature).to_owned() });
        }
        let mut own = name;
        while let Some(rest) = own.strip_prefix(PREFIX) {
            own = rest;
        }
        if own.contains(".original_module.") {
            return Ok(Role::Before);
        }
        if let Some((module, part)) = adapter_part(own) {
            return match self.find(module, ".weight") {
                Some(module) => Ok(Role::Part { module, part }),
                None if module == "lm_head" => {
                    Err(AdapterError::Unsupported { feature: "an adapter on the output layer".to_owned() })
                }
                None => Err(AdapterError::Unknown { name: name.to_owned() }),
            };
        }
        let own = own.replace(".base_layer.", ".");
        let unwrapped = unwrapped(&own);
        if self.ties_words && unwrapped.iter().any(|own| own == OUTPUT) {
            return Ok(Role::Output);
        }
        let found = unwrapped.iter().find_map(|own| self.find(own, ""));
        found.map(Role::Whole).ok_or_else(|| AdapterError::Unknown { name: name.to_owned() })
    }

    /// The model's name for a module or a tensor; an adapter trained on the base model alone leaves out the
    /// prefix.
    fn find(&self, name: &str, end: &str) -> Option<String> {
        let with_prefix = format!("{}{name}", self.prefix);
        let has = |name: &&str| self.tensors.contains(&format!("{name}{end}"));
        [name, &with_prefix].into_iter().find(has).map(str::to_owned)
    }
}

/// The module and the part of a name such as `query.lora_A.weight` or `query.lora_A.default.weight`.
fn adapter_part(own: &str) -> Option<(&str, &'static str)> {
    if let Some((module, rest)) = own.rsplit_once(LENGTHS) {
        // In files the name ends here; in memory the adapter's name and `.weight` follow.
        let is_part = rest.is_empty() || (rest.starts_with('.') && rest.matches('.').count() <= 2);
        return is_part.then_some((module, LENGTHS));
    }
    [PARTS[0], PARTS[1], BIAS].into_iter().find_map(|part| {
        let (matrix, last) = part.rsplit_once('.')?;
        let (module, rest) = own.rsplit_once(&format!("{matrix}."))?;
        let of_adapter =
            rest.rsplit_once('.').map_or(rest, |(name, last)| if name.contains('.') { "" } else { last });
        (of_adapter == last).then_some((module, part))
    })
}

/// Possible meanings of a name once the wrapper of `modules_to_save` is removed: an adapter's name may follow
/// the wrapper.
fn unwrapped(own: &str) -> Vec<String> {
    match own.split_once(WRAPPED) {
        None => vec![own.to_owned()],
        Some((module, rest)) => {
            let behind_name = rest.split_once('.').map(|(_, rest)| format!("{module}.{rest}"));
            std::iter::once(format!("{module}.{rest}")).chain(behind_name).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::{BertConfig, Gpt2Config};

    fn role(architecture: &Architecture, name: &str) -> Role {
        Places::of(architecture).role(name).unwrap()
    }

    fn bert() -> Architecture {
        Architecture::Bert(BertConfig::default())
    }

    #[test]
    fn an_adapters_tensor_is_found_under_every_name_that_files_give_it() {
        let module = "bert.encoder.layer.3.attention.self.query";
        for (name, part) in [
            ("base_model.model.bert.encoder.layer.3.attention.self.query.lora_A.weight", PARTS[0]),
            ("base_model.model.bert.encoder.layer.3.attention.self.query.lora_B.default.weight", PARTS[1]),
            ("bert.encoder.layer.3.attention.self.query.lora_A.sst2.weight", PARTS[0]),
            ("base_model.model.encoder.layer.3.attention.self.query.lora_B.weight", PARTS[1]),
            ("base_model.model.bert.encoder.layer.3.attention.self.query.lora_B.bias", BIAS),
            ("base_model.model.bert.encoder.layer.3.attention.self.query.lora_B.default.bias", BIAS),
            ("base_model.model.bert.encoder.layer.3.attention.self.query.lora_magnitude_vector", LENGTHS),
            ("bert.encoder.layer.3.attention.self.query.lora_magnitude_vector.default.weight", LENGTHS),
        ] {
            assert_eq!(role(&bert(), name), Role::Part { module: module.to_owned(), part }, "{name}");
        }
    }

    #[test]
    fn a_whole_tensor_is_found_inside_of_what_peft_wraps_around_it() {
        for (name, own) in [
            ("base_model.model.classifier.weight", "classifier.weight"),
            ("classifier.bias", "classifier.bias"),
            ("base_model.model.classifier.modules_to_save.default.weight", "classifier.weight"),
            ("base_model.model.classifier.modules_to_save.weight", "classifier.weight"),
            ("base_model.model.bert.pooler.modules_to_save.mine.dense.bias", "bert.pooler.dense.bias"),
            ("base_model.model.bert.pooler.modules_to_save.dense.bias", "bert.pooler.dense.bias"),
            (
                "base_model.model.bert.encoder.layer.0.attention.self.key.base_layer.bias",
                "bert.encoder.layer.0.attention.self.key.bias",
            ),
            ("base_model.model.embeddings.LayerNorm.bias", "bert.embeddings.LayerNorm.bias"),
        ] {
            assert_eq!(role(&bert(), name), Role::Whole(own.to_owned()), "{name}");
        }
        let before = "base_model.model.classifier.original_module.weight";
        assert_eq!(role(&bert(), before), Role::Before);
    }

    #[test]
    fn the_output_layer_is_a_language_models_alone() {
        let gpt2 = Architecture::Gpt2(Gpt2Config::default());
        assert_eq!(role(&gpt2, "base_model.model.lm_head.weight"), Role::Output);
        assert!(Places::of(&bert()).role("base_model.model.lm_head.weight").is_err());
    }

    #[test]
    fn what_is_not_computed_here_is_named() {
        for (name, feature) in [
            ("base_model.model.bert.embeddings.word_embeddings.lora_embedding_A.default", "embeddings"),
            ("x.word_embeddings.token_adapter.trainable_tokens_delta", "trainable_token_indices"),
        ] {
            let said = Places::of(&bert()).role(name).unwrap_err().to_string();
            assert!(said.contains(feature), "{said}");
        }
        for name in
            ["base_model.model.bert.encoder.layer.99.attention.self.query.lora_A.weight", "lora_A.weight", ""]
        {
            assert!(matches!(Places::of(&bert()).role(name), Err(AdapterError::Unknown { .. })), "{name}");
        }
    }

    #[test]
    fn two_adapters_in_one_file_are_two() {
        let of = |name: &str| format!("bert.encoder.layer.0.attention.self.query.lora_A.{name}.weight");
        let (one, other) = (of("one"), of("two"));
        let said = Index::new([one.as_str(), &other].into_iter(), &bert()).unwrap_err().to_string();
        assert!(said.contains(&one) && said.contains(&other), "{said}");
        let bias = ["classifier.bias", "classifier.modules_to_save.bias"]
            .map(|name| format!("base_model.model.{name}"));
        for names in [[&bias[0], &bias[1]], [&bias[1], &bias[0]]] {
            let index = Index::new(names.into_iter().map(String::as_str), &bert()).unwrap();
            assert_eq!(index.file("classifier.bias"), bias[0]);
        }
    }
}
