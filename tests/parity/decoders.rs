//! Llama and its relatives against transformers and PEFT: language models, classifiers and generation. Their fixtures
//! have fewer key and value heads than heads, windows shorter than rows, and scaled rotary positions.

use lorasweep::families::{Architecture, Head};
use lorasweep::values::{Method, Precision};

use super::gpt2::{assert_classifies, assert_generates, next_tokens};
use super::{Fixture, adapters};

const FAMILIES: [&str; 4] = ["llama", "mistral", "qwen2", "qwen3"];

pub(crate) fn fixture(name: &str, head: Head) -> Fixture {
    let folder = Fixture::folder(name);
    let config = std::fs::read(folder.join("config.json")).unwrap();
    Fixture {
        architecture: Architecture::from_config(&config).unwrap(),
        head,
        recorded: Fixture::recorded(name),
        folder,
        precision: Precision::Fp32,
        forward: next_tokens,
    }
}

#[test]
fn full_fine_tuning_agrees_with_transformers() {
    for name in FAMILIES {
        fixture(name, Head::LanguageModel).follow("full", &Method::Full, 1);
    }
}

#[test]
fn adapters_agree_with_peft_alone_and_in_packs() {
    for name in FAMILIES {
        let fixture = fixture(name, Head::LanguageModel);
        for slots in [1, 3] {
            fixture.follow("lora_attention", &adapters(&["q_proj", "v_proj"], &["head"]), slots);
            fixture.follow("lora_all", &adapters(&["all-linear"], &[]), slots);
        }
    }
}

#[test]
fn every_slot_of_a_pack_agrees_with_the_reference() {
    for name in FAMILIES {
        fixture(name, Head::LanguageModel).follow("full", &Method::Full, 3);
    }
}

#[test]
fn the_classifier_reads_each_rows_last_token() {
    for name in FAMILIES {
        assert_classifies(&fixture(name, Head::Classifier { labels: 3 }));
    }
}

#[test]
fn greedy_generation_agrees_with_transformers() {
    for name in FAMILIES {
        assert_generates(&fixture(name, Head::LanguageModel));
    }
}
