//! Exact parameter counts of the published experiments, from configurations alone, as `plan --json`
//! tells them; and sweep files that are made to take long, refused at once.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use lorasweep::cost::Experience;
use lorasweep::plan::{foresee, overview};
use lorasweep::sched::{Limits, Remaining, Workload};
use lorasweep::search::Brackets;
use lorasweep::spec::{Intent, Overrides};
use lorasweep::values::{Resources, Trial, Width};
use serde_json::Value;

use crate::folder::Folder;

/// What `plan --json` says of each configuration: the model, its method, trainable and total counts.
fn planned(folder: &Folder, sweep: &str) -> Vec<(String, u64, u64)> {
    let sweep = folder.load_as(sweep, &Overrides::default(), Intent::Plan);
    let sweep = sweep.unwrap_or_else(|errors| panic!("{errors}"));
    let resources = Resources { cores: vec![0], ..Resources::default() };
    let width = |_: &Trial| Width::Cores(1);
    let trials = sweep.trials();
    let (remaining, known) = (Remaining::of(&sweep, &trials), Experience::default());
    let work = Workload::of(&remaining, Path::new("reports"), &width, &|_| false, &known);
    let run = foresee(work, Brackets::default(), &resources, Limits::default());
    let plan = serde_json::to_value(overview(&sweep, &run, &resources)).unwrap();
    let row = |row: &Value| {
        let count = |key: &str| row[key].as_u64().unwrap();
        let name = format!("{} {}", row["model"].as_str().unwrap(), row["method"].as_str().unwrap());
        (name, count("trainable_params"), count("total_params"))
    };
    plan["configurations"].as_array().unwrap().iter().map(row).collect()
}

fn row(name: &str, trainable: u64, total: u64) -> (String, u64, u64) {
    (name.to_owned(), trainable, total)
}

/// A folder with BERT's vocabulary of 30,522 words, and rows of so many classes.
fn with_vocabulary(classes: usize) -> Folder {
    let folder = Folder::new();
    let words = (5..30_522).map(|word| format!("w{word}\n")).collect::<String>();
    folder.write("words/vocab.txt", &format!("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n{words}"));
    let line = |i: usize| format!("w5 w6,w7 w8,class {}\n", i % classes);
    folder.write(
        "rows.csv",
        &format!("first,second,label\n{}", (0..10 * classes).map(line).collect::<String>()),
    );
    folder
}

#[test]
fn complaints_three_ways() {
    let folder = with_vocabulary(9);
    let tiny = r#"{"model_type": "bert", "vocab_size": 30522, "hidden_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 512, "max_position_embeddings": 512}"#;
    folder.write("bert-tiny/config.json", tiny);
    folder.write("bert-tiny/vocab.txt", &folder.read("words/vocab.txt"));
    let rows = planned(
        &folder,
        "\
name: complaints
task: {train: rows.csv, text: first, label: label, max_length: 512}
models:
  small-bert: {architecture: bert, layers: 4, hidden: 256, heads: 4, intermediate: 512, tokenizer: words}
  bert-tiny: {from: bert-tiny}
grid:
  - {method: scratch, model: small-bert, learning_rate: 5e-5}
  - {method: [full, lora, base], model: bert-tiny, learning_rate: 2e-5, rank: 8, alpha: 32}
  - {method: lora, model: bert-tiny, learning_rate: 2e-5, rank: [4, 16, 32, 64], modules_to_save: []}
",
    );
    let total = 4_387_081;
    let mut expected = vec![
        row("small-bert scratch", 10_122_249, 10_122_249),
        row("bert-tiny full", total, total),
        row("bert-tiny lora", 9_353, total + 8_192),
        row("bert-tiny base", 0, total),
    ];
    for adapter in [4_096, 16_384, 32_768, 65_536] {
        expected.push(row("bert-tiny lora", adapter, total + adapter));
    }
    assert_eq!(rows, expected);
}

#[test]
fn gptmini_on_pairs() {
    let folder = with_vocabulary(3);
    let rows = planned(
        &folder,
        "\
name: pairs
task: {train: rows.csv, text: first, pair: second, label: label, max_length: 16}
models:
  narrow: {architecture: gptmini, hidden: 3, length: 16, tokenizer: words}
  wide: {architecture: gptmini, hidden: 64, length: 128, tokenizer: words}
grid:
  - {method: scratch, model: narrow, learning_rate: 3e-2}
  - {method: lora, model: wide, rank: 4, alpha: 1, learning_rate: 3e-2, modules_to_save: []}
",
    );
    let wide = 30_522 * 64 + 64 + 128 * 64 + 4 * (64 * 64 + 64) + 2 * 64 + 128 * 64 * 3 + 3;
    assert_eq!(rows, [row("narrow scratch", 91_818, 91_818), row("wide lora", 1_024, wide + 1_024)]);
}

#[test]
fn gpt2_on_corpora_and_questions() {
    let folder = Folder::new();
    folder.write("gpt2/config.json", r#"{"model_type": "gpt2"}"#);
    folder.write("corpus.txt", &"Call me.\n".repeat(2_000));
    for file in ["vocab.json", "merges.txt"] {
        folder.write(&format!("gpt2/{file}"), &folder.read(&format!("bytes/{file}")));
    }
    let total = 124_439_808;
    let grid = "\
models: {gpt2: {from: gpt2}}
grid:
  - {method: lora, model: gpt2, rank: 8, targets: [[c_attn], [c_attn, c_proj]], learning_rate: 3e-4}
  - {method: full, model: gpt2, learning_rate: 3e-4}
";
    let expected = [
        row("gpt2 lora", 294_912, total + 294_912),
        row("gpt2 lora", 811_008, total + 811_008),
        row("gpt2 full", total, total),
    ];
    let corpora = format!(
        "name: corpora\ntask: {{kind: language_modelling, train: corpus.txt, max_length: 512}}\n{grid}"
    );
    assert_eq!(planned(&folder, &corpora), expected);
    let questions = format!(
        "name: squad\ntask: {{kind: question_answering, train: squad.json, max_length: 512}}\n{grid}split: {{fraction: 0.5}}\n"
    );
    assert_eq!(planned(&folder, &questions), expected);
}

/// How much of a processor's time a refusal may take, whatever else the machine does. Nearly all of it is the
/// YAML parser's, which is many times slower where it is not optimised.
const AT_ONCE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 30 } else { 1 });

/// The processor's time that this thread has had so far.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
    // Behind the name, which may hold spaces: the times in the program and in the kernel, in hundredths.
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
    Duration::from_millis(fields.map(|ticks| 10 * ticks.parse::<u64>().unwrap()).sum())
}

/// What comes of a hostile file, at once.
fn at_once<T>(load: impl FnOnce() -> T) -> T {
    let start = processor_time();
    let loaded = load();
    let took = processor_time() - start;
    assert!(took < AT_ONCE, "{took:?}");
    loaded
}

/// A hostile file's message.
pub(crate) fn refused(folder: &Folder, sweep: &str) -> String {
    let message = at_once(|| folder.message(sweep));
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

    assert!(refused(&folder, &many(1_000_000, &|_| "\n".to_owned())).contains("the file is empty"));
    assert!(refused(&folder, &many(1_000_000, &|_| "# a line\n".to_owned())).contains("more than 1 MiB"));
    assert!(refused(&folder, &many(40_000, &|i| format!("k{i}: 1\n"))).contains("40004 errors"));
    assert!(refused(&folder, &many(40_000, &|_| "name: 1\n".to_owned())).contains("duplicate key"));
    let one_line = format!("{{{}}}", many(40_000, &|i| format!("k{i}: 1, ")));
    assert!(refused(&folder, &one_line).contains("unknown key `k0`"));
    assert!(refused(&folder, &format!("{}: 1\n", "k".repeat(1_000_000))).contains("not valid YAML"));
    assert!(refused(&folder, &format!("{}: 1\n", "k".repeat(1_000))).contains("kkk…` in the sweep"));

    let names = many(30_000, &|i| format!("x{i}, "));
    let grid = format!("grid: [{{method: full, model: [{names}], learning_rate: 1}}]\n");
    assert!(refused(&folder, &format!("{head}{tiny}{grid}")).contains("unknown model `x0`"));
    let empty = |n: usize, name: &str| many(n, &|i| format!(" {name}{i}: {{}}\n"));
    let (tasks, models) = (empty(8_000, "t"), empty(8_000, "m"));
    let pairs = format!("name: demo\ntasks:\n{tasks}models:\n{models}grid: [{{method: full}}]\n");
    assert!(refused(&folder, &pairs).contains("missing key `train`"));
    let blocks = many(8_000, &|_| " - {}\n".to_owned());
    let blocks = format!("name: demo\ntasks:\n{tasks}{tiny}grid:\n{blocks}");
    assert!(refused(&folder, &blocks).contains("errors in"));
    let targets = format!("grid: [{{method: lora, model: tiny, learning_rate: 1, targets: [{names}]}}]\n");
    assert!(refused(&folder, &format!("{head}{tiny}{targets}")).contains("target `x0`"));
    let profile = format!("profiles:\n p:\n{}", many(40_000, &|i| format!("  k{i}: 1\n")));
    let chosen = Overrides { profile: Some("p".to_owned()), ..Overrides::default() };
    let load = || folder.load_as(&format!("{head}{tiny}{profile}"), &chosen, Intent::Run);
    let errors = at_once(load).unwrap_err();
    assert!(errors.to_string().contains("40000 changes"), "{errors:.300}");
    let zip = format!("grid: [{{method: full, model: tiny, learning_rate: 1, zip: [[{names}]]}}]\n");
    assert!(refused(&folder, &format!("{head}{tiny}{zip}")).contains("which is not an axis"));

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
    let errors = at_once(|| folder.load_file(&Overrides::default(), Intent::Run)).unwrap_err();
    assert!(errors.to_string().contains("more than 1 MiB"), "{errors}");
}
