//! How often the host waits for a device while a pack trains there. Each wait leaves the device without work until
//! the host has queued some again.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use lorasweep::job::ChildLine;
use lorasweep::model::Model;
use lorasweep::model::build::{self, Base};
use lorasweep::train::evaluate::Evaluator;
use lorasweep::train::{Ended, Warm};
use lorasweep::values::{Method, Part, Training, Trial};

use crate::apart::{Counts, apart};
use crate::bench::Bench;
use crate::learning::on_device;
use crate::subject::{Subject, training};

/// Steps of an epoch, at whose end comes an evaluation.
const EPOCH: usize = 30;

/// Two epochs of [`EPOCH`] steps.
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

/// The steps of a pack at which nothing is judged, without the first, before which things are sent that stay.
#[track_caller]
fn steps(bench: &Bench, pack: &[Trial]) -> Vec<OfStep> {
    let (marks, told) = (RefCell::new(Vec::new()), Cell::new(false));
    let before_a_step = || {
        marks.borrow_mut().push((Counts::now(), told.take()));
        Vec::new()
    };
    let on_line = |line: &ChildLine| {
        told.set(told.get() || matches!(line, ChildLine::Progress(_)));
        false
    };
    let (ended, _) = bench.attempt_with(pack, &before_a_step, &on_line, &mut Warm::default());
    assert_eq!(ended, Ok(Ended::Finished));
    let marks = marks.into_inner();
    let steps = marks.windows(2).enumerate().map(|(before, of)| OfStep {
        step: before + 1,
        counts: of[1].0.since(of[0].0),
        told: of[1].1,
    });
    steps.filter(|of| of.step > 1 && of.step % EPOCH > 0).collect()
}

#[test]
fn the_host_waits_for_losses_and_norms_alone_and_every_tenth_step() {
    apart("waiting::the_host_waits_for_losses_and_norms_alone_and_every_tenth_step", &[], || {
        let smoothed = Training { label_smoothing: 0.1, ..settings() };
        for subject in [Subject::Labels, Subject::Language] {
            for (ranks, settings) in
                [(&[2][..], &settings()), (&[2, 4, 8], &settings()), (&[2, 4, 8], &smoothed)]
            {
                let steps = steps(&bench(subject), &adapters(subject, ranks, settings));
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
fn a_larger_pack_launches_no_more() {
    apart("waiting::a_larger_pack_launches_no_more", &[], || {
        let launches = |ranks: &[usize]| {
            let steps = steps(&bench(Subject::Labels), &adapters(Subject::Labels, ranks, &settings()));
            steps.iter().map(|step| step.counts.launches).max()
        };
        assert_eq!(launches(&[2, 2, 2, 4, 4, 4, 8, 8]), launches(&[2, 4]));
    });
}

#[test]
fn an_evaluation_of_many_batches_and_trials_waits_once() {
    apart("waiting::an_evaluation_of_many_batches_and_trials_waits_once", &[], || {
        for subject in [Subject::Labels, Subject::Language] {
            let bench = on_device(subject);
            let trial = |seed| subject.trial(Method::Base, Training { seed, ..settings() });
            let before = Counts::now();
            bench.train(&(0..4).map(trial).collect::<Vec<_>>());
            assert_eq!(Counts::now().since(before).reads, 2, "once on validation rows and once on test rows");

            let (task, base) = (subject.task(), trial(0));
            let weights = Base::of(&bench.model, &task, &base.configuration.method).unwrap();
            let (architecture, head) = (&bench.model.architecture, task.objective.head());
            let device = tch::Device::Cuda(0);
            let start =
                build::start(architecture, head, std::slice::from_ref(&base), &weights, device).unwrap();
            let model = Model::new(architecture, head, &start.params, start.adapters.as_ref());
            let evaluator = Evaluator::new(&task, &bench.model, device, &mut Warm::default()).unwrap();
            let (store, batches) = (bench.store(), Cell::new(0));
            let rows: Vec<u32> = (0..12).cycle().take(1200).collect();
            let (part, before) = (store.part(Part::Test).unwrap(), Counts::now());
            let scores = evaluator.scores(&[&model], part, &rows, &|| batches.set(batches.get() + 1));
            assert!(scores.is_ok() && batches.get() > 2, "{} batches", batches.get());
            assert_eq!(Counts::now().since(before).reads, 1);
        }
    });
}
