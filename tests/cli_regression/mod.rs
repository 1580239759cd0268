//! Regression from the outside: a model is trained, reported, exported, asked, and trained further.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::cli_support::{Said, lorasweep};

const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\na\ncat\ndog\n";

const SCRATCH: &str = "\
name: numbers
task: {kind: regression, train: train.csv, text: text, label: score, test_fraction: 0.2, max_length: 16}
models:
  small: {architecture: bert, layers: 1, hidden: 16, heads: 2, intermediate: 32, tokenizer: vocab.txt,
          hidden_dropout: 0, attention_dropout: 0}
grid:
  - {method: scratch, model: small, learning_rate: [5e-3, 1e-9], keep: best, evaluate_every: 12}
kfold: {k: 2, seed: 1}
select: mse
training: {epochs: 10, batch_size: 8, seed: 1}
devices: cpu
";

const FURTHER: &str = "\
name: further
task: {kind: regression, train: train.csv, text: text, label: score, max_length: 16}
models: {base: {from: whole}}
grid:
  - {method: lora, model: base, rank: 4, targets: [query, value], learning_rate: 5e-3}
  - {method: [full, base], model: base, learning_rate: 1e-3}
training: {epochs: 3, batch_size: 4, seed: 1}
devices: cpu
";

#[track_caller]
fn ok(folder: &Path, args: &[&str]) -> Said {
    let said = lorasweep(folder, args);
    assert_eq!(said.code, 0, "{args:?}: {}{}", said.stdout, said.stderr);
    said
}

/// A row counts its cats for two and its dogs for minus one.
fn write_rows(folder: &Path) {
    let row = |n: usize| {
        let (cats, dogs) = (n % 4, n / 4 % 3);
        let words = [&["a cat"; 3][..cats], &["the dog"; 2][..dogs]].concat().join(" ");
        format!("a {words},{}\n", 2.0 * cats as f64 - dogs as f64 + 0.5)
    };
    fs::write(folder.join("train.csv"), format!("text,score\n{}", (0..240).map(row).collect::<String>()))
        .unwrap();
    fs::write(folder.join("vocab.txt"), VOCABULARY).unwrap();
}

/// Trials of a run that are done, as `status` has them, by learning rate and method.
fn trials(folder: &Path, run: &str) -> Vec<String> {
    let status: Value = serde_json::from_str(&ok(folder, &["status", run, "--json"]).stdout).unwrap();
    let trials = status["trials"].as_array().unwrap();
    assert!(trials.iter().all(|trial| trial["state"] == "done"), "{trials:?}");
    trials.iter().map(|trial| trial["id"].as_str().unwrap().to_owned()).collect()
}

fn result(folder: &Path, run: &str, trial: &str) -> Value {
    let file = folder.join("results").join(run).join("trials").join(trial).join("result.json");
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).unwrap()
}

fn scores(folder: &Path, model: &[&str], texts: [&str; 2]) -> [f64; 2] {
    texts.map(|text| {
        let args = [&["predict"], model, &[text, "--json"]].concat();
        let said: Value = serde_json::from_str(&ok(folder, &args).stdout).unwrap();
        said["score"].as_f64().unwrap()
    })
}

#[test]
fn a_number_is_learned_reported_exported_and_learned_further() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_rows(folder);
    fs::write(folder.join("sweep.yaml"), SCRATCH).unwrap();
    let run = ok(folder, &["run", "sweep.yaml"]);
    assert!(run.stdout.contains("training mean") && run.stdout.contains("Pearson"), "{}", run.stdout);
    let trials = trials(folder, "numbers");
    assert_eq!(trials.len(), 4);
    let (learned, idle) = (result(folder, "numbers", &trials[0]), result(folder, "numbers", &trials[2]));
    let of = |result: &Value, part: &str, metric: &str| result[part][metric].as_f64();
    assert!(of(&learned, "test", "pearson") > Some(0.8), "{learned}");
    assert!(of(&learned, "validation", "mse") < of(&learned["baseline"], "validation", "mse"), "{learned}");
    assert!(of(&idle, "validation", "mse") > of(&learned, "validation", "mse"), "{idle}");
    let lines =
        fs::read_to_string(folder.join("results/numbers/trials").join(&trials[0]).join("metrics.jsonl"));
    let lines = lines.unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let least = lines.filter_map(|line| line["scores"]["mse"].as_f64()).fold(f64::INFINITY, f64::min);
    assert_eq!(of(&learned, "validation", "mse"), Some(least), "the weights with the least error are kept");
    assert_eq!(learned["baseline"]["validation"]["pearson"], Value::Null, "it is not defined, and absent");
    assert_eq!(learned["class_rows"], Value::Null);
    let report = fs::read_to_string(folder.join("reports/numbers/report.md")).unwrap();
    assert!(report.contains("with a number in `score`") && !report.contains("NaN"), "{report}");
    let csv = fs::read_to_string(folder.join("reports/numbers/configurations.csv")).unwrap();
    assert!(csv.lines().next().unwrap().contains("validation_pearson_mean"), "{csv}");

    ok(folder, &["export", "numbers", &trials[0], "--merged", "--out", "whole"]);
    let config: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("whole/config.json")).unwrap()).unwrap();
    assert_eq!(config["problem_type"], "regression");
    assert_eq!(config["id2label"].as_object().unwrap().len(), 1);
    let texts = ["a a cat a cat a cat", "a the dog the dog"];
    let [many, none] = scores(folder, &["--model", "whole"], texts);
    assert!(many - none > 2.0, "{many} and {none}");
    assert_eq!([many, none], scores(folder, &["numbers", &trials[0]], texts));

    fs::write(folder.join("further.yaml"), FURTHER).unwrap();
    ok(folder, &["run", "further.yaml"]);
    let adapted = self::trials(folder, "further").swap_remove(0);
    ok(folder, &["export", "further", &adapted, "--out", "adapter"]);
    let asked = scores(folder, &["--adapter", "adapter"], texts);
    assert_eq!(asked, scores(folder, &["further", &adapted], texts));
    ok(folder, &["import", "adapter", "--base", "whole", "--out", "imported"]);
    assert_eq!(asked, scores(folder, &["--adapter", "imported"], texts));
}
