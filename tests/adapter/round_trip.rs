//! What comes back is what went out.

use std::fs;
use std::sync::Arc;

use lorasweep::adapter::import::{Request, import};
use lorasweep::adapter::model::Loaded;
use lorasweep::model::weights;
use lorasweep::record::RunRecord;
use lorasweep::values::{Configuration, Method, Precision, Training};

use crate::support::{Bench, Case, ask, classifier, distance, dora, in_layers, language_model, lora};

fn adapters() -> [Case; 12] {
    [
        classifier("bert", 2, dora(lora(&["all-linear"], &["head"]))),
        classifier("gpt2", 1, dora(lora(&["c_attn", "c_proj"], &[]))),
        language_model(in_layers(dora(lora(&["c_attn"], &["head"])), &[1])),
        classifier("bert", 2, lora(&["all-linear"], &["head"])),
        language_model(in_layers(lora(&["all-linear"], &[]), &[0])),
        classifier("bert", 2, in_layers(lora(&["query", "dense"], &["head"]), &[1])),
        classifier("bert", 2, lora(&["query", "value"], &["head"])),
        classifier("bert", 1, lora(&["query", "output.dense"], &["head", "pooler"])),
        classifier("modernbert", 3, lora(&["all-linear"], &["head"])),
        classifier("modernbert-mean", 3, lora(&["Wqkv", "mlp.Wo"], &["head", "head.norm"])),
        classifier("gpt2", 1, lora(&["c_attn", "c_proj"], &[])),
        language_model(lora(&["c_attn"], &["head"])),
    ]
}

#[test]
fn an_adapter_exported_imported_or_merged_answers_as_its_trial() {
    for case in adapters() {
        let bench = Bench::new(&case);
        let own = ask(&bench.trial());
        let exported = bench.export("exported", false).unwrap();
        let loaded = Loaded::of_adapter(&exported, None).unwrap();
        assert!(distance(&own, &ask(&loaded)) < 1e-6, "{}", case.family);
        let (base, out) = (bench.path("base"), bench.path("imported"));
        let request = Request {
            adapter: &exported,
            base: &base,
            out: &out,
            labels: None,
            problem: None,
            layers: Some(case.layers),
        };
        import(&request).unwrap();
        let imported = Loaded::of_adapter(&out, Some(&base)).unwrap();
        assert_eq!(imported.manifest, loaded.manifest);
        assert!(distance(&own, &ask(&imported)) < 1e-6, "{}", case.family);
        let merged = bench.export("merged", true).unwrap();
        assert!(distance(&own, &ask(&Loaded::of_model(&merged).unwrap())) < 1e-4, "{}", case.family);
    }
}

#[test]
fn what_trained_in_bf16_is_asked_and_exported_in_32_bits() {
    for case in adapters() {
        let mut bench = Bench::new(&case);
        let own = ask(&bench.trial());
        let RunRecord { sweep, trials, .. } = &mut bench.record;
        let trial = &mut trials[0].trial;
        let one = &trial.configuration;
        let training = Training { precision: Precision::Bf16, ..one.training.clone() };
        let rounded = Configuration::new(sweep.task(one), sweep.model(one), one.method.clone(), training);
        trial.configuration = Arc::new(rounded);
        assert_eq!(distance(&own, &ask(&bench.trial())), 0.0, "{}", case.family);
    }
}

#[test]
fn a_whole_model_is_a_folder_of_its_own() {
    let cases = [
        classifier("bert", 1, Method::Full),
        classifier("modernbert", 2, Method::Full),
        classifier("gpt2", 2, Method::Full),
        language_model(Method::Full),
    ];
    for case in cases {
        let bench = Bench::new(&case);
        let own = ask(&bench.trial());
        let out = bench.export("out", false).unwrap();
        fs::remove_dir_all(bench.path("base")).unwrap();
        assert!(distance(&own, &ask(&Loaded::of_model(&out).unwrap())) < 1e-6);
        // transformers' own files are enough. They do not say where texts were cut: a batch with a longer
        // one is wider, and its products round otherwise.
        fs::remove_file(out.join("lorasweep.json")).unwrap();
        assert!(distance(&own[..3], &ask(&Loaded::of_model(&out).unwrap())[..3]) < 1e-5);
    }
}

#[test]
fn names_and_settings_are_those_of_peft() {
    let bench = Bench::new(&classifier("bert", 1, lora(&["query", "value"], &["head"])));
    let out = bench.export("out", false).unwrap();
    let tensors = weights::read_file(&out.join("adapter_model.safetensors")).unwrap();
    let names: Vec<&str> = tensors.names().collect();
    let query = "base_model.model.bert.encoder.layer.0.attention.self.query";
    for name in [
        &format!("{query}.lora_A.weight"),
        &format!("{query}.lora_B.weight"),
        "base_model.model.classifier.weight",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert_eq!(names.len(), 6);
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(out.join("adapter_config.json")).unwrap()).unwrap();
    assert_eq!(config["task_type"], "SEQ_CLS");
    assert_eq!((&config["r"], &config["lora_alpha"]), (&3.into(), &7.into()));
    assert_eq!(config["modules_to_save"], serde_json::json!(["classifier"]));
    let card = fs::read_to_string(out.join("README.md")).unwrap();
    for words in [
        "num_hidden_layers=1",
        "accuracy | 75.00",
        "`cat`, `dog`, `bird`",
        "id2label={0: \"cat\"",
        "PeftModel.from_pretrained",
    ] {
        assert!(card.contains(words), "{words} is not in {card}");
    }
}

#[test]
fn dora_is_told_and_its_lengths_are_named_as_peft_does() {
    let bench = Bench::new(&classifier("bert", 1, dora(lora(&["query", "value"], &["head"]))));
    let out = bench.export("out", false).unwrap();
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(out.join("adapter_config.json")).unwrap()).unwrap();
    assert_eq!(config["use_dora"], true);
    let tensors = weights::read_file(&out.join("adapter_model.safetensors")).unwrap();
    let name = "base_model.model.bert.encoder.layer.0.attention.self.query.lora_magnitude_vector";
    assert_eq!(tensors.tensor(name).unwrap().shape, [32]);
    assert_eq!(tensors.names().count(), 8);
    let card = fs::read_to_string(out.join("README.md")).unwrap();
    assert!(card.contains("A DoRA adapter"), "{card}");
}

#[test]
fn layers_are_told_as_peft_reads_them() {
    let bench = Bench::new(&classifier("bert", 2, in_layers(lora(&["query", "value"], &["head"]), &[1])));
    let out = bench.export("out", false).unwrap();
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(out.join("adapter_config.json")).unwrap()).unwrap();
    assert_eq!(config["layers_to_transform"], serde_json::json!([1]));
    assert_eq!(config["target_modules"], serde_json::json!(["query", "value"]));
    let tensors = weights::read_file(&out.join("adapter_model.safetensors")).unwrap();
    let adapters: Vec<&str> = tensors.names().filter(|name| name.contains(".lora_")).collect();
    assert_eq!(adapters.len(), 4, "{adapters:?}");
    assert!(adapters.iter().all(|name| name.contains(".layer.1.")), "{adapters:?}");
}

#[test]
fn every_linear_layer_is_told_by_its_name() {
    let bench = Bench::new(&classifier("bert", 2, lora(&["all-linear"], &["head"])));
    let out = bench.export("out", false).unwrap();
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(out.join("adapter_config.json")).unwrap()).unwrap();
    let targets = config["target_modules"].as_array().unwrap();
    // Six in each layer, and the pooler.
    assert_eq!(targets.len(), 13, "{targets:?}");
    assert!(targets.iter().any(|target| target == "bert.pooler.dense"), "{targets:?}");
    assert!(targets.iter().all(|target| target != "classifier"), "{targets:?}");
}

#[test]
fn class_names_come_from_the_command_the_export_or_the_base() {
    let bench = Bench::new(&classifier("bert", 2, lora(&["query"], &["head"])));
    let exported = bench.export("exported", false).unwrap();
    let base = bench.path("base");
    let given = ["a", "b", "c"].map(str::to_owned);
    let bare = bench.path("bare");
    fs::create_dir(&bare).unwrap();
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        fs::copy(exported.join(name), bare.join(name)).unwrap();
    }
    let label = |adapter: &std::path::Path, labels: Option<&[String]>, name: &str| {
        let out = bench.path(name);
        import(&Request { adapter, base: &base, out: &out, labels, problem: None, layers: None })?;
        Ok::<_, lorasweep::adapter::AdapterError>(Loaded::of_adapter(&out, None).unwrap().manifest.purpose)
    };
    let named = |names: [&str; 3]| lorasweep::tasks::Purpose::Classification {
        labels: names.map(str::to_owned).to_vec(),
        pairs: false,
        problem: lorasweep::tasks::Problem::SingleLabel,
    };
    assert_eq!(label(&bare, Some(&given), "1").unwrap(), named(["a", "b", "c"]));
    assert_eq!(label(&exported, None, "2").unwrap(), named(crate::support::LABELS));
    assert_eq!(label(&bare, None, "3").unwrap(), named(["LABEL_0", "LABEL_1", "LABEL_2"]));
    let said = label(&bare, Some(&given[..2]), "4").unwrap_err().to_string();
    assert!(said.contains("2 labels are given, but the head has 3 classes"), "{said}");
}
