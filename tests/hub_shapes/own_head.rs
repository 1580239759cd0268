//! `method: base` on a finished model: what it answers is what its own head answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::Value;

use crate::site::Site;

/// Classes whose order by name is not the order of the head's outputs.
const CLASSES: [&str; 3] = ["zebra", "ant", "mole"];

/// A fixture as a finished classifier for them.
pub(crate) fn classifier(family: &str, folder: &Path) {
    finished(family, folder, &CLASSES);
}

/// A fixture as a finished model whose outputs have these names.
fn finished(family: &str, folder: &Path, outputs: &[&str]) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(family);
    fs::create_dir_all(folder).unwrap();
    let bytes = fs::read(fixture.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let is_of_outputs = |name: &str| name.starts_with("classifier.") && !name.contains(".dense.");
    let kept = file.iter().map(|(name, view)| {
        let mut shape = view.shape().to_vec();
        if is_of_outputs(name) {
            shape[0] = outputs.len();
        }
        let size = 4 * shape.iter().product::<usize>();
        (name.to_owned(), TensorView::new(view.dtype(), shape, &view.data()[..size]).unwrap())
    });
    let kept: BTreeMap<String, TensorView<'_>> = kept.collect();
    fs::write(folder.join("model.safetensors"), safetensors::serialize(kept, None).unwrap()).unwrap();
    let mut config: Value = serde_json::from_slice(&fs::read(fixture.join("config.json")).unwrap()).unwrap();
    let names = (0..).zip(outputs).map(|(index, name): (usize, _)| (index.to_string(), Value::from(*name)));
    config["id2label"] = Value::Object(names.collect());
    config.as_object_mut().unwrap().remove("label2id");
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let words = (5..60).map(|n| format!("w{n}"));
    let tokens: Vec<String> =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned).into_iter().chain(words).collect();
    fs::write(folder.join("vocab.txt"), tokens.join("\n") + "\n").unwrap();
}

/// What the model `own` answers to 48 texts, each beside its text.
fn answers(site: &Site) -> Vec<(String, Value)> {
    let texts: Vec<String> = (0..48)
        .map(|row| {
            (0..4).map(|i| format!("w{}", 5 + (row * 13 + i * (row + 3)) % 55)).collect::<Vec<_>>().join(" ")
        })
        .collect();
    fs::write(site.path().join("texts.csv"), format!("text\n{}\n", texts.join("\n"))).unwrap();
    let asked = ["predict", "--model", "own", "--file", "texts.csv", "--text", "text", "--json", "--logits"];
    let asked = site.lorasweep(&asked);
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    texts.into_iter().zip(asked.stdout.lines().map(|line| serde_json::from_str(line).unwrap())).collect()
}

/// The validation scores of the model `own` as `base`, where these rows are its data.
fn scores(site: &Site, kind: &str, rows: &str) -> Vec<Value> {
    fs::write(site.path().join("data.csv"), format!("text,label\n{rows}")).unwrap();
    let sweep = format!(
        "name: own\n\
         task: {{kind: {kind}, train: data.csv, text: text, label: label, max_length: 16}}\n\
         models: {{own: {{from: own}}}}\n\
         grid: [{{method: base, model: own, seed: [1, 2, 3]}}]\n\
         split: {{fraction: 0.5}}\n\
         training: {{epochs: 1}}\n"
    );
    fs::write(site.path().join("own.yaml"), sweep).unwrap();
    let said = site.lorasweep(&["run", "own.yaml", "--json"]);
    assert_eq!(said.code, 0, "{}\n{}", said.stdout, said.stderr);
    let trials = fs::read_dir(site.path().join("results/own/trials")).unwrap();
    let result = |trial: fs::DirEntry| -> Value {
        serde_json::from_slice(&fs::read(trial.path().join("result.json")).unwrap()).unwrap()
    };
    trials.map(|trial| result(trial.unwrap())["validation"].clone()).collect()
}

#[test]
fn a_finished_classifier_is_right_where_its_answers_are_the_labels() {
    for family in ["bert", "roberta", "modernbert"] {
        let site = Site::new();
        finished(family, &site.path().join("own"), &CLASSES);
        let answers = answers(&site);
        let labels: BTreeSet<&str> =
            answers.iter().map(|(_, said)| said["label"].as_str().unwrap()).collect();
        assert_eq!(labels.len(), CLASSES.len(), "{family}: {labels:?}");
        let rows = answers.iter().map(|(text, said)| format!("{text},{}\n", said["label"].as_str().unwrap()));
        let scores = scores(&site, "classification", &rows.collect::<String>());
        let accuracies = scores.iter().map(|scores| scores["accuracy"].as_f64());
        assert!(accuracies.eq([Some(1.0); 3]), "{family}: {scores:?}");
    }
}

#[test]
fn a_finished_regression_model_is_right_where_its_answers_are_the_numbers() {
    for family in ["bert", "roberta", "modernbert"] {
        let site = Site::new();
        finished(family, &site.path().join("own"), &["LABEL_0"]);
        let rows = answers(&site).into_iter().map(|(text, said)| format!("{text},{}\n", said["logits"][0]));
        let scores = scores(&site, "regression", &rows.collect::<String>());
        let right = |scores: &Value| scores["mse"].as_f64().unwrap() < 1e-9;
        assert!(scores.len() == 3 && scores.iter().all(right), "{family}: {scores:?}");
    }
}
