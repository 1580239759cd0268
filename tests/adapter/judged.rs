//! A model is asked as it was judged: the same rows have the same logits in both, bit for bit.

use lorasweep::adapter::predict::{Question, predict};
use lorasweep::data::batches;
use lorasweep::data::store::{PartBuilder, TokenStore};
use lorasweep::model::pass::Pass;
use lorasweep::tasks::{Encoder, Examples, Targets};
use lorasweep::tokenizer::Tokenizer;
use lorasweep::train::batch::{Collator, Seen};
use lorasweep::values::Part;
use tch::{Device, Tensor};

use crate::support::{Bench, classifier, lora};

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn predict_and_evaluation_read_the_same_rows_to_the_same_bits() {
    let pairs = [
        ("w5 w17 w40", "w9"),
        ("w8", "w30 w31 w32 w33"),
        ("", "w5"),
        ("w7 w8 w9 w10 w11", "w12 w13 w14 w15"),
    ];
    for (family, target, second) in [
        ("bert", "query", true),
        ("bert", "query", false),
        ("roberta", "query", true),
        ("gpt2", "c_attn", false),
    ] {
        let bench = Bench::new(&classifier(family, 1, lora(&[target], &[])));
        let loaded = bench.trial();
        let (texts, seconds): (Vec<String>, Vec<String>) =
            pairs.iter().map(|(text, second)| ((*text).to_owned(), (*second).to_owned())).unzip();
        let seconds = second.then_some(seconds);
        let question =
            Question { texts: &texts, seconds: seconds.as_deref(), max_new_tokens: None, logits: true };
        let asked: Vec<Vec<u32>> =
            predict(&loaded, &question).unwrap().iter().map(|answer| bits(&answer.logits)).collect();

        let (tokenizer, architecture) =
            (Tokenizer::load(&loaded.tokenizer).unwrap(), &loaded.manifest.architecture);
        let (sweep, store) = (&bench.record.sweep, bench.path("store"));
        let kind = &*sweep.first_task().objective;
        let by = Encoder {
            tokenizer: &tokenizer,
            max_length: loaded.manifest.max_length.min(architecture.max_length()),
        };
        let rows = Examples::Texts { texts, pairs: seconds, targets: Targets::Classes(vec![0; pairs.len()]) };
        std::fs::create_dir(&store).unwrap();
        PartBuilder::from_iter(kind.encode(&rows, by).unwrap()).write(&store, Part::Train).unwrap();
        let store = TokenStore::open(&store).unwrap();
        let part = store.part(Part::Train).unwrap();
        let collator = Collator { kind, padding: architecture.padding(), device: Device::Cpu };
        let model = loaded.model();
        let mut judged = vec![Vec::new(); pairs.len()];
        for rows in batches::evaluation(&[0, 1, 2, 3], &part.lengths(), 4096) {
            let batch = collator.collate(part, &[Seen::of(&rows, 1.0)]);
            assert!(batch.inputs.mask.is_some() && batch.inputs.token_types.is_some() == second);
            let logits: Tensor = tch::no_grad(|| {
                let pass = &mut Pass::evaluation();
                model.classify(&model.trunk(&batch.inputs, pass), pass).get(0)
            });
            for (place, row) in (0..).zip(&rows) {
                judged[*row as usize] = bits(&Vec::try_from(logits.get(place)).unwrap());
            }
        }
        assert_eq!(asked, judged, "{family}");
    }
}
