use super::*;
use crate::families::params::count;
use crate::families::{ConfigError, NAMES, named};
use crate::values::{Lora, Method};

fn read(keys: &str) -> Result<Architecture, ConfigError> {
    Architecture::from_config(format!(r#"{{"model_type": "modernbert"{keys}}}"#).as_bytes())
}

/// As transformers 5.23 and PEFT 0.21.2 count `answerdotai/ModernBERT-base`.
#[test]
fn modernbert_base_has_its_published_size() {
    let base = read("").unwrap();
    let counts = |method: &Method| count(&base, Head::Classifier { labels: 2 }, method);
    let head = 768 * 768 + 768;
    let of_base: usize = base.tensors().iter().map(|tensor| tensor.numel()).sum();
    assert_eq!(of_base, 149_014_272 + head);
    assert_eq!(counts(&Method::Full).total, 149_606_402);
    for (targets, adapter) in [(base.default_lora_targets(), 540_672), (&[Lora::ALL_LINEAR], 1_701_888)] {
        for times in [1, 2] {
            let counts = counts(&Method::Lora(Lora::new(targets, 8 * times, 16.0)));
            assert_eq!(counts.adapter, adapter * times as u64, "{targets:?}");
            // Of the head, PEFT trains the last layer alone: what lies before it was pretrained.
            assert_eq!(counts.trainable - counts.adapter, 2 * 768 + 2);
        }
    }
}

#[test]
fn what_is_called_head_in_the_base_is_not_the_tasks_head() {
    let base = read("").unwrap();
    let saved = |modules: &[&str]| -> Vec<String> {
        let modules: Vec<String> = modules.iter().map(ToString::to_string).collect();
        let tensors = base.saved_tensors(Head::Classifier { labels: 2 }, &modules);
        tensors.into_iter().map(|tensor| tensor.name).collect()
    };
    assert_eq!(saved(&["head"]), ["classifier.weight", "classifier.bias"]);
    assert_eq!(saved(&["head.dense", "head.norm"]), ["head.dense.weight", "head.norm.weight"]);
    assert_eq!(saved(&["classifier"]), saved(&["head"]));
}

/// Window and base of the rotary positions of each layer.
fn layers(keys: &str) -> Vec<(Option<Window>, f64)> {
    let blueprint = read(keys).unwrap_or_else(|error| panic!("{keys}: {error}")).blueprint();
    let of = |layer: &Layer| (layer.attention.window, layer.attention.rotary.as_ref().unwrap().base);
    blueprint.layers.iter().map(of).collect()
}

#[test]
fn layers_attend_near_and_far_as_each_version_writes_it() {
    let (all, near) = ((None, 160_000.0), (Some(Window::Around(64)), 10_000.0));
    let usual = layers("");
    assert_eq!((&usual[..4], usual.len()), (&[all, near, near, all][..], 22));
    let four = |keys: &str| layers(&format!(r#", "num_hidden_layers": 4{keys}"#));
    assert_eq!(four(r#", "global_attn_every_n_layers": 2"#), [all, near, all, near]);
    assert_eq!(four(r#", "global_attn_every_n_layers": 1"#), [all; 4]);
    assert_eq!(four(r#", "local_attention": 7"#)[1].0, Some(Window::Around(3)));
    let types = |far: &[usize]| {
        let kind = |layer: usize| if far.contains(&layer) { FULL } else { "sliding_attention" };
        format!(r#", "layer_types": {}"#, serde_json::json!((0..4).map(kind).collect::<Vec<_>>()))
    };
    // What transformers 5 writes counts.
    let both = format!(r#", "global_attn_every_n_layers": 3{}"#, types(&[0, 2]));
    assert_eq!(four(&both), [all, near, all, near]);
    assert_eq!(four(&types(&[0])), [all, near, near, near]);
    assert_eq!(four(&types(&[0, 1, 2, 3])), [all; 4]);
    for other in [&[1][..], &[0, 1], &[0, 2, 3], &[]] {
        let error = read(&format!(r#", "num_hidden_layers": 4{}"#, types(other))).unwrap_err();
        assert!(error.to_string().contains("`layer_types` of its own"), "{other:?}: {error}");
    }
    let older = four(r#", "global_rope_theta": 5.0, "local_rope_theta": 7"#);
    assert_eq!([older[0].1, older[1].1], [5.0, 7.0]);
    let newer = four(
        r#", "global_rope_theta": 5.0, "rope_parameters": {"full_attention": {"rope_type": "default",
        "rope_theta": 8.0}, "sliding_attention": {"rope_type": "default"}}"#,
    );
    assert_eq!([newer[0].1, newer[1].1], [8.0, 10_000.0]);
}

#[test]
fn cut_and_drawn_models_are_read_again_as_they_are() {
    let json = r#", "layer_types": ["full_attention", "sliding_attention", "full_attention", "sliding_attention"],
        "num_hidden_layers": 4, "classifier_pooling": "mean", "norm_bias": true, "mlp_bias": true"#;
    let sizes = crate::families::Sizes {
        layers: Some(5),
        hidden: Some(64),
        heads: Some(4),
        intermediate: Some(96),
        ..crate::families::Sizes::default()
    };
    let drawn = (named("modernbert").unwrap().drawn)(&sizes).unwrap();
    for model in [read(json).unwrap().truncated(3), drawn] {
        let mut written = serde_json::to_value(&model).unwrap();
        written.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let again = Architecture::from_config(written.to_string().as_bytes()).unwrap();
        assert_eq!(again.blueprint(), model.blueprint());
        let classes = Head::Classifier { labels: 3 };
        assert_eq!(again.output(classes), model.output(classes));
    }
    assert!(NAMES.contains(&"modernbert"));
}

#[test]
fn what_would_be_computed_otherwise_is_refused() {
    for (keys, said) in [
        (r#", "hidden_activation": "silu""#, "activation `silu`"),
        (r#", "classifier_activation": "relu""#, "activation `relu`"),
        (r#", "classifier_pooling": "max""#, "reads the text by `max`"),
        (r#", "rope_scaling": {"type": "linear", "factor": 2.0}"#, "scaled by `linear`"),
        (r#", "rope_parameters": {"full_attention": {"rope_type": "yarn"}}"#, "scaled by `yarn`"),
        (
            r#", "rope_parameters": {"sliding_attention": {"partial_rotary_factor": 0.5}}"#,
            "in a part of each",
        ),
        (r#", "local_rope_theta": 0"#, "with the base 0"),
        (r#", "global_attn_every_n_layers": 0"#, "`global_attn_every_n_layers` is 0"),
        (r#", "num_attention_heads": 7"#, "7, which does not divide `hidden_size` 768"),
        (r#", "num_attention_heads": 256"#, "`hidden_size / num_attention_heads` is 3, which is odd"),
        (r#", "mlp_dropout": 1.0"#, "`mlp_dropout` is 1"),
        (r#", "vocab_size": 100"#, "`pad_token_id` is 50283"),
        (r#", "num_hidden_layers": 1000000000000"#, "`num_hidden_layers` is 1000000000000"),
    ] {
        let error = read(keys).unwrap_err();
        assert!(error.to_string().contains(said), "{keys}: {error}");
    }
    // Their encoders say so, and transformers does not look.
    read(r#", "position_embedding_type": "sans_pos", "sparse_prediction": true, "is_decoder": true"#)
        .unwrap();
}
