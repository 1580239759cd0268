use super::*;
use crate::tasks::Row;
use crate::tasks::kind::Answered;
use crate::values::{JudgedRow, RowAnswer};

const PROBABILITIES: [[f64; 4]; 4] =
    [[0.9, 0.2, 0.6, 0.1], [0.4, 0.7, 0.5, 0.2], [0.55, 0.45, 0.3, 0.1], [0.2, 0.8, 0.1, 0.05]];
const TARGETS: [&[u32]; 4] = [&[0, 2], &[0, 1], &[1], &[1]];

fn kind(threshold: Threshold) -> MultiLabel {
    MultiLabel { labels: ["a", "b", "c", "d"].map(str::to_owned).to_vec(), threshold, ..MultiLabel::EMPTY }
}

fn loss(row: usize) -> f64 {
    let of = |(label, p): (u32, &f64)| -(if TARGETS[row].contains(&label) { *p } else { 1.0 - p }).ln();
    (0..).zip(&PROBABILITIES[row]).map(of).sum::<f64>() / 4.0
}

fn fill(tally: &mut dyn Tally) {
    for (index, (target, answers)) in (0..).zip(TARGETS.iter().zip(&PROBABILITIES)) {
        let row = Row { tokens: &[], second: 0, target: RowTarget::List(target), answers: &[] };
        tally.add(&Answered { index, row, losses: &[loss(index as usize)], answers });
    }
}

fn close(scores: &Scores, metric: Metric, expected: f64) {
    let found = scores.get(metric).unwrap();
    assert!((found - expected).abs() < 1e-12, "{metric:?} is {found}, not {expected}");
}

/// `f1_score`, `accuracy_score` and `average_precision_score` (over the labels that occur) of scikit-learn 1.9.1, with
/// `zero_division=0`.
#[test]
fn scores_are_those_of_scikit_learn() {
    let kind = kind(Threshold::Fixed(0.5));
    let mut tally = kind.tally();
    fill(&mut *tally);
    let scores = tally.scores();
    close(&scores, Metric::MicroF1, 2.0 / 3.0);
    close(&scores, Metric::MacroF1, 0.491_666_666_666_666_7);
    close(&scores, Metric::SubsetAccuracy, 0.5);
    close(&scores, Metric::MeanAveragePrecision, 0.944_444_444_444_444_3);
    close(&scores, Metric::Loss, 0.362_246_148_674_299_6);
    assert_eq!((scores.count(Count::Rows), scores.threshold()), (Some(4), Some(0.5)));
    let rows = tally.take_rows();
    let answer = RowAnswer::Classes {
        predicted: vec![1, 2],
        target: vec![0, 1],
        probabilities: vec![0.4, 0.7, 0.5, 0.2],
    };
    assert_eq!(rows[1], JudgedRow { row: 1, loss: loss(1), answer });
}

/// The best micro F1 over all thresholds is 0.857…, from 0.4 on.
#[test]
fn validation_rows_choose_the_threshold_and_test_rows_take_it() {
    let kind = kind(Threshold::Validation);
    let mut tally = kind.tally();
    fill(&mut *tally);
    let validation = tally.scores();
    close(&validation, Metric::MicroF1, 6.0 / 7.0);
    assert_eq!(validation.threshold(), Some(f64::midpoint(0.4, 0.3)));
    let mut test = kind.tally_after(Some(&validation));
    fill(&mut *test);
    assert_eq!(test.scores().threshold(), validation.threshold());
    let mut alone = kind.tally_after(None);
    fill(&mut *alone);
    close(&alone.scores(), Metric::MicroF1, 2.0 / 3.0);
}

#[test]
fn the_baseline_answers_the_most_frequent_label() {
    let kind = kind(Threshold::Fixed(0.5));
    let rows: Vec<_> = TARGETS.iter().map(|target| RowTarget::List(*target)).collect();
    let targets = TrialTargets { train: rows.clone(), validation: rows, test: Vec::new() };
    let baseline = kind.target_facts(&targets).baseline.unwrap();
    assert_eq!((baseline.answer.as_str(), baseline.test), ("b", None));
    close(&baseline.validation, Metric::MicroF1, 0.6);
    close(&baseline.validation, Metric::MacroF1, 0.75 * 2.0 / (1.0 + 0.75) / 4.0);
    close(&baseline.validation, Metric::SubsetAccuracy, 0.5);
    assert!(kind.is_constant(&baseline.validation));
}

#[test]
fn nothing_counted_scores_zero_not_nan() {
    let scores = kind(Threshold::Validation).tally().scores();
    assert_eq!([Metric::Loss, Metric::MicroF1].map(|metric| scores.get(metric)), [Some(0.0); 2]);
    assert_eq!(scores.get(Metric::MeanAveragePrecision), None);
}

#[test]
fn labels_stand_in_one_column_or_in_several() {
    let faults = |pairs: &[(&'static str, &str)]| {
        let mut given = Given::default();
        given.say("text", "comment");
        pairs.iter().for_each(|(key, text)| given.say(key, *text));
        MultiLabel::EMPTY.faults(&given).len()
    };
    assert_eq!(faults(&[("label", "emotions"), ("label_separator", ","), ("threshold", "0.3")]), 0);
    assert_eq!(faults(&[("label_columns", "a"), ("label_columns", "b"), ("threshold", "validation")]), 0);
    assert_eq!(faults(&[]), 1);
    assert_eq!(faults(&[("label", "x"), ("label_columns", "a"), ("label_columns", "b")]), 1);
    assert_eq!(faults(&[("label_columns", "a")]), 1);
    assert_eq!(faults(&[("label", "x"), ("label_separator", ""), ("threshold", "1")]), 2);
}

#[derive(serde::Deserialize)]
struct Case {
    truth: Vec<Vec<u32>>,
    probabilities: Vec<Vec<f64>>,
    threshold: f64,
    micro_f1: f64,
    macro_f1: f64,
    subset_accuracy: f64,
    mean_average_precision: Option<f64>,
}

/// Recorded by `tests/fixtures/make_labels.py`.
#[test]
fn recorded_scores_agree_with_scikit_learn() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/labels.json");
    let mut all: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases: Vec<Case> = serde_json::from_value(all["multi_label"].take()).unwrap();
    assert!(cases.len() >= 10);
    for case in cases {
        let labels = (0..case.probabilities[0].len()).map(|label| label.to_string()).collect();
        let threshold = Threshold::Fixed(case.threshold);
        let kind = MultiLabel { labels, threshold, ..MultiLabel::EMPTY };
        let mut tally = kind.tally();
        for (index, (target, answers)) in (0..).zip(case.truth.iter().zip(&case.probabilities)) {
            let row = Row { tokens: &[], second: 0, target: RowTarget::List(target), answers: &[] };
            tally.add(&Answered { index, row, losses: &[0.0], answers });
        }
        let scores = tally.scores();
        close(&scores, Metric::MicroF1, case.micro_f1);
        close(&scores, Metric::MacroF1, case.macro_f1);
        close(&scores, Metric::SubsetAccuracy, case.subset_accuracy);
        match case.mean_average_precision {
            Some(precision) => close(&scores, Metric::MeanAveragePrecision, precision),
            None => assert_eq!(scores.get(Metric::MeanAveragePrecision), None),
        }
    }
}
