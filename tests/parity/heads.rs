//! Heads with several labels and heads for tokens against transformers' `problem_type="multi_label_classification"` and
//! `…ForTokenClassification`: losses, logits, gradients, steps.

use lorasweep::families::{Architecture, Head};
use lorasweep::model::Model;
use lorasweep::model::pass::Pass;
use lorasweep::tasks::{MultiLabel, TaskKind};
use lorasweep::values::{Method, Precision};
use tch::{Device, Kind, Tensor};

use super::{Fixture, bert, losses};

const LABELS: usize = 4;
const FAMILIES: [&str; 8] =
    ["bert", "roberta", "electra", "distilbert", "gpt2", "llama", "qwen3", "modernbert"];

/// Adds what was recorded of these heads to a fixture.
fn with_heads(mut fixture: Fixture) -> Fixture {
    fixture.recorded.extend(Tensor::read_safetensors(Fixture::folder("heads.safetensors")).unwrap());
    fixture
}

fn of_sets() -> Fixture {
    let head = Head::Classifier { labels: LABELS };
    let forward = |fixture: &Fixture, model: &Model, step, slots| {
        let (inputs, pass) = (fixture.inputs(step, slots), &mut Pass::evaluation());
        let outputs = model.classify(&model.trunk(&inputs, pass), pass);
        let sets = fixture.recorded["multi_label.sets"].get(step).unsqueeze(0);
        let losses = MultiLabel::EMPTY.losses(&outputs, &sets);
        (losses.mean_dim([1].as_slice(), false, Kind::Float), outputs)
    };
    with_heads(Fixture { head, forward, ..bert::fixture(|_| ()) })
}

fn tagger(name: &str) -> Fixture {
    let folder = Fixture::folder(name);
    let config = std::fs::read(folder.join("config.json")).unwrap();
    let mut fixture = with_heads(Fixture {
        architecture: Architecture::from_config(&config).unwrap(),
        head: Head::Tagger { labels: LABELS },
        recorded: Fixture::recorded(name),
        folder,
        precision: Precision::Fp32,
        forward: tagged,
    });
    let tags = fixture.recorded[&format!("{name}.tags")].shallow_clone();
    fixture.recorded.insert("tags".to_owned(), tags);
    fixture
}

/// The loss of the tokens with a tag, and the logits of all.
fn tagged(fixture: &Fixture, model: &Model, step: i64, slots: i64) -> (Tensor, Tensor) {
    let inputs = fixture.inputs(step, slots);
    let [_, rows, tokens] = inputs.shape;
    let all = Tensor::arange(rows * tokens, (Kind::Int64, Device::Cpu)).repeat([slots, 1]);
    let pass = &mut Pass::evaluation();
    let logits = model.tag(&model.trunk(&inputs, pass), &all, pass).unwrap();
    let logits = logits.view([logits.size()[0], rows, tokens, -1]);
    let mask = fixture.recorded["attention_mask"].get(step).unsqueeze(-1);
    (losses(&logits, &fixture.recorded["tags"].get(step)), logits * mask)
}

#[test]
fn several_labels_agree_with_transformers_alone_and_in_packs() {
    for slots in [1, 3] {
        of_sets().follow("multi_label", &Method::Full, slots);
    }
}

#[test]
fn every_familys_tagger_agrees_with_transformers_alone_and_in_packs() {
    for name in FAMILIES {
        for slots in [1, 3] {
            tagger(name).follow(name, &Method::Full, slots);
        }
    }
}

/// A pooler is part of a model for whole texts alone.
#[test]
fn a_tagger_has_no_pooler() {
    let fixture = tagger("bert");
    let names = |head| fixture.architecture.all_tensors(head).into_iter().map(|tensor| tensor.name);
    assert!(names(Head::Classifier { labels: LABELS }).any(|name| name.contains("pooler")));
    assert!(!names(fixture.head).any(|name| name.contains("pooler")));
    let adapted = fixture.architecture.linears(fixture.head);
    assert!(adapted.iter().all(|linear| !linear.name.contains("pooler")));
}
