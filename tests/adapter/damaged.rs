//! What is said about adapters that cannot be used, and that nothing comes of them.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lorasweep::adapter::AdapterError;
use lorasweep::adapter::import::{Request, import};
use lorasweep::adapter::model::Loaded;
use lorasweep::adapter::predict::{Question, predict};
use lorasweep::disk::files;
use lorasweep::error::AppError;
use lorasweep::families::Weights;
use lorasweep::sweep::SweepParts;
use lorasweep::values::Configuration;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use crate::support::{Bench, ask, classifier, distance, lora, save, write_base};

const TENSORS: &str = "adapter_model.safetensors";

fn bench() -> Bench {
    Bench::new(&classifier("bert", 2, lora(&["query", "value"], &["head"])))
}

fn import_it(bench: &Bench, adapter: &Path, base: &Path) -> Result<PathBuf, AdapterError> {
    let out = bench.path("imported");
    import(&Request { adapter, base, out: &out, labels: None, problem: None, layers: None }).map(|_| out)
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

/// Changes the tensors of a safetensors file.
fn rewrite(path: &Path, change: impl Fn(&str, &[u8]) -> Option<Vec<u8>>) {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let changed: Vec<(String, Vec<u8>, TensorView<'_>)> = file
        .iter()
        .filter_map(|(name, view)| Some((name.to_owned(), change(name, view.data())?, view)))
        .collect();
    let views = changed.iter().map(|(name, bytes, view)| {
        (name, TensorView::new(view.dtype(), view.shape().to_vec(), bytes).unwrap())
    });
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

#[test]
fn another_base_is_refused_by_its_shapes_or_by_its_values() {
    let bench = bench();
    let out = bench.export("out", false).unwrap();
    let other = write_base(bench.folder.path(), "other", "bert");
    assert!(Loaded::of_adapter(&out, Some(&other)).is_ok(), "a copy of the base is the base");
    rewrite(&other.join("model.safetensors"), |name, bytes| {
        let mut bytes = bytes.to_vec();
        bytes[0] ^= u8::from(name.ends_with("layer.1.output.dense.weight"));
        Some(bytes)
    });
    says(
        Loaded::of_adapter(&out, Some(&other)),
        &["other` is not the base", "other values", "lorasweep.json"],
    );
    let name = "bert.encoder.layer.0.attention.self.key.weight";
    rewrite(&other.join("model.safetensors"), |found, bytes| (found != name).then(|| bytes.to_vec()));
    says(Loaded::of_adapter(&out, Some(&other)), &["is not the base", name]);
    let gpt2 = write_base(bench.folder.path(), "gpt2", "gpt2");
    says(
        Loaded::of_adapter(&out, Some(&gpt2)),
        &["is not the base", "bert.embeddings.word_embeddings.weight"],
    );
    says(import_it(&bench, &out, &gpt2), &["adapter"]);
}

#[test]
fn an_adapter_of_other_sizes_names_its_tensor() {
    let bench = bench();
    let out = bench.export("out", false).unwrap();
    edit(&out.join("adapter_config.json"), |config| config["r"] = json!(5));
    says(import_it(&bench, &out, &bench.path("base")), &["lora_A.weight", "[3, 32]", "[5, 32]"]);
}

#[test]
fn a_base_that_changed_since_the_training_is_noticed() {
    let bench = bench();
    let model = bench.path("base/model.safetensors");
    rewrite(&model, |_, bytes| Some(bytes.iter().map(|byte| byte ^ 1).collect()));
    says(bench.export("out", false), &["have changed since the trial started from them"]);
}

/// A frozen head is not in the checkpoint: it is drawn again whenever its trial is opened.
#[test]
fn what_another_version_drew_is_not_drawn_in_another_way() {
    for (saved, refused) in [(&["head"][..], false), (&[], true)] {
        let mut bench = Bench::new(&classifier("bert", 2, lora(&["query"], saved)));
        assert!(bench.export("before", false).is_ok());
        let trial = &mut bench.record.trials[0].trial;
        let id = "00000000000000ab".parse().unwrap();
        trial.configuration = Arc::new(Configuration { id, ..Configuration::clone(&trial.configuration) });
        let exported = bench.export("out", false);
        if refused {
            says(exported, &["another version of lorasweep", "drawn at random", "or run the sweep again"]);
        } else {
            assert!(exported.is_ok());
        }
    }
}

#[test]
fn a_base_without_weights_is_no_reason_to_draw_some() {
    let mut bench = bench();
    let lose = |sweep: &mut SweepParts| {
        sweep.models.values_mut().for_each(|model| model.weights = Weights::Absent);
    };
    bench.record.sweep = bench.record.sweep.with(lose).unwrap();
    says(bench.export("out", false), &["the model `tiny` has no weights"]);
}

#[test]
fn a_layer_that_trained_whole_and_with_an_adapter_is_exported_merged_alone() {
    let bench = Bench::new(&classifier("bert", 1, lora(&["query", "dense"], &["head", "pooler"])));
    says(bench.export("out", false), &["`bert.pooler.dense` whole and with an adapter", "--merged"]);
    let merged = Loaded::of_model(&bench.export("merged", true).unwrap()).unwrap();
    assert!(distance(&ask(&bench.trial()), &ask(&merged)) < 1e-4);
}

#[test]
fn a_missing_head_is_said_to_be_missing() {
    let bench = bench();
    let out = bench.export("out", false).unwrap();
    rewrite(&out.join(TENSORS), |name, bytes| (!name.contains("classifier")).then(|| bytes.to_vec()));
    let words = ["has no head", "base_model.model.classifier.weight", "modules_to_save"];
    says(import_it(&bench, &out, &bench.path("base")), &words);
    says(Loaded::of_adapter(&out, None), &words);
    edit(&out.join("adapter_config.json"), |config| config["task_type"] = Value::Null);
    says(import_it(&bench, &out, &bench.path("base")), &words);
}

#[test]
fn a_missing_or_a_strange_tensor_is_named() {
    let bench = bench();
    let out = bench.export("out", false).unwrap();
    let whole = fs::read(out.join(TENSORS)).unwrap();
    let name = "base_model.model.bert.encoder.layer.1.attention.self.value.lora_B.weight";
    rewrite(&out.join(TENSORS), |found, bytes| (found != name).then(|| bytes.to_vec()));
    says(import_it(&bench, &out, &bench.path("base")), &["has no tensor", name]);
    fs::write(out.join(TENSORS), whole).unwrap();
    edit(&out.join("adapter_config.json"), |config| config["target_modules"] = json!(["query"]));
    says(import_it(&bench, &out, &bench.path("base")), &["self.value.lora_A.weight", "neither"]);
}

#[test]
fn weights_that_are_no_numbers_are_refused_on_both_ways() {
    let bench = bench();
    let out = bench.export("out", false).unwrap();
    let nan = f32::NAN.to_le_bytes();
    rewrite(&out.join(TENSORS), |name, bytes| {
        let mut bytes = bytes.to_vec();
        if name.ends_with("layer.0.attention.self.query.lora_B.weight") {
            bytes[8..12].copy_from_slice(&nan);
        }
        Some(bytes)
    });
    let words = ["query.lora_B.weight` is NaN or infinite at element 2"];
    says(import_it(&bench, &out, &bench.path("base")), &words);
    says(Loaded::of_adapter(&out, None), &words);

    let mut values = bench.trial().adapters;
    values.extend(bench.trial().tensors.into_iter().filter(|(name, _)| name.starts_with("classifier")));
    for tensor in values.values_mut() {
        let _ = tensor.fill_(f64::INFINITY);
    }
    save(&bench.layout(), &bench.record.trials[0].trial, &values);
    says(bench.export("again", false), &["is NaN or infinite"]);
    assert!(!bench.path("again").exists());
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let bench = bench();
    let out = bench.export("out", false).unwrap();
    for name in [TENSORS, "adapter_config.json", "lorasweep.json"] {
        let whole = fs::read(out.join(name)).unwrap();
        for length in (0..whole.len() - 2).step_by(whole.len() / 23 + 1) {
            fs::write(out.join(name), &whole[..length]).unwrap();
            says(Loaded::of_adapter(&out, None), &[name]);
        }
        fs::write(out.join(name), whole).unwrap();
    }
    assert!(Loaded::of_adapter(&out, None).is_ok());
}

#[test]
fn a_tokenizer_with_more_words_than_the_embedding_is_refused() {
    let bench = bench();
    let out = bench.export("out", false).unwrap();
    let words = fs::read_to_string(out.join("vocab.txt")).unwrap();
    fs::write(out.join("vocab.txt"), words.trim_end().to_owned() + "\nbeyond\n").unwrap();
    let texts = ["w5".to_owned()];
    let question = Question { texts: &texts, seconds: None, max_new_tokens: None, logits: false };
    let answers = predict(&Loaded::of_adapter(&out, None).unwrap(), &question);
    says(answers, &["the tokenizer has token ids up to", "the model was trained with"]);
}

#[test]
fn sizes_out_of_this_world_are_refused_before_they_are_used() {
    let bench = bench();
    let out = bench.export("out", false).unwrap();
    for (key, value) in
        [("num_hidden_layers", 1_u64 << 60), ("hidden_size", 1 << 60), ("num_attention_heads", 0)]
    {
        let whole = fs::read(out.join("lorasweep.json")).unwrap();
        edit(&out.join("lorasweep.json"), |manifest| manifest["architecture"][key] = json!(value));
        says(Loaded::of_adapter(&out, None), &["lorasweep.json"]);
        fs::write(out.join("lorasweep.json"), whole).unwrap();
    }
}

#[test]
fn no_path_in_an_adapter_leads_anywhere_but_to_its_base() {
    let bench = bench();
    let out = bench.export("out", false).unwrap();
    for folder in ["../base", "base", "./../../etc", ""] {
        edit(&out.join("lorasweep.json"), |manifest| manifest["base"]["folder"] = json!(folder));
        says(Loaded::of_adapter(&out, None), &["was not found", "--base"]);
    }
    edit(&out.join("adapter_config.json"), |config| {
        config["base_model_name_or_path"] = json!("../../somewhere");
    });
    let imported = import_it(&bench, &out, &bench.path("base")).unwrap();
    let config = fs::read_to_string(imported.join("adapter_config.json")).unwrap();
    assert!(!config.contains("somewhere"), "{config}");
    let names: Vec<_> =
        fs::read_dir(bench.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 4, "base, run, out and imported, not {names:?}");
}

#[test]
fn a_pickle_that_is_a_program_is_not_run() {
    let bench = bench();
    let out = bench.export("out", false).unwrap();
    let proof = bench.path("proof");
    let command = format!("touch {}", proof.display());
    let length = u32::try_from(command.len()).unwrap().to_le_bytes();
    let pickle = [b"\x80\x02cos\nsystem\n(X", &length[..], command.as_bytes(), b"tR."].concat();
    let mut zip = zip::write::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("adapter_model/data.pkl", options).unwrap();
    zip.write_all(&pickle).unwrap();
    fs::remove_file(out.join(TENSORS)).unwrap();
    fs::write(out.join("adapter_model.bin"), zip.finish().unwrap().into_inner()).unwrap();
    says(import_it(&bench, &out, &bench.path("base")), &["refuses to run `os.system`"]);
    assert!(!proof.exists() && !bench.path("imported").exists());
}

#[test]
fn nothing_is_overwritten_and_nothing_half_done_stays() {
    let bench = bench();
    let out = bench.path("out");
    files::write_atomic(&out.join("mine.txt"), b"mine").unwrap();
    says(bench.export("out", false), &["exists and is not an empty folder", "--out"]);
    assert_eq!(fs::read(out.join("mine.txt")).unwrap(), b"mine");
    fs::remove_file(bench.path("base/vocab.txt")).unwrap();
    says(bench.export("next", false), &["tokenizer"]);
    assert!(!bench.path("next").exists());
    assert!(
        fs::read_dir(bench.folder.path())
            .unwrap()
            .all(|entry| { !entry.unwrap().file_name().to_string_lossy().starts_with(".new") })
    );
}
