//! Llama and its relatives against transformers and PEFT: language models, classifiers and generation. Their fixtures
//! have fewer key and value heads than heads, windows shorter than rows, and scaled rotary positions.

use lorasweep::families::{Architecture, Head};
use lorasweep::model::params::Weight;
use lorasweep::model::pass::Pass;
use lorasweep::model::weights;
use lorasweep::values::{Method, Precision};

use super::gpt2::{next_tokens, of_rows};
use super::{Fixture, TOLERANCE, adapters, assert_close, trial};

const FAMILIES: [&str; 4] = ["llama", "mistral", "qwen2", "qwen3"];

fn fixture(name: &str, head: Head) -> Fixture {
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
        let fixture = fixture(name, Head::Classifier { labels: 3 });
        let base = weights::read(&fixture.folder).unwrap();
        let start = fixture.read(base, &[trial(Method::Full, 1), trial(Method::Full, 2)]);
        let Weight::Stacked(mut score) = start.params.weight("score.weight") else { panic!("it trains") };
        tch::no_grad(|| score.copy_(&fixture.recorded["score.weight"]));
        let (model, inputs, pass) = (fixture.model(&start), fixture.inputs(0, 2), &mut Pass::evaluation());
        let logits = model.classify(&model.trunk(&inputs, pass), pass);
        for slot in 0..2 {
            assert_close(name, &logits.get(slot), &fixture.recorded["score.logits"], TOLERANCE);
        }
    }
}

#[test]
fn greedy_generation_agrees_with_transformers() {
    for name in FAMILIES {
        let fixture = fixture(name, Head::LanguageModel);
        let prompts = of_rows(&fixture.recorded["generate.prompts"]);
        let expected = of_rows(&fixture.recorded["generate.new"]);
        let end = fixture.recorded["generate.end"].int64_value(&[]) as u32;
        let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        assert!(expected.iter().any(|answer| answer.len() < 12), "one of them ends");
        for method in [Method::Base, Method::Full] {
            let model = fixture.model(&fixture.start("full", &method, 1));
            assert_eq!(model.generate(&prompts, 12, end), expected, "{name}");
            for (prompt, answer) in prompts.iter().zip(&expected) {
                assert_eq!(&model.generate(&[prompt], 12, end), std::slice::from_ref(answer), "{name}");
            }
        }
    }
}
