//! Labels as files have them: numbers in every spelling, missing ones, those that are left out.

use lorasweep::data::sources::{LeftOut, Survey, read};
use lorasweep::tasks::{Objective, Task};
use proptest::prelude::*;

use super::support::{classification, file, look, names, task, write};

/// A task that names and drops labels.
fn labelling(map: &[(&str, &str)], dropped: &[&str]) -> Task {
    let mut task = task(classification(&["text"], &[], map));
    if let Objective::Classification(classes) = &mut task.objective {
        classes.dropped_labels = dropped.iter().map(|label| (*label).to_owned()).collect();
    }
    task
}

fn csv(labels: &[&str]) -> String {
    labels.iter().fold("text,label\n".to_owned(), |all, label| all + &format!("a row,{label}\n"))
}

fn found(labels: &[&str], task: &Task) -> Survey {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    look(&write(&folder, "a.csv", csv(labels)), task, None).expect("the file is sound")
}

#[test]
fn spellings_of_a_number_are_one_class() {
    let survey = found(&["+1", "01", "1.0", "1", " 1", "0", "-0", "-1.0"], &labelling(&[], &[]));
    assert_eq!(survey.label_names, names(&["-1", "0", "1"]));
    assert_eq!(survey.row_labels, [2, 2, 2, 2, 2, 1, 1, 0]);
    assert_eq!(survey.label_values["+1"], 1);
    let mixed = found(&["01", "1", "x"], &labelling(&[], &[]));
    assert_eq!(mixed.label_names, names(&["01", "1", "x"]));
    let named = found(&["+1", "2.0", "x"], &labelling(&[("1", "yes"), ("02", "no")], &["x"]));
    assert_eq!((named.label_names, named.row_labels), (names(&["no", "yes"]), vec![1, 0]));
}

#[test]
fn dropped_labels_are_left_out_of_every_file_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut task = labelling(&[], &["-", ""]);
    task.cleaning.min_words = Some(2);
    let text = "text,label\na b,x\na b,-\na b,\na,y\nc d,y\ne f,x\n";
    let path = write(&folder, "a.csv", text);
    let survey = look(&path, &task, None).unwrap();
    assert_eq!((survey.rows_read, survey.rows), (6, 3));
    let expected = LeftOut { missing_label: 1, dropped_label: 1, few_words: 1, ..LeftOut::default() };
    assert_eq!(survey.left_out, expected);
    assert_eq!((&survey.label_names, survey.label_values[""]), (&names(&["x", "y"]), 1));
    let test = write(&folder, "b.csv", "text,label\na b,-\na b,y\n");
    let other = look(&test, &task, Some(&survey.label_names)).unwrap();
    if let Objective::Classification(classes) = &mut task.objective {
        classes.labels.clone_from(&survey.label_names);
    }
    let rows = read(&file(&test, &other), &task).unwrap();
    assert_eq!(rows.labels(), [1]);
    let all = write(&folder, "c.csv", "text,label\na b,-\n");
    assert!(look(&all, &task, None).unwrap_err().to_string().contains("no row is left after cleaning"));
}

#[test]
fn other_files_spell_numbers_in_their_own_way() {
    let folder = tempfile::tempdir().unwrap();
    let mut task = labelling(&[], &[]);
    let train = write(&folder, "a.csv", csv(&["0", "1", "0"]));
    let known = look(&train, &task, None).unwrap().label_names;
    let test = write(&folder, "b.csv", csv(&["1.0", "00", "+1"]));
    let found = look(&test, &task, Some(&known)).unwrap();
    assert_eq!(found.label_names, known);
    if let Objective::Classification(classes) = &mut task.objective {
        classes.labels = known;
    }
    assert_eq!(read(&file(&test, &found), &task).unwrap().labels(), [1, 0, 1]);
}

proptest! {
    #[test]
    fn every_spelling_of_whole_numbers_has_the_same_classes(
        numbers in prop::collection::vec(-20_i64..20, 1..30),
        spelling in prop::collection::vec(0_usize..5, 30),
    ) {
        let spelt = |(number, way): (&i64, &usize)| match (way, *number) {
            (0, n) => format!("{n}.0"),
            (1, n) if n >= 0 => format!("+{n}"),
            (2, n) if n >= 0 => format!("00{n}"),
            (3, n) => format!("{n}."),
            (_, n) => n.to_string(),
        };
        let other: Vec<String> = numbers.iter().zip(&spelling).map(spelt).collect();
        let plain: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        let [plain, other] = [plain, other].map(|labels| {
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            let survey = found(&labels, &labelling(&[], &[]));
            (survey.label_names, survey.row_labels)
        });
        prop_assert_eq!(plain, other);
    }
}
