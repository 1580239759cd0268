//! Models whose weights lack what lies between a base and its head, as after masked language modelling: each trial
//! draws it, and takes it along when it is exported.

use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use serde_json::Value;

use crate::own_head;
use crate::site::Site;

/// A fixture without these tensors, as a model of this class.
fn without(lacking: &[&str], fixture: &str, class: &str, folder: &Path) {
    own_head::classifier(fixture, folder);
    let path = folder.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let is_kept = |name: &str| !lacking.iter().any(|start| name.starts_with(start));
    let kept = file.tensors().into_iter().filter(|(name, _)| is_kept(name));
    fs::write(&path, safetensors::serialize(kept, None).unwrap()).unwrap();
    let config = fs::read_to_string(folder.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["architectures"] = vec![class].into();
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

#[test]
fn a_pooler_that_was_drawn_leaves_with_the_adapter() {
    let site = Site::new();
    without(&["bert.pooler.", "classifier."], "bert", "BertForMaskedLM", &site.path().join("adapted"));
    // Rank 2 on query and value of two layers of width 32, a head for two classes, and a pooler or none.
    leaves_with_the_adapter(&site, [2 * 4 * 64, 2 * 32 + 2, 32 * 32 + 32]);
}

#[test]
fn what_lies_between_modernbert_and_its_head_leaves_with_the_adapter_where_it_was_drawn() {
    let site = Site::new();
    without(&["head.", "classifier."], "modernbert", "ModernBertModel", &site.path().join("adapted"));
    // Rank 2 on queries, keys and values of four layers at once, the head, and a matrix and a scale.
    leaves_with_the_adapter(&site, [2 * 4 * (32 + 96), 2 * 32 + 2, 32 * 32 + 32]);
}

/// Trains the model `adapted`, in whose weights something is missing, with what is missing and without. Adapters, head
/// and what is missing have so many numbers.
fn leaves_with_the_adapter(site: &Site, [adapters, head, missing]: [u64; 3]) {
    let rows: String =
        (0..24).map(|row| format!("w{} w{},{}\n", 5 + row, 9 + row, ["no", "yes"][row % 2])).collect();
    fs::write(site.path().join("data.csv"), format!("text,label\n{rows}")).unwrap();
    let sweep = "\
name: adapted
task: {kind: classification, train: data.csv, text: text, label: label, max_length: 16}
models: {adapted: {from: adapted}}
grid:
  - {method: lora, model: adapted, rank: 2, learning_rate: 1e-2, batch_size: 4, seed: [1, 2]}
  - {method: lora, model: adapted, rank: 2, learning_rate: 1e-2, batch_size: 4, seed: [1, 2], modules_to_save: [head]}
split: {fraction: 0.25}
training: {epochs: 1}
";
    fs::write(site.path().join("adapted.yaml"), sweep).unwrap();
    let said = site.lorasweep(&["run", "adapted.yaml", "--json"]);
    assert_eq!(said.code, 0, "{}\n{}", said.stdout, said.stderr);
    assert!(
        said.stderr.contains("stays random") && said.stderr.contains("trained beside the head"),
        "{}",
        said.stderr
    );
    let mut trained = Vec::new();
    for trial in fs::read_dir(site.path().join("results/adapted/trials")).unwrap() {
        let trial = trial.unwrap();
        let id = trial.file_name().to_string_lossy().into_owned();
        let result = fs::read(trial.path().join("result.json")).unwrap();
        let result: Value = serde_json::from_slice(&result).unwrap();
        trained.push(result["trainable_params"].as_u64().unwrap());
        let logits = |args: &[&str]| {
            let said = site.lorasweep(&[&["predict"], args, &["w7 w8", "--json", "--logits"]].concat());
            assert_eq!(said.code, 0, "{}", said.stderr);
            let answer: Value = serde_json::from_str(said.stdout.trim()).unwrap();
            answer["logits"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<_>>()
        };
        let out = format!("out-{id}");
        let said = site.lorasweep(&["export", "adapted", &id, "--out", &out]);
        assert_eq!(said.code, 0, "{}", said.stderr);
        assert_eq!(logits(&["--adapter", &out]), logits(&["adapted", &id]));
    }
    trained.sort_unstable();
    let (fewer, more) = (adapters + head, adapters + head + missing);
    assert_eq!(trained, [fewer, fewer, more, more]);
}
