//! What a sweep makes of data as it is exported: names of classes, labels that look like slips, keys
//! that say how files are read, and the keys that its errors name.

use lorasweep::sweep::SweepSpec;
use lorasweep::tasks::{Classification, FileFormat, Objective, Unanswerable};

use crate::folder::Folder;

const TINY: &str = "models: {tiny: {from: tiny}}\ngrid: [{method: full, model: tiny, learning_rate: 1}]\nsplit: {fraction: 0.5}\n";
const GPT2: &str = "models: {tiny: {architecture: gpt2, layers: 1, hidden: 8, heads: 2, tokenizer: bytes}}\n\
                    grid: [{method: scratch, model: tiny, learning_rate: 1}]\nsplit: {fraction: 0.5}\n";

/// A sweep that classifies `text` by `label`, with more keys of its task.
fn sweep(file: &str, keys: &str) -> String {
    format!("name: demo\ntask: {{train: {file}, text: text, label: label, max_length: 16{keys}}}\n{TINY}")
}

fn classes(spec: &SweepSpec) -> &Classification {
    let Objective::Classification(classes) = &spec.first_task().objective else { panic!("it classifies") };
    classes
}

/// Each label on so many rows.
fn csv(labels: &[(&str, usize)]) -> String {
    let rows = labels.iter().flat_map(|(label, rows)| std::iter::repeat_n(format!("row,{label}\n"), *rows));
    format!("text,label\n{}", rows.collect::<String>())
}

#[track_caller]
fn names(labels: &[(&str, usize)], keys: &str) -> Vec<String> {
    let folder = Folder::new();
    folder.write("a.csv", &csv(labels));
    classes(&folder.load(&sweep("a.csv", keys)).unwrap()).labels.clone()
}

/// What is said of a sweep that is sound.
fn warnings(labels: &[(&str, usize)], keys: &str) -> Vec<String> {
    let folder = Folder::new();
    folder.write("a.csv", &csv(labels));
    folder.load(&sweep("a.csv", keys)).unwrap().warnings.clone()
}

fn error(labels: &[(&str, usize)], keys: &str) -> String {
    let folder = Folder::new();
    folder.write("a.csv", &csv(labels));
    folder.message(&sweep("a.csv", keys))
}

/// That one of some texts has all these words.
#[track_caller]
fn one_has(texts: &[String], words: &[&str]) {
    assert!(texts.iter().any(|text| words.iter().all(|word| text.contains(word))), "{texts:?}");
}

#[test]
fn a_label_that_means_none_is_told_and_left_out() {
    let snli = [("entailment", 4), ("neutral", 4), ("-", 3)];
    one_has(&warnings(&snli, ""), &["has the label `-` in 3 rows", "`labels: {\"-\": drop}`"]);
    assert_eq!(names(&snli, ", labels: {\"-\": drop}"), ["entailment", "neutral"]);
    assert_eq!(warnings(&snli, ", labels: {\"-\": drop}"), Vec::<String>::new());
    assert_eq!(warnings(&snli, ", labels: {\"-\": \"-\"}"), Vec::<String>::new());
    let hub = [("0", 4), ("1", 4), ("2", 4), ("-1", 2)];
    one_has(&warnings(&hub, ""), &["has the label `-1` in 2 rows", "`labels: {-1: drop}`"]);
    let named = ", labels: {0: e, 1: n, 2: c}";
    one_has(&warnings(&hub, named), &["has the label `-1` in 2 rows"]);
    assert_eq!(names(&hub, ", labels: {0: e, 1: n, 2: c, -1: drop}"), ["c", "e", "n"]);
    // Signs and scores around zero are labels.
    assert_eq!(warnings(&[("-1", 4), ("1", 4)], ""), Vec::<String>::new());
    assert_eq!(warnings(&[("-1", 4), ("-2", 4), ("1", 4)], ""), Vec::<String>::new());
}

#[test]
fn a_list_names_numbers_by_position_and_says_where_they_begin_elsewhere() {
    let list = ", labels: [e, n, c]";
    let map = |labels: &[(&str, usize)], keys: &str| {
        let folder = Folder::new();
        folder.write("a.csv", &csv(labels));
        classes(&folder.load(&sweep("a.csv", keys)).unwrap()).label_map.clone()
    };
    let zero = [("0", 4), ("1", 4), ("2", 4)];
    assert_eq!((map(&zero, list)["0"].as_str(), warnings(&zero, list)), ("e", vec![]));
    let hub = [("0", 4), ("1", 4), ("2", 4), ("-1", 2)];
    assert_eq!((map(&hub, list)["0"].as_str(), map(&hub, list).get("-1")), ("e", None));
    let whole = "`labels: {0: e, 1: n, 2: c, -1: drop}`";
    one_has(&warnings(&hub, list), &["has the label `-1` in 2 rows", whole]);
    let one = [("1", 4), ("2", 4), ("3", 4)];
    assert_eq!(map(&one, list)["1"], "e");
    one_has(&warnings(&one, list), &["begin at 1: `labels` calls 1 `e` and 3 `c`"]);
    let first_only = [("0", 4), ("2", 4)];
    assert_eq!(map(&first_only, list)["2"], "c");
    let stars = [("1.0", 4), ("+2", 4), ("03", 4)];
    assert_eq!(names(&stars, list), ["c", "e", "n"]);
    assert_eq!(names(&zero, ", labels: [e, drop, c]"), ["c", "e"]);
    for (labels, keys, hint) in [
        (&[("-1", 4), ("0", 4), ("1", 4)][..], list, "`labels: {-1: e, 0: n, 1: c}`"),
        (&[("-1", 4), ("1", 4)], ", labels: [neg, pos]", "`labels: {-1: neg, 1: pos}`"),
        (&[("1", 4), ("2", 4)], list, "a list names 0, 1, 2"),
        (
            &[("0", 4), ("1", 4), ("2", 4)],
            ", labels: [a, b]",
            "there are 2 names, and column `label` goes from 0 to 2",
        ),
    ] {
        let said = error(labels, keys);
        assert!(said.contains(hint), "{said}");
    }
}

#[test]
fn labels_that_look_alike_or_like_nothing_are_told_with_their_rows() {
    let dirty = [
        ("positive", 3),
        ("negative", 4),
        ("positive ", 1),
        ("Positive", 1),
        (" negative", 1),
        ("nan", 1),
        ("None", 2),
    ];
    let told = warnings(&dirty, "");
    one_has(&told, &["`positive` (3 rows), `Positive` (1 row), `positive ` (1 row)", "Positive: positive"]);
    one_has(&told, &["`negative` (4 rows), ` negative` (1 row)", "`labels: {\" negative\": negative}`"]);
    one_has(&told, &["has the label `nan` in 1 row,", "`labels: {nan: drop}`"]);
    one_has(&told, &["has the label `None` in 2 rows", "`labels: {None: drop}`"]);
    let keys = ", labels: {\"positive \": positive, Positive: positive, \" negative\": negative, nan: drop, None: drop}";
    assert_eq!(names(&dirty, keys), ["negative", "positive"]);
    assert_eq!(warnings(&dirty, keys), Vec::<String>::new());
    let said = error(&[("a", 3), ("", 2), ("b", 3)], "");
    assert!(said.contains("row 4 (line 5): the label is missing, as in 2 rows in all"), "{said}");
    assert!(said.contains("`labels: {\"\": drop}`"), "{said}");
    assert_eq!(names(&[("a", 3), ("", 2), ("b", 3)], ", labels: {\"\": drop}"), ["a", "b"]);
    assert_eq!(names(&[("a", 3), ("", 2), ("b", 3)], ", labels: {\"\": none}"), ["a", "b", "none"]);
    one_has(&warnings(&[("a", 3), ("b", 3)], ", labels: {c: drop}"), &["no training row has the label `c`"]);
}

#[test]
fn what_a_warning_says_to_write_is_what_ends_it() {
    for word in ["-", "--", "?", "nan", "NaN", "None", "null", "NULL", "NA", "N/A", "n/a", "<NA>", "#N/A"] {
        let labels = [("a", 3), (word, 2), ("b", 3)];
        let told = warnings(&labels, "");
        one_has(&told, &[&format!("has the label `{word}` in 2 rows")]);
        let remedies: Vec<&str> = told[0].split('`').filter(|part| part.starts_with("labels: ")).collect();
        let [dropping, keeping] = remedies[..] else { panic!("{told:?}") };
        assert_eq!(names(&labels, &format!(", {dropping}")), ["a", "b"], "{dropping}");
        assert_eq!(names(&labels, &format!(", {keeping}")).len(), 3, "{keeping}");
        assert_eq!(warnings(&labels, &format!(", {keeping}")), Vec::<String>::new());
    }
}

#[test]
fn class_names_that_a_file_records_are_the_classes_unless_the_task_says_otherwise() {
    let folder = Folder::new();
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data");
    let of = |file: &str, keys: &str| {
        let file = data.join(file);
        let spec = folder.load(&sweep(&format!("'{}'", file.display()), keys)).unwrap();
        (classes(&spec).labels.clone(), spec.warnings.clone())
    };
    for file in ["classes.parquet", "saved"] {
        assert_eq!(of(file, "").0, ["neg", "pos"]);
        assert_eq!(of(file, ", labels: {1: good}").0, ["good", "neg"]);
        assert_eq!(
            of(file, ", labels: {neg: bad, pos: good}"),
            (vec!["bad".to_owned(), "good".to_owned()], vec![])
        );
        assert_eq!(of(file, ", labels: [bad, good]").0, ["bad", "good"]);
    }
}

#[test]
fn keys_say_how_files_are_read_and_belong_to_the_trials_ids() {
    let folder = Folder::new();
    let rows = csv(&[("a", 6), ("b", 6)]);
    folder.write("a.csv", &rows);
    folder.write("b.csv", &rows.replace(',', ";"));
    folder.write("a.txt", &rows.replace(',', "\t"));
    let id = |sweep: &str| folder.load(sweep).unwrap().trials()[0].id;
    let plain = id(&sweep("a.csv", ""));
    let keyed = ["separator: ','", "quoting: true", "quote: '\"'", "encoding: utf-8", "format: csv"]
        .map(|key| id(&sweep("a.csv", &format!(", {key}"))));
    let all: std::collections::BTreeSet<_> = keyed.into_iter().chain([plain]).collect();
    assert_eq!(all.len(), 6);
    let spec = folder.load(&sweep("b.csv", ", separator: ;")).unwrap();
    assert_eq!((spec.first_task().reading.separator, classes(&spec).labels.len()), (Some(';'), 2));
    let spec = folder.load(&sweep("a.txt", ", format: tsv")).unwrap();
    assert_eq!(
        (spec.first_task().reading.format, spec.first_task().train.rows_read),
        (Some(FileFormat::Tsv), Some(12))
    );
    for (key, words) in [
        ("separator: ab", "`separator` is the text `ab`"),
        ("separator: é", "one ASCII character"),
        ("encoding: utf-7", "`encoding` is the text `utf-7`"),
        ("format: xlsx", "`format` is `xlsx`"),
        ("quoting: yes", "`true` or `false`"),
    ] {
        let said = folder.message(&sweep("a.csv", &format!(", {key}")));
        assert!(said.contains(words), "{said}");
    }
    for key in ["separator: tab", "separator: \"\\t\"", "separator: '\\t'"] {
        folder.write("c.csv", &rows.replace(',', "\t"));
        assert_eq!(
            folder.load(&sweep("c.csv", &format!(", {key}"))).unwrap().first_task().reading.separator,
            Some('\t')
        );
    }
}

#[test]
fn errors_name_the_key_that_would_read_the_file() {
    let folder = Folder::new();
    let rows = csv(&[("a", 6), ("b", 6)]);
    folder.write("a.txt", &rows.replace(',', "\t"));
    folder.write("b.csv", &rows.replace(',', ";"));
    let said = folder.message(&sweep("a.txt", ""));
    assert!(said.contains("tabs separate its columns: set `format: tsv` in the task"), "{said}");
    let said = folder.message(&sweep("b.csv", ""));
    assert!(said.contains("semicolons separate its columns: set `separator: \";\"` in the task"), "{said}");
}

#[test]
fn questions_without_an_answer_have_their_key() {
    let folder = Folder::new();
    let asked = |keys: &str| {
        format!("name: demo\ntask: {{kind: question_answering, train: a.json, max_length: 64{keys}}}\n{GPT2}")
    };
    let question =
        |answers: &str| format!("{{\"context\": \"a b\", \"question\": \"a\", \"answers\": [{answers}]}}\n");
    folder.write("a.json", &[question("\"a\""), question(""), question("\"b\""), question("")].concat());
    let said = folder.message(&asked(""));
    assert!(said.contains("row 2 (line 2): the question has no answer; 2 such questions in all"), "{said}");
    assert!(said.contains("`unanswerable: drop`"), "{said}");
    let rows = |keys: &str| {
        let spec = folder.load(&asked(keys)).unwrap();
        let Objective::QuestionAnswering(asked) = &spec.first_task().objective else {
            panic!("they are questions")
        };
        (asked.unanswerable.clone(), spec.first_task().train.rows, spec.trials()[0].id)
    };
    let (dropping, left, one) = rows(", unanswerable: drop");
    let (training, all, other) = rows(", unanswerable: no answer");
    assert_eq!((dropping, left), (Some(Unanswerable::Drop), 2));
    assert_eq!((training, all), (Some(Unanswerable::Answer("no answer".to_owned())), 4));
    assert_ne!(one, other);
}

#[test]
fn keys_that_rows_lack_and_lists_as_text_are_warned_of() {
    let folder = Folder::new();
    let row = |rest: &str, label: &str| format!("{{\"text\": \"['row']\", \"label\": \"{label}\"{rest}}}\n");
    folder.write(
        "a.jsonl",
        &[row("", "a"), row(", \"title\": \"t\"", "b"), row("", "a"), row("", "b")].concat(),
    );
    let text = sweep("a.jsonl", "").replace("text: text", "text: [title, text]");
    let spec = folder.load(&text).unwrap();
    one_has(
        &spec.warnings,
        &["`a.jsonl`: column `title` has no value in 3 rows, the first is row 1 (line 1)"],
    );
    one_has(&spec.warnings, &["column `text` holds lists or dicts written as text, such as `['row']`"]);
}

#[test]
fn a_test_file_without_labels_is_called_that() {
    let folder = Folder::new();
    folder.write("a.csv", &csv(&[("0", 4), ("1", 4)]));
    folder.write("t.csv", &csv(&[("-1", 3)]));
    let message = folder.message(&sweep("a.csv", ", test: t.csv"));
    assert!(message.contains("the file has no labels") && message.contains("`test_fraction`"), "{message}");
    assert!(!message.contains("did you mean"), "{message}");
}

#[test]
fn files_whose_recorded_classes_differ_in_order_are_refused() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/data/classes.parquet");
    let bytes = std::fs::read(fixture).unwrap();
    let (from, to) = (br#""neg", "pos""#, br#""pos", "neg""#);
    let mut other = bytes.clone();
    let at = other.windows(from.len()).position(|window| window == from).expect("the names are recorded");
    other[at..at + to.len()].copy_from_slice(to);
    let folder = Folder::new();
    std::fs::write(folder.path().join("a.parquet"), &bytes).unwrap();
    std::fs::write(folder.path().join("t.parquet"), &other).unwrap();
    let sweep = |test: &str| sweep("a.parquet", &format!(", test: {test}"));
    assert!(folder.load(&sweep("a.parquet")).is_ok());
    let message = folder.message(&sweep("t.parquet"));
    assert!(message.contains("`t.parquet` records the classes `pos`, `neg`"), "{message}");
}

#[test]
fn a_map_that_names_no_label_says_which_there_are() {
    let booleans = [("True", 4), ("False", 4)];
    one_has(
        &warnings(&booleans, ", labels: {true: yes, False: no}"),
        &["label `true`; did you mean `True`?"],
    );
    one_has(&warnings(&booleans, ", labels: {0: no}"), &["label `0`; its labels are `False`, `True`"]);
}

#[test]
fn a_stray_quote_is_no_sign_of_another_quote() {
    let folder = Folder::new();
    folder.write("a.csv", "text,label\nfine,a\n\"open,b\nfine,a\nfine,b\n");
    let message = folder.message(&sweep("a.csv", ""));
    assert!(!message.contains("quote: "), "{message}");
}

#[test]
fn a_text_too_short_to_train_on_is_told() {
    let folder = Folder::new();
    folder.write("a.txt", "hi\n");
    let task = "task: {kind: language_modelling, train: a.txt, max_length: 16}";
    let spec = folder.load(&format!("name: demo\n{task}\n{GPT2}")).unwrap();
    one_has(&spec.warnings, &["too short", "is left to train on", "`max_length`"]);
}
