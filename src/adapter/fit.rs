//! Owns the comparison of an adapter's tensors with a base: every tensor has its module and its shape, and none
//! is missing. Reads values only to check that they are finite.

use std::collections::BTreeSet;

use super::error::AdapterError;
use super::names::{BIAS, Index, stored};
use super::peft::{AdapterConfig, LENGTHS, PARTS, TaskType};
use super::rules::Modules;
use crate::families::{Architecture, Head, LinearShape, TensorRole, TensorShape};
use crate::model::weights::{StateDict, TensorView};

/// An adapter that fits its base.
#[derive(Debug)]
pub struct Fitted {
    /// The head of the model with the adapter.
    pub head: Head,
    /// The layers with adapters.
    pub layers: Vec<Adapted>,
    /// The tensors that the adapter replaces whole, the head's included.
    pub saved: Vec<TensorShape>,
    /// Whether biases of the base are among them.
    pub has_biases: bool,
    /// The names of all tensors in the file.
    pub index: Index,
}

/// A layer with an adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapted {
    /// The layer.
    pub layer: LinearShape,
    /// Inner width r.
    pub rank: usize,
    /// Numerator of the scale.
    pub alpha: f64,
    /// Factor on the adapter's output.
    pub scale: f64,
}

impl Adapted {
    /// The sizes that the settings give a layer's adapter.
    #[must_use]
    pub fn of(layer: LinearShape, config: &AdapterConfig) -> Self {
        let (rank, alpha) = (config.rules.rank.of(&layer.name), config.rules.alpha.of(&layer.name));
        Self { layer, rank, alpha, scale: config.scale(rank, alpha) }
    }

    /// The module's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.layer.name
    }

    /// The name and the shape of each tensor of the adapter.
    pub fn tensors(&self, config: &AdapterConfig) -> impl Iterator<Item = (String, Vec<usize>)> {
        let LinearShape { name, d_in, d_out, .. } = &self.layer;
        let bias = config.lora_bias.then(|| (format!("{name}{BIAS}"), vec![*d_out]));
        let lengths = config.dora.then(|| (format!("{name}{LENGTHS}"), vec![*d_out]));
        let shapes = [vec![self.rank, *d_in], vec![*d_out, self.rank]];
        let matrices = PARTS.iter().zip(shapes).map(move |(part, shape)| (format!("{name}{part}"), shape));
        matrices.chain(bias).chain(lengths)
    }
}

impl Fitted {
    /// The values of one of the adapter's tensors, by the model's name.
    ///
    /// # Errors
    /// When it is missing, has another shape or holds NaN or infinity.
    pub fn read<'a>(
        &self,
        tensors: &'a StateDict,
        name: &str,
        shape: &[usize],
    ) -> Result<TensorView<'a>, AdapterError> {
        let tensor = tensors.exactly(&self.index.file(name))?.with_shape(shape)?;
        tensor.check_finite()?;
        Ok(tensor)
    }
}

/// Compares an adapter with a base.
///
/// # Errors
/// Names the first tensor that has no place in the base, has another shape, is missing, or is not finite.
pub fn fit(
    config: &AdapterConfig,
    tensors: &StateDict,
    architecture: &Architecture,
) -> Result<Fitted, AdapterError> {
    let index = Index::new(tensors.names(), architecture)?;
    let head = head(config, (tensors, &index), architecture)?;
    let heads = architecture.head_tensors(head);
    let places = architecture.all_tensors(head);
    let brought = |name: &String| {
        let place = places.iter().find(|place| place.name == *name);
        place.cloned().ok_or_else(|| AdapterError::Unknown { name: index.file(name) })
    };
    let saved: Vec<TensorShape> = index.whole.iter().map(brought).collect::<Result<_, _>>()?;
    let layers = layers(config, (architecture, head), &index.modules)?;
    // Without the setting PEFT leaves them out, which gives another model than the one that was trained.
    let odd = layers.iter().map(|layer| format!("{}{LENGTHS}", layer.name()));
    if let Some(name) = odd.into_iter().find(|name| !config.dora && index.has(name)) {
        return Err(AdapterError::Unknown { name: index.file(&name) });
    }
    let wanted = layers.iter().flat_map(|layer| layer.tensors(config));
    for (name, shape) in wanted {
        check((tensors, &index), &name, &shape, architecture)?;
    }
    let whole = architecture.tensors_in(head, &config.saved);
    for place in whole.iter().chain(&heads).chain(&saved) {
        check((tensors, &index), &place.name, &place.shape, architecture)?;
    }
    output(config, (tensors, &index), architecture, head)?;
    let of_base = |place: &&TensorShape| !heads.contains(place) && place.role == TensorRole::Bias;
    let has_biases = saved.iter().any(|place| of_base(&place));
    Ok(Fitted { head, layers, saved, has_biases, index })
}

/// The layers that the settings name, which must be the layers with tensors.
fn layers(
    config: &AdapterConfig,
    (architecture, head): (&Architecture, Head),
    modules: &BTreeSet<String>,
) -> Result<Vec<Adapted>, AdapterError> {
    let all: Vec<String> = modules.iter().cloned().collect();
    let names = match &config.rules.targets {
        Modules::Named(names) => names,
        // A regular expression may match more, so the layers with tensors decide.
        Modules::Pattern(_) => &all,
    };
    // In PEFT a module trained as a whole has no adapter; here it may have one.
    let trains_whole = |layer: &LinearShape| {
        let inside = |module: &String| format!(".{}.", layer.name).contains(&format!(".{module}."));
        config.saved.iter().any(inside) && !modules.contains(&layer.name)
    };
    let layers: Vec<LinearShape> = architecture
        .lora_targets(head, names)
        .into_iter()
        .filter(|layer| config.rules.keep(&layer.name) && !trains_whole(layer))
        .collect();
    let odd = all.iter().find(|module| layers.iter().all(|layer| layer.name != **module));
    match odd {
        Some(module) => Err(AdapterError::Unknown { name: stored(&format!("{module}{}", PARTS[0])) }),
        None if layers.is_empty() => Err(AdapterError::Missing { name: stored(&format!("…{}", PARTS[0])) }),
        None => Ok(layers.into_iter().map(|layer| Adapted::of(layer, config)).collect()),
    }
}

/// The head that an adapter was trained with; its tensors give the number of classes.
fn head(
    config: &AdapterConfig,
    (tensors, index): (&StateDict, &Index),
    architecture: &Architecture,
) -> Result<Head, AdapterError> {
    let one = match config.task {
        Some(TaskType::Tagger) => Head::Tagger { labels: 1 },
        Some(TaskType::Classifier | TaskType::LanguageModel) | None => Head::Classifier { labels: 1 },
    };
    let name = index.file(&architecture.class_rows(one).unwrap_or_default());
    let classes = tensors.tensor(&name).and_then(|tensor| tensor.shape.first().copied());
    match (config.task, classes) {
        (Some(TaskType::Classifier) | None, Some(labels)) => Ok(Head::Classifier { labels }),
        (Some(TaskType::Tagger), Some(labels)) => Ok(Head::Tagger { labels }),
        (Some(TaskType::LanguageModel), _) | (None, None) if architecture.supports(Head::LanguageModel) => {
            Ok(Head::LanguageModel)
        }
        (Some(TaskType::LanguageModel), _) => {
            Err(AdapterError::Unsupported { feature: "a language model's head on this family".to_owned() })
        }
        (Some(TaskType::Classifier | TaskType::Tagger) | None, None) => Err(AdapterError::NoHead { name }),
    }
}

/// Checks a language model's output layer where that is its word embedding: an adapter that changed only one of
/// them describes another model.
fn output(
    config: &AdapterConfig,
    (tensors, index): (&StateDict, &Index),
    architecture: &Architecture,
    head: Head,
) -> Result<(), AdapterError> {
    if head != Head::LanguageModel || !architecture.ties_words() {
        return Ok(());
    }
    let words = tensors.tensor(&index.file(&words(architecture)));
    let apart = match (index.output.as_deref().and_then(|name| tensors.tensor(name)), words) {
        (Some(output), Some(words)) => output.bytes != words.bytes,
        (Some(_), None) => true,
        // PEFT leaves the output layer unchanged where the embedding trained as a module of its own.
        (None, Some(_)) => config.saved.iter().any(|module| is_words(module, architecture)),
        (None, None) => false,
    };
    if apart {
        let feature = "an output layer (`lm_head`) that is not the word embedding".to_owned();
        return Err(AdapterError::Unsupported { feature });
    }
    Ok(())
}

/// The name of the word embedding.
fn words(architecture: &Architecture) -> String {
    architecture.blueprint().embedding.words.tensor
}

/// Whether a module's name, or its last parts, are those of the word embedding.
pub(super) fn is_words(module: &str, architecture: &Architecture) -> bool {
    format!(".{}", words(architecture)).ends_with(&format!(".{module}.weight"))
}

/// Checks that there is a tensor of this name and shape, and that its values are finite.
fn check(
    (tensors, index): (&StateDict, &Index),
    own: &str,
    shape: &[usize],
    architecture: &Architecture,
) -> Result<(), AdapterError> {
    let name = index.file(own);
    let tensor = tensors.tensor(&name).ok_or_else(|| AdapterError::Missing { name: name.clone() })?;
    match (tensor.shape, shape) {
        (found, expected) if found == expected => Ok(tensor.check_finite()?),
        ([rows, width], [base, expected]) if width == expected && own == words(architecture) => {
            Err(AdapterError::Resized { name, rows: *rows, base: *base })
        }
        (found, expected) => {
            Err(AdapterError::Shape { name, expected: expected.to_vec(), found: found.to_vec() })
        }
    }
}
