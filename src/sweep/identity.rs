//! Owns what a configuration's id is a hash of: everything that decides its results, and nothing else. Reads no
//! file.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{OwnHead, SweepSpec};
use crate::families::{Architecture, ModelSpec, Weights};
use crate::tasks::{Cleaning, Objective, Reading, Task};
use crate::values::{Configuration, ConfigurationId, ContentHash, Method, Training};

/// Changes whenever training would give different results for the same settings.
const TRAINING_VERSION: u32 = 3;

/// The part of identities that configurations of a task and a model have in common, either those that start
/// from the model's weights or those that do not. It is most of each identity and is written only once.
#[derive(Clone, Debug)]
pub struct Template {
    task: String,
    model: String,
    /// The [`Identity`] as JSON text without braces. The version goes before it, the differing settings after.
    identity: Vec<u8>,
    /// The outputs of the model's own head, as JSON text after its key, for [`Method::Base`].
    own_head: Vec<u8>,
}

impl Template {
    /// The template for this task and model; training from scratch uses a model's shapes, never its weights.
    #[must_use]
    pub fn of(task: &Task, model: &ModelSpec, scratch: bool) -> Self {
        let (weights, weights_seed) = match &model.weights {
            Weights::Folder { .. } | Weights::Random { .. } | Weights::Absent if scratch => (None, None),
            Weights::Folder { content, .. } => (Some(*content), None),
            Weights::Random { seed } => (None, Some(*seed)),
            // A model without weights is distinguished from others of the same shapes only by its name.
            Weights::Absent => (Some(ContentHash::of_bytes(model.name.as_bytes())), None),
        };
        let identity = Identity {
            task: TaskIdentity {
                objective: &task.objective,
                files: task.contents(),
                columns: task.columns.as_deref(),
                reading: &task.reading,
                cleaning: &task.cleaning,
                max_length: task.max_length,
                rows: (task.rows, task.test_rows, task.sample_seed),
                test_fraction: task.test_fraction,
            },
            weights,
            weights_seed,
            tokenizer: model.tokenizer_content,
            architecture: &model.architecture,
        };
        let mut identity = json(&identity);
        identity.pop();
        identity.remove(0);
        let outputs = OwnHead::of(task, model).outputs();
        let own_head = outputs.map(|outputs| [b",\"head\":", &json(&outputs)[..]].concat());
        let own_head = own_head.unwrap_or_default();
        Self { task: task.name.clone(), model: model.name.clone(), identity, own_head }
    }

    /// The content that the id of a configuration with these settings is a hash of: everything that decides its
    /// results, as a JSON object.
    #[must_use]
    pub fn identity(&self, method: &Method, training: &Training) -> Vec<u8> {
        self.identity_in(TRAINING_VERSION, method, training)
    }

    /// The same as a version made it that trained in another way.
    fn identity_in(&self, version: u32, method: &Method, training: &Training) -> Vec<u8> {
        let version = format!("{{\"version\":{version},");
        let head = if *method == Method::Base { &self.own_head[..] } else { &[] };
        let rest = [
            b",\"method\":",
            &json(method)[..],
            b",\"training\":",
            &json(&training.deciding())[..],
            head,
            b"}",
        ];
        [version.as_bytes(), &self.identity[..], &rest.concat()[..]].concat()
    }

    fn id(&self, version: u32, method: &Method, training: &Training) -> ConfigurationId {
        ConfigurationId::of(ContentHash::of_bytes(&self.identity_in(version, method, training)))
    }

    /// The configuration with these settings.
    #[must_use]
    pub fn configuration(&self, method: Method, training: Training) -> Configuration {
        let id = self.id(TRAINING_VERSION, &method, &training);
        Configuration { id, task: self.task.clone(), model: self.model.clone(), method, training }
    }
}

/// A configuration whose id this version would not give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignId {
    /// The id.
    pub id: ConfigurationId,
    /// Whether a version gave it that trained in another way. Otherwise a later version did, or the record was
    /// changed.
    pub is_of_before: bool,
}

impl SweepSpec {
    /// The configurations whose ids are not those of what decides their results.
    pub fn foreign_ids(&self) -> impl Iterator<Item = ForeignId> + '_ {
        let mut templates: BTreeMap<(&str, &str, bool), Template> = BTreeMap::new();
        self.configurations.iter().filter_map(move |one| {
            let scratch = one.method == Method::Scratch;
            let template = templates
                .entry((&one.task, &one.model, scratch))
                .or_insert_with(|| Template::of(self.task(one), self.model(one), scratch));
            let made_by = |version: &u32| template.id(*version, &one.method, &one.training) == one.id;
            let foreign =
                || ForeignId { id: one.id, is_of_before: (1..TRAINING_VERSION).any(|v| made_by(&v)) };
            (!made_by(&TRAINING_VERSION)).then(foreign)
        })
    }
}

impl Configuration {
    /// A configuration with the id made from everything that decides its results.
    #[must_use]
    pub fn new(task: &Task, model: &ModelSpec, method: Method, training: Training) -> Self {
        Template::of(task, model, method == Method::Scratch).configuration(method, training)
    }
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("identity values are plain structs with string keys")
}

/// The content that a configuration's id is a hash of, followed by its `method`, its `training` and, where it
/// is evaluated, the outputs of the model's own `head`. Paths and names are absent on purpose.
#[derive(Serialize)]
struct Identity<'a> {
    task: TaskIdentity<'a>,
    weights: Option<ContentHash>,
    weights_seed: Option<u64>,
    tokenizer: ContentHash,
    architecture: &'a Architecture,
}

#[derive(Serialize)]
struct TaskIdentity<'a> {
    objective: &'a Objective,
    files: [Option<ContentHash>; 3],
    columns: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Reading::is_default")]
    reading: &'a Reading,
    cleaning: &'a Cleaning,
    max_length: usize,
    rows: (Option<usize>, Option<usize>, u64),
    test_fraction: Option<f64>,
}
