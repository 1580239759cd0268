//! Sweep files that are made to take long or to lead elsewhere, refused at once.

use std::fs::{self, File};
use std::time::{Duration, Instant};

use lorasweep::spec::{Overrides, Purpose};

use crate::folder::Folder;

/// How long a refusal may take. Nearly all of it is the YAML parser's, which is many times slower where it
/// is not optimised.
const AT_ONCE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 30 } else { 1 });

/// A hostile file's message.
fn refused(folder: &Folder, sweep: &str) -> String {
    let start = Instant::now();
    let message = folder.message(sweep);
    assert!(start.elapsed() < AT_ONCE, "{:?} for {message:.300}", start.elapsed());
    assert!(message.len() < 200_000, "{} bytes", message.len());
    message
}

#[test]
fn what_is_made_to_take_long_is_refused_at_once() {
    let folder = Folder::new();
    let head = "name: demo\ntask: {train: train.csv, text: text, label: label, max_length: 16}\n";
    let tiny = "models: {tiny: {from: tiny}}\n";
    let many = |n: usize, item: &dyn Fn(usize) -> String| (0..n).map(item).collect::<String>();

    let laughs = many(30, &|i| match i {
        0 => "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n".to_owned(),
        _ => format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", ")),
    });
    assert!(refused(&folder, &laughs).contains("not valid YAML"));
    for nested in ["[", "{a: ", "- ", "? ", "[{a: ", "&a [", "!!seq ["] {
        assert!(refused(&folder, &nested.repeat(100_000)).contains("not valid YAML"), "{nested}");
    }
    let deeper = many(1_000, &|i| format!("{}k:\n", " ".repeat(i)));
    assert!(refused(&folder, &deeper).contains("not valid YAML"));

    assert!(refused(&folder, &many(1_000_000, &|_| "\n".to_owned())).contains("the file is empty"));
    assert!(refused(&folder, &many(1_000_000, &|_| "# a line\n".to_owned())).contains("more than 1 MiB"));
    assert!(refused(&folder, &many(40_000, &|i| format!("k{i}: 1\n"))).contains("more than 200 errors"));
    assert!(refused(&folder, &many(40_000, &|_| "name: 1\n".to_owned())).contains("duplicate key"));
    let one_line = format!("{{{}}}", many(40_000, &|i| format!("k{i}: 1, ")));
    assert!(refused(&folder, &one_line).contains("unknown key `k0`"));
    assert!(refused(&folder, &format!("{}: 1\n", "k".repeat(1_000_000))).contains("not valid YAML"));
    assert!(refused(&folder, &format!("{}: 1\n", "k".repeat(1_000))).contains("kkk…` in the sweep"));

    let names = many(30_000, &|i| format!("x{i}, "));
    let grid = format!("grid: [{{method: full, model: [{names}], learning_rate: 1}}]\n");
    assert!(refused(&folder, &format!("{head}{tiny}{grid}")).contains("unknown model `x0`"));
    let zip = format!("grid: [{{method: full, model: tiny, learning_rate: 1, zip: [[{names}]]}}]\n");
    assert!(refused(&folder, &format!("{head}{tiny}{zip}")).contains("which is no axis"));

    let numbers = |n: usize| many(n, &|i| format!("{}, ", i + 1));
    let axes = ["rank", "alpha", "seed"].map(|axis| format!("{axis}: [{}]", numbers(10_000))).join(", ");
    let grid = format!("grid: [{{method: lora, model: tiny, learning_rate: 1, {axes}}}]\n");
    assert!(refused(&folder, &format!("{head}{tiny}{grid}")).contains("1,000,000,000,000 points"));
    let exclusions = many(20_000, &|i| format!("{{rank: {}}}, ", 1 + i));
    let axes = ["rank", "seed"].map(|axis| format!("{axis}: [{}]", numbers(900))).join(", ");
    let grid =
        format!("grid: [{{method: lora, model: tiny, learning_rate: 1, {axes}, exclude: [{exclusions}]}}]\n");
    assert!(refused(&folder, &format!("{head}{tiny}{grid}")).contains("20000 exclusions"));
}

#[test]
fn a_file_of_ten_gigabytes_is_refused_at_once() {
    let folder = Folder::new();
    let sweep = folder.path().join("demo.yaml");
    File::create(&sweep).unwrap().set_len(10 << 30).unwrap();
    let start = Instant::now();
    let errors = folder.load_file(&Overrides::default(), Purpose::Run).unwrap_err();
    assert!(start.elapsed() < AT_ONCE);
    assert!(errors.to_string().contains("more than 1 MiB"), "{errors}");
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
    folder.write("tiny/tokenizer_config.json", &format!("{{{auto_map}, \"tokenizer_class\": \"Evil\"}}"));
    let trap = folder.path().join("trap");
    folder.write("tiny/evil.py", &format!("open({trap:?}, 'w')"));
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
