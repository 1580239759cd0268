//! `method: base` on a finished classifier: what it answers is what its own head answers.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::site::Site;

/// Classes whose order by name is not the order of the head's outputs.
const CLASSES: [&str; 3] = ["zebra", "ant", "mole"];

/// The fixture as a finished classifier for them.
pub(crate) fn classifier(folder: &Path) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert");
    fs::create_dir_all(folder).unwrap();
    fs::copy(fixture.join("model.safetensors"), folder.join("model.safetensors")).unwrap();
    let mut config: Value = serde_json::from_slice(&fs::read(fixture.join("config.json")).unwrap()).unwrap();
    for (index, class) in CLASSES.iter().enumerate() {
        config["id2label"][index.to_string()] = (*class).into();
    }
    config.as_object_mut().unwrap().remove("label2id");
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let words = (5..60).map(|n| format!("w{n}"));
    let tokens: Vec<String> =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned).into_iter().chain(words).collect();
    fs::write(folder.join("vocab.txt"), tokens.join("\n") + "\n").unwrap();
}

#[test]
fn a_finished_classifier_is_right_where_its_answers_are_the_labels() {
    let site = Site::new();
    classifier(&site.path().join("animals"));
    let texts: Vec<String> = (0..48)
        .map(|row| {
            (0..4).map(|i| format!("w{}", 5 + (row * 13 + i * (row + 3)) % 55)).collect::<Vec<_>>().join(" ")
        })
        .collect();
    fs::write(site.path().join("texts.csv"), format!("text\n{}\n", texts.join("\n"))).unwrap();
    let asked =
        site.lorasweep(&["predict", "--model", "animals", "--file", "texts.csv", "--text", "text", "--json"]);
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    let labels: Vec<String> = asked
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["label"].as_str().unwrap().to_owned())
        .collect();
    assert!(labels.iter().collect::<BTreeSet<_>>().len() > 1, "{labels:?}");
    let rows: String = texts.iter().zip(&labels).map(|(text, label)| format!("{text},{label}\n")).collect();
    fs::write(site.path().join("data.csv"), format!("text,label\n{rows}")).unwrap();
    let sweep = "\
name: animals
task: {kind: classification, train: data.csv, text: text, label: label, max_length: 16}
models: {animals: {from: animals}}
grid: [{method: base, model: animals, seed: [1, 2, 3]}]
split: {fraction: 0.5}
training: {epochs: 1}
";
    fs::write(site.path().join("animals.yaml"), sweep).unwrap();
    let said = site.lorasweep(&["run", "animals.yaml", "--json"]);
    assert_eq!(said.code, 0, "{}\n{}", said.stdout, said.stderr);
    let mut judged = 0;
    for trial in fs::read_dir(site.path().join("results/animals/trials")).unwrap() {
        let result = fs::read(trial.unwrap().path().join("result.json")).unwrap();
        let result: Value = serde_json::from_slice(&result).unwrap();
        assert_eq!(result["validation"]["accuracy"].as_f64(), Some(1.0), "{result}");
        judged += 1;
    }
    assert_eq!(judged, 3);
}
