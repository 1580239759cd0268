//! Files as hubs and web pages offer them.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use lorasweep::tasks::{Examples, Question, TextLayout};
use proptest::prelude::*;

use super::support::{
    classification, examples, fixture, labelled, language, look, names, questions, shared, survey_columns,
    task, write,
};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).expect("memory can be written to");
    packed.finish().expect("memory can be written to")
}

fn asked(context: &str, question: &str, answers: &[&str]) -> Question {
    Question { context: context.into(), question: question.into(), answers: names(answers) }
}

#[test]
fn parquet_holds_text_and_class_numbers_whatever_its_pages_are_packed_with() {
    for packing in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"] {
        let path = fixture(&format!("texts_{packing}.parquet"));
        let (texts, labels) = labelled(&path, task(classification(&["title", "text"], &[], &[])));
        let expected = ["a plain", "b with \"quotes\", commas\nand lines", "c 東京 \u{1f600}", "d "];
        assert_eq!((texts, labels), (names(&expected), vec![1, 0, 1, 2]), "{packing}");
    }
    let named = [("0", "World"), ("1", "Sports"), ("10", "Business")];
    let found =
        look(&fixture("texts_none.parquet"), &task(classification(&["text"], &[], &named)), None).unwrap();
    assert_eq!(found.label_names, names(&["Business", "Sports", "World"]));
    assert_eq!(found.columns, names(&["text", "title", "label", "score", "kind", "good", "gone", "tokens"]));
    assert_eq!(survey_columns(&fixture("texts_none.parquet"), &[], None).unwrap().rows, 4);
    let numbers = survey_columns(&fixture("texts_none.parquet"), &["score"], Some("good")).unwrap();
    assert_eq!(numbers.label_names, names(&["false", "true"]));
}

#[test]
fn parquet_that_cannot_be_used_says_why() {
    let says = |name: &str, column: &str, words: &str| {
        let error = survey_columns(&fixture(name), &[column], Some("label")).unwrap_err();
        assert!(error.to_string().ends_with(words), "{error}");
    };
    says("texts_none.parquet", "tokens", ": column `tokens` holds a list or a struct");
    says("empty.parquet", "text", ": no rows");
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(fixture("texts_zstd.parquet")).unwrap();
    for length in [0, 3, 8, 100, whole.len() / 2, whole.len() - 1] {
        let path = write(&folder, "cut.parquet", &whole[..length]);
        let error = survey_columns(&path, &["text"], Some("label")).unwrap_err();
        assert!(error.to_string().contains("not Parquet, or damaged: "), "{length}: {error}");
        assert_eq!(error.hint(), "copy or download the file again");
    }
}

#[test]
fn no_damaged_byte_of_parquet_is_fatal() {
    let folder = tempfile::tempdir().unwrap();
    for packing in ["none", "snappy", "zstd"] {
        let whole = fs::read(fixture(&format!("texts_{packing}.parquet"))).unwrap();
        let mut refused = 0;
        for at in (0..whole.len()).step_by(5) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            let found = survey_columns(&write(&folder, "damaged.parquet", damaged), &["text"], Some("label"));
            refused += usize::from(found.is_err());
        }
        // Some bytes are padding, statistics or text: Parquet has no checksum over all.
        assert!(refused > whole.len() / 40, "{refused} of {}", whole.len());
    }
}

#[test]
fn the_same_questions_come_from_every_format() {
    let expected = Examples::Questions(vec![
        asked("Ada lived in London.", "Where?", &["London", "in London"]),
        asked("Ada lived in London.", "Who?", &["Ada"]),
        asked("東京は日本の首都です。", "首都?", &["東京"]),
    ]);
    assert_eq!(examples(&fixture("questions.parquet"), task(questions())).unwrap(), expected);
    let folder = tempfile::tempdir().unwrap();
    let official = r#"{"version": "1.1", "data": [{"title": "t", "paragraphs": [
        {"context": "Ada lived in London.", "qas": [
            {"id": "1", "question": "Where?", "answers": [{"text": "London", "answer_start": 13}, {"text": "in London", "answer_start": 10}]},
            {"id": "2", "question": "Who?", "answers": [{"text": "Ada", "answer_start": 0}]}]},
        {"context": "東京は日本の首都です。", "qas": [{"id": "3", "question": "首都?", "answers": [{"text": "東京"}]}]}]}]}"#;
    let lines = r#"{"context": "Ada lived in London.", "question": "Where?", "answers": {"text": ["London", "in London"], "answer_start": [13, 10]}}
        {"context": "Ada lived in London.", "question": "Who?", "answers": "Ada"}
        {"context": "東京は日本の首都です。", "question": "首都?", "answers": [{"text": "東京"}]}"#;
    for (name, text) in [("q.json", official), ("q.jsonl", lines)] {
        let path = write(&folder, name, text);
        assert_eq!(examples(&path, task(questions())).unwrap(), expected, "{name}");
    }
    let path = write(&folder, "q.csv", "question,context,answers\nWho?,Ada lived in London.,Ada\n");
    let expected = Examples::Questions(vec![asked("Ada lived in London.", "Who?", &["Ada"])]);
    assert_eq!(examples(&path, task(questions())).unwrap(), expected);
}

#[test]
fn questions_that_cannot_be_used_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let says = |name: &str, text: &str, words: &str| {
        let path = write(&folder, name, text);
        let error = look(&path, &task(questions()), None).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    };
    says("q.json", "{\n\"dada\": []}", ": JSON without one list of rows in it; its keys are `dada`");
    says("q.json", "{\"data\": []}", ": no rows");
    says("q.json", "[1, ", "line 1: not JSON: ");
    says(
        "q.json",
        "{\"data\": [{\"paragraphs\": [{\"qas\": []}]}]}",
        "not SQuAD's JSON: missing field `context`",
    );
    says("q.csv", "context,question\na,b\n", ": no column `answers`");
    says(
        "q.jsonl",
        "{\"context\": \"a\", \"question\": \"b\", \"answers\": []}",
        "row 1 (line 1): the question has no answer",
    );
    let error = look(&fixture("unanswerable.parquet"), &task(questions()), None).unwrap_err();
    assert!(
        error.to_string().ends_with("row 3: the question has no answer; 1 such question in all"),
        "{error}"
    );
    assert!(error.hint().contains("`unanswerable: drop`"));
}

#[test]
fn the_lines_of_a_text_file_are_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "a.txt", "\u{feff} = Title = \r\n\n東京, \"x\"\nlast");
    let lines = names(&[" = Title = ", "", "東京, \"x\"", "last"]);
    assert_eq!(
        examples(&path, task(language(&[], TextLayout::Blocks))).unwrap(),
        Examples::Lines(lines.clone())
    );
    let documents = Examples::Documents(vec![lines[0].clone(), lines[2].clone(), lines[3].clone()]);
    assert_eq!(examples(&path, task(language(&["text"], TextLayout::Documents))).unwrap(), documents);
    assert_eq!(survey_columns(&path, &[], None).unwrap().columns, names(&["text"]));
    let error =
        look(&write(&folder, "b.txt", ""), &task(language(&[], TextLayout::Blocks)), None).unwrap_err();
    assert!(error.to_string().ends_with(": no rows"));
}

#[test]
fn named_columns_are_for_delimited_files_alone() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("a.txt", "x"), ("a.jsonl", "{\"text\": \"x\"}"), ("a.json", "{\"data\": []}")] {
        let mut task = task(language(&["text"], TextLayout::Documents));
        task.columns = Some(names(&["text"]));
        let error = look(&write(&folder, name, text), &task, None).unwrap_err();
        assert!(error.to_string().contains("`columns` is given"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn compressed_files_hold_what_was_packed(texts in prop::collection::vec("[a-zé 東]{0,20}", 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let rows: String = texts.iter().map(|text| format!("{text},x\n")).collect();
        let csv = format!("text,label\n{rows}");
        let (half, rest) = csv.as_bytes().split_at(csv.len() / 2);
        // gzip also as two packed files in a row.
        let packed = [
            ("a.csv", csv.clone().into_bytes()),
            ("a.csv.gz", gzip(csv.as_bytes())),
            ("b.CSV.GZ", [gzip(half), gzip(rest)].concat()),
            ("a.csv.zst", zstd::encode_all(csv.as_bytes(), 1).unwrap()),
        ];
        for (name, bytes) in packed {
            let (found, _) = labelled(&write(&folder, name, bytes), task(classification(&["text"], &[], &[])));
            prop_assert_eq!(&found, &texts);
        }
    }
}

#[test]
fn damaged_packing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let csv = b"text,label\nhello,x\nworld,y\n";
    let packed =
        [("gzip", "a.csv.gz", gzip(csv)), ("zstd", "a.csv.zst", zstd::encode_all(&csv[..], 1).unwrap())];
    for (kind, name, bytes) in packed {
        for cut in [&bytes[..bytes.len() - 3], &bytes[..5], b"text,label\nplain,x\n"] {
            let error = survey_columns(&write(&folder, name, cut), &["text"], Some("label")).unwrap_err();
            assert!(error.to_string().contains(&format!("not {kind}, or damaged: ")), "{error}");
        }
    }
    for name in ["a.parquet.gz", "a.gz", "noending", "a.tar.zst"] {
        let error = survey_columns(&write(&folder, name, "x"), &[], None).unwrap_err();
        assert!(error.to_string().ends_with("unknown kind of data file"), "{error}");
    }
}

#[test]
fn real_files_have_their_known_sizes() {
    for (name, rows) in [("squad/train.json", 8_582), ("squad/dev.json", 1_988)] {
        let Some(path) = shared(name) else { return };
        assert_eq!(look(&path, &task(questions()), None).unwrap().rows, rows);
    }
    let Some(path) = shared("mnli/validation.jsonl") else { return };
    let found = look(&path, &task(classification(&["premise"], &["hypothesis"], &[])), None).unwrap();
    assert_eq!((found.rows, found.label_names), (10_000, names(&["contradiction", "entailment", "neutral"])));
}

#[test]
fn what_unpacks_to_far_too_much_is_refused_before_it_fills_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let row = vec![b'x'; 1 << 20];
    let mut packed = zstd::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..80 {
        packed.write_all(&row).unwrap();
    }
    let path = write(&folder, "bomb.txt.zst", packed.finish().unwrap());
    let error = look(&path, &task(language(&[], TextLayout::Blocks)), None).unwrap_err();
    assert!(error.to_string().contains("unpacks to more than 64 MiB"), "{error}");
    assert!(error.hint().contains("unpack it yourself"));
}
