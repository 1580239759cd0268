//! One path for several files: a pattern is read as the files one after the other.

use lorasweep::data::sources::{as_one, read};
use lorasweep::tasks::{Examples, TextLayout};
use proptest::prelude::*;
use tempfile::TempDir;

use super::support::{
    classification, examples, labelled, language, names, survey_columns, task, train_on, write,
};

const HEADER: &str = "text,label\n";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    files.iter().for_each(|(name, text)| drop(write(&folder, name, text)));
    folder
}

/// What is said of a pattern with the columns `text` and `label`, without the folder's path.
fn said(folder: &TempDir, pattern: &str) -> String {
    let error = survey_columns(&folder.path().join(pattern), &["text"], Some("label"))
        .expect_err("the pattern is bad");
    let path = format!("{}/", folder.path().display());
    format!("{error}\n{}", error.hint()).replace(&path, "").replace(path.trim_end_matches('/'), ".")
}

proptest! {
    #[test]
    fn rows_of_a_pattern_are_those_of_its_files_in_the_order_of_their_names(
        rows in prop::collection::vec(("[a-z ]{1,6}", "[xyz]"), 1..20), cuts in prop::collection::vec(0..20_usize, 0..4),
    ) {
        let line = |(text, label): &(String, String)| format!("{text},{label}\n");
        let folder = folder(&[("all.csv", &(HEADER.to_owned() + &rows.iter().map(line).collect::<String>()))]);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % rows.len()).chain([0, rows.len()]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        // Written last to first: the order on disk is not that of the names.
        for (number, ends) in cuts.windows(2).enumerate().rev() {
            let part = rows[ends[0]..ends[1]].iter().map(line).collect::<String>();
            write(&folder, &format!("part-{number}.csv"), HEADER.to_owned() + &part);
        }
        let task = || task(classification(&["text"], &[], &[]));
        let whole = labelled(&folder.path().join("all.csv"), task());
        prop_assert_eq!(labelled(&folder.path().join("part-*.csv"), task()), whole);
    }
}

#[test]
fn the_content_of_one_file_is_its_own_and_of_several_that_of_all() {
    let folder = folder(&[("a-1.csv", "text,label\na,x\n")]);
    let content =
        |name: &str| survey_columns(&folder.path().join(name), &["text"], Some("label")).unwrap().content;
    let one = content("a-1.csv");
    assert_eq!(one, content("a-*.csv"), "a pattern of one file is that file");
    assert_eq!(one, lorasweep::values::ContentHash::of_bytes(b"text,label\na,x\n"));
    write(&folder, "a-2.csv", "text,label\nb,y\n");
    let two = content("a-*.csv");
    assert_ne!(two, one);
    write(&folder, "a-2.csv", "text,label\nc,y\n");
    assert_ne!(content("a-*.csv"), two);
    write(&folder, "a-1.csv", "text,label\nc,y\n");
    write(&folder, "a-2.csv", "text,label\na,x\n");
    assert_ne!(content("a-*.csv"), two, "the order counts");
}

#[test]
fn a_star_stands_for_any_part_of_a_name() {
    let files = ["train-1.csv", "train.csv", "xtrain-1.csv", "train-1.csv.gz", "train-1.tsv", ".train-1.csv"];
    let folder = folder(&files.map(|name| (name, "text,label\nrow,x\n")));
    std::fs::create_dir(folder.path().join("train-2.csv")).unwrap();
    let rows =
        |pattern: &str| survey_columns(&folder.path().join(pattern), &["text"], Some("label")).unwrap().rows;
    let cases = [("train*.csv", 2), ("train-*.csv", 1), ("*.csv", 3), ("*t*n*1*.csv", 2), ("t**.csv", 2)];
    for (pattern, wanted) in cases {
        assert_eq!(rows(pattern), wanted, "{pattern}");
    }
    write(&folder, "odd*.csv", "text,label\na,x\nb,y\n");
    write(&folder, "odd-2.csv", "text,label\na,x\n");
    assert_eq!(rows("odd*.csv"), 2, "a file of just that name is meant before a pattern");
}

#[test]
fn classes_are_counted_over_all_files() {
    let folder = folder(&[("1.csv", "text,label\na,x\nb,y\nc,y\n"), ("2.csv", "text,label\nd,x\ne,z\n")]);
    let mut task = task(classification(&["text"], &[], &[]));
    task.cleaning.min_label_rows = Some(2);
    let (texts, labels) = labelled(&folder.path().join("*.csv"), task);
    assert_eq!((texts, labels), (names(&["a", "b", "c", "d"]), vec![0, 1, 1, 0]));
}

#[test]
fn other_formats_come_in_several_files_too() {
    let object = |text: &str| format!("{{\"text\": \"{text}\", \"label\": 1}}\n");
    let folder = folder(&[
        ("a.jsonl", &object("a")),
        ("b.jsonl", &object("b")),
        ("a.txt", "one\n\ntwo\n"),
        ("b.txt", "three"),
    ]);
    let found = labelled(&folder.path().join("*.jsonl"), task(classification(&["text"], &[], &[])));
    assert_eq!(found, (names(&["a", "b"]), vec![0, 0]));
    let lines = examples(&folder.path().join("*.txt"), task(language(&[], TextLayout::Blocks))).unwrap();
    assert_eq!(lines, Examples::Lines(names(&["one", "", "two", "three"])));
}

#[test]
fn errors_name_the_file_and_its_own_rows() {
    let sound = "text,label\na,x\nb,y\n";
    let cases = [
        ("text,label\na,x\nb,\n", "`2.csv`, row 2 (line 3): the label is missing"),
        ("text,label\na,x\nb\n", "`2.csv`, row 2 (line 3): 1 field in a file of 2 columns"),
        ("text,label\n", "`2.csv`: no rows"),
        ("text,class\na,x\n", "`2.csv`: no column `label`\nthe columns are `text`, `class`"),
    ];
    for (second, wanted) in cases {
        let folder = folder(&[("1.csv", sound), ("2.csv", second), ("3.csv", sound)]);
        let said = said(&folder, "*.csv");
        assert!(said.starts_with(wanted), "{said}");
    }
    let first = folder(&[("1.csv", "text,class\na,x\n"), ("2.csv", sound)]);
    assert!(said(&first, "*.csv").starts_with("`1.csv`: no column `label`"));
    let link = folder(&[("1.csv", sound)]);
    std::os::unix::fs::symlink("nowhere", link.path().join("2.csv")).unwrap();
    assert!(said(&link, "*.csv").starts_with("`2.csv`: cannot be read: No such file"));
}

#[test]
fn a_pattern_that_names_nothing_says_so() {
    let folder = folder(&[("train.csv", "text,label\na,x\n")]);
    assert!(
        said(&folder, "train-*.csv").starts_with("`train-*.csv`: no file has such a name\ncheck the folder")
    );
    assert!(said(&folder, "train*").starts_with("`train*`: unknown kind of data file"));
    assert!(said(&folder, "data/*.csv").starts_with("`data`: cannot be read: No such file"));
    let starred = said(&folder, "*/train.csv");
    assert!(starred.starts_with("`*/train.csv`: cannot be read") && starred.contains("not in a folder's"));
}

#[test]
fn a_file_more_or_less_is_no_longer_what_was_checked() {
    let folder = folder(&[("1.csv", "text,label\na,x\n"), ("2.csv", "text,label\nb,y\n")]);
    let mut task = task(classification(&["text"], &[], &[]));
    train_on(&mut task, &folder.path().join("*.csv"));
    assert_eq!((task.train.rows, read(&task.train, &task).unwrap().labels()), (2, vec![0, 1]));
    write(&folder, "3.csv", "text,label\nc,x\n");
    let said = read(&task.train, &task).unwrap_err().to_string();
    assert!(said.ends_with("*.csv`: the content has changed since it was checked"), "{said}");
    std::fs::remove_file(folder.path().join("3.csv")).unwrap();
    assert!(read(&task.train, &task).is_ok());
    std::fs::remove_file(folder.path().join("2.csv")).unwrap();
    assert!(read(&task.train, &task).is_err());
}

#[test]
fn files_are_named_as_one_by_the_narrowest_pattern() {
    let [first, second, test] =
        ["train-00000-of-00002.csv", "train-00001-of-00002.csv", "test-00000-of-00001.csv"];
    let folder = folder(&[first, second, test, "é1.csv", "è2.csv"].map(|name| (name, "text,label\nrow,x\n")));
    let name = |names: &[&str]| {
        let paths: Vec<_> = names.iter().map(|name| folder.path().join(name)).collect();
        as_one(&paths).map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
    };
    assert_eq!(name(&[first]).as_deref(), Some(first));
    assert_eq!(name(&[first, second]).as_deref(), Some("train-0000*-of-00002.csv"));
    assert_eq!(name(&[test, first, second]).as_deref(), Some("t*.csv"));
    assert_eq!(name(&[test, first]), None, "it would name the third too");
    assert_eq!(name(&["é1.csv", "è2.csv"]), None);
    assert_eq!(name(&[]), None);
}
