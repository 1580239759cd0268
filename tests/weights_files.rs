//! Reading the weights of real model folders, and what is said about folders that cannot be read.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lorasweep::families::{self, About, Architecture};
use lorasweep::model::weights::{self, Fault, Kind, StateDict, WeightsError};
use safetensors::tensor::{Dtype, TensorView};
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert").join(name)
}

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn folder_of(fixture_name: &str, name: &str) -> TempDir {
    folder(&[(name, &fs::read(fixture(fixture_name)).unwrap())])
}

fn safetensors(tensors: &[(&str, Dtype, &[usize], &[u8])]) -> Vec<u8> {
    let views = tensors
        .iter()
        .map(|&(name, kind, shape, bytes)| (name, TensorView::new(kind, shape.to_vec(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

fn file_with_header(header: &str, bytes: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; bytes]].concat()
}

fn fault(files: &[(&str, &[u8])]) -> (Fault, String) {
    let error = weights::read(folder(files).path()).unwrap_err();
    let text = error.to_string();
    match error {
        WeightsError::File { fault, .. } => (fault, text),
        other @ (WeightsError::NoWeights { .. }
        | WeightsError::Absent { .. }
        | WeightsError::Read { .. }
        | WeightsError::Missing { .. }
        | WeightsError::Shape { .. }
        | WeightsError::Adapters { .. }
        | WeightsError::Quantised { .. }
        | WeightsError::UntiedOutput { .. }
        | WeightsError::NotFinite { .. }
        | WeightsError::Empty { .. }) => panic!("not about a file's content: {other}"),
    }
}

fn assert_same(one: &StateDict, other: &StateDict) {
    assert!(one.names().eq(other.names()));
    for name in one.names() {
        assert_eq!(one.tensor(name), other.tensor(name));
    }
}

#[test]
fn both_formats_hold_the_same_tensors() {
    let pickled = folder_of("pytorch_model.bin", "pytorch_model.bin");
    let pickled = weights::read(pickled.path()).unwrap();
    let safe = weights::read(&fixture("")).unwrap();
    assert_same(&pickled, &safe);
    let words = safe.tensor("bert.embeddings.word_embeddings.weight").unwrap();
    assert_eq!((words.kind, words.shape), (Kind::F32, &[60, 32][..]));
    for name in pickled.names() {
        pickled.tensor(name).unwrap().check_finite().unwrap();
    }
}

#[test]
fn a_name_is_found_with_and_without_the_prefix() {
    let with = weights::read(&fixture("")).unwrap();
    let without = folder_of("base_noprefix.safetensors", "model.safetensors");
    let without = weights::read(without.path()).unwrap();
    assert!(without.names().all(|name| !name.starts_with("bert.")));
    let base = with.names().filter(|name| name.starts_with("bert."));
    for name in base {
        let one = with.find(name, about("bert")).unwrap();
        let other = without.find(name, about("bert")).unwrap();
        assert_eq!((one.shape, one.bytes), (other.shape, other.bytes));
    }
    for name in without.names() {
        with.find(name, about("bert")).unwrap();
    }
    let error = without.find("classifier.weight", about("bert")).unwrap_err().to_string();
    assert!(error.contains("`classifier.weight` is not among"), "{error}");
}

fn about(family: &str) -> &'static About {
    families::named(family).unwrap()
}

#[test]
fn old_names_of_layer_norms_are_found() {
    let file = safetensors(&[
        ("embeddings.LayerNorm.beta", Dtype::F32, &[1], &[0, 0, 0, 0]),
        ("embeddings.LayerNorm.gamma", Dtype::F32, &[1], &[0, 0, 128, 63]),
    ]);
    let folder = folder(&[("model.safetensors", &file)]);
    let checkpoint = weights::read(folder.path()).unwrap();
    let scale = checkpoint.find("bert.embeddings.LayerNorm.weight", about("bert")).unwrap();
    assert_eq!(*scale.bytes, 1.0_f32.to_le_bytes());
    let shift = checkpoint.find("bert.embeddings.LayerNorm.bias", about("bert")).unwrap();
    assert_eq!(*shift.bytes, 0.0_f32.to_le_bytes());
}

#[test]
fn wrapped_and_tied_tensors_are_found() {
    let four = |value: f32| value.to_le_bytes().to_vec();
    let named = |names: &[&str]| {
        let values: Vec<(&str, Vec<u8>)> = (0_u8..).zip(names).map(|(i, n)| (*n, four(i.into()))).collect();
        let tensors: Vec<_> = values.iter().map(|(n, v)| (*n, Dtype::F32, &[1][..], &v[..])).collect();
        let folder = folder(&[("model.safetensors", &safetensors(&tensors))]);
        weights::read(folder.path()).unwrap()
    };
    let value = |checkpoint: &StateDict, name: &str, family: &str| {
        f32::from_le_bytes(checkpoint.find(name, about(family)).unwrap().bytes[..].try_into().unwrap())
    };
    let wrapped = named(&[
        "module.bert.encoder.layer.0.attention.self.query.weight",
        "module.classifier.weight",
        "module.bert.embeddings.LayerNorm.gamma",
    ]);
    assert_eq!(value(&wrapped, "bert.embeddings.LayerNorm.weight", "bert"), 2.0);
    assert_eq!(value(&wrapped, "classifier.weight", "bert"), 1.0);
    // A language model's output layer is its word embedding.
    let tied = named(&["lm_head.weight", "transformer.h.0.attn.c_attn.weight"]);
    assert_eq!(value(&tied, "transformer.wte.weight", "gpt2"), 0.0);
    let both = named(&["lm_head.weight", "transformer.h.0.attn.c_attn.weight", "transformer.wte.weight"]);
    assert_eq!(value(&both, "transformer.wte.weight", "gpt2"), 2.0);
    let wrapped = named(&["model.h.0.attn.c_attn.weight", "model.lm_head.weight"]);
    assert_eq!(value(&wrapped, "transformer.wte.weight", "gpt2"), 1.0);
    let other_family = named(&["roberta.embeddings.LayerNorm.weight"]);
    assert!(other_family.find("bert.embeddings.LayerNorm.weight", about("bert")).is_err());

    // `safetensors.torch.save_model` leaves one of two equal tensors out and says which.
    let header = r#"{"__metadata__":{"transformer.wte.weight":"lm_head.weight","format":"pt"},"lm_head.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let folder = folder(&[("model.safetensors", &file_with_header(header, 4))]);
    let aliased = weights::read(folder.path()).unwrap();
    assert_eq!(aliased.names().collect::<Vec<_>>(), ["lm_head.weight", "transformer.wte.weight"]);
}

/// The fixture's tensors under other names or of other kinds, compared with its `config.json`.
fn checked(change: impl Fn(&str) -> Option<(String, Dtype)>) -> Result<Vec<&'static str>, WeightsError> {
    let whole = weights::read(&fixture("")).unwrap();
    let tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = whole
        .names()
        .filter_map(|name| {
            let (tensor, (name, kind)) = (whole.tensor(name).unwrap(), change(name)?);
            let bytes =
                if kind == Dtype::F32 { tensor.bytes.into_owned() } else { vec![0; tensor.bytes.len() / 4] };
            Some((name, kind, tensor.shape.to_vec(), bytes))
        })
        .collect();
    let tensors: Vec<_> = tensors.iter().map(|(n, k, s, b)| (n.as_str(), *k, &s[..], &b[..])).collect();
    let folder = folder(&[("model.safetensors", &safetensors(&tensors))]);
    let config = fs::read(fixture("config.json")).unwrap();
    weights::read(folder.path()).unwrap().check(&Architecture::from_config(&config).unwrap())
}

#[test]
fn a_model_without_pooler_can_be_used_and_one_without_layers_cannot() {
    let same = |name: &str| Some((name.to_owned(), Dtype::F32));
    assert_eq!(checked(same).unwrap(), [""; 0]);
    assert_eq!(checked(|name| same(name).filter(|_| !name.contains("pooler"))).unwrap(), ["pooler"]);
    let half = checked(|name| same(name).filter(|_| !name.contains("pooler.dense.bias")));
    assert!(matches!(half, Err(WeightsError::Missing { name, .. }) if name == "pooler"));
    let none = checked(|name| same(name).filter(|_| !name.contains("layer.1.output.dense.bias")));
    assert!(matches!(none, Err(WeightsError::Missing { name, .. }) if name.ends_with("1.output.dense.bias")));
}

#[test]
fn quantised_weights_and_unmerged_adapters_are_refused_by_name() {
    let changed = |from: &'static str, to: &'static str, kind: Dtype| {
        checked(move |name| {
            let hit = name.ends_with(from);
            Some((name.replace(from, to), if hit { kind } else { Dtype::F32 }))
        })
        .unwrap_err()
    };
    // GPTQ and AWQ have no `weight`; bitsandbytes keeps the name and packs the values.
    for error in [
        changed("query.weight", "query.qweight", Dtype::F32),
        changed("query.weight", "query.weight", Dtype::I8),
    ] {
        assert!(matches!(error, WeightsError::Quantised { .. }), "{error}");
        assert!(error.to_string().contains("layer.0.attention.self.query."), "{error}");
    }
    let error = changed("query.weight", "query.base_layer.weight", Dtype::F32);
    assert!(matches!(error, WeightsError::Adapters { .. }), "{error}");
    assert!(error.to_string().contains("merge_and_unload"), "{error}");
    let error = changed("classifier.weight", "classifier.modules_to_save.default.weight", Dtype::F32);
    assert!(matches!(error, WeightsError::Adapters { .. }), "{error}");
}

/// The fixture's tensors in two files, and which is in which.
fn shards() -> (Vec<Vec<u8>>, BTreeMap<String, String>) {
    let whole = weights::read(&fixture("")).unwrap();
    let mut shards = [Vec::new(), Vec::new()];
    let mut places = BTreeMap::new();
    for (index, name) in whole.names().enumerate() {
        let tensor = whole.tensor(name).unwrap();
        shards[index % 2].push((name, tensor.shape.to_vec(), tensor.bytes.into_owned()));
        places.insert(name.to_owned(), format!("model-{}.safetensors", index % 2));
    }
    let files = shards.iter().map(|shard| {
        let tensors: Vec<_> =
            shard.iter().map(|(name, shape, bytes)| (*name, Dtype::F32, &shape[..], &bytes[..])).collect();
        safetensors(&tensors)
    });
    (files.collect(), places)
}

fn index(places: &BTreeMap<String, String>) -> Vec<u8> {
    serde_json::to_vec(&serde_json::json!({"metadata": {"total_size": 0}, "weight_map": places})).unwrap()
}

#[test]
fn shards_are_read_as_one() {
    let (files, mut places) = shards();
    let names = ["model-0.safetensors", "model-1.safetensors"];
    let index_name = "model.safetensors.index.json";
    let whole = folder(&[(index_name, &index(&places)), (names[0], &files[0]), (names[1], &files[1])]);
    assert_same(&weights::read(whole.path()).unwrap(), &weights::read(&fixture("")).unwrap());
    assert_eq!(weights::files(whole.path()).unwrap(), names.map(|name| whole.path().join(name)));

    fs::remove_file(whole.path().join(names[1])).unwrap();
    assert!(
        matches!(weights::read(whole.path()), Err(WeightsError::Read { path, .. }) if path.ends_with(names[1]))
    );

    places.insert("bert.extra".to_owned(), names[0].to_owned());
    fs::write(whole.path().join(names[1]), &files[1]).unwrap();
    fs::write(whole.path().join(index_name), index(&places)).unwrap();
    assert!(
        matches!(weights::read(whole.path()), Err(WeightsError::Missing { name, .. }) if name == "bert.extra")
    );

    for elsewhere in ["../model-0.safetensors", "/model-0.safetensors", "a/../../b", "a/b", ".", "..", ""] {
        places.insert("bert.extra".to_owned(), elsewhere.to_owned());
        let (found, _) = fault(&[(index_name, &index(&places))]);
        let told = format!("`{elsewhere}`");
        assert!(matches!(found, Fault::Damaged { reason } if reason.contains(&told)), "{elsewhere}");
    }
}

#[test]
fn a_folder_without_weights_says_what_was_looked_for() {
    let error = weights::read(folder(&[("config.json", b"{}")]).path()).unwrap_err().to_string();
    for name in ["`model.safetensors`", "`model.safetensors.index.json`", "`pytorch_model.bin`"] {
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn files_that_stand_for_others_say_how_to_get_them() {
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 437961724\n";
    let (found, text) = fault(&[("model.safetensors", pointer)]);
    assert_eq!(found, Fault::Pointer);
    assert!(text.contains("git lfs pull"), "{text}");

    // What `pickle.dump` writes, where torch would begin with its magic number.
    let (found, text) = fault(&[("pytorch_model.bin", b"\x80\x02}.")]);
    assert!(matches!(found, Fault::Pickle { position: 4, .. }), "{found}");
    assert!(text.contains("save_pretrained(folder, safe_serialization=True)"), "{text}");
}

#[test]
fn a_header_that_lies_is_not_believed() {
    let read = |header: &str, bytes| fault(&[("model.safetensors", &file_with_header(header, bytes))]).0;
    let one = |dtype: &str, offsets: &str| {
        format!(r#"{{"one":{{"dtype":"{dtype}","shape":[2],"data_offsets":{offsets}}}}}"#)
    };
    let header_end = |header: &str| 8 + header.len() as u64;

    let short = one("F32", "[0,8]");
    let needed = header_end(&short) + 8;
    assert_eq!(read(&short, 5), Fault::Truncated { needed, found: needed - 3 });
    assert!(matches!(read(&short, 9), Fault::Damaged { reason } if reason.contains("1 bytes follow")));
    assert_eq!(read(&one("F32", "[4,12]"), 12), Fault::Outside { tensor: "one".to_owned() });
    assert!(matches!(read(&one("F32", "[0,12]"), 12), Fault::Damaged { .. }));
    assert!(matches!(read("{\"one\":", 8), Fault::Damaged { .. }));
    for dtype in ["F8_E4M3", "F99"] {
        let unknown = Fault::UnknownKind { tensor: "one".to_owned(), found: dtype.to_owned() };
        let bytes = if dtype == "F99" { 8 } else { 2 };
        assert_eq!(read(&one(dtype, &format!("[0,{bytes}]")), bytes), unknown);
    }
    // Eight tensors whose sizes add up to nearly all of the address space.
    let huge: Vec<String> = (0..8_u64)
        .map(|i| {
            let (start, size) = (i * 0x1fff_ffff_ffff_ffff, 0x1fff_ffff_ffff_ffff_u64);
            format!(r#""{i}":{{"dtype":"U8","shape":[{size}],"data_offsets":[{start},{}]}}"#, start + size)
        })
        .collect();
    assert!(matches!(read(&format!("{{{}}}", huge.join(",")), 8), Fault::Truncated { .. }));
}

#[test]
fn a_header_beyond_its_limit_is_not_read() {
    let folder = folder(&[]);
    let path = folder.path().join("model.safetensors");
    let length = 200_000_000_u64;
    fs::write(&path, length.to_le_bytes()).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(length + 8).unwrap();
    let error = weights::read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("the header claims 200000000 bytes"), "{error}");
}

#[test]
fn a_required_tensor_has_the_models_shape_and_is_finite() {
    let file = safetensors(&[
        ("pooler.bias", Dtype::F32, &[2], &[0; 8]),
        ("pooler.weight", Dtype::F32, &[1, 1], &f32::NAN.to_le_bytes()),
    ]);
    let folder = folder(&[("model.safetensors", &file)]);
    let checkpoint = weights::read(folder.path()).unwrap();
    assert_eq!(checkpoint.require("bert.pooler.bias", about("bert"), &[2]).unwrap().name, "pooler.bias");
    let said =
        |name, shape: &[usize]| checkpoint.require(name, about("bert"), shape).unwrap_err().to_string();
    let shape = said("bert.pooler.bias", &[1, 2]);
    assert!(shape.contains("`pooler.bias` has shape [2] and the model needs [1, 2]"), "{shape}");
    let number = said("bert.pooler.weight", &[1, 1]);
    assert!(number.contains("`pooler.weight` is NaN or infinite at element 0"), "{number}");
}

#[test]
fn numbers_that_are_not_finite_are_found_in_every_kind() {
    let cases: [(Dtype, Vec<u8>, Option<usize>); 9] = [
        (Dtype::F32, [1.0_f32, f32::MAX, f32::NAN].map(f32::to_le_bytes).concat(), Some(2)),
        (Dtype::F32, [f32::MIN, f32::MIN_POSITIVE, -0.0].map(f32::to_le_bytes).concat(), None),
        (Dtype::F64, [1.0, f64::NEG_INFINITY, 2.0].map(f64::to_le_bytes).concat(), Some(1)),
        (Dtype::F64, [f64::MAX, f64::MIN, 0.0].map(f64::to_le_bytes).concat(), None),
        (Dtype::F16, [0x3c00_u16, 0x7bff, 0xfc00].map(u16::to_le_bytes).concat(), Some(2)),
        (Dtype::F16, [0x3c00_u16, 0x7bff, 0xfbff].map(u16::to_le_bytes).concat(), None),
        (Dtype::BF16, [0x7fc0_u16, 0x3f80, 0].map(u16::to_le_bytes).concat(), Some(0)),
        (Dtype::BF16, [0x7f7f_u16, 0x3f80, 0].map(u16::to_le_bytes).concat(), None),
        (Dtype::I64, [-1_i64, i64::MAX, 0].map(i64::to_le_bytes).concat(), None),
    ];
    for (dtype, bytes, expected) in cases {
        let file = safetensors(&[("one", dtype, &[3], &bytes)]);
        let folder = folder(&[("model.safetensors", &file)]);
        let checkpoint = weights::read(folder.path()).unwrap();
        let found = match checkpoint.tensor("one").unwrap().check_finite() {
            Ok(()) => None,
            Err(WeightsError::NotFinite { element, .. }) => Some(element),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(found, expected, "{dtype}");
    }
}

#[test]
fn an_output_layer_that_is_not_the_embedding_is_refused() {
    let gpt2 = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gpt2");
    let architecture = Architecture::from_config(&fs::read(gpt2.join("config.json")).unwrap()).unwrap();
    let bytes = fs::read(gpt2.join("model.safetensors")).unwrap();
    let whole = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let all = whole.tensors();
    let (_, embedding) = all.iter().find(|(name, _)| name.ends_with("wte.weight")).unwrap();
    let same = embedding.data().to_vec();
    let other: Vec<u8> = same.iter().map(|byte| byte ^ 1).collect();
    let check = |output: &[u8]| {
        let views = all.iter().filter(|(name, _)| name != "lm_head.weight").map(|(name, view)| {
            (name.as_str(), TensorView::new(view.dtype(), view.shape().to_vec(), view.data()).unwrap())
        });
        let output = TensorView::new(embedding.dtype(), embedding.shape().to_vec(), output).unwrap();
        let file = safetensors::serialize(views.chain([("lm_head.weight", output)]), None).unwrap();
        weights::read(folder(&[("model.safetensors", &file)]).path()).unwrap().check(&architecture).map(drop)
    };
    assert!(check(&same).is_ok());
    assert!(matches!(check(&other), Err(WeightsError::UntiedOutput { .. })));
}
