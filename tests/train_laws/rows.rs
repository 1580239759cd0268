//! What a trial gave for each row stands beside its result, is what its scores are made of, and depends on
//! interruptions and neighbours as little as they do.

use std::cell::Cell;
use std::fs;
use std::time::Duration;

use lorasweep::job::ToChild;
use lorasweep::record::rows;
use lorasweep::tasks::RowTarget;
use lorasweep::train::{Ended, Warm};
use lorasweep::values::{
    Count, Failure, JudgedRows, Keep, Metric, MetricLine, Part, RowAnswer, Scores, Training, Trial,
};

use crate::bench::{Bench, alone, assert_identical};
use crate::laws::BOTH;
use crate::subject::{Subject, TEST_ROWS, TRAIN_ROWS, training};

const KINDS: [Subject; 6] =
    [Subject::Labels, Subject::Language, Subject::Answers, Subject::Numbers, Subject::Sets, Subject::Tags];

#[track_caller]
fn near(ours: f64, reported: f64) {
    assert!((ours - reported).abs() <= 1e-9 * reported.abs(), "{ours} is not {reported}");
}

/// The scores follow from the rows.
#[track_caller]
fn assert_scored(judged: &JudgedRows, scores: &Scores) {
    let JudgedRows { rows, .. } = judged;
    let predictions: u32 = rows.iter().map(|row| row.predictions()).sum();
    let loss: f64 = rows.iter().map(|row| row.loss).sum();
    near(loss / f64::from(predictions), scores.loss().unwrap());
    let share = |is_so: &dyn Fn(&RowAnswer) -> bool| {
        rows.iter().filter(|row| is_so(&row.answer)).count() as f64 / rows.len() as f64
    };
    let lists = || rows.iter().filter_map(|row| row.answer.lists());
    match rows[0].answer {
        RowAnswer::Class { .. } => {
            let right =
                share(&|answer| answer.classes().is_some_and(|[predicted, target]| predicted == target));
            near(right, scores.get(Metric::Accuracy).unwrap());
        }
        RowAnswer::Classes { .. } => {
            near(
                share(&|answer| answer.lists().is_some_and(|[predicted, target]| predicted == target)),
                scores.get(Metric::SubsetAccuracy).unwrap(),
            );
        }
        RowAnswer::Tags { .. } => {
            // A word that was cut off counts as `O`, the first tag.
            let right = |[predicted, target]: [&[u32]; 2]| {
                let tags = predicted.iter().map(|tag| if *tag == RowAnswer::CUT { 0 } else { *tag });
                tags.zip(target).filter(|(tag, truth)| tag == *truth).count()
            };
            let (right, words) =
                (lists().map(right).sum::<usize>(), lists().map(|[_, all]| all.len()).sum::<usize>());
            near(right as f64 / words as f64, scores.get(Metric::TokenAccuracy).unwrap());
        }
        RowAnswer::Number { .. } => {
            let off = |[predicted, target]: [f64; 2]| (predicted - target).abs();
            let off: f64 = rows.iter().filter_map(|row| row.answer.numbers()).map(off).sum();
            near(off / rows.len() as f64, scores.get(Metric::Mae).unwrap());
        }
        RowAnswer::Tokens { .. } => assert_eq!(scores.count(Count::Tokens), Some(u64::from(predictions))),
        RowAnswer::Text { .. } => {
            let right = share(&|answer| answer.text().is_some_and(|(_, exact_match, _)| exact_match));
            let f1: f64 = rows.iter().filter_map(|row| row.answer.text()).map(|(_, _, f1)| f1).sum();
            near(right, scores.get(Metric::ExactMatch).unwrap());
            near(f1 / rows.len() as f64, scores.get(Metric::F1).unwrap());
        }
    }
}

#[test]
fn the_scores_of_a_trial_follow_from_its_rows() {
    let _alone = alone();
    for subject in KINDS {
        for keep in [Keep::Last, Keep::Best] {
            let trials = [3e-3, 3e-2].map(|learning_rate| {
                let settings = Training { keep, learning_rate, ..training() };
                subject.trial(subject.lora(4, 8.0, 0.1), settings)
            });
            for forward_mode in BOTH {
                let bench = Bench::with(subject, forward_mode);
                bench.train(&trials);
                let folds = trials.each_ref().map(|trial| {
                    let (result, [validation, test]) = (bench.result(trial), bench.rows(trial));
                    assert_scored(&validation, result.validation.as_ref().unwrap());
                    assert_scored(&test, &result.test.unwrap());
                    let which =
                        |judged: &JudgedRows| -> Vec<u32> { judged.rows.iter().map(|row| row.row).collect() };
                    assert_eq!((validation.part, validation.step), (Part::Train, result.kept_step));
                    assert_eq!((test.part, test.step), (Part::Test, result.kept_step));
                    assert_eq!(which(&test), (0..TEST_ROWS).collect::<Vec<_>>());
                    which(&validation)
                });
                assert_eq!(folds[0], folds[1], "trials of a fold are judged on the same rows");
                assert!(folds[0].is_sorted() && folds[0].len() as u32 == TRAIN_ROWS / 4);
            }
        }
    }
}

/// The answers are the model's own, row by row: a class's index, or a number of 32 bits.
#[test]
fn a_rows_target_is_its_own() {
    let _alone = alone();
    for subject in [Subject::Labels, Subject::Numbers, Subject::Sets] {
        let bench = Bench::new(subject);
        let trial = subject.trial(subject.lora(4, 8.0, 0.1), training());
        bench.train(std::slice::from_ref(&trial));
        for judged in bench.rows(&trial) {
            for row in judged.rows {
                let told = match &row.answer {
                    RowAnswer::Class { target, .. } => RowTarget::Class(*target),
                    RowAnswer::Number { target, .. } => RowTarget::Number(*target),
                    RowAnswer::Classes { target, .. } => RowTarget::List(target.clone()),
                    RowAnswer::Tags { .. } | RowAnswer::Tokens { .. } | RowAnswer::Text { .. } => {
                        panic!("a row as a whole has a target")
                    }
                };
                assert_eq!(told, subject.row(row.row).target);
            }
        }
    }
}

/// Trains until the pack has nothing left but trials that were stopped at this step.
fn stop_at(bench: &Bench, trial: &Trial, step: u64) {
    let told = Cell::new(false);
    let messages = || {
        if told.replace(true) { Vec::new() } else { vec![ToChild::Stop { trial: trial.id, step }] }
    };
    let pack = std::slice::from_ref(trial);
    let (ended, _) = bench.attempt_with(pack, &messages, &|_| false, &mut Warm::default());
    assert_eq!(ended, Ok(Ended::Finished));
}

fn latest(bench: &Bench, trial: &Trial) -> Option<JudgedRows> {
    rows::read(&bench.layout.latest_rows(trial.id), trial.id).unwrap()
}

/// Evaluated after 3, 4, 6, 8, 9 and 10 steps.
#[test]
fn a_paused_trial_has_the_rows_of_its_latest_evaluation() {
    let _alone = alone();
    for subject in KINDS {
        let (whole, paused) = (Bench::new(subject), Bench::new(subject));
        let settings = Training { keep: Keep::Best, ..training() };
        let trial = subject.trial(subject.lora(4, 8.0, 0.1), settings);
        whole.train(std::slice::from_ref(&trial));
        let scores_at = |step: u64| {
            let lines = whole.metrics(&trial).into_iter();
            lines.into_iter().find_map(|line| match line {
                MetricLine::Validation { step: at, scores, .. } => (at == step).then_some(scores),
                MetricLine::Train { .. } => None,
            })
        };
        for (step, evaluated) in [(2, None), (3, Some(3)), (3, Some(3)), (6, Some(6)), (7, Some(6))] {
            stop_at(&paused, &trial, step);
            let judged = latest(&paused, &trial);
            assert_eq!(judged.as_ref().map(|judged| judged.step), evaluated, "paused after {step} steps");
            if let Some(judged) = judged {
                assert_scored(&judged, &scores_at(judged.step).unwrap());
            }
        }
        paused.train(std::slice::from_ref(&trial));
        assert_eq!(latest(&paused, &trial), None, "it has finished");
        assert_identical(&paused, &whole, &trial);
    }
}

/// A checkpoint never knows of an evaluation whose rows are not on disk: a trial that continues from it does not
/// evaluate again.
#[test]
fn a_checkpoint_comes_after_the_rows_of_its_evaluation() {
    let _alone = alone();
    let subject = Subject::Labels;
    let trial = subject.trial(subject.lora(4, 8.0, 0.1), training());
    let mut bench = Bench::new(subject);
    bench.checkpoint_every = Some(Duration::ZERO);
    let steps = Cell::new(0);
    let before_a_step = || {
        let step = steps.replace(steps.get() + 1);
        // Once it has its result it needs them no more.
        let evaluated = [3, 4, 6, 8, 9].into_iter().rfind(|at| *at <= step && step < 10);
        assert_eq!(latest(&bench, &trial).map(|judged| judged.step), evaluated, "after {step} steps");
        Vec::new()
    };
    let pack = std::slice::from_ref(&trial);
    let (ended, _) = bench.attempt_with(pack, &before_a_step, &|_| false, &mut Warm::default());
    assert_eq!((ended, steps.get()), (Ok(Ended::Finished), 11));
}

/// What is in the way of a file stands for a disk that cannot be written.
#[test]
fn there_is_no_result_without_its_rows() {
    let _alone = alone();
    let subject = Subject::Labels;
    let trial = subject.trial(subject.lora(4, 8.0, 0.1), training());
    let (bench, whole) = (Bench::new(subject), Bench::new(subject));
    let layout = &bench.layout;
    for path in [layout.validation_rows(trial.id), layout.test_rows(trial.id)] {
        fs::create_dir_all(&path).unwrap();
        let (ended, _) = bench.attempt(std::slice::from_ref(&trial), false);
        assert!(matches!(ended, Err(Failure::BadData { .. })), "{ended:?}");
        assert!(!layout.result(trial.id).exists());
        fs::remove_dir(&path).unwrap();
    }
    for bench in [&bench, &whole] {
        bench.train(std::slice::from_ref(&trial));
    }
    assert_identical(&bench, &whole, &trial);
}
