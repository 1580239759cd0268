//! Validations on some of the rows come between those on all, choose nothing and change nothing.

use lorasweep::train::Ended;
use lorasweep::values::{JudgedRows, Keep, Metric, MetricLine, Scores, Training, Trial};

use crate::bench::{Bench, alone, assert_identical};
use crate::laws::ALL;
use crate::subject::{Subject, training};

/// Of ten validation rows.
const SOME: u64 = 4;

/// 40 steps, each with a validation.
fn trial(subject: Subject, keep: Keep, evaluate_rows: Option<usize>) -> Trial {
    let often = Training { epochs: 10.0, evaluate_every: Some(1), evaluate_rows, keep, ..training() };
    subject.trial(subject.lora(4, 8.0, 0.1), often)
}

fn trained(trials: &[Trial]) -> Bench {
    let bench = Bench::new(Subject::Labels);
    bench.train(trials);
    bench
}

/// Step, scores and number of rows, where these are not all, of each validation.
fn validations(bench: &Bench, trial: &Trial) -> Vec<(u64, Scores, Option<u64>)> {
    let lines = bench.metrics(trial).into_iter();
    let of = |line| match line {
        MetricLine::Validation { step, scores, rows, .. } => Some((step, scores, rows)),
        MetricLine::Train { .. } => None,
    };
    lines.filter_map(of).collect()
}

#[test]
fn some_rows_are_judged_in_between_and_all_once_a_tenth() {
    let _alone = alone();
    for keep in [Keep::Last, Keep::Best] {
        let [some, all] = [Some(SOME as usize), None].map(|rows| trial(Subject::Labels, keep, rows));
        let (of_some, of_all) = (trained(std::slice::from_ref(&some)), trained(std::slice::from_ref(&all)));
        let whole = validations(&of_all, &all);
        let mut others = 0;
        for (step, scores, rows) in validations(&of_some, &some) {
            let (_, expected, _) = whole.iter().find(|(at, ..)| *at == step).unwrap();
            assert_eq!(rows, (step % 4 != 0).then_some(SOME), "after {step} steps");
            assert!(rows.is_some() || scores == *expected, "validations change nothing");
            others += u32::from(scores != *expected);
        }
        assert_eq!((whole.len(), others), (40, 30));
        let result = of_some.result(&some);
        assert_eq!(result.cost.evaluated_rows, 10 * 10 + 30 * SOME + 12);
        let accuracy = |scores: &Scores| scores.get(Metric::Accuracy).unwrap();
        let of_all = || whole.iter().filter(|(step, ..)| step % 4 == 0);
        let best = of_all().map(|(_, scores, _)| accuracy(scores)).fold(0.0, f64::max);
        let kept = match keep {
            Keep::Last => &whole[39],
            Keep::Best => of_all().find(|(_, scores, _)| accuracy(scores) == best).unwrap(),
        };
        assert_eq!((result.kept_step, result.validation.as_ref()), (kept.0, Some(&kept.1)));
        let [JudgedRows { step, rows, .. }, _] = of_some.rows(&some);
        assert_eq!((step, rows.len()), (result.kept_step, 10));
    }
}

/// As many rows as there are, or more, are all of them.
#[test]
fn enough_rows_are_all_rows() {
    let _alone = alone();
    let [many, all] = [Some(10), None].map(|rows| trial(Subject::Labels, Keep::Best, rows));
    let (of_many, of_all) = (trained(std::slice::from_ref(&many)), trained(std::slice::from_ref(&all)));
    assert_eq!(validations(&of_many, &many), validations(&of_all, &all));
    assert_eq!(of_many.result(&many).kept_step, of_all.result(&all).kept_step);
}

#[test]
fn neither_neighbours_nor_stops_change_what_is_judged() {
    let _alone = alone();
    for subject in ALL {
        let [some, all] = [Some(SOME as usize), None].map(|rows| trial(subject, Keep::Best, rows));
        let (solo, packed, torn) = (Bench::new(subject), Bench::new(subject), Bench::new(subject));
        solo.train(std::slice::from_ref(&some));
        packed.train(&[all, some.clone()]);
        assert_identical(&packed, &solo, &some);
        while torn.attempt(std::slice::from_ref(&some), true).0.unwrap() != Ended::Finished {}
        assert_identical(&torn, &solo, &some);
    }
}
