//! How often the host waits for a device while a pack trains there, and what it sends. Each wait leaves the device
//! without work until the host has queued some again.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use lorasweep::job::ChildLine;
use lorasweep::model::Model;
use lorasweep::model::build::{self, Base};
use lorasweep::train::evaluate::{Evaluator, Judged};
use lorasweep::train::{Ended, Warm};
use lorasweep::values::{Method, Part, Training, Trial};

use crate::apart::{Counts, apart};
use crate::bench::Bench;
use crate::learning::on_device;
use crate::subject::{Subject, training};

const BOTH: [Subject; 2] = [Subject::Labels, Subject::Language];

/// Two epochs of 30 steps.
fn settings() -> Training {
    Training { epochs: 2.0, batch_size: 1, accumulation: 1, evaluate_every: None, ..training() }
}

fn bench(subject: Subject) -> Bench {
    let mut bench = on_device(subject);
    bench.checkpoint_every = Some(Duration::from_secs(3600));
    bench
}

/// Adapters of these ranks.
fn adapters(subject: Subject, ranks: &[usize], settings: &Training) -> Vec<Trial> {
    let trial = |rank: &usize| subject.trial(subject.lora(*rank, 8.0, 0.1), settings.clone());
    ranks.iter().map(trial).collect()
}

/// What a step counts, and whether its pack told of its progress then, which it does five times a second.
struct OfStep {
    step: usize,
    counts: Counts,
    told: bool,
}

/// The steps of a pack after which nothing is judged, without the first, before which things are sent that stay.
#[track_caller]
fn steps(subject: Subject, pack: &[Trial]) -> Vec<OfStep> {
    let (marks, [told, judged]) = (RefCell::new(Vec::new()), [(); 2].map(|()| Cell::new(false)));
    let before_a_step = || {
        marks.borrow_mut().push((Counts::now(), told.take(), judged.take()));
        Vec::new()
    };
    let on_line = |line: &ChildLine| {
        told.set(told.get() || matches!(line, ChildLine::Progress(_)));
        judged.set(judged.get() || matches!(line, ChildLine::Evaluated { .. }));
        false
    };
    let (ended, _) = bench(subject).attempt_with(pack, &before_a_step, &on_line, &mut Warm::default());
    assert_eq!(ended, Ok(Ended::Finished));
    let marks = marks.into_inner();
    let steps = marks.windows(2).enumerate().filter(|(before, of)| *before > 0 && !of[1].2);
    let counts = |of: &[(Counts, bool, bool)]| of[1].0.since(of[0].0);
    steps.map(|(before, of)| OfStep { step: before + 1, counts: counts(of), told: of[1].1 }).collect()
}

#[test]
fn the_host_waits_for_losses_and_norms_alone_and_every_tenth_step() {
    apart("waiting::the_host_waits_for_losses_and_norms_alone_and_every_tenth_step", &[], || {
        let smoothed = Training { label_smoothing: 0.1, ..settings() };
        for subject in BOTH {
            for (ranks, settings) in
                [(&[2][..], &settings()), (&[2, 4, 8], &settings()), (&[2, 4, 8], &smoothed)]
            {
                let steps = steps(subject, &adapters(subject, ranks, settings));
                assert!(steps.len() > 50, "{} steps", steps.len());
                for OfStep { step, counts, told } in steps {
                    // A training line is written every tenth step.
                    let is_due = step % 10 == 0 || told;
                    assert_eq!(counts.reads, u64::from(is_due), "step {step}");
                    assert_eq!(counts.waits, counts.reads, "it waits for nothing else");
                    assert_eq!(counts.unpinned, 0);
                }
            }
        }
    });
}

#[test]
fn what_a_step_reads_is_sent_in_three_copies() {
    apart("waiting::what_a_step_reads_is_sent_in_three_copies", &[], || {
        let copies = |subject, pack: &[Trial]| -> Vec<u64> {
            let mut copies: Vec<u64> = steps(subject, pack).iter().map(|of| of.counts.uploads).collect();
            copies.dedup();
            copies
        };
        for (subject, layers_with_dropout) in [(Subject::Labels, 12), (Subject::Language, 13)] {
            // Rows of unlike lengths, in one part and in several.
            let padded = Training { batch_size: 4, label_smoothing: 0.1, ..settings() };
            let in_parts = Training { accumulation: 3, ..padded.clone() };
            for settings in [padded, in_parts] {
                // Integers, numbers in 32 bits, and what the optimiser needs of each slot.
                assert_eq!(copies(subject, &adapters(subject, &[2], &settings)), [3]);
                assert_eq!(copies(subject, &adapters(subject, &[2, 4, 8], &settings)), [3]);
            }
            // Slots that draw their own masks need numbers for each.
            let of_seed = |seed| adapters(subject, &[4], &Training { seed, ..settings() }).remove(0);
            let most = copies(subject, &[1, 2, 3].map(of_seed)).into_iter().max();
            assert_eq!(most, Some(3 + layers_with_dropout));
        }
    });
}

#[test]
fn a_larger_pack_launches_no_more() {
    apart("waiting::a_larger_pack_launches_no_more", &[], || {
        for subject in BOTH {
            let launches = |ranks: &[usize]| {
                let steps = steps(subject, &adapters(subject, ranks, &settings()));
                steps.iter().map(|of| of.counts.launches).max()
            };
            assert_eq!(launches(&[2, 2, 2, 4, 4, 4, 8, 8]), launches(&[2, 4]));
        }
    });
}

/// Counts what an evaluation on a device takes, of a base model on so many test rows, and its batches.
#[track_caller]
fn evaluation(subject: Subject, rows: usize) -> (Counts, u64) {
    let (bench, task) = (on_device(subject), subject.task());
    let trial = subject.trial(Method::Base, settings());
    // Loads the library.
    bench.train(std::slice::from_ref(&trial));
    let base = Base::of(&bench.model, &task, &trial.configuration.method).unwrap();
    let (architecture, head) = (&bench.model.architecture, task.objective.head());
    let device = tch::Device::Cuda(0);
    let start = build::start(architecture, head, std::slice::from_ref(&trial), &base, device).unwrap();
    let model = Model::new(architecture, head, &start.params, start.adapters.as_ref());
    let evaluator = Evaluator::new(&task, &bench.model, device, &mut Warm::default()).unwrap();
    let (store, batches) = (bench.store(), Cell::new(0));
    let rows: Vec<u32> = (0..12).cycle().take(rows).collect();
    let (part, before) = (store.part(Part::Test).unwrap(), Counts::now());
    let each_batch = || batches.set(batches.get() + 1);
    let judged = Judged { part, rows: &rows, validated: &[], each_batch: &each_batch };
    evaluator.judge(&[&model], judged).unwrap();
    (Counts::now().since(before), batches.get())
}

#[test]
fn an_evaluation_of_many_batches_and_trials_waits_once() {
    apart("waiting::an_evaluation_of_many_batches_and_trials_waits_once", &[], || {
        for subject in [Subject::Labels, Subject::Language, Subject::Numbers, Subject::Sets, Subject::Tags] {
            let trial = |seed| subject.trial(Method::Base, Training { seed, ..settings() });
            let (bench, before) = (on_device(subject), Counts::now());
            bench.train(&(0..4).map(trial).collect::<Vec<_>>());
            assert_eq!(Counts::now().since(before).reads, 2, "for validation rows and for test rows");
            let (counts, batches) = evaluation(subject, 1200);
            assert!(batches > 2, "{batches} batches");
            assert_eq!((counts.reads, counts.waits, counts.unpinned), (1, 1, 0));
            assert_eq!(counts.uploads, 2 * batches, "integers, and numbers in 32 bits");
        }
    });
}

#[test]
fn answers_wait_for_their_own_tokens_alone() {
    apart("waiting::answers_wait_for_their_own_tokens_alone", &[], || {
        let (counts, batches) = evaluation(Subject::Answers, 400);
        // Half of them answer, at most four tokens each, and half compute losses, which are read at once.
        assert_eq!(batches % 2, 0);
        assert!(counts.reads <= 4 * batches / 2 + 1, "{} reads of {batches} batches", counts.reads);
        assert_eq!((counts.waits, counts.unpinned), (counts.reads, 0));
        assert_eq!(counts.uploads, 2 * batches);
    });
}
