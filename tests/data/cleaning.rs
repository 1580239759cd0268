//! Rows that cleaning and label maps leave: the survey and the reading count the same.

use lorasweep::data::sources::read;
use lorasweep::tasks::{Cleaning, Examples, Objective, Targets, Task, TextLayout};
use proptest::prelude::*;

use super::support::{classification, examples, labelled, language, look, names, task, train_on, write};

/// A text of words, markup, symbols and other scripts.
const TEXT: &str = "((one|two|<b>|</p>|&amp;|!|東京|<br/>|\\?\\?| |  ){0,6})";

fn cleaning() -> impl Strategy<Value = Cleaning> {
    let least = || prop::option::of(0_usize..4);
    (any::<bool>(), any::<bool>(), least(), least()).prop_map(|(strip_html, strip_symbols, words, rows)| {
        Cleaning { strip_html, strip_symbols, min_words: words, min_label_rows: rows }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn both_looks_at_a_file_find_the_same_rows(
        rows in prop::collection::vec((TEXT, TEXT, "[0-4]"), 1..30), cleaning in cleaning(), pair: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut csv = "text,more,label\n".to_owned();
        let mut json = String::new();
        let mut plain = String::new();
        for (text, more, label) in &rows {
            csv.push_str(&format!("\"{text}\",\"{more}\",{label}\n"));
            json.push_str(&format!("{{\"text\": \"{text}\", \"more\": \"{more}\", \"label\": {label}}}\n"));
            plain.push_str(&format!("{text}\n"));
        }
        let csv = write(&folder, "data.csv", csv);
        let json = write(&folder, "data.jsonl", json);
        let plain = write(&folder, "data.txt", plain);
        let second: &[&str] = if pair { &["more"] } else { &[] };
        let with = |objective| Task { cleaning: cleaning.clone(), ..task(objective) };
        let said = |path| examples(path, with(classification(&["text"], second, &[("4", "3")])))
            .map_err(|error| error.to_string().rsplit_once(": ").map(|(_, what)| what.to_owned()));
        prop_assert_eq!(said(&csv), said(&json));
        for path in [&csv, &json, &plain] {
            for layout in [TextLayout::Blocks, TextLayout::Documents] {
                // What the two looks find is compared where they are made.
                let _ = examples(path, with(language(&["text"], layout)));
            }
        }
    }
}

#[test]
fn maps_rename_and_merge_by_name_or_number() {
    let folder = tempfile::tempdir().unwrap();
    let csv = write(&folder, "data.csv", "text,label\na,1\nb,2\nc,3\nd,credit card\n");
    let map = [("1", "World"), ("2", "cards"), ("credit card", "cards")];
    let task = task(classification(&["text"], &[], &map));
    assert_eq!(look(&csv, &task, None).unwrap().label_names, names(&["3", "World", "cards"]));
    assert_eq!(labelled(&csv, task).1, [1, 2, 0, 2]);
}

#[test]
fn rare_classes_go_after_the_map_and_other_files_follow_the_training_file() {
    let folder = tempfile::tempdir().unwrap();
    let csv = write(&folder, "train.csv", "text,label\na b,x\nb c,x\nc d,y\nd e,z\ne,z\n");
    let mut task = task(classification(&["text"], &[], &[("y", "x")]));
    task.cleaning = Cleaning { min_words: Some(2), min_label_rows: Some(2), ..Cleaning::default() };
    let found = look(&csv, &task, None).unwrap();
    // `z` has two rows, but one of them is too short.
    assert_eq!((found.rows, found.label_names), (3, names(&["x"])));
    train_on(&mut task, &csv);
    let test = write(&folder, "test.csv", "text,label\na b,z\nb c,y\nc d,new\n");
    let Objective::Classification(classification) = &task.objective else { panic!("it is") };
    let found = look(&test, &task, Some(&classification.labels)).unwrap();
    assert_eq!((found.rows, found.label_names.clone()), (1, names(&["x"])));
    let read = read(&super::support::file(&test, &found), &task).unwrap();
    assert_eq!(
        read,
        Examples::Texts { texts: names(&["b c"]), pairs: None, targets: Targets::Classes(vec![0]) }
    );
}

#[test]
fn nothing_left_is_an_error_that_names_the_settings() {
    let folder = tempfile::tempdir().unwrap();
    let csv = write(&folder, "data.csv", "text,label\na,x\nb,y\n");
    let mut strict = task(classification(&["text"], &[], &[]));
    strict.cleaning.min_label_rows = Some(2);
    let error = look(&csv, &strict, None).unwrap_err();
    assert!(error.to_string().ends_with("no row is left after cleaning"), "{error}");
    assert!(error.hint().contains("min_label_rows"));
    let blank = write(&folder, "data.txt", "\n  \n");
    assert!(look(&blank, &task(language(&[], TextLayout::Documents)), None).is_err());
    // Blank lines are part of a text.
    let lines = examples(&blank, task(language(&[], TextLayout::Blocks))).unwrap();
    assert_eq!(lines, Examples::Lines(names(&["", "  "])));
}

#[test]
fn pairs_are_cleaned_and_counted_together() {
    let folder = tempfile::tempdir().unwrap();
    let csv = write(&folder, "data.csv", "text,other,label\n<b>one</b>,two,x\n,one,x\n,,y\n");
    let mut task = task(classification(&["text"], &["other"], &[]));
    task.cleaning = Cleaning { strip_html: true, min_words: Some(1), ..Cleaning::default() };
    let found = examples(&csv, task).unwrap();
    let (texts, pairs) = (names(&["one", ""]), Some(names(&["two", "one"])));
    assert_eq!(found, Examples::Texts { texts, pairs, targets: Targets::Classes(vec![0, 0]) });
}
