//! Made-up records, with learning curves that follow formulas and a little noise from a fixed seed:
//! a classifier's of 10 configurations on 3 folds, of which one trial diverged, one was interrupted
//! and one never started; language models' on several tasks and seeds; generated answers'.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use lorasweep::families::params::{ParamCounts, count};
use lorasweep::families::{Architecture, BertConfig, ModelSpec, Weights};
use lorasweep::record::{RunRecord, TrialRecord, TrialState};
use lorasweep::sweep::{DeviceRequest, SweepParts, SweepSpec};
use lorasweep::tasks::{DataFile, LanguageModelling, Objective, QuestionAnswering, Task, TextLayout};
use lorasweep::values::stream::{Draw, StreamKey};
use lorasweep::values::{
    ClassRows, Configuration, ContentHash, Cost, Count, Failure, Keep, Lora, Method, Metric, MetricLine,
    Schedule, Scores, Select, Splitting, Training, Trial, TrialResult,
};
use rand::Rng;

/// Optimiser steps of each trial.
const STEPS: u64 = 96;

/// The 30 trials described above.
pub(crate) fn record() -> RunRecord {
    let adapters = [4, 8, 16, 32].into_iter().flat_map(|rank| [16.0, 32.0].map(|alpha| lora(rank, alpha)));
    let grid = adapters
        .chain([("minilm-2", Method::Full, training(2e-4)), ("small-bert", Method::Scratch, training(5e-4))]);
    let mut record = record_of(grid.collect());
    for (index, state) in [
        (4, TrialState::Interrupted),
        (7, TrialState::Failed { failure: Failure::Diverged { step: 61 } }),
        (8, TrialState::Waiting),
    ] {
        let trial = &mut record.trials[index];
        trial.metrics.truncate(if state == TrialState::Waiting { 0 } else { 12 });
        trial.attempts = u32::from(state != TrialState::Waiting);
        trial.state = state;
        trial.result = None;
    }
    record
}

/// A point of a grid: model, method and settings.
pub(crate) type Point = (&'static str, Method, Training);

/// A record of a classifier's finished trials, three folds for each configuration.
pub(crate) fn record_of(grid: Vec<Point>) -> RunRecord {
    let splitting = Splitting::KFold { k: 3, stratified: true, seed: 42 };
    record_on(vec![task()], grid, splitting)
}

/// Language models on these tasks, one split: an adapter of two ranks under these seeds, and the base.
pub(crate) fn language_record(tasks: &[&str], ranks: &[usize], seeds: &[u64]) -> RunRecord {
    let tasks = tasks.iter().map(|name| language_task(name)).collect();
    let mut grid: Vec<Point> = vec![("gpt2", Method::Base, training(3e-4))];
    for &rank in ranks {
        for &seed in seeds {
            let method = Method::Lora(Lora::new(&["c_attn"], rank, 16.0));
            grid.push(("gpt2", method, Training { seed, epochs: 3.0, ..training(3e-4) }));
        }
    }
    record_on(tasks, grid, Splitting::HoldOut { fraction: 0.1, stratified: false, seed: 42 })
}

/// Answers to questions: an adapter, full fine-tuning and the base, validated on a file, not tested.
pub(crate) fn answer_record() -> RunRecord {
    let template = "Context: {context}\nQuestion: {question}\nAnswer:".to_owned();
    let objective =
        Objective::QuestionAnswering(QuestionAnswering { template, max_new_tokens: 30, unanswerable: None });
    let task = Task {
        validation: Some(file("dev-v1.1.json", 1_000)),
        ..Task::new(Task::ONLY, objective, file("train-v1.1.json", 2_000))
    };
    let three = |learning_rate| Training { epochs: 3.0, evaluate_every: None, ..training(learning_rate) };
    let adapter = Method::Lora(Lora { dropout: 0.1, ..Lora::new(&["c_attn"], 8, 16.0) });
    let grid = vec![
        ("gpt2", adapter, three(2e-4)),
        ("gpt2", Method::Full, three(2e-5)),
        ("gpt2", Method::Base, three(2e-4)),
    ];
    record_on(vec![task], grid, Splitting::File)
}

/// A record of finished trials: each point of the grid on each task.
pub(crate) fn record_on(tasks: Vec<Task>, grid: Vec<Point>, splitting: Splitting) -> RunRecord {
    let models: BTreeMap<String, ModelSpec> =
        [model("minilm-2", 2, 384), model("small-bert", 4, 256), model("gpt2", 12, 768)]
            .map(|m| (m.name.clone(), m))
            .into();
    let configurations: Vec<Arc<Configuration>> = tasks
        .iter()
        .flat_map(|task| grid.iter().map(move |point| (task, point.clone())))
        .map(|(task, (model, method, training))| {
            Arc::new(Configuration::new(task, &models[model], method, training))
        })
        .collect();
    let sweep = SweepSpec::try_from(SweepParts {
        name: "complaints".to_owned(),
        tasks: tasks.into_iter().map(|task| (task.name.clone(), Arc::new(task))).collect(),
        models,
        configurations,
        proposing: None,
        splitting,
        select: Select::Kinds,
        stop: None,
        drawn: None,
        refits: Vec::new(),
        devices: DeviceRequest::Auto,
        warnings: vec!["the grid varies alpha with one learning rate".to_owned()],
        only: Vec::new(),
        cards: Vec::new(),
    })
    .expect("the parts of a sweep");
    let trials = sweep.trials().into_iter().map(|trial| finished(trial, &sweep)).collect();
    RunRecord {
        sweep,
        trials,
        to_propose: 0,
        removed: vec![],
        command_line: lorasweep::values::CommandLine::default(),
        started_at: "2026-03-01T09:30:00Z".parse().ok(),
        updated_at: "2026-03-01T09:34:10Z".parse().ok(),
        foreseen: None,
        live: false,
        failed_jobs: vec![],
        journal_damage: None,
    }
}

/// An adapter on query and value.
pub(crate) fn lora(rank: usize, alpha: f64) -> (&'static str, Method, Training) {
    let lora = Lora { dropout: 0.1, ..Lora::new(&["query", "value"], rank, alpha) };
    ("minilm-2", Method::Lora(lora), training(5e-3))
}

/// Training settings with a learning rate.
pub(crate) fn training(learning_rate: f64) -> Training {
    Training {
        learning_rate,
        epochs: 2.0,
        batch_size: 32,
        accumulation: 1,
        schedule: Schedule::Linear,
        warmup: 0.06,
        weight_decay: 0.0,
        clip_norm: Some(1.0),
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        evaluate_every: Some(8),
        keep: Keep::Last,
        seed: 42,
        ..Training::default()
    }
}

/// A data file of so many rows.
pub(crate) fn file(name: &str, rows: usize) -> DataFile {
    DataFile {
        path: PathBuf::from(format!("data/{name}")),
        content: ContentHash::of_bytes(name.as_bytes()),
        rows,
        rows_read: None,
        text_bytes: 500 * rows as u64,
    }
}

fn language_task(name: &str) -> Task {
    let objective =
        Objective::LanguageModelling(LanguageModelling { text: vec![], layout: TextLayout::Blocks });
    let test = Some(file(&format!("{name}.test.txt"), 4_000));
    Task { test, ..Task::new(name, objective, file(&format!("{name}.train.txt"), 20_000)) }
}

/// A classifier's.
pub(crate) fn task() -> Task {
    Task {
        test: Some(file("test.csv", 3_000)),
        rows: Some(1_500),
        sample_seed: 7,
        ..Task::classification(
            file("train.csv", 10_000),
            "narrative",
            "Product",
            &["card", "loan", "mortgage"],
        )
    }
}

fn model(name: &str, layers: usize, hidden: usize) -> ModelSpec {
    let config = BertConfig {
        num_hidden_layers: layers,
        hidden_size: hidden,
        num_attention_heads: hidden / 64,
        intermediate_size: 4 * hidden,
        ..BertConfig::default()
    };
    ModelSpec {
        name: name.to_owned(),
        weights: Weights::Random { seed: 42 },
        tokenizer: PathBuf::from("assets/tokenizer.json"),
        tokenizer_content: ContentHash::of_bytes(b"tokenizer"),
        parts: lorasweep::families::Parts::default(),
        architecture: Architecture::Bert(config),
    }
}

/// Exact for classifiers; GPT-2's published counts for the others.
fn counts(configuration: &Configuration, sweep: &SweepSpec) -> ParamCounts {
    let objective = &sweep.task(configuration).objective;
    if let Objective::Classification(_) = objective {
        return count(&sweep.model(configuration).architecture, objective.head(), &configuration.method);
    }
    let total = 124_439_808;
    match &configuration.method {
        Method::Lora(lora) | Method::Dora(lora) => {
            let adapter = 36_864 * lora.rank as u64;
            ParamCounts { adapter, trainable: adapter, total: total + adapter }
        }
        Method::Full | Method::Scratch => ParamCounts { adapter: 0, trainable: total, total },
        Method::Base => ParamCounts { adapter: 0, trainable: 0, total },
    }
}

fn finished(trial: Trial, sweep: &SweepSpec) -> TrialRecord {
    let configuration = &trial.configuration;
    let params = counts(configuration, sweep);
    let (best, pace) = match &configuration.method {
        Method::Lora(lora) | Method::Dora(lora) => {
            (0.66 + 0.02 * (lora.rank as f64).log2() + 0.0008 * lora.alpha, 14.0)
        }
        Method::Full => (0.83, 18.0),
        Method::Scratch => (0.52, 40.0),
        Method::Base => (0.34, 1.0),
    };
    let settings = (params.trainable, configuration.method.clone(), trial.fold);
    let seed = match (configuration.training.seed, configuration.task.as_str()) {
        (42, Task::ONLY) => ContentHash::of_json(&settings),
        (seed, task) => ContentHash::of_json(&(settings, seed, task)),
    };
    let mut rng = StreamKey::from_seed(seed.leading_u64()).rng(Draw::Order(0));
    let mut noise = |size: f64| size * (rng.random::<f64>() - 0.5);
    let best = best + noise(0.03);
    let scores = |quality: f64| scores(&sweep.task(configuration).objective, quality);
    let learnt = |step: u64| 1.0 - (-(step as f64) / pace).exp();
    let steps = if configuration.method == Method::Base { 0 } else { STEPS };
    let epochs = configuration.training.epochs;
    let every = configuration.training.evaluate_every.map_or(STEPS / epochs as u64, |every| every as u64);
    let mut metrics = Vec::new();
    for step in (4..=steps).step_by(4) {
        let epoch = epochs * step as f64 / STEPS as f64;
        let loss = 1.1 - 0.9 * best * learnt(step) + noise(0.1);
        metrics.push(MetricLine::Train {
            step,
            epoch,
            loss,
            learning_rate: configuration.training.learning_rate * (1.0 - step as f64 / (STEPS + 1) as f64),
            grad_norm: 2.0 - learnt(step) + 4.0 * (loss - 1.1 + 0.9 * best * learnt(step)),
            rows_per_s: 140.0,
            ema_loss: loss,
            tokens_per_s: 9_000.0 + 100.0 * loss,
        });
        if step % every == 0 {
            let scores = scores(0.34 + (best - 0.34) * learnt(step) + noise(0.015));
            metrics.push(MetricLine::Validation { step, epoch, scores, loss_error: None, rows: None });
        }
    }
    let tested = sweep.task(configuration).is_tested();
    let result = TrialResult {
        trial: trial.id,
        validation: Some(scores(best)),
        kept_step: steps,
        test: tested.then(|| scores(best - 0.01 + noise(0.01))),
        steps,
        trainable_params: params.trainable,
        total_params: params.total,
        cost: cost(params, noise(2.0)),
        class_rows: class_rows(&sweep.task(configuration).objective),
        baseline: None,
    };
    TrialRecord {
        trial,
        params,
        state: TrialState::Done,
        attempts: 1,
        pause: None,
        metrics,
        result: Some(result),
    }
}

/// Three classes of which the first has a few rows more.
fn class_rows(objective: &Objective) -> Option<ClassRows> {
    let counts = |first, other| vec![first, other, other];
    let rows = ClassRows { train: counts(340, 330), validation: counts(170, 165), test: counts(1_020, 990) };
    matches!(objective, Objective::Classification(_)).then_some(rows)
}

/// Scores of a model that is this good, from 0 to 1.
fn scores(objective: &Objective, quality: f64) -> Scores {
    let scores = Scores::of(objective.name());
    match objective {
        Objective::Classification(_) => scores
            .with(Metric::Loss, 1.5 - quality)
            .with(Metric::Accuracy, quality)
            .with(Metric::MacroPrecision, quality - 0.01)
            .with(Metric::MacroRecall, quality - 0.02)
            .with(Metric::MacroF1, quality - 0.015),
        Objective::LanguageModelling(_) => scores
            .with(Metric::Loss, 4.0 - quality)
            .with(Metric::SequenceLoss, 4.1 - quality)
            .with_count(Count::Tokens, 51_000),
        Objective::Chat(_) => scores
            .with(Metric::Loss, 3.0 - 2.0 * quality)
            .with(Metric::SequenceLoss, 3.1 - 2.0 * quality)
            .with(Metric::TokenAccuracy, quality)
            .with_count(Count::Tokens, 9_000),
        Objective::QuestionAnswering(_) => scores
            .with(Metric::Loss, 3.0 - 2.0 * quality)
            .with(Metric::ExactMatch, quality - 0.12)
            .with(Metric::F1, quality),
        Objective::MultiLabel(_) => scores
            .with(Metric::Loss, 1.5 - quality)
            .with(Metric::MicroF1, quality)
            .with(Metric::MacroF1, quality - 0.03)
            .with(Metric::SubsetAccuracy, quality - 0.2)
            .with(Metric::MeanAveragePrecision, quality + 0.02)
            .with_count(Count::Rows, 500)
            .with_count(Count::Answers, 40)
            .with_threshold(0.5),
        Objective::Tagging(_) => scores
            .with(Metric::Loss, 1.5 - quality)
            .with(Metric::F1, quality)
            .with(Metric::Precision, quality + 0.01)
            .with(Metric::Recall, quality - 0.01)
            .with(Metric::TokenAccuracy, quality + 0.05)
            .with_count(Count::Tokens, 9_000)
            .with_count(Count::Answers, 5),
        Objective::Regression(_) => scores
            .with(Metric::Mse, 1.5 - quality)
            .with(Metric::Mae, 1.1 - quality)
            .with(Metric::Pearson, quality)
            .with(Metric::Spearman, quality - 0.02)
            .with_count(Count::Rows, 500)
            .with_count(Count::Answers, 480),
    }
}

fn cost(params: ParamCounts, noise: f64) -> Cost {
    let train_s = match params.trainable {
        0 => 0.0,
        trainable => 10.0 + 10.0 * trainable as f64 / params.total as f64 + noise,
    };
    Cost {
        wall_s: train_s + 4.0,
        train_s,
        evaluate_s: 4.0,
        train_rows: if params.trainable > 0 { 2_000 } else { 0 },
        train_tokens: if params.trainable > 0 { 190_000 } else { 0 },
        evaluated_rows: 9_000,
        peak_memory_mib: 610.0 + params.trainable as f64 / 65_536.0,
    }
}
