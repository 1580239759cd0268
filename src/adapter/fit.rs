//! Owns the comparison of an adapter's tensors with a base: every tensor has its module and its
//! shape, and none is missing. Reads no values but to see that they are numbers.

use std::collections::BTreeSet;

use super::error::AdapterError;
use super::peft::{AdapterConfig, PARTS, PREFIX, Targets, TaskType};
use crate::arch::{Architecture, Head, LinearShape, TensorShape};
use crate::model::weights::{Checkpoint, TensorView};

/// Ends of tensor names that belong to features of PEFT which are not computed here.
const FEATURES: [(&str, &str); 4] = [
    (".lora_magnitude_vector", "DoRA"),
    (".lora_magnitude_vector.weight", "DoRA"),
    (".lora_embedding_A", "adapters on embeddings"),
    (".lora_B.bias", "`lora_bias`"),
];

/// An adapter that fits its base.
#[derive(Debug)]
pub struct Fitted {
    /// What the model with the adapter is for.
    pub head: Head,
    /// The layers with adapters.
    pub layers: Vec<LinearShape>,
    /// The tensors that the adapter brings whole, the head's among them.
    pub saved: Vec<TensorShape>,
}

/// Compares an adapter with a base.
///
/// # Errors
/// Names the first tensor that has no place in the base, has another shape, is missing, or is no number.
pub fn fit(
    config: &AdapterConfig,
    tensors: &Checkpoint,
    architecture: &Architecture,
) -> Result<Fitted, AdapterError> {
    let head = head(config, tensors, architecture)?;
    let places: Vec<TensorShape> =
        architecture.tensors().into_iter().chain(architecture.head_tensors(head)).collect();
    let (mut modules, mut saved) = (BTreeSet::new(), Vec::new());
    for name in tensors.names() {
        let place = place(name, &places)?;
        match place {
            Place::Adapter(module) => {
                modules.insert(module);
            }
            Place::Whole(shape) => saved.push(shape.clone()),
        }
    }
    let layers = layers(config, architecture, &modules)?;
    let wanted = layers.iter().flat_map(|layer| {
        let shapes = [vec![config.rank, layer.d_in], vec![layer.d_out, config.rank]];
        PARTS.iter().zip(shapes).map(|(part, shape)| (format!("{}{part}", layer.name), shape))
    });
    let whole = architecture.saved_tensors(head, &config.saved);
    let head_too = architecture.head_tensors(head);
    let whole = whole.iter().chain(&head_too).chain(&saved).map(|t| (t.name.clone(), t.shape.clone()));
    for (name, shape) in wanted.chain(whole) {
        check(tensors, &name, &shape)?;
    }
    Ok(Fitted { head, layers, saved })
}

/// A tensor's name in PEFT's file.
#[must_use]
pub fn stored(name: &str) -> String {
    format!("{PREFIX}{name}")
}

enum Place<'a> {
    /// In the adapter of a module.
    Adapter(String),
    /// In the place of a tensor of base or head.
    Whole(&'a TensorShape),
}

fn place<'a>(name: &str, places: &'a [TensorShape]) -> Result<Place<'a>, AdapterError> {
    if let Some((_, feature)) = FEATURES.iter().find(|(end, _)| name.ends_with(end)) {
        return Err(AdapterError::Unsupported { feature: (*feature).to_owned() });
    }
    let own = name.strip_prefix(PREFIX);
    let module = own.and_then(|own| PARTS.iter().find_map(|part| own.strip_suffix(part)));
    let whole = own.and_then(|own| places.iter().find(|place| place.name == own));
    module
        .map(|module| Place::Adapter(module.to_owned()))
        .or_else(|| whole.map(Place::Whole))
        .ok_or_else(|| AdapterError::Unknown { name: name.to_owned() })
}

/// The layers that the settings name, which are those that have tensors.
fn layers(
    config: &AdapterConfig,
    architecture: &Architecture,
    modules: &BTreeSet<String>,
) -> Result<Vec<LinearShape>, AdapterError> {
    let modules: Vec<String> = modules.iter().cloned().collect();
    let layers = match &config.targets {
        Targets::Named(names) => architecture.lora_targets(names),
        Targets::Pattern => architecture.lora_targets(&modules),
    };
    let odd = modules.iter().find(|module| layers.iter().all(|layer| layer.name != **module));
    match odd {
        Some(module) => Err(AdapterError::Unknown { name: stored(&format!("{module}{}", PARTS[0])) }),
        None if layers.is_empty() => Err(AdapterError::Missing { name: stored(&format!("…{}", PARTS[0])) }),
        None => Ok(layers),
    }
}

/// The head that an adapter was trained with: its own file tells the number of classes.
fn head(
    config: &AdapterConfig,
    tensors: &Checkpoint,
    architecture: &Architecture,
) -> Result<Head, AdapterError> {
    let any = architecture.head_tensors(Head::Classifier { labels: 1 });
    let name = stored(&any[0].name);
    let classes = tensors.tensor(&name).and_then(|tensor| tensor.shape.first().copied());
    match (config.task, classes) {
        (Some(TaskType::Classifier) | None, Some(labels)) => Ok(Head::Classifier { labels }),
        (Some(TaskType::LanguageModel), _) | (None, None) if architecture.supports(Head::LanguageModel) => {
            Ok(Head::LanguageModel)
        }
        (Some(TaskType::LanguageModel), _) => {
            Err(AdapterError::Unsupported { feature: "a language model's head on this family".to_owned() })
        }
        (Some(TaskType::Classifier) | None, None) => Err(AdapterError::NoHead { name }),
    }
}

/// The tensor of this name and shape, if it holds numbers only.
fn check<'a>(tensors: &'a Checkpoint, name: &str, shape: &[usize]) -> Result<TensorView<'a>, AdapterError> {
    let name = stored(name);
    let tensor = tensors.tensor(&name).ok_or_else(|| AdapterError::Missing { name: name.clone() })?;
    if tensor.shape != shape {
        return Err(AdapterError::Shape { name, expected: shape.to_vec(), found: tensor.shape.to_vec() });
    }
    tensor.check_finite()?;
    Ok(tensor)
}
