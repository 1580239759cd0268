//! What a pack learns on a made-up device is what it learns on the host.

use lorasweep::train::{Ended, ForwardMode};
use lorasweep::values::{Device, Keep, Method, Training, Trial};

use crate::apart::{Counts, apart};
use crate::bench::{Bench, apart as far, assert_identical};
use crate::subject::{Subject, training};

const ALL: [Subject; 3] = [Subject::Labels, Subject::Language, Subject::Answers];

/// How far weights may be apart. The kernels are the same, but for those of attention.
const WEIGHTS_APART: f64 = 1e-5;
const LOSSES_APART: f64 = 1e-6;

/// Where packs train on the device, as they do there.
pub(crate) fn on_device(subject: Subject) -> Bench {
    let mut bench = Bench::with(subject, ForwardMode::Stacked);
    bench.device = Device::Cuda { index: 0 };
    bench
}

/// 20 steps.
fn long() -> Training {
    Training { epochs: 5.0, ..training() }
}

fn packs(subject: Subject) -> Vec<Vec<Trial>> {
    let one = |method: Method| vec![subject.trial(method, long())];
    let grid = [(2, 1e-3), (8, 3e-3), (4, 1e-2)].map(|(rank, learning_rate)| {
        subject.trial(subject.lora(rank, 8.0, 0.2), Training { learning_rate, ..long() })
    });
    vec![
        one(subject.lora(4, 8.0, 0.2)),
        one(Method::Full),
        one(Method::Scratch),
        grid.to_vec(),
        subject.unlike_adapters(),
    ]
}

#[test]
fn a_pack_learns_on_a_device_what_it_learns_on_the_host() {
    let counts = apart("learning::a_pack_learns_on_a_device_what_it_learns_on_the_host", &[], || {
        for subject in ALL {
            for pack in packs(subject) {
                let (there, here) = (on_device(subject), Bench::with(subject, ForwardMode::Stacked));
                there.train(&pack);
                here.train(&pack);
                for trial in &pack {
                    let [weight, loss] = far(&there, &here, trial);
                    assert!(
                        weight <= WEIGHTS_APART && loss <= LOSSES_APART,
                        "weights {weight:.1e} apart, losses {loss:.1e}: {subject:?}, {:?}",
                        trial.configuration
                    );
                }
            }
        }
    });
    if let Some(Counts { launches, races, unpinned, .. }) = counts {
        assert!(launches > 10_000, "only {launches} kernels ran on the device");
        assert_eq!((races, unpinned), (0, 0), "the host is not in the device's way, nor it in the host's");
    }
}

#[test]
fn a_pack_that_is_stopped_on_a_device_ends_with_the_same_bits() {
    apart("learning::a_pack_that_is_stopped_on_a_device_ends_with_the_same_bits", &[], || {
        for (subject, keep) in [(Subject::Labels, Keep::Best), (Subject::Answers, Keep::Last)] {
            let (whole, torn) = (on_device(subject), on_device(subject));
            let trial = subject.trial(subject.lora(4, 8.0, 0.2), Training { keep, ..training() });
            whole.train(std::slice::from_ref(&trial));
            assert_eq!(torn.train_with_stops(&trial), 10, "one attempt a step");
            assert_identical(&torn, &whole, &trial);
        }
    });
}

#[test]
fn trials_join_and_leave_a_pack_on_a_device() {
    apart("learning::trials_join_and_leave_a_pack_on_a_device", &[], || {
        for subject in ALL {
            let (there, here) = (on_device(subject), Bench::with(subject, ForwardMode::Stacked));
            let (pack, joiners) = (subject.unlike_adapters(), &subject.grid()[..2]);
            for bench in [&there, &here] {
                let (ended, _) = bench.attempt_joined(&pack, joiners, &|_| false);
                assert_eq!(ended, Ok(Ended::Finished));
            }
            for trial in pack.iter().chain(joiners) {
                let [weight, loss] = far(&there, &here, trial);
                assert!(weight <= WEIGHTS_APART && loss <= LOSSES_APART, "{weight:.1e}, {loss:.1e}");
            }
        }
    });
}

#[test]
fn bf16_learns_alike_on_a_device() {
    apart("learning::bf16_learns_alike_on_a_device", &[], || {
        for subject in ALL {
            let (there, here) = (on_device(subject), Bench::with(subject, ForwardMode::Stacked));
            let pack = subject.in_bf16(subject.grid());
            there.train(&pack);
            here.train(&pack);
            for trial in &pack {
                let [_, loss] = far(&there, &here, trial);
                assert!(loss <= 1e-2, "losses {loss:.1e} apart");
            }
        }
    });
}
