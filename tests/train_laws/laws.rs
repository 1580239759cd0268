//! A trial's result depends neither on interruptions nor on the trials beside it.

use std::cell::Cell;
use std::time::Duration;

use lorasweep::job::{ChildLine, ToChild};
use lorasweep::train::{Ended, ForwardMode, Warm};
use lorasweep::values::{Failure, Keep, Method, Precision, Training, Trial};

use crate::bench::{Bench, alone, apart, assert_close, assert_identical};
use crate::subject::{Subject, training};

pub(crate) const BOTH: [ForwardMode; 2] = [ForwardMode::Stacked, ForwardMode::InTurn];
pub(crate) const ALL: [Subject; 5] =
    [Subject::Labels, Subject::Language, Subject::Answers, Subject::Sets, Subject::Tags];

#[test]
fn a_trial_alone_gives_the_same_bits_again() {
    let _alone = alone();
    for subject in ALL {
        let adapter = || subject.lora(4, 8.0, 0.2);
        for (method, precision) in [
            (adapter(), Precision::Fp32),
            (Method::Full, Precision::Fp32),
            (Method::Scratch, Precision::Fp32),
            (adapter(), Precision::Bf16),
            (Method::Full, Precision::Bf16),
        ] {
            let (once, again) = (Bench::new(subject), Bench::new(subject));
            let trial = subject.trial(method, Training { precision, ..training() });
            tch::manual_seed(1);
            once.train(std::slice::from_ref(&trial));
            again.train(std::slice::from_ref(&trial));
            assert_identical(&once, &again, &trial);
            // Nothing is drawn by libtorch's generator, which is not the same on every machine.
            let draw = || tch::Tensor::rand([2], (tch::Kind::Float, tch::Device::Cpu));
            let next = draw();
            tch::manual_seed(1);
            assert_eq!(draw(), next);
        }
    }
}

#[test]
fn a_trial_stopped_after_every_step_gives_the_same_bits() {
    let _alone = alone();
    for subject in ALL {
        let (adapter, small) = (subject.lora(4, 8.0, 0.2), subject.lora(2, 8.0, 0.0));
        for (method, keep, precision) in [
            (adapter.clone(), Keep::Last, Precision::Fp32),
            (Method::Full, Keep::Last, Precision::Fp32),
            (small, Keep::Best, Precision::Fp32),
            (adapter.clone(), Keep::Last, Precision::Bf16),
            (Method::Dora(adapter.lora().unwrap().clone()), Keep::Last, Precision::Fp32),
        ] {
            let (whole, torn) = (Bench::new(subject), Bench::new(subject));
            let trial = subject.trial(method, Training { keep, precision, ..training() });
            whole.train(std::slice::from_ref(&trial));
            assert_eq!(torn.train_with_stops(&trial), 10, "one attempt a step");
            assert_identical(&torn, &whole, &trial);
        }
    }
}

/// A crash between the last weights and the result.
#[test]
fn a_trial_whose_result_is_missing_is_only_tested_again() {
    let _alone = alone();
    for keep in [Keep::Last, Keep::Best] {
        let subject = Subject::Labels;
        let (whole, torn) = (Bench::new(subject), Bench::new(subject));
        let trial = subject.trial(subject.lora(4, 8.0, 0.2), Training { keep, ..training() });
        for bench in [&whole, &torn] {
            bench.train(std::slice::from_ref(&trial));
        }
        std::fs::remove_file(torn.layout.result(trial.id)).unwrap();
        let (ended, lines) = torn.attempt(std::slice::from_ref(&trial), false);
        assert_eq!(ended, Ok(Ended::Finished));
        assert_eq!(lines, [ChildLine::Finished { trial: trial.id }], "no step, no warning");
        assert_identical(&torn, &whole, &trial);
    }
}

#[test]
fn a_pack_stopped_after_every_step_gives_the_same_bits() {
    let _alone = alone();
    for (subject, forward_mode) in
        ALL.into_iter().flat_map(|subject| BOTH.map(|forward_mode| (subject, forward_mode)))
    {
        for trials in [subject.unlike_adapters(), subject.grid()] {
            let (whole, torn) = (Bench::with(subject, forward_mode), Bench::with(subject, forward_mode));
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
}

/// Packs of trials that see the same batches, of trials that do not, of DoRA's, and of whole models.
pub(crate) fn packs(subject: Subject) -> [Vec<Trial>; 4] {
    let full = |learning_rate, epochs, seed| {
        subject.trial(Method::Full, Training { learning_rate, epochs, seed, ..training() })
    };
    let unlike_models = vec![full(1e-4, 2.0, 3), full(1e-3, 0.5, 4), full(3e-4, 1.5, 3)];
    [subject.grid(), subject.unlike_adapters(), with_dora(subject, subject.grid()), unlike_models]
}

/// The same trials with DoRA's adapters.
fn with_dora(subject: Subject, trials: Vec<Trial>) -> Vec<Trial> {
    let adapted = |trial: Trial| {
        let adapter = trial.configuration.method.lora().unwrap().clone();
        subject.trial(Method::Dora(adapter), trial.configuration.training.clone())
    };
    trials.into_iter().map(adapted).collect()
}

#[test]
fn a_trial_in_a_pack_learns_what_it_learns_alone() {
    let _alone = alone();
    for subject in ALL {
        for trials in packs(subject) {
            let [stacked, in_turn] = BOTH.map(|forward_mode| Bench::with(subject, forward_mode));
            stacked.train(&trials);
            in_turn.train(&trials);
            for trial in &trials {
                let solo = Bench::new(subject);
                solo.train(std::slice::from_ref(trial));
                assert_identical(&in_turn, &solo, trial);
                assert_close(&stacked, &solo, trial);
            }
        }
    }
}

#[test]
fn a_trial_that_goes_on_in_another_pack_learns_what_it_learns_alone() {
    let _alone = alone();
    for subject in ALL {
        for trials in packs(subject) {
            let moved = Bench::new(subject);
            // Two steps in the first half's pack, then with a neighbour that has not begun.
            let _ = moved.attempt(&trials[..2], true).0.unwrap();
            let _ = moved.attempt(&trials[..2], true).0.unwrap();
            moved.train(&trials[1..3]);
            moved.train(&trials[..1]);
            for trial in &trials[..3] {
                let solo = Bench::new(subject);
                solo.train(std::slice::from_ref(trial));
                assert_identical(&moved, &solo, trial);
            }
        }
    }
}

#[test]
fn a_pack_in_bf16_learns_what_its_trials_learn_alone_but_for_rounding() {
    // Measured without bf16 instructions: 6e-8 and 3e-8. A sum that is made in another order may be
    // rounded the other way, by 1 in 256; what a trial learns is ten times as far.
    const WEIGHTS: f64 = 3e-3;
    const LOSSES: f64 = 2e-2;
    let _alone = alone();
    for subject in ALL {
        let (packed, trials) = (Bench::new(subject), subject.in_bf16(subject.unlike_adapters()));
        packed.train(&trials);
        for trial in &trials {
            let solo = Bench::new(subject);
            solo.train(std::slice::from_ref(trial));
            let [weight, loss] = apart(&packed, &solo, trial);
            assert!(weight <= WEIGHTS && loss <= LOSSES, "weights {weight:.1e} apart, losses {loss:.1e}");
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
    for forward_mode in BOTH {
        let (packed, undisturbed) = (Bench::with(subject, forward_mode), Bench::new(subject));
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
    }
    let alone = Bench::new(subject).attempt(&[wild(2.0)], false).0;
    assert_eq!(alone, Err(Failure::Diverged { step: 2 }));
}

/// Losses are read from a device steps later, where nothing needs them before.
#[test]
fn a_slot_that_has_diverged_leaves_before_another_is_stopped_and_leaves_nothing() {
    let _alone = alone();
    let subject = Subject::Labels;
    let trial = |rank, settings| subject.trial(subject.lora(rank, 8.0, 0.1), settings);
    // 30 steps, and nothing is due before the tenth.
    let long = Training { epochs: 1.0, batch_size: 1, accumulation: 1, evaluate_every: None, ..training() };
    let wild = trial(4, Training { learning_rate: 1e30, warmup: 0.0, ..long.clone() });
    let [stopped, other] = [2, 8].map(|rank| trial(rank, long.clone()));
    for forward_mode in BOTH {
        let mut bench = Bench::with(subject, forward_mode);
        bench.checkpoint_every = Some(Duration::from_secs(3600));
        let calls = Cell::new(0);
        let messages = || match calls.replace(calls.get() + 1) {
            5 => vec![ToChild::Stop { trial: stopped.id, step: 5 }],
            _ => Vec::new(),
        };
        let pack = [stopped.clone(), wild.clone(), other.clone()];
        let (ended, lines) = bench.attempt_with(&pack, &messages, &|_| false, &mut Warm::default());
        assert_eq!(ended, Ok(Ended::Finished));
        let at = |line: &ChildLine| lines.iter().position(|other| other == line).unwrap();
        let failed = ChildLine::Failed { trial: wild.id, failure: Failure::Diverged { step: 2 } };
        assert!(at(&failed) < at(&ChildLine::Stopped { trial: stopped.id, step: 5, steps: 30 }));
        assert!(!bench.layout.last_checkpoint(wild.id).exists());
        assert!(!bench.layout.metrics(wild.id).exists());
        bench.train(std::slice::from_ref(&stopped));
        for trial in [&stopped, &other] {
            let solo = Bench::new(subject);
            solo.train(std::slice::from_ref(trial));
            match forward_mode {
                ForwardMode::InTurn => assert_identical(&bench, &solo, trial),
                ForwardMode::Stacked => assert_close(&bench, &solo, trial),
            }
        }
    }
}

#[test]
fn fewer_rows_at_a_time_learn_the_same() {
    let _alone = alone();
    for subject in ALL {
        let trial = subject.trial(subject.lora(4, 8.0, 0.2), training());
        let trained = |micro_rows| {
            let mut bench = Bench::new(subject);
            bench.micro_rows = micro_rows;
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
