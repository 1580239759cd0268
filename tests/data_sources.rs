//! Data files as people have them: what is read, and what is said about files that cannot be read.

use std::fs;
use std::path::{Path, PathBuf};

use lorasweep::data::sources::{Rows, Survey, read, survey};
use lorasweep::task::{DataFile, Objective, Task};
use proptest::prelude::*;

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn write(folder: &tempfile::TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("a temporary folder can be written to");
    path
}

/// Surveys a file with the columns `text` and `label`.
fn look(name: &str, bytes: impl AsRef<[u8]>) -> Result<Survey, String> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = write(&folder, name, bytes);
    survey(&path, None, &names(&["text"]), Some("label"))
        .map_err(|e| format!("{e}\n{}", e.hint()).replace(&*path.to_string_lossy(), name))
}

/// Reads a file as a task with these text columns would.
fn rows(path: &Path, columns: Option<&[String]>, text: &[&str], label: &str) -> Rows {
    let found = survey(path, columns, &names(text), Some(label)).expect("the file is sound");
    let file = DataFile {
        path: path.to_path_buf(),
        content: found.content,
        rows: found.rows,
        text_bytes: found.text_bytes,
    };
    let classes: Vec<&str> = found.label_names.iter().map(String::as_str).collect();
    let columns = columns.map(<[String]>::to_vec);
    let mut task = Task { columns, ..Task::classification(file.clone(), "", label, &classes) };
    if let Objective::Classification(classes) = &mut task.objective {
        classes.text = names(text);
    }
    read(&file, &task).expect("the file is sound")
}

/// A field as RFC 4180 writes it: in quotes where it must be, or where `always` says so.
fn field(text: &str, separator: char, always: bool) -> String {
    if always || text.contains([separator, '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

proptest! {
    #[test]
    fn every_text_survives_csv_and_tsv(
        texts in prop::collection::vec(("[a,;\t\"\\\\\r\n 'é]{0,12}", any::<bool>()), 1..40), end in "\r?\n",
    ) {
        for (separator, ending) in [(',', "csv"), ('\t', "tsv")] {
            let mut file = format!("text{separator}label{end}");
            for (text, always) in &texts {
                file.push_str(&format!("{}{separator}x{end}", field(text, separator, *always)));
            }
            let folder = tempfile::tempdir().unwrap();
            let path = write(&folder, &format!("data.{ending}"), file);
            let found = rows(&path, None, &["text"], "label");
            prop_assert_eq!(found.texts, texts.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>());
        }
    }
}

#[test]
fn text_columns_are_joined_by_a_space_in_the_given_order() {
    let folder = tempfile::tempdir().unwrap();
    let csv = write(&folder, "data.csv", "a,label,b\n1,x,2\n,y,\n");
    let json = write(
        &folder,
        "data.ndjson",
        "{\"a\": 1, \"b\": \"2\", \"label\": \"x\"}\n{\"label\": \"y\", \"a\": \"\", \"b\": \"\"}\n",
    );
    for path in [csv, json] {
        let found = rows(&path, None, &["b", "a", "b"], "label");
        assert_eq!((found.texts, found.labels), (names(&["2 1 2", "  "]), vec![0, 1]));
    }
}

#[test]
fn quotes_commas_line_breaks_and_windows_line_ends_are_data() {
    let file = "text,label\r\n\"a, \"\"quoted\"\" word\r\nand a second line\",yes\r\n\\\"odd\\\" team,no\r\n,yes\r\n";
    let survey = look("data.csv", file).unwrap();
    assert_eq!(survey.rows, 3);
    assert_eq!(survey.columns, names(&["text", "label"]));
    assert_eq!(survey.label_names, names(&["no", "yes"]));
    assert_eq!(survey.row_labels, [1, 0, 1]);
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_name() {
    let survey = look("data.csv", "\u{feff}text,label\nhello,1\n").unwrap();
    assert_eq!(survey.columns, names(&["text", "label"]));
}

#[test]
fn labels_that_are_integers_are_sorted_as_integers() {
    let survey = look("data.tsv", "label\ttext\n10\ta\n9\tb\n-1\tc\n10\td").unwrap();
    assert_eq!(survey.label_names, names(&["-1", "9", "10"]));
    assert_eq!(survey.row_labels, [2, 1, 0, 2]);
    let mixed = look("data.tsv", "label\ttext\n10\ta\n9\tb\nx\tc\n").unwrap();
    assert_eq!(mixed.label_names, names(&["10", "9", "x"]));
}

#[test]
fn given_names_mean_that_the_first_row_is_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "data.csv", "\"3\",\"a title\"\n\"4\",\"another\"\n\n");
    let columns = names(&["label", "text"]);
    let found = survey(&path, Some(&columns), &names(&["text"]), Some("label")).unwrap();
    assert_eq!((found.rows, found.columns), (2, columns));
    assert_eq!(found.label_names, names(&["3", "4"]));
}

#[test]
fn a_missing_label_column_is_left_to_the_caller() {
    let survey = look("data.csv", "text,class\na,1\n").unwrap();
    assert_eq!((survey.rows, survey.columns), (1, names(&["text", "class"])));
    assert!(survey.row_labels.is_empty() && survey.label_names.is_empty());
}

#[test]
fn json_lines_hold_text_and_numbers() {
    let survey =
        look("data.jsonl", "{\"text\": \"a\\nb\", \"label\": 2}\n\n{\"label\": 1, \"text\": \"\"}").unwrap();
    assert_eq!((survey.rows, survey.row_labels), (2, vec![1, 0]));
    assert_eq!(survey.label_names, names(&["1", "2"]));
}

#[test]
fn every_problem_says_where_it_is_and_what_to_do() {
    let cases: &[(&str, &[u8], &str)] = &[
        (
            "data.xlsx",
            b"",
            "unknown kind of data file\nuse a file that ends in .csv, .tsv, .jsonl or .ndjson",
        ),
        ("data.csv", b"", "no rows"),
        ("data.csv", b"text,label\n", "no rows"),
        ("data.csv", b"text,label\n\n\n", "no rows"),
        ("data.csv", b"text,label\na,1\n\"b\nc\",2\nd\n", "row 3 (line 5): 1 field in a file of 2 columns"),
        ("data.csv", b"text,label\na,1,2\n", "row 1 (line 2): 3 fields in a file of 2 columns"),
        ("data.csv", b"text,label\na,1\n\nb,2\n", "row 2 (line 3): 1 field in a file of 2 columns"),
        ("data.csv", b"text,label\na,1\n5\" disk,2\n", "row 2 (line 3): a double quote"),
        ("data.csv", b"text,label\n\"a,1\nb,2\n", "row 1 (line 2): a double quote"),
        ("data.csv", b"text,label\n\"a\"b,1\n", "row 1 (line 2): a double quote"),
        ("data.csv", b"text,label\na,1\nb,\n", "row 2 (line 3): the label is empty\ngive the row a label"),
        ("data.csv", b"text,text\na,1\n", "two columns are called `text`"),
        ("data.csv", b"text,\na,1\n", "a column without a name"),
        ("data.csv", b"text,label\na,1\n\xff,2\n", "line 3: not UTF-8 text\nconvert the file"),
        ("data.jsonl", b"\n", "no rows"),
        ("data.jsonl", b"{\"text\": \"a\", \"label\": 1}\n[]\n", "row 2 (line 2): not a JSON object"),
        ("data.jsonl", b"{\"text\": \"a\", \"label\": 1}\n{\"label\": 1}\n", "`text` holds nothing"),
        ("data.jsonl", b"{\"text\": \"a\", \"label\": null}\n", "row 1 (line 1): column `label` holds null"),
    ];
    for (name, bytes, expected) in cases {
        let said = look(name, bytes).unwrap_err();
        assert!(said.starts_with(&format!("`{name}`")) && said.contains(expected), "{said}");
    }
    let gone = survey(Path::new("nowhere.csv"), None, &[], None).unwrap_err();
    assert!(gone.to_string().starts_with("`nowhere.csv`: cannot be read: No such file"));
}

#[test]
#[expect(clippy::print_stdout, reason = "a test that skips says why")]
fn real_files_have_the_rows_that_other_readers_find() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !data.join("ag_news/train.csv").exists() {
        println!("skipped: `{}` is absent", data.display());
        return;
    }
    // Rows and bytes of text, as Python's csv module reads them.
    let columns = names(&["label", "title", "description"]);
    let path = data.join("ag_news/train.csv");
    let news = rows(&path, Some(&columns), &["title", "description"], "label");
    let count = |class| news.labels.iter().filter(|label| **label == class).count();
    assert_eq!([0, 1, 2, 3].map(count), [4962, 5376, 5784, 6343]);
    assert_eq!(news.texts.iter().map(String::len).sum::<usize>(), 4_839_104);
    let path = data.join("complaints/train.csv");
    let complaints = rows(&path, None, &["Consumer complaint narrative"], "Product");
    assert_eq!(complaints.labels.iter().max(), Some(&7));
    let bytes = complaints.texts.iter().map(String::len).sum::<usize>();
    assert_eq!((complaints.texts.len(), bytes), (10_000, 11_102_112));
}
