//! A trial that pauses to be compared does so at the first validation from a share of its steps on, and loses nothing.

use lorasweep::job::ChildLine;
use lorasweep::train::{Ended, ForwardMode, Warm};
use lorasweep::values::{MetricLine, Trial};

use crate::bench::{Bench, alone, assert_close, assert_identical};
use crate::laws::{ALL, BOTH};
use crate::stops::stopped;
use crate::subject::Subject;

/// Where the rungs are, and where nothing is validated any more but the end.
const SHARES: [f64; 6] = [0.05, 0.2, 0.4, 0.65, 0.85, 0.95];

/// The steps after which a trial that nothing disturbs was validated, its last among them.
fn validations(whole: &Bench, trial: &Trial) -> Vec<u64> {
    let step = |line: MetricLine| match line {
        MetricLine::Validation { step, .. } => Some(step),
        MetricLine::Train { .. } => None,
    };
    whole.metrics(trial).into_iter().filter_map(step).collect()
}

/// Where a trial is to pause, by how it was validated; `None` where that is its end.
fn expected(whole: &Bench, trial: &Trial, share: f64) -> Option<u64> {
    let steps = whole.result(trial).steps;
    let first = validations(whole, trial).into_iter().find(|step| *step as f64 >= share * steps as f64);
    first.filter(|step| *step < steps)
}

/// The metric lines up to a step.
fn up_to(bench: &Bench, trial: &Trial, until: u64) -> Vec<MetricLine> {
    let is_before = |line: &MetricLine| match line {
        MetricLine::Train { step, .. } | MetricLine::Validation { step, .. } => *step <= until,
    };
    bench.metrics(trial).into_iter().filter(is_before).collect()
}

fn same(forward_mode: ForwardMode) -> fn(&Bench, &Bench, &Trial) {
    match forward_mode {
        ForwardMode::InTurn => assert_identical,
        ForwardMode::Stacked => assert_close,
    }
}

fn solo(subject: Subject, trials: &[Trial]) -> Bench {
    let bench = Bench::new(subject);
    trials.iter().for_each(|trial| bench.train(std::slice::from_ref(trial)));
    bench
}

#[test]
fn a_trial_pauses_at_the_first_validation_from_a_share_on_alone_and_in_a_pack() {
    let _alone = alone();
    for subject in ALL {
        // The third is done after six steps, the others after ten.
        let pack = [0, 1, 3].map(|n| subject.grid().swap_remove(n));
        let whole = solo(subject, &pack);
        for forward_mode in BOTH {
            for (n, share) in SHARES.into_iter().enumerate() {
                let mut bench = Bench::with(subject, forward_mode);
                // One alone; or all, of which two pause in places of their own.
                let slots = if n == 1 { &pack[..1] } else { &pack[..] };
                bench.until.insert(pack[0].id, share);
                bench.until.insert(pack[2].id, SHARES[(n + 2) % SHARES.len()]);
                let (ended, lines) = bench.attempt(slots, false);
                assert_eq!(ended, Ok(Ended::Finished));
                for trial in slots {
                    let share = bench.until.get(&trial.id);
                    let pause = share.and_then(|share| expected(&whole, trial, *share));
                    assert_eq!(stopped(&lines, trial.id), pause, "{share:?}");
                    let finished = lines.contains(&ChildLine::Finished { trial: trial.id });
                    assert_eq!(finished, pause.is_none(), "{share:?}");
                    if let Some(pause) = pause.filter(|_| forward_mode == ForwardMode::InTurn) {
                        assert_eq!(bench.metrics(trial), up_to(&whole, trial, pause));
                    }
                }
                let until = std::mem::take(&mut bench.until);
                let left = slots.iter().filter(|trial| {
                    until.get(&trial.id).is_some_and(|share| expected(&whole, trial, *share).is_some())
                });
                let left: Vec<Trial> = left.cloned().collect();
                if !left.is_empty() {
                    bench.train(&left);
                }
                slots.iter().for_each(|trial| same(forward_mode)(&bench, &whole, trial));
            }
        }
    }
}

/// As between two rungs, and where the orchestrator did not hear of a pause.
#[test]
fn a_trial_that_goes_on_from_pause_to_pause_ends_in_the_same_bits() {
    let _alone = alone();
    let subject = Subject::Labels;
    let pack = &subject.grid()[..2];
    let whole = solo(subject, pack);
    for forward_mode in BOTH {
        let mut bench = Bench::with(subject, forward_mode);
        let mut warm = Warm::default();
        for share in SHARES {
            bench.until = pack.iter().map(|trial| (trial.id, share)).collect();
            let left: Vec<Trial> =
                pack.iter().filter(|trial| expected(&whole, trial, share).is_some()).cloned().collect();
            for _ in 0..2 {
                if left.is_empty() {
                    continue;
                }
                let before: Vec<_> = left.iter().map(|trial| bench.metrics_if_any(trial)).collect();
                let (ended, lines) = bench.attempt_with(&left, &Vec::new, &|_| false, &mut warm);
                assert_eq!(ended, Ok(Ended::Finished));
                for (trial, before) in left.iter().zip(before) {
                    let pause = expected(&whole, trial, share);
                    assert_eq!(stopped(&lines, trial.id), pause, "{share}");
                    let is_there = before.len() == up_to(&whole, trial, pause.unwrap()).len();
                    let evaluated = lines.iter().any(|line| matches!(line, ChildLine::Evaluated { .. }));
                    assert!(!is_there || !evaluated, "nothing is done again at {share}");
                }
            }
        }
        bench.until.clear();
        bench.train(pack);
        pack.iter().for_each(|trial| same(forward_mode)(&bench, &whole, trial));
    }
}

#[test]
fn a_trial_that_joins_pauses_where_it_would_and_disturbs_nobody() {
    let _alone = alone();
    for subject in ALL {
        let trials = subject.grid();
        let (slots, joiners) = (&trials[..1], &trials[1..]);
        let whole = solo(subject, &trials);
        for forward_mode in BOTH {
            let mut bench = Bench::with(subject, forward_mode);
            bench.until.insert(joiners[0].id, 0.4);
            bench.until.insert(joiners[1].id, 0.95);
            let (ended, lines) = bench.attempt_joined(slots, joiners, &|_| false);
            assert_eq!(ended, Ok(Ended::Finished));
            assert_eq!(stopped(&lines, joiners[0].id), expected(&whole, &joiners[0], 0.4));
            assert_eq!(stopped(&lines, joiners[1].id), None, "its last validation is its end");
            let done = trials.iter().filter(|trial| bench.layout.result(trial.id).exists());
            let done: Vec<Trial> = done.cloned().collect();
            assert!(done.len() >= 2 && !done.contains(&joiners[0]), "{}", done.len());
            done.iter().for_each(|trial| same(forward_mode)(&bench, &whole, trial));
            // It goes on where it joins another pack.
            bench.until.clear();
            let left: Vec<Trial> = trials.iter().filter(|trial| !done.contains(trial)).cloned().collect();
            bench.train(&left);
            left.iter().for_each(|trial| same(forward_mode)(&bench, &whole, trial));
        }
    }
}

/// Killed after the validation, before the checkpoint; and asked to stop after every step.
#[test]
fn a_pause_that_is_disturbed_is_made_again() {
    let _alone = alone();
    let subject = Subject::Language;
    let trial = &subject.grid()[0];
    let slots = std::slice::from_ref(trial);
    let whole = solo(subject, slots);
    let pause = expected(&whole, trial, 0.5).unwrap();

    let mut killed = Bench::new(subject);
    killed.until.insert(trial.id, 0.5);
    let dies = |line: &ChildLine| {
        let is_there = matches!(line, ChildLine::Evaluated { step, .. } if *step == pause);
        assert!(!is_there, "killed on purpose");
        false
    };
    assert!(killed.attempt_with(slots, &Vec::new, &dies, &mut Warm::default()).0.is_err());
    assert_eq!(up_to(&killed, trial, pause), up_to(&whole, trial, pause), "it was validated");

    let mut torn = Bench::new(subject);
    torn.until.insert(trial.id, 0.5);
    let starts = torn.train_with_stops(trial);
    assert!(starts > 3, "{starts} starts");

    for bench in [&mut killed, &mut torn] {
        let (ended, lines) = bench.attempt(slots, false);
        assert_eq!((ended, stopped(&lines, trial.id)), (Ok(Ended::Finished), Some(pause)));
        assert_eq!(bench.metrics(trial), up_to(&whole, trial, pause));
        assert!(!bench.layout.result(trial.id).exists());
        bench.until.clear();
        bench.train(slots);
        assert_identical(bench, &whole, trial);
    }
}
