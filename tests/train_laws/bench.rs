//! A folder in which tiny trials train, and what is compared of what they leave there.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lorasweep::data::store::{PartBuilder, TokenStore};
use lorasweep::disk::layout::Layout;
use lorasweep::families::ModelSpec;
use lorasweep::job::{ChildLine, Pack, ToChild};
use lorasweep::model::build::{self, Base};
use lorasweep::model::{Model, params};
use lorasweep::record::rows;
use lorasweep::tasks::{ClassWeights, Objective};
use lorasweep::train::evaluate::{Evaluator, Judged};
use lorasweep::train::{self, Context, Ended, ForwardMode, Warm, checkpoint};
use lorasweep::values::{
    ContentHash, Device, Failure, JudgedRows, MetricLine, Part, Placement, Scores, Trial, TrialId,
    TrialResult,
};
use tch::Tensor;
use tempfile::TempDir;

use crate::subject::{Subject, TEST_ROWS, TRAIN_ROWS, words};

static ALONE: Mutex<()> = Mutex::new(());

pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stacked and solo trials run different kernels, which add in another order. Measured over the
/// trials of these tests: on an AMD EPYC with AVX2 weights at most 1e-6 apart, losses 3e-8; on an Intel
/// Xeon with AVX-512, whose kernels block their sums otherwise, weights 1.0e-5, losses 1.5e-8.
pub(crate) const WEIGHTS_APART: f64 = 3e-5;
pub(crate) const LOSSES_APART: f64 = 1e-6;

/// A results folder with the token store of a subject.
pub(crate) struct Bench {
    _folder: TempDir,
    pub(crate) subject: Subject,
    pub(crate) layout: Layout,
    forward_mode: ForwardMode,
    /// Most rows of a trial at a time.
    pub(crate) micro_rows: Option<usize>,
    pub(crate) checkpoint_every: Option<Duration>,
    /// Where trials pause, as shares of their steps.
    pub(crate) until: BTreeMap<TrialId, f64>,
    pub(crate) device: Device,
    pub(crate) model: ModelSpec,
    /// What rows weigh by their class, where these are classified.
    pub(crate) class_weights: Option<ClassWeights>,
    store: ContentHash,
}

impl Bench {
    /// Where packs train as they do on a CPU.
    pub(crate) fn new(subject: Subject) -> Self {
        Self::with(subject, ForwardMode::InTurn)
    }

    pub(crate) fn with(subject: Subject, forward_mode: ForwardMode) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path(), "laws");
        let store = ContentHash::of_json(&subject.task());
        let path = Layout::store(layout.stores(), store);
        std::fs::create_dir_all(&path).unwrap();
        for (part, rows) in [(Part::Train, TRAIN_ROWS), (Part::Test, TEST_ROWS)] {
            let built: PartBuilder = (0..rows).map(|row| subject.row(row)).collect();
            built.write(&path, part).unwrap();
        }
        let tokenizer = folder.path().join("tokenizer.json");
        std::fs::write(&tokenizer, words()).unwrap();
        Self {
            subject,
            layout,
            forward_mode,
            micro_rows: None,
            checkpoint_every: None,
            until: BTreeMap::new(),
            device: Device::Cpu { slot: 0 },
            model: subject.model(&tokenizer),
            class_weights: None,
            store,
            _folder: folder,
        }
    }

    pub(crate) fn store(&self) -> TokenStore {
        TokenStore::open(&Layout::store(self.layout.stores(), self.store)).unwrap()
    }

    /// One attempt at a pack, asked to stop as soon as it tells of a step where `stop` says so.
    pub(crate) fn attempt(
        &self,
        slots: &[Trial],
        stop_at_once: bool,
    ) -> (Result<Ended, Failure>, Vec<ChildLine>) {
        self.attempt_with(slots, &Vec::new, &|_| stop_at_once, &mut Warm::default())
    }

    /// Trains a pack that these join, one after the other: the first after its first step, the others
    /// when a trial is done. Stopped when a line says so.
    pub(crate) fn attempt_joined(
        &self,
        slots: &[Trial],
        joiners: &[Trial],
        stops: &dyn Fn(&ChildLine) -> bool,
    ) -> (Result<Ended, Failure>, Vec<ChildLine>) {
        self.attempt_warm(slots, joiners, stops, &mut Warm::default())
    }

    /// The same, after other packs in the same process.
    pub(crate) fn attempt_warm(
        &self,
        slots: &[Trial],
        joiners: &[Trial],
        stops: &dyn Fn(&ChildLine) -> bool,
        warm: &mut Warm,
    ) -> (Result<Ended, Failure>, Vec<ChildLine>) {
        let sent = RefCell::new(Vec::new());
        let joiners = RefCell::new(joiners.iter());
        let begun = Cell::new(false);
        let on_line = |line: &ChildLine| {
            let first = matches!(line, ChildLine::Progress(_)) && !begun.replace(true);
            if (first || matches!(line, ChildLine::Finished { .. }))
                && let Some(trial) = joiners.borrow_mut().next()
            {
                std::fs::create_dir_all(self.layout.trial(trial.id)).unwrap();
                let until = self.until.get(&trial.id).copied();
                sent.borrow_mut().push(ToChild::Join { trial: Box::new(trial.clone()), until });
            }
            stops(line)
        };
        self.attempt_with(slots, &|| sent.take(), &on_line, warm)
    }

    /// The same, with these messages before each step.
    pub(crate) fn attempt_with(
        &self,
        slots: &[Trial],
        messages: &dyn Fn() -> Vec<ToChild>,
        stops: &dyn Fn(&ChildLine) -> bool,
        warm: &mut Warm,
    ) -> (Result<Ended, Failure>, Vec<ChildLine>) {
        let (stop, lines) = (AtomicBool::new(false), RefCell::new(Vec::new()));
        let say = |line: ChildLine| {
            if line == ChildLine::Heartbeat {
                return;
            }
            stop.fetch_or(stops(&line), Ordering::Relaxed);
            lines.borrow_mut().push(line);
        };
        let (pack, placement) = (self.pack(slots), Placement { device: self.device, cores: vec![0] });
        let (layout, forward_mode, micro_rows) = (self.layout.clone(), self.forward_mode, self.micro_rows);
        let checkpoint_every = self.checkpoint_every;
        let (stop, say) = (&stop, &say);
        let context =
            Context { layout, placement, forward_mode, micro_rows, checkpoint_every, messages, stop, say };
        (train::run(&pack, &context, warm), lines.into_inner())
    }

    /// A pack of these trials, whose folders are there.
    pub(crate) fn pack(&self, slots: &[Trial]) -> Pack {
        for trial in slots {
            std::fs::create_dir_all(self.layout.trial(trial.id)).unwrap();
        }
        let mut task = self.subject.task();
        if let Objective::Classification(kind) = &mut task.objective {
            kind.class_weights.clone_from(&self.class_weights);
        }
        Pack {
            task: Arc::new(task),
            model: Arc::new(self.model.clone()),
            store: self.store,
            slots: slots.to_vec(),
            until: self.until.clone(),
        }
    }

    /// Trains without a disturbance.
    pub(crate) fn train(&self, slots: &[Trial]) {
        assert_eq!(self.attempt(slots, false).0, Ok(Ended::Finished));
    }

    /// Trains one trial, stopped after every step and continued. Returns the number of attempts.
    pub(crate) fn train_with_stops(&self, trial: &Trial) -> usize {
        let finished =
            |_: &usize| self.attempt(std::slice::from_ref(trial), true).0.unwrap() == Ended::Finished;
        (1..100).find(finished).unwrap()
    }

    pub(crate) fn result(&self, trial: &Trial) -> TrialResult {
        serde_json::from_slice(&std::fs::read(self.layout.result(trial.id)).unwrap()).unwrap()
    }

    /// What it gave for each validation row and each test row.
    pub(crate) fn rows(&self, trial: &Trial) -> [JudgedRows; 2] {
        let id = trial.id;
        [self.layout.validation_rows(id), self.layout.test_rows(id)]
            .map(|path| rows::read(&path, id).unwrap().unwrap())
    }

    pub(crate) fn last(&self, trial: &Trial) -> BTreeMap<String, Tensor> {
        checkpoint::load(&self.layout.last_checkpoint(trial.id)).unwrap().1
    }

    pub(crate) fn best(&self, trial: &Trial) -> BTreeMap<String, Tensor> {
        checkpoint::load(&self.layout.best_checkpoint(trial.id)).unwrap().1
    }

    /// The same, none where it has not begun.
    pub(crate) fn metrics_if_any(&self, trial: &Trial) -> Vec<MetricLine> {
        if self.layout.metrics(trial.id).exists() { self.metrics(trial) } else { Vec::new() }
    }

    /// The trial's metric lines. Speeds are not alike; tokens per row, which follow from them, are.
    pub(crate) fn metrics(&self, trial: &Trial) -> Vec<MetricLine> {
        let text = std::fs::read_to_string(self.layout.metrics(trial.id)).unwrap();
        let mut lines: Vec<MetricLine> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for line in &mut lines {
            match line {
                MetricLine::Train { rows_per_s, tokens_per_s, .. } => {
                    *tokens_per_s = (*tokens_per_s / *rows_per_s * 1e9).round();
                    *rows_per_s = 0.0;
                }
                MetricLine::Validation { .. } => {}
            }
        }
        lines
    }

    /// The model of a trial with a checkpoint's weights on the base as it is on disk.
    pub(crate) fn model(&self, trial: &Trial, values: &BTreeMap<String, Tensor>) -> Model {
        let spec = &self.model;
        let (task, slots) = (self.subject.task(), std::slice::from_ref(trial));
        let (head, base) =
            (task.objective.head(), Base::of(spec, &task, &trial.configuration.method).unwrap());
        let start = build::start(&spec.architecture, head, slots, &base, tch::Device::Cpu);
        let start = start.unwrap();
        params::fill(&start.params.slot(0), values).unwrap();
        Model::new(&spec.architecture, head, &start.params, start.adapters.as_ref())
    }

    /// The test scores of a checkpoint's weights on the base model as it is on disk.
    pub(crate) fn test_again(&self, trial: &Trial, values: &BTreeMap<String, Tensor>) -> Scores {
        let task = self.subject.task();
        let evaluator = Evaluator::new(&task, &self.model, tch::Device::Cpu, &mut Warm::default()).unwrap();
        let rows: Vec<u32> = (0..TEST_ROWS).collect();
        let store = self.store();
        let (model, part) = (self.model(trial, values), store.part(Part::Test).unwrap());
        let validation = self.result(trial).validation;
        let (validated, each_batch) = ([validation.as_ref()], || ());
        let judged = Judged { part, rows: &rows, validated: &validated, each_batch: &each_batch };
        let verdicts = evaluator.judge(&[&model], judged);
        verdicts.unwrap().swap_remove(0).scores
    }
}

/// Everything that training decides is the same, to the last bit.
#[track_caller]
pub(crate) fn assert_identical(ours: &Bench, theirs: &Bench, trial: &Trial) {
    let decided = |bench: &Bench| {
        let r = bench.result(trial);
        let cost = [r.cost.train_rows, r.cost.train_tokens, r.cost.evaluated_rows];
        (r.validation, r.kept_step, r.test, r.steps, [r.trainable_params, r.total_params], cost)
    };
    assert_eq!(decided(ours), decided(theirs));
    assert_eq!(ours.metrics(trial), theirs.metrics(trial));
    assert_eq!(ours.last(trial), theirs.last(trial));
    if trial.splitting.validates() {
        assert_eq!(ours.best(trial), theirs.best(trial));
    }
    // Where no row is held out, there are none that were validated.
    let rows = |bench: &Bench| {
        [bench.layout.validation_rows(trial.id), bench.layout.test_rows(trial.id)]
            .map(|path| rows::read(&path, trial.id).unwrap())
    };
    assert_eq!(rows(ours), rows(theirs));
    let files = |bench: &Bench| {
        let files = std::fs::read_dir(bench.layout.trial(trial.id)).unwrap();
        files.map(|file| file.unwrap().file_name()).collect::<BTreeSet<_>>()
    };
    assert_eq!(files(ours), files(theirs));
}

/// Everything that training decides is the same but for rounding.
#[track_caller]
pub(crate) fn assert_close(ours: &Bench, theirs: &Bench, trial: &Trial) {
    let [weight, loss] = apart(ours, theirs, trial);
    assert!(weight <= WEIGHTS_APART && loss <= LOSSES_APART, "weights {weight:.1e} apart, losses {loss:.1e}");
}

/// How far trained weights and losses of a trial are apart; all that is counted is the same.
#[track_caller]
pub(crate) fn apart(ours: &Bench, theirs: &Bench, trial: &Trial) -> [f64; 2] {
    let (a, b) = (ours.result(trial), theirs.result(trial));
    assert_eq!((a.kept_step, a.steps, a.trainable_params), (b.kept_step, b.steps, b.trainable_params));
    let losses = |one: TrialResult| [one.validation, one.test].map(|scores| scores.unwrap().loss().unwrap());
    let loss = losses(a).into_iter().zip(losses(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let which = |rows: JudgedRows| -> Vec<[u32; 2]> {
        rows.rows.iter().map(|row| [row.row, row.predictions()]).collect()
    };
    assert_eq!(ours.rows(trial).map(which), theirs.rows(trial).map(which));
    let (a, b) = (ours.last(trial), theirs.last(trial));
    assert!(a.keys().eq(b.keys()));
    // The gradient of a key's bias is 0 but for rounding, which AdamW scales up to whole steps.
    let is_key = |name: &String| name.ends_with("self.key.bias") || name.ends_with("c_attn.bias");
    let apart = |name: &String| (&a[name] - &b[name]).abs().max().double_value(&[]);
    let weight = a.keys().filter(|name| !is_key(name)).map(apart).fold(0.0, f64::max);
    [weight, loss]
}
