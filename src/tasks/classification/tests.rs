//! scikit-learn's metrics, and the majority class.

use serde::Deserialize;

use super::*;
use crate::tasks::kind::Answered;
use crate::values::{Cost, JudgedRow, RowAnswer};

#[derive(Deserialize)]
struct Fixtures {
    classifications: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    classes: usize,
    truth: Vec<usize>,
    predicted: Vec<usize>,
    accuracy: f64,
    macro_precision: f64,
    macro_recall: f64,
    macro_f1: f64,
    weighted_f1: f64,
    matthews: f64,
}

#[track_caller]
fn close(scores: &Scores, metric: Metric, wanted: f64) {
    let value = scores.get(metric).unwrap();
    assert!((value - wanted).abs() < 1e-12, "{} is {value}, not {wanted}", metric.name());
}

fn counted(classes: usize, rows: &[(usize, usize, u64)]) -> Scores {
    let mut tally = Confusion::new(classes);
    rows.iter().for_each(|(truth, guess, n)| tally.count(*truth, *guess, *n));
    tally.scores()
}

/// Recorded by `tests/fixtures/make_metrics.py`; some classes are never true or never predicted.
#[test]
fn scores_agree_with_scikit_learn() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/metrics.json");
    let fixtures: Fixtures = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(fixtures.classifications.len() >= 30);
    for case in fixtures.classifications {
        let pairs: Vec<_> = case.truth.iter().zip(&case.predicted).map(|(t, p)| (*t, *p, 1)).collect();
        let scores = counted(case.classes, &pairs);
        close(&scores, Metric::Accuracy, case.accuracy);
        close(&scores, Metric::MacroPrecision, case.macro_precision);
        close(&scores, Metric::MacroRecall, case.macro_recall);
        close(&scores, Metric::MacroF1, case.macro_f1);
        close(&scores, Metric::WeightedF1, case.weighted_f1);
        close(&scores, Metric::Matthews, case.matthews);
    }
}

/// Of three classes the rows have two, and the third is never answered: F1 is (0.8 + 2/3) / 2. Once
/// it is answered it counts as 0: F1 is (2/3 + 2/3 + 0) / 3.
#[test]
fn a_class_counts_once_a_row_has_it_or_was_given_it() {
    let two = counted(3, &[(0, 0, 2), (1, 0, 1), (1, 1, 1)]);
    close(&two, Metric::MacroPrecision, f64::midpoint(2.0 / 3.0, 1.0));
    close(&two, Metric::MacroRecall, 0.75);
    close(&two, Metric::MacroF1, f64::midpoint(0.8, 2.0 / 3.0));
    let three = counted(3, &[(0, 0, 1), (0, 2, 1), (1, 1, 1), (1, 2, 1)]);
    close(&three, Metric::MacroPrecision, 2.0 / 3.0);
    close(&three, Metric::MacroRecall, 1.0 / 3.0);
    close(&three, Metric::MacroF1, 4.0 / 9.0);
    let perfect = counted(3, &[(0, 0, 10), (1, 1, 10)]);
    for metric in [Metric::MacroPrecision, Metric::MacroRecall, Metric::MacroF1] {
        close(&perfect, metric, 1.0);
    }
}

#[test]
fn the_loss_is_a_mean_over_rows_and_nothing_counted_scores_zero() {
    let row =
        |class| crate::tasks::Row { tokens: &[], second: 0, target: RowTarget::Class(class), answers: &[] };
    let mut tally = Confusion::new(2);
    for index in 0..10 {
        // Probabilities of the second class: 0.25 for its rows, and 0.25 or 0.375 for others.
        let probability = if index % 4 == 0 { 0.625 } else { 0.75 };
        let row = row(index % 2);
        tally.add(&Answered { index, row, losses: &[0.5], answers: &[0.0, probability] });
    }
    assert_eq!((tally.scores().loss(), tally.scores().get(Metric::Accuracy)), (Some(0.5), Some(0.5)));
    // Of the pairs, two in five are equal, and in the others the second class has the lower probability.
    assert_eq!(tally.scores().get(Metric::Auroc), Some(0.2));
    let judged = |row| {
        let answer = RowAnswer::Class {
            predicted: 0,
            target: row % 2,
            probability: Some(if row % 4 == 0 { 0.625 } else { 0.75 }),
        };
        JudgedRow { row, loss: 0.5, answer }
    };
    assert_eq!(tally.take_rows(), (0..10).map(judged).collect::<Vec<_>>());
    let nothing = Confusion::new(3).scores();
    assert_eq!((nothing.loss(), nothing.get(Metric::MacroF1)), (Some(0.0), Some(0.0)));
}

/// scikit-learn's `compute_class_weight("balanced", …)`; the third class has no row to train on.
#[test]
fn balanced_weights_are_in_inverse_proportion_to_the_rows() {
    let labels = ["a", "b", "c"].map(str::to_owned).to_vec();
    let of = |weights| Classification {
        labels: labels.clone(),
        class_weights: Some(weights),
        ..Classification::EMPTY
    };
    let train = [0, 0, 0, 1].map(RowTarget::Class);
    let balanced = of(ClassWeights::Balanced).class_weights(&train).unwrap();
    assert_eq!(balanced, [4.0 / 6.0, 2.0, 1.0]);
    let named = of(ClassWeights::Named([("b".to_owned(), 2.5)].into())).class_weights(&train).unwrap();
    assert_eq!(named, [1.0, 2.5, 1.0]);
    assert!(Classification::EMPTY.class_weights(&train).is_none());
}

/// The majority's scores where classes have so many rows to train on and to be judged by.
fn majority(train: &[u64], validation: &[u64]) -> Reference {
    let labels = (0..train.len()).map(|class| class.to_string()).collect();
    let kind = Classification { labels, ..Classification::EMPTY };
    let of = |counts: &[u64]| {
        let classes = (0..).zip(counts);
        classes.flat_map(|(class, rows)| (0..*rows).map(move |_| RowTarget::Class(class))).collect()
    };
    let targets = TrialTargets { train: of(train), validation: of(validation), test: Vec::new() };
    let class_rows = kind.target_facts(&targets).class_rows;
    assert_eq!(class_rows.as_ref().unwrap().train, train);
    let result = TrialResult {
        trial: "0123456789abcdef".parse().unwrap(),
        validation: Some(Scores::of(NAME)),
        kept_step: 0,
        test: None,
        steps: 0,
        trainable_params: 0,
        total_params: 0,
        cost: Cost::default(),
        class_rows,
        baseline: None,
    };
    kind.baseline(&result).unwrap()
}

/// 6 of 10 validation rows have the class of 60 of 100 training rows: F1 is 2 × 6 / (10 + 6) on it.
#[test]
fn one_answer_scores_its_share() {
    let Reference { answer, validation, test } = majority(&[60, 30, 10], &[6, 3, 1]);
    close(&validation, Metric::Accuracy, 0.6);
    close(&validation, Metric::MacroRecall, 1.0 / 3.0);
    close(&validation, Metric::MacroPrecision, 0.2);
    close(&validation, Metric::MacroF1, 0.25);
    close(&validation, Metric::WeightedF1, 0.45);
    close(&validation, Metric::Matthews, 0.0);
    let loss = -(0.6 * 0.6_f64.ln() + 0.3 * 0.3_f64.ln() + 0.1 * 0.1_f64.ln());
    close(&validation, Metric::Loss, loss);
    assert!(Classification::EMPTY.is_constant(&validation));
    assert_eq!((answer.as_str(), test), ("0", None));
}

/// The third class has no validation row, and most training rows: it is answered and never right.
#[test]
fn a_majority_that_the_validation_rows_lack_is_never_right() {
    assert_eq!(majority(&[1, 2, 5], &[4, 4, 0]).validation.get(Metric::Accuracy), Some(0.0));
    let binary = majority(&[5, 2, 0], &[3, 1, 0]).validation;
    // Of the two classes that are seen.
    assert_eq!(binary.get(Metric::MacroRecall), Some(0.5));
    assert!(Classification::EMPTY.is_constant(&binary) && binary.has_finite_loss());
}

#[test]
fn half_of_each_of_two_classes_right_is_not_one_answer() {
    let scores = counted(2, &[(0, 0, 60), (0, 1, 40), (1, 1, 40), (1, 0, 60)]);
    assert_eq!((scores.get(Metric::Accuracy), scores.get(Metric::MacroRecall)), (Some(0.5), Some(0.5)));
    assert!(!Classification::EMPTY.is_constant(&scores));
}
