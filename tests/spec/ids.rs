//! Ids that sweeps have: recorded when they were, so that what was trained then is found again.

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

#[test]
fn ids_are_those_of_earlier_versions() {
    let sweep = Folder::new().load(SWEEP).unwrap();
    let ids: Vec<String> = sweep.configurations.iter().map(|one| one.id.to_string()).collect();
    let recorded = [
        "096737c6803e43a4",
        "e0bfd4fc9bcb1b7d",
        "c715d03806365f90",
        "09b8b8dd6ebb7654",
        "ab23c359d94430fd",
        "7c9d599f9d9c46d6",
        "1343a3dd93f30d9e",
        "fc7f7ab156a5e590",
    ];
    assert_eq!(ids, recorded);
    let ids: Vec<String> = sweep.trials().iter().map(|trial| trial.id.to_string()).collect();
    assert_eq!((ids[0].as_str(), ids[7].as_str()), ("90796d6e90b81580", "a93fe475edbe5c5e"));
}
