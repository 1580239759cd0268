//! Model folders as people have them: what they are, what they lack, and what cannot be used.

use std::fs;

use lorasweep::families::{Architecture, Weights};
use lorasweep::spec::{Intent, Overrides};
use lorasweep::sweep::SweepSpec;
use lorasweep::values::Method;

use crate::folder::Folder;

const TASK: &str =
    "task: {kind: classification, train: train.csv, text: text, label: label, max_length: 16}\n";
const SIZES: &str = r#""vocab_size": 6, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 16, "max_position_embeddings": 32"#;

fn sweep(model: &str, grid: &str) -> String {
    format!("name: demo\n{TASK}models: {{m: {model}}}\ngrid: [{grid}]\nsplit: {{fraction: 0.25}}\n")
}

const LORA: &str = "{method: lora, model: m, learning_rate: 1e-3}";

/// A copy of `tiny` with another configuration.
fn model(folder: &Folder, config: &str) {
    folder.write("m/config.json", config);
    folder.write("m/vocab.txt", &folder.read("tiny/vocab.txt"));
    fs::copy(folder.path().join("tiny/model.safetensors"), folder.path().join("m/model.safetensors"))
        .unwrap();
}

fn warnings(spec: &SweepSpec) -> String {
    spec.warnings.join("\n")
}

#[test]
fn a_configuration_need_not_say_what_it_is() {
    let folder = Folder::new();
    model(&folder, &format!("{{{SIZES}}}"));
    // Its keys leave out one of BERT's; its tensors say the rest.
    let spec = folder.load(&sweep("{from: m}", LORA)).unwrap();
    let Architecture::Bert(config) = &spec.models["m"].architecture else { panic!("a BERT") };
    // What it does not say is as in transformers.
    assert_eq!((config.type_vocab_size, config.pad_token_id, config.layer_norm_eps), (2, 0, 1e-12));
    assert!((config.hidden_dropout_prob - 0.1).abs() < 1e-12);
    assert_eq!(warnings(&spec), "");

    // Without weights, as in a plan, keys alone do not do.
    fs::remove_file(folder.path().join("m/model.safetensors")).unwrap();
    let plan = |model: &str| folder.load_as(&sweep(model, LORA), &Overrides::default(), Intent::Plan);
    let said = folder.plain(&plan("{from: m}").unwrap_err());
    assert!(said.contains("neither `model_type` nor `architectures`"), "{said}");
    assert!(said.contains("hint: say which it is: `architecture: bert`"), "{said}");
    let spec = plan("{from: m, architecture: bert}").unwrap();
    assert!(matches!(spec.models["m"].architecture, Architecture::Bert(_)));
    model(&folder, &format!("{{{SIZES}, \"type_vocab_size\": 2}}"));
    fs::remove_file(folder.path().join("m/model.safetensors")).unwrap();
    assert!(plan("{from: m}").is_ok(), "all of BERT's keys");
}

#[test]
fn what_the_sweep_says_of_a_folder_must_be_true() {
    let folder = Folder::new();
    let same = folder.load(&sweep("{from: tiny, architecture: bert}", LORA)).unwrap();
    assert!(matches!(same.models["m"].weights, Weights::Folder { .. }));
    assert_eq!(warnings(&same), "", "its weights are not random");
    let said = folder.message(&sweep("{from: tiny, architecture: gpt2}", LORA));
    assert!(
        said.contains("says `model_type` is `bert`, and the sweep says `architecture` is `gpt2`"),
        "{said}"
    );
    let said = folder.message(&sweep("{from: tiny, architecture: gptmini}", LORA));
    assert!(said.contains("`architecture` does not go with `from`"), "{said}");
}

#[test]
fn a_missing_pooler_is_drawn_trained_and_warned_of() {
    let folder = Folder::new();
    model(&folder, &format!("{{\"model_type\": \"bert\", {SIZES}}}"));
    let file = folder.path().join("m/model.safetensors");
    without(&file, "pooler");
    let spec = |grid: &str| folder.load(&sweep("{from: m}", grid)).unwrap();
    let saved = |spec: &SweepSpec| match &spec.configurations[0].method {
        Method::Lora(lora) | Method::Dora(lora) => lora.modules_to_save.clone(),
        Method::Full | Method::Scratch | Method::Base => panic!("adapters"),
    };
    let usual = spec(LORA);
    assert_eq!(usual.models["m"].parts.fresh, ["pooler"]);
    assert_eq!(saved(&usual), ["head", "pooler"]);
    assert!(
        warnings(&usual).contains("have no pooler") && warnings(&usual).contains("trained beside the head")
    );
    let frozen = spec("{method: lora, model: m, learning_rate: 1e-3, modules_to_save: [head]}");
    assert_eq!(saved(&frozen), ["head"]);
    assert!(
        warnings(&frozen).contains("stays random, which costs accuracy: add `pooler` to `modules_to_save`")
    );
    let full = spec("{method: full, model: m, learning_rate: 1e-3}");
    assert!(warnings(&full).contains("trained with everything else"));
    // A layer is no pooler.
    without(&file, "encoder.layer.1.output.dense.bias");
    let said = folder.message(&sweep("{from: m}", LORA));
    assert!(said.contains("layer.1.output.dense.bias` is not among the weights in `m`"), "{said}");
}

/// A decoder with an output layer of its own, saved without that.
#[test]
fn a_language_model_needs_the_output_layer_that_its_config_speaks_of() {
    const LANGUAGE: &str = "{kind: language_modelling, train: book.txt, max_length: 16}";
    let folder = Folder::new();
    let config = |tied: bool| {
        format!(
            r#"{{"model_type": "llama", "vocab_size": 6, "hidden_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": 16, "tie_word_embeddings": {tied}}}"#
        )
    };
    let of = |task: &str, method: &str| {
        format!(
            "name: demo\n{task}models: {{m: {{from: m, tokenizer: bytes}}}}\n\
             grid: [{{method: {method}, model: m, learning_rate: 1e-3}}]\nsplit: {{fraction: 0.25}}\n"
        )
    };
    let language = format!("task: {LANGUAGE}\n");
    folder.write("m/config.json", &config(false));
    folder.write_weights("m");
    for method in ["lora", "full"] {
        let said = folder.message(&of(&language, method));
        assert!(
            said.contains("model `m` has no output layer for words: it was saved without a head"),
            "{said}"
        );
    }
    folder.load(&of(&language, "scratch")).unwrap();
    folder.load(&of(TASK, "lora")).unwrap();
    folder.write("m/config.json", &config(true));
    folder.load(&of(&language, "lora")).unwrap();
}

#[test]
fn heads_of_keys_and_rotated_heads_have_sizes_that_exist() {
    let folder = Folder::new();
    let said = |sizes: &str| {
        let model = format!(
            "{{architecture: llama, layers: 1, intermediate: 8, tokenizer: tiny/vocab.txt, {sizes}}}"
        );
        folder
            .load(&sweep(&model, "{method: scratch, model: m, learning_rate: 1e-3}"))
            .map(|spec| spec.models["m"].architecture.blueprint().layers[0].attention.kv_heads)
            .map_err(|error| folder.plain(&error))
    };
    assert_eq!(said("hidden: 16, heads: 4, kv_heads: 2"), Ok(2));
    assert_eq!(said("hidden: 16, heads: 4"), Ok(4));
    let undivided = said("hidden: 16, heads: 4, kv_heads: 3").unwrap_err();
    assert!(undivided.contains("`kv_heads` is `3`, which does not divide `heads` 4"), "{undivided}");
    let odd = said("hidden: 9, heads: 3").unwrap_err();
    assert!(odd.contains("`head_dim` is 3, which is odd") && odd.contains("must be even"), "{odd}");
}

/// Takes tensors out of a file.
fn without(path: &std::path::Path, part: &str) {
    let bytes = fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let kept = file.tensors().into_iter().filter(|(name, _)| !name.contains(part));
    fs::write(path, safetensors::serialize(kept, None).unwrap()).unwrap();
}

#[test]
fn folders_that_cannot_be_used_say_what_they_are_and_what_to_do() {
    let folder = Folder::new();
    for (config, said, hint) in [
        (r#"{"model_type": "t5"}"#, "`model_type` is `t5`", "use a model of type `bert`, `gpt2`"),
        (
            r#"{"architectures": ["T5ForConditionalGeneration"]}"#,
            "`architectures` is `T5ForConditionalGeneration`",
            "`bert`, `gpt2`",
        ),
        (
            r#"{"model_type": "gpt2", "quantization_config": {"quant_method": "gptq", "bits": 4}}"#,
            "quantised (`gptq`)",
            "float32",
        ),
        (
            r#"{"model_type": "bert", "quantization_config": {"quant_method": "awq"}}"#,
            "quantised (`awq`)",
            "float32",
        ),
        (
            r#"{"model_type": "bert", "quantization_config": {"load_in_4bit": true}}"#,
            "(`bitsandbytes`)",
            "float32",
        ),
    ] {
        model(&folder, config);
        let message = folder.message(&sweep("{from: m}", LORA));
        assert!(message.contains(said) && message.contains(hint), "{config}: {message}");
    }
    folder.write("a/adapter_config.json", r#"{"base_model_name_or_path": "prajjwal1/bert-tiny"}"#);
    let message = folder.message(&sweep("{from: a}", LORA));
    assert!(message.contains("`a` is an adapter of PEFT, not a model"), "{message}");
    assert!(message.contains("here `prajjwal1/bert-tiny`"), "{message}");

    model(&folder, &format!("{{\"model_type\": \"bert\", {SIZES}}}"));
    folder.write("m/tokenizer_config.json", r#"{"tokenizer_class": "BertJapaneseTokenizer"}"#);
    let message = folder.message(&sweep("{from: m}", LORA));
    assert!(message.contains("BertJapaneseTokenizer") && message.contains("hint: in Python"), "{message}");
    folder.write("m/tokenizer_config.json", "{}");
    folder.write("m/added_tokens.json", r#"{"[E1]": 6}"#);
    let message = folder.message(&sweep("{from: m}", LORA));
    assert!(
        message.contains("token ids up to 6 (`[E1]`), but the model's embedding only 6 rows"),
        "{message}"
    );
}

/// `tiny` with a classifier for two classes.
fn classifier(folder: &Folder, config: &str) {
    model(folder, &format!("{{\"model_type\": \"bert\", {SIZES}, {config}}}"));
    let path = folder.path().join("m/model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let zeros = [0; 64];
    let view = |shape: &[usize]| {
        let bytes = &zeros[..4 * shape.iter().product::<usize>()];
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.to_vec(), bytes).unwrap()
    };
    let mut tensors: Vec<(String, safetensors::tensor::TensorView<'_>)> = file.tensors();
    tensors.push(("classifier.weight".to_owned(), view(&[2, 8])));
    tensors.push(("classifier.bias".to_owned(), view(&[2])));
    fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
}

#[test]
fn a_base_is_judged_by_its_own_head_where_the_classes_are_the_same() {
    const CLASS: &str = r#""architectures": ["BertForSequenceClassification"]"#;
    let folder = Folder::new();
    let base = "{method: base, model: m}";
    let id = |config: Option<&str>| {
        match config {
            Some(config) => classifier(&folder, config),
            None => model(&folder, &format!("{{\"model_type\": \"bert\", {SIZES}}}")),
        }
        let spec = folder.load(&sweep("{from: m}", base)).unwrap();
        let same = folder.load(&sweep("{from: m}", LORA)).unwrap();
        (spec.configurations[0].id, warnings(&spec), warnings(&same))
    };
    // The classes of the data are `no` and `yes`.
    let own = id(Some(&format!(r#"{CLASS}, "id2label": {{"0": "yes", "1": "no"}}"#)));
    assert_eq!(own.1, "");
    assert!(own.2.contains("start with a fresh classifier"), "{}", own.2);
    let spelled = id(Some(&format!(r#"{CLASS}, "id2label": {{"0": "YES", "1": "NO"}}"#)));
    assert!(spelled.1.contains("`NO` is `no`, `YES` is `yes`"), "{}", spelled.1);
    let other = id(Some(&format!(r#"{CLASS}, "id2label": {{"0": "negative", "1": "positive"}}"#)));
    assert!(
        other.1.contains("(`negative`, `positive`) are not those of the task (`no`, `yes`)"),
        "{}",
        other.1
    );
    assert_eq!(other.2, "");
    let none = id(None);
    assert!(none.1.contains("has no classifier of its own"), "{}", none.1);
    let tokens =
        id(Some(r#""architectures": ["BertForTokenClassification"], "id2label": {"0": "yes", "1": "no"}"#));
    assert!(tokens.1.contains("has no classifier of its own"), "{}", tokens.1);

    folder.write("train.csv", &folder.read("train.csv").replace("yes", "1").replace("no", "0"));
    let numbered = id(Some(CLASS));
    assert!(numbered.1.contains("`LABEL_0` is `0`, `LABEL_1` is `1`"), "{}", numbered.1);
}

#[test]
fn adapters_are_asked_for_in_layers_that_the_model_has() {
    let folder = Folder::new();
    let lora =
        |rest: &str| sweep("{from: tiny}", &format!("{{method: lora, model: m, learning_rate: 1, {rest}}}"));
    let sound = folder.load(&lora("layers_to_transform: [[1, 0, 1], 1, null]")).unwrap();
    let layers =
        sound.configurations.iter().map(|one| one.method.lora().unwrap().layers_to_transform.clone());
    assert!(layers.eq([Some(vec![0, 1]), Some(vec![1]), None]));
    let error = folder.message(&lora("layers_to_transform: [0, 2]"));
    assert!(
        error.contains("`2` is not a layer of model `m`") && error.contains("allowed: 0 to 1"),
        "{error}"
    );
    assert!(error.contains("1 error in"), "{error}");
    let error = folder.message(&lora("targets: pooler.dense, layers_to_transform: 1"));
    assert!(error.contains("no target is in layer `1` of model `m`"), "{error}");
    // A name in full is in whatever layer it is, as in PEFT.
    let full = "targets: bert.encoder.layer.0.attention.self.query, layers_to_transform: 1";
    assert!(folder.load(&lora(full)).is_ok());
    for (axis, found, allowed) in [
        ("layers_to_transform: [-1]", "`-1`", "a whole number"),
        ("layers_to_transform: [[0], [0.5]]", "`0.5`", "a whole number"),
        ("layers_to_transform: [0, x]", "the text `x`", "a whole number"),
    ] {
        let error = folder.message(&lora(axis));
        assert!(error.contains(&format!("`layers_to_transform` is {found}\n")), "{error}");
        assert!(error.contains(&format!("allowed: {allowed}")) && !error.contains("to vary it"), "{error}");
    }
    let error = folder.message(&lora("targets: [1]"));
    assert!(error.contains("layers are chosen by their numbers with `layers_to_transform`"), "{error}");
}

#[test]
fn one_value_of_an_axis_of_lists_is_asked_for_as_tables_write_it() {
    let folder = Folder::new();
    let axes = "targets: [[value, query], [key]], layers_to_transform: [[0], [1], null], modules_to_save: [[head], []]";
    let text = sweep("{from: tiny}", &format!("{{method: lora, model: m, learning_rate: 1, {axes}}}"));
    let only = |only: &[&str]| {
        let only = only.iter().map(ToString::to_string).collect();
        folder.load_as(&text, &Overrides { only, ..Overrides::default() }, Intent::Run)
    };
    for (chosen, left) in [
        (&["targets=query+value"][..], 6),
        (&["targets=[query, value]"], 6),
        (&["targets=key", "layers_to_transform=all"], 2),
        (&["layers_to_transform=0", "modules_to_save=none"], 2),
        (&["layers_to_transform=null", "layers_to_transform=1"], 8),
    ] {
        assert_eq!(only(chosen).unwrap().configurations.len(), left, "{chosen:?}");
    }
    let told = |one: &str| folder.plain(&only(&[one]).unwrap_err());
    assert!(told("targets=dense").contains("allowed: `query+value`, `key`\n"), "{}", told("targets=dense"));
    let layers = told("layers_to_transform=0+1");
    assert!(layers.contains("allowed: `0`, `1`, `all`\n"), "{layers}");
}

#[test]
fn special_tokens_with_other_ids_than_config_json_has_are_told() {
    let folder = Folder::new();
    let told = |ids: &str| {
        model(&folder, &format!("{{\"model_type\": \"bert\", {SIZES}, {ids}}}"));
        warnings(&folder.load(&sweep("{from: m}", LORA)).unwrap())
    };
    assert_eq!(told(r#""pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3"#), "");
    let told = told(r#""pad_token_id": 1, "bos_token_id": 0, "cls_token_id": 2, "sep_token_id": 5"#);
    let expected = "`pad_token_id` is 1, and the tokenizer's `[PAD]` is 0; `sep_token_id` is 5, and the \
                    tokenizer's `[SEP]` is 3; one of them";
    assert!(told.contains(expected), "{told}");
}

#[test]
fn a_family_that_goes_by_another_name_is_told_by_ours() {
    let folder = Folder::new();
    for (found, ours) in [("xlm-roberta", "roberta"), ("camembert", "roberta"), ("BERT", "bert")] {
        let model = format!(
            "{{architecture: {found}, layers: 1, hidden: 8, heads: 2, intermediate: 16, tokenizer: tiny/vocab.txt}}"
        );
        let error = folder.message(&sweep(&model, LORA));
        assert!(
            error.contains(&format!("hint: models of type `{found}` are of the family `{ours}`")),
            "{error}"
        );
    }
}

#[test]
fn all_linear_layers_are_asked_for_by_one_word() {
    let folder = Folder::new();
    let lora =
        |rest: &str| sweep("{from: tiny}", &format!("{{method: lora, model: m, learning_rate: 1, {rest}}}"));
    let sound = folder.load(&lora("targets: all-linear")).unwrap();
    assert_eq!(sound.configurations[0].method.lora().unwrap().targets, ["all-linear"]);
    let error = folder.message(&lora("targets: all-liner"));
    assert!(error.contains("did you mean `all-linear`?"), "{error}");
    let error = folder.message(&lora("targets: [query, all-linear]"));
    assert!(
        error.contains("target `all-linear` stands alone, for every linear layer of model `m`"),
        "{error}"
    );
}
