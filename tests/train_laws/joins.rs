//! A trial that joins a pack at work is as if it had been alone, and the others are as if it were not there.

use lorasweep::job::ChildLine;
use lorasweep::model::params::Params;
use lorasweep::train::{Ended, ForwardMode};
use lorasweep::values::Trial;
use tch::{Device, Kind, Tensor};

use crate::bench::{Bench, alone, assert_close, assert_identical};
use crate::laws::{ALL, BOTH, packs};
use crate::subject::Subject;

/// Two trials of a pack, and those that join them: of larger rank too.
fn halves(trials: &[Trial]) -> (Vec<Trial>, Vec<Trial>) {
    let joiners = [&trials[1..2], &trials[3..]].concat();
    (vec![trials[0].clone(), trials[2].clone()], joiners)
}

fn joined(lines: &[ChildLine]) -> usize {
    lines.iter().filter(|line| matches!(line, ChildLine::Joined { .. })).count()
}

#[test]
fn a_trial_that_joins_a_pack_learns_what_it_learns_alone_and_so_do_the_others() {
    let _alone = alone();
    for subject in ALL {
        for trials in packs(subject) {
            let [stacked, in_turn] = BOTH.map(|forward_mode| Bench::with(subject, forward_mode));
            let (slots, joiners) = halves(&trials);
            for bench in [&stacked, &in_turn] {
                let (ended, lines) = bench.attempt_joined(&slots, &joiners, &|_| false);
                assert_eq!((ended, joined(&lines)), (Ok(Ended::Finished), joiners.len()));
            }
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
fn a_pack_that_is_stopped_when_somebody_joins_has_checkpoints_of_all() {
    let _alone = alone();
    let subject = Subject::Labels;
    for forward_mode in BOTH {
        let bench = Bench::with(subject, forward_mode);
        let trials = subject.grid();
        let (slots, joiners) = halves(&trials);
        let stops = |line: &ChildLine| matches!(line, ChildLine::Joined { .. });
        let (ended, lines) = bench.attempt_joined(&slots, &joiners, &stops);
        assert_eq!((ended, joined(&lines)), (Ok(Ended::Stopped), 1));
        bench.train(&trials);
        for trial in &trials {
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
fn a_trial_joins_where_its_checkpoint_stands() {
    let _alone = alone();
    let subject = Subject::Language;
    for forward_mode in BOTH {
        let bench = Bench::with(subject, forward_mode);
        let (slots, joiners) = halves(&subject.grid());
        for _ in 0..3 {
            assert_eq!(bench.attempt(&joiners[..1], true).0, Ok(Ended::Stopped));
        }
        let (ended, lines) = bench.attempt_joined(&slots, &joiners[..1], &|_| false);
        assert_eq!(ended, Ok(Ended::Finished));
        let trial = &joiners[0];
        let step = |line: &ChildLine| match line {
            ChildLine::Progress(progress) => {
                progress.iter().find(|progress| progress.trial == trial.id).map(|progress| progress.step)
            }
            ChildLine::Heartbeat
            | ChildLine::Evaluated { .. }
            | ChildLine::Joined { .. }
            | ChildLine::Stopped { .. }
            | ChildLine::Finished { .. }
            | ChildLine::Failed { .. }
            | ChildLine::Warning { .. } => None,
        };
        let first = lines.iter().find_map(step);
        assert!(first.is_some_and(|step| step > 3), "{first:?}");
        let solo = Bench::new(subject);
        solo.train(std::slice::from_ref(trial));
        match forward_mode {
            ForwardMode::InTurn => assert_identical(&bench, &solo, trial),
            ForwardMode::Stacked => assert_close(&bench, &solo, trial),
        }
    }
}

/// What is copied is copied to the last bit, whatever is padded; what is frozen for all is not copied.
#[test]
fn tensors_that_join_keep_their_bits() {
    let base = Tensor::ones([2, 2], (Kind::Float, Device::Cpu));
    let make = |ranks: &[i64], fill: f64| {
        let mut params = Params::new(ranks.len());
        params.freeze("base", base.shallow_clone());
        let values = ranks.iter().map(|rank| Tensor::full([*rank, 3], fill, (Kind::Float, Device::Cpu)));
        params.train("a", &values.collect::<Vec<_>>(), true);
        params
    };
    for (ours, theirs) in [(&[2, 4][..], &[1][..]), (&[2, 1], &[4]), (&[3], &[3, 1])] {
        let (first, second) = (make(ours, 0.1), make(theirs, 0.7));
        let both = first.join(&second);
        let slots = (0..ours.len()).map(|k| first.slot(k)).chain((0..theirs.len()).map(|k| second.slot(k)));
        for (k, slot) in slots.enumerate() {
            assert_eq!(both.slot(k), slot);
        }
        assert_eq!(both.slots(), ours.len() + theirs.len());
        let shared = both.find("base").map(|weight| match weight {
            lorasweep::model::params::Weight::Shared(tensor) => tensor.data_ptr(),
            lorasweep::model::params::Weight::Stacked(_) => panic!("it is frozen"),
        });
        assert_eq!(shared, Some(base.data_ptr()));
    }
}
