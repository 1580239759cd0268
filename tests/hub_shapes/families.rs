//! Folders of each family in the shapes that the hub has them in: a saved classifier, a base model whose
//! names have no prefix, and a model that fills in masked words. Whatever a folder calls its tensors, the
//! same is trained.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lorasweep::families::Architecture;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

use crate::site::Site;

/// A family's fixture, and what its models have that fill in masked words.
struct Shapes {
    fixture: &'static str,
    masked_class: &'static str,
    masked: &'static [&'static str],
}

const FAMILIES: [Shapes; 4] = [
    Shapes {
        fixture: "roberta",
        masked_class: "RobertaForMaskedLM",
        masked: &[
            "lm_head.bias",
            "lm_head.dense.weight",
            "lm_head.layer_norm.weight",
            "lm_head.decoder.weight",
        ],
    },
    Shapes {
        fixture: "distilbert",
        masked_class: "DistilBertForMaskedLM",
        masked: &["vocab_transform.weight", "vocab_layer_norm.weight", "vocab_projector.weight"],
    },
    Shapes {
        fixture: "electra",
        masked_class: "ElectraForPreTraining",
        masked: &[
            "discriminator_predictions.dense.weight",
            "discriminator_predictions.dense_prediction.weight",
        ],
    },
    Shapes {
        fixture: "modernbert",
        masked_class: "ModernBertForMaskedLM",
        masked: &["decoder.bias", "decoder.weight"],
    },
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The fixture with its tensors called otherwise, or left out, and others beside them.
fn folder(
    site: &Site,
    shapes: &Shapes,
    class: &str,
    called: impl Fn(&str) -> Option<String>,
    beside: &[&str],
) {
    let from = fixture(shapes.fixture);
    let path = site.file(&format!("{class}/model.safetensors"));
    let bytes = fs::read(from.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let kept = file.iter().filter_map(|(name, view)| Some((called(name)?, view)));
    let mut tensors: BTreeMap<String, TensorView<'_>> = kept.collect();
    for name in beside {
        tensors.insert((*name).to_owned(), TensorView::new(Dtype::F32, vec![2], &[0; 8]).unwrap());
    }
    fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
    let mut config: Value = serde_json::from_slice(&fs::read(from.join("config.json")).unwrap()).unwrap();
    config["architectures"] = vec![class].into();
    fs::write(path.with_file_name("config.json"), config.to_string()).unwrap();
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned);
    let tokens: Vec<String> = special.into_iter().chain((5..60).map(|n| format!("w{n}"))).collect();
    fs::write(path.with_file_name("vocab.txt"), tokens.join("\n") + "\n").unwrap();
}

#[test]
fn whatever_a_folder_calls_its_tensors_the_same_is_trained() {
    for shapes in FAMILIES {
        let site = Site::new();
        let json = fs::read(fixture(shapes.fixture).join("config.json")).unwrap();
        let about = Architecture::from_config(&json).unwrap().about();
        let prefix = about.prefix;
        // What lies between base and head has no prefix, and was pretrained too.
        let is_between = |name: &str| about.optional.iter().any(|(start, _)| name.starts_with(start));
        let of_base = |name: &str| (name.starts_with(prefix) || is_between(name)).then(|| name.to_owned());
        folder(&site, &shapes, "Whole", |name| Some(name.to_owned()), &[]);
        folder(
            &site,
            &shapes,
            "Bare",
            |name| name.strip_prefix(prefix).or(is_between(name).then_some(name)).map(str::to_owned),
            &["pooler.dense.bias"],
        );
        folder(&site, &shapes, shapes.masked_class, of_base, shapes.masked);
        let rows: String =
            (0..24).map(|row| format!("w{} w{},{}\n", 5 + row, 9 + row, ["no", "yes"][row % 2])).collect();
        fs::write(site.file("data.csv"), format!("text,label\n{rows}")).unwrap();
        let sweep = format!(
            "name: shapes\n\
             task: {{kind: classification, train: data.csv, text: text, label: label, max_length: 16}}\n\
             models: {{whole: {{from: Whole}}, bare: {{from: Bare}}, masked: {{from: {masked}}}}}\n\
             grid:\n  - {{method: lora, model: [whole, bare, masked], rank: 2, learning_rate: 1e-2, batch_size: 4, seed: 1}}\n\
             split: {{fraction: 0.25}}\n\
             training: {{epochs: 1}}\n",
            masked = shapes.masked_class
        );
        fs::write(site.file("shapes.yaml"), sweep).unwrap();
        let said = site.lorasweep(&["run", "shapes.yaml", "--quiet"]);
        assert_eq!(said.code, 0, "{}: {}", shapes.fixture, said.stderr);
        let trials: Vec<PathBuf> = fs::read_dir(site.path().join("results/shapes/trials"))
            .unwrap()
            .map(|trial| trial.unwrap().path())
            .collect();
        let results = trials.iter().map(|trial| -> Value {
            serde_json::from_slice(&fs::read(trial.join("result.json")).unwrap()).unwrap()
        });
        let scores: Vec<Value> = results.map(|result| result["validation"].clone()).collect();
        assert_eq!(scores.len(), 3);
        assert!(scores.iter().all(|own| own == &scores[0] && own["loss"].is_f64()), "{scores:?}");
        let id = trials[0].file_name().unwrap().to_string_lossy().into_owned();
        let said = site.lorasweep(&["export", "shapes", &id, "--out", "out"]);
        assert_eq!(said.code, 0, "{}: {}", shapes.fixture, said.stderr);
        let logits = |args: &[&str]| -> Value {
            let said = site.lorasweep(&[&["predict"], args, &["w7 w8", "--json", "--logits"]].concat());
            assert_eq!(said.code, 0, "{}", said.stderr);
            serde_json::from_str::<Value>(said.stdout.trim()).unwrap()["logits"].clone()
        };
        assert_eq!(logits(&["--adapter", "out"]), logits(&["shapes", &id]), "{}", shapes.fixture);
    }
}
