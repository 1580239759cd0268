use super::*;
use crate::families::Architecture;
use crate::families::ConfigError;
use crate::families::blueprint::{Rotary, Scaling};
use crate::families::params::count;
use crate::values::{Lora, Method};

fn read(json: &str) -> Architecture {
    Architecture::from_config(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"))
}

const SMOLLM2: &str = r#"{"model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
    "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": true,
    "rope_theta": 100000, "rms_norm_eps": 1e-5, "rope_scaling": null, "pad_token_id": 2}"#;
const TINYLLAMA: &str = r#"{"model_type": "llama", "hidden_size": 2048, "intermediate_size": 5632,
    "num_hidden_layers": 22, "num_attention_heads": 32, "num_key_value_heads": 4, "tie_word_embeddings": false}"#;
const LLAMA_3: &str = r#"{"model_type": "llama", "vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 8192,
    "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
    "tie_word_embeddings": true, "rope_theta": 500000.0, "max_position_embeddings": 131072,
    "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
    "original_max_position_embeddings": 8192, "rope_type": "llama3"}}"#;
const QWEN2_5: &str = r#"{"model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864,
    "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "tie_word_embeddings": true,
    "rope_theta": 1000000.0, "use_sliding_window": false, "sliding_window": 32768, "max_window_layers": 21}"#;
const QWEN3: &str = r#"{"model_type": "qwen3", "hidden_size": 1024, "intermediate_size": 3072,
    "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
    "tie_word_embeddings": true, "rope_theta": 1000000, "sliding_window": null}"#;

/// As transformers 5.23 and PEFT 0.21.2 count models of these configurations.
#[test]
fn published_models_have_their_sizes() {
    for (json, base, whole, by_default, all_linear) in [
        (SMOLLM2, 134_515_008, 134_515_008, 460_800, 2_442_240),
        (TINYLLAMA, 1_034_512_384, 1_100_048_384, 1_126_400, 6_307_840),
        (LLAMA_3, 1_235_814_400, 1_235_814_400, 851_968, 5_636_096),
        (QWEN2_5, 494_032_768, 494_032_768, 540_672, 4_399_104),
        (QWEN3, 596_049_920, 596_049_920, 1_146_880, 5_046_272),
    ] {
        let model = read(json);
        let adapters = |targets: &[&str], rank| {
            count(&model, Head::LanguageModel, &Method::Lora(Lora::new(targets, rank, 16.0))).adapter
        };
        let of_base: usize = model.tensors().iter().map(|tensor| tensor.numel()).sum();
        assert_eq!(of_base, base, "{json}");
        assert_eq!(count(&model, Head::LanguageModel, &Method::Full).total, whole, "{json}");
        let classes = count(&model, Head::Classifier { labels: 2 }, &Method::Full).total;
        assert_eq!(classes, (base + 2 * model.blueprint().width()) as u64, "{json}");
        assert_eq!(adapters(model.default_lora_targets(), 8), by_default, "{json}");
        assert_eq!(adapters(&[Lora::ALL_LINEAR], 8), all_linear, "{json}");
        assert_eq!(adapters(&[Lora::ALL_LINEAR], 16), 2 * all_linear, "{json}");
    }
}

#[test]
fn rotary_positions_are_read_as_each_version_writes_them() {
    let rotary = |json: &str| read(json).blueprint().rotaries()[0].clone();
    let llama3 = rotary(LLAMA_3);
    let scaling = Scaling::Llama3 { factor: 32.0, low: 1.0, high: 4.0, original: 8192.0 };
    assert_eq!(llama3, Rotary { width: 64, base: 500_000.0, scaling: Some(scaling) });
    let newer = LLAMA_3.replace("rope_scaling", "rope_parameters").replace("\"rope_theta\": 500000.0, ", "");
    let newer =
        newer.replace("\"rope_type\": \"llama3\"", "\"rope_type\": \"llama3\", \"rope_theta\": 500000.0");
    assert_eq!(rotary(&newer), llama3);
    let older =
        LLAMA_3.replace("\"rope_type\": \"llama3\"", "\"rope_type\": \"llama3\", \"type\": \"llama3\"");
    assert_eq!(rotary(&older), llama3);
    let linear =
        SMOLLM2.replace("\"rope_scaling\": null", r#""rope_scaling": {"type": "linear", "factor": 4}"#);
    assert_eq!(rotary(&linear).scaling, Some(Scaling::Linear { factor: 4.0 }));
    assert_eq!(rotary(SMOLLM2), Rotary { width: 64, base: 100_000.0, scaling: None });
    assert_eq!(rotary(TINYLLAMA).base.to_bits(), 10_000.0_f64.to_bits());
    // As in transformers, older settings are taken for the whole.
    let both = linear.replace("\"rope_theta\": 100000", r#""rope_parameters": {"rope_theta": 9.0}"#);
    assert_eq!(rotary(&both), Rotary { base: 10_000.0, ..rotary(&linear) });
}

/// A model with random weights that is exported has no other file to say what it is.
#[test]
fn a_drawn_model_is_read_again_as_it_is() {
    for name in ["llama", "mistral", "qwen2", "qwen3"] {
        for kv_heads in [None, Some(2)] {
            let sizes = Sizes {
                layers: Some(2),
                hidden: Some(64),
                heads: Some(4),
                kv_heads,
                intermediate: Some(96),
                positions: None,
                length: None,
            };
            let drawn = (crate::families::named(name).unwrap().drawn)(&sizes).unwrap();
            let mut written = serde_json::to_value(&drawn).unwrap();
            written.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            assert_eq!(read(&written.to_string()).blueprint(), drawn.blueprint(), "{name}");
        }
    }
}

#[test]
fn windows_are_where_the_configuration_has_them() {
    let windows = |json: &str| -> Vec<Option<Window>> {
        read(json).blueprint().layers.iter().map(|layer| layer.attention.window).collect()
    };
    assert!(windows(QWEN2_5).iter().all(Option::is_none), "it is not used");
    let used = QWEN2_5.replace("\"use_sliding_window\": false", "\"use_sliding_window\": true");
    assert_eq!(windows(&used)[20..22], [None, Some(Window::Earlier(32_768))]);
    let mistral = r#"{"model_type": "mistral", "num_hidden_layers": 2}"#;
    assert_eq!(windows(mistral), [Some(Window::Earlier(4096)); 2]);
    assert_eq!(windows(&mistral.replace('}', r#", "sliding_window": null}"#)), [None; 2]);
    let types = |types: &str| used.replace("\"num_hidden_layers\": 24", types);
    let agreeing = types(r#""num_hidden_layers": 2, "layer_types": ["full_attention", "full_attention"]"#);
    assert_eq!(windows(&agreeing), [None; 2]);
    let other = types(r#""num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"]"#);
    let error = Architecture::from_config(other.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("`layer_types` of its own"), "{error}");
}

#[test]
fn what_would_be_computed_otherwise_is_refused() {
    let of = |keys: &str| format!(r#"{{"model_type": "llama", {keys}}}"#);
    for (keys, said) in [
        (r#""hidden_act": "gelu""#, "activation `gelu`"),
        (r#""rope_scaling": {"rope_type": "yarn", "factor": 4.0}"#, "scaled by `yarn`"),
        (r#""rope_scaling": {"rope_type": "llama3", "factor": 4.0}"#, "scaled by `llama3`"),
        (r#""rope_scaling": {"type": "linear", "factor": 0.0}"#, "scaled by `linear`"),
        (r#""rope_parameters": {"partial_rotary_factor": 0.5}"#, "in a part of each head"),
        (
            r#""num_key_value_heads": 5"#,
            "`num_key_value_heads` is 5, which does not divide `num_attention_heads` 32",
        ),
        (r#""num_key_value_heads": 0"#, "`num_key_value_heads` is 0"),
        (r#""head_dim": 63"#, "`head_dim` is 63, which is odd"),
        (
            r#""num_attention_heads": 24, "num_key_value_heads": 8"#,
            "24, which does not divide `hidden_size` 4096",
        ),
        (r#""rope_theta": 0"#, "with the base 0"),
        (r#""rms_norm_eps": -1e-6"#, "`rms_norm_eps` is -0.000001"),
        (r#""num_hidden_layers": 1000000000000"#, "`num_hidden_layers` is 1000000000000"),
        (
            r#""num_attention_heads": 8589934592, "head_dim": 8589934592"#,
            "`num_attention_heads` is 8589934592",
        ),
        (r#""rope_scaling": "llama3""#, "must be an object as transformers writes it, or `null`"),
    ] {
        let error = Architecture::from_config(of(keys).as_bytes()).unwrap_err();
        assert!(error.to_string().contains(said), "{keys}: {error}");
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn a_configuration_that_names_no_family_is_taken_for_llama_only_where_it_can_be_no_other() {
    let tensors = Some("llama");
    let read = |json: &str| {
        Architecture::from_config_and(json.as_bytes(), crate::families::Evidence { told: None, tensors })
    };
    let unnamed = SMOLLM2.replace("\"model_type\": \"llama\", ", "");
    assert_eq!(read(&unnamed).unwrap().about().name(), "llama");
    let qwen = QWEN2_5.replace("\"model_type\": \"qwen2\", ", "");
    assert_eq!(read(&qwen), Err(ConfigError::Unknown(vec!["llama", "mistral", "qwen2", "qwen3"])));
}
