//! Adapters of each of PEFT's settings, as `tests/fixtures/make_adapters.py` saved them with PEFT, answer
//! here what they answer in Python.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use lorasweep::adapter::AdapterError;
use lorasweep::adapter::base::ModelFolder;
use lorasweep::adapter::import::{Imported, Request, import};
use lorasweep::adapter::model::Loaded;
use lorasweep::adapter::predict::{Question, predict};
use lorasweep::error::AppError;
use lorasweep::families::Head;
use lorasweep::model::weights;
use lorasweep::values::Lora;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::write_base;

/// The texts of the script's `ROWS`.
const TEXTS: [&str; 3] = ["w5 w17 w40", "w8", "w9 w30 w9 w30 w58"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adapters")
}

fn expected() -> BTreeMap<String, Vec<Vec<f32>>> {
    serde_json::from_slice(&fs::read(fixtures().join("expected.json")).unwrap()).unwrap()
}

/// A folder with both bases, and copies of adapters that can be changed.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for family in ["bert", "gpt2"] {
            write_base(folder.path(), family, family);
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn adapter(&self, name: &str) -> PathBuf {
        let folder = self.path(name);
        fs::create_dir(&folder).unwrap();
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            fs::copy(fixtures().join(name).join(file), folder.join(file)).unwrap();
        }
        folder
    }

    fn import(&self, adapter: &Path, out: &str) -> Result<Imported, AdapterError> {
        let name = adapter.file_name().unwrap().to_string_lossy();
        let base = self.path(name.split('-').next().unwrap());
        let out = self.path(out);
        import(&Request { adapter, base: &base, out: &out, labels: None, problem: None, layers: None })
    }
}

/// The modules that PEFT put adapters on, and those that a trial with these settings has them on.
fn adapted(adapter: &str, lora: &Lora) -> [Vec<String>; 2] {
    let place = Place::new();
    let base = ModelFolder::open(&place.path(adapter.split('-').next().unwrap())).unwrap();
    let tensors = weights::read_file(&fixtures().join(adapter).join("adapter_model.safetensors")).unwrap();
    let module = |name: &str| {
        let name = name.strip_prefix("base_model.model.")?.strip_suffix(".lora_A.weight")?;
        Some(name.to_owned())
    };
    let ours = base.architecture.adapted(Head::LanguageModel, lora).into_iter().map(|layer| layer.name);
    [tensors.names().filter_map(module).collect(), ours.collect()].map(|mut names: Vec<String>| {
        names.sort();
        names
    })
}

#[test]
fn a_trials_adapters_are_where_peft_puts_them() {
    let layers = Lora { layers_to_transform: Some(vec![1]), ..Lora::new(&["query", "value"], 3, 7.0) };
    let [theirs, ours] = adapted("bert-layers", &layers);
    assert_eq!((theirs.len(), &theirs), (2, &ours));
    let [theirs, ours] = adapted("bert-all-linear", &Lora::new(&["all-linear"], 2, 7.0));
    assert_eq!((theirs.len(), &theirs), (13, &ours));
}

fn logits(loaded: &Loaded) -> Vec<Vec<f32>> {
    let texts = TEXTS.map(str::to_owned);
    let question = Question { texts: &texts, seconds: None, max_new_tokens: Some(1), logits: true };
    predict(loaded, &question).unwrap().into_iter().map(|answer| answer.logits).collect()
}

#[track_caller]
fn close(what: &str, found: &[Vec<f32>], expected: &[Vec<f32>]) {
    assert_eq!(
        found.iter().map(Vec::len).collect::<Vec<_>>(),
        expected.iter().map(Vec::len).collect::<Vec<_>>()
    );
    let pairs = found.iter().flatten().zip(expected.iter().flatten());
    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let largest = expected.iter().flatten().copied().map(f32::abs).fold(1.0, f32::max);
    // Loading PiSSA's adapters begins with singular values of the base, whose last bits depend on the CPU: PEFT's own
    // logits of `gpt2-pissa`, up to 6.26, are 1.5e-4 apart between an Intel Xeon (the fixture) and an AMD EPYC.
    let tolerance = if what.contains("-pissa") && !what.contains("converted") { 5e-5 } else { 2e-5 };
    assert!(worst < tolerance * largest, "{what}: logits of up to {largest} are up to {worst} apart");
}

/// What the user reads: message and hint.
#[track_caller]
fn says<T: std::fmt::Debug>(result: Result<T, AdapterError>, words: &[&str]) {
    let error = AppError::from(result.unwrap_err());
    let said = format!("{error} / {}", error.hint().unwrap_or_default());
    for word in words {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
}

/// Changes the names of a file's tensors; where there is no new one, the tensor is left out.
fn rename(path: &Path, change: impl Fn(&str) -> Vec<String>) {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let views: Vec<(String, TensorView<'_>)> = file
        .iter()
        .flat_map(|(name, view)| change(name).into_iter().map(move |new| (new, view.clone())))
        .collect();
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn set(adapter: &Path, key: &str, value: Value) {
    let path = adapter.join("adapter_config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config[key] = value;
    fs::write(path, config.to_string()).unwrap();
}

#[test]
fn every_setting_computes_what_peft_computes_and_so_does_its_merged_model() {
    let place = Place::new();
    let expected = expected();
    assert!(expected.len() >= 23, "{}", expected.len());
    for (name, expected) in expected.iter().filter(|(name, _)| name.as_str() != "gpt2-words-apart") {
        let out = format!("{name}-imported");
        place.import(&place.adapter(name), &out).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut loaded = Loaded::of_adapter(&place.path(&out), None).unwrap();
        close(name, &logits(&loaded), expected);
        // An import of the import is the same adapter.
        let again = place.path(&format!("{name}-again"));
        let base = place.path(name.split('-').next().unwrap());
        let request = Request {
            adapter: &place.path(&out),
            base: &base,
            out: &again,
            labels: None,
            problem: None,
            layers: None,
        };
        import(&request).unwrap();
        close(name, &logits(&Loaded::of_adapter(&again, None).unwrap()), expected);
        loaded.tensors = loaded.merged();
        loaded.adapters.clear();
        close(&format!("{name}, merged"), &logits(&loaded), expected);
    }
}

#[test]
fn each_module_has_its_own_rank_and_scale() {
    let place = Place::new();
    place.import(&place.adapter("bert-sizes"), "out").unwrap();
    let loaded = Loaded::of_adapter(&place.path("out"), None).unwrap();
    let sizes: HashMap<String, (i64, f64)> = loaded
        .scales
        .iter()
        .map(|(module, scale)| {
            let rank = loaded.adapters[&format!("{module}.lora_A.weight")].size()[0];
            (module.replace("bert.encoder.layer.", "").replace(".attention.self", ""), (rank, *scale))
        })
        .collect();
    // `layer.1.*` comes before `value` in the file, and decides where both fit.
    let expected = [
        ("0.query", (3, 7.0 / 3.0)),
        ("0.value", (5, 11.0 / 5.0)),
        ("1.query", (2, 3.5 / 2.0)),
        ("1.value", (2, 11.0 / 2.0)),
    ];
    assert_eq!(sizes, expected.map(|(name, sizes)| (name.to_owned(), sizes)).into());
}

#[test]
fn tensors_are_found_under_the_names_that_people_have() {
    let place = Place::new();
    let expected = &expected()["bert-bias-of-lora"];
    let with_name =
        |name: &str| name.replace(".lora_A.", ".lora_A.default.").replace(".lora_B.", ".lora_B.default.");
    let wrapped = |name: &str| name.replace("model.classifier.", "model.classifier.modules_to_save.default.");
    let bare = |name: &str| name.replace("base_model.model.", "");
    type Change<'a> = &'a dyn Fn(&str) -> Vec<String>;
    let changes: [(&str, Change<'_>); 5] = [
        ("bert-a", &|name| vec![with_name(&wrapped(name))]),
        ("bert-b", &|name| vec![bare(name)]),
        ("bert-c", &|name| vec![name.replace(".base_layer.", ".")]),
        ("bert-d", &|name| vec![name.replace("base_model.model.bert.", "base_model.model.")]),
        ("bert-e", &|name| {
            let before = name.replace("model.classifier.", "model.classifier.original_module.");
            if before == name { vec![name.to_owned()] } else { vec![wrapped(name), before] }
        }),
    ];
    let source = place.adapter("bert-bias-of-lora");
    for (name, change) in changes {
        let folder = place.path(name);
        fs::create_dir(&folder).unwrap();
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            fs::copy(source.join(file), folder.join(file)).unwrap();
        }
        rename(&folder.join("adapter_model.safetensors"), change);
        let out = format!("{name}-out");
        place.import(&folder, &out).unwrap_or_else(|error| panic!("{name}: {error}"));
        close(name, &logits(&Loaded::of_adapter(&place.path(&out), None).unwrap()), expected);
    }
}

#[test]
fn an_import_has_the_names_that_peft_looks_for() {
    let place = Place::new();
    place.import(&place.adapter("bert-bias-of-lora"), "out").unwrap();
    let file = weights::read_file(&place.path("out").join("adapter_model.safetensors")).unwrap();
    let original =
        weights::read_file(&place.path("bert-bias-of-lora").join("adapter_model.safetensors")).unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), original.names().collect::<Vec<_>>());
    let query = "base_model.model.bert.encoder.layer.0.attention.self.query.base_layer.bias";
    assert!(file.tensor(query).is_some());
}

#[test]
fn biases_that_were_not_saved_are_told_of() {
    let place = Place::new();
    let adapter = place.adapter("bert-layers");
    set(&adapter, "bias", json!("lora_only"));
    let imported = place.import(&adapter, "out").unwrap();
    assert!(imported.notes[0].contains("`bias`: `lora_only`"), "{:?}", imported.notes);
    close(
        "bert-layers",
        &logits(&Loaded::of_adapter(&place.path("out"), None).unwrap()),
        &expected()["bert-layers"],
    );
    let plain = place.import(&place.adapter("bert-bias-of-all"), "plain").unwrap();
    assert_eq!(plain.notes, [""; 0]);
    let pissa = place.import(&place.adapter("bert-pissa"), "pissa").unwrap();
    assert!(pissa.notes[0].contains("PiSSA") && pissa.notes.len() == 1, "{:?}", pissa.notes);
}

#[test]
fn an_embedding_of_another_size_is_refused_with_its_sizes_and_the_way_out() {
    let place = Place::new();
    says(
        place.import(&place.adapter("gpt2-words-resized"), "out"),
        &[
            "transformer.wte.weight` has 62 rows, and the base's has 60",
            "resize_token_embeddings(62)",
            "--base",
        ],
    );
    assert!(!place.path("out").exists());
}

#[test]
fn a_base_without_a_pooler_needs_an_adapter_that_brings_one() {
    let place = Place::new();
    let path = place.path("bert").join("model.safetensors");
    rename(&path, |name| if name.contains(".pooler.") { Vec::new() } else { vec![name.to_owned()] });
    place.import(&place.adapter("bert-pooler"), "out").unwrap();
    let loaded = Loaded::of_adapter(&place.path("out"), None).unwrap();
    close("bert-pooler", &logits(&loaded), &expected()["bert-pooler"]);
    let words = ["has no `bert.pooler.dense.weight`", "drawn at random", "`pooler`"];
    says(place.import(&place.adapter("bert-layers"), "other"), &words);
}

#[test]
fn an_output_layer_of_its_own_is_refused() {
    let place = Place::new();
    let words = ["an output layer (`lm_head`) that is not the word embedding", "merge_and_unload"];
    says(place.import(&place.adapter("gpt2-words-apart"), "out"), &words);
    let adapter = place.adapter("gpt2-words");
    let path = adapter.join("adapter_model.safetensors");
    rename(&path, |name| if name.ends_with("wte.weight") { Vec::new() } else { vec![name.to_owned()] });
    says(place.import(&adapter, "out"), &words);
}

#[test]
fn what_is_not_computed_here_is_refused_by_name() {
    let place = Place::new();
    for (index, (key, value)) in [
        ("use_qalora", json!(true)),
        ("trainable_token_indices", json!([3])),
        ("layer_replication", json!([[0, 2]])),
        ("target_parameters", json!(["value.weight"])),
        ("init_lora_weights", json!("corda")),
    ]
    .into_iter()
    .enumerate()
    {
        let adapter = place.path(&format!("bert-{index}"));
        fs::rename(place.adapter("bert-layers"), &adapter).unwrap();
        set(&adapter, key, value.clone());
        says(
            place.import(&adapter, "out"),
            &[&format!("`{key}`: {value}"), "merge_and_unload", "predict --model"],
        );
    }
    let adapter = place.adapter("bert-layers");
    rename(&adapter.join("adapter_model.safetensors"), |name| {
        vec![name.to_owned(), name.replace(".lora_A.", ".lora_A.other.")]
            .into_iter()
            .take(if name.contains("lora_A") { 2 } else { 1 })
            .collect()
    });
    says(place.import(&adapter, "out"), &["holds two adapters", "selected_adapters"]);
}

#[test]
fn a_module_that_the_settings_leave_out_is_not_missed_and_one_too_many_is_named() {
    let place = Place::new();
    let adapter = place.adapter("bert-excluded-name");
    set(&adapter, "exclude_modules", json!(["1.attention.self.query"]));
    says(place.import(&adapter, "out"), &["layer.1.attention.self.query.lora_A.weight"]);
    set(&adapter, "exclude_modules", Value::Null);
    says(place.import(&adapter, "out"), &["has no tensor", "layer.0.attention.self.query.lora_A.weight"]);
    set(&adapter, "rank_pattern", json!({"value": 4}));
    set(&adapter, "exclude_modules", json!(["0.attention.self.query"]));
    says(place.import(&adapter, "out"), &["value.lora_A.weight", "[4, 32]", "[3, 32]"]);
}

#[test]
fn doras_lengths_are_found_by_their_names_and_belong_to_doras_settings_alone() {
    let place = Place::new();
    for (index, end) in ["", ".weight", ".default", ".default.weight"].into_iter().enumerate() {
        let adapter = place.path(&format!("bert-{index}"));
        fs::rename(place.adapter("bert-dora"), &adapter).unwrap();
        let longer = |name: &str| match name.strip_suffix(".lora_magnitude_vector") {
            Some(module) => vec![format!("{module}.lora_magnitude_vector{end}")],
            None => vec![name.to_owned()],
        };
        rename(&adapter.join("adapter_model.safetensors"), longer);
        let out = format!("out-{index}");
        place.import(&adapter, &out).unwrap();
        let loaded = Loaded::of_adapter(&place.path(&out), None).unwrap();
        close("bert-dora", &logits(&loaded), &expected()["bert-dora"]);
    }
    let adapter = place.adapter("bert-dora");
    set(&adapter, "lora_bias", json!(true));
    says(place.import(&adapter, "out"), &["`lora_bias` with `use_dora`", "merge_and_unload"]);
    set(&adapter, "lora_bias", json!(false));
    set(&adapter, "use_dora", json!(false));
    says(place.import(&adapter, "out"), &["query.lora_magnitude_vector"]);
    let adapter = place.adapter("bert-layers");
    set(&adapter, "use_dora", json!(true));
    says(place.import(&adapter, "out"), &["has no tensor", "query.lora_magnitude_vector"]);
}
