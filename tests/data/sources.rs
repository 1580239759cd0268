//! Data files as people have them: what is read, and what is said about files that cannot be read.

use std::path::Path;

use lorasweep::data::sources::Survey;
use proptest::prelude::*;

use super::support::{classification, labelled, look, names, shared, survey_columns, task, write};

/// Surveys a file with the columns `text` and `label`.
fn found(name: &str, bytes: impl AsRef<[u8]>) -> Result<Survey, String> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = write(&folder, name, bytes);
    survey_columns(&path, &["text"], Some("label"))
        .map_err(|e| format!("{e}\n{}", e.hint()).replace(&*path.to_string_lossy(), name))
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
        for (separator, ending, quoting) in [(',', "csv", None), ('\t', "tsv", Some(true))] {
            let mut file = format!("text{separator}label{end}");
            for (text, always) in &texts {
                file.push_str(&format!("{}{separator}x{end}", field(text, separator, *always)));
            }
            let folder = tempfile::tempdir().unwrap();
            let path = write(&folder, &format!("data.{ending}"), file);
            let mut task = task(classification(&["text"], &[], &[]));
            task.reading.quoting = quoting;
            let (found, _) = labelled(&path, task);
            prop_assert_eq!(found, texts.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>());
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
        let found = labelled(&path, task(classification(&["b", "a", "b"], &[], &[])));
        assert_eq!(found, (names(&["2 1 2", "  "]), vec![0, 1]));
    }
}

#[test]
fn quotes_commas_line_breaks_and_windows_line_ends_are_data() {
    let file = "text,label\r\n\"a, \"\"quoted\"\" word\r\nand a second line\",yes\r\n\\\"odd\\\" team,no\r\n,yes\r\n";
    let survey = found("data.csv", file).unwrap();
    assert_eq!(survey.rows, 3);
    assert_eq!(survey.columns, names(&["text", "label"]));
    assert_eq!(survey.label_names, names(&["no", "yes"]));
    assert_eq!(survey.row_labels, [1, 0, 1]);
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_name() {
    let survey = found("data.csv", "\u{feff}text,label\nhello,1\n").unwrap();
    assert_eq!(survey.columns, names(&["text", "label"]));
}

#[test]
fn labels_that_are_integers_are_sorted_as_integers() {
    let survey = found("data.tsv", "label\ttext\n10\ta\n9\tb\n-1\tc\n10\td").unwrap();
    assert_eq!(survey.label_names, names(&["-1", "9", "10"]));
    assert_eq!(survey.row_labels, [2, 1, 0, 2]);
    let mixed = found("data.tsv", "label\ttext\n10\ta\n9\tb\nx\tc\n").unwrap();
    assert_eq!(mixed.label_names, names(&["10", "9", "x"]));
}

#[test]
fn given_names_mean_that_the_first_row_is_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "data.csv", "\"3\",\"a title\"\n\"4\",\"another\"\n\n");
    let columns = names(&["label", "text"]);
    let mut task = task(classification(&["text"], &[], &[]));
    task.columns = Some(columns.clone());
    let found = look(&path, &task, None).unwrap();
    assert_eq!((found.rows, found.columns), (2, columns));
    assert_eq!(found.label_names, names(&["3", "4"]));
}

#[test]
fn a_missing_label_column_is_left_to_the_caller() {
    let survey = found("data.csv", "text,class\na,1\n").unwrap();
    assert_eq!((survey.rows, survey.columns), (1, names(&["text", "class"])));
    assert!(survey.row_labels.is_empty() && survey.label_names.is_empty());
}

#[test]
fn json_lines_hold_text_and_numbers() {
    let survey =
        found("data.jsonl", "{\"text\": \"a\\nb\", \"label\": 2}\n\n{\"label\": 1, \"text\": \"\"}").unwrap();
    assert_eq!((survey.rows, survey.row_labels), (2, vec![1, 0]));
    assert_eq!(survey.label_names, names(&["1", "2"]));
}

#[test]
fn every_problem_says_where_it_is_and_what_to_do() {
    let cases: &[(&str, &[u8], &str)] = &[
        (
            "data.xlsx",
            b"",
            "unknown kind of data file\nsave the sheet as CSV, or use a file that ends in .csv, .tsv, .jsonl,",
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
        (
            "data.csv",
            b"text,label\na,1\nb,\nc, \n",
            "row 2 (line 3): the label is missing, as in 2 rows in all\nleave such rows out with `labels: {\"\": drop}`",
        ),
        ("data.csv", b"text,text,label\na,1,2\n", "two columns are called `text`"),
        ("data.jsonl", b"\n", "no rows"),
        ("data.jsonl", b"{\"text\": \"a\", \"label\": 1}\n[]\n", "row 2 (line 2): not a JSON object"),
        (
            "data.jsonl",
            b"{\"text\": \"a\", \"label\": 1}\n{\"text\": [1], \"label\": 1}\n",
            "row 2 (line 2): column `text` holds a list",
        ),
        (
            "data.jsonl",
            b"{\"text\": \"a\", \"label\": null}\n{}\n",
            "row 1 (line 1): the label is missing, as in 2",
        ),
    ];
    for (name, bytes, expected) in cases {
        let said = found(name, bytes).unwrap_err();
        assert!(said.starts_with(&format!("`{name}`")) && said.contains(expected), "{said}");
    }
    let gone = survey_columns(Path::new("nowhere.csv"), &[], None).unwrap_err();
    assert!(gone.to_string().starts_with("`nowhere.csv`: cannot be read: No such file"));
}

#[test]
fn real_files_have_the_rows_that_other_readers_find() {
    // Rows and bytes of text, as Python's csv module reads them.
    if let Some(path) = shared("ag_news/train.csv") {
        let mut news = task(classification(&["title", "description"], &[], &[]));
        news.columns = Some(names(&["label", "title", "description"]));
        let (texts, labels) = labelled(&path, news);
        let count = |class| labels.iter().filter(|label| **label == class).count();
        assert_eq!([0, 1, 2, 3].map(count), [4962, 5376, 5784, 6343]);
        assert_eq!(texts.iter().map(String::len).sum::<usize>(), 4_839_104);
    }
    if let Some(path) = shared("complaints/train.csv") {
        let found = survey_columns(&path, &["Consumer complaint narrative"], Some("Product")).unwrap();
        assert_eq!((found.rows, found.text_bytes, found.label_names.len()), (10_000, 11_102_112, 8));
    }
}
