//! What training promises, whatever interrupts it and whoever trains beside it: on a tiny model, in
//! this process.
//!
//! libtorch has one random generator per process, which initialisation and dropout seed again before
//! every draw. Two trainings at once would draw from each other's seed, as no two do in real life:
//! so each test holds [`ALONE`].
#![cfg(feature = "torch")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lorasweep::arch::{Architecture, BertConfig, Head, ModelSpec, Weights};
use lorasweep::content::ContentHash;
use lorasweep::data::store::{PartBuilder, TokenStore};
use lorasweep::job::{ChildLine, Device, Pack, Placement};
use lorasweep::model::build::{self, Base};
use lorasweep::model::{Model, params, weights};
use lorasweep::outcome::{Failure, MetricLine, Scores, TrialResult};
use lorasweep::run::layout::Layout;
use lorasweep::task::{DataFile, Part, Task};
use lorasweep::train::evaluate::evaluate;
use lorasweep::train::{self, Context, Ended, checkpoint};
use lorasweep::trial::{Configuration, Keep, Lora, Method, Schedule, Splitting, Training, Trial};
use tch::Tensor;
use tempfile::TempDir;

static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Packed and solo trials run different kernels, which add in another order. Measured over the
/// trials of this file: weights at most 1e-6 apart, losses 3e-8.
const WEIGHTS_APART: f64 = 1e-5;
const LOSSES_APART: f64 = 1e-6;

const TEST_ROWS: u32 = 12;

fn task() -> Task {
    let content = ContentHash::of_bytes(b"rows");
    let file = |rows| DataFile { path: PathBuf::from("rows.csv"), content, rows, text_bytes: 0 };
    Task {
        test: Some(file(TEST_ROWS as usize)),
        max_length: 24,
        sample_seed: 1,
        ..Task::classification(file(40), "text", "label", &["a", "b", "c"])
    }
}

fn model() -> ModelSpec {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert");
    let config: BertConfig =
        serde_json::from_slice(&std::fs::read(path.join("config.json")).unwrap()).unwrap();
    let config = BertConfig { hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1, ..config };
    let content = ContentHash::of_bytes(b"tiny");
    ModelSpec {
        name: "tiny".to_owned(),
        weights: Weights::Folder { path: path.clone(), content },
        tokenizer: path,
        tokenizer_content: content,
        architecture: Architecture::Bert(config),
    }
}

/// 30 rows train: 8 batches, 4 steps an epoch, 10 steps in all.
fn training() -> Training {
    Training {
        learning_rate: 3e-3,
        epochs: 2.5,
        batch_size: 4,
        accumulation: 2,
        schedule: Schedule::Cosine,
        warmup: 0.2,
        weight_decay: 0.01,
        clip_norm: Some(1.0),
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        evaluate_every: Some(3),
        keep: Keep::Last,
        seed: 1,
    }
}

fn lora(rank: usize, alpha: f64, dropout: f64) -> Method {
    Method::Lora(Lora { dropout, ..Lora::new(&["query", "value"], rank, alpha) })
}

fn trial(method: Method, training: Training) -> Trial {
    let configuration = Configuration::new(&task(), &model(), method, training);
    Trial::new(&Arc::new(configuration), Splitting::KFold { k: 4, stratified: true, seed: 1 }, 0)
}

/// Three adapters that share nothing but the batch shape, and are done after 4, 10 and 8 steps.
fn unlike_adapters() -> Vec<Trial> {
    vec![
        trial(lora(2, 4.0, 0.0), Training { learning_rate: 1e-3, epochs: 1.0, seed: 7, ..training() }),
        trial(lora(8, 32.0, 0.3), Training { weight_decay: 0.0, ..training() }),
        trial(
            lora(4, 8.0, 0.1),
            Training { learning_rate: 1e-2, epochs: 2.0, clip_norm: None, seed: 9, ..training() },
        ),
    ]
}

/// A results folder with the token store: a class's rows have more of its own tokens than of others.
struct Bench {
    _folder: TempDir,
    layout: Layout,
    store: ContentHash,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path(), "laws");
        let store = ContentHash::of_bytes(b"store");
        let path = Layout::store(layout.stores(), store);
        std::fs::create_dir_all(&path).unwrap();
        for (part, rows) in [(Part::Train, 40), (Part::Test, TEST_ROWS)] {
            let mut builder = PartBuilder::default();
            for row in 0..rows {
                let (class, length) = (row % 3, 4 + row * 7 % 13);
                let token = |i: u32| 3 + (class * 19 + (row + i) * (i % 3) * 5 + i) % 57;
                builder.push(&(0..length).map(token).collect::<Vec<_>>(), class);
            }
            builder.write(&path, part).unwrap();
        }
        Self { _folder: folder, layout, store }
    }

    /// One attempt at a pack, asked to stop as soon as it tells of a step where `stop` says so.
    fn attempt(&self, slots: &[Trial], stop_at_once: bool) -> (Result<Ended, Failure>, Vec<ChildLine>) {
        let (stop, lines) = (AtomicBool::new(false), RefCell::new(Vec::new()));
        let say = |line: ChildLine| {
            stop.fetch_or(stop_at_once, Ordering::Relaxed);
            lines.borrow_mut().push(line);
        };
        for trial in slots {
            std::fs::create_dir_all(self.layout.trial(trial.id)).unwrap();
        }
        let pack = Pack { task: task(), model: model(), store: self.store, slots: slots.to_vec() };
        let placement = Placement { device: Device::Cpu { slot: 0 }, cores: vec![0] };
        let context = Context { layout: self.layout.clone(), placement, stop: &stop, say: &say };
        (train::run(&pack, &context), lines.into_inner())
    }

    /// Trains without a disturbance.
    fn train(&self, slots: &[Trial]) {
        assert_eq!(self.attempt(slots, false).0, Ok(Ended::Finished));
    }

    /// Trains, stopped after every step and continued. Returns the number of attempts.
    fn train_with_stops(&self, slots: &[Trial]) -> usize {
        (1..100).find(|_| self.attempt(slots, true).0.unwrap() == Ended::Finished).unwrap()
    }

    fn result(&self, trial: &Trial) -> TrialResult {
        serde_json::from_slice(&std::fs::read(self.layout.result(trial.id)).unwrap()).unwrap()
    }

    fn last(&self, trial: &Trial) -> BTreeMap<String, Tensor> {
        checkpoint::load(&self.layout.last_checkpoint(trial.id)).unwrap().1
    }

    fn best(&self, trial: &Trial) -> BTreeMap<String, Tensor> {
        checkpoint::load(&self.layout.best_checkpoint(trial.id)).unwrap().1
    }

    /// The trial's metric lines, the speed left out.
    fn metrics(&self, trial: &Trial) -> Vec<MetricLine> {
        let text = std::fs::read_to_string(self.layout.metrics(trial.id)).unwrap();
        let mut lines: Vec<MetricLine> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for line in &mut lines {
            match line {
                MetricLine::Train { rows_per_s, .. } => *rows_per_s = 0.0,
                MetricLine::Validation { .. } => {}
            }
        }
        lines
    }
}

/// Everything that training decides is the same, to the last bit.
#[track_caller]
fn assert_identical(ours: &Bench, theirs: &Bench, trial: &Trial) {
    let decided = |bench: &Bench| {
        let r = bench.result(trial);
        let cost = [r.cost.train_rows, r.cost.train_tokens, r.cost.evaluated_rows];
        (r.validation, r.kept_step, r.test, r.steps, [r.trainable_params, r.total_params], cost)
    };
    assert_eq!(decided(ours), decided(theirs));
    assert_eq!(ours.metrics(trial), theirs.metrics(trial));
    assert_eq!(ours.last(trial), theirs.last(trial));
    assert_eq!(ours.best(trial), theirs.best(trial));
}

/// Everything that training decides is the same but for rounding.
#[track_caller]
fn assert_close(ours: &Bench, theirs: &Bench, trial: &Trial) {
    let (a, b) = (ours.result(trial), theirs.result(trial));
    assert_eq!((a.kept_step, a.steps, a.trainable_params), (b.kept_step, b.steps, b.trainable_params));
    let losses = [a.validation, a.test.unwrap()].into_iter().zip([b.validation, b.test.unwrap()]);
    let loss = losses.map(|(a, b)| (a.loss - b.loss).abs()).fold(0.0, f64::max);
    let (a, b) = (ours.last(trial), theirs.last(trial));
    assert!(a.keys().eq(b.keys()));
    // The gradient of a key's bias is 0 but for rounding, which AdamW scales up to whole steps.
    let apart = |name: &String| (&a[name] - &b[name]).abs().max().double_value(&[]);
    let weight = a.keys().filter(|name| !name.ends_with("self.key.bias")).map(apart).fold(0.0, f64::max);
    assert!(weight <= WEIGHTS_APART && loss <= LOSSES_APART, "weights {weight:.1e} apart, losses {loss:.1e}");
}

#[test]
fn a_trial_alone_gives_the_same_bits_again() {
    let _alone = alone();
    for method in [lora(4, 8.0, 0.2), Method::Full, Method::Scratch] {
        let (once, again, trial) = (Bench::new(), Bench::new(), trial(method, training()));
        once.train(std::slice::from_ref(&trial));
        again.train(std::slice::from_ref(&trial));
        assert_identical(&once, &again, &trial);
    }
}

#[test]
fn a_trial_stopped_after_every_step_gives_the_same_bits() {
    let _alone = alone();
    for (method, keep) in
        [(lora(4, 8.0, 0.2), Keep::Last), (Method::Full, Keep::Last), (lora(2, 8.0, 0.0), Keep::Best)]
    {
        let (whole, torn) = (Bench::new(), Bench::new());
        let trial = trial(method, Training { keep, ..training() });
        whole.train(std::slice::from_ref(&trial));
        assert_eq!(torn.train_with_stops(std::slice::from_ref(&trial)), 10, "one attempt a step");
        assert_identical(&torn, &whole, &trial);
    }
}

#[test]
fn a_pack_stopped_after_every_step_gives_the_same_bits() {
    let _alone = alone();
    let (whole, torn, trials) = (Bench::new(), Bench::new(), unlike_adapters());
    whole.train(&trials);
    let mut left = trials.clone();
    // Whoever continues a pack leaves out the trials that have their result.
    while !left.is_empty() {
        let _ = torn.attempt(&left, true).0.unwrap();
        left.retain(|trial| !torn.layout.result(trial.id).exists());
    }
    for trial in &trials {
        assert_identical(&torn, &whole, trial);
    }
}

#[test]
fn a_trial_in_a_pack_learns_what_it_learns_alone() {
    let _alone = alone();
    let full = |learning_rate, epochs, seed| {
        trial(Method::Full, Training { learning_rate, epochs, seed, ..training() })
    };
    let unlike_models = vec![full(1e-4, 2.0, 3), full(1e-3, 0.5, 4), full(3e-4, 1.5, 3)];
    for trials in [unlike_adapters(), unlike_models] {
        let packed = Bench::new();
        packed.train(&trials);
        for trial in &trials {
            let solo = Bench::new();
            solo.train(std::slice::from_ref(trial));
            assert_close(&packed, &solo, trial);
        }
    }
}

#[test]
fn a_slot_that_diverges_leaves_and_the_others_do_not_notice() {
    let _alone = alone();
    let wild = |epochs| {
        trial(lora(4, 8.0, 0.1), Training { learning_rate: 1e30, warmup: 0.0, epochs, ..training() })
    };
    let (packed, undisturbed) = (Bench::new(), Bench::new());
    let mut trials = unlike_adapters();
    undisturbed.train(&trials);
    // The second has one step only: its loss was still sound, its weights are not.
    let diverging = [(wild(2.0), 2), (wild(0.1), 1)];
    trials.insert(0, diverging[0].0.clone());
    trials.insert(2, diverging[1].0.clone());
    let (ended, lines) = packed.attempt(&trials, false);
    assert_eq!(ended, Ok(Ended::Finished));
    for (trial, step) in &diverging {
        let failure = Failure::Diverged { step: *step };
        let written = std::fs::read(packed.layout.failure(trial.id)).unwrap();
        assert_eq!(serde_json::from_slice::<Failure>(&written).unwrap(), failure);
        assert!(lines.contains(&ChildLine::Failed { trial: trial.id, failure }));
        assert!(!packed.layout.result(trial.id).exists());
    }
    for trial in unlike_adapters() {
        assert_close(&packed, &undisturbed, &trial);
    }
    let alone = Bench::new().attempt(&[wild(2.0)], false).0;
    assert_eq!(alone, Err(Failure::Diverged { step: 2 }));
}

#[test]
fn a_damaged_checkpoint_costs_time_and_changes_nothing() {
    type Damage = fn(&mut Vec<u8>);
    let _alone = alone();
    let (whole, trial) = (Bench::new(), trial(lora(4, 8.0, 0.2), training()));
    whole.train(std::slice::from_ref(&trial));
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 5);
    let flip_weight = |bytes: &mut Vec<u8>| *bytes.iter_mut().nth_back(9).unwrap() ^= 4;
    let flip_header = |bytes: &mut Vec<u8>| bytes[40] ^= 1;
    let damages: [Damage; 3] = [cut, flip_weight, flip_header];
    for (n, damage) in damages.into_iter().enumerate() {
        let torn = Bench::new();
        for _ in 0..4 {
            assert_eq!(torn.attempt(std::slice::from_ref(&trial), true).0, Ok(Ended::Stopped));
        }
        // The best weights are needed as much as the last ones.
        for path in
            [torn.layout.last_checkpoint(trial.id), torn.layout.best_checkpoint(trial.id)].iter().skip(n % 2)
        {
            let mut bytes = std::fs::read(path).unwrap();
            damage(&mut bytes);
            std::fs::write(path, bytes).unwrap();
        }
        let (ended, lines) = torn.attempt(std::slice::from_ref(&trial), false);
        assert_eq!(ended, Ok(Ended::Finished));
        let first = lines.iter().find_map(|line| match line {
            ChildLine::Progress(progress) => Some(progress.step),
            ChildLine::Heartbeat | ChildLine::Finished { .. } | ChildLine::Failed { .. } => None,
        });
        assert_eq!(first, Some(1), "it starts over");
        assert_identical(&torn, &whole, &trial);
    }
}

/// The test scores of a checkpoint's weights on the base model as it is on disk.
fn test_again(bench: &Bench, trial: &Trial, values: &BTreeMap<String, Tensor>) -> Scores {
    let model = model();
    let Weights::Folder { path, .. } = &model.weights else { panic!("the fixture has weights") };
    let base = weights::read(path).unwrap();
    let (head, slots) = (Head::Classifier { labels: 3 }, std::slice::from_ref(trial));
    let start = build::start(&model.architecture, head, slots, Base::Read(&base), tch::Device::Cpu);
    let start = start.unwrap();
    params::fill(&start.params.slot(0), values).unwrap();
    let classifier = Model::new(&model.architecture, head, &start.params, start.adapters.as_ref());
    let store = TokenStore::open(&Layout::store(bench.layout.stores(), bench.store)).unwrap();
    let rows: Vec<u32> = (0..TEST_ROWS).collect();
    evaluate(&classifier, store.part(Part::Test).unwrap(), &rows, (3, 0), tch::Device::Cpu)
}

#[test]
fn adapters_on_the_untouched_base_are_what_was_tested() {
    let _alone = alone();
    let (bench, trials) = (Bench::new(), unlike_adapters());
    bench.train(&trials);
    let solo = trial(lora(4, 8.0, 0.2), training());
    bench.train(std::slice::from_ref(&solo));
    for trial in trials.iter().chain([&solo]) {
        let last = bench.last(trial);
        assert!(
            last.keys().all(|name| name.contains(".lora_") || name.starts_with("classifier.")),
            "{last:?}"
        );
        let (tested, again) = (bench.result(trial).test.unwrap(), test_again(&bench, trial, &last));
        assert_eq!(tested.accuracy, again.accuracy);
        assert!((tested.loss - again.loss).abs() <= LOSSES_APART);
    }
}

#[test]
fn the_best_weights_are_tested_where_the_best_are_kept() {
    let _alone = alone();
    // So high a learning rate that the validation accuracy goes down again.
    let wild = Training {
        learning_rate: 0.05,
        evaluate_every: Some(1),
        epochs: 4.0,
        keep: Keep::Best,
        ..training()
    };
    let (bench, trial) = (Bench::new(), trial(lora(8, 32.0, 0.0), wild));
    bench.train(std::slice::from_ref(&trial));
    let result = bench.result(&trial);
    assert!(result.kept_step < result.steps, "the last weights are the best, which tests nothing");
    let validations = bench.metrics(&trial).into_iter().filter_map(|line| match line {
        MetricLine::Validation { step, scores, .. } => Some((step, scores)),
        MetricLine::Train { .. } => None,
    });
    let validations: Vec<(u64, Scores)> = validations.collect();
    let best = validations.iter().map(|(_, scores)| scores.accuracy).fold(0.0, f64::max);
    let first = validations.iter().find(|(_, scores)| scores.accuracy == best).unwrap();
    assert_eq!((result.kept_step, result.validation), *first);
    assert_eq!(test_again(&bench, &trial, &bench.best(&trial)), result.test.unwrap());
    assert_ne!(test_again(&bench, &trial, &bench.last(&trial)), result.test.unwrap());
}
