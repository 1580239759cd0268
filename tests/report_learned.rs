//! Whether a report says when nothing was learned: the majority class, one answer to every row, ties,
//! and selection by another metric than accuracy.
#![expect(clippy::unwrap_used, reason = "a record that lacks what it was given ends its test")]

#[path = "report_record/change.rs"]
mod change;
#[expect(dead_code, reason = "records that other tests use")]
mod report_record;

use std::sync::Arc;

use lorasweep::record::RunRecord;
use lorasweep::report::chance::Grounds;
use lorasweep::report::entry::Entry;
use lorasweep::report::findings::Findings;
use lorasweep::report::plots::charts;
use lorasweep::report::plots::scene::Shape;
use lorasweep::report::{self, frames, markdown};
use lorasweep::values::{ClassRows, Configuration, Method, Metric, MetricLine, Scores, Select};

use change::{change_task, class_names};
use report_record::{Point, language_record, lora, record_of, training};

/// A configuration's right rows on three folds, and on which of them it answers one class.
type Right = ([u64; 3], [bool; 3]);

const NEVER: [bool; 3] = [false; 3];
const ALWAYS: [bool; 3] = [true; 3];

/// Scores of so many right rows: one answer's, or those of a model that tells classes apart.
fn scores(right: u64, rows: u64, (one_class, classes): (bool, f64)) -> Scores {
    let accuracy = right as f64 / rows as f64;
    let macros = if one_class {
        [accuracy / classes, 1.0 / classes, 2.0 * accuracy / (1.0 + accuracy) / classes]
    } else {
        [accuracy - 0.01, accuracy - 0.02, accuracy - 0.015]
    };
    let [macro_precision, macro_recall, macro_f1] = macros;
    Scores::of("classification")
        .with(Metric::Loss, 1.5 - accuracy)
        .with(Metric::Accuracy, accuracy)
        .with(Metric::MacroPrecision, macro_precision)
        .with(Metric::MacroRecall, macro_recall)
        .with(Metric::MacroF1, macro_f1)
}

/// A finished record of these scores on folds of so many rows, of which `largest` have the first of four
/// classes.
fn record_with(grid: Vec<Point>, right: &[Right], (rows, largest): (u64, [u64; 3])) -> RunRecord {
    let mut record = record_of(grid);
    let names = ["World", "Sports", "Business", "Sci/Tech"].map(str::to_owned);
    change_task(&mut record, |task| *class_names(task) = names.to_vec());
    let total: u64 = largest.iter().sum();
    for (index, trial) in record.trials.iter_mut().enumerate() {
        let ((counts, one_class), fold) = (&right[index / 3], index % 3);
        let result = trial.result.as_mut().expect("every trial is done");
        result.validation = Some(scores(counts[fold], rows, (one_class[fold], 4.0)));
        let validation = classes_of(largest[fold], rows);
        let train = classes_of(total - largest[fold], 2 * rows);
        result.class_rows = Some(ClassRows { test: validation.clone(), train, validation });
    }
    record
}

/// So many rows of the first class, and the rest of the others in equal parts.
fn classes_of(largest: u64, rows: u64) -> Vec<u64> {
    let rest = rows - largest;
    vec![largest, rest - 2 * (rest / 3), rest / 3, rest / 3]
}

fn rate(method: Point, learning_rate: f64) -> Point {
    let (model, method, training) = method;
    (model, method, lorasweep::values::Training { learning_rate, ..training })
}

/// 24 configurations on three folds of 600 rows; those of the lowest learning rate answer one class.
fn race() -> RunRecord {
    let rates = [3e-4, 1e-3, 3e-3, 1e-2];
    let grid = [4, 16, 64].into_iter().flat_map(|rank| [16.0, 64.0].map(|alpha| (rank, alpha)));
    let grid: Vec<Point> = grid.flat_map(|(r, a)| rates.map(|lr| rate(lora(r, a), lr))).collect();
    let flat = ([170, 169, 169], ALWAYS);
    let right = [
        flat,
        ([304, 332, 278], NEVER),
        ([451, 445, 391], NEVER),
        ([382, 491, 486], NEVER),
        flat,
        ([407, 485, 305], NEVER),
        ([485, 497, 487], NEVER),
        ([410, 328, 326], NEVER),
        flat,
        ([301, 331, 298], NEVER),
        ([476, 456, 400], NEVER),
        ([433, 454, 400], NEVER),
        flat,
        ([457, 462, 304], NEVER),
        ([505, 488, 395], NEVER),
        ([464, 330, 315], NEVER),
        flat,
        ([176, 310, 288], NEVER),
        ([488, 428, 436], NEVER),
        ([496, 444, 491], NEVER),
        flat,
        ([442, 449, 377], NEVER),
        ([496, 476, 409], NEVER),
        ([368, 354, 387], NEVER),
    ];
    record_with(grid, &right, (600, [170, 169, 169]))
}

/// 9 configurations on three folds of 300 rows; four of them answer one class on one fold each.
fn complaints() -> RunRecord {
    let grid = [4, 16].into_iter().flat_map(|rank| [16.0, 32.0].map(|alpha| (rank, alpha)));
    let mut grid: Vec<Point> = grid.flat_map(|(r, a)| [2e-3, 5e-3].map(|lr| rate(lora(r, a), lr))).collect();
    grid.push(("minilm-2", Method::Full, training(3e-4)));
    let right = [
        ([182, 208, 191], NEVER),
        ([195, 216, 198], NEVER),
        ([213, 197, 175], [false, false, true]),
        ([186, 176, 204], [false, true, false]),
        ([199, 176, 195], [false, true, false]),
        ([210, 210, 198], NEVER),
        ([211, 209, 175], [false, false, true]),
        ([208, 212, 206], NEVER),
        ([226, 227, 218], NEVER),
    ];
    record_with(grid, &right, (300, [176, 176, 175]))
}

fn page(record: &RunRecord) -> String {
    let findings = Findings::of(record);
    markdown::render(&findings, &charts(&findings))
}

/// Everything before the first section.
fn opening(record: &RunRecord) -> String {
    page(record).split("\n## ").next().unwrap_or_default().to_owned()
}

fn selected<'a>(findings: &'a Findings<'_>) -> Option<&'a Entry> {
    findings.tasks[0].selected()
}

#[test]
fn one_answer_is_counted_and_said() {
    let record = race();
    let findings = Findings::of(&record);
    let told = "6 of 24 configurations (18 of 72 trials) answer one class; that alone gives 28.2 %";
    assert!(opening(&record).contains(told), "{}", opening(&record));
    assert!(report::terminal_table(&record, 120).contains(&format!("= {told}")));
    assert_eq!(findings.entries().filter(|e| e.summary.is_constant()).count(), 6);
    // The others are ranked and tested among themselves: 17 against the best.
    assert_eq!(findings.entries().filter(|e| e.comparison.is_some()).count(), 17);
    assert_eq!(selected(&findings).unwrap().label, "LoRA r=4 α=64 lr 3e-3");
    let places: Vec<u64> = findings.entries().map(|e| e.place).collect();
    assert_eq!(places[18..], [19; 6], "they are not ranked among themselves");
    assert_eq!(findings.entries().skip(18).filter(|e| e.summary.convergence_step.is_some()).count(), 0);
    assert_eq!(page(&record).matches("| answers one class |").count(), 6);
}

#[test]
fn one_answer_on_some_folds_is_marked_there() {
    let record = complaints();
    let told = "4 of 9 configurations (4 of 27 trials) answer one class; that alone gives 58.6 %";
    assert!(opening(&record).contains(told), "{}", opening(&record));
    let page = page(&record);
    assert_eq!(page.matches("| one class in 1 of 3 |").count(), 4);
    assert_eq!(page.matches("58.3 (one class)").count(), 2);
    assert_eq!(page.matches("58.7 (one class)").count(), 2);
    let findings = Findings::of(&record);
    // They are ranked and tested all the same.
    assert_eq!(findings.entries().filter(|e| e.comparison.is_some()).count(), 8);
    let trials = String::from_utf8(frames::csv(frames::trials(&findings).unwrap()).unwrap()).unwrap();
    assert!(
        trials
            .lines()
            .next()
            .unwrap()
            .contains(",kept_step,constant_answer,answers_one_class,validation_accuracy")
    );
    assert_eq!(trials.matches(",true,true,0.58").count(), 4);
}

/// The majority has 527 of the 900 rows, full fine-tuning 671: 31.5 to 0 for chance.
#[test]
fn what_was_learned_is_selected_and_shown_beside_the_majority() {
    let record = complaints();
    let findings = Findings::of(&record);
    let task = &findings.tasks[0];
    assert_eq!(selected(&findings).unwrap().label, "full fine-tuning");
    let chance = task.chance.as_ref().unwrap();
    assert!((chance.its.unwrap() - 527.0 / 900.0).abs() < 1e-12);
    let Grounds::Rows { rows: 900, p, tried: 9 } = chance.grounds else { panic!("{:?}", chance.grounds) };
    assert!(chance.beaten && p < 1e-12, "{p}");
    let page = page(&record);
    let row = page.lines().find(|line| line.starts_with("| baseline | majority class |")).unwrap();
    assert!(row.contains("| 58.6 ± 0.2 |"), "{row}");
    // Validation, each fold, statistics; then once the test rows of the same shares.
    assert!(page.contains("| majority class | 58.7 | 58.7 | 58.3 | 58.6 ± 0.2 |"));
    assert!(page.contains("| majority class | 3 | 58.6 | 0.2 |"));
    assert!(page.contains("(`World`)"), "which class that is");
    let table = report::terminal_table(&record, 100);
    assert!(
        table.lines().any(|line| line.trim().starts_with("majority class") && line.contains("58.6 ± 0.2"))
    );
}

#[test]
fn charts_show_the_majority_class() {
    let record = complaints();
    let findings = Findings::of(&record);
    let charts = charts(&findings);
    let says = |name: &str, wanted: &str| {
        let chart = charts.iter().find(|chart| chart.name == name).unwrap();
        let text = |shape: &Shape| matches!(shape, Shape::Text { text, .. } if text.contains(wanted));
        assert!(chart.scene.shapes.iter().any(text), "{name} lacks `{wanted}`");
    };
    says("convergence", "majority class 58.6 %");
    says("accuracy-vs-parameters", "majority class 58.6 %");
    says("macro-f1-vs-parameters", "majority class 18.5 %");
    let heat_map = charts.iter().find(|chart| chart.name == "rank-alpha").unwrap();
    assert!(heat_map.caption.contains("The majority class alone gives 58.6."), "{}", heat_map.caption);
}

/// The best has 540 of 900 rows where the majority has 527: p = 0.198, and there are two of them.
#[test]
fn a_lead_within_chance_selects_nothing_and_is_told_first() {
    let grid = vec![lora(4, 16.0), lora(8, 16.0)];
    let right = [([180, 180, 180], NEVER), ([170, 176, 171], NEVER)];
    let record = record_with(grid, &right, (300, [176, 176, 175]));
    let findings = Findings::of(&record);
    assert!(selected(&findings).is_none());
    let Grounds::Rows { rows: 900, p, tried: 2 } = findings.tasks[0].chance.as_ref().unwrap().grounds else {
        panic!("rows are counted")
    };
    // By scipy 1.17: binom.sf(539, 900, 527 / 900).
    assert!((p - 0.198_989_110_687_249_2).abs() < 1e-9, "{p}");
    let page = page(&record);
    let first = page.lines().nth(2).unwrap();
    let wanted =
        "**No configuration beats the majority class beyond chance: the best of 2, LoRA r=4 α=16, has";
    assert!(first.starts_with(wanted), "{first}");
    assert!(first.contains("against 58.6 %") && first.ends_with("none is selected.**"), "{first}");
    assert!(!page.contains("★ |") && !page.contains("| ★"), "nothing is starred");
    assert!(!page.contains("Selected on validation"));
    let table = report::terminal_table(&record, 100);
    assert!(table.starts_with("No configuration beats the majority class beyond chance"), "{table}");
    assert!(!table.contains('*'), "{table}");
    let csv = String::from_utf8(frames::csv(frames::configurations(&findings).unwrap()).unwrap()).unwrap();
    assert!(!csv.contains(",true,3,3,"), "{csv}");
}

#[test]
fn one_answer_everywhere_selects_nothing_even_where_rows_are_not_known() {
    let grid = vec![lora(4, 16.0), lora(8, 16.0)];
    let right = [([170, 169, 169], ALWAYS), ([170, 169, 169], ALWAYS)];
    let mut record = record_with(grid, &right, (600, [170, 169, 169]));
    for known in [true, false] {
        let opening = opening(&record);
        assert!(opening.contains("Every configuration answers one class, which alone gives accuracy 28.2 %"));
        assert!(Findings::of(&record).tasks[0].selected().is_none());
        assert_eq!(Findings::of(&record).tasks[0].baseline.is_some(), known);
        record.trials.iter_mut().for_each(|trial| trial.result.as_mut().unwrap().class_rows = None);
    }
}

/// Folds of 190, 239 and 208 rows and of 191, 238 and 208 have one total, and means that differ in their
/// last bit.
#[test]
fn a_tie_is_a_tie_and_the_smaller_one_is_selected() {
    let right = [([190, 239, 208], NEVER), ([191, 238, 208], NEVER)];
    for ranks in [[8, 4], [4, 8]] {
        let grid = ranks.map(|rank| lora(rank, 16.0)).to_vec();
        let record = record_with(grid, &right, (300, [100, 100, 100]));
        let findings = Findings::of(&record);
        let means = findings.tasks[0].entries.iter().map(|e| e.summary.selecting().unwrap().mean.to_bits());
        assert_eq!(means.collect::<std::collections::BTreeSet<_>>().len(), 2, "rounding tells them apart");
        assert_eq!(selected(&findings).unwrap().label, "LoRA r=4 α=16");
        assert_eq!(findings.entries().map(|e| e.place).collect::<Vec<_>>(), [1, 1]);
        let told = "LoRA r=4 α=16 is tied with LoRA r=8 α=16, to the last digit";
        assert!(opening(&record).contains(told), "{}", opening(&record));
        assert!(report::terminal_table(&record, 200).contains(told));
        assert!(page(&record).lines().any(|line| line.starts_with("| tied | lora | 8 |")));
    }
}

/// Turns the order of macro F1 around: the best by accuracy is the worst by it.
fn turned(record: &mut RunRecord) {
    let turn = |scores: &mut Scores| {
        scores.set(Metric::MacroF1, 0.9 - scores.get(Metric::Accuracy).unwrap() / 2.0);
    };
    for trial in &mut record.trials {
        turn(trial.result.as_mut().and_then(|r| r.validation.as_mut()).expect("every trial is done"));
        for line in &mut trial.metrics {
            if let MetricLine::Validation { scores, .. } = line {
                turn(scores);
            }
        }
    }
}

#[test]
fn the_metric_that_the_sweep_names_selects_and_is_shown() {
    let grid = vec![lora(4, 16.0), lora(8, 16.0)];
    let right = [([280, 281, 279], NEVER), ([220, 222, 221], NEVER)];
    let mut record = record_with(grid, &right, (300, [100, 100, 100]));
    turned(&mut record);
    assert_eq!(selected(&Findings::of(&record)).unwrap().label, "LoRA r=4 α=16");
    record.sweep = record.sweep.with(|sweep| sweep.select = Select::All(Metric::MacroF1)).unwrap();
    let findings = Findings::of(&record);
    let best = selected(&findings).unwrap();
    assert_eq!(best.label, "LoRA r=8 α=16");
    let mean = best.summary.over_folds().unwrap().mean;
    assert!((mean - (0.9 - 663.0 / 1800.0)).abs() < 1e-12, "folds are compared by it: {mean}");
    let page = page(&record);
    for wanted in [
        "## Statistics on validation macro F1",
        "| selected by | macro F1 |",
        "Validation macro F1 by rank and alpha",
        "Training loss and validation macro F1 by optimiser step",
        "validation macro F1 (%)",
        "test macro F1",
    ] {
        assert!(page.contains(wanted), "no `{wanted}` in {page}");
    }
    assert!(matches!(findings.tasks[0].chance.as_ref().unwrap().grounds, Grounds::Recall { rows: 900, .. }));
    let table = report::terminal_table(&record, 120);
    assert!(table.contains("validation macro F1 %"), "{table}");
    // The lowest loss is the best.
    record.sweep = record.sweep.with(|sweep| sweep.select = Select::All(Metric::Loss)).unwrap();
    assert_eq!(selected(&Findings::of(&record)).unwrap().label, "LoRA r=4 α=16");
}

/// A guess takes each class with some chance, and has one in four of macro recall: 0.28 on 900 rows is
/// within it, 0.35 is not.
#[test]
fn a_guess_beats_the_majority_in_macro_f1_and_learned_nothing() {
    for (recall, learned) in [(0.28, false), (0.35, true)] {
        let mut record = record_with(vec![lora(4, 16.0)], &[([90, 90, 90], NEVER)], (300, [176, 176, 175]));
        record.sweep = record.sweep.with(|sweep| sweep.select = Select::All(Metric::MacroF1)).unwrap();
        for trial in &mut record.trials {
            let scores = trial.result.as_mut().unwrap().validation.as_mut().unwrap();
            scores.set(Metric::MacroRecall, recall);
            scores.set(Metric::MacroF1, 0.27);
        }
        let findings = Findings::of(&record);
        assert_eq!(selected(&findings).is_some(), learned, "{:?}", findings.tasks[0].chance);
    }
}

#[test]
fn a_language_model_is_held_against_its_base() {
    let mut record = language_record(&["wikitext-2"], &[8], &[42]);
    assert!(selected(&Findings::of(&record)).is_some());
    for trial in &mut record.trials {
        if trial.trial.configuration.method == Method::Base {
            trial.result.as_mut().unwrap().validation.as_mut().unwrap().set(Metric::Loss, 2.0);
        }
    }
    assert!(selected(&Findings::of(&record)).is_none());
    let opening = opening(&record);
    assert!(opening.contains("**No configuration beats the untrained base beyond chance"), "{opening}");
    let trained = |one: &Arc<Configuration>| one.method != Method::Base;
    record.sweep = record.sweep.with(|sweep| sweep.configurations.retain(trained)).unwrap();
    record.trials.retain(|trial| trial.trial.configuration.method != Method::Base);
    let opening = self::opening(&record);
    assert!(opening.contains("`method: base`"), "{opening}");
}

#[test]
fn class_names_with_commas_are_told_apart() {
    let mut record = record_of(vec![lora(4, 16.0)]);
    change_task(&mut record, |task| "Credit reporting, repair".clone_into(&mut class_names(task)[1]));
    assert!(page(&record).contains("| labels | “card”, “Credit reporting, repair”, “mortgage” |"));
}

/// Of 6,623 rows of the file cleaning left 1,294, of which 900 were drawn.
#[test]
fn rows_are_counted_from_those_of_the_file() {
    let mut record = record_of(vec![lora(4, 16.0)]);
    let mut told = |rows: Option<usize>, read: Option<usize>| {
        change_task(&mut record, |task| {
            (task.train.rows, task.train.rows_read, task.rows) = (1_294, read, rows);
        });
        opening(&record).split("Data: ").nth(1).unwrap().split(" with").next().unwrap().to_owned()
    };
    let some = "900 of the 1,294 rows left by cleaning, of 6,623 in `train.csv`";
    assert_eq!(told(Some(900), Some(6_623)), some);
    assert_eq!(told(None, Some(6_623)), "the 1,294 rows left by cleaning, of 6,623 in `train.csv`");
    assert_eq!(told(Some(900), Some(1_294)), "900 of 1,294 rows of `train.csv`");
    assert_eq!(told(Some(900), None), "900 of 1,294 rows of `train.csv`");
}
