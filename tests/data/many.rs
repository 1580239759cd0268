//! Rows with several labels, and texts as words with tags, in every notation.

use lorasweep::data::sources::SourceError;
use lorasweep::tasks::{Examples, MultiLabel, Objective, RowTarget, Tagging, Targets, Task};

use super::support::{examples, fixture, look, names, task, train_on, write};

fn sets(label: &str, separator: Option<&str>) -> Task {
    let (text, label) = (names(&["text"]), label.to_owned());
    let separator = separator.map(str::to_owned);
    task(Objective::MultiLabel(MultiLabel { text, label, separator, ..MultiLabel::EMPTY }))
}

fn flags(columns: &[&str]) -> Task {
    let (text, label_columns) = (names(&["text"]), names(columns));
    task(Objective::MultiLabel(MultiLabel { text, label_columns, ..MultiLabel::EMPTY }))
}

fn tags() -> Task {
    let (words, tags) = ("words".to_owned(), "tags".to_owned());
    task(Objective::Tagging(Tagging { words, tags, ..Tagging::EMPTY }))
}

/// Three texts with the labels `joy`; `anger`, `joy`; and none.
#[track_caller]
fn assert_sets(found: Result<Examples, SourceError>, labels: [&[u32]; 3]) {
    let Examples::Texts { texts, targets: targets @ Targets::Lists(_), .. } =
        found.expect("the file is sound")
    else {
        panic!("texts have sets of labels")
    };
    assert_eq!(texts, ["a", "b", "c"]);
    assert_eq!([0, 1, 2].map(|row| targets.of(row)), labels.map(RowTarget::List));
}

#[test]
fn labels_are_lists_or_stand_between_separators() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "{\"text\": \"a\", \"label\": [\"joy\"]}\n{\"text\": \"b\", \"label\": [\"joy\", \"anger\"]}\n\
                 {\"text\": \"c\", \"label\": []}\n";
    let joy_is_second: [&[u32]; 3] = [&[1], &[0, 1], &[]];
    assert_sets(examples(&write(&folder, "a.jsonl", lines), sets("label", None)), joy_is_second);
    let table = "text,label\na,joy\nb,\"joy, anger, joy\"\nc,\n";
    assert_sets(examples(&write(&folder, "a.csv", table), sets("label", Some(","))), joy_is_second);
    let pandas = "text,label\na,['joy']\nb,\"['joy', 'anger']\"\nc,[]\n";
    assert_sets(examples(&write(&folder, "b.csv", pandas), sets("label", None)), joy_is_second);
    assert_sets(examples(&fixture("many.parquet"), sets("label", None)), joy_is_second);
}

/// Numbers are in numerical order, and names replace them.
#[test]
fn numbers_of_labels_get_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "a.tsv", "text\tlabel\na\t10\nb\t2,10\nc\t\n");
    assert_eq!(look(&path, &sets("label", Some(",")), None).unwrap().label_names, ["2", "10"]);
    let mut named = sets("label", Some(","));
    let Objective::MultiLabel(kind) = &mut named.objective else { panic!("it is one") };
    kind.label_map.insert("10".to_owned(), "joy".to_owned());
    kind.dropped_labels.insert("2".to_owned());
    let found = look(&path, &named, None).unwrap();
    assert_eq!((found.label_names, found.rows), (names(&["joy"]), 3));
    assert_sets(examples(&path, named), [&[0], &[0], &[]]);
}

#[test]
fn labels_have_columns_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "a.csv", "text,joy,anger\na,1,0\nb,1,true\nc,0.0,False\n");
    assert_sets(examples(&path, flags(&["joy", "anger"])), [&[0], &[0, 1], &[]]);
    let wrong = write(&folder, "b.csv", "text,joy,anger\na,1,0\nb,2,0\n");
    let error = look(&wrong, &flags(&["joy", "anger"]), None).unwrap_err().to_string();
    assert!(
        error.contains("row 2") && error.contains("column `joy` holds a value that is neither 0 nor 1"),
        "{error}"
    );
}

#[track_caller]
fn assert_words(found: Result<Examples, SourceError>) {
    let Examples::Words { words, tags } = found.expect("the file is sound") else {
        panic!("texts are words")
    };
    assert_eq!(words, [names(&["EU", "rejects"]), names(&["Peter"])]);
    assert_eq!(tags, [vec![0, 2], vec![1]]);
}

#[test]
fn words_and_tags_are_lists_lines_or_stand_between_blanks() {
    let folder = tempfile::tempdir().unwrap();
    let conll = "EU\tB-ORG\nrejects\tO\n\nPeter\tB-PER\n\n";
    assert_words(examples(&write(&folder, "a.conll", conll), tags()));
    let lines = "{\"words\": [\"EU\", \"rejects\"], \"tags\": [\"B-ORG\", \"O\"]}\n\
                 {\"words\": [\"Peter\"], \"tags\": [\"B-PER\"]}\n";
    assert_words(examples(&write(&folder, "a.jsonl", lines), tags()));
    assert_words(examples(&write(&folder, "a.csv", "words,tags\nEU rejects,B-ORG O\nPeter,B-PER\n"), tags()));
    assert_words(examples(&fixture("many.parquet"), {
        let mut task = tags();
        let Objective::Tagging(kind) = &mut task.objective else { panic!("it is one") };
        kind.label_map =
            [("0", "O"), ("1", "B-ORG"), ("2", "B-PER")].map(|(n, name)| (n.into(), name.into())).into();
        task
    }));
}

#[test]
fn a_text_with_more_tags_than_words_is_an_error_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "a.jsonl", "{\"words\": [\"EU\"], \"tags\": [\"O\", \"O\"]}\n");
    let error = look(&path, &tags(), None).unwrap_err();
    assert!(
        error.to_string().contains("line 1") && error.to_string().contains("1 word and 2 tags"),
        "{error}"
    );
    assert!(error.hint().contains("one tag"), "{}", error.hint());
}

#[test]
fn a_tag_inside_a_span_that_none_began_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "a.conll", "a\tO\n\nb\tI-PER\n\nc\tB-PER\nd\tI-LOC\n");
    let notes = look(&path, &tags(), None).unwrap().notes;
    let [note] = notes.as_slice() else { panic!("{notes:?}") };
    let said = note.to_string();
    assert!(said.contains("2 rows have a tag inside a span") && said.contains("row 2 (line 3)"), "{said}");
}

/// A label that the training file lacks is none of the task's.
#[test]
fn other_files_have_the_training_files_labels() {
    let folder = tempfile::tempdir().unwrap();
    let train = write(&folder, "a.conll", "EU\tB-ORG\nrejects\tO\n");
    let other = write(&folder, "b.conll", "EU\tB-LOC\n");
    let mut task = tags();
    train_on(&mut task, &train);
    let found = look(&other, &task, Some(task.objective.labels())).unwrap();
    task.test = Some(super::support::file(&other, &found));
    let error = lorasweep::data::sources::read(task.test.as_ref().unwrap(), &task).unwrap_err().to_string();
    assert!(error.contains("label `B-LOC` is none of the task's labels"), "{error}");
}
