//! What packs cost, by the trials in them.

use super::*;
use crate::families::params;
use crate::plan::example;
use crate::tasks::Task;
use crate::values::{Trial, Width};

fn cpu() -> Rates {
    Rates::assumed(Width::Cores(1))
}

fn gpu() -> Rates {
    Rates::assumed(Width::Gpu)
}

/// The example's trials of these numbers: adapters at 0 to 5, three folds each, and 6 trains all weights.
fn slots(trials: &[usize]) -> Vec<SlotCost> {
    let sweep = example::sweep();
    let all: Vec<Trial> = sweep.trials();
    let mut costs = CostTable::new(&sweep);
    trials.iter().map(|n| costs.slot(&all[*n])).collect()
}

fn pack(trials: &[usize]) -> PackCost {
    slots(trials).iter().collect()
}

#[test]
fn slots_that_see_the_same_batches_pay_for_the_trunk_once() {
    let alone = |trial: usize| pack(&[trial]).seconds(cpu()) - cpu().start_s;
    let work = |trials: &[usize]| pack(trials).seconds(cpu()) - cpu().start_s;
    let trunk = slots(&[0])[0].trunk / cpu().flops;
    assert!(trunk > 0.05 * alone(0), "three of about twenty products");
    let close =
        |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 1e-9, "{found} {expected}");
    close(work(&[0, 3]), alone(0) + alone(3) - trunk);
    close(work(&[0, 1]), alone(0) + alone(1));
    close(work(&[0, 1, 3, 4]), alone(0) + alone(1) + alone(3) + alone(4) - 2.0 * trunk);
    close(work(&[6, 7]), alone(6) + alone(7));
}

#[test]
fn sums_of_slots_are_the_same_in_any_order() {
    let one_by_one = pack(&[0, 3, 1, 4]);
    let merged = pack(&[4, 1, 0, 3]);
    for rates in [cpu(), Rates::assumed(Width::Cores(4)), gpu()] {
        let [a, b] = [&one_by_one, &merged].map(|sum| sum.estimate(rates));
        assert!((a.duration.as_secs_f64() - b.duration.as_secs_f64()).abs() < 1e-6);
        assert!((a.mem_mib - b.mem_mib).abs() < 1e-6);
    }
}

#[test]
fn passes_on_a_gpu_take_as_long_for_one_small_slot_as_for_many() {
    let [one, both] = [pack(&[0]), pack(&[0, 1])].map(|sum| sum.seconds(gpu()));
    assert!(both - one < 0.7 * (one - cpu().start_s), "{one} {both}");
}

#[test]
fn slots_share_the_frozen_base_and_a_cpu_holds_one_batch_at_a_time() {
    let mib = |trials: &[usize], rates| pack(trials).estimate(rates).mem_mib;
    let another = |rates| mib(&[0, 1], rates) - mib(&[0], rates);
    let counts = |method| params::count(&example::sweep().models["minilm-2"].architecture, head(), &method);
    let (adapter, all) = (counts(example::lora(4)).trainable, counts(crate::values::Method::Full).total);
    let expected = 16.0 * count(usize::try_from(adapter).unwrap()) / MIB;
    assert!((another(cpu()) / expected - 1.0).abs() < 1e-6, "weights, gradients and moments of adapters");
    assert!((20.0..500.0).contains(&another(gpu())), "and one more batch of activations: {}", another(gpu()));
    let full = mib(&[6], cpu()) - mib(&[0], cpu());
    let expected = 12.0 * count(usize::try_from(all).unwrap()) / MIB;
    assert!((full / expected - 1.0).abs() < 0.01, "gradient and moments of every weight: {full} {expected}");
}

fn head() -> crate::families::Head {
    Task::clone(example::sweep().first_task()).objective.head()
}

#[test]
fn adapters_leave_little_on_disk() {
    let mib = |trial| pack(&[trial]).estimate(cpu()).disk_mib;
    assert!(mib(0) < 0.5 && mib(6) > 100.0);
}

#[test]
fn two_cores_are_nearly_twice_as_fast_and_make_no_tiny_model_faster() {
    let seconds = |slot: &SlotCost, cores| {
        PackCost::from_iter([slot]).seconds(Rates::assumed(Width::Cores(cores))) - cpu().start_s
    };
    let encoder = slots(&[0]).remove(0);
    let faster = |cores| seconds(&encoder, 1) / seconds(&encoder, cores);
    assert!((1.75..1.81).contains(&faster(2)), "{}", faster(2));
    assert!((4.0..8.0).contains(&faster(16)), "{}", faster(16));
    let tiny = SlotCost { tail: encoder.tail / 1e4, trunk: encoder.trunk / 1e4, ..encoder };
    assert!([2, 4, 16].into_iter().all(|cores| seconds(&tiny, cores) > seconds(&tiny, 1)));
    // Slots of a CPU pass through a layer one after the other.
    let both = PackCost::from_iter([&encoder, &SlotCost { batches: (9, 9), ..encoder }]);
    let rates = Rates::assumed(Width::Cores(2));
    assert!((both.seconds(rates) - cpu().start_s - 2.0 * seconds(&encoder, 2)).abs() < 1e-6);
}

#[test]
fn no_predicted_time_is_longer_than_can_be_told() {
    for epochs in [1e25, f64::MAX] {
        let sweep =
            example::grid([(example::lora(4), epochs, 1), (crate::values::Method::Full, epochs, 1)], 2);
        let trials = sweep.trials();
        let mut costs = CostTable::new(&sweep);
        for rates in [cpu(), Rates::assumed(Width::Cores(4)), gpu()] {
            let slots: Vec<SlotCost> = trials.iter().map(|trial| costs.slot(trial)).collect();
            let longest = Duration::from_secs_f64(slot::LONGEST_S);
            assert_eq!(slots.iter().collect::<PackCost>().estimate(rates).duration, longest);
            assert!(slots.iter().all(|slot| slot.time(rates).alone() >= longest));
        }
    }
}
