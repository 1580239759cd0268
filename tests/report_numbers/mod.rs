//! Reports of regressions: correlations and errors, each in its direction, the training mean beside them, and
//! what is not defined.

use lorasweep::record::RunRecord;
use lorasweep::report::chance::Grounds;
use lorasweep::report::findings::Findings;
use lorasweep::report::{self, frames, markdown};
use lorasweep::tasks::{Objective, Regression, RowTarget, Task, TaskKind, TrialTargets};
use lorasweep::values::{Count, Metric, MetricLine, Scores, Select, Splitting};

use crate::report_record::{Point, file, lora, record_on};

/// Adapters of these ranks on three folds, each trial with the baseline of its fold.
pub(crate) fn record(ranks: &[usize]) -> RunRecord {
    let regression = Regression { text: vec!["text".into()], label: "score".into(), ..Regression::EMPTY };
    let task = Task::new(Task::ONLY, Objective::Regression(regression), file("scores.csv", 1_500));
    let grid: Vec<Point> = ranks.iter().map(|rank| lora(*rank, 16.0)).collect();
    let mut record = record_on(vec![task], grid, Splitting::KFold { k: 3, stratified: false, seed: 42 });
    let numbers = |n: u32| (0..n).map(|row| RowTarget::Number(f64::from(row % 6))).collect();
    let targets = TrialTargets { train: numbers(1_000), validation: numbers(500), test: Vec::new() };
    let baseline = Regression::EMPTY.target_facts(&targets).baseline;
    record.trials.iter_mut().for_each(|trial| trial.result.as_mut().unwrap().baseline.clone_from(&baseline));
    record
}

/// Gives the trials at these places one answer to every row.
fn make_constant(record: &mut RunRecord, trials: &[usize]) {
    for trial in trials {
        let scores = Scores::of("regression")
            .with(Metric::Mse, 2.9)
            .with(Metric::Mae, 1.5)
            .with_count(Count::Rows, 500)
            .with_count(Count::Answers, 1);
        record.trials[*trial].result.as_mut().unwrap().validation = Some(scores);
    }
}

fn set(record: &mut RunRecord, metric: Metric, values: &[f64]) {
    for (trial, value) in record.trials.iter_mut().zip(values) {
        trial.result.as_mut().unwrap().validation.as_mut().unwrap().set(metric, *value);
    }
}

fn labels(record: &RunRecord) -> Vec<String> {
    Findings::of(record).tasks[0].entries.iter().map(|entry| entry.label.clone()).collect()
}

fn page(record: &RunRecord) -> String {
    let findings = Findings::of(record);
    markdown::render(&findings, &[])
}

/// Validations on some of the rows are no points of a curve of those on all.
#[test]
fn a_curve_has_the_validations_on_all_rows() {
    let whole = record(&[4, 8]);
    let mut partly = whole.clone();
    for trial in &mut partly.trials {
        let lines = std::mem::take(&mut trial.metrics).into_iter();
        trial.metrics = lines.flat_map(|line| [line.clone(), some_rows(&line)]).collect();
    }
    assert!(partly.trials[0].metrics.len() > whole.trials[0].metrics.len());
    assert_eq!(page(&partly), page(&whole));
    let learned = |record: &RunRecord| {
        let frame = frames::configurations(&Findings::of(record)).unwrap();
        format!("{:?}", frame.column("convergence_step").unwrap())
    };
    assert_eq!(learned(&partly), learned(&whole));
    assert!(!learned(&whole).contains("null"), "{}", learned(&whole));
}

/// A validation on some rows two steps after a line.
fn some_rows(line: &MetricLine) -> MetricLine {
    let (MetricLine::Train { step, epoch, .. } | MetricLine::Validation { step, epoch, .. }) = *line;
    let scores = Scores::of("regression").with(Metric::Mse, 1e-9).with(Metric::Pearson, 1.0);
    MetricLine::Validation { step: step + 2, epoch, scores, loss_error: None, rows: Some(3) }
}

#[test]
fn each_metric_sorts_in_its_own_direction() {
    let mut record = record(&[4, 8]);
    set(&mut record, Metric::Pearson, &[0.5, 0.55, 0.6, 0.7, 0.72, 0.74]);
    set(&mut record, Metric::Mse, &[1.0, 1.1, 1.2, 2.0, 2.1, 2.2]);
    let [four, eight] = ["LoRA r=4 α=16", "LoRA r=8 α=16"];
    assert_eq!(labels(&record), [eight, four]);
    assert!(page(&record).contains("the highest mean validation Pearson correlation"), "{}", page(&record));
    record.sweep = record.sweep.with(|sweep| sweep.select = Select::All(Metric::Mse)).unwrap();
    assert_eq!(labels(&record), [four, eight]);
    record.sweep = record.sweep.with(|sweep| sweep.select = Select::All(Metric::Rmse)).unwrap();
    assert_eq!(labels(&record), [four, eight], "its root sorts as the error does");
    let terminal = report::terminal_table(&record, 200);
    assert!(terminal.contains("RMSE: lower is better") && terminal.contains("training mean"), "{terminal}");
}

#[test]
fn a_correlation_is_held_against_none_and_an_error_against_the_training_mean() {
    let mut record = record(&[4, 8]);
    let selected = |record: &RunRecord| Findings::of(record).tasks[0].selected().is_some();
    let grounds = |record: &RunRecord| Findings::of(record).tasks[0].chance.as_ref().unwrap().grounds;
    assert!(selected(&record) && matches!(grounds(&record), Grounds::Correlation { rows: 1_500, .. }));
    set(&mut record, Metric::Pearson, &[0.02, 0.03, 0.01, 0.02, 0.01, 0.03]);
    assert!(!selected(&record), "{:?}", grounds(&record));
    assert!(
        page(&record).contains("No configuration beats a correlation of 0 beyond chance"),
        "{}",
        page(&record)
    );
    // The numbers from 0 to 5 have a variance of about 2.92.
    record.sweep = record.sweep.with(|sweep| sweep.select = Select::All(Metric::Mse)).unwrap();
    set(&mut record, Metric::Mse, &[2.9, 2.92, 2.93, 2.91, 2.9, 2.93]);
    assert!(!selected(&record) && matches!(grounds(&record), Grounds::Folds { .. }));
    assert!(page(&record).contains("beats the training mean beyond chance"), "{}", page(&record));
    set(&mut record, Metric::Mse, &[0.9, 0.92, 0.93, 1.91, 1.9, 1.93]);
    assert!(selected(&record));
}

#[test]
fn what_is_not_defined_is_shown_as_absent_and_never_averaged_away() {
    let mut record = record(&[4, 8, 16]);
    // One configuration on all folds, another on one of them.
    make_constant(&mut record, &[0, 1, 2, 3]);
    let findings = Findings::of(&record);
    let [best, partly, constant] = &findings.tasks[0].entries[..] else { panic!("three configurations") };
    assert!(best.selected && best.label.contains("r=16"), "{}", best.label);
    assert!(
        partly.label.contains("r=8") && partly.summary.selecting().is_none() && partly.summary.constant == 1
    );
    assert!(constant.summary.is_constant() && constant.summary.validation.contains_key(&Metric::Mse));
    let page = page(&record);
    assert!(page.contains("| one number |") && page.contains("one number in 1 of 3"), "{page}");
    assert!(page.contains("2 of 3 configurations (4 of 9 trials) answer one number"), "{page}");
    assert!(!page.contains("NaN") && !page.contains("one class"), "{page}");
    for frame in [frames::trials(&findings).unwrap(), frames::configurations(&findings).unwrap()] {
        let csv = String::from_utf8(frames::csv(frame).unwrap()).unwrap();
        assert!(csv.contains("validation_pearson") && !csv.contains("NaN"), "{csv}");
    }
}

#[test]
fn nothing_is_selected_where_every_configuration_answers_one_number() {
    let mut record = record(&[4, 8]);
    make_constant(&mut record, &[0, 1, 2, 3, 4, 5]);
    let findings = Findings::of(&record);
    assert!(findings.tasks[0].selected().is_none());
    let told = "Every configuration answers one number, which alone gives no Pearson correlation (undefined where all answers are the same): none is selected";
    assert!(page(&record).contains(told), "{}", page(&record));
}
