//! What the tasks, models, methods and profiles of a sweep file mean, and what is wrong with them.

use lorasweep::families::{Architecture, Weights};
use lorasweep::spec::{Intent, Overrides};
use lorasweep::sweep::SweepSpec;
use lorasweep::tasks::{Objective, TextLayout};
use lorasweep::values::{Metric, Select};

use crate::folder::Folder;

const GRID: &str = "grid: [{method: lora, model: tiny, learning_rate: 5e-3}]\n";
const TINY: &str = "models: {tiny: {from: tiny}}\n";
const GPT2: &str = "models: {tiny: {architecture: gpt2, layers: 1, hidden: 8, heads: 2, tokenizer: bytes}}\n";

fn sweep(parts: &[&str]) -> String {
    format!("name: demo\n{}", parts.concat())
}

#[test]
fn labels_are_renamed_merged_and_listed() {
    let folder = Folder::new();
    folder.write("stars.csv", "text,label\nrow,1\nrow,2\nrow,3\nrow,1\nrow,2\nrow,3\n");
    let labels = |labels: &str| {
        let task = format!(
            "task: {{train: stars.csv, text: text, label: label, max_length: 16, labels: {labels}}}\n"
        );
        folder.load(&sweep(&[
            &task,
            TINY,
            "grid: [{method: full, model: tiny, learning_rate: 1}]\nsplit: {fraction: 0.5}\n",
        ]))
    };
    let names = |text: &str| labels(text).unwrap().first_task().objective.labels().to_vec();
    assert_eq!(names("{1: bad, 2: bad, 3: good}"), ["bad", "good"]);
    assert_eq!(names("{1: bad}"), ["2", "3", "bad"]);
    assert_eq!(names("{}"), ["1", "2", "3"]);
    assert_eq!(names("[poor, fair, good]"), ["fair", "good", "poor"]);
    let map = |text: &str| {
        let spec = labels(text).unwrap();
        let Objective::Classification(classes) = &spec.first_task().objective else { panic!() };
        classes.label_map.clone()
    };
    assert_eq!(map("[poor, fair, good]")["2"], "fair");
    assert!(labels("{4: none}").unwrap().warnings[0].contains("no training row has the label `4`"));
    insta::assert_snapshot!(folder.plain(&labels("[poor, fair]").unwrap_err()));
    insta::assert_snapshot!(folder.plain(&labels("[]").unwrap_err()));
}

#[test]
fn keys_of_another_kind_are_told_so() {
    let folder = Folder::new();
    let task = "\
task:
  kind: language_modelling
  train: train.csv
  test: test.csv
  test_fraction: 0.2
  text: text
  label: label
  labels: [a, b]
  template: 'Q: {question}'
  cleaning: {min_label_rows: 3, min_wrds: 2}
  max_length: 16
";
    insta::assert_snapshot!(folder.message(&sweep(&[task, GPT2, GRID])));
    let questions = "task: {kind: question_answering, train: squad.json, template: '{context}', text: context, layout: blocks}\n";
    insta::assert_snapshot!(folder.message(&sweep(&[questions, GPT2, GRID])));
    let untold = "task: {kind: language_modelling, train: train.csv, max_length: 16}\n";
    insta::assert_snapshot!(folder.message(&sweep(&[untold, GPT2, GRID])));
}

#[test]
fn other_kinds_have_plain_folds_and_no_classes() {
    let folder = Folder::new();
    let text = "task: {kind: language_modelling, train: book.txt, max_length: 8, layout: documents}\n";
    let spec = folder.load(&sweep(&[text, GPT2, GRID, "kfold: {k: 2, stratified: true}\n"])).unwrap();
    assert_eq!(spec.warnings.len(), 2, "{:?}", spec.warnings);
    let Objective::LanguageModelling(objective) = &spec.first_task().objective else { panic!() };
    assert_eq!((objective.text.len(), objective.layout), (0, TextLayout::Documents));
    let lora = spec.configurations[0].method.lora().unwrap();
    assert_eq!((lora.targets.as_slice(), lora.modules_to_save.len()), (&["c_attn".to_owned()][..], 0));
    let questions = "task: {kind: question_answering, train: squad.json, max_length: 64}\n";
    let spec = folder.load(&sweep(&[questions, GPT2, GRID, "split: {fraction: 0.5}\n"])).unwrap();
    let Objective::QuestionAnswering(objective) = &spec.first_task().objective else { panic!() };
    assert_eq!(objective.max_new_tokens, 32);
}

#[test]
fn tasks_share_a_sweep() {
    let folder = Folder::new();
    let four_rows = folder.read("test.csv");
    folder.write("test.csv", &folder.read("train.csv"));
    let tasks = "\
tasks:
  one: {train: train.csv, text: text, label: label, max_length: 16}
  two: {train: test.csv, text: text, label: label, max_length: 8, test_fraction: 0.5}
";
    let spec = folder.load(&sweep(&[tasks, TINY, GRID, "split: {fraction: 0.5}\n"])).unwrap();
    assert_eq!(spec.tasks.keys().collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(spec.configurations.len(), 2);
    folder.write("test.csv", &four_rows);
    let mixed = "\
tasks:
  one: {train: train.csv, validation: test.csv, text: text, label: label, max_length: 16}
  two: {kind: language_modelling, train: book.txt, max_length: 64}
  three: {train: train.csv, validation: test.csv, text: text, label: label, max_length: 64}
";
    insta::assert_snapshot!(folder.message(&sweep(&[mixed, TINY, GRID, "kfold: {k: 9}\n"])));
    let both = "task: {train: train.csv, text: text, label: label, max_length: 16}\n";
    insta::assert_snapshot!(folder.message(&sweep(&[both, tasks, TINY, GRID, "kfold: {k: 3}\n"])));
}

/// Tasks of different kinds share a sweep, and each selects by a metric of its own.
#[test]
fn tasks_of_different_kinds_share_a_sweep() {
    let folder = Folder::new();
    folder.write("numbers.csv", "text,score\na,1\nb,2\nc,0.5\nd,3\n");
    folder.write("more.csv", "text,score\ne,1\nf,2\n");
    let tasks = |own: &str, number: &str| {
        format!(
            "tasks:\n  classes: {{train: train.csv, validation: test.csv, text: text, label: label, max_length: 16{own}}}\n  \
             numbers: {{kind: regression, train: numbers.csv, validation: more.csv, text: text, label: score, \
             max_length: 16{number}}}\n"
        )
    };
    let load =
        |own: &str, number: &str, rest: &str| folder.load(&sweep(&[&tasks(own, number), TINY, GRID, rest]));
    let of = |spec: &SweepSpec| spec.tasks.values().map(|task| spec.selecting(task)).collect::<Vec<_>>();
    let plain = load("", "", "").unwrap();
    assert_eq!((plain.configurations.len(), of(&plain)), (2, vec![Metric::Accuracy, Metric::Pearson]));
    assert_eq!(plain.select, Select::Kinds);
    let own = load(", select: matthews", ", select: spearman", "select: loss\n").unwrap();
    assert_eq!(of(&own), [Metric::Matthews, Metric::Spearman]);
    let one = load("", ", select: mse", "select: macro_f1\n").unwrap();
    assert_eq!(of(&one), [Metric::MacroF1, Metric::Mse]);
    insta::assert_snapshot!(folder.plain(&load("", "", "select: macro_f1\n").unwrap_err()));
    insta::assert_snapshot!(folder.plain(&load(", select: pearson", "", "select: f2\n").unwrap_err()));
    let rank = "search: {stop: halving, rank_by: accuracy}\n";
    insta::assert_snapshot!(folder.plain(&load("", "", rank).unwrap_err()));
}

/// What is kept of a trial goes by the metric of its task.
#[test]
fn kept_weights_go_by_the_metric_of_the_task() {
    let folder = Folder::new();
    let tasks = "\
tasks:
  one: {train: train.csv, validation: test.csv, text: text, label: label, max_length: 16, select: macro_f1}
  two: {train: train.csv, validation: test.csv, text: text, label: label, max_length: 16}
";
    let grid = "grid: [{method: lora, model: tiny, learning_rate: 5e-3, keep: best}]\n";
    let spec = folder.load(&sweep(&[tasks, TINY, grid])).unwrap();
    let kept: Vec<_> =
        spec.configurations.iter().map(|one| (one.task.as_str(), one.training.keep_by)).collect();
    assert_eq!(kept, [("one", Some(Metric::MacroF1)), ("two", None)]);
    assert_ne!(spec.configurations[0].id, spec.configurations[1].id);
}

#[test]
fn architectures_have_their_own_keys_and_tasks() {
    let folder = Folder::new();
    let models = "\
models:
  tiny: {architecture: gptmini, hidden: 4, length: 16, layers: 2, tokenizer: tiny, seed: 7}
  deep: {architecture: gpt2, hidden: 9, heads: 2, intermediate: 4, tokenizer: bytes}
  local: {from: tiny, revision: main, seed: 3}
  bert: {architecture: bert, layers: 1, hidden: 8, heads: 2, intermediate: 8, tokenizer: tiny}
  far: {from: someone/something}
";
    let task = "task: {kind: language_modelling, train: book.txt, max_length: 32}\n";
    let grid = "grid: [{method: scratch, model: [tiny, deep, local, bert, far], learning_rate: 1}]\n";
    insta::assert_snapshot!(folder.message(&sweep(&[task, models, grid])));
}

#[test]
fn a_model_that_cannot_take_a_task_is_told_where_it_is_named() {
    let folder = Folder::new();
    let models = [
        (
            "one",
            r#"{"model_type": "bert", "vocab_size": 6, "hidden_size": 8, "type_vocab_size": 1,
            "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 8}"#,
        ),
        (
            "few",
            r#"{"model_type": "bert", "vocab_size": 3, "hidden_size": 8, "num_attention_heads": 2,
            "intermediate_size": 16, "max_position_embeddings": 32}"#,
        ),
        ("odd", r#"{"model_type": "gpt2", "vocab_size": 6, "n_embd": 10, "n_head": 4, "n_positions": 32}"#),
        ("pad", r#"{"model_type": "gpt2", "vocab_size": 6, "n_embd": 8, "n_head": 4, "pad_token_id": 6}"#),
    ];
    for (model, config) in models {
        folder.write(&format!("{model}/config.json"), config);
        folder.write(&format!("{model}/vocab.txt"), &folder.read("tiny/vocab.txt"));
    }
    let task = "task: {train: train.csv, text: text, pair: text, label: label, max_length: 16}\n";
    let models = "models:\n  one: {from: one}\n  few: {from: few}\n  odd: {from: odd}\n  pad: {from: pad}\n";
    let grid = "grid: [{method: full, model: [one, few, odd, pad], learning_rate: 1}]\n";
    let errors =
        folder.load_as(&sweep(&[task, models, grid]), &Overrides::default(), Intent::Plan).unwrap_err();
    insta::assert_snapshot!(folder.plain(&errors));
}

#[test]
fn a_hint_that_many_errors_share_is_told_once() {
    let folder = Folder::new();
    let names: Vec<String> = (0..12).map(|i| format!("t{i}")).collect();
    let corpus = |name: &String| {
        format!(
            "  {name}: {{train: 'someone/{name}:train', test: 'someone/{name}:test', text: text, label: label, max_length: 16}}\n"
        )
    };
    let tasks = format!("tasks:\n{}", names.iter().map(corpus).collect::<String>());
    let message = folder.message(&sweep(&[&tasks, TINY, GRID]));
    assert_eq!(message.matches("HF_HUB_OFFLINE").count(), 1, "{message}");
    assert!(message.contains("\nhint for 24 of them: unset HF_HUB_OFFLINE"), "{message}");
    assert!(message.contains("\nand 4 more\n"), "{message}");
    assert!(message.ends_with("24 errors in demo.yaml; nothing was started"), "{message}");
}

#[test]
fn an_untrained_base_can_be_adapted_and_evaluated() {
    let folder = Folder::new();
    let task = "task: {train: train.csv, text: text, label: label, max_length: 16}\n";
    let models = "models: {tiny: {architecture: gptmini, hidden: 4, length: 16, tokenizer: tiny, seed: 7}}\n";
    let grid =
        "grid: [{method: [lora, base], model: tiny, learning_rate: 1, rank: 2, modules_to_save: []}]\n";
    let spec = folder.load(&sweep(&[task, models, grid])).unwrap();
    assert_eq!(spec.models["tiny"].weights, Weights::Random { seed: 7 });
    assert!(
        matches!(&spec.models["tiny"].architecture, Architecture::GptMini(config) if config.length == 16)
    );
    insta::assert_snapshot!(folder.without_path(&spec.warnings.join("\n")));
    let wrong = "grid: [{method: lora, model: tiny, learning_rate: 1, modules_to_save: [hed, norm]}]\n";
    insta::assert_snapshot!(folder.message(&sweep(&[task, models, wrong])));
}

#[test]
fn a_profile_is_a_set_of_changes_and_a_run_of_its_own() {
    let folder = Folder::new();
    let task = "task: {train: train.csv, text: text, label: label, max_length: 16}\n";
    let profiles = "\
profiles:
  small: {task.rows: 10, models.tiny.layers: 1, training.epochs: 3, grid.0.rank: [2, 4]}
  broken: {task.rows: none, trainng.epochs: 1, name.x: 1}
";
    let text = sweep(&[task, TINY, GRID, profiles]);
    let load = |profile: &str, set: &[&str]| {
        let set = set.iter().map(ToString::to_string).collect();
        let overrides = Overrides { set, only: Vec::new(), profile: Some(profile.to_owned()) };
        folder.load_as(&text, &overrides, Intent::Run)
    };
    let spec = load("small", &["training.epochs=5"]).unwrap();
    assert_eq!((spec.name.as_str(), spec.configurations.len()), ("demo-small", 2));
    assert!(spec.configurations.iter().all(|c| (c.training.epochs - 5.0).abs() < 1e-9));
    assert_eq!(spec.first_task().rows, Some(10));
    assert_eq!(folder.load(&text).unwrap().name, "demo");
    insta::assert_snapshot!(folder.plain(&load("broken", &[]).unwrap_err()));
    insta::assert_snapshot!(folder.plain(&load("smal", &[]).unwrap_err()));
    insta::assert_snapshot!(folder.message(&sweep(&[task, TINY, GRID, "profiles: {a/b: {}, c: 3}\n"])));
}

#[test]
fn a_plan_needs_no_weights_and_a_run_does() {
    let folder = Folder::new();
    let config = folder.read("tiny/config.json");
    folder.write("bare/config.json", &config);
    folder.write("bare/vocab.txt", &folder.read("tiny/vocab.txt"));
    let commit = "0123456789abcdef0123456789abcdef01234567";
    folder.write("hub/models--someone--tiny/refs/main", commit);
    let snapshot = format!("hub/models--someone--tiny/snapshots/{commit}");
    folder.write(&format!("{snapshot}/config.json"), &config);
    folder.write(&format!("{snapshot}/vocab.txt"), &folder.read("tiny/vocab.txt"));
    let task = "task: {train: train.csv, text: text, label: label, max_length: 16}\n";
    let models = "models: {bare: {from: bare}, hub: {from: someone/tiny}}\n";
    let grid = "grid: [{method: full, model: [bare, hub], learning_rate: 1}]\n";
    let text = sweep(&[task, models, grid]);
    let spec = folder.load_as(&text, &Overrides::default(), Intent::Plan).unwrap();
    assert_eq!(spec.models["bare"].weights, Weights::Absent);
    assert_eq!(spec.configurations.len(), 2, "models without weights are told apart");
    insta::assert_snapshot!(folder.without_path(&spec.warnings.join("\n")));
    insta::assert_snapshot!(folder.message(&text));
}
