//! What adapter_config.json may hold: read, refused by name, written.

use super::*;
use crate::families::BertConfig;

/// What PEFT 0.21.2 writes for a classifier, shortened to one field of each kind.
fn written() -> Map<String, Value> {
    let text = json!({
        "alpha_pattern": {}, "base_model_name_or_path": "bert-tiny", "bias": "none",
        "exclude_modules": null, "fan_in_fan_out": false, "inference_mode": true,
        "init_lora_weights": true, "layers_to_transform": null, "loftq_config": {}, "lora_alpha": 8,
        "lora_dropout": 0.1, "megatron_core": "megatron.core",
        "modules_to_save": ["classifier", "score"], "peft_type": "LORA", "peft_version": "0.21.2",
        "qalora_group_size": 16, "r": 4, "target_modules": ["value", "query"],
        "task_type": "SEQ_CLS", "use_dora": false, "use_rslora": true,
    });
    text.as_object().unwrap().clone()
}

fn parse(config: Map<String, Value>) -> Result<AdapterConfig, AdapterError> {
    AdapterConfig::parse(Path::new(CONFIG), Value::Object(config).to_string().as_bytes())
}

fn with(key: &str, value: Value) -> Result<AdapterConfig, AdapterError> {
    let mut config = written();
    config.insert(key.to_owned(), value);
    parse(config)
}

#[test]
fn what_peft_writes_is_read() {
    let config = parse(written()).unwrap();
    assert_eq!(config.task, Some(TaskType::Classifier));
    assert_eq!((config.rules.rank.usual, config.rules.alpha.usual, config.dropout), (4, 8.0, 0.1));
    assert_eq!(config.scale(4, 8.0), 4.0);
    assert_eq!(config.rules.targets, Modules::Named(vec!["value".to_owned(), "query".to_owned()]));
    assert_eq!(config.saved, ["classifier", "score"]);
}

#[test]
fn what_is_written_is_read_again() {
    let config = parse(written()).unwrap();
    let architecture = Architecture::Bert(BertConfig::default());
    let text = config.render(&architecture, Head::Classifier { labels: 2 }, &[]);
    assert_eq!(AdapterConfig::parse(Path::new(CONFIG), text.as_bytes()).unwrap(), config);
    assert!(text.contains("\"lora_alpha\": 8,"), "{text}");
}

#[test]
fn sizes_by_pattern_are_written_by_the_modules_full_names() {
    let mut config = written();
    config.insert("rank_pattern".to_owned(), json!({"layer.1.*": 2}));
    config.insert("alpha_pattern".to_owned(), json!({"value": 3}));
    config.insert("exclude_modules".to_owned(), json!("none of them"));
    let config = parse(config).unwrap();
    let architecture = Architecture::Bert(BertConfig { num_hidden_layers: 2, ..BertConfig::default() });
    let layers = architecture.lora_targets(Head::LanguageModel, &["query".to_owned(), "value".to_owned()]);
    let layers: Vec<Adapted> = layers.into_iter().map(|layer| Adapted::of(layer, &config)).collect();
    let text = config.render(&architecture, Head::Classifier { labels: 2 }, &layers);
    let written: Value = serde_json::from_str(&text).unwrap();
    let name = |layer: usize, part: &str| format!("bert.encoder.layer.{layer}.attention.self.{part}");
    let (first, second) = (name(1, "query"), name(1, "value"));
    assert_eq!(written["rank_pattern"], json!({first: 2, second: 2}));
    assert_eq!(written["alpha_pattern"], json!({name(0, "value"): 3, name(1, "value"): 3}));
    assert_eq!(written["target_modules"].as_array().unwrap().len(), 4);
    let again = AdapterConfig::parse(Path::new(CONFIG), text.as_bytes()).unwrap();
    let sizes = |config: &AdapterConfig| -> Vec<(usize, f64, f64)> {
        let layers = layers.iter().map(|layer| Adapted::of(layer.layer.clone(), config));
        layers.map(|layer| (layer.rank, layer.alpha, layer.scale)).collect()
    };
    assert_eq!(sizes(&again), sizes(&config));
    // rsLoRA, as `written` says: 8 / sqrt 4, 3 / sqrt 4, 8 / sqrt 2, 3 / sqrt 2.
    let root = 2.0_f64.sqrt();
    let expected = [(4, 8.0, 4.0), (4, 3.0, 1.5), (2, 8.0, 8.0 / root), (2, 3.0, 3.0 / root)];
    assert_eq!(sizes(&config), expected);
}

#[test]
fn settings_that_leave_plain_tensors_are_read() {
    for (key, value) in [
        ("bias", json!("all")),
        ("bias", json!("lora_only")),
        ("lora_bias", json!(true)),
        ("layers_to_transform", json!([0])),
        ("layers_to_transform", json!(3)),
        ("layers_pattern", json!("layer")),
        ("exclude_modules", json!(["0.attention.self.query"])),
        ("init_lora_weights", json!(false)),
        ("init_lora_weights", json!("Gaussian")),
        ("init_lora_weights", json!("eva")),
        ("init_lora_weights", json!("pissa")),
        ("init_lora_weights", json!("olora")),
        ("corda_config", json!({"corda_method": "ipm"})),
        ("eva_config", json!({"rho": 2.0})),
        ("megatron_config", json!({"tensor_model_parallel_size": 1})),
        ("target_modules", json!("all-linear")),
        ("enable_lora", Value::Null),
    ] {
        assert!(with(key, value.clone()).is_ok(), "{key}: {value}");
    }
    let start = |name: &str| with("init_lora_weights", json!(name)).unwrap().start;
    assert_eq!(start("pissa_niter_16"), Start::Pissa { randomised: true });
    assert_eq!(start("olora"), Start::Olora);
}

#[test]
fn features_that_change_the_result_are_named() {
    let features = [
        ("bias", json!("some")),
        ("init_lora_weights", json!("corda")),
        ("init_lora_weights", json!("loftq")),
        ("init_lora_weights", json!("lora_ga")),
        ("trainable_token_indices", json!([1])),
        ("target_parameters", json!(["value.weight"])),
        ("layer_replication", json!([[0, 4], [2, 5]])),
        ("alora_invocation_tokens", json!([1, 2])),
        ("use_qalora", json!(true)),
        ("a_feature_of_the_future", json!("on")),
        ("task_type", json!("SEQ_2_SEQ_LM")),
        ("peft_type", json!("IA3")),
    ];
    for (key, value) in features {
        let said = with(key, value.clone()).unwrap_err().to_string();
        assert!(said.contains(&format!("`{key}`: {value}")), "{said}");
    }
}

#[test]
fn a_broken_file_is_named() {
    for text in ["", "{", "[]", "{\"peft_type\": \"LORA\", \"r\": -1, \"target_modules\": []}"] {
        let said = AdapterConfig::parse(Path::new(CONFIG), text.as_bytes()).unwrap_err().to_string();
        assert!(said.contains(CONFIG), "{said}");
    }
    for (key, value, word) in [
        ("r", json!(0), "rank"),
        ("rank_pattern", json!({"query": 0}), "rank"),
        ("alpha_pattern", json!({"layer.(": 2}), "`layer.(`"),
        ("target_modules", json!({"query": true}), "neither one value nor a list"),
    ] {
        let said = with(key, value).unwrap_err().to_string();
        assert!(said.contains(CONFIG) && said.contains(word), "{said}");
    }
}
