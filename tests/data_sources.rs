//! Data files as people have them: what is read, and what is said about files that cannot be read.

use std::fs;
use std::path::{Path, PathBuf};

use lorasweep::data::sources::{Survey, survey};

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
    let columns = names(&["label", "title", "description"]);
    let news = survey(&data.join("ag_news/train.csv"), Some(&columns), &[], Some("label")).unwrap();
    assert_eq!((news.rows, news.label_names), (22_465, names(&["1", "2", "3", "4"])));
    let count = |class| news.row_labels.iter().filter(|label| **label == class).count();
    assert_eq!([0, 1, 2, 3].map(count), [4962, 5376, 5784, 6343]);
    let complaints = survey(&data.join("complaints/train.csv"), None, &[], Some("Product")).unwrap();
    assert_eq!((complaints.rows, complaints.label_names.len()), (10_000, 8));
}
