//! Tasks with several labels, and with tags of words, in a sweep file.

use lorasweep::tasks::{ClassWeights, Objective};
use lorasweep::values::{Metric, Select};

use crate::folder::Folder;

const REST: &str = "models: {tiny: {from: tiny}}\ngrid: [{method: full, model: tiny, learning_rate: 1}]\n\
                    split: {fraction: 0.5}\n";

fn sweep(task: &str) -> String {
    format!("name: demo\ntask: {{{task}, max_length: 16}}\n{REST}")
}

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("flags.csv", "text,a,b\nrow,1,0\nrow,0,1\nrow,1,1\nrow,0,0\n");
    folder.write("none.csv", "text,label\nrow,[]\nrow,[]\nrow,\nrow,[]\n");
    folder.write("tags.conll", "row\tB-P\nrow\tO\n\nrow\tO\n\nrow\tB-P\n\nrow\tO\n");
    folder.write("speech.conll", "row\tNN\nrow\tVB\n\nrow\tNN\n\nrow\tVB\n\nrow\tNN\n");
    folder.write("plain.conll", "row\tO\n\nrow\tO\n\nrow\tO\n");
    folder.write("two.csv", "text,label\nrow,x\nrow,y\nrow,x\nrow,y\n");
    folder
}

#[test]
fn each_label_may_have_a_column() {
    let folder = folder();
    let spec = folder
        .load(&sweep("kind: multi_label, train: flags.csv, text: text, label_columns: [a, b]"))
        .unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(spec.first_task().objective.labels(), ["a", "b"]);
    let says = |task: &str, words: &str| {
        let said = folder.load(&sweep(task)).unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    };
    says("kind: multi_label, train: flags.csv, text: text", "missing key `label`");
    says("kind: multi_label, train: flags.csv, text: text, label_columns: [a, a]", "`a` twice");
    says("kind: multi_label, train: flags.csv, text: text, label_columns: [a, c]", "no column `c`");
    says("kind: multi_label, train: none.csv, text: text, label: label", "no label in any row");
    says("train: flags.csv, text: text", "missing key `label`");
}

#[test]
fn tags_are_judged_by_what_they_are() {
    let folder = folder();
    let load = |task: &str| folder.load(&sweep(task));
    let of = |file: &str| load(&format!("kind: tagging, train: {file}, words: words, tags: tags"));
    assert_eq!(of("tags.conll").unwrap().select, Select::Kinds, "F1 over spans");
    assert_eq!(of("speech.conll").unwrap().select, Select::All(Metric::TokenAccuracy));
    let only = of("plain.conll").unwrap_err().to_string();
    assert!(only.contains("one tag only, `O`"), "{only}");
    let same = load("kind: tagging, train: tags.conll, words: words, tags: words").unwrap_err().to_string();
    assert!(same.contains("the column of the words"), "{same}");
    let list = load("kind: tagging, train: tags.conll, words: words, tags: tags, labels: [O]");
    let said = list.unwrap_err().to_string();
    assert!(said.contains("column `tags` has the value"), "{said}");
}

#[test]
fn weights_are_of_classes_that_there_are() {
    let folder = folder();
    let load = |weights: &str| {
        let task = format!("train: two.csv, text: text, label: label, class_weights: {weights}");
        folder.load(&sweep(&task))
    };
    let weights = |written: &str| {
        let spec = load(written).unwrap_or_else(|errors| panic!("{errors}"));
        let Objective::Classification(kind) = &spec.first_task().objective else { panic!("classes") };
        kind.class_weights.clone()
    };
    assert_eq!(weights("balanced"), Some(ClassWeights::Balanced));
    assert_eq!(weights("{x: 2}"), Some(ClassWeights::Named([("x".to_owned(), 2.0)].into())));
    for (wrong, words) in [("{z: 2}", "class `z`"), ("{x: 0}", "greater than 0"), ("heavy", "balanced")] {
        let said = load(wrong).unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    }
}
