//! Sweep files and model folders that are made to take long or to lead elsewhere, refused at once.

use std::fs::{self, File};

use crate::folder::Folder;
use crate::plan::refused;

#[test]
fn deep_nesting_is_refused_at_once() {
    let folder = Folder::new();
    for nested in ["[", "{a: ", "- ", "? ", "[{a: ", "&a [", "!!seq ["] {
        assert!(refused(&folder, &nested.repeat(100_000)).contains("not valid YAML"), "{nested}");
    }
    let deeper = (0..1_000).map(|i| format!("{}k:\n", " ".repeat(i))).collect::<String>();
    assert!(refused(&folder, &deeper).contains("not valid YAML"));
}

#[test]
fn a_name_leads_to_no_other_folder() {
    let folder = Folder::new();
    let sweep = |name: &str| {
        format!(
            "name: {name}\ntask: {{train: train.csv, text: text, label: label, max_length: 16}}\n\
             models: {{tiny: {{from: tiny}}}}\ngrid: [{{method: full, model: tiny, learning_rate: 1e-3}}]\n"
        )
    };
    folder.load(&sweep("fine")).unwrap();
    for name in ["../out", "/tmp/out", "a/b", "..", ".", ".stores", "'a\\b'", "-rf", "\"a\\0b\""] {
        assert!(folder.message(&sweep(name)).contains("a plain folder name"), "{name}");
    }
    let profile = sweep("fine") + "profiles: {../out: {name: other}}\n";
    assert!(folder.message(&profile).contains("a plain folder name"));
}

/// What a model folder holds besides numbers and words is data that nobody reads: a `auto_map` names
/// Python that transformers would run.
#[test]
fn code_in_a_model_folder_is_not_run() {
    let folder = Folder::new();
    let sweep = "\
name: demo
task: {train: train.csv, text: text, label: label, max_length: 16}
models: {tiny: {from: tiny}}
grid: [{method: full, model: tiny, learning_rate: 1e-3}]
";
    let plain = folder.load(sweep).unwrap();
    let auto_map = r#""auto_map": {"AutoModel": "evil.Model", "AutoConfig": "/evil--evil.Config"}"#;
    let config = folder.read("tiny/config.json").replacen('{', &format!("{{{auto_map}, "), 1);
    folder.write("tiny/config.json", &config);
    let trap = folder.path().join("trap");
    folder.write("tiny/evil.py", &format!("open({trap:?}, 'w')"));
    folder.write("tiny/tokenizer_config.json", &format!("{{{auto_map}, \"tokenizer_class\": \"Evil\"}}"));
    assert!(
        folder.message(sweep).contains("its class `Evil` is not supported"),
        "a tokenizer of its own is not replaced"
    );
    folder.write("tiny/tokenizer_config.json", &format!("{{{auto_map}}}"));
    let with_code = folder.load(sweep).unwrap();
    assert!(!trap.exists());
    assert_eq!(with_code.models["tiny"].architecture, plain.models["tiny"].architecture);
}

#[test]
fn a_tokenizer_of_gigabytes_is_refused_at_once() {
    let folder = Folder::new();
    let sweep = "\
name: demo
task: {train: train.csv, text: text, label: label, max_length: 16}
models: {tiny: {from: tiny}}
grid: [{method: full, model: tiny, learning_rate: 1e-3}]
";
    for (name, limit) in [
        ("tiny/vocab.txt", "256 MiB"),
        ("tiny/tokenizer_config.json", "256 MiB"),
        ("tiny/tokenizer.json", "256 MiB"),
        ("tiny/config.json", "16 MiB"),
    ] {
        let path = folder.path().join(name);
        let before = fs::read(&path).ok();
        File::create(&path).unwrap().set_len(10 << 30).unwrap();
        let message = refused(&folder, sweep);
        assert!(message.contains(limit), "{name}: {message}");
        fs::remove_file(&path).unwrap();
        if let Some(bytes) = before {
            fs::write(&path, bytes).unwrap();
        }
    }
}
