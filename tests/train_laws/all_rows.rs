//! A trial of which no row is held out: it trains on all of them, is not validated, and is tested once.

use lorasweep::values::{Keep, Method, MetricLine, Splitting, Training, Trial};

use crate::bench::{Bench, alone, assert_identical};
use crate::laws::ALL;
use crate::subject::{TEST_ROWS, TRAIN_ROWS, training};

fn on_all_rows(trial: &Trial) -> Trial {
    Trial::new(&trial.configuration, Splitting::All, 0)
}

#[test]
fn every_row_is_trained_on_and_the_last_weights_are_tested_once() {
    let _alone = alone();
    for subject in ALL {
        for (method, keep) in [
            (subject.lora(4, 8.0, 0.2), Keep::Last),
            (subject.lora(4, 8.0, 0.2), Keep::Best),
            (Method::Full, Keep::Last),
        ] {
            let trial = on_all_rows(&subject.trial(method, Training { keep, epochs: 2.0, ..training() }));
            let (whole, torn) = (Bench::new(subject), Bench::new(subject));
            whole.train(std::slice::from_ref(&trial));
            // 40 rows are ten batches of four, two to a step.
            assert_eq!(torn.train_with_stops(&trial), 10, "one attempt a step");
            assert_identical(&torn, &whole, &trial);

            let result = whole.result(&trial);
            assert_eq!((result.validation, result.steps, result.kept_step), (None, 10, 10));
            assert_eq!(result.cost.train_rows, 2 * u64::from(TRAIN_ROWS));
            assert_eq!(result.cost.evaluated_rows, u64::from(TEST_ROWS));
            assert_eq!(whole.test_again(&trial, &whole.last(&trial)), result.test.unwrap());
            assert!(!whole.layout.best_checkpoint(trial.id).exists(), "nothing is called the best");
            let validated = |line: &MetricLine| matches!(line, MetricLine::Validation { .. });
            assert!(!whole.metrics(&trial).iter().any(validated));
        }
    }
}
