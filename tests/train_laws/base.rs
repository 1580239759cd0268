//! A model that is judged as it is.

use lorasweep::job::ChildLine;
use lorasweep::train::Ended;
use lorasweep::values::{Keep, Method, MetricLine, Training};

use crate::bench::{Bench, alone};
use crate::subject::{Subject, training};

#[test]
fn a_base_model_is_judged_once_and_trains_nothing() {
    let _alone = alone();
    for (subject, keep) in
        [(Subject::Labels, Keep::Last), (Subject::Labels, Keep::Best), (Subject::Answers, Keep::Last)]
    {
        let trials = [1, 2].map(|seed| subject.trial(Method::Base, Training { keep, seed, ..training() }));
        let bench = Bench::new(subject);
        // Whether it is asked to stop makes no difference: there is no step after which it could.
        let (ended, lines) = bench.attempt(&trials, true);
        assert_eq!(ended, Ok(Ended::Finished));
        let evaluated = trials.each_ref().map(|trial| {
            let scores = bench.result(trial).validation.unwrap();
            ChildLine::Evaluated { trial: trial.id, step: 0, scores }
        });
        let finished = trials.each_ref().map(|trial| ChildLine::Finished { trial: trial.id });
        assert_eq!(lines, [evaluated, finished].concat());
        for trial in &trials {
            let result = bench.result(trial);
            assert_eq!([result.steps, result.kept_step, result.trainable_params], [0; 3]);
            assert!(result.total_params > 0);
            let metrics = bench.metrics(trial);
            let [MetricLine::Validation { step: 0, epoch, scores, loss_error: Some(_), rows: None }] =
                &metrics[..]
            else {
                panic!("{metrics:?}")
            };
            assert_eq!((*epoch, Some(scores)), (0.0, result.validation.as_ref()));
            assert_eq!(bench.test_again(trial, &bench.last(trial)), result.test.unwrap());
        }
        let [first, second] = trials.each_ref().map(|trial| bench.result(trial).validation.unwrap());
        // A seed draws a head; a language model has none.
        assert_eq!(first != second, subject == Subject::Labels);
    }
}

#[test]
fn a_base_model_judged_but_not_recorded_is_judged_alike() {
    let _alone = alone();
    let subject = Subject::Language;
    let trial = subject.trial(Method::Base, training());
    let bench = Bench::new(subject);
    bench.train(std::slice::from_ref(&trial));
    let (result, metrics) = (bench.result(&trial), bench.metrics(&trial));
    std::fs::remove_file(bench.layout.result(trial.id)).unwrap();
    bench.train(std::slice::from_ref(&trial));
    let again = bench.result(&trial);
    assert_eq!((again.validation, again.test), (result.validation, result.test));
    assert_eq!(bench.metrics(&trial), metrics);
}
