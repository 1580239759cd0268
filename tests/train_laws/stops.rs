//! A trial that is stopped at a step leaves its pack there, and loses nothing.

use std::cell::Cell;

use lorasweep::job::{ChildLine, ToChild};
use lorasweep::train::{Ended, ForwardMode, Warm};
use lorasweep::values::TrialId;

use crate::bench::{Bench, alone, assert_close, assert_identical};
use crate::laws::{ALL, BOTH};

/// The step after which a trial was stopped, if it was.
pub(crate) fn stopped(lines: &[ChildLine], trial: TrialId) -> Option<u64> {
    lines.iter().find_map(|line| {
        if let ChildLine::Stopped { trial: of, step, .. } = line
            && *of == trial
        {
            Some(*step)
        } else {
            None
        }
    })
}

#[test]
fn a_trial_that_is_stopped_at_a_step_and_continued_ends_in_the_same_bits() {
    let _alone = alone();
    for subject in ALL {
        let pack = &subject.grid()[..2];
        let solo = Bench::new(subject);
        pack.iter().for_each(|trial| solo.train(std::slice::from_ref(trial)));
        let [trial, other] = pack else { panic!("two trials") };
        let steps = solo.result(trial).steps;
        for forward_mode in BOTH {
            let is_same = match forward_mode {
                ForwardMode::InTurn => assert_identical,
                ForwardMode::Stacked => assert_close,
            };
            for step in 0..=steps {
                let bench = Bench::with(subject, forward_mode);
                // Told before the first step, or halfway.
                let told_after = if step % 2 == 0 { 0 } else { step / 2 };
                let calls = Cell::new(0);
                let messages = || {
                    let call = calls.replace(calls.get() + 1);
                    let stop = ToChild::Stop { trial: trial.id, step };
                    if call == told_after { vec![stop] } else { Vec::new() }
                };
                let (ended, lines) = bench.attempt_with(pack, &messages, &|_| false, &mut Warm::default());
                assert_eq!(ended, Ok(Ended::Finished));
                assert_eq!(stopped(&lines, trial.id), (step < steps).then_some(step));
                assert_eq!(stopped(&lines, other.id), None);
                is_same(&bench, &solo, other);
                bench.train(std::slice::from_ref(trial));
                is_same(&bench, &solo, trial);
            }
        }
    }
}
