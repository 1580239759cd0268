//! A finished trial on a fixture's base, and the texts it is asked about.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lorasweep::adapter::base::ModelFolder;
use lorasweep::adapter::model::Loaded;
use lorasweep::adapter::predict::{self, Answer, AnswerKind, Question};
use lorasweep::adapter::{AdapterError, export};
use lorasweep::disk::layout::Layout;
use lorasweep::families::params::count;
use lorasweep::families::{Architecture, ModelSpec, Weights};
use lorasweep::model::build::{self, Base};
use lorasweep::model::weights;
use lorasweep::record::{RunRecord, TrialRecord, TrialState};
use lorasweep::sweep::{DeviceRequest, SweepParts, SweepSpec};
use lorasweep::tasks::{DataFile, LanguageModelling, Objective, Task, TextLayout};
use lorasweep::train::checkpoint::{self, State, Window};
use lorasweep::values::{
    Configuration, ContentHash, Cost, Keep, Lora, Method, Metric, Schedule, Scores, Splitting, Training,
    Trial, TrialResult,
};
use tch::{Device, Tensor};
use tempfile::TempDir;

/// libtorch has one stream of random numbers for all threads.
static RANDOM: Mutex<()> = Mutex::new(());

fn alone_with_random_numbers() -> MutexGuard<'static, ()> {
    RANDOM.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Class names of the classifiers.
pub(crate) const LABELS: [&str; 3] = ["cat", "dog", "bird"];

/// A folder with a base, a run with one finished trial, and room for what is written.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) record: RunRecord,
}

/// What a trial's model is.
pub(crate) struct Case {
    pub(crate) family: &'static str,
    pub(crate) layers: usize,
    pub(crate) method: Method,
    pub(crate) task: Task,
}

/// A classifier on the first layers of a fixture.
pub(crate) fn classifier(family: &'static str, layers: usize, method: Method) -> Case {
    let task = Task { max_length: 12, ..Task::classification(data(), "text", "label", &LABELS) };
    Case { family, layers, method, task }
}

/// A language model on a whole fixture.
pub(crate) fn language_model(method: Method) -> Case {
    let objective = LanguageModelling { text: vec!["text".to_owned()], layout: TextLayout::Documents };
    let task = Task::new(Task::ONLY, Objective::LanguageModelling(objective), data());
    Case { family: "gpt2", layers: 2, method, task: Task { max_length: 12, ..task } }
}

/// An adapter of rank 3 on these modules.
pub(crate) fn lora(targets: &[&str], saved: &[&str]) -> Method {
    let saved = saved.iter().map(ToString::to_string).collect();
    Method::Lora(Lora { rslora: true, modules_to_save: saved, ..Lora::new(targets, 3, 7.0) })
}

/// The same adapter in these layers alone.
pub(crate) fn in_layers(method: Method, layers: &[usize]) -> Method {
    let among = |lora| Lora { layers_to_transform: Some(layers.to_vec()), ..lora };
    match method {
        Method::Lora(lora) => Method::Lora(among(lora)),
        Method::Dora(lora) => Method::Dora(among(lora)),
        Method::Full | Method::Scratch | Method::Base => panic!("it has no adapter"),
    }
}

/// The same adapter as DoRA's.
pub(crate) fn dora(method: Method) -> Method {
    Method::Dora(method.lora().unwrap().clone())
}

impl Bench {
    /// A trial whose trained weights are anything but those it started from.
    pub(crate) fn new(case: &Case) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = write_base(folder.path(), "base", case.family);
        let base = ModelFolder::open(&path).unwrap();
        let architecture = base.architecture.truncated(case.layers);
        let model = ModelSpec {
            name: "tiny".to_owned(),
            weights: Weights::Folder { content: weights::content(&path).unwrap(), path: path.clone() },
            tokenizer: path,
            tokenizer_content: ContentHash::of_bytes(b""),
            parts: lorasweep::families::Parts::default(),
            architecture,
        };
        let configuration = Configuration::new(&case.task, &model, case.method.clone(), training());
        let sweep = SweepSpec::try_from(SweepParts {
            name: "sweep".to_owned(),
            tasks: BTreeMap::from([(case.task.name.clone(), Arc::new(case.task.clone()))]),
            models: BTreeMap::from([(model.name.clone(), model.clone())]),
            configurations: vec![Arc::new(configuration)],
            proposing: None,
            splitting: Splitting::File,
            select: lorasweep::values::Select::Kinds,
            stop: None,
            drawn: None,
            refits: Vec::new(),
            devices: DeviceRequest::Auto,
            warnings: Vec::new(),
            only: Vec::new(),
            cards: Vec::new(),
        })
        .unwrap();
        let trial = sweep.trials().swap_remove(0);
        train(&Layout::of_run(&folder.path().join("run")), &trial, &model, &case.task);
        let record = RunRecord {
            trials: vec![finished(trial, &model.architecture, &case.task)],
            sweep,
            to_propose: 0,
            removed: Vec::new(),
            command_line: lorasweep::values::CommandLine::default(),
            started_at: None,
            updated_at: None,
            foreseen: None,
            live: false,
            failed_jobs: Vec::new(),
            journal_damage: None,
        };
        Self { folder, record }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout::of_run(&self.path("run"))
    }

    /// The trial's own model.
    pub(crate) fn trial(&self) -> Loaded {
        let trial = &self.record.trials[0].trial;
        let (sweep, configuration) = (&self.record.sweep, &trial.configuration);
        Loaded::of_trial(sweep.model(configuration), sweep.task(configuration), trial, &self.layout())
            .unwrap()
    }

    /// Exports the trial.
    pub(crate) fn export(&self, name: &str, merged: bool) -> Result<PathBuf, AdapterError> {
        let out = self.path(name);
        export::export(&self.record, &self.record.trials[0], &self.layout(), &out, merged)?;
        Ok(out)
    }
}

/// A copy of a fixture with a tokenizer of its 60 words.
pub(crate) fn write_base(folder: &Path, name: &str, family: &str) -> PathBuf {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(family);
    let path = folder.join(name);
    fs::create_dir(&path).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(fixture.join(file), path.join(file)).unwrap();
    }
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map(str::to_owned);
    let words: Vec<String> = special.into_iter().chain((4..60).map(|n| format!("w{n}"))).collect();
    fs::write(path.join("vocab.txt"), words.join("\n")).unwrap();
    fs::write(
        path.join("tokenizer_config.json"),
        r#"{"tokenizer_class": "BertTokenizer", "eos_token": "[SEP]"}"#,
    )
    .unwrap();
    path
}

/// Asks about texts of several lengths: one is empty, one is longer than the model can read.
pub(crate) fn ask(loaded: &Loaded) -> Vec<Answer> {
    let long = vec!["w9 w30"; 40].join(" ");
    let texts = ["w5 w17 w40", "", "w8", &long, "東京 мир 🙂", "unknown w59"].map(str::to_owned);
    let question = Question { texts: &texts, seconds: None, max_new_tokens: Some(6), logits: true };
    predict::predict(loaded, &question).unwrap()
}

/// The largest difference between logits; labels and texts must be equal.
pub(crate) fn distance(one: &[Answer], other: &[Answer]) -> f32 {
    assert_eq!(one.len(), other.len());
    let mut worst = 0.0_f32;
    for (one, other) in one.iter().zip(other) {
        match (&one.kind, &other.kind) {
            (AnswerKind::Label { label: one, .. }, AnswerKind::Label { label: other, .. })
            | (AnswerKind::Text(one), AnswerKind::Text(other)) => assert_eq!(one, other),
            (AnswerKind::Labels { labels: one, .. }, AnswerKind::Labels { labels: other, .. }) => {
                assert_eq!(one, other);
            }
            (AnswerKind::Scores(one), AnswerKind::Scores(other)) => assert_eq!(one.len(), other.len()),
            (AnswerKind::Tags { tags: one, .. }, AnswerKind::Tags { tags: other, .. }) => {
                assert_eq!(one, other)
            }
            kinds @ (
                AnswerKind::Label { .. }
                | AnswerKind::Labels { .. }
                | AnswerKind::Scores(_)
                | AnswerKind::Tags { .. }
                | AnswerKind::Text(_),
                _,
            ) => panic!("{kinds:?}"),
        }
        assert!(!one.logits.is_empty() && one.logits.len() == other.logits.len());
        for (a, b) in one.logits.iter().zip(&other.logits) {
            worst = worst.max((a - b).abs());
        }
    }
    worst
}

/// Writes a checkpoint with every trained tensor moved away from its start.
fn train(layout: &Layout, trial: &Trial, model: &ModelSpec, task: &Task) {
    let _alone = alone_with_random_numbers();
    let slots = std::slice::from_ref(trial);
    let head = task.objective.head();
    let base = Base::of(model, task, &trial.configuration.method).unwrap();
    let start = build::start(&model.architecture, head, slots, &base, Device::Cpu).unwrap();
    tch::manual_seed(7);
    let moved = |tensor: &Tensor| tensor + tensor.randn_like() * 0.3;
    let values = start.params.slot(0).iter().map(|(name, tensor)| (name.clone(), moved(tensor))).collect();
    save(layout, trial, &values);
}

/// Writes a finished trial's weights.
pub(crate) fn save(layout: &Layout, trial: &Trial, values: &BTreeMap<String, Tensor>) {
    let state = State {
        trial: trial.id,
        step: 1,
        cost: Cost::default(),
        best: None,
        latest: None,
        partly: None,
        ema_loss: None,
        window: Window::default(),
    };
    checkpoint::save(&layout.last_checkpoint(trial.id), &state, values).unwrap();
}

fn finished(trial: Trial, architecture: &Architecture, task: &Task) -> TrialRecord {
    let params = count(architecture, task.objective.head(), &trial.configuration.method);
    let scores = Scores::of("classification")
        .with(Metric::Loss, 0.5)
        .with(Metric::Accuracy, 0.75)
        .with(Metric::MacroPrecision, 0.7)
        .with(Metric::MacroRecall, 0.65)
        .with(Metric::MacroF1, 0.6);
    let result = TrialResult {
        trial: trial.id,
        validation: Some(scores),
        kept_step: 1,
        test: None,
        steps: 1,
        trainable_params: params.trainable,
        total_params: params.total,
        cost: Cost::default(),
        class_rows: None,
        baseline: None,
    };
    let (state, metrics) = (TrialState::Done, Vec::new());
    TrialRecord { trial, params, state, attempts: 1, pause: None, metrics, result: Some(result) }
}

fn data() -> DataFile {
    DataFile {
        path: "train.csv".into(),
        content: ContentHash::of_bytes(b"rows"),
        rows: 9,
        rows_read: None,
        text_bytes: 90,
    }
}

fn training() -> Training {
    Training {
        learning_rate: 1e-3,
        epochs: 1.0,
        batch_size: 4,
        accumulation: 1,
        schedule: Schedule::Linear,
        warmup: 0.0,
        weight_decay: 0.0,
        clip_norm: None,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        evaluate_every: None,
        keep: Keep::Last,
        seed: 1,
        ..Training::default()
    }
}
