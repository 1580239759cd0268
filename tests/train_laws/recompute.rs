//! Layers that are computed again on the way back teach a trial the same, to the last bit.

use std::path::Path;

use lorasweep::families::{Architecture, Weights};
use lorasweep::values::{Configuration, Lora, Method, Precision, Training, Trial};

use crate::bench::{Bench, alone, assert_identical};
use crate::laws::{ALL, BOTH, packs};
use crate::subject::{Subject, training};

const DECODERS: [&str; 4] = ["llama", "mistral", "qwen2", "qwen3"];

/// The same trials, that recompute.
fn recomputing(subject: Subject, trials: &[Trial]) -> Vec<Trial> {
    let again = |trial: &Trial| {
        let Configuration { method, training, .. } = (*trial.configuration).clone();
        subject.trial(method, Training { recompute: true, ..training })
    };
    let again: Vec<Trial> = trials.iter().map(again).collect();
    assert!(again.iter().zip(trials).all(|(again, trial)| again.id == trial.id), "no id depends on it");
    again
}

/// Trains these trials in a pack, with and without, where `bench` makes a folder for each.
#[track_caller]
fn assert_same(bench: impl Fn() -> Bench, trials: &[Trial]) {
    let (plain, again) = (bench(), bench());
    plain.train(trials);
    again.train(&recomputing(again.subject, trials));
    for trial in trials {
        assert_identical(&again, &plain, trial);
    }
}

#[test]
fn packs_of_every_method_learn_the_same() {
    let _alone = alone();
    for mode in BOTH {
        for trials in packs(Subject::Language) {
            assert_same(|| Bench::with(Subject::Language, mode), &trials);
        }
    }
    for subject in ALL {
        assert_same(|| Bench::new(subject), &subject.grid());
    }
    let [_, _, _, full] = packs(Subject::Labels);
    assert_same(|| Bench::new(Subject::Labels), &full);
}

/// Gradients flow below the first adapter where the embedding trains, and nowhere else.
#[test]
fn trials_learn_the_same_whatever_lies_below_their_first_adapter() {
    let _alone = alone();
    for (subject, embedding) in [(Subject::Labels, "word_embeddings"), (Subject::Language, "wte")] {
        let lora = subject.lora(4, 8.0, 0.2).lora().unwrap().clone();
        let with_embedding = Lora { modules_to_save: vec![embedding.to_owned()], ..lora.clone() };
        for lora in [&lora, &with_embedding] {
            for layers in [None, Some(vec![0]), Some(vec![1])] {
                let method = Method::Lora(Lora { layers_to_transform: layers, ..lora.clone() });
                assert_same(|| Bench::new(subject), &[subject.trial(method, training())]);
            }
        }
    }
}

/// A folder in which the fixture of a family learns a subject, with dropout.
fn bench_of(subject: Subject, family: &str) -> Bench {
    let mut bench = Bench::new(subject);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(family);
    let config = std::fs::read_to_string(path.join("config.json")).unwrap();
    let dropping = ["dropout", "dropout_prob"].into_iter().fold(config.clone(), |config, key| {
        config.replace(&format!("{key}\": 0.0"), &format!("{key}\": 0.1"))
    });
    assert_ne!(config, dropping);
    bench.model.architecture = Architecture::from_config(dropping.as_bytes()).unwrap();
    let Weights::Folder { path: folder, .. } = &mut bench.model.weights else { unreachable!() };
    *folder = path;
    bench
}

#[test]
fn decoders_learn_the_same() {
    let _alone = alone();
    for family in DECODERS {
        let bench = || bench_of(Subject::Language, family);
        let trial = |method: Method, seed, precision| {
            Subject::Language.trial(method, Training { seed, precision, ..training() })
        };
        let lora = |rank| Lora { dropout: 0.2, ..Lora::new(&["q_proj", "v_proj", "down_proj"], rank, 8.0) };
        let precisions = match family {
            "qwen3" => &[Precision::Fp32, Precision::Bf16][..],
            _ => &[Precision::Fp32],
        };
        for precision in precisions {
            let three = |method: &dyn Fn(usize) -> Method| [2, 4, 8].map(|n| trial(method(n), 1, *precision));
            assert_same(bench, &three(&|rank| Method::Lora(lora(rank))));
            assert_same(bench, &three(&|rank| Method::Dora(lora(rank))));
            assert_same(bench, &[1, 2, 3].map(|seed| trial(Method::Full, seed, *precision)));
        }
    }
}

#[test]
fn encoders_learn_the_same() {
    let _alone = alone();
    for family in ["roberta", "distilbert", "electra", "modernbert"] {
        let bench = || bench_of(Subject::Labels, family);
        let targets = bench().model.architecture.default_lora_targets();
        let adapted = Method::Lora(Lora { dropout: 0.2, ..Lora::new(targets, 4, 8.0) });
        for method in [adapted, Method::Full] {
            assert_same(bench, &[Subject::Labels.trial(method, training())]);
        }
    }
}

#[test]
fn a_trial_that_goes_on_with_it_or_without_it_learns_the_same() {
    let _alone = alone();
    let subject = Subject::Language;
    let plain = [subject.trial(subject.lora(4, 8.0, 0.2), training())];
    let again = recomputing(subject, &plain);
    let (whole, switched) = (Bench::new(subject), Bench::new(subject));
    whole.train(&plain);
    for trials in [&again[..], &plain, &again] {
        let _ = switched.attempt(trials, true).0.unwrap();
    }
    switched.train(&plain);
    assert_identical(&switched, &whole, &plain[0]);
}
