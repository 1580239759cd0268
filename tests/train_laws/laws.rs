//! A trial's result depends neither on interruptions nor on the trials beside it.

use lorasweep::job::ChildLine;
use lorasweep::outcome::Failure;
use lorasweep::train::Ended;
use lorasweep::trial::{Keep, Method, Training, Trial};

use crate::bench::{Bench, alone, assert_close, assert_identical};
use crate::subject::{Subject, training};

const ALL: [Subject; 3] = [Subject::Labels, Subject::Language, Subject::Answers];

#[test]
fn a_trial_alone_gives_the_same_bits_again() {
    let _alone = alone();
    for subject in ALL {
        for method in [subject.lora(4, 8.0, 0.2), Method::Full, Method::Scratch] {
            let (once, again) = (Bench::new(subject), Bench::new(subject));
            let trial = subject.trial(method, training());
            once.train(std::slice::from_ref(&trial));
            again.train(std::slice::from_ref(&trial));
            assert_identical(&once, &again, &trial);
        }
    }
}

#[test]
fn a_trial_stopped_after_every_step_gives_the_same_bits() {
    let _alone = alone();
    for subject in ALL {
        let (adapter, small) = (subject.lora(4, 8.0, 0.2), subject.lora(2, 8.0, 0.0));
        for (method, keep) in [(adapter, Keep::Last), (Method::Full, Keep::Last), (small, Keep::Best)] {
            let (whole, torn) = (Bench::new(subject), Bench::new(subject));
            let trial = subject.trial(method, Training { keep, ..training() });
            whole.train(std::slice::from_ref(&trial));
            assert_eq!(torn.train_with_stops(&trial), 10, "one attempt a step");
            assert_identical(&torn, &whole, &trial);
        }
    }
}

#[test]
fn a_pack_stopped_after_every_step_gives_the_same_bits() {
    let _alone = alone();
    for subject in ALL {
        let (whole, torn, trials) = (Bench::new(subject), Bench::new(subject), subject.unlike_adapters());
        whole.train(&trials);
        let mut left = trials.clone();
        // Whoever continues a pack leaves out the trials that have their result.
        while !left.is_empty() {
            let _ = torn.attempt(&left, true).0.unwrap();
            left.retain(|trial| !torn.layout.result(trial.id).exists());
        }
        for trial in &trials {
            assert_identical(&torn, &whole, trial);
        }
    }
}

#[test]
fn a_trial_in_a_pack_learns_what_it_learns_alone() {
    let _alone = alone();
    for subject in ALL {
        let full = |learning_rate, epochs, seed| {
            subject.trial(Method::Full, Training { learning_rate, epochs, seed, ..training() })
        };
        let unlike_models = vec![full(1e-4, 2.0, 3), full(1e-3, 0.5, 4), full(3e-4, 1.5, 3)];
        for trials in [subject.unlike_adapters(), unlike_models] {
            let packed = Bench::new(subject);
            packed.train(&trials);
            for trial in &trials {
                let solo = Bench::new(subject);
                solo.train(std::slice::from_ref(trial));
                assert_close(&packed, &solo, trial);
            }
        }
    }
}

#[test]
fn a_slot_that_diverges_leaves_and_the_others_do_not_notice() {
    let _alone = alone();
    let subject = Subject::Labels;
    let wild = |epochs| {
        let training = Training { learning_rate: 1e30, warmup: 0.0, epochs, ..training() };
        subject.trial(subject.lora(4, 8.0, 0.1), training)
    };
    let (packed, undisturbed) = (Bench::new(subject), Bench::new(subject));
    let mut trials = subject.unlike_adapters();
    undisturbed.train(&trials);
    // The second has one step only: its loss was still sound, its weights are not.
    let diverging: [(Trial, u64); 2] = [(wild(2.0), 2), (wild(0.1), 1)];
    trials.insert(0, diverging[0].0.clone());
    trials.insert(2, diverging[1].0.clone());
    let (ended, lines) = packed.attempt(&trials, false);
    assert_eq!(ended, Ok(Ended::Finished));
    for (trial, step) in &diverging {
        let failure = Failure::Diverged { step: *step };
        let written = std::fs::read(packed.layout.failure(trial.id)).unwrap();
        assert_eq!(serde_json::from_slice::<Failure>(&written).unwrap(), failure);
        assert!(lines.contains(&ChildLine::Failed { trial: trial.id, failure }));
        assert!(!packed.layout.result(trial.id).exists());
    }
    for trial in subject.unlike_adapters() {
        assert_close(&packed, &undisturbed, &trial);
    }
    let alone = Bench::new(subject).attempt(&[wild(2.0)], false).0;
    assert_eq!(alone, Err(Failure::Diverged { step: 2 }));
}

#[test]
fn fewer_rows_at_a_time_learn_the_same_but_for_dropout() {
    let _alone = alone();
    for subject in ALL {
        let trial = subject.trial(subject.lora(4, 8.0, 0.0), training());
        let trained = |micro_rows| {
            let mut bench = Bench::new(subject);
            (bench.still, bench.micro_rows) = (true, micro_rows);
            bench.train(std::slice::from_ref(&trial));
            bench
        };
        let whole = trained(None);
        for rows in [1, 3] {
            let parts = trained(Some(rows));
            assert_close(&parts, &whole, &trial);
        }
    }
}
