//! JSON as programs export it: rows in every shape, SQuAD by its content, keys that some rows lack.

use lorasweep::data::sources::Note;
use lorasweep::tasks::{Examples, Objective, Question, QuestionAnswering, Unanswerable};

use super::support::{classification, examples, labelled, look, names, questions, task, write};

#[test]
fn rows_are_read_from_every_shape_under_every_ending() {
    let folder = tempfile::tempdir().unwrap();
    let rows = r#"[{"text": "a", "label": 1}, {"label": 0, "text": "b", "more": [1]}]"#;
    for (shape, text) in [
        ("a list", rows.to_owned()),
        ("a list on lines", rows.replace(", ", ",\n  ")),
        ("lines", "{\"text\": \"a\", \"label\": 1}\n\n{\"text\": \"b\", \"label\": 0}\n".to_owned()),
        ("data", format!("{{\"version\": 1, \"data\": {rows}}}")),
        ("another key", format!("{{\"train\": {rows}, \"info\": {{\"n\": 2}}}}")),
        ("columns", r#"{"text": ["a", "b"], "label": [1, 0]}"#.to_owned()),
        ("columns by row", r#"{"text": {"0": "a", "1": "b"}, "label": {"0": 1, "1": 0}}"#.to_owned()),
        (
            "split",
            r#"{"columns": ["text", "label"], "index": [0, 1], "data": [["a", 1], ["b", 0]]}"#.to_owned(),
        ),
    ] {
        for name in ["a.json", "a.jsonl"] {
            let found = labelled(&write(&folder, name, &text), task(classification(&["text"], &[], &[])));
            assert_eq!(found, (names(&["a", "b"]), vec![1, 0]), "{shape}");
        }
    }
    let one = write(&folder, "one.jsonl", "{\"text\": \"a\", \"label\": \"x\"}");
    assert_eq!(look(&one, &task(classification(&["text"], &[], &[])), None).unwrap().rows, 1);
}

#[test]
fn eleven_columns_by_row_stay_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let column = |text: &str| {
        let all: Vec<String> = (0..12).map(|row| format!("\"{row}\": \"{text}{row}\"")).collect();
        all.join(", ")
    };
    let text = format!("{{\"text\": {{{}}}, \"label\": {{{}}}}}", column("t"), column(""));
    let (texts, labels) =
        labelled(&write(&folder, "a.json", text), task(classification(&["text"], &[], &[])));
    assert_eq!((texts[10].as_str(), labels[10], texts[2].as_str(), labels[2]), ("t10", 10, "t2", 2));
}

#[test]
fn a_key_that_some_rows_lack_is_an_empty_text() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": \"b\", \"label\": \"y\", \"title\": \"t\"}\n\
                 {\"text\": \"c\", \"label\": \"y\", \"title\": null}\n";
    let path = write(&folder, "a.jsonl", lines);
    let both = task(classification(&["title", "text"], &[], &[]));
    let found = look(&path, &both, None).unwrap();
    assert_eq!(found.columns, names(&["label", "text", "title"]));
    let [Note::Gaps { column, rows: 2, first }] = &found.notes[..] else { panic!("{:?}", found.notes) };
    assert_eq!((column.as_str(), first.row, first.line), ("title", Some(1), Some(1)));
    assert!(found.notes[0].to_string().contains("no value in 2 rows, the first is row 1 (line 1)"));
    assert_eq!(labelled(&path, both).0, names(&[" a", "t b", " c"]));
    let nowhere = look(&path, &task(classification(&["name"], &[], &[])), None).unwrap();
    assert!(!nowhere.columns.contains(&"name".to_owned()) && nowhere.notes.is_empty());
}

#[test]
fn documents_without_rows_say_what_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let says = |name: &str, text: &str, words: &str| {
        let path = write(&folder, name, text);
        let error = look(&path, &task(classification(&["text"], &[], &[])), None).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    };
    let two = r#"{"train": [{"text": "a"}], "test": [{"text": "b"}, {"text": "c"}]}"#;
    says("a.json", two, "without one list of rows in it; its keys are `test`, `train`");
    says("a.json", "[{\"text\": \"a\", \"label\": 1}, 3]", "row 2: not a JSON object: found a number");
    says("a.json", "[{\"text\": \"a\", \"label\": NaN}]", "line 1: not JSON: ");
    says("a.jsonl", "[{\"text\": \"a\"},\n{\"text\"", "line 2: not JSON: ");
    says(
        "a.jsonl",
        "{\"text\": \"a\", \"label\": 1}\n{\"text\": \"b\", \"label\": NaN}\n",
        "row 2 (line 2): not a JSON object",
    );
    says("a.json", "\"text\"", ": JSON without rows in it");
    says("a.json", "[]", ": no rows");
}

const SQUAD2: &str = r#"{"version": "v2.0", "data": [{"title": "t", "paragraphs": [
  {"document_id": 77, "context": "The bus was red.", "qas": [
    {"question": "Which colour?", "id": 0, "is_impossible": false, "answers": [{"text": "red", "answer_start": 12, "answer_id": 9}]},
    {"question": "Who?", "id": 1, "is_impossible": true, "answers": [], "plausible_answers": [{"text": "bus"}]},
    {"question": "Why?", "id": 2, "is_impossible": true, "answers": [{"text": "misleading"}]},
    {"question": "When?", "id": 3, "is_impossible": true}]}]}]}"#;

fn with_unanswerable(unanswerable: Unanswerable) -> Objective {
    let Objective::QuestionAnswering(asked) = questions() else { panic!("they are questions") };
    Objective::QuestionAnswering(QuestionAnswering { unanswerable: Some(unanswerable), ..asked })
}

#[test]
fn questions_without_an_answer_are_counted_left_out_or_trained() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "a.json", SQUAD2);
    let error = look(&path, &task(questions()), None).unwrap_err();
    assert!(
        error.to_string().ends_with("row 2: the question has no answer; 3 such questions in all"),
        "{error}"
    );
    assert!(
        error.hint().contains("`unanswerable: drop`")
            && error.hint().contains("`unanswerable: \"no answer\"`")
    );
    let asked = |question: &str, answer: &str| Question {
        context: "The bus was red.".into(),
        question: question.into(),
        answers: names(&[answer]),
    };
    let dropping = task(with_unanswerable(Unanswerable::Drop));
    let found = look(&path, &dropping, None).unwrap();
    assert_eq!((found.rows_read, found.rows, found.left_out.unanswered), (4, 1, 3));
    assert_eq!(examples(&path, dropping).unwrap(), Examples::Questions(vec![asked("Which colour?", "red")]));
    let trained = task(with_unanswerable(Unanswerable::Answer("no answer".into())));
    let all = ["Who?", "Why?", "When?"].map(|question| asked(question, "no answer"));
    let all = std::iter::once(asked("Which colour?", "red")).chain(all).collect();
    assert_eq!(examples(&path, trained).unwrap(), Examples::Questions(all));
    let flat = "{\"context\": \"c\", \"question\": \"q\", \"answers\": {\"text\": [\"x\"]}, \"is_impossible\": true}\n\
                {\"context\": \"c\", \"question\": \"q\", \"answers\": {\"text\": [\"y\"]}}\n";
    let path = write(&folder, "a.jsonl", flat);
    assert_eq!(look(&path, &task(with_unanswerable(Unanswerable::Drop)), None).unwrap().rows, 1);
}

#[test]
fn squad_is_known_by_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let list = r#"[{"title": "t", "paragraphs": [{"context": "c", "qas": [{"question": "q", "answers": [{"text": "c"}]}]}]}]"#;
    for (name, text) in [
        ("a.json", format!("{{\"data\": {list}}}")),
        ("a.jsonl", format!("{{\"data\": {list}}}")),
        ("a.jsonl", format!("{{\n\"data\": {list}}}")),
        ("b.json", list.to_owned()),
    ] {
        let found = look(&write(&folder, name, text), &task(questions()), None).unwrap();
        assert_eq!((found.rows, found.columns), (1, names(&["context", "question", "answers"])), "{name}");
    }
}
