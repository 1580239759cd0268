//! The program from the outside: arguments, exit codes, and what goes to which output.

mod cli_support;

use std::fs;
use std::process::{Command, Stdio};

use cli_support::{lorasweep, names, sweep_folder};
use lorasweep::exec::devices::has_bf16_vectors;
use lorasweep::values::axes::AXES;
use serde_json::Value;

const COMMANDS: [&str; 13] = [
    "init",
    "check",
    "plan",
    "run",
    "status",
    "logs",
    "explain",
    "report",
    "verify",
    "gc",
    "schema",
    "doctor",
    "completions",
];

#[test]
fn help_lists_every_command_and_exit_code() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let said = lorasweep(folder.path(), &["--help"]);
    assert_eq!(said.code, 0);
    for command in COMMANDS {
        assert!(said.stdout.contains(&format!("\n  {command} ")), "`{command}` is missing");
    }
    assert!(!said.stdout.contains("worker"), "the worker is no command for people");
    assert!(said.stdout.contains("3  the sweep ended, but some trials failed"));
    assert!(said.stderr.is_empty());
}

#[test]
fn a_wrong_argument_is_bad_input() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for args in [&["trian"][..], &["run"], &["run", "sweep.yaml", "--json", "--quiet"], &[]] {
        let said = lorasweep(folder.path(), args);
        assert_eq!(said.code, 2, "{args:?}");
        assert!(said.stdout.is_empty() && !said.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn the_schema_is_json_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let said = lorasweep(folder.path(), &["schema"]);
    let schema: Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(said.code, 0);
    assert!(schema["properties"]["grid"].is_object());
    assert!(said.stderr.is_empty());
}

#[test]
fn completions_know_the_commands() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let said = lorasweep(folder.path(), &["completions", "bash"]);
    assert_eq!(said.code, 0);
    assert!(said.stdout.contains("explain") && said.stdout.contains("--retry-failed"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lorasweep"))
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn check_counts_what_a_sweep_holds() {
    let folder = sweep_folder();
    let said = lorasweep(folder.path(), &["check", "sweep.yaml"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stdout.contains("3 configurations, 6 trials"), "{}", said.stdout);
    // Twelve rows of two texts, in two steps: what is worth saying of them is on standard error alone.
    let warnings = said.stderr.lines().count();
    assert!(said.stderr.lines().all(|line| line.starts_with("warning: sweep.yaml:2:1: ")), "{}", said.stderr);
    assert!(said.stdout.contains(&format!("6 trials, {warnings} warnings")), "{}", said.stdout);
    assert!(said.stderr.contains("12 of 12 training rows have a copy in another fold"), "{}", said.stderr);
    for told in ["train.csv: 12 rows", "12 rows in 2 folds, of which each holds out 6", "median "] {
        assert!(said.stdout.contains(told), "{told}: {}", said.stdout);
    }
    let said = lorasweep(folder.path(), &["check", "sweep.yaml", "--only", "learning_rate=2e-3"]);
    assert!(said.stdout.contains("1 configuration, 2 trials"), "{}", said.stdout);
    assert_eq!(names(folder.path()), ["sweep.yaml", "train.csv", "vocab.txt"]);
}

#[test]
fn a_wrong_sweep_is_bad_input_and_nothing_is_written() {
    let folder = sweep_folder();
    let file = folder.path().join("sweep.yaml");
    let right = fs::read_to_string(&file).expect("a sweep");
    let wrong = right.replace("batch_size", "batchsize").replace("label: label", "label: lable");
    fs::write(&file, wrong).expect("a writable folder");
    // What cannot train says that first.
    for command in ["check", "plan", "run"].into_iter().filter(|it| cfg!(feature = "torch") || *it != "run") {
        let said = lorasweep(folder.path(), &[command, "sweep.yaml"]);
        assert_eq!(said.code, 2, "{command}: {}", said.stderr);
        assert!(said.stdout.is_empty());
        assert!(said.stderr.contains("batchsize"), "{}", said.stderr);
        assert_eq!(names(folder.path()), ["sweep.yaml", "train.csv", "vocab.txt"]);
    }
}

#[test]
fn a_plan_lists_every_trial_with_its_parameters() {
    let folder = sweep_folder();
    let said = lorasweep(folder.path(), &["plan", "sweep.yaml", "--json"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let plan: Value = serde_json::from_str(&said.stdout).expect("stdout is JSON and nothing else");
    assert_eq!(plan["data"][0]["used"]["folds"], serde_json::json!([6, 6]));
    assert_eq!(plan["data"][0]["files"][0]["read"], 12);
    let trials = plan["trials"].as_array().expect("a list");
    assert_eq!(trials.len(), 6);
    let keys = ["id", "fold", "needs", "trainable_params", "total_params"];
    for trial in trials {
        let trial = trial.as_object().expect("a mapping");
        assert!(keys.iter().all(|key| trial.contains_key(*key)), "{trial:?}");
        assert!(
            AXES.iter().all(|axis| trial.contains_key(axis.name)) && trial.len() == AXES.len() + keys.len()
        );
        assert_eq!(trial["method"] == "lora", !trial["rank"].is_null());
    }
    assert_eq!(names(folder.path()), ["sweep.yaml", "train.csv", "vocab.txt"]);
}

#[test]
fn bf16_is_warned_of_where_the_cores_are_slow_at_it() {
    let folder = sweep_folder();
    let plan = |precision: &str| {
        let change = format!("training.precision={precision}");
        let said = lorasweep(folder.path(), &["plan", "sweep.yaml", "--set", &change]);
        assert_eq!(said.code, 0, "{}", said.stderr);
        said.stderr.contains("no vector instructions for bf16")
    };
    assert_eq!([plan("fp32"), plan("bf16")], [false, !has_bf16_vectors()]);
}

#[test]
fn devices_that_are_not_there_are_refused_before_anything_is_written() {
    let folder = sweep_folder();
    let said = lorasweep(folder.path(), &["run", "sweep.yaml", "--devices", "cpu:100000"]);
    assert_ne!(said.code, 0);
    assert!(said.stderr.contains("hint: "), "{}", said.stderr);
    let said = lorasweep(folder.path(), &["plan", "sweep.yaml", "--devices", "abacus"]);
    assert_eq!(said.code, 2);
    assert_eq!(names(folder.path()), ["sweep.yaml", "train.csv", "vocab.txt"]);
}

#[test]
fn init_writes_a_sweep_that_is_never_overwritten() {
    let folder = sweep_folder();
    let said = lorasweep(folder.path(), &["init", "train.csv", "--out", "mine.yaml"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let first = fs::read_to_string(folder.path().join("mine.yaml")).expect("a sweep");
    assert!(first.contains("train.csv"));
    let again = lorasweep(folder.path(), &["init", "train.csv", "--out", "mine.yaml"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("hint: "));
    assert_eq!(fs::read_to_string(folder.path().join("mine.yaml")).expect("a sweep"), first);
}

#[test]
fn init_names_a_model_that_can_learn_the_task() {
    let folder = sweep_folder();
    fs::write(folder.path().join("book.txt"), "Call me.\nSome years ago.\n").expect("a writable folder");
    let cases: [(&[&str], &str); 4] = [
        (&["train.csv"], "from: .assets/all-MiniLM-L6-v2}"),
        (&["book.txt", "--kind", "language-modelling"], "from: openai-community/gpt2}"),
        (&["train.csv", "--model", "prajjwal1/bert-tiny"], "from: prajjwal1/bert-tiny}"),
        (&["train.csv", "--model", "vocab.txt"], "from: vocab.txt}"),
    ];
    for (index, (args, named)) in cases.into_iter().enumerate() {
        let out = format!("{index}.yaml");
        let said = lorasweep(folder.path(), &[&["init"], args, &["--out", &out]].concat());
        assert_eq!(said.code, 0, "{}", said.stderr);
        let text = fs::read_to_string(folder.path().join(out)).expect("a sweep");
        assert!(text.contains(named), "{text}");
    }
}

#[test]
fn a_folder_that_is_no_run_gets_a_hint() {
    let folder = sweep_folder();
    for args in [&["status", "."][..], &["logs", "nothing", "ab"], &["explain", "nothing", "ab"]] {
        let said = lorasweep(folder.path(), args);
        assert_eq!(said.code, 2, "{args:?}");
        assert!(said.stdout.is_empty());
        assert!(said.stderr.starts_with("error: ") && said.stderr.contains("\nhint: "), "{}", said.stderr);
    }
}
