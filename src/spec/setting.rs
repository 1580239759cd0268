//! Owns the axes: their names, the methods they apply to, and the typed setting that each of their
//! values is. Adding an axis means one line in each match here and one in the table of keys.

use crate::values::{Keep, Precision, Schedule, Training};

use super::source::At;
use super::value::Value;

/// One thing that can vary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Axis {
    Method,
    Task,
    Model,
    Rank,
    Alpha,
    Dropout,
    Targets,
    Rslora,
    ModulesToSave,
    LearningRate,
    Epochs,
    BatchSize,
    Accumulation,
    Schedule,
    Warmup,
    WeightDecay,
    ClipNorm,
    Beta1,
    Beta2,
    Epsilon,
    EvaluateEvery,
    Keep,
    Seed,
    Precision,
}

/// How a model is trained, without the method's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum MethodName {
    Lora,
    Full,
    Scratch,
    Base,
}

/// One value of an axis.
#[derive(Clone, Debug)]
pub(super) enum Setting {
    Method(MethodName),
    Task(At<String>),
    Model(At<String>),
    Rank(usize),
    Alpha(f64),
    Dropout(f64),
    Targets(Vec<At<String>>),
    Rslora(bool),
    ModulesToSave(Vec<At<String>>),
    LearningRate(f64),
    Epochs(f64),
    BatchSize(usize),
    Accumulation(usize),
    Schedule(Schedule),
    Warmup(f64),
    WeightDecay(f64),
    ClipNorm(Option<f64>),
    Beta1(f64),
    Beta2(f64),
    Epsilon(f64),
    EvaluateEvery(Option<usize>),
    Keep(Keep),
    Seed(u64),
    Precision(Precision),
}

/// One point of the grid: every setting, from block, `training` or default.
#[derive(Clone, Debug)]
pub(super) struct Point<'a> {
    pub(super) method: Option<MethodName>,
    pub(super) task: Option<&'a At<String>>,
    pub(super) model: Option<&'a At<String>>,
    pub(super) rank: usize,
    pub(super) alpha: f64,
    pub(super) dropout: f64,
    /// `None` for the architecture's default.
    pub(super) targets: Option<&'a [At<String>]>,
    pub(super) rslora: bool,
    /// `None` for the task's head.
    pub(super) modules_to_save: Option<&'a [At<String>]>,
    /// `None` where neither the block nor `training` gives it.
    pub(super) learning_rate: Option<f64>,
    /// The rest of the training loop's settings; its learning rate means nothing yet.
    pub(super) training: Training,
}

impl Axis {
    /// Its key in the sweep file.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Task => "task",
            Self::Model => "model",
            Self::Rank => "rank",
            Self::Alpha => "alpha",
            Self::Dropout => "dropout",
            Self::Targets => "targets",
            Self::Rslora => "rslora",
            Self::ModulesToSave => "modules_to_save",
            Self::LearningRate => "learning_rate",
            Self::Epochs => "epochs",
            Self::BatchSize => "batch_size",
            Self::Accumulation => "accumulation",
            Self::Schedule => "schedule",
            Self::Warmup => "warmup",
            Self::WeightDecay => "weight_decay",
            Self::ClipNorm => "clip_norm",
            Self::Beta1 => "beta1",
            Self::Beta2 => "beta2",
            Self::Epsilon => "epsilon",
            Self::EvaluateEvery => "evaluate_every",
            Self::Keep => "keep",
            Self::Seed => "seed",
            Self::Precision => "precision",
        }
    }

    /// Whether it changes anything for a method.
    pub(super) fn applies_to(self, method: MethodName) -> bool {
        match self {
            Self::Rank | Self::Alpha | Self::Dropout | Self::Targets | Self::Rslora | Self::ModulesToSave => {
                method == MethodName::Lora
            }
            Self::LearningRate
            | Self::Epochs
            | Self::Accumulation
            | Self::Schedule
            | Self::Warmup
            | Self::WeightDecay
            | Self::ClipNorm
            | Self::Beta1
            | Self::Beta2
            | Self::Epsilon
            | Self::EvaluateEvery
            | Self::Keep => method != MethodName::Base,
            Self::Method | Self::Task | Self::Model | Self::BatchSize | Self::Seed | Self::Precision => true,
        }
    }
}

impl MethodName {
    /// The word in the sweep file.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lora => "lora",
            Self::Full => "full",
            Self::Scratch => "scratch",
            Self::Base => "base",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Lora, Self::Full, Self::Scratch, Self::Base].into_iter().find(|method| method.name() == name)
    }
}

impl Setting {
    /// The setting that a checked value of an axis is. `None` where the table of keys gives the axis
    /// another type: a test sees to it that it does not.
    pub(super) fn from_value(axis: Axis, at: At<Value>) -> Option<Self> {
        let At { value, place } = at;
        let or_null = || value.is_null().then_some(None);
        Some(match axis {
            Axis::Method => Self::Method(MethodName::from_name(&value.into_text()?)?),
            Axis::Task => Self::Task(At { value: value.into_text()?, place }),
            Axis::Model => Self::Model(At { value: value.into_text()?, place }),
            Axis::Rank => Self::Rank(value.size()?),
            Axis::Alpha => Self::Alpha(value.number()?),
            Axis::Dropout => Self::Dropout(value.number()?),
            Axis::Targets => Self::Targets(value.into_texts()?),
            Axis::Rslora => Self::Rslora(value.flag()?),
            Axis::ModulesToSave => Self::ModulesToSave(value.into_texts()?),
            Axis::LearningRate => Self::LearningRate(value.number()?),
            Axis::Epochs => Self::Epochs(value.number()?),
            Axis::BatchSize => Self::BatchSize(value.size()?),
            Axis::Accumulation => Self::Accumulation(value.size()?),
            Axis::Schedule => Self::Schedule(match value.into_text()?.as_str() {
                "linear" => Schedule::Linear,
                "cosine" => Schedule::Cosine,
                "constant" => Schedule::Constant,
                _ => return None,
            }),
            Axis::Warmup => Self::Warmup(value.number()?),
            Axis::WeightDecay => Self::WeightDecay(value.number()?),
            Axis::ClipNorm => Self::ClipNorm(or_null().or_else(|| value.number().map(Some))?),
            Axis::Beta1 => Self::Beta1(value.number()?),
            Axis::Beta2 => Self::Beta2(value.number()?),
            Axis::Epsilon => Self::Epsilon(value.number()?),
            Axis::EvaluateEvery => {
                Self::EvaluateEvery(if value.is_null() { None } else { Some(value.size()?) })
            }
            Axis::Keep => Self::Keep(match value.into_text()?.as_str() {
                "last" => Keep::Last,
                "best" => Keep::Best,
                _ => return None,
            }),
            Axis::Seed => Self::Seed(value.count()?),
            Axis::Precision => Self::Precision(match value.into_text()?.as_str() {
                "fp32" => Precision::Fp32,
                "bf16" => Precision::Bf16,
                _ => return None,
            }),
        })
    }

    /// The method, where it is one.
    pub(super) fn method(&self) -> Option<MethodName> {
        if let Self::Method(method) = self { Some(*method) } else { None }
    }

    /// The task's name, where it is one.
    pub(super) fn task(&self) -> Option<&At<String>> {
        if let Self::Task(task) = self { Some(task) } else { None }
    }

    /// The model's name, where it is one.
    pub(super) fn model(&self) -> Option<&At<String>> {
        if let Self::Model(model) = self { Some(model) } else { None }
    }

    /// Puts the setting into a point.
    pub(super) fn apply<'a>(&'a self, point: &mut Point<'a>) {
        let training = &mut point.training;
        match self {
            Self::Method(method) => point.method = Some(*method),
            Self::Task(task) => point.task = Some(task),
            Self::Model(model) => point.model = Some(model),
            Self::Rank(rank) => point.rank = *rank,
            Self::Alpha(alpha) => point.alpha = *alpha,
            Self::Dropout(dropout) => point.dropout = *dropout,
            Self::Targets(targets) => point.targets = Some(targets),
            Self::Rslora(rslora) => point.rslora = *rslora,
            Self::ModulesToSave(modules) => point.modules_to_save = Some(modules),
            Self::LearningRate(rate) => point.learning_rate = Some(*rate),
            Self::Epochs(epochs) => training.epochs = *epochs,
            Self::BatchSize(rows) => training.batch_size = *rows,
            Self::Accumulation(passes) => training.accumulation = *passes,
            Self::Schedule(schedule) => training.schedule = *schedule,
            Self::Warmup(share) => training.warmup = *share,
            Self::WeightDecay(decay) => training.weight_decay = *decay,
            Self::ClipNorm(norm) => training.clip_norm = *norm,
            Self::Beta1(beta) => training.beta1 = *beta,
            Self::Beta2(beta) => training.beta2 = *beta,
            Self::Epsilon(epsilon) => training.epsilon = *epsilon,
            Self::EvaluateEvery(steps) => training.evaluate_every = *steps,
            Self::Keep(keep) => training.keep = *keep,
            Self::Seed(seed) => training.seed = *seed,
            Self::Precision(precision) => training.precision = *precision,
        }
    }

    /// Its axis.
    fn axis(&self) -> Axis {
        match self {
            Self::Method(_) => Axis::Method,
            Self::Task(_) => Axis::Task,
            Self::Model(_) => Axis::Model,
            Self::Rank(_) => Axis::Rank,
            Self::Alpha(_) => Axis::Alpha,
            Self::Dropout(_) => Axis::Dropout,
            Self::Targets(_) => Axis::Targets,
            Self::Rslora(_) => Axis::Rslora,
            Self::ModulesToSave(_) => Axis::ModulesToSave,
            Self::LearningRate(_) => Axis::LearningRate,
            Self::Epochs(_) => Axis::Epochs,
            Self::BatchSize(_) => Axis::BatchSize,
            Self::Accumulation(_) => Axis::Accumulation,
            Self::Schedule(_) => Axis::Schedule,
            Self::Warmup(_) => Axis::Warmup,
            Self::WeightDecay(_) => Axis::WeightDecay,
            Self::ClipNorm(_) => Axis::ClipNorm,
            Self::Beta1(_) => Axis::Beta1,
            Self::Beta2(_) => Axis::Beta2,
            Self::Epsilon(_) => Axis::Epsilon,
            Self::EvaluateEvery(_) => Axis::EvaluateEvery,
            Self::Keep(_) => Axis::Keep,
            Self::Seed(_) => Axis::Seed,
            Self::Precision(_) => Axis::Precision,
        }
    }

    /// Whether a point has this setting: what does not apply to its method it has not.
    #[expect(clippy::float_cmp, reason = "the same digits in the file are the same number")]
    pub(super) fn holds_at(&self, point: &Point<'_>) -> bool {
        if point.method.is_some_and(|method| !self.axis().applies_to(method)) {
            return false;
        }
        let named = |wanted: &At<String>, found: Option<&At<String>>| {
            found.is_some_and(|at| at.value == wanted.value)
        };
        let training = &point.training;
        match self {
            Self::Method(method) => point.method == Some(*method),
            Self::Task(task) => named(task, point.task),
            Self::Model(model) => named(model, point.model),
            Self::Rank(rank) => point.rank == *rank,
            Self::Alpha(alpha) => point.alpha == *alpha,
            Self::Dropout(dropout) => point.dropout == *dropout,
            Self::Targets(targets) => point.targets.is_some_and(|all| same_names(all, targets)),
            Self::Rslora(rslora) => point.rslora == *rslora,
            Self::ModulesToSave(modules) => point.modules_to_save.is_some_and(|all| same_names(all, modules)),
            Self::LearningRate(rate) => point.learning_rate == Some(*rate),
            Self::Epochs(epochs) => training.epochs == *epochs,
            Self::BatchSize(rows) => training.batch_size == *rows,
            Self::Accumulation(passes) => training.accumulation == *passes,
            Self::Schedule(schedule) => training.schedule == *schedule,
            Self::Warmup(share) => training.warmup == *share,
            Self::WeightDecay(decay) => training.weight_decay == *decay,
            Self::ClipNorm(norm) => training.clip_norm == *norm,
            Self::Beta1(beta) => training.beta1 == *beta,
            Self::Beta2(beta) => training.beta2 == *beta,
            Self::Epsilon(epsilon) => training.epsilon == *epsilon,
            Self::EvaluateEvery(steps) => training.evaluate_every == *steps,
            Self::Keep(keep) => training.keep == *keep,
            Self::Seed(seed) => training.seed == *seed,
            Self::Precision(precision) => training.precision == *precision,
        }
    }
}

fn same_names(a: &[At<String>], b: &[At<String>]) -> bool {
    a.iter().map(|at| &at.value).eq(b.iter().map(|at| &at.value))
}

impl Default for Point<'_> {
    /// The defaults that the table of keys tells.
    fn default() -> Self {
        Self {
            method: None,
            task: None,
            model: None,
            rank: 8,
            alpha: 16.0,
            dropout: 0.0,
            targets: None,
            rslora: false,
            modules_to_save: None,
            learning_rate: None,
            training: Training {
                learning_rate: f64::NAN,
                epochs: 1.0,
                batch_size: 32,
                accumulation: 1,
                schedule: Schedule::Linear,
                warmup: 0.0,
                weight_decay: 0.0,
                clip_norm: Some(1.0),
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                evaluate_every: None,
                keep: Keep::Last,
                seed: 42,
                precision: Precision::Fp32,
                keep_by: None,
            },
        }
    }
}
