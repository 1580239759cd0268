//! The readers of data files, and sound inputs to begin with. Parquet is not among them: on some damaged files
//! its reader asks for more memory than there can be, and that ends a process.

use std::path::Path;

use lorasweep::data::sources::{self, SurveyRequest};
use lorasweep::tasks::{Fields, FileFormat, Reading, TextLayout};

use crate::Target;

#[test]
fn squad() {
    let asked = r#"{"version":"1.1","data":[{"title":"t","paragraphs":[{"context":"a b a b","qas":[{"id":"1","question":"b?","answers":[{"text":"b","answer_start":2}]},{"id":"2","question":"a?","answers":[{"text":"a","answer_start":0}]}]}]}]}"#;
    let words = &[
        "\"is_impossible\":true",
        "\"answers\":[]",
        "\"answers\":{\"text\":[\"a\"]}",
        "paragraphs",
        "\\ud800",
        "{",
        "[",
    ];
    Target { name: "squad", files: &["rows.json"], seeds: vec![asked.into()], words, read: read_rows }.run();
}

#[test]
fn tables() {
    let table =
        "context,question,answers,text,label\n\"a \"\"b\"\"\nc\",q,a,the text,x\nd,r,b,more,\"y,z\"\n";
    let words = &["\"\"", "\",\"", "\r\n", "\n\n", ",,", "text,text", "\u{feff}", "\u{85}"];
    Target { name: "tables", files: &["rows.csv"], seeds: vec![table.into()], words, read: read_rows }.run();
}

#[test]
fn objects() {
    let line = r#"{"context":"a b","question":"b?","answers":{"text":["b"]},"text":"the text","label":1}"#;
    let words = &["true", "null", "[", "{", "\\ud83d", "\"label\":\"x\"", "\n"];
    Target {
        name: "objects",
        files: &["rows.jsonl"],
        seeds: vec![format!("{line}\n{line}\n").into()],
        words,
        read: read_rows,
    }
    .run();
}

#[test]
fn answers() {
    let rows = "context,question,answers,text,label\n\
                a,q,\"{'text': array(['in May', \"\"it's\"\"], dtype=object), 'answer_start': array([1, 2])}\",['a'],01\n\
                b,q,\"{\"\"text\"\": [\"\"x\"\"]}\",\"{'a': None, 1: (True, nan)}\",+1\n";
    let words =
        &["array(", "dtype=", "\\x4", "\\u00e9", "r'", "'''", "{'text'", "[", "(", "None", "1e999", "..."];
    Target { name: "answers", files: &["rows.csv"], seeds: vec![rows.into()], words, read: read_rows }.run();
}

#[test]
fn documents() {
    let rows =
        r#"[{"text":"a","label":1},{"label":0,"text":"b","context":"c","question":"q","answers":["x"]}]"#;
    let columns = r#"{"text":{"0":"a","10":"b"},"label":{"0":1,"10":0}}"#;
    let split = r#"{"columns":["text","label"],"data":[["a",1],["b",0]]}"#;
    let words = &["\"data\":", "\"columns\":[", "\"paragraphs\":", "[[", "{}", "null", "\n"];
    let seeds = [rows, columns, split].map(Into::into).into();
    Target { name: "documents", files: &["rows.json"], seeds, words, read: read_rows }.run();
}

#[test]
fn encodings() {
    let table = "text,label,context,question,answers\nna\u{ef}ve,1,c,q,a\n";
    let wide = |big: bool| -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(table.encode_utf16());
        units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    let latin = table.chars().filter_map(|c| u8::try_from(u32::from(c)).ok()).collect();
    let words = &["\u{feff}", "\0", "\0\0", "\u{ff}\u{fe}", "sep=;\n", "PK\u{3}\u{4}", "\u{d7ff}"];
    let seeds = vec![wide(false), wide(true), latin];
    Target { name: "encodings", files: &["rows.csv"], seeds, words, read: read_rows }.run();
}

#[test]
fn dialects() {
    let table = "sep=;\ntext;label;context;question;answers\n'a; \"b\"';1;c;'it''s';a\nb, c;2;d;q;\n";
    let words = &["'", "''", "\"", "\t", "|", ";;", "\r", "\r\n", "\n\n", "sep=\t\n", "\u{feff}"];
    Target { name: "dialects", files: &["rows.csv"], seeds: vec![table.into()], words, read: read_dialects }
        .run();
}

/// The data file, whatever its task says of its dialect, format and encoding.
fn read_dialects(folder: &Path) {
    let path = folder.join("rows.csv");
    let text = ["text".to_owned()];
    let fields = Fields::columns_of(&text, &[], Some("label"));
    let plain = Reading::default;
    for reading in [
        plain(),
        Reading { separator: Some(';'), quote: Some('\''), ..plain() },
        Reading { separator: Some('\t'), quoting: Some(false), ..plain() },
        Reading { format: Some(FileFormat::Tsv), quoting: Some(true), ..plain() },
        Reading { format: Some(FileFormat::Json), ..plain() },
        Reading { format: Some(FileFormat::Squad), encoding: Some("Shift_JIS".to_owned()), ..plain() },
        Reading { format: Some(FileFormat::Text), encoding: Some("UTF-16LE".to_owned()), ..plain() },
    ] {
        let request = SurveyRequest { reading: &reading, ..SurveyRequest::as_it_is(&path, fields) };
        match sources::survey(&request) {
            Ok(found) => assert!(found.rows <= found.rows_read),
            Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
        }
    }
}

/// The one data file in a folder, as every kind of task reads it.
fn read_rows(folder: &Path) {
    let file = ["rows.json", "rows.csv", "rows.jsonl"].map(|name| folder.join(name));
    let path = file.iter().find(|path| path.is_file()).unwrap();
    let text = ["text".to_owned()];
    let labelled = Fields::columns_of(&text, &[], Some("label"));
    let documents = Fields::Documents { text: &text, layout: TextLayout::Documents };
    for fields in [labelled, documents, Fields::Questions { unanswerable: None }, Fields::Conversations] {
        let request = SurveyRequest::as_it_is(path, fields);
        match sources::survey(&request) {
            Ok(found) => assert!(found.row_labels.is_empty() || found.row_labels.len() == found.rows),
            Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
        }
    }
    drop(sources::texts(path, &sources::fitting(path, &text), &text, &[]));
}
