//! Delimited text and encodings as programs export them: what is read, and which key would read it.

use lorasweep::data::sources::{Note, SourceError, Survey, encoding, python_value, texts};
use lorasweep::tasks::{Examples, FileFormat, Reading, Task, TextLayout};
use proptest::prelude::*;

use super::support::{classification, examples, labelled, language, look, names, questions, task, write};

/// A classification of `text` by `label` whose files are read so.
fn reading(reading: Reading) -> Task {
    Task { reading, ..task(classification(&["text"], &[], &[])) }
}

fn found(name: &str, bytes: impl AsRef<[u8]>, task: &Task) -> Result<Survey, SourceError> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    look(&write(&folder, name, bytes), task, None)
}

/// The texts that a file holds.
fn texts_of(name: &str, bytes: impl AsRef<[u8]>, task: Task) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    labelled(&write(&folder, name, bytes), task).0
}

fn hint(name: &str, bytes: impl AsRef<[u8]>, task: &Task) -> String {
    match found(name, bytes, task) {
        Ok(survey) => survey.way_out.expect("the file lacks a column").to_string(),
        Err(error) => error.hint(),
    }
}

#[test]
fn a_quote_in_tsv_is_a_character() {
    // GLUE's files have lone quotes at the start and inside of sentences.
    let glue = "id\ttext\tlabel\n1\t\"They left , he said\ta\n2\tthen she left \"\tb\n3\t5\" disk\ta\n4\t\"all\"\tb\n";
    let read = texts_of("a.tsv", glue, reading(Reading::default()));
    assert_eq!(read, names(&["\"They left , he said", "then she left \"", "5\" disk", "\"all\""]));
    let asked = "text\tlabel\n\"a\ttab\"\"s\"\tx\nb\ty\n";
    let quoting = Reading { quoting: Some(true), ..Reading::default() };
    assert_eq!(texts_of("a.tsv", asked, reading(quoting.clone())), names(&["a\ttab\"s", "b"]));
    assert!(hint("a.tsv", asked, &reading(Reading::default())).ends_with("set `quoting: true` in the task"));
    let written = "text\tlabel\n\"she said \"\"no\"\"\"\tx\nb\ty\n";
    let survey = found("a.tsv", written, &reading(Reading::default())).unwrap();
    assert_eq!(survey.notes, [Note::Quoted { fields: 1 }]);
    assert_eq!(texts_of("a.tsv", written, reading(quoting)), names(&["she said \"no\"", "b"]));
    assert!(found("a.csv", "text,label\n5\" disk,x\n", &reading(Reading::default())).is_err());
}

#[test]
fn columns_that_nobody_asks_for_may_have_no_name_or_a_double_one() {
    let pandas = ",text,label,,x,x\n0,a,n,,1,2\n1,b,p,,3,4\n";
    let survey = found("a.csv", pandas, &reading(Reading::default())).unwrap();
    assert_eq!(survey.columns, names(&["Unnamed: 0", "text", "label", "Unnamed: 3", "x", "x"]));
    assert_eq!((survey.rows, survey.label_names), (2, names(&["n", "p"])));
    let twice = Task { ..task(classification(&["x"], &[], &[])) };
    let error = found("a.csv", pandas, &twice).unwrap_err();
    assert!(error.to_string().ends_with("two columns are called `x`"), "{error}");
    let index = task(classification(&["Unnamed: 0"], &[], &[]));
    assert_eq!(texts_of("a.csv", pandas, index), names(&["0", "1"]));
}

#[test]
fn names_for_a_file_that_has_its_own_are_told() {
    let mut given = reading(Reading::default());
    given.columns = Some(names(&["row", "text", "label"]));
    let error = found("a.csv", ",text,label\n0,a,n\n1,b,p\n", &given).unwrap_err();
    assert!(
        error.to_string().contains("row 1 (line 1): `columns` is given, but the first row names"),
        "{error}"
    );
    assert!(error.hint().starts_with("remove `columns`"), "{}", error.hint());
    assert_eq!(texts_of("a.csv", "0,a,n\n1,b,p\n", given), names(&["a", "b"]));
}

#[test]
fn the_first_line_may_name_the_separator() {
    for line in ["sep=;\n", "sep=;\r\n", "\"sep=;\"\r\n", "\u{feff}sep=;\n"] {
        let file = format!("{line}text;label\na, b;x\nc;y\n");
        assert_eq!(texts_of("a.csv", &file, reading(Reading::default())), names(&["a, b", "c"]), "{line:?}");
    }
    let error = found("a.csv", "sep=;\ntext;label\na\n", &reading(Reading::default())).unwrap_err();
    assert!(error.to_string().contains("row 1 (line 3): 1 field"), "{error}");
    let tab = Reading { separator: Some(','), ..Reading::default() };
    assert_eq!(texts_of("a.csv", "sep=,\ntext,label\na;b,x\n", reading(tab)), names(&["a;b"]));
}

#[test]
fn another_separator_is_named_and_its_key_reads_the_file() {
    for (separator, key) in [(';', "\";\""), ('\t', "tab"), ('|', "\"|\"")] {
        let header = format!("text{separator}label\na, b{separator}x\nc{separator}y\n");
        let task = reading(Reading::default());
        let said = hint("a.csv", &header, &task);
        assert!(said.ends_with(&format!("set `separator: {key}` in the task")), "{said}");
        let set = Reading { separator: Some(separator), ..Reading::default() };
        assert_eq!(texts_of("a.csv", &header, reading(set.clone())), names(&["a, b", "c"]));
        let mut bare = reading(Reading::default());
        bare.columns = Some(names(&["text", "label"]));
        let rows = format!("a{separator}x\nc, d, e{separator}y\n");
        assert!(hint("a.csv", &rows, &bare).contains(&format!("`separator: {key}`")));
        bare.reading = set;
        assert_eq!(texts_of("a.csv", &rows, bare), names(&["a", "c, d, e"]));
    }
}

#[test]
fn a_table_that_is_not_divided_is_told_whatever_its_columns_are_called() {
    let said = hint("a.csv", "Text;Label\na;x\nb;y\n", &reading(Reading::default()));
    assert!(said.contains("`separator: \";\"`"), "{said}");
    let survey = found("a.csv", "Text,Label\na;b,x\nc;d,y\n", &reading(Reading::default())).unwrap();
    assert_eq!(survey.way_out, None);
}

#[test]
fn commas_of_sentences_are_no_columns() {
    // Each row has as many commas as a table of two columns would, and means its semicolons.
    let rows = "Sport;'dog paid, he a goal; he said \"no\"'\nWeb;'sank he, she answer; he said \"no\"'\n";
    let mut task = reading(Reading::default());
    task.columns = Some(names(&["label", "text"]));
    let error = found("a.csv", rows, &task).unwrap_err();
    assert!(error.hint().starts_with("semicolons separate its columns: "), "{}", error.hint());
    assert!(error.hint().contains("`separator: \";\"` and `quote: \"'\"`"), "{}", error.hint());
    task.reading = Reading { separator: Some(';'), quote: Some('\''), ..Reading::default() };
    let folder = tempfile::tempdir().unwrap();
    let (texts, labels) = labelled(&write(&folder, "a.csv", rows), task.clone());
    assert_eq!(texts[0], "dog paid, he a goal; he said \"no\"");
    assert_eq!(labels, [0, 1]);
    // Who names the comma means it.
    task.reading = Reading { separator: Some(','), ..Reading::default() };
    assert_eq!(found("a.csv", rows, &task).unwrap().rows, 2);
}

#[test]
fn a_table_by_another_name_is_named_and_its_key_reads_it() {
    let table = "text\tlabel\na, b\tx\nc\ty\n";
    let missing = found("a.txt", table, &reading(Reading::default())).unwrap();
    assert_eq!(missing.way_out.unwrap().format, Some(FileFormat::Tsv));
    for (name, text, format) in [
        ("a.txt", table, FileFormat::Tsv),
        ("a.txt", "text,label\na,x\nb,y\n", FileFormat::Csv),
        (
            "a.csv",
            "{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": \"b\", \"label\": \"y\"}\n",
            FileFormat::Jsonl,
        ),
        ("a.csv", "[{\"text\": \"a\",\n \"label\": \"x\"}]\n", FileFormat::Json),
        ("a.jsonl", "text,label\na,x\nb,y\n", FileFormat::Csv),
        ("a.dat", "text,label\na,x\nb,y\n", FileFormat::Csv),
        ("a", "text\tlabel\na\tx\n", FileFormat::Tsv),
    ] {
        let said = hint_of_any(name, text);
        assert!(said.contains("`format: "), "{name}: {said}");
        let set = reading(Reading { format: Some(format), ..Reading::default() });
        assert_eq!(&texts_of(name, text, set)[0][..1], "a", "{name}");
    }
    let lines = Task {
        reading: Reading { format: Some(FileFormat::Text), ..Reading::default() },
        ..task(language(&[], TextLayout::Documents))
    };
    let folder = tempfile::tempdir().unwrap();
    let read = examples(&write(&folder, "log.csv", "a,b\n\"c\n"), lines).unwrap();
    assert_eq!(read, Examples::Documents(names(&["a,b", "\"c"])));
}

fn hint_of_any(name: &str, text: &str) -> String {
    hint(name, text, &reading(Reading::default()))
}

#[test]
fn what_is_no_text_is_called_by_its_name() {
    for (bytes, name) in [
        (&b"PK\x03\x04..."[..], "this is an Excel workbook or another ZIP archive"),
        (b"PAR1....", "this is a Parquet file"),
        (b"\x1f\x8b\x08\0", "this is a file packed by gzip"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "this is a pointer of Git LFS"),
        (b"<!DOCTYPE html>\n<html>", "this is a web page"),
        (b"\x80\x04\x95\0", "this is a Python pickle"),
    ] {
        let error = found("a.csv", bytes, &reading(Reading::default())).unwrap_err();
        assert!(error.to_string().ends_with(name), "{error}");
    }
    let error =
        found("a.parquet", "version https://git-lfs.github.com/spec/v1\n", &reading(Reading::default()));
    assert!(error.unwrap_err().hint().contains("git lfs pull"));
}

fn utf16(text: &str, mark: bool, big: bool) -> Vec<u8> {
    let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
    units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
}

const CSV: &str = "text,label\nna\u{ef}ve caf\u{e9},x\nStra\u{df}e,y\n";

#[test]
fn marks_and_keys_say_the_encoding() {
    let expected = names(&["na\u{ef}ve caf\u{e9}", "Stra\u{df}e"]);
    let plain = || reading(Reading::default());
    for big in [false, true] {
        assert_eq!(texts_of("a.csv", utf16(CSV, true, big), plain()), expected);
        let name = if big { "UTF-16BE" } else { "UTF-16LE" };
        let set = Reading { encoding: Some(name.to_owned()), ..Reading::default() };
        assert_eq!(texts_of("a.csv", utf16(CSV, false, big), reading(set)), expected);
        let error = found("a.csv", utf16(CSV, false, big), &plain()).unwrap_err();
        let name = name.to_lowercase();
        assert!(error.to_string().contains(&format!("UTF-16 without a byte order mark ({name})")), "{error}");
        assert!(error.hint().contains(&format!("`encoding: {name}`")), "{}", error.hint());
    }
    let latin: Vec<u8> = CSV.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let error = found("a.csv", &latin, &plain()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("line 2: not UTF-8 text; as Windows-1252 it reads `na\u{ef}ve caf\u{e9},x`"),
        "{error}"
    );
    assert!(error.hint().contains("`encoding: windows-1252`"));
    let set = Reading { encoding: Some(encoding("latin-1").unwrap().to_owned()), ..Reading::default() };
    assert_eq!(texts_of("a.csv", &latin, reading(set)), expected);
    // UTF-8 with one bad byte is not read as another encoding, which would spoil all other characters.
    let damaged = [CSV.as_bytes(), b"caf\xe9,x\n"].concat();
    let error = found("a.csv", &damaged, &plain()).unwrap_err();
    assert!(error.to_string().contains("line 4: not UTF-8 text: most of it is"), "{error}");
    assert!(!error.hint().contains("windows-1252"), "{}", error.hint());
    // UTF-16 after `iconv -f LATIN1 -t UTF-8`.
    let mangled: String = utf16(CSV, true, false).iter().map(|byte| char::from(*byte)).collect();
    let error = found("a.csv", mangled, &plain()).unwrap_err();
    assert!(error.to_string().contains("UTF-16 that was converted as if it were Latin-1"), "{error}");
    assert!(error.hint().contains("iconv -f UTF-16 -t UTF-8"));
    let wide: Vec<u8> = "\u{feff}a,b".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    assert!(found("a.csv", wide, &plain()).unwrap_err().hint().contains("iconv -f UTF-32"));
    let wrong = Reading { encoding: Some("Shift_JIS".to_owned()), ..Reading::default() };
    let error = found("a.csv", b"text,label\n\x81\x00,x\n", &reading(wrong)).unwrap_err();
    assert!(error.to_string().contains("line 2: not Shift_JIS text"), "{error}");
}

#[test]
fn encodings_have_all_their_names() {
    for (label, name) in [
        ("utf-8", "UTF-8"),
        ("UTF8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("utf_16", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"),
        ("latin-1", "windows-1252"),
        ("ISO-8859-1", "windows-1252"),
        ("cp1252", "windows-1252"),
        ("Windows-1251", "windows-1251"),
        ("shift_jis", "Shift_JIS"),
        ("gb18030", "gb18030"),
        ("koi8-r", "KOI8-R"),
    ] {
        assert_eq!(encoding(label), Some(name), "{label}");
    }
    for label in ["", "utf-32", "rot13", "utf-7"] {
        assert_eq!(encoding(label), None, "{label}");
    }
}

proptest! {
    #[test]
    fn every_text_survives_its_encoding(texts in prop::collection::vec("[a-zé東\u{1f600} ]{1,12}", 1..12), big: bool) {
        let rows: String = texts.iter().map(|text| format!("{text},x\n")).collect();
        let file = format!("text,label\n{rows}");
        let found = texts_of("a.csv", utf16(&file, true, big), reading(Reading::default()));
        prop_assert_eq!(&found, &texts);
        let jis = Reading { encoding: Some("gb18030".to_owned()), ..Reading::default() };
        let (bytes, ..) = (encoding_rs::GB18030.encode(&file).0.into_owned(), ());
        prop_assert_eq!(texts_of("a.csv", bytes, reading(jis)), texts);
    }

    #[test]
    fn every_dialect_holds_every_text(
        texts in prop::collection::vec("[a,;|\t\"'\r\n é]{0,10}", 1..12),
        separator in prop::sample::select(vec![',', ';', '|', '\t']),
        quote in prop::sample::select(vec!['"', '\'']),
    ) {
        let field = |text: &String| format!("{quote}{}{quote}", text.replace(quote, &format!("{quote}{quote}")));
        let rows: String = texts.iter().map(|text| format!("{}{separator}x\n", field(text))).collect();
        let set = Reading { separator: Some(separator), quote: Some(quote), ..Reading::default() };
        prop_assert_eq!(texts_of("a.csv", format!("text{separator}label\n{rows}"), reading(set)), texts);
    }

    #[test]
    fn without_quoting_every_character_is_text(texts in prop::collection::vec("[a,;|\"' é]{1,10}", 1..12)) {
        let rows: String = texts.iter().map(|text| format!("{text}\tx\n")).collect();
        let found = texts_of("a.tsv", format!("text\tlabel\n{rows}"), reading(Reading::default()));
        prop_assert_eq!(found, texts);
    }
}

#[test]
fn lines_may_end_as_on_old_computers() {
    let found = texts_of("a.csv", "text,label\ra,x\r\"b\rc\",y\r", reading(Reading::default()));
    assert_eq!(found, names(&["a", "b\rc"]));
}

#[test]
fn answers_that_pandas_wrote_are_gold_answers() {
    let folder = tempfile::tempdir().unwrap();
    let read = |answers: &str| {
        let field = answers.replace('"', "\"\"");
        let path = write(&folder, "q.csv", format!("context,question,answers\nIn May.,When?,\"{field}\"\n"));
        examples(&path, task(questions())).map(|read| match read {
            Examples::Questions(asked) => asked[0].answers.clone(),
            Examples::Texts { .. }
            | Examples::Words { .. }
            | Examples::Documents(_)
            | Examples::Lines(_)
            | Examples::Conversations(_) => panic!("{read:?}"),
        })
    };
    assert_eq!(read("{'text': ['in May'], 'answer_start': [16]}").unwrap(), names(&["in May"]));
    assert_eq!(read("{\"text\": [\"in May\", \"May\"]}").unwrap(), names(&["in May", "May"]));
    assert_eq!(read("['in May' \"it's\"]").unwrap(), names(&["in May", "it's"]));
    assert_eq!(read("[{'text': 'in May', 'answer_start': 3}]").unwrap(), names(&["in May"]));
    for text in ["in May", "[citation needed]", "[1]", "{x}"] {
        assert_eq!(read(text).unwrap(), names(&[text]));
    }
    let error = read("{'text': ['in M").unwrap_err();
    assert!(
        error.to_string().contains("row 1 (line 2): the answers are not whole: `{'text': ['in M`"),
        "{error}"
    );
    assert!(read("{'text': [], 'answer_start': []}").unwrap_err().to_string().contains("has no answer"));
}

#[test]
fn text_that_is_a_list_is_noted() {
    let survey =
        found("a.csv", "text,label\n\"['a', 'b']\",x\n\"['c']\",y\n", &reading(Reading::default())).unwrap();
    let column = "text".to_owned();
    assert_eq!(survey.notes, [Note::Structured { column, example: "['a', 'b']".to_owned() }]);
    let mixed =
        found("a.csv", "text,label\n\"['a', 'b']\",x\nplain,y\n", &reading(Reading::default())).unwrap();
    assert_eq!(mixed.notes, []);
    assert_eq!(python_value("['a', 'b']"), Some(serde_json::json!(["a", "b"])));
}

#[test]
fn texts_to_predict_are_read_like_a_task_s() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str, bytes: Vec<u8>| {
        texts(&write(&folder, name, bytes), &Reading::default(), &names(&["text"]), &[])
    };
    assert_eq!(read("a.csv", utf16(CSV, true, false)).unwrap().0[1], "Stra\u{df}e");
    assert_eq!(read("a.tsv", b"text\tx\n\"lone\t1\n".to_vec()).unwrap().0, names(&["\"lone"]));
    let error = read("a.csv", b"text;x\na;b\n".to_vec()).unwrap_err();
    assert!(error.hint().contains("semicolons"), "{}", error.hint());
}
