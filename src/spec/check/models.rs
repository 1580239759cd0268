//! Owns the check of `models`: what each entry needs, whether its folder has it, and whether the shapes match.
//! Pure.

use std::collections::BTreeMap;

use crate::families::{self, Architecture, ConfigError, ModelSpec, Parts, Weights};

use crate::spec::error::{Problem, Report, SpecError};
use crate::spec::model_shape;
use crate::spec::raw::{RawModel, RawSweep};
use crate::spec::read::missing;
use crate::spec::source::{At, Place};
use crate::spec::survey::{Fault, Survey};
use crate::spec::survey_models::{FolderFacts, ModelFacts, TokenizerFacts, WeightFacts, weights_fault};
use crate::spec::words::short;

/// The models without errors, by name. Every other model that was looked at has an error in the report.
pub(super) fn check(raw: &RawSweep, survey: &Survey, report: &mut Report) -> BTreeMap<String, ModelSpec> {
    let mut models = BTreeMap::new();
    for (model, facts) in raw.models.iter().zip(&survey.models) {
        if let Some(spec) = check_one(model, facts, report) {
            models.insert(spec.name.clone(), spec);
        }
    }
    models
}

fn check_one(raw: &RawModel, facts: &ModelFacts, report: &mut Report) -> Option<ModelSpec> {
    let has = |key: &str| raw.keys.iter().find(|at| at.value == key).map(|at| at.place);
    let loaded = match (has("from"), has("architecture")) {
        (None, None) => {
            missing("from", &title(raw), raw.place, report)
                .hint("a model folder, or `architecture: bert` for a model with random weights");
            return None;
        }
        (Some(_), _) => from_folder(raw, facts, report),
        (None, Some(_)) => from_numbers(raw, facts, report),
    };
    let tokenizer = tokenizer(raw, facts, report);
    let Loaded { weights, mut architecture, parts } = loaded?;
    let tokenizer = tokenizer?;
    match weights {
        Weights::Random { .. } => architecture.set_vocabulary(tokenizer.vocabulary),
        Weights::Folder { .. } | Weights::Absent => {
            vocabulary(raw, tokenizer, &architecture, report)?;
            special_tokens(raw, facts, tokenizer, report);
        }
    }
    Some(ModelSpec {
        name: raw.name.value.clone(),
        weights,
        tokenizer: tokenizer.path.clone(),
        tokenizer_content: tokenizer.content,
        architecture,
        parts,
    })
}

/// A model without its tokenizer.
struct Loaded {
    weights: Weights,
    architecture: Architecture,
    parts: Parts,
}

fn title(raw: &RawModel) -> String {
    format!("model `{}`", raw.name.value)
}

fn conflict<'r>(key: &str, other: &str, place: Place, report: &'r mut Report) -> &'r mut SpecError {
    report.error(place, Problem::Conflict { key: key.to_owned(), other: other.to_owned() })
}

fn fault(fault: &Fault, place: Place, report: &mut Report) {
    report.error(place, Problem::Model(fault.message.clone())).hint(fault.hint.clone());
}

/// A pretrained model, or its first layers if `layers` is given.
fn from_folder(raw: &RawModel, facts: &ModelFacts, report: &mut Report) -> Option<Loaded> {
    beside_from(raw, facts, report);
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
    let mut architecture = folder.config.as_ref().ok()?.clone();
    if let (Some(layers), Some(available)) = (&raw.layers, architecture.layers_mut()) {
        if layers.value > *available {
            let found = format!("`{}`, more than the model in `{}` has", layers.value, from.value);
            let problem = Problem::BadValue { key: "`layers`".to_owned(), found };
            report.error(layers.place, problem).allowed(format!("1 to {available}"));
            return None;
        }
        *available = layers.value;
    }
    architecture.set_dropouts(model_shape::dropouts(raw));
    let (content, tensors) = match folder.weights.as_ref().ok()? {
        WeightFacts::Found { content, tensors } => (*content, tensors),
        WeightFacts::Absent => {
            // Weights from the hub are fetched by a run.
            if facts.is_local {
                let message =
                    format!("the weights are missing in `{}`: it can be planned, not run", from.value);
                report.warn(from.place, message);
            }
            return Some(Loaded { weights: Weights::Absent, architecture, parts: Parts::default() });
        }
    };
    let parts = match tensors.check(&architecture) {
        Ok(fresh) => Parts { no_words: tensors.lacks_output(&architecture), ..folder.parts(&fresh) },
        Err(error) => {
            fault(&weights_fault(error, &folder.path, &from.value), from.place, report);
            return None;
        }
    };
    Some(Loaded { weights: Weights::Folder { path: folder.path.clone(), content }, architecture, parts })
}

/// Checks the keys next to `from`. `architecture` is allowed where the folder does not name its family; the
/// survey of the folder compares the two.
fn beside_from(raw: &RawModel, facts: &ModelFacts, report: &mut Report) {
    const BESIDE: [&str; 7] =
        ["from", "architecture", "revision", "layers", "tokenizer", "hidden_dropout", "attention_dropout"];
    for key in raw.keys.iter().filter(|key| !BESIDE.contains(&key.value)) {
        let hint = match key.value {
            "seed" => "its weights are not random",
            _ => "the model's config.json decides it",
        };
        conflict(key.value, "from", key.place, report).hint(hint);
    }
    let without_folders =
        |at: &&At<String>| families::named(&at.value).is_some_and(|about| !about.has_folders());
    if let Some(architecture) = raw.architecture.as_ref().filter(without_folders) {
        conflict("architecture", "from", architecture.place, report)
            .hint(format!("a `{}` is never loaded: remove `from`", architecture.value));
    }
    if let (Some(revision), true) = (&raw.revision, facts.is_local) {
        let whose = "a model folder of this machine".to_owned();
        let problem = Problem::InapplicableKey { key: "revision", whose };
        report.error(revision.place, problem).hint("remove it, or name a model of the hub: `owner/name`");
    }
}

/// A model with random weights. The vocabulary size comes from its tokenizer.
fn from_numbers(raw: &RawModel, facts: &ModelFacts, report: &mut Report) -> Option<Loaded> {
    let family = families::named(&raw.architecture.as_ref()?.value)?;
    for key in family.needed.iter().copied().chain(["tokenizer"]) {
        if !raw.keys.iter().any(|at| at.value == key) {
            missing(key, &title(raw), raw.place, report);
        }
    }
    if let Some(revision) = &raw.revision {
        conflict("revision", "architecture", revision.place, report).hint("random weights have no revision");
    }
    let pairs =
        [("heads", &raw.heads, "hidden", &raw.hidden), ("kv_heads", &raw.kv_heads, "heads", &raw.heads)];
    let divided = pairs.map(|(key, divisor, of, number)| match (divisor, number) {
        (Some(divisor), Some(number)) => divides(key, divisor, (of, number.value), report),
        (_, _) => true,
    });
    // Without a tokenizer there is no model, which is reported already.
    facts.tokenizer.as_ref()?.as_ref().ok()?;
    let mut architecture = (family.drawn)(&model_shape::sizes(raw))?;
    architecture.set_dropouts(model_shape::dropouts(raw));
    if let (Err(ConfigError::Number(wrong)), [true, true]) = (architecture.check_numbers(), divided) {
        let message = format!("no model can have the sizes of `{}`: {wrong}", raw.name.value);
        report
            .error(raw.place, Problem::Model(message))
            .hint("with rotary positions `hidden` / `heads` must be even");
        return None;
    }
    Some(Loaded { weights: Weights::Random { seed: raw.seed }, architecture, parts: Parts::default() })
}

/// Whether the value of a key divides another number; an error where it does not.
fn divides(key: &str, divisor: &At<usize>, (of, number): (&str, usize), report: &mut Report) -> bool {
    if number % divisor.value == 0 {
        return true;
    }
    let found = format!("`{}`, which does not divide `{of}` {number}", divisor.value);
    let divisors: Vec<String> =
        (1..=number.min(64)).filter(|n| number % n == 0).map(|n| n.to_string()).collect();
    let problem = Problem::BadValue { key: format!("`{key}`"), found };
    report.error(divisor.place, problem).allowed(divisors.join(", "));
    false
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

/// The place for messages about a model's tokenizer.
pub(super) fn tokenizer_place(raw: &RawModel) -> Place {
    raw.tokenizer.as_ref().or(raw.from.as_ref()).map_or(raw.place, |at| at.place)
}

/// A tokenizer made for another model gives token ids that mean something else to this one.
fn special_tokens(raw: &RawModel, facts: &ModelFacts, tokenizer: &TokenizerFacts, report: &mut Report) {
    let Some(Ok(folder)) = &facts.folder else { return };
    let disagreements = folder.disagreements(tokenizer);
    if !disagreements.is_empty() {
        let message = format!(
            "the config.json of model `{}` and its tokenizer disagree: {}; one of them may be of another model: \
             use the tokenizer that the model was trained with",
            raw.name.value,
            disagreements.join("; ")
        );
        report.warn(tokenizer_place(raw), message);
    }
}

/// A token id beyond the embedding would fail in the middle of training.
fn vocabulary(
    raw: &RawModel,
    tokenizer: &TokenizerFacts,
    architecture: &Architecture,
    report: &mut Report,
) -> Option<()> {
    let rows = architecture.vocab_size();
    if tokenizer.vocabulary <= rows {
        return Some(());
    }
    let message = format!(
        "the tokenizer has token ids up to {} (`{}`), but the model's embedding only {rows} rows",
        tokenizer.vocabulary - 1,
        short(&tokenizer.last_token)
    );
    let error = report.error(tokenizer_place(raw), Problem::Model(message));
    error.hint(
        "use the tokenizer that the model was trained with, or give the model its tokens in Python: \
         `model.resize_token_embeddings(len(tokenizer))`, then save both",
    );
    None
}
