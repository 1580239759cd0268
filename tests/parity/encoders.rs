//! Encoders of other families than BERT, as classifiers, against transformers and PEFT.

use lorasweep::families::{Architecture, Head};
use lorasweep::model::pass::Pass;
use lorasweep::model::weights;
use lorasweep::values::{Method, Precision};

use super::{Fixture, adapters, losses, trial};

fn fixture(name: &str) -> Fixture {
    let folder = Fixture::folder(name);
    let config = std::fs::read(folder.join("config.json")).unwrap();
    Fixture {
        architecture: Architecture::from_config(&config).unwrap(),
        head: Head::Classifier { labels: 3 },
        recorded: Fixture::recorded(name),
        folder,
        precision: Precision::Fp32,
        forward: |fixture, model, step, slots| {
            let (inputs, pass) = (fixture.inputs(step, slots), &mut Pass::evaluation());
            let logits = model.classify(&model.trunk(&inputs, pass), pass);
            (losses(&logits, &fixture.recorded["labels"].get(step)), logits)
        },
    }
}

/// Everything trained and adapters on the family's default targets: alone, and in every slot of a pack.
fn agrees(name: &str) {
    let fixture = fixture(name);
    let lora = adapters(fixture.architecture.default_lora_targets(), &["head"]);
    for slots in [1, 3] {
        fixture.follow("full", &Method::Full, slots);
        fixture.follow("lora", &lora, slots);
    }
}

#[test]
fn roberta_agrees_with_transformers_and_peft() {
    agrees("roberta");
}

#[test]
fn distilbert_agrees_with_transformers_and_peft() {
    agrees("distilbert");
}

#[test]
fn electra_agrees_with_transformers_and_peft() {
    agrees("electra");
}

#[test]
fn an_adapter_in_front_of_the_layers_makes_each_slots_rows_its_own() {
    let fixture = fixture("electra");
    let base = weights::read(&fixture.folder).unwrap();
    let shares = |target| {
        let trials = [1, 2].map(|seed| trial(adapters(&[target], &["head"]), seed));
        fixture.model(&fixture.read(&base, &trials)).shares_trunk()
    };
    assert_eq!(["query", "embeddings_project"].map(shares), [true, false]);
}
