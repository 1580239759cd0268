//! BERT over pairs of texts, with token types, against transformers and PEFT.

use lorasweep::families::{Architecture, BertConfig, Head};
use lorasweep::model::pass::Pass;
use lorasweep::values::{Method, Precision};

use super::{Fixture, TOLERANCE, adapters, assert_close, losses};

pub(crate) fn fixture(change: impl FnOnce(&mut BertConfig)) -> Fixture {
    let folder = Fixture::folder("bert");
    let mut config: BertConfig =
        serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    change(&mut config);
    Fixture {
        architecture: Architecture::Bert(config),
        head: Head::Classifier { labels: 3 },
        recorded: Fixture::recorded("bert"),
        folder,
        precision: Precision::Fp32,
        forward: |fixture, model, step, slots| {
            let (inputs, pass) = (fixture.inputs(step, slots), &mut Pass::evaluation());
            let logits = model.classify(&model.trunk(&inputs, pass), pass);
            (losses(&logits, &fixture.recorded["labels"].get(step)), logits)
        },
    }
}

fn lora() -> Method {
    adapters(&["query", "value"], &["head"])
}

#[test]
fn full_fine_tuning_agrees_with_transformers() {
    fixture(|_| ()).follow("full", &Method::Full, 1);
}

#[test]
fn lora_agrees_with_peft() {
    fixture(|_| ()).follow("lora", &lora(), 1);
}

#[test]
fn every_slot_of_a_pack_agrees_with_the_reference() {
    fixture(|_| ()).follow("full", &Method::Full, 3);
    fixture(|_| ()).follow("lora", &lora(), 3);
}

#[test]
fn a_truncated_encoder_agrees_with_transformers() {
    let fixture = fixture(|config| config.num_hidden_layers = 1);
    let model = fixture.model(&fixture.start("full", &Method::Full, 1));
    let (_, logits) = (fixture.forward)(&fixture, &model, 0, 1);
    assert_close("logits", &logits.get(0), &fixture.recorded["truncated.logits"], TOLERANCE);
}

#[test]
fn base_weights_are_frozen_under_lora() {
    let start = fixture(|_| ()).start("lora", &lora(), 1);
    let names: Vec<&str> = start.params.trainable().map(|(name, _)| name).collect();
    assert!(names.iter().all(|name| name.contains("lora_") || name.starts_with("classifier")), "{names:?}");
    assert_eq!(start.params.count(0).0, 4 * (32 + 32) * 2 * 2 + 32 * 3 + 3);
    assert!(start.adapters.is_some());
}
