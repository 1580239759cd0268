//! Columns of Parquet and Arrow as exports have them: every width and layout is read as the same value.

use lorasweep::data::sources::{Note, read};

use super::support::{
    classification, examples, fixture, labelled, look, names, survey_columns, task, train_on, write,
};
use lorasweep::tasks::{Examples, Targets};

#[test]
fn numbers_of_every_width_are_the_same_classes() {
    let path = fixture("columns.parquet");
    for column in ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float"] {
        let found = survey_columns(&path, &["text"], Some(column)).unwrap();
        assert_eq!(
            (found.label_names, found.row_labels),
            (names(&["0", "1", "2"]), vec![1, 0, 2, 1]),
            "{column}"
        );
    }
}

#[test]
fn text_of_every_layout_is_the_same() {
    let path = fixture("columns.parquet");
    for column in ["dictionary", "category", "large", "view", "binary"] {
        let found = survey_columns(&path, &["text"], Some(column)).unwrap();
        assert_eq!(
            (found.label_names, found.row_labels),
            (names(&["x", "y", "z"]), vec![0, 1, 0, 2]),
            "{column}"
        );
        assert_eq!(survey_columns(&path, &[column], None).unwrap().text_bytes, 4, "{column}");
    }
    let truths = survey_columns(&path, &["text"], Some("bool")).unwrap();
    assert_eq!((truths.label_names, truths.row_labels), (names(&["false", "true"]), vec![1, 0, 1, 1]));
    let fixed = survey_columns(&path, &["text"], Some("fixed")).unwrap();
    assert_eq!(fixed.label_names, names(&["0", "1.5", "2.5"]));
}

#[test]
fn a_value_that_is_not_there_is_an_empty_text_or_a_missing_label() {
    let path = fixture("columns.parquet");
    let found = survey_columns(&path, &["text"], Some("int8")).unwrap();
    let [Note::Gaps { column, rows: 1, first }] = &found.notes[..] else { panic!("{:?}", found.notes) };
    assert_eq!((column.as_str(), first.row, found.empty_texts), ("text", Some(2), 1));
    assert_eq!(survey_columns(&path, &["nothing"], Some("int8")).unwrap().empty_texts, 4);
    for column in ["missing", "nan"] {
        let error = survey_columns(&path, &["text"], Some(column)).unwrap_err();
        assert!(error.to_string().ends_with("row 2: the label is missing"), "{error}");
    }
    let error = survey_columns(&path, &["text"], Some("nothing")).unwrap_err();
    assert!(error.to_string().ends_with("row 1: the label is missing, as in 4 rows in all"), "{error}");
    for column in ["list", "date", "took"] {
        let error = survey_columns(&path, &[column], None).unwrap_err();
        assert!(error.to_string().contains(&format!("column `{column}` holds ")), "{error}");
    }
}

#[test]
fn recorded_class_names_are_found_and_are_the_task_s_to_use() {
    for path in [fixture("classes.parquet"), fixture("saved"), fixture("saved/data-00000-of-00002.arrow")] {
        let found = survey_columns(&path, &["text"], Some("label")).unwrap();
        assert_eq!(found.class_names, names(&["neg", "pos"]), "{}", path.display());
        assert_eq!(found.label_names, names(&["0", "1"]));
    }
}

#[test]
fn a_saved_data_set_is_read_in_the_order_of_its_shards() {
    let (texts, labels) = labelled(&fixture("saved"), task(classification(&["text"], &[], &[])));
    assert_eq!((texts, labels), (names(&["bad", "good", "poor", "fine"]), vec![0, 1, 0, 1]));
    assert_eq!(survey_columns(&fixture("saved"), &[], None).unwrap().rows, 4);
}

#[test]
fn damaged_arrow_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(fixture("saved/data-00000-of-00002.arrow")).unwrap();
    for length in (0..whole.len()).step_by(7) {
        let _ = survey_columns(&write(&folder, "cut.arrow", &whole[..length]), &["text"], Some("label"));
    }
    for at in (0..whole.len()).step_by(3) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        let _ = survey_columns(&write(&folder, "damaged.arrow", damaged), &["text"], Some("label"));
    }
    let error = survey_columns(&write(&folder, "a.arrow", &whole[..40]), &["text"], None).unwrap_err();
    assert!(error.to_string().contains("not Arrow, or damaged: "), "{error}");
    let error = survey_columns(&write(&folder, "b.arrow", b"ARROW1\0\0"), &["text"], None).unwrap_err();
    assert!(error.hint().contains("save the table as Parquet"), "{}", error.hint());
}

#[test]
fn folders_are_data_sets_classes_or_told_what_to_name() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("train/pos/0_9.txt", "good one\n"),
        ("train/pos/1_8.txt", "fine\n"),
        ("train/neg/0_1.txt", "bad\nindeed"),
        ("train/urls.txt", "not a row"),
        ("tables/a.csv", "text,label\na,1\n"),
        ("tables/b.csv", "text,label\na,1\n"),
        ("tables/c.jsonl", "{}"),
        ("dict/dataset_dict.json", "{\"splits\": [\"train\", \"test\"]}"),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let mut classes = task(classification(&["text"], &[], &[]));
    let train = folder.path().join("train");
    train_on(&mut classes, &train);
    let read = read(&classes.train, &classes).unwrap();
    let texts = names(&["bad\nindeed", "good one", "fine"]);
    assert_eq!(read, Examples::Texts { texts, pairs: None, targets: Targets::Classes(vec![0, 1, 1]) });
    assert_eq!(classes.objective.labels(), ["neg", "pos"]);
    let content = look(&train, &classes, None).unwrap().content;
    std::fs::rename(train.join("neg"), train.join("bad")).unwrap();
    assert_ne!(look(&train, &classes, None).unwrap().content, content);
    let says = |name: &str, words: &str, hint: &str| {
        let path = folder.path().join(name);
        let error = survey_columns(&path, &["text"], Some("label")).unwrap_err();
        let told = error.hint().replace(&format!("{}/", path.display()), "");
        assert!(error.to_string().ends_with(words) && told.contains(hint), "{error} {told}");
    };
    says(
        "tables",
        "a folder without a data set that can be read as a whole",
        "name the files in it: `*.csv`, `c.jsonl`",
    );
    says("dict", "a folder of 2 data sets", "name one of its folders: `train`, `test`");
    says(".", "a folder of 1 data set", "name one of its folders: `train`");
    says("empty", "as a whole", "name a data file, a folder that `datasets` saved");
}

#[test]
fn gold_answers_written_as_text_are_read_from_every_table() {
    // What pandas writes for the lists of SQuAD, as CSV and as JSON Lines of text.
    let folder = tempfile::tempdir().unwrap();
    let written =
        "{'text': array(['in May', \"it's\"], dtype=object), 'answer_start': array([16, 2], dtype=int32)}";
    let quoted = written.replace('"', "\"\"");
    let csv = write(&folder, "a.csv", format!("context,question,answers\nThe ship,When?,\"{quoted}\"\n"));
    let found = examples(&csv, task(super::support::questions())).unwrap();
    let Examples::Questions(questions) = found else { panic!("{found:?}") };
    assert_eq!(questions[0].answers, names(&["in May", "it's"]));
}
