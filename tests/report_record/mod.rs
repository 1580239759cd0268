//! A made-up record: 10 configurations on 3 folds, with learning curves that follow formulas and a
//! little noise from a fixed seed. One trial diverged, one was interrupted, one never started.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use lorasweep::arch::{Architecture, BertConfig, ModelSpec, Weights};
use lorasweep::content::ContentHash;
use lorasweep::outcome::{ClassificationScores, Cost, Failure, MetricLine, Scores, TrialResult};
use lorasweep::plan::params::{ParamCounts, count};
use lorasweep::run::record::{RunRecord, TrialRecord, TrialState};
use lorasweep::spec::{DeviceRequest, SweepSpec};
use lorasweep::stream::{Draw, StreamKey};
use lorasweep::task::{DataFile, Task};
use lorasweep::trial::{Configuration, Keep, Lora, Method, Schedule, Splitting, Training, Trial};
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

/// A record of finished trials, three folds for each configuration.
pub(crate) fn record_of(grid: Vec<(&str, Method, Training)>) -> RunRecord {
    let task = Arc::new(task());
    let models: BTreeMap<String, ModelSpec> =
        [model("minilm-2", 2, 384), model("small-bert", 4, 256)].map(|m| (m.name.clone(), m)).into();
    let configurations: Vec<Arc<Configuration>> = grid
        .into_iter()
        .map(|(model, method, training)| {
            Arc::new(Configuration::new(&task, &models[model], method, training))
        })
        .collect();
    let sweep = SweepSpec {
        name: "complaints".to_owned(),
        tasks: BTreeMap::from([(task.name.clone(), task)]),
        models,
        configurations,
        splitting: Splitting::KFold { k: 3, stratified: true, seed: 42 },
        devices: DeviceRequest::Auto,
        warnings: vec!["the grid varies alpha with one learning rate".to_owned()],
    };
    let trials = sweep.trials().into_iter().map(|trial| finished(trial, &sweep)).collect();
    RunRecord {
        sweep,
        trials,
        removed: vec![],
        typed: lorasweep::run::journal::Typed::default(),
        started_at: "2026-03-01T09:30:00Z".parse().ok(),
        updated_at: "2026-03-01T09:34:10Z".parse().ok(),
        live: false,
        failed_jobs: vec![],
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
    }
}

fn task() -> Task {
    let file = |name: &str, rows| DataFile {
        path: PathBuf::from(format!("data/{name}")),
        content: ContentHash::of_bytes(name.as_bytes()),
        rows,
        text_bytes: 500 * rows as u64,
    };
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
        architecture: Architecture::Bert(config),
    }
}

fn finished(trial: Trial, sweep: &SweepSpec) -> TrialRecord {
    let configuration = &trial.configuration;
    let head = sweep.task(configuration).objective.head();
    let params = count(&sweep.model(configuration).architecture, head, &configuration.method);
    let (best, pace) = match &configuration.method {
        Method::Lora(lora) => (0.66 + 0.02 * (lora.rank as f64).log2() + 0.0008 * lora.alpha, 14.0),
        Method::Full => (0.83, 18.0),
        Method::Scratch => (0.52, 40.0),
        Method::Base => (0.34, 1.0),
    };
    let seed = ContentHash::of_json(&(params.trainable, configuration.method.clone(), trial.fold));
    let mut rng = StreamKey::from_seed(seed.leading_u64()).rng(Draw::Order(0));
    let mut noise = |size: f64| size * (rng.random::<f64>() - 0.5);
    let best = best + noise(0.03);
    let learnt = |step: u64| 1.0 - (-(step as f64) / pace).exp();
    let mut metrics = Vec::new();
    for step in (4..=STEPS).step_by(4) {
        let epoch = step as f64 / (STEPS / 2) as f64;
        let loss = 1.1 - 0.9 * best * learnt(step) + noise(0.1);
        let learning_rate = configuration.training.learning_rate;
        metrics.push(MetricLine::Train {
            step,
            epoch,
            loss,
            learning_rate,
            grad_norm: 1.0,
            rows_per_s: 140.0,
            ema_loss: loss,
            tokens_per_s: 9_000.0,
        });
        if step % 8 == 0 {
            let scores = scores(0.34 + (best - 0.34) * learnt(step) + noise(0.015));
            metrics.push(MetricLine::Validation { step, epoch, scores });
        }
    }
    let result = TrialResult {
        trial: trial.id,
        validation: scores(best),
        kept_step: STEPS,
        test: Some(scores(best - 0.01 + noise(0.01))),
        steps: STEPS,
        trainable_params: params.trainable,
        total_params: params.total,
        cost: cost(params, noise(2.0)),
    };
    TrialRecord { trial, params, state: TrialState::Done, attempts: 1, metrics, result: Some(result) }
}

fn scores(accuracy: f64) -> Scores {
    Scores::Classification(ClassificationScores {
        loss: 1.5 - accuracy,
        accuracy,
        macro_precision: accuracy - 0.01,
        macro_recall: accuracy - 0.02,
        macro_f1: accuracy - 0.015,
    })
}

fn cost(params: ParamCounts, noise: f64) -> Cost {
    let train_s = 10.0 + 10.0 * params.trainable as f64 / params.total as f64 + noise;
    Cost {
        wall_s: train_s + 4.0,
        train_s,
        evaluate_s: 4.0,
        train_rows: 2_000,
        train_tokens: 190_000,
        evaluated_rows: 9_000,
        peak_memory_mib: 610.0 + params.trainable as f64 / 65_536.0,
    }
}
