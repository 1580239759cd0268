//! What a mistaken sweep file gets to read: every error at once, each with its place, and a way out.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly, also in its fixtures")]

use std::fs;
use std::path::Path;

use lorasweep::families::{Architecture, BertConfig};
use lorasweep::hub::{Hub, Settings};
use lorasweep::spec::{self, Downloads, Intent, Overrides, Problem, SpecErrors, Starter};
use lorasweep::sweep::SweepSpec;
use lorasweep::tasks::{self, Objective};
use lorasweep::values::axes::{AXES, WithinPack};
use safetensors::tensor::{Dtype, TensorView};
use tempfile::TempDir;

/// A folder with a sweep's files: two small CSVs and a BERT of the right shape, all zeros.
struct Folder(TempDir);

const CONFIG: &str = r#"{"model_type": "bert", "vocab_size": 6, "hidden_size": 8, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 32}"#;
const GUIDE: &str = include_str!("../sweeps/README.md");
const MODELS: &str = "models: {tiny: {from: tiny}}";
const TASK: &str = "task: {train: train.csv, test: test.csv, text: [text], label: label, max_length: 16}";
const GRID: &str = "grid: [{method: lora, model: tiny, learning_rate: 5e-3}]";

impl Folder {
    fn new() -> Self {
        let folder = Self(TempDir::new().unwrap());
        let rows = |n: usize| {
            (0..n).fold("text,label\n".to_owned(), |all, i| {
                all + &format!("row {i},{}\n", ["no", "yes"][i % 2])
            })
        };
        folder.write("train.csv", &rows(12));
        folder.write("test.csv", &rows(4));
        folder.write("tiny/config.json", CONFIG);
        folder.write_weights("tiny", serde_json::from_str(CONFIG).unwrap());
        folder.write("tiny/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nrow\ntext\n");
        folder
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The weights of a model with this configuration, as transformers saves a base model.
    fn write_weights(&self, model: &str, config: BertConfig) {
        let tensors = Architecture::Bert(config).tensors();
        let zeros = vec![0; tensors.iter().map(|tensor| 4 * tensor.numel()).max().unwrap()];
        let views = tensors.iter().map(|tensor| {
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), &zeros[..4 * tensor.numel()]);
            (tensor.name.trim_start_matches("bert."), view.unwrap())
        });
        let file = self.0.path().join(model).join("model.safetensors");
        fs::write(file, safetensors::serialize(views, None).unwrap()).unwrap();
    }

    fn load(&self, sweep: &str) -> Result<SweepSpec, SpecErrors> {
        self.load_with(sweep, &[], &[])
    }

    fn load_with(&self, sweep: &str, set: &[&str], only: &[&str]) -> Result<SweepSpec, SpecErrors> {
        let all = |arguments: &[&str]| arguments.iter().map(ToString::to_string).collect();
        self.load_as(sweep, &Overrides { set: all(set), only: all(only), profile: None }, Intent::Run)
    }

    fn load_as(&self, sweep: &str, overrides: &Overrides, intent: Intent) -> Result<SweepSpec, SpecErrors> {
        self.write("demo.yaml", sweep);
        load(&self.0.path().join("demo.yaml"), overrides, intent)
    }

    /// The whole message, with the folder's path taken out.
    fn message(&self, sweep: &str) -> String {
        self.plain(&self.load(sweep).unwrap_err())
    }

    fn plain(&self, errors: &SpecErrors) -> String {
        let folder = self.0.path().to_string_lossy().into_owned();
        errors.to_string().replace(&format!("{folder}/"), "").replace(&folder, ".")
    }
}

/// Loads a sweep with a hub that is offline and keeps its files beside the sweep.
fn load(path: &Path, overrides: &Overrides, intent: Intent) -> Result<SweepSpec, SpecErrors> {
    let cache = path.parent().unwrap().join("hub");
    let endpoint = "http://127.0.0.1:9".to_owned();
    let hub = Hub::new(Settings { cache, endpoint, token: None, offline: true });
    spec::load(path, overrides, intent, Downloads { hub: &hub, progress: &|_| {} })
}

fn sweep(parts: &[&str]) -> String {
    let mut text = "name: demo\n".to_owned();
    for part in parts {
        text += part;
        text.push('\n');
    }
    text
}

#[test]
fn a_sound_sweep_loads() {
    let folder = Folder::new();
    let spec = folder.load(&sweep(&[TASK, MODELS, GRID])).unwrap();
    assert_eq!(spec.trials().len(), 1);
    assert_eq!(spec.warnings, Vec::<String>::new());
    assert_eq!(spec.first_task().objective.labels(), ["no", "yes"]);
    assert!(spec.first_task().train.path.is_absolute());
}

#[test]
fn every_error_is_told_at_once() {
    let folder = Folder::new();
    insta::assert_snapshot!(folder.message(
        "\
name: demo/one
task: {train: train.csv, test: test.csv, text: [txt], label: label, max_length: 64}
models:
  tiny: {from: tiny, layers: 3}
  own: {architecture: bert, layers: 2, hidden: 256, heads: 5, intermediate: 512, tokenizer: tiny}
grid:
  - {method: lora, model: tinny, rank: [0, 4], alpha: [16, -1], dropout: 1.0, learning_rate: 5e-3}
  - {method: full, model: tiny, rank: 8, learning_rate: 0}
kfold: {k: 7, stratifed: true}
training: {epochs: one, batch_size: [8, 16], schedule: lin}
training: {epochs: 1}
devices: tpu
"
    ));
}

#[test]
fn a_mistake_is_told_once() {
    let folder = Folder::new();
    folder.write("one.csv", "text,label,score\nrow,no,1\n");
    let of =
        |task: &str, rest: &str| folder.message(&sweep(&[&format!("task: {{{task}}}"), MODELS, GRID, rest]));
    // The same word twice where columns are to be named.
    let said = of("train: train.csv, text: [CHANGE_ME], label: CHANGE_ME, max_length: 16", "kfold: {k: 2}");
    assert!(said.contains("2 errors in") && !said.contains("also a text column"), "{said}");
    let said =
        of("kind: regression, train: one.csv, text: [text], label: score, max_length: 16", "kfold: {k: 2}");
    assert!(
        said.contains("`k` is 2, but there is 1 training row\n") && said.contains("1 error in"),
        "{said}"
    );
    assert!(said.contains("hint: folds take two rows or more") && !said.contains("lower `k`"), "{said}");
}

#[test]
fn broken_yaml_is_shown_where_it_breaks() {
    let folder = Folder::new();
    insta::assert_snapshot!(folder.message("name: demo\ntask: {train: a.csv, text: [a}\ngrid: []\n"));
}

#[test]
fn missing_keys_are_told_with_their_meaning() {
    let folder = Folder::new();
    insta::assert_snapshot!(folder.message(&sweep(&[
        "task: {train: train.csv}",
        MODELS,
        "grid: [{rank: 4}]"
    ])));
    insta::assert_snapshot!(folder.message(""));
}

#[test]
fn data_files_are_looked_at_before_anything_starts() {
    let folder = Folder::new();
    folder.write("empty.csv", "text,label\n");
    folder.write("other.csv", "text,label\nrow,maybe\nrow,yes\n");
    folder.write("one.csv", "text,label\nrow,no\nrow,no\n");
    let task = |train: &str, test: &str| {
        sweep(&[
            &format!("task: {{train: {train}, test: {test}, text: text, label: label, max_length: 16}}"),
            MODELS,
            GRID,
        ])
    };
    insta::assert_snapshot!(folder.message(&task("nowhere.csv", "empty.csv")));
    insta::assert_snapshot!(folder.message(&task("train.csv", "other.csv")));
    insta::assert_snapshot!(folder.message(&task("one.csv", "one.csv")));
}

#[test]
fn model_folders_are_looked_at_before_anything_starts() {
    let folder = Folder::new();
    folder.write("bare/config.json", r#"{"model_type": "bert", "num_attention_heads": 7}"#);
    folder.write("gpt/config.json", r#"{"model_type": "gpt2", "vocab_size": 6, "n_head": 12}"#);
    folder.write("t5/config.json", r#"{"model_type": "t5"}"#);
    folder.write("soft/config.json", r#"{"model_type": "gpt2", "activation_function": "relu"}"#);
    folder.write("gpt/model.safetensors", "version https://git-lfs.github.com/spec/v1\n");
    folder.write("assets/note.txt", "no model is here");
    folder.write("long/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nrow\ntext\nmore\n");
    let models = "\
models:
  bare: {from: bare}
  gpt: {from: gpt, tokenizer: tiny}
  gone: {from: assets/gone}
  long: {from: tiny, tokenizer: long}
  both: {from: tiny, architecture: bert}
  none: {layers: 2}
  t5: {from: t5}
  soft: {from: soft}
  wide: {from: tiny, hidden: 16}";
    insta::assert_snapshot!(folder.message(&sweep(&[TASK, models, GRID])));
}

#[test]
fn weights_that_do_not_fit_their_config_are_refused() {
    let folder = Folder::new();
    let config = || serde_json::from_str::<BertConfig>(CONFIG).unwrap();
    for name in ["short", "wide", "cut", "shards"] {
        folder.write(&format!("{name}/config.json"), CONFIG);
        folder.write(&format!("{name}/vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\nrow\n");
    }
    folder.write_weights("short", BertConfig { num_hidden_layers: 1, ..config() });
    folder.write_weights("wide", BertConfig { intermediate_size: 24, ..config() });
    folder.write_weights("cut", config());
    let path = folder.0.path().join("cut/model.safetensors");
    let whole = fs::read(&path).unwrap();
    fs::write(path, &whole[..whole.len() - 100]).unwrap();
    let index = r#"{"weight_map": {"embeddings.word_embeddings.weight": "model-1-of-2.safetensors"}}"#;
    folder.write("shards/model.safetensors.index.json", index);
    let models = "\
models:
  short: {from: short}
  fits: {from: short, layers: 1}
  wide: {from: wide}
  cut: {from: cut}
  shards: {from: shards}";
    insta::assert_snapshot!(folder.message(&sweep(&[
        TASK,
        models,
        "grid: [{method: full, model: [fits, short, wide, cut, shards], learning_rate: 1e-3}]"
    ])));
}

#[test]
fn a_model_in_shards_is_sound() {
    let folder = Folder::new();
    let [whole, shard] =
        ["model.safetensors", "model-1-of-1.safetensors"].map(|file| folder.0.path().join("tiny").join(file));
    fs::rename(whole, shard).unwrap();
    let index = r#"{"weight_map": {"embeddings.word_embeddings.weight": "model-1-of-1.safetensors"}}"#;
    folder.write("tiny/model.safetensors.index.json", index);
    folder.load(&sweep(&[TASK, MODELS, GRID])).unwrap();
}

#[test]
fn grids_that_make_no_sense_are_refused() {
    let folder = Folder::new();
    let models = "models: {tiny: {from: tiny}, own: {architecture: bert, layers: 1, hidden: 8, heads: 2, \
                  intermediate: 8, tokenizer: tiny}}";
    let grid = "\
grid:
  - {method: [lora, full], model: own, learning_rate: 1e-3}
  - {method: lora, model: tiny, learning_rate: 1e-3, targets: [query, valu]}
  - {method: lora, model: tiny, rank: [4, 8], alpha: [8, 16, 32], learning_rate: 1e-3, zip: [[rank, alpha]]}
  - {method: lora, model: tiny, rank: [4, 8], learning_rate: 1e-3, zip: [[rank, alhpa]], exclude: [{rnk: 4}]}
  - {method: full, model: tiny}";
    insta::assert_snapshot!(folder.message(&sweep(&[TASK, models, grid])));
}

#[test]
fn a_huge_grid_is_refused_before_it_is_expanded() {
    let folder = Folder::new();
    let list = |key: &str| {
        let values: Vec<String> = (1..=100).map(|i| format!("0.{i:03}")).collect();
        format!("{key}: [{}]", values.join(", "))
    };
    let axes = ["alpha", "dropout", "learning_rate", "warmup", "weight_decay", "beta1"].map(list).join(", ");
    let grid = format!("grid:\n  - {{method: lora, model: tiny, {axes}}}");
    insta::assert_snapshot!(folder.message(&sweep(&[TASK, MODELS, &grid])));
}

#[test]
fn arguments_are_checked_like_the_file() {
    let folder = Folder::new();
    let text = sweep(&[TASK, MODELS, GRID]);
    let errors = folder
        .load_with(
            &text,
            &["training.epochs=x", "trainin.epochs=1", "grid.3.rank=4", "name", "task.rows=[", "name.x=1"],
            &["method=full", "rnk=4", "rank=0"],
        )
        .unwrap_err();
    insta::assert_snapshot!(folder.plain(&errors));
}

#[test]
fn what_is_allowed_but_odd_is_a_warning() {
    let folder = Folder::new();
    let task = "task: {train: train.csv, text: text, label: label, max_length: 16, rows: 99, test_rows: 5}";
    let models = "models: {tiny: {from: tiny}, spare: {from: tiny, layers: 1}}";
    let grid = "grid: [{method: lora, model: tiny, rank: [2, 4], learning_rate: 1e-3, exclude: [{rank: 3}]}]";
    let warnings = folder.load(&sweep(&[task, models, grid])).unwrap().warnings.join("\n");
    let at = folder.0.path().to_string_lossy().into_owned();
    insta::assert_snapshot!(warnings.replace(&format!("{at}/"), ""));
}

#[test]
fn ways_to_divide_the_rows_exclude_each_other() {
    let folder = Folder::new();
    let task = "task: {train: train.csv, validation: test.csv, text: text, label: label, max_length: 16}";
    insta::assert_snapshot!(folder.message(&sweep(&[
        task,
        MODELS,
        GRID,
        "kfold: {k: 2}",
        "split: {fraction: 0.2}"
    ])));
    insta::assert_snapshot!(folder.message(&sweep(&[TASK, MODELS, GRID, "split: {fraction: 0.01}"])));
    insta::assert_snapshot!(folder.message(&sweep(&[TASK, MODELS, GRID, "kfold: {k: 1}"])));
}

#[test]
fn unreadable_files_are_told() {
    let folder = Folder::new();
    let missing = load(Path::new("no/such/sweep.yaml"), &Overrides::default(), Intent::Run).unwrap_err();
    assert!(matches!(missing.errors[0].problem, Problem::Unreadable(_)));
    assert!(missing.to_string().ends_with("1 error in no/such/sweep.yaml; nothing was started"));
    let huge = folder.load(&format!("name: demo\n#{}\n", "x".repeat(1 << 20))).unwrap_err();
    assert!(huge.to_string().contains("1 MiB"), "{huge}");
}

#[test]
fn a_starter_is_a_sound_sweep() {
    let folder = Folder::new();
    folder.write("base/config.json", &CONFIG.replace("32}", "512}"));
    let config: BertConfig = serde_json::from_str(CONFIG).unwrap();
    folder.write_weights("base", BertConfig { max_position_embeddings: 512, ..config });
    folder.write("base/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n");
    let rows = (0..12).map(|i| format!("{i},\"a longer text, {}\",{}\n", i / 2, ["no", "a: b"][i % 2]));
    folder.write("my data.csv", &rows.fold("id,the text,#label\n".to_owned(), |all, row| all + &row));
    let starter = |data: &str| {
        let path = folder.0.path().join(data);
        let starter = Starter {
            data: &path,
            data_in_sweep: Path::new(data),
            model: Path::new("base"),
            model_folder: None,
            kind: tasks::kind(tasks::DEFAULT_KIND),
        };
        starter.text().map(|text| {
            let spec = folder.load(&text);
            spec.unwrap_or_else(|errors| panic!("{text}\n{errors}"))
        })
    };
    let spec = starter("my data.csv").unwrap();
    let Objective::Classification(task) = &spec.first_task().objective else { panic!() };
    assert_eq!((spec.name.as_str(), task.label.as_str()), ("my-data", "#label"));
    assert_eq!(task.text, ["the text"]);
    assert_eq!(spec.trials().len(), 15);
    assert!(starter("no.csv").is_err());
}

#[test]
fn the_readme_shows_a_real_message() {
    let folder = Folder::new();
    let grid = "grid:\n  - {method: lora, model: tiny, rank: [0, 8], dropout: 1.0, learning_rat: 5e-3}";
    let message = folder.message(&sweep(&[TASK, MODELS, grid]));
    insta::assert_snapshot!(message);
    assert!(GUIDE.contains(&message), "sweeps/README.md does not show:\n{message}");
}

#[test]
fn the_readme_lists_every_axis_with_its_default() {
    for axis in &AXES {
        let text = axis.default_text();
        let default = if text.is_empty() { "required" } else { &text };
        let within_pack = match axis.within_pack {
            WithinPack::Equal => "equal",
            WithinPack::MayDiffer => "may differ",
        };
        let row = format!("| `{}` | {default} | {} | {within_pack} |", axis.name, axis.doc);
        assert!(GUIDE.lines().any(|line| line == row), "sweeps/README.md lacks the row\n{row}");
    }
}
