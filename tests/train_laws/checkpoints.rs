//! What is kept of a trial is what was judged, and damage to it costs time only.

use std::cell::Cell;
use std::time::Duration;

use lorasweep::job::ChildLine;
use lorasweep::tasks;
use lorasweep::train::Ended;
use lorasweep::values::{Keep, Metric, MetricLine, Scores, Training, Trial};

use crate::bench::{Bench, LOSSES_APART, alone, assert_identical};
use crate::subject::{Subject, TEST_ROWS, TRAIN_ROWS, training};

#[test]
fn a_damaged_checkpoint_costs_time_and_a_warning_and_changes_nothing() {
    type Damage = fn(&mut Vec<u8>);
    let _alone = alone();
    let subject = Subject::Labels;
    let (whole, trial) = (Bench::new(subject), subject.trial(subject.lora(4, 8.0, 0.2), training()));
    let (_, lines) = whole.attempt(std::slice::from_ref(&trial), false);
    assert!(!lines.iter().any(|line| matches!(line, ChildLine::Warning { .. })), "{lines:?}");
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 5);
    let flip_weight = |bytes: &mut Vec<u8>| *bytes.iter_mut().nth_back(9).unwrap() ^= 4;
    let flip_header = |bytes: &mut Vec<u8>| bytes[40] ^= 1;
    let damages: [Damage; 3] = [cut, flip_weight, flip_header];
    for (n, damage) in damages.into_iter().enumerate() {
        let torn = Bench::new(subject);
        for _ in 0..4 {
            assert_eq!(torn.attempt(std::slice::from_ref(&trial), true).0, Ok(Ended::Stopped));
        }
        // The best weights are needed as much as the last ones.
        for path in
            [torn.layout.last_checkpoint(trial.id), torn.layout.best_checkpoint(trial.id)].iter().skip(n % 2)
        {
            let mut bytes = std::fs::read(path).unwrap();
            damage(&mut bytes);
            std::fs::write(path, bytes).unwrap();
        }
        let (ended, lines) = torn.attempt(std::slice::from_ref(&trial), false);
        assert_eq!(ended, Ok(Ended::Finished));
        let ChildLine::Warning { trial: warned, message } = &lines[0] else {
            panic!("no warning comes first: {lines:?}")
        };
        assert_eq!(*warned, trial.id);
        assert!(message.contains("damaged") && message.ends_with("starts over"), "{message}");
        let ChildLine::Progress(first) = &lines[1] else { panic!("no step: {lines:?}") };
        assert_eq!(first[0].step, 1, "it starts over");
        assert_identical(&torn, &whole, &trial);
    }
}

#[test]
fn checkpoints_come_as_often_as_is_wished_and_change_nothing() {
    let _alone = alone();
    let subject = Subject::Labels;
    let trial = subject.trial(subject.lora(4, 8.0, 0.2), training());
    // Whether there is one when the last step has been told of, which comes before the end's own.
    let written = |every: Duration| {
        let mut bench = Bench::new(subject);
        bench.checkpoint_every = Some(every);
        let seen = Cell::new(false);
        let (ended, _) = bench.attempt_joined(std::slice::from_ref(&trial), &[], &|line| {
            seen.set(
                seen.get()
                    || matches!(line, ChildLine::Progress(progress)
                if progress[0].step == progress[0].steps && bench.layout.last_checkpoint(trial.id).exists()),
            );
            false
        });
        assert_eq!(ended, Ok(Ended::Finished));
        (bench, seen.get())
    };
    let (often, seldom) = (written(Duration::ZERO), written(Duration::from_secs(3600)));
    assert_eq!((often.1, seldom.1), (true, false));
    assert_identical(&often.0, &seldom.0, &trial);
}

#[test]
fn adapters_on_the_untouched_base_are_what_was_tested() {
    let _alone = alone();
    for (subject, saved) in [
        (Subject::Labels, [".lora_", "classifier."]),
        (Subject::Language, [".lora_"; 2]),
        (Subject::Answers, [".lora_"; 2]),
    ] {
        let (bench, trials) = (Bench::new(subject), subject.unlike_adapters());
        bench.train(&trials);
        let solo = subject.trial(subject.lora(4, 8.0, 0.2), training());
        bench.train(std::slice::from_ref(&solo));
        let rounded = subject.in_bf16(vec![solo.clone()]);
        bench.train(&rounded);
        for trial in trials.iter().chain([&solo]).chain(&rounded) {
            let last = bench.last(trial);
            assert!(last.keys().all(|name| saved.iter().any(|part| name.contains(part))), "{last:?}");
            let (tested, again) = (bench.result(trial).test.unwrap(), bench.test_again(trial, &last));
            if subject != Subject::Language {
                assert_eq!(tasks::selecting(&tested, None), tasks::selecting(&again, None));
            }
            assert!((tested.loss().unwrap() - again.loss().unwrap()).abs() <= LOSSES_APART);
        }
    }
}

#[test]
fn the_best_weights_are_tested_where_the_best_are_kept() {
    let _alone = alone();
    for subject in [Subject::Labels, Subject::Language] {
        let (bench, trial) = best_kept(subject, None);
        let result = bench.result(&trial);
        assert!(result.kept_step < result.steps, "the last weights are the best, which tests nothing");
        let test = result.test.unwrap();
        assert_eq!(bench.test_again(&trial, &bench.best(&trial)), test);
        assert_ne!(bench.test_again(&trial, &bench.last(&trial)), test);
    }
}

#[test]
fn the_metric_that_the_sweep_names_decides_which_weights_are_best() {
    let _alone = alone();
    let [accuracy, loss] = [None, Some(Metric::Loss)].map(|metric| {
        let (bench, trial) = best_kept(Subject::Labels, metric);
        assert_eq!(bench.test_again(&trial, &bench.best(&trial)), bench.result(&trial).test.unwrap());
        bench.result(&trial).kept_step
    });
    assert_ne!(accuracy, loss, "one step has the best of both, which tests nothing");
}

/// A trial that kept the weights that were best by a metric: they are those of the first best validation.
fn best_kept(subject: Subject, keep_by: Option<Metric>) -> (Bench, Trial) {
    // So high a learning rate that the validation scores get worse again.
    let wild = Training {
        learning_rate: 0.1,
        evaluate_every: Some(1),
        epochs: 4.0,
        keep: Keep::Best,
        keep_by,
        seed: 3,
        ..training()
    };
    let bench = Bench::new(subject);
    let trial = subject.trial(subject.lora(8, 32.0, 0.0), wild);
    bench.train(std::slice::from_ref(&trial));
    let result = bench.result(&trial);
    let mut best: Option<(u64, Scores)> = None;
    for line in bench.metrics(&trial) {
        let MetricLine::Validation { step, scores, .. } = line else { continue };
        let (metric, score) = tasks::selecting(&scores, keep_by);
        if best.as_ref().is_none_or(|(_, best)| metric.better(score.unwrap(), best.get(metric).unwrap())) {
            best = Some((step, scores));
        }
    }
    assert_eq!(Some((result.kept_step, result.validation.unwrap())), best);
    (bench, trial)
}

/// What the majority baseline is made from: rows are of three classes in turn, and a quarter is held out.
#[test]
fn a_result_says_what_classes_its_rows_have() {
    let _alone = alone();
    let bench = Bench::new(Subject::Labels);
    let trial = Subject::Labels.trial(Subject::Labels.lora(2, 4.0, 0.0), training());
    bench.train(std::slice::from_ref(&trial));
    let rows = bench.result(&trial).class_rows.unwrap();
    let of = |rows: u32| [0, 1, 2].map(|class| u64::from((rows + 2 - class) / 3));
    let both: Vec<u64> = rows.train.iter().zip(&rows.validation).map(|(a, b)| a + b).collect();
    assert_eq!((&both[..], &rows.test[..]), (&of(TRAIN_ROWS)[..], &of(TEST_ROWS)[..]));
    assert_eq!(rows.validation.iter().sum::<u64>(), u64::from(TRAIN_ROWS / 4));

    let bench = Bench::new(Subject::Language);
    let trial = Subject::Language.trial(Subject::Language.lora(2, 4.0, 0.0), training());
    bench.train(std::slice::from_ref(&trial));
    assert_eq!(bench.result(&trial).class_rows, None, "it has no classes");
}
