//! Owns the judgement of `models`: what each entry needs, whether its folder holds it, and whether
//! the shapes fit together. Pure.

use std::collections::BTreeMap;

use crate::arch::{Architecture, BertConfig, ModelSpec, Weights};

use super::check_task::DEFAULT_MAX_LENGTH;
use super::error::{Problem, Report};
use super::keys::{MOST_LAYERS, WIDEST};
use super::raw::{RawModel, RawSweep};
use super::read::missing;
use super::source::{At, Place};
use super::survey::{Fault, FolderFacts, ModelFacts, Survey, TokenizerFacts, weights_fault};

/// The models that are sound, by name. Every other one has an error in the report.
pub(super) fn check(raw: &RawSweep, survey: &Survey, report: &mut Report) -> BTreeMap<String, ModelSpec> {
    let mut models = BTreeMap::new();
    for (model, facts) in raw.models.iter().zip(&survey.models) {
        if let Some(spec) = check_one(model, facts, report) {
            max_length(raw, model, &spec, report);
            models.insert(spec.name.clone(), spec);
        }
    }
    models
}

fn check_one(raw: &RawModel, facts: &ModelFacts, report: &mut Report) -> Option<ModelSpec> {
    let has = |key: &str| raw.keys.iter().find(|at| at.value == key).map(|at| at.place);
    let loaded = match (has("from"), has("architecture")) {
        (Some(_), Some(place)) => {
            conflict("architecture", "from", place, report).hint("keep one of them");
            return None;
        }
        (None, None) => {
            missing("from", &title(raw), raw.place, report)
                .hint("a model folder, or `architecture: bert` for a model with random weights");
            return None;
        }
        (Some(_), None) => from_folder(raw, facts, report),
        (None, Some(_)) => from_numbers(raw, facts, report),
    };
    let tokenizer = tokenizer(raw, facts, report);
    let (weights, mut config) = loaded?;
    let tokenizer = tokenizer?;
    match weights {
        Weights::Random { .. } | Weights::Absent => config.vocab_size = tokenizer.vocabulary,
        Weights::Folder { .. } => vocabulary(raw, tokenizer, &config, report)?,
    }
    Some(ModelSpec {
        name: raw.name.value.clone(),
        weights,
        tokenizer: tokenizer.path.clone(),
        tokenizer_content: tokenizer.content,
        architecture: Architecture::Bert(config),
    })
}

fn title(raw: &RawModel) -> String {
    format!("model `{}`", raw.name.value)
}

fn conflict<'r>(
    key: &str,
    other: &str,
    place: Place,
    report: &'r mut Report,
) -> &'r mut super::error::SpecError {
    report.error(place, Problem::Conflict { key: key.to_owned(), other: other.to_owned() })
}

fn fault(fault: &Fault, place: Place, report: &mut Report) {
    report.error(place, Problem::Model(fault.message.clone())).hint(fault.hint.clone());
}

/// A pretrained model, its first layers where `layers` asks for that.
fn from_folder(raw: &RawModel, facts: &ModelFacts, report: &mut Report) -> Option<(Weights, BertConfig)> {
    const BESIDE: [&str; 5] = ["from", "layers", "tokenizer", "hidden_dropout", "attention_dropout"];
    for key in raw.keys.iter().filter(|key| !BESIDE.contains(&key.value)) {
        conflict(key.value, "from", key.place, report).hint("the model's config.json decides it");
    }
    let from = raw.from.as_ref()?;
    let folder: &FolderFacts = match facts.folder.as_ref()? {
        Ok(folder) => folder,
        Err(error) => {
            fault(error, from.place, report);
            return None;
        }
    };
    for error in [folder.config.as_ref().err(), folder.weights.as_ref().err()].into_iter().flatten() {
        fault(error, from.place, report);
    }
    let mut config = folder.config.as_ref().ok()?.clone();
    if let Some(message) = nonsense(&config) {
        let message = format!("config.json in `{}` says {message}", from.value);
        report.error(from.place, Problem::Model(message)).hint("copy the model's config.json again");
        return None;
    }
    if let Some(layers) = &raw.layers {
        let available = config.num_hidden_layers;
        if layers.value > available {
            let found = format!("`{}`, more than the model in `{}` has", layers.value, from.value);
            let problem = Problem::BadValue { key: "`layers`".to_owned(), found };
            report.error(layers.place, problem).allowed(format!("1 to {available}"));
            return None;
        }
        config.num_hidden_layers = layers.value;
    }
    set_dropouts(raw, &mut config);
    let weights = folder.weights.as_ref().ok()?;
    if let Err(error) = weights.tensors.check(&Architecture::Bert(config.clone())) {
        fault(&weights_fault(&error, &folder.path, &from.value), from.place, report);
        return None;
    }
    Some((Weights::Folder { path: folder.path.clone(), content: weights.content }, config))
}

/// What no BERT can have, in words.
fn nonsense(config: &BertConfig) -> Option<String> {
    let too_big = |size: usize, most: u64| size == 0 || size as u64 > most;
    let sizes = [
        ("num_hidden_layers", config.num_hidden_layers, MOST_LAYERS),
        ("hidden_size", config.hidden_size, WIDEST),
        ("num_attention_heads", config.num_attention_heads, WIDEST),
        ("intermediate_size", config.intermediate_size, WIDEST),
        ("max_position_embeddings", config.max_position_embeddings, WIDEST),
        ("type_vocab_size", config.type_vocab_size, WIDEST),
        ("vocab_size", config.vocab_size, 100 * WIDEST),
    ];
    if let Some((name, size, _)) = sizes.iter().find(|(_, size, most)| too_big(*size, *most)) {
        return Some(format!("`{name}` is {size}"));
    }
    let (heads, hidden) = (config.num_attention_heads, config.hidden_size);
    (hidden % heads != 0)
        .then(|| format!("`num_attention_heads` is {heads}, which does not divide `hidden_size` {hidden}"))
}

/// A model with random weights. The vocabulary is its tokenizer's.
fn from_numbers(raw: &RawModel, facts: &ModelFacts, report: &mut Report) -> Option<(Weights, BertConfig)> {
    for key in ["layers", "hidden", "heads", "intermediate", "tokenizer"] {
        if !raw.keys.iter().any(|at| at.value == key) {
            missing(key, &title(raw), raw.place, report);
        }
    }
    if let (Some(hidden), Some(heads)) = (&raw.hidden, &raw.heads) {
        heads_divide(hidden, heads, report);
    }
    let mut config = BertConfig {
        vocab_size: facts.tokenizer.as_ref()?.as_ref().ok()?.vocabulary,
        num_hidden_layers: raw.layers.as_ref()?.value,
        hidden_size: raw.hidden.as_ref()?.value,
        num_attention_heads: raw.heads.as_ref()?.value,
        intermediate_size: raw.intermediate.as_ref()?.value,
        ..BertConfig::default()
    };
    if let Some(positions) = &raw.positions {
        config.max_position_embeddings = positions.value;
    }
    set_dropouts(raw, &mut config);
    Some((Weights::Random { seed: 42 }, config))
}

/// The two constants of a model that are not fixed by its weights.
fn set_dropouts(raw: &RawModel, config: &mut BertConfig) {
    if let Some(dropout) = &raw.hidden_dropout {
        config.hidden_dropout_prob = dropout.value;
    }
    if let Some(dropout) = &raw.attention_dropout {
        config.attention_probs_dropout_prob = dropout.value;
    }
}

fn heads_divide(hidden: &At<usize>, heads: &At<usize>, report: &mut Report) {
    let (width, count) = (hidden.value, heads.value);
    if width % count == 0 {
        return;
    }
    let found = format!("`{count}`, which does not divide `hidden` {width}");
    let divisors: Vec<String> =
        (1..=width.min(64)).filter(|n| width % n == 0).map(|n| n.to_string()).collect();
    let problem = Problem::BadValue { key: "`heads`".to_owned(), found };
    report.error(heads.place, problem).allowed(divisors.join(", "));
}

fn tokenizer<'a>(raw: &RawModel, facts: &'a ModelFacts, report: &mut Report) -> Option<&'a TokenizerFacts> {
    match facts.tokenizer.as_ref()? {
        Ok(tokenizer) => Some(tokenizer),
        Err(error) => {
            fault(error, tokenizer_place(raw), report);
            None
        }
    }
}

fn tokenizer_place(raw: &RawModel) -> Place {
    raw.tokenizer.as_ref().or(raw.from.as_ref()).map_or(raw.place, |at| at.place)
}

/// A token id beyond the embedding would fail in the middle of training.
fn vocabulary(
    raw: &RawModel,
    tokenizer: &TokenizerFacts,
    config: &BertConfig,
    report: &mut Report,
) -> Option<()> {
    if tokenizer.vocabulary <= config.vocab_size {
        return Some(());
    }
    let message = format!(
        "the tokenizer has token ids up to {}, but the model's embedding only {} rows",
        tokenizer.vocabulary - 1,
        config.vocab_size
    );
    let error = report.error(tokenizer_place(raw), Problem::Model(message));
    error.hint("use the tokenizer that the model was trained with");
    None
}

fn max_length(raw: &RawSweep, model: &RawModel, spec: &ModelSpec, report: &mut Report) {
    let positions = spec.architecture.max_length();
    let asked = raw.task.as_ref().and_then(|task| task.max_length.as_ref());
    let length = asked.map_or(DEFAULT_MAX_LENGTH, |at| at.value);
    if length <= positions {
        return;
    }
    let name = &model.name.value;
    if let Some(at) = asked {
        let found = format!("`{length}`, longer than model `{name}` can read");
        let problem = Problem::BadValue { key: "`max_length`".to_owned(), found };
        report.error(at.place, problem).allowed(format!("3 to {positions}"));
    } else {
        let message =
            format!("model `{name}` reads at most {positions} tokens, and `max_length` is {length}");
        let error = report.error(model.name.place, Problem::Model(message));
        error.hint(format!("set `task.max_length` to {positions} or less"));
    }
}
