//! DoRA against PEFT's `use_dora=True`: on linear layers, on GPT-2's transposed ones, and on every linear layer of a
//! model without biases, with rsLoRA's scale.

use lorasweep::families::Head;
use lorasweep::model::build::{self, Base};
use lorasweep::model::params::Weight;
use lorasweep::values::{Lora, Method};
use tch::{Device, Tensor};

use super::{Fixture, TOLERANCE, adapters, assert_close, bert, decoders, gpt2};

/// A fixture with what was recorded of DoRA on its model, and the method.
fn cases() -> [(Fixture, Method); 3] {
    let on = |fixture: Fixture, method: &Method| {
        let path = fixture.folder.join("dora.safetensors");
        let recorded = Tensor::read_safetensors(path).unwrap().into_iter().collect();
        (Fixture { recorded, ..fixture }, dora(method))
    };
    let Method::Lora(everywhere) = adapters(&["all-linear"], &[]) else { panic!("adapters are LoRA") };
    let everywhere = Method::Lora(Lora { rslora: true, ..everywhere });
    [
        on(bert::fixture(|_| ()), &adapters(&["query", "value"], &["head"])),
        on(gpt2::fixture(Head::LanguageModel), &adapters(&["c_attn", "c_proj"], &[])),
        on(decoders::fixture("llama", Head::LanguageModel), &everywhere),
    ]
}

/// The same adapters as DoRA's.
pub(crate) fn dora(method: &Method) -> Method {
    Method::Dora(method.lora().unwrap().clone())
}

#[test]
fn dora_agrees_with_peft_alone_and_in_packs() {
    for (fixture, method) in cases() {
        for slots in [1, 3] {
            fixture.follow("dora", &method, slots);
        }
    }
}

#[test]
fn lengths_start_as_those_of_the_base_where_nothing_is_changed_yet() {
    for (fixture, method) in cases() {
        let base = lorasweep::model::weights::read(&fixture.folder).unwrap();
        let start = fixture.read(base, &[super::trial(method, 1)]);
        let is_length = |name: &&str| name.ends_with(".lora_magnitude_vector");
        let names: Vec<&str> = start.params.trainable().map(|(name, _)| name).filter(is_length).collect();
        let recorded = fixture.recorded.keys().filter(|name| name.starts_with("dora.fresh.")).count();
        assert!(recorded > 0 && names.len() == recorded, "{names:?}");
        for name in names {
            let Weight::Stacked(ours) = start.params.weight(name) else { panic!("it trains") };
            let theirs = &fixture.recorded[&format!("dora.fresh.base_model.model.{name}")];
            assert_close(name, &ours.get(0), theirs, TOLERANCE);
        }
        let base = lorasweep::model::weights::read(&fixture.folder).unwrap();
        let plain = fixture.read(base, &[super::trial(Method::Full, 1)]);
        let logits = [&start, &plain].map(|start| {
            for shape in fixture.architecture.head_tensors(fixture.head) {
                let (Weight::Stacked(mut head) | Weight::Shared(mut head)) = start.params.weight(&shape.name);
                let _ = tch::no_grad(|| head.fill_(0.25));
            }
            (fixture.forward)(&fixture, &fixture.model(start), 0, 1).1
        });
        assert_close("logits", &logits[0], &logits[1], 1e-7);
    }
}

#[test]
fn a_row_of_zeros_is_named_before_anything_trains() {
    let [(fixture, method), ..] = cases();
    let folder = tempfile::tempdir().unwrap();
    let model = Tensor::read_safetensors(fixture.folder.join("model.safetensors")).unwrap();
    let name = "bert.encoder.layer.1.attention.self.value.weight";
    for (_, tensor) in model.iter().filter(|(found, _)| found == name) {
        let _ = tensor.get(7).zero_();
    }
    Tensor::write_safetensors(&model, folder.path().join("model.safetensors")).unwrap();
    let start = |method: &Method| {
        let base = Base::Read(lorasweep::model::weights::read(folder.path()).unwrap());
        let trials = [super::trial(method.clone(), 1), super::trial(method.clone(), 2)];
        build::start(&fixture.architecture, fixture.head, &trials, &base, Device::Cpu)
    };
    let said = start(&method).unwrap_err().to_string();
    for words in [name, "output 7", "`targets`", "`method: lora`"] {
        assert!(said.contains(words), "{said}");
    }
    assert!(start(&adapters(&["query", "value"], &["head"])).is_ok(), "LoRA divides by nothing");
}
