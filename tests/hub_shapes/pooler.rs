//! A model that was saved after masked language modelling, without a pooler: each trial draws one, and
//! takes it along when it is exported.

use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use serde_json::Value;

use crate::own_head;
use crate::site::Site;

/// The finished classifier without its pooler and its head.
fn without_pooler(folder: &Path) {
    own_head::classifier(folder);
    let path = folder.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let is_kept = |name: &str| !name.contains("pooler") && !name.starts_with("classifier");
    let kept = file.tensors().into_iter().filter(|(name, _)| is_kept(name));
    fs::write(&path, safetensors::serialize(kept, None).unwrap()).unwrap();
    let config = fs::read_to_string(folder.join("config.json")).unwrap();
    fs::write(folder.join("config.json"), config.replace("BertForSequenceClassification", "BertForMaskedLM"))
        .unwrap();
}

#[test]
fn a_pooler_that_was_drawn_leaves_with_the_adapter() {
    let site = Site::new();
    without_pooler(&site.path().join("adapted"));
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
    // Rank 2 on query and value of two layers of width 32, a head for two classes, and a pooler or none.
    let (adapters, head, pooler) = (2 * 4 * 64, 2 * 32 + 2, 32 * 32 + 32);
    assert_eq!(
        trained,
        [adapters + head, adapters + head, adapters + head + pooler, adapters + head + pooler]
    );
}
