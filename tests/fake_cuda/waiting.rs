//! How often the host waits for a device while a pack trains there. Each wait leaves the device without work until
//! the host has queued some again.

use std::time::Duration;

use lorasweep::values::{Method, Training};

use crate::apart::{Counts, apart};
use crate::learning::on_device;
use crate::subject::{Subject, training};

/// 30 steps an epoch, at whose end comes an evaluation.
fn settings() -> Training {
    Training { batch_size: 1, accumulation: 1, evaluate_every: None, ..training() }
}

/// What a pack of adapters counts in ten steps: twenty, without the first ten and all that comes once.
fn ten_steps(subject: Subject, ranks: &[usize], settings: &Training) -> Counts {
    let counted = |epochs: f64| {
        let mut bench = on_device(subject);
        bench.checkpoint_every = Some(Duration::from_secs(3600));
        let trial = |rank: &usize| {
            subject.trial(subject.lora(*rank, 8.0, 0.1), Training { epochs, ..settings.clone() })
        };
        let pack: Vec<_> = ranks.iter().map(trial).collect();
        let before = Counts::now();
        bench.train(&pack);
        assert_eq!(bench.result(&pack[0]).steps, if epochs > 0.5 { 20 } else { 10 });
        Counts::now().since(before)
    };
    let (ten, twenty) = (counted(1.0 / 3.0), counted(2.0 / 3.0));
    twenty.since(ten)
}

#[test]
fn the_host_waits_for_losses_and_norms_alone() {
    apart("waiting::the_host_waits_for_losses_and_norms_alone", &[], || {
        let smoothed = Training { label_smoothing: 0.1, ..settings() };
        for subject in [Subject::Labels, Subject::Language] {
            for (ranks, settings) in
                [(&[2][..], &settings()), (&[2, 4, 8], &settings()), (&[2, 4, 8], &smoothed)]
            {
                let counts = ten_steps(subject, ranks, settings);
                assert!(counts.reads <= 20, "{} reads in ten steps: {subject:?}", counts.reads);
                assert_eq!(counts.waits, counts.reads, "it waits for nothing else: {subject:?}");
                assert_eq!(counts.unpinned, 0);
            }
        }
    });
}

#[test]
fn a_larger_pack_launches_no_more() {
    apart("waiting::a_larger_pack_launches_no_more", &[], || {
        let launches = |ranks: &[usize]| ten_steps(Subject::Labels, ranks, &settings()).launches;
        let (few, many) = (launches(&[2, 4]), launches(&[2, 2, 2, 4, 4, 4, 8, 8]));
        assert!(many <= few + few / 10, "{few} kernels for two trials, {many} for eight");
    });
}

#[test]
fn an_evaluation_of_many_waits_no_more_often_than_one_of_one() {
    apart("waiting::an_evaluation_of_many_waits_no_more_often_than_one_of_one", &[], || {
        for subject in [Subject::Labels, Subject::Language] {
            let reads = |slots: u64| {
                let bench = on_device(subject);
                let trial = |seed| subject.trial(Method::Base, Training { seed, ..settings() });
                let before = Counts::now();
                bench.train(&(0..slots).map(trial).collect::<Vec<_>>());
                Counts::now().since(before).reads
            };
            let one = reads(1);
            assert!(one > 0);
            assert_eq!(reads(4), one, "{subject:?}");
        }
    });
}
