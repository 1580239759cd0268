//! Ids that sweeps have: recorded when they were, so that what was trained then is found again.

use std::sync::Arc;

use lorasweep::values::Configuration;

use crate::folder::Folder;

const SWEEP: &str = "\
name: ids
task: {train: train.csv, test: test.csv, text: text, label: label, max_length: 8}
models: {own: {architecture: bert, layers: 2, hidden: 8, heads: 2, intermediate: 16, tokenizer: tiny/vocab.txt}}
grid:
  - {method: lora, model: own, rank: [4, 8], alpha: 8, learning_rate: 1e-3}
  - {method: lora, model: own, dropout: 0.1, targets: [value, query, key], rslora: true, modules_to_save: [pooler, head],
     learning_rate: 2e-3, epochs: 2.5, batch_size: 4, accumulation: 2, schedule: cosine, warmup: 0.1, weight_decay: 0.01,
     clip_norm: null, beta1: 0.8, beta2: 0.99, epsilon: 1e-6, evaluate_every: 3, keep: best, seed: 7, precision: bf16}
  - {method: lora, model: own, modules_to_save: [[]], learning_rate: 1e-3}
  - {method: [scratch, base], model: own, learning_rate: 1e-3, batch_size: 8, seed: [1, 2]}
training: {warmup: 0.2, keep: best}
split: {fraction: 0.25, seed: 3}
";

/// Those of training version 2.
const BEFORE: [&str; 8] = [
    "096737c6803e43a4",
    "e0bfd4fc9bcb1b7d",
    "c715d03806365f90",
    "09b8b8dd6ebb7654",
    "ab23c359d94430fd",
    "7c9d599f9d9c46d6",
    "1343a3dd93f30d9e",
    "fc7f7ab156a5e590",
];

#[test]
fn ids_of_before_are_known_as_such() {
    let sweep = Folder::new().load(SWEEP).unwrap();
    assert_eq!(sweep.foreign_ids().next(), None);
    let with = |ids: [&str; 8]| {
        let before = sweep.with(|sweep| {
            for (one, id) in sweep.configurations.iter_mut().zip(ids) {
                *one = Arc::new(Configuration { id: id.parse().unwrap(), ..Configuration::clone(one) });
            }
        });
        before.unwrap().foreign_ids().map(|foreign| foreign.is_of_before).collect::<Vec<_>>()
    };
    assert_eq!(with(BEFORE), [true; 8]);
    let mut changed = BEFORE;
    changed.rotate_left(1);
    assert_eq!(with(changed), [false; 8]);
}

#[test]
fn ids_are_those_of_earlier_versions_that_train_alike() {
    let sweep = Folder::new().load(SWEEP).unwrap();
    let ids: Vec<String> = sweep.configurations.iter().map(|one| one.id.to_string()).collect();
    let recorded = [
        "f7fe0380bc10019d",
        "aaf671ebf7289e42",
        "e11ae161014b45e5",
        "093f09e888dc261c",
        "d5caac78b612eac9",
        "e8017a78e8e9a422",
        "77c95f787dc51b02",
        "a251786e327e6271",
    ];
    assert_eq!(ids, recorded);
    let ids: Vec<String> = sweep.trials().iter().map(|trial| trial.id.to_string()).collect();
    assert_eq!((ids[0].as_str(), ids[7].as_str()), ("0f5e507671a19eb6", "0c5a452f1c422dea"));
}
