//! `predict` and `import` as they are typed.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::heads::{LN_3, model, named};
use crate::support::{Bench, classifier, lora};

fn lorasweep(words: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lorasweep"))
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[track_caller]
fn out(words: &[&str], stdin: &str) -> String {
    let done = lorasweep(words, stdin);
    assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[track_caller]
fn refused(words: &[&str], expected: &[&str]) {
    let done = lorasweep(words, "");
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(2), "{words:?}: {said}");
    for part in expected {
        assert!(said.contains(part), "{words:?}: no `{part}` in: {said}");
    }
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn typed(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn each_kind_of_answer_has_its_table_and_its_json() {
    let folder = tempfile::tempdir().unwrap();
    let changes = [
        ("problem_type", json!("multi_label_classification")),
        ("id2label", named(&["toxic", "a, b", "threat"])),
    ];
    let path = model(&folder, &[LN_3, 0.0, -LN_3], &changes);
    let table = out(&["predict", "--model", typed(&path), "w5"], "");
    for part in ["toxic 0.750", "a, b 0.500", "threat 0.250"] {
        assert!(table.contains(part), "{table}");
    }
    let row = &rows(&out(&["predict", "--model", typed(&path), "--json", "w5"], ""))[0];
    assert_eq!(row["labels"], json!(["toxic", "a, b"]));
    assert!((row["probabilities"]["threat"].as_f64().unwrap() - 0.25).abs() < 1e-6, "{row}");

    let folder = tempfile::tempdir().unwrap();
    let path = model(&folder, &[1.5], &[("problem_type", json!("regression"))]);
    let table = out(&["predict", "--model", typed(&path), "w5"], "");
    assert!(table.contains("1.5000") && !table.contains("probability"), "{table}");
    assert_eq!(
        rows(&out(&["predict", "--model", typed(&path), "--json", "w5"], ""))[0],
        json!({"row": 0, "score": 1.5})
    );
}

#[test]
fn texts_come_from_standard_input_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = model(&folder, &[0.0, LN_3], &[("id2label", named(&["no", "yes"]))]);
    let said = rows(&out(&["predict", "--model", typed(&path), "--json", "-"], "w5 w6\n\n w7\r\n"));
    assert_eq!(said.len(), 2);
    assert!(said.iter().all(|row| row["label"] == "yes"), "{said:?}");
    refused(&["predict", "--model", typed(&path), "-"], &["standard input has no text"]);
    refused(&["predict", "--model", typed(&path), "--pair", "w5", "-"], &["--pair"]);
    refused(&["predict", "--model", typed(&path)], &["no text is given", "`-`"]);
}

#[test]
fn a_file_that_cannot_be_asked_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = model(&folder, &[0.0, LN_3], &[]);
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let ask = |file: &str, column: &str, words: &[&str]| {
        refused(&["predict", "--model", typed(&path), "--file", file, "--text", column], words);
    };
    let data = file("rows.csv", "body,label\nw5,a\n");
    ask(&data, "text", &["`text`", "`body`"]);
    ask(&file("empty.csv", ""), "text", &["empty.csv"]);
    ask(&file("header.csv", "text\n"), "text", &["no rows"]);
    ask("nowhere.csv", "text", &["nowhere.csv"]);
    let said = out(&["predict", "--model", typed(&path), "--file", &data, "--text", "body"], "");
    assert!(said.contains("LABEL_1") && said.contains("0.750"), "{said}");
}

#[test]
fn class_names_are_given_in_one_line_one_by_one_or_in_a_file() {
    let bench = Bench::new(&classifier("bert", 2, lora(&["query"], &["head"])));
    let exported = bench.export("exported", false).unwrap();
    let base = bench.path("base");
    let names = |words: &[&str], name: &str| {
        let to = bench.path(name);
        let usual = ["import", typed(&exported), "--base", typed(&base), "--out", typed(&to)];
        out(&[&usual, words].concat(), "");
        let manifest: Value = serde_json::from_slice(&fs::read(to.join("lorasweep.json")).unwrap()).unwrap();
        (manifest["purpose"]["labels"].clone(), fs::read_to_string(to.join("README.md")).unwrap())
    };
    let expected = json!(["Mortgage", "Payday loan, title loan", "Other"]);
    let file = bench.path("names.txt");
    fs::write(&file, "Mortgage\nPayday loan, title loan\nOther\n").unwrap();
    let (found, card) = names(&["--labels", r#"Mortgage,"Payday loan, title loan", Other"#], "1");
    assert_eq!(found, expected);
    assert!(card.contains("`Mortgage`, `Payday loan, title loan`, `Other`"), "{card}");
    assert!(card.contains(r#"id2label={0: "Mortgage", 1: "Payday loan, title loan", 2: "Other"}"#), "{card}");
    let one_by_one = ["--labels", "Mortgage", "--labels", "Payday loan, title loan", "--labels", "Other"];
    assert_eq!(names(&one_by_one, "2").0, expected);
    assert_eq!(names(&["--labels-file", typed(&file)], "3").0, expected);
    assert_eq!(names(&["--labels", "a,b,c"], "4").0, json!(["a", "b", "c"]));
    let to = bench.path("5");
    let refuse = |words: &[&str], expected: &[&str]| {
        let usual = ["import", typed(&exported), "--base", typed(&base), "--out", typed(&to)];
        refused(&[&usual, words].concat(), expected);
    };
    refuse(
        &["--labels", "Mortgage,Payday loan, title loan,Other"],
        &["4 labels are given", "3 classes", "--labels-file"],
    );
    refuse(&["--labels", "a,b,a"], &["`a` twice"]);
    refuse(&["--labels-file", "nowhere.txt"], &["nowhere.txt"]);
    assert!(!to.exists());
}
