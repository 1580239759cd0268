//! scikit-learn's and scipy's metrics, and what is not defined.

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Case {
    truth: Vec<f64>,
    predicted: Vec<f64>,
    mse: f64,
    rmse: f64,
    mae: f64,
    pearson: Option<f64>,
    spearman: Option<f64>,
    r2: Option<f64>,
}

fn scores(truths: &[f64], answers: &[f64]) -> Scores {
    Numbers { truths: truths.to_vec(), answers: answers.to_vec(), rows: Vec::new() }.scores()
}

/// Recorded by `tests/fixtures/make_regression.py`: ties, large numbers, correlations of 1 and -1, and
/// predictions or truths that are all the same.
#[test]
fn scores_agree_with_scikit_learn_and_scipy() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/regression.json");
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(cases.len() >= 30 && cases.iter().any(|case| case.pearson.is_none()));
    for case in cases {
        let scores = scores(&case.truth, &case.predicted);
        let close = |metric: Metric, wanted: Option<f64>| {
            let value = scores.get(metric);
            let size = wanted.unwrap_or(1.0).abs().max(1.0);
            let near = value.zip(wanted).is_none_or(|(a, b)| (a - b).abs() < 1e-12 * size);
            assert!(near && value.is_some() == wanted.is_some(), "{metric:?}: {value:?}, not {wanted:?}");
        };
        close(Metric::Mse, Some(case.mse));
        close(Metric::Rmse, Some(case.rmse));
        close(Metric::Mae, Some(case.mae));
        close(Metric::Pearson, case.pearson);
        close(Metric::Spearman, case.spearman);
        close(Metric::R2, case.r2);
    }
}

#[test]
fn equal_numbers_share_the_mean_of_their_ranks() {
    assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0, 3.0]), [4.0, 1.0, 4.0, 2.0, 4.0]);
    assert_eq!(ranks(&[0.5, 0.5]), [1.5, 1.5]);
}

/// What is not defined is absent, in JSON too; nothing is `nan`.
#[test]
fn one_answer_to_every_row_has_no_correlation() {
    let constant = scores(&[1.0, 2.0, 4.0], &[2.0; 3]);
    assert_eq!((constant.get(Metric::Pearson), constant.get(Metric::Spearman)), (None, None));
    assert!(Regression::EMPTY.is_constant(&constant) && constant.has_finite_loss());
    let text = serde_json::to_string(&constant).unwrap();
    assert!(!text.contains("null") && !text.contains("pearson"), "{text}");
    // Rounding of 32 bits is no answer.
    let rounded = scores(&[1.0, 2.0, 4.0], &[2.0, 2.000_000_2, 2.0]);
    assert!(Regression::EMPTY.is_constant(&rounded) && rounded.get(Metric::Spearman).is_none());
    let varied = scores(&[1.0, 2.0, 4.0], &[2.0, 2.000_01, 2.0]);
    assert!(!Regression::EMPTY.is_constant(&varied) && varied.get(Metric::Pearson).is_some());
    // Truths that are all the same are no fault of the answers.
    let flat = scores(&[3.0; 3], &[1.0, 2.0, 3.0]);
    assert!(!Regression::EMPTY.is_constant(&flat) && flat.get(Metric::Pearson).is_none());
    let one = scores(&[3.0], &[1.0]);
    assert!(!Regression::EMPTY.is_constant(&one) && one.get(Metric::Mse) == Some(4.0));
    assert_eq!(Numbers::default().scores().loss(), Some(0.0));
}

/// The error of 0.1 in 64 bits is not that of the model's 32.
#[test]
fn a_rows_loss_is_the_square_that_the_mean_is_made_of() {
    let mut tally = Numbers::default();
    for (index, target, answer) in [(7, 0.1, 0.0), (3, 1.0, 3.0)] {
        let target = RowTarget::Number(target);
        let row = crate::tasks::Row { tokens: &[], second: 0, target, answers: &[] };
        tally.add(&Answered { index, row, losses: &[9.9], answers: &[answer] });
    }
    let (mse, rows) = (tally.scores().loss().unwrap(), tally.take_rows());
    let answer = RowAnswer::Number { predicted: 3.0, target: 1.0 };
    assert_eq!(rows[1], JudgedRow { row: 3, loss: 4.0, answer });
    assert_eq!((rows[0].row, rows[0].loss), (7, 0.1 * 0.1));
    assert_eq!(mse, f64::midpoint(rows[0].loss, rows[1].loss));
}

/// The mean of the training rows is 2: it is off by 1 and 3 on the validation rows.
#[test]
fn the_training_mean_is_the_baseline() {
    let of = |numbers: &[f64]| numbers.iter().map(|number| RowTarget::Number(*number)).collect();
    let targets = TrialTargets { train: of(&[1.0, 2.0, 3.0]), validation: of(&[3.0, 5.0]), test: Vec::new() };
    let Reference { answer, validation, test } = Regression::EMPTY.target_facts(&targets).baseline.unwrap();
    assert_eq!((answer.as_str(), test), ("2.000", None));
    assert_eq!((validation.get(Metric::Mse), validation.get(Metric::Mae)), (Some(5.0), Some(2.0)));
    assert_eq!((validation.get(Metric::Pearson), validation.count(Count::Rows)), (None, Some(2)));
}
