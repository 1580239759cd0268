//! A small checked sweep for tests of the plan and of the scheduler.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cost::Experience;
use crate::families::{Architecture, BertConfig, ModelSpec, Weights};
use crate::sched::{Limits, Remaining, Simulated, Workload};
use crate::search::Brackets;
use crate::sweep::{DeviceRequest, SweepParts, SweepSpec};
use crate::tasks::{DataFile, Task};
use crate::values::{
    Configuration, ContentHash, Lora, Method, Resources, Select, Splitting, Training, Trial, Width,
};

/// Two adapters and full fine-tuning of one model, a second model from scratch with the same
/// tokenizer, a third with its own: five configurations of three folds.
pub(crate) fn sweep() -> SweepSpec {
    let models = [model("minilm-2", "a"), model("small-bert", "a"), model("other", "b")];
    let task = Arc::new(task());
    let point = |n: usize, method: Method, learning_rate: f64| {
        let training = Training { warmup: 0.06, ..Training::new(learning_rate) };
        Arc::new(Configuration::new(&task, &models[n], method, training))
    };
    let configurations = vec![
        point(0, lora(4), 5e-3),
        point(0, lora(16), 5e-3),
        point(0, Method::Full, 2e-4),
        point(1, Method::Scratch, 5e-4),
        point(2, lora(8), 5e-3),
    ];
    of(&task, &models, configurations, 3)
}

/// A grid over one model: a configuration for each method, number of epochs and seed, with this number of
/// folds.
pub(crate) fn grid(points: impl IntoIterator<Item = (Method, f64, u64)>, folds: usize) -> SweepSpec {
    let (task, model) = (Arc::new(task()), model("minilm-2", "a"));
    let point = |(n, (method, epochs, seed)): (u32, (Method, f64, u64))| {
        // Learning rates distinguish otherwise equal configurations.
        let learning_rate = 1e-6 * f64::from(n + 1);
        let training = Training { epochs, seed, warmup: 0.06, ..Training::new(learning_rate) };
        Arc::new(Configuration::new(&task, &model, method, training))
    };
    let configurations = (0..).zip(points).map(point).collect();
    of(&task, std::slice::from_ref(&model), configurations, folds)
}

fn of(
    task: &Arc<Task>,
    models: &[ModelSpec],
    configurations: Vec<Arc<Configuration>>,
    k: usize,
) -> SweepSpec {
    SweepSpec::try_from(SweepParts {
        name: "example".to_owned(),
        tasks: BTreeMap::from([(task.name.clone(), Arc::clone(task))]),
        models: models.iter().map(|model| (model.name.clone(), model.clone())).collect(),
        configurations,
        proposing: None,
        splitting: Splitting::KFold { k, stratified: true, seed: 42 },
        select: Select::Kinds,
        stop: None,
        drawn: None,
        refits: Vec::new(),
        devices: DeviceRequest::Cpu(2),
        warnings: Vec::new(),
        only: Vec::new(),
        cards: Vec::new(),
    })
    .unwrap()
}

/// Adapters of this rank on query and value.
pub(crate) fn lora(rank: usize) -> Method {
    Method::Lora(Lora { dropout: 0.1, ..Lora::new(&["query", "value"], rank, 16.0) })
}

/// The same of DoRA.
pub(crate) fn dora(rank: usize) -> Method {
    Method::Dora(Lora { dropout: 0.1, ..Lora::new(&["query", "value"], rank, 16.0) })
}

fn model(name: &str, tokenizer: &str) -> ModelSpec {
    ModelSpec {
        name: name.to_owned(),
        weights: Weights::Random { seed: 42 },
        tokenizer: PathBuf::from(tokenizer),
        tokenizer_content: ContentHash::of_bytes(tokenizer.as_bytes()),
        parts: crate::families::Parts::default(),
        architecture: Architecture::Bert(BertConfig {
            hidden_size: 384,
            num_hidden_layers: 2,
            intermediate_size: 1536,
            ..BertConfig::default()
        }),
    }
}

fn task() -> Task {
    let file = |name: &str, rows| DataFile {
        path: PathBuf::from(name),
        content: ContentHash::of_bytes(name.as_bytes()),
        rows,
        rows_read: None,
        text_bytes: 500 * rows as u64,
    };
    Task {
        test: Some(file("test.csv", 3_000)),
        rows: Some(1_500),
        test_rows: Some(1_000),
        ..Task::classification(file("train.csv", 10_000), "text", "label", &["a", "b", "c", "d"])
    }
}

/// The simulated run of these trials, each on one core.
pub(crate) fn foreseen(
    sweep: &SweepSpec,
    todo: &[Trial],
    resources: &Resources,
    prepared: bool,
) -> Simulated {
    let (remaining, known) = (Remaining::of(sweep, todo), Experience::default());
    let work = Workload::of(&remaining, Path::new("reports"), &|_| Width::Cores(1), &|_| prepared, &known);
    super::foresee(work, Brackets::default(), resources, Limits::default())
}
