//! Encoders of other families than BERT, as classifiers, against transformers and PEFT.

use lorasweep::families::{Architecture, Head};
use lorasweep::model::build::{self, Base};
use lorasweep::model::params::Weight;
use lorasweep::model::pass::Pass;
use lorasweep::model::weights;
use lorasweep::values::{Method, Precision};
use tch::Device;

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

/// Everything trained, and adapters on the family's default targets: alone, and in every slot of a pack.
fn agrees(name: &str) {
    let fixture = fixture(name);
    agrees_with(&fixture, fixture.architecture.default_lora_targets());
}

/// The same for adapters on these targets.
fn agrees_with(fixture: &Fixture, targets: &[&str]) {
    let lora = adapters(targets, &["head"]);
    for slots in [1, 3] {
        fixture.follow("full", &Method::Full, slots);
        fixture.follow("lora", &lora, slots);
    }
}

/// The fixture has two types of tokens, and pairs whose second texts are of type 1: transformers was given
/// no types, as RoBERTa's tokenizers give none.
#[test]
fn roberta_agrees_with_transformers_and_peft() {
    agrees("roberta");
}

#[test]
fn distilbert_agrees_with_transformers_and_peft() {
    agrees("distilbert");
}

/// Layers that attend to all tokens, and layers with windows that are shorter than rows.
#[test]
fn modernbert_agrees_with_transformers_and_peft() {
    agrees("modernbert");
}

/// Biases everywhere, and adapters on the layer of the head that was pretrained too.
#[test]
fn modernbert_reads_the_mean_of_all_tokens_as_transformers_does() {
    agrees_with(&fixture("modernbert-mean"), &["all-linear"]);
}

#[test]
fn a_table_of_sinusoids_starts_as_one() {
    let fixture = fixture("distilbert");
    let trials = [trial(Method::Scratch, 1)];
    let start = build::start(&fixture.architecture, fixture.head, &trials, &Base::Fresh, Device::Cpu);
    let start = start.unwrap();
    let table = start.params.find("distilbert.embeddings.position_embeddings.weight");
    let Some(Weight::Stacked(table)) = table else { panic!("it trains") };
    assert_eq!(table.size(), [1, 24, 32]);
    for (row, column) in [(0, 0), (0, 31), (1, 0), (23, 2), (23, 3), (23, 31)] {
        let angle = f64::from(row) / 10_000_f64.powf(f64::from(column / 2 * 2) / 32.0);
        let expected = if column % 2 == 0 { angle.sin() } else { angle.cos() };
        let found = table.double_value(&[0, i64::from(row), i64::from(column)]);
        assert!((found - expected).abs() < 1e-6, "{row}, {column}: {found}, {expected}");
    }
}

#[test]
fn electra_agrees_with_transformers_and_peft() {
    agrees("electra");
}

#[test]
fn an_adapter_in_front_of_the_layers_makes_each_slots_rows_its_own() {
    let fixture = fixture("electra");
    let shares = |target| {
        let base = weights::read(&fixture.folder).unwrap();
        let trials = [1, 2].map(|seed| trial(adapters(&[target], &["head"]), seed));
        fixture.model(&fixture.read(base, &trials)).shares_trunk()
    };
    assert_eq!(["query", "embeddings_project"].map(shares), [true, false]);
}
