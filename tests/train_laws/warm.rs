//! A pack that follows others in one process is as if it had a process of its own.

use lorasweep::families::Head;
use lorasweep::model::build::{self, Base, Frozen, Start};
use lorasweep::model::params::Weight;
use lorasweep::train::{Ended, Warm};
use lorasweep::values::{Method, Precision, Training, Trial};
use tch::Device;

use crate::bench::{Bench, alone, assert_identical};
use crate::laws::{ALL, BOTH};
use crate::subject::{Subject, training};

/// Packs of every method and of several sizes, each with the trials that join it.
fn packs(subject: Subject) -> Vec<(Vec<Trial>, Vec<Trial>)> {
    let one = |method: Method| vec![subject.trial(method, training())];
    let (adapters, mut grid) = (subject.unlike_adapters(), subject.grid());
    let late = grid.split_off(3);
    vec![
        (adapters[..1].to_vec(), Vec::new()),
        (one(Method::Full), Vec::new()),
        (one(Method::Scratch), Vec::new()),
        (grid, late),
        (one(Method::Base), Vec::new()),
        (adapters[1..].to_vec(), Vec::new()),
    ]
}

#[test]
fn a_warm_pack_gives_the_bits_of_a_fresh_process() {
    let _alone = alone();
    for forward_mode in BOTH {
        // Kept from task to task, some of which start from the same base, and from precision to precision.
        let mut warm = Warm::default();
        for (precision, subject) in
            [Precision::Fp32, Precision::Bf16].into_iter().flat_map(|p| ALL.map(|subject| (p, subject)))
        {
            let (warmed, fresh) = (Bench::with(subject, forward_mode), Bench::with(subject, forward_mode));
            for (slots, joiners) in packs(subject) {
                let [slots, joiners] =
                    [slots, joiners].map(|trials| in_precision(subject, precision, trials));
                let (ended, _) = warmed.attempt_warm(&slots, &joiners, &|_| false, &mut warm);
                assert_eq!(ended, Ok(Ended::Finished));
                assert_eq!(fresh.attempt_joined(&slots, &joiners, &|_| false).0, Ok(Ended::Finished));
                for trial in slots.iter().chain(&joiners) {
                    assert_identical(&warmed, &fresh, trial);
                }
            }
        }
    }
}

fn in_precision(subject: Subject, precision: Precision, trials: Vec<Trial>) -> Vec<Trial> {
    match precision {
        Precision::Fp32 => trials,
        Precision::Bf16 => subject.in_bf16(trials),
    }
}

#[test]
fn a_warm_pack_opens_no_store_and_a_failure_leaves_nothing_warm() {
    let _alone = alone();
    let subject = Subject::Labels;
    let (bench, mut warm) = (Bench::new(subject), Warm::default());
    let train = |warm: &mut Warm, trial: &Trial| {
        bench.attempt_warm(std::slice::from_ref(trial), &[], &|_| false, warm).0
    };
    let [first, second, third] = subject.unlike_adapters().try_into().unwrap();
    assert_eq!(train(&mut warm, &first), Ok(Ended::Finished));
    std::fs::remove_dir_all(bench.layout.stores()).unwrap();
    assert_eq!(train(&mut warm, &second), Ok(Ended::Finished));
    let wild = Training { learning_rate: 1e30, warmup: 0.0, ..training() };
    train(&mut warm, &subject.trial(subject.lora(4, 8.0, 0.1), wild)).unwrap_err();
    train(&mut warm, &third).unwrap_err();
}

/// Tensors that are frozen for all are in memory once, and those that train are not kept frozen besides.
#[test]
fn frozen_tensors_are_kept_while_they_are_of_use() {
    let _alone = alone();
    let subject = Subject::Labels;
    let (spec, task) = (subject.model("".as_ref()), subject.task());
    let head: Head = task.objective.head();
    let mut frozen = Frozen::on(Device::Cpu);
    let mut start = |method: Method| -> Start {
        let base = Base::of(&spec, &task, &method).unwrap();
        let trial = subject.trial(method, training());
        build::start_beside(&spec.architecture, head, &[trial], &base, &mut frozen).unwrap()
    };
    let name = "bert.embeddings.word_embeddings.weight";
    let place = |start: &Start| match start.params.find(name).unwrap() {
        Weight::Shared(tensor) => Some(tensor.data_ptr()),
        Weight::Stacked(_) => None,
    };
    let [first, again] = [2, 4].map(|rank| start(subject.lora(rank, 4.0, 0.0)));
    assert!(place(&first).is_some());
    assert_eq!(place(&again), place(&first));
    assert_eq!(place(&start(Method::Full)), None);
    assert_ne!(place(&start(Method::Base)), place(&first));
}
