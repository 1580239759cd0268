//! What is learned from what packs took.

use super::*;
use crate::cost::CostTable;
use crate::plan::example;
use crate::values::Trial;

const ONE: Width = Width::Cores(1);

fn experience() -> Experience {
    Experience::new(
        Processors {
            cpu: "a core".to_owned(),
            gpus: vec![GpuKind { name: "a card".to_owned(), speed: None }],
        },
        None,
    )
}

/// The kinds of the example's adapters, of full fine-tuning, and of a model from scratch.
fn kinds(width: Width) -> [Kind; 3] {
    let sweep = example::sweep();
    [0, 2, 3].map(|n| {
        let configuration = &sweep.configurations[n];
        let (task, model) = (sweep.task(configuration), sweep.model(configuration));
        experience().kinds(task, model, configuration, width).swap_remove(0)
    })
}

fn taken(assumed_s: f64, took_s: f64) -> Taken {
    Taken { assumed_s, took_s, start_s: 0.25, mem_mib: Some([500.0, 800.0]) }
}

#[test]
fn what_ran_is_predicted_as_it_ran() {
    let (mut experience, [adapters, ..]) = (experience(), kinds(ONE));
    let sweep = example::sweep();
    let trials: Vec<Trial> = sweep.trials();
    let mut costs = CostTable::new(&sweep);
    let pack: PackCost = [costs.slot(&trials[0]), costs.slot(&trials[3])].iter().collect();
    let assumed = Rates::assumed(ONE);
    assert_eq!(experience.rates(&adapters), (assumed, Basis::Assumed));
    let mib = pack.estimate(assumed).mem_mib;
    experience.add(&adapters, &Taken::of(&pack, ONE, 123.5, 123.0, Some(1.7 * mib)));
    let (rates, basis) = experience.rates(&adapters);
    let predicted = pack.estimate(rates);
    assert_eq!(basis, Basis::Measured);
    assert!((predicted.duration.as_secs_f64() - 123.5).abs() < 1e-6);
    assert!((predicted.mem_mib / (1.7 * mib) - 1.0).abs() < 1e-9);
}

#[test]
fn what_cuda_takes_is_part_of_a_prediction_and_not_of_what_is_measured() {
    let (mut experience, [adapters, ..]) = (experience(), kinds(Width::Gpu));
    let sweep = example::sweep();
    let pack: PackCost = [CostTable::new(&sweep).slot(&sweep.trials()[0])].iter().collect();
    let predicted = |experience: &Experience| pack.estimate(experience.rates(&adapters).0).mem_mib;
    let before = predicted(&experience);
    let measured = before - unmeasured_mib(Width::Gpu);
    experience.add(&adapters, &Taken::of(&pack, Width::Gpu, 9.0, 8.0, Some(measured)));
    assert!((predicted(&experience) - before).abs() < 1e-9, "it took what was predicted");
}

#[test]
fn what_never_ran_is_predicted_from_what_is_most_like_it() {
    let (mut experience, [adapters, full, scratch]) = (experience(), kinds(ONE));
    experience.add(&adapters, &taken(10.0, 20.0));
    let [pace_of_full, pace_of_two] = [&full, &kinds(Width::Cores(2))[0]]
        .map(|kind| Rates::assumed(kind.width).flops / experience.rates(kind).0.flops);
    assert!((pace_of_full - 2.0).abs() < 1e-9 && (pace_of_two - 2.0).abs() < 1e-9);
    assert_eq!(experience.rates(&full).1, Basis::Similar);
    experience.add(&full, &taken(10.0, 40.0));
    let of_scratch = Rates::assumed(ONE).flops / experience.rates(&scratch).0.flops;
    assert!((of_scratch - 3.0).abs() < 1e-9, "adapters and full are equally unlike: {of_scratch}");
    let other = Kind { processor: "another".to_owned(), ..full.clone() };
    assert_eq!(experience.rates(&other), (Rates::assumed(ONE), Basis::Assumed));
    assert_eq!(experience.rates(&kinds(Width::Gpu)[0]).1, Basis::Assumed);
}

#[test]
fn the_latest_counts_most_and_memory_rises_at_once() {
    let (mut experience, [adapters, ..]) = (experience(), kinds(ONE));
    let pace = |of: &Experience| Rates::assumed(ONE).flops / of.rates(&adapters).0.flops;
    (0..50).for_each(|_| experience.add(&adapters, &taken(100.0, 100.0)));
    (0..50).for_each(|_| experience.add(&adapters, &taken(100.0, 300.0)));
    assert!((pace(&experience) - 3.0).abs() < 0.01, "{}", pace(&experience));
    let mut memory = |measured| {
        experience.add(&adapters, &Taken { mem_mib: Some([100.0, measured]), ..taken(1.0, 1.0) });
        experience.rates(&adapters).0.memory
    };
    assert!((memory(400.0) - 4.0).abs() < 1e-9);
    assert!((memory(200.0) - 3.0).abs() < 1e-9);
}

#[test]
fn what_is_kept_comes_back_and_what_was_measured_otherwise_does_not() {
    let (mut experience, [adapters, ..]) = (experience(), kinds(ONE));
    experience.add(&adapters, &taken(10.0, 20.0));
    let text = serde_json::to_string(&experience.keep()).unwrap();
    let kept: Kept = serde_json::from_str(&text).unwrap();
    let again = Experience::new(experience.processors.clone(), Some(kept.clone()));
    assert_eq!(again, experience);
    let older = Kept { version: VERSION - 1, ..kept };
    assert!(Experience::new(experience.processors.clone(), Some(older)).kinds.is_empty());
    for n in 0..=KEPT_KINDS {
        experience.add(&Kind { batch_size: 1_000 + n, ..adapters.clone() }, &taken(1.0, 1.0));
    }
    assert_eq!(experience.kinds.len(), KEPT_KINDS);
    assert_eq!(experience.rates(&adapters).1, Basis::Similar, "the oldest is gone");
}

#[test]
fn a_tiny_model_tells_little_of_others() {
    let (mut experience, [adapters, _, scratch]) = (experience(), kinds(ONE));
    experience.add(&scratch, &Taken { mem_mib: Some([100.0, 80.0]), ..taken(0.02, 2.7) });
    let pace = |kind| Rates::assumed(ONE).flops / experience.rates(kind).0.flops;
    assert!((pace(&scratch) - 135.0).abs() < 1e-6 && (pace(&adapters) - SIMILAR).abs() < 1e-9);
    assert!((experience.rates(&adapters).0.memory - 1.0).abs() < 1e-9, "no less than assumed");
    assert!((experience.rates(&scratch).0.memory - 0.8).abs() < 1e-9);
}

#[test]
fn what_cannot_be_is_not_believed_and_does_not_stay() {
    let (mut experience, [adapters, ..]) = (experience(), kinds(ONE));
    let good = taken(10.0, 20.0);
    for taken in [
        taken(0.0, 0.0),
        taken(1.0, 0.0),
        taken(0.0, 1.0),
        taken(-1.0, -1.0),
        taken(1.0, 1e9),
        taken(f64::NAN, 1.0),
        taken(1.0, f64::INFINITY),
        Taken { start_s: -1.0, ..good },
        Taken { start_s: 1e308, ..good },
        Taken { mem_mib: Some([1.0, 0.0]), ..good },
        Taken { mem_mib: Some([1.0, 1e3]), ..good },
        Taken { mem_mib: Some([0.0, 1.0]), ..good },
    ] {
        experience.add(&adapters, &taken);
        assert_eq!(experience.rates(&adapters).1, Basis::Assumed, "{taken:?}");
    }
    experience.add(&adapters, &good);
    let Kept { version, mut kinds } = experience.keep();
    kinds[0].memory = Some(1e3);
    let again = Experience::new(experience.processors.clone(), Some(Kept { version, kinds }));
    assert_eq!(again.rates(&adapters).1, Basis::Assumed);
}

/// On two GPUs of which one is thought to be three times as fast in single precision, and a third that is not known.
fn on_gpus() -> (Experience, Vec<Kind>) {
    let gpu = |name: &str, tflops: Option<u64>| GpuKind {
        name: name.to_owned(),
        speed: tflops.map(|tflops| Speed { fp32_gflops: 1_000 * tflops, bf16_gflops: 8_000 * tflops }),
    };
    let gpus = vec![gpu("slow", Some(20)), gpu("fast", Some(60)), gpu("unknown", None)];
    let experience = Experience::new(Processors { cpu: "a core".to_owned(), gpus }, None);
    let sweep = example::sweep();
    let first = &sweep.configurations[0];
    let kinds = experience.kinds(sweep.task(first), sweep.model(first), first, Width::Gpu);
    (experience, kinds)
}

#[test]
fn each_gpu_is_predicted_by_what_ran_on_it() {
    let (mut experience, kinds) = on_gpus();
    let [slow, fast, unknown] = &kinds[..] else { panic!("{kinds:?}") };
    let assumed = Rates::assumed(Width::Gpu);
    let flops = |experience: &Experience, kind| experience.rates(kind).0.flops;
    assert_eq!(experience.rates(unknown), (assumed, Basis::Assumed));
    assert!((flops(&experience, slow) / 20e12 - 1.0).abs() < 1e-9);
    let half = Kind { precision: Precision::Bf16, ..fast.clone() };
    assert!((flops(&experience, &half) / 480e12 - 1.0).abs() < 1e-9);
    experience.add(slow, &taken(10.0, 20.0));
    experience.add(fast, &taken(10.0, 4.0));
    let pace = |kind| assumed.flops / flops(&experience, kind);
    assert!((pace(slow) - 2.0).abs() < 1e-9 && (pace(fast) - 0.4).abs() < 1e-9);
    assert_eq!(
        [slow, fast, unknown].map(|kind| experience.rates(kind).1),
        [Basis::Measured, Basis::Measured, Basis::Similar]
    );
    let cpu = &kinds_on_cpu(&experience)[0];
    assert_eq!(experience.rates(cpu), (Rates::assumed(ONE), Basis::Assumed), "a GPU tells nothing of a CPU");
}

fn kinds_on_cpu(experience: &Experience) -> Vec<Kind> {
    let sweep = example::sweep();
    let first = &sweep.configurations[0];
    experience.kinds(sweep.task(first), sweep.model(first), first, ONE)
}

#[test]
fn a_gpu_on_which_nothing_ran_is_as_much_faster_than_another_as_is_thought() {
    let (mut experience, kinds) = on_gpus();
    // Half as fast as thought.
    experience.add(&kinds[0], &taken(10.0, 10.0));
    let (rates, basis) = experience.rates(&kinds[1]);
    assert_eq!(basis, Basis::Similar);
    assert!((rates.flops / 30e12 - 1.0).abs() < 1e-9, "{}", rates.flops);
    let known = experience.rates(&kinds[0]).0;
    assert!((rates.start_s - known.start_s).abs() < 1e-9 && (rates.layer_s - known.layer_s).abs() < 1e-12);
}

#[test]
fn a_kind_of_gpu_counts_once() {
    let known = |index, name: &str| crate::values::KnownGpu {
        device: crate::values::Device::Cuda { index },
        name: name.to_owned(),
        mem_mib: 80_000,
        speed: None,
    };
    let resources =
        Resources { known: vec![known(0, "a"), known(1, "b"), known(2, "a")], ..Resources::default() };
    let names: Vec<String> = Processors::new("", &resources).gpus.into_iter().map(|gpu| gpu.name).collect();
    assert_eq!(names, ["a", "b"]);
}
