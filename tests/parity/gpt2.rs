//! GPT-2 against transformers and PEFT: language model, classifier and generation.

use lorasweep::families::{Architecture, Gpt2Config, Head};
use lorasweep::model::params::Weight;
use lorasweep::model::pass::Pass;
use lorasweep::model::{Model, weights};
use lorasweep::values::{Method, Precision};
use tch::{Device, Kind, Tensor};

use super::{Fixture, TOLERANCE, adapters, assert_close, losses, trial};

pub(crate) fn fixture(head: Head) -> Fixture {
    let folder = Fixture::folder("gpt2");
    let config: Gpt2Config =
        serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    Fixture {
        architecture: Architecture::Gpt2(config),
        head,
        recorded: Fixture::recorded("gpt2"),
        folder,
        precision: Precision::Fp32,
        forward: next_tokens,
    }
}

/// The loss of the asked tokens, and the logits of all.
pub(crate) fn next_tokens(fixture: &Fixture, model: &Model, step: i64, slots: i64) -> (Tensor, Tensor) {
    let inputs = fixture.inputs(step, slots);
    let [_, rows, tokens] = inputs.shape;
    let all = Tensor::arange(rows * tokens, (Kind::Int64, Device::Cpu)).repeat([slots, 1]);
    let pass = &mut Pass::evaluation();
    let logits = model.next_tokens(&model.trunk(&inputs, pass), &all, pass);
    let logits = logits.view([logits.size()[0], rows, tokens, -1]);
    let labels = fixture.recorded["labels"].get(step).narrow(1, 1, tokens - 1);
    let mask = fixture.recorded["attention_mask"].get(step).unsqueeze(-1);
    (losses(&logits.narrow(2, 0, tokens - 1), &labels), logits * mask)
}

fn of_rows(rows: &Tensor) -> Vec<Vec<u32>> {
    let rows = Vec::<Vec<i64>>::try_from(rows).unwrap();
    rows.into_iter().map(|row| row.into_iter().filter_map(|id| u32::try_from(id).ok()).collect()).collect()
}

#[test]
fn full_fine_tuning_agrees_with_transformers() {
    fixture(Head::LanguageModel).follow("full", &Method::Full, 1);
}

#[test]
fn adapters_on_conv1d_layers_agree_with_peft() {
    let fixture = fixture(Head::LanguageModel);
    fixture.follow("lora_attention", &adapters(&["c_attn"], &["head"]), 1);
    fixture.follow("lora_all", &adapters(&["c_attn", "c_proj"], &[]), 1);
}

#[test]
fn every_slot_of_a_pack_agrees_with_the_reference() {
    let fixture = fixture(Head::LanguageModel);
    fixture.follow("full", &Method::Full, 3);
    fixture.follow("lora_all", &adapters(&["c_attn", "c_proj"], &[]), 3);
}

#[test]
fn only_the_asked_positions_are_computed() {
    let fixture = fixture(Head::LanguageModel);
    let model = fixture.model(&fixture.start("full", &Method::Full, 2));
    let (_, all) = (fixture.forward)(&fixture, &model, 0, 2);
    let asked = [[4_i64, 0, 22], [25, 4, 4]];
    let (inputs, pass) = (fixture.inputs(0, 2), &mut Pass::evaluation());
    let some = model.next_tokens(&model.trunk(&inputs, pass), &Tensor::from_slice2(&asked), pass);
    for (slot, positions) in (0..).zip(asked) {
        for (place, position) in (0..).zip(positions) {
            let expected = all.get(slot).get(position / 11).get(position % 11);
            assert_close("logits", &some.get(slot).get(place), &expected, TOLERANCE);
        }
    }
}

#[test]
fn the_classifier_reads_each_rows_last_token() {
    assert_classifies(&fixture(Head::Classifier { labels: 3 }));
}

/// Gives the recorded logits of a classifier on the recorded base.
#[track_caller]
pub(crate) fn assert_classifies(fixture: &Fixture) {
    let base = weights::read(&fixture.folder).unwrap();
    let start = fixture.read(base, &[trial(Method::Full, 1), trial(Method::Full, 2)]);
    let Weight::Stacked(mut score) = start.params.weight("score.weight") else { panic!("it trains") };
    tch::no_grad(|| score.copy_(&fixture.recorded["score.weight"]));
    let (model, inputs, pass) = (fixture.model(&start), fixture.inputs(0, 2), &mut Pass::evaluation());
    let logits = model.classify(&model.trunk(&inputs, pass), pass);
    for slot in 0..2 {
        assert_close("logits", &logits.get(slot), &fixture.recorded["score.logits"], TOLERANCE);
    }
}

#[test]
fn greedy_generation_agrees_with_transformers() {
    assert_generates(&fixture(Head::LanguageModel));
}

/// Continues the recorded prompts, together and each alone.
#[track_caller]
pub(crate) fn assert_generates(fixture: &Fixture) {
    let prompts = of_rows(&fixture.recorded["generate.prompts"]);
    let expected = of_rows(&fixture.recorded["generate.new"]);
    let end = fixture.recorded["generate.end"].int64_value(&[]) as u32;
    let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    assert!(expected.iter().any(|answer| answer.len() < 12), "one of them ends");
    for method in [Method::Base, Method::Full] {
        let model = fixture.model(&fixture.start("full", &method, 1));
        assert_eq!(model.generate(&prompts, 12, &[end]), expected, "{}", fixture.folder.display());
        for (prompt, answer) in prompts.iter().zip(&expected) {
            assert_eq!(&model.generate(&[prompt], 12, &[end]), std::slice::from_ref(answer));
        }
    }
}

#[test]
fn generation_stops_where_the_positions_end() {
    let fixture = fixture(Head::LanguageModel);
    let model = fixture.model(&fixture.start("full", &Method::Base, 1));
    let long: Vec<u32> = (1..24).collect();
    let lengths = |prompts: &[&[u32]], max_new| {
        let answers = model.generate(prompts, max_new, &[]);
        answers.iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(lengths(&[&long, &long[..20], &[7], &[]], 40), [2, 5, 24, 0], "of 24 positions");
    assert_eq!(lengths(&[&long, &[7]], 0), [0, 0]);
    assert!(lengths(&[], 4).is_empty());
}

#[test]
fn files_without_the_prefix_and_with_old_buffers_are_read() {
    let fixture = fixture(Head::LanguageModel);
    let folder = tempfile::tempdir().unwrap();
    let model = Tensor::read_safetensors(fixture.folder.join("model.safetensors")).unwrap();
    let ones = || Tensor::ones([1, 1, 4, 4], (Kind::Uint8, Device::Cpu));
    let mut tensors: Vec<(String, Tensor)> =
        model.into_iter().map(|(name, t)| (name.replace("transformer.", ""), t)).collect();
    tensors.extend([("h.0.attn.bias".to_owned(), ones()), ("h.0.attn.masked_bias".to_owned(), ones())]);
    Tensor::write_safetensors(&tensors, folder.path().join("model.safetensors")).unwrap();
    let old = weights::read(folder.path()).unwrap();
    old.check(&fixture.architecture).unwrap();
    let start = |base| fixture.read(base, &[trial(Method::Full, 1)]);
    let new = weights::read(&fixture.folder).unwrap();
    assert_eq!(start(old).params.slot(0), start(new).params.slot(0));
}
