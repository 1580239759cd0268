//! A BERT with a head of one output against transformers' `num_labels=1`: squared error, gradients, steps.

use lorasweep::families::Head;
use lorasweep::model::pass::Pass;
use lorasweep::tasks::{Regression, TaskKind};
use lorasweep::values::Method;
use tch::{Kind, Tensor};

use super::{Fixture, bert};

fn fixture() -> Fixture {
    let mut fixture = bert::fixture(|_| ());
    fixture.head = Head::Classifier { labels: 1 };
    let recorded = Tensor::read_safetensors(Fixture::folder("regression.safetensors")).unwrap();
    fixture.recorded.extend(recorded);
    fixture.forward = |fixture, model, step, slots| {
        let (inputs, pass) = (fixture.inputs(step, slots), &mut Pass::evaluation());
        let outputs = model.classify(&model.trunk(&inputs, pass), pass);
        let numbers = fixture.recorded["numbers"].get(step).unsqueeze(0);
        let losses = Regression::EMPTY.losses(&outputs, &numbers);
        (losses.mean_dim([1].as_slice(), false, Kind::Float), outputs)
    };
    fixture
}

#[test]
fn a_head_of_one_output_agrees_with_transformers() {
    fixture().follow("regression", &Method::Full, 1);
}

#[test]
fn every_slot_of_a_pack_agrees_with_the_reference() {
    fixture().follow("regression", &Method::Full, 3);
}
