//! What is told of a sweep's data before anything trains: counts, lengths, and what would spoil a
//! result, each with its number and the way out.

use lorasweep::spec::{Intent, Overrides};
use lorasweep::sweep::SweepSpec;
use lorasweep::sweep::card::{Card, Shared, Warning};
use lorasweep::values::Part;

use crate::folder::Folder;

/// A sweep of one configuration over `train.csv`, with more keys of the task, and of the sweep.
fn sweep(task: &str, rest: &str) -> String {
    format!(
        "name: demo\ntask: {{train: train.csv, text: text, label: label, max_length: 16{task}}}\n\
         models: {{tiny: {{from: tiny}}}}\n\
         grid: [{{method: full, model: tiny, learning_rate: 1e-3}}]\n{rest}\n"
    )
}

const STEPS: &str = "training: {epochs: 100, batch_size: 1}";

fn load(folder: &Folder, text: &str) -> SweepSpec {
    folder.load(text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn card(folder: &Folder, text: &str) -> Card {
    load(folder, text).cards[0].clone()
}

fn told(card: &Card) -> String {
    card.warning_lines().collect::<Vec<_>>().join("\n")
}

fn csv(rows: &[(&str, &str)]) -> String {
    let rows = rows.iter().map(|(text, label)| format!("\"{text}\",\"{label}\"\n"));
    format!("text,label\n{}", rows.collect::<String>())
}

#[test]
fn a_card_counts_rows_classes_and_tokens() {
    let folder = Folder::new();
    // Seven rows of `a` and five of `b`, of 1 to 12 words of one token each.
    let rows: Vec<String> = (1..=12).map(|n| "row ".repeat(n).trim().to_owned()).collect();
    let rows: Vec<(&str, &str)> =
        (0..12).map(|n| (rows[n].as_str(), if n % 2 == 0 || n == 1 { "a" } else { "b" })).collect();
    folder.write("train.csv", &csv(&rows));
    folder.write("test.csv", &csv(&[("text", "a"), ("text row", "b"), ("row", "b")]));
    let card = card(&folder, &sweep(", test: test.csv", &format!("split: {{fraction: 0.25}}\n{STEPS}")));
    let used = &card.used;
    assert_eq!((used.drawn, used.training, used.validation, used.test), (12, 9, 3, 3));
    let classes: Vec<_> = card
        .classes
        .iter()
        .map(|c| (c.name.as_str(), c.training + c.validation, c.validation, c.test))
        .collect();
    assert_eq!(classes, [("a", 7, 2, 1), ("b", 5, 1, 2)]);
    let (majority, share) = card.majority().unwrap();
    assert_eq!((majority.name.as_str(), share), ("a", 5.0 / 9.0));
    // With [CLS] and [SEP] rows have 3 to 14 tokens; none is longer than 16.
    let [lengths] = card.lengths.as_slice() else { panic!("one tokenizer") };
    assert_eq!((lengths.median, lengths.p95, lengths.longest, lengths.cut), (8.5, 14, 14, 0));
    assert_eq!(
        (lengths.rows, lengths.of, lengths.models.as_slice()),
        (12, 12, ["tiny".to_owned()].as_slice())
    );
    let shared = Shared { part: Part::Test, rows: 1, of: 3 };
    assert_eq!(card.texts.shared.last(), Some(&shared), "`row` is in both files");
    assert_eq!(card.texts.duplicates, 0);
}

#[test]
fn folds_are_counted_by_class() {
    let folder = Folder::new();
    let card = card(&folder, &sweep("", &format!("kfold: {{k: 3}}\n{STEPS}")));
    assert_eq!(
        (card.used.training, card.used.validation, card.used.folds.as_slice()),
        (12, 0, &[4, 4, 4][..])
    );
    for class in &card.classes {
        assert_eq!((class.training, class.folds.as_slice()), (6, &[2, 2, 2][..]), "{}", class.name);
    }
    assert_eq!(card.least_training(), 8);
}

#[test]
fn rows_that_are_left_out_are_told_with_the_reason() {
    let folder = Folder::new();
    let labels = ["Mortgage", "Payday loan, title loan, or personal loan", "Credit card"];
    let empty = |n: usize| n % 15 > 6;
    let texts: Vec<String> =
        (0..30).map(|n| if empty(n) { String::new() } else { format!("row {n}") }).collect();
    let rows: Vec<(&str, &str)> = (0..30).map(|n| (texts[n].as_str(), labels[n % 3])).collect();
    folder.write("train.csv", &csv(&rows));
    let split = format!("split: {{fraction: 0.3}}\n{STEPS}");
    let raw = card(&folder, &sweep("", &split));
    assert_eq!(raw.files[0].empty, 16);
    let said = told(&raw);
    assert!(said.contains("16 of 30 training rows have an empty text"), "{said}");
    assert!(said.contains("`cleaning: {min_words: 1}`"), "{said}");
    assert_eq!(raw.texts.duplicates, 0, "rows without a text are no copies");
    let cleaned = card(&folder, &sweep(", cleaning: {min_words: 1}", &split));
    assert_eq!((cleaned.files[0].read, cleaned.files[0].kept, cleaned.files[0].empty), (30, 14, 0));
    assert_eq!(cleaned.files[0].left_out.values().sum::<usize>(), 16);
    assert_eq!(told(&cleaned), "");
}

#[test]
fn copies_are_found_whatever_their_case_and_spaces() {
    let folder = Folder::new();
    let mut rows: Vec<(String, &str)> = (0..40).map(|n| (format!("row {n}"), ["no", "yes"][n % 2])).collect();
    rows.push(("ROW  1 ".to_owned(), "yes"));
    rows.push(("row 2".to_owned(), "yes"));
    let rows: Vec<(&str, &str)> = rows.iter().map(|(text, label)| (text.as_str(), *label)).collect();
    folder.write("train.csv", &csv(&rows));
    folder.write("dev.csv", &csv(&[("row 3", "yes"), ("new", "no"), (" Row 4", "no"), ("other", "no")]));
    folder.write("test.csv", &csv(&[("new one", "no"), ("row  39", "yes"), ("row 40", "no")]));
    let card = card(&folder, &sweep(", validation: dev.csv, test: test.csv", STEPS));
    assert_eq!((card.texts.duplicates, card.texts.contradicting, card.texts.contradicting_rows), (2, 1, 2));
    let shared =
        [Shared { part: Part::Validation, rows: 2, of: 4 }, Shared { part: Part::Test, rows: 1, of: 3 }];
    assert_eq!(card.texts.shared, shared);
    let said = told(&card);
    for sentence in [
        "2 of 4 validation rows have the text of a training row",
        "1 of 3 test rows have the text of a training row",
        "1 text of the training rows occurs with more than one label (2 rows)",
    ] {
        assert!(said.contains(sentence), "{sentence}: {said}");
    }
}

#[test]
fn a_copy_in_another_fold_is_a_leak() {
    let folder = Folder::new();
    let rows: Vec<(String, &str)> =
        (0..12).map(|n| (format!("row {}", n / 4), ["no", "yes"][n % 2])).collect();
    let rows: Vec<(&str, &str)> = rows.iter().map(|(text, label)| (text.as_str(), *label)).collect();
    folder.write("train.csv", &csv(&rows));
    let across = card(&folder, &sweep("", &format!("kfold: {{k: 3}}\n{STEPS}")));
    // Four rows of a text cannot be in one fold of two of each class.
    assert_eq!(across.texts.shared, [Shared { part: Part::Train, rows: 12, of: 12 }]);
    assert!(
        told(&across).contains("12 of 12 training rows have a copy in another fold"),
        "{}",
        told(&across)
    );
    let held = card(&folder, &sweep("", &format!("split: {{fraction: 0.25}}\n{STEPS}")));
    assert_eq!(held.texts.shared, [Shared { part: Part::Train, rows: 3, of: 3 }]);
    assert!(told(&held).contains("3 of 3 validation rows have the text of a row that is trained on"));
}

#[test]
fn odd_labels_are_told_with_their_counts() {
    let folder = Folder::new();
    let labels =
        ["positive", "negative", "positive ", "Positive", "negative", "nan", "positive", "None", "-", "-"];
    let texts: Vec<String> = (0..20).map(|n| format!("row {n}")).collect();
    let rows: Vec<(&str, &str)> = (0..20).map(|n| (texts[n].as_str(), labels[n % 10])).collect();
    folder.write("train.csv", &csv(&rows));
    let spec = load(&folder, &sweep("", &format!("split: {{fraction: 0.4}}\n{STEPS}")));
    let warnings: Vec<String> = spec.all_warnings().collect();
    for part in [
        "`-` in 4 rows",
        "`None` in 2 rows",
        "`nan` in 2 rows",
        "`positive` (4 rows), `Positive` (2 rows), `positive ` (2 rows)",
    ] {
        let told = warnings.iter().filter(|warning| warning.contains(part)).count();
        assert_eq!(told, 1, "{part}: {warnings:#?}");
    }
}

#[test]
fn scores_are_told_apart_from_classes() {
    let folder = Folder::new();
    let texts: Vec<String> = (0..60).map(|n| format!("row {n}")).collect();
    let scores: Vec<String> = (0..60).map(|n| format!("{}", 0.25 * f64::from(n % 17))).collect();
    let rows: Vec<(&str, &str)> = (0..60).map(|n| (texts[n].as_str(), scores[n].as_str())).collect();
    folder.write("train.csv", &csv(&rows));
    let card = card(&folder, &sweep("", &format!("split: {{fraction: 0.5}}\n{STEPS}")));
    let said = told(&card);
    assert!(said.contains("column `label` holds numbers, 17 different ones from 0 to 4"), "{said}");
}

#[test]
fn a_class_of_one_row_stays_in_training() {
    let folder = Folder::new();
    let texts: Vec<String> = (0..20).map(|n| format!("row {n}")).collect();
    let names: Vec<String> =
        (0..20).map(|n| if n < 10 { "common".to_owned() } else { format!("rare-{n}") }).collect();
    let rows: Vec<(&str, &str)> = (0..20).map(|n| (texts[n].as_str(), names[n].as_str())).collect();
    folder.write("train.csv", &csv(&rows));
    let single = card(&folder, &sweep("", &format!("split: {{fraction: 0.1}}\n{STEPS}")));
    assert_eq!((single.used.training, single.used.validation), (18, 2));
    assert!(single.classes.iter().all(|class| class.training > 0), "no class is held out whole");
    let said = told(&single);
    assert!(
        said.contains(
            "classes `rare-10`, `rare-11`, `rare-12`, `rare-13`, `rare-14` and 5 more have one row"
        ),
        "{said}"
    );
    // Five classes of four rows: a tenth would be two rows.
    let names: Vec<String> = (0..20).map(|n| format!("class {}", n % 5)).collect();
    let rows: Vec<(&str, &str)> = (0..20).map(|n| (texts[n].as_str(), names[n].as_str())).collect();
    folder.write("train.csv", &csv(&rows));
    let more = card(&folder, &sweep("", &format!("split: {{fraction: 0.1}}\n{STEPS}")));
    assert!(more.classes.iter().all(|class| (class.training, class.validation) == (3, 1)));
    assert!(told(&more).contains("`split.fraction` would hold out 2 rows, and 5 are"), "{}", told(&more));
    let tested = load(&folder, &sweep(", test_fraction: 0.1", &format!("split: {{fraction: 0.1}}\n{STEPS}")));
    let task = tested.first_task();
    assert_eq!((task.train_rows(), task.test_rows()), (15, 5), "counts are those of the rows that are used");
    assert_eq!(tested.cards[0].used.test, 5);
}

#[test]
fn a_split_of_classes_of_one_row_each_is_refused() {
    let folder = Folder::new();
    let texts: Vec<String> = (0..12).map(|n| format!("row {n}")).collect();
    let rows: Vec<(&str, &str)> = texts.iter().map(|text| (text.as_str(), text.as_str())).collect();
    folder.write("train.csv", &csv(&rows));
    let said = folder.message(&sweep("", "split: {fraction: 0.5}"));
    assert!(said.contains("no class of `task` has two training rows"), "{said}");
    assert!(said.contains("does column `label` hold the classes?"), "{said}");
    let scores: Vec<String> = (0..12).map(|n| format!("{}", 0.25 * f64::from(n))).collect();
    let rows: Vec<(&str, &str)> =
        texts.iter().zip(&scores).map(|(text, score)| (text.as_str(), score.as_str())).collect();
    folder.write("train.csv", &csv(&rows));
    for division in ["split: {fraction: 0.5}", "kfold: {k: 2}"] {
        let said = folder.message(&sweep("", division));
        assert!(said.contains("column `label` holds numbers, 12 different ones from 0 to 2.75"), "{said}");
    }
}

#[test]
fn rows_that_are_cut_are_told_with_the_length_that_would_do() {
    let folder = Folder::new();
    // 100 rows of 1 to 25 words, four of each length, and two special tokens.
    let texts: Vec<String> = (0..100).map(|n| "row ".repeat(n / 4 + 1).trim().to_owned()).collect();
    let rows: Vec<(&str, &str)> = (0..100).map(|n| (texts[n].as_str(), ["no", "yes"][n % 2])).collect();
    folder.write("train.csv", &csv(&rows));
    let at = |length: usize| {
        let text = sweep("", &format!("split: {{fraction: 0.2}}\n{STEPS}"));
        card(&folder, &text.replace("max_length: 16", &format!("max_length: {length}")))
    };
    let cut = at(16);
    // Rows of 15 to 25 words are longer than 14 and two tokens: 44 of them.
    assert_eq!((cut.lengths[0].cut, cut.lengths[0].p95, cut.lengths[0].median), (44, 26, 15.0));
    let said = told(&cut);
    assert!(
        said.contains("44.0 % of the training rows are cut at 16 tokens by the tokenizer of model `tiny`; `max_length: 26`"),
        "{said}"
    );
    assert!(!told(&at(26)).contains("are cut"), "four rows of a hundred are no more than 5 %");
    // The model reads at most 32 tokens.
    let texts: Vec<String> = (0..100).map(|n| "row ".repeat(n + 1).trim().to_owned()).collect();
    let rows: Vec<(&str, &str)> = (0..100).map(|n| (texts[n].as_str(), ["no", "yes"][n % 2])).collect();
    folder.write("train.csv", &csv(&rows));
    assert!(told(&at(16)).contains("`max_length: 32` is the most that the model reads"), "{}", told(&at(16)));
    assert!(told(&at(32)).contains("the model reads no more"), "{}", told(&at(32)));
}

#[test]
fn training_that_is_too_short_is_told_once_per_task() {
    let folder = Folder::new();
    let of = |batch: usize, warmup: &str, training: &str| {
        let text = sweep("", &format!("split: {{fraction: 0.25}}\ntraining: {{{training}}}"));
        let axes = format!("learning_rate: [1e-3, 1e-1], batch_size: {batch}, warmup: {warmup}");
        card(&folder, &text.replace("learning_rate: 1e-3", &axes)).warnings
    };
    // Nine rows in one batch: one step, which is warm-up where there is any.
    let one = Warning::AllWarmUp { configurations: (2, 4), steps: (1, 1) };
    let few = |configurations, steps| Warning::FewSteps { configurations, steps };
    assert_eq!(of(32, "[0.06, 0]", "epochs: 1"), [one, few((4, 4), (1, 1))]);
    // Nine steps an epoch, five epochs: 45 steps, seen after each epoch.
    assert_eq!(of(1, "[0.06, 0]", "epochs: 5"), [few((4, 4), (45, 45))]);
    assert_eq!(of(1, "[0.06, 0]", "epochs: 6"), []);
    let end = Warning::OneEvaluation { configurations: (2, 2), every: 1 };
    assert_eq!(of(1, "0", "epochs: 1"), [few((2, 2), (9, 9)), end]);
    assert_eq!(of(1, "0", "epochs: 1, evaluate_every: 4"), [few((2, 2), (9, 9))]);
    let said = few((2, 4), (19, 38)).to_string();
    assert!(said.starts_with("in 2 of 4 configurations a trial is 19 to 38 optimiser steps long"), "{said}");
}

#[test]
fn what_trains_nothing_has_no_steps() {
    let folder = Folder::new();
    let text = sweep("", "split: {fraction: 0.25}").replace("method: full", "method: base");
    assert_eq!(card(&folder, &text.replace(", learning_rate: 1e-3", "")).warnings, []);
}

#[test]
fn other_kinds_of_tasks_have_cards_of_their_own() {
    let folder = Folder::new();
    let of = |task: &str| {
        format!(
            "name: demo\ntask: {{{task}}}\n\
             models: {{gpt: {{architecture: gpt2, layers: 1, hidden: 8, heads: 2, positions: 64, tokenizer: bytes}}}}\n\
             grid: [{{method: scratch, model: gpt, learning_rate: 1e-3}}]\nsplit: {{fraction: 0.5}}\n{STEPS}\n"
        )
    };
    folder.write("ab.txt", "ab ab\na b\n");
    let text = card(&folder, &of("kind: language_modelling, train: ab.txt, max_length: 3"));
    let blocks = text.blocks.unwrap();
    // The tokenizer knows `a`, `b` and `ab` alone, and the end of the text is a token: ab ab a b end.
    assert_eq!((blocks.tokens, blocks.estimated, text.used.training + text.used.validation), (5, false, 2));
    assert_eq!((text.lengths.len(), text.classes.len(), text.texts.duplicates), (0, 0, 0));
    // Lines of running text are no copies of one another, and a file that is tested on all the same is told.
    let known = card(&folder, &of("kind: language_modelling, train: ab.txt, test: ab.txt, max_length: 3"));
    assert!(known.warnings.contains(&Warning::SameFile { part: Part::Test }), "{:?}", known.warnings);
    let asked =
        card(&folder, &of("kind: question_answering, train: squad.json, max_length: 32, max_new_tokens: 4"));
    let questions = asked.questions.unwrap();
    assert_eq!((questions.contexts, questions.answers, questions.elsewhere), (1, 2, 0));
    assert_eq!(asked.lengths[0].rows, 2);
}

#[test]
fn a_plan_needs_no_weights_for_its_cards() {
    let folder = Folder::new();
    std::fs::remove_file(folder.path().join("tiny/model.safetensors")).unwrap();
    let text = sweep("", "split: {fraction: 0.25}");
    let planned = folder.load_as(&text, &Overrides::default(), Intent::Plan).unwrap();
    assert_eq!(planned.cards[0].lengths[0].longest, 4, "[CLS] row and a number, which is unknown, [SEP]");
}
