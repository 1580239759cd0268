//! Layers whose input all slots share, and products in bf16, against what each slot computes alone.

use super::*;
use crate::families::blueprint;
use crate::model::norm::Norm;
use crate::model::pass::Stream;
use crate::values::stream::StreamKey;

const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Numbers that look random, other ones from each start: libtorch has one generator for all tests of this
/// process.
fn numbers(size: &[i64], start: i64) -> Tensor {
    let counted = Tensor::arange(size.iter().product::<i64>(), (Kind::Double, Device::Cpu)) + 1000 * start;
    ((counted.square() * 0.7).sin() * 1.4).to_kind(Kind::Float).view(size)
}

/// Three slots with ranks 2, 4 and 3 on a frozen layer of 6 to 5.
fn adapted(dropouts: [f64; 3], kind: Kind) -> Linear {
    let mut params = Params::new(3);
    params.freeze("layer.weight", numbers(&[5, 6], 1).to_kind(kind));
    params.freeze("layer.bias", numbers(&[5], 2).to_kind(kind));
    let each = |size: fn(i64) -> [i64; 2]| [2, 4, 3].map(|r| numbers(&size(r), 3 + r));
    params.train("layer.lora_A.weight", &each(|r| [r, 6]), true);
    params.train("layer.lora_B.weight", &each(|r| [5, r]), true);
    let settings = AdapterSettings { scales: vec![0.5, 1.0, 2.0], dropouts: dropouts.to_vec() };
    Linear::new(&params, "layer", Some(&settings))
}

fn training() -> Pass {
    let stream = |seed| Stream { key: StreamKey::from_seed(seed), step: 0, first_row: 0 };
    Pass::training((1..=3).map(stream).collect(), 7)
}

#[test]
fn an_input_that_all_slots_share_gives_what_a_copy_for_each_gives() {
    for dropouts in [[0.0; 3], [0.5, 0.0, 0.2]] {
        let layer = adapted(dropouts, Kind::Float);
        let x = numbers(&[1, 7, 6], 10);
        let shared = layer.forward(&x, &mut training());
        let copied = layer.forward(&x.expand([3, -1, -1], false).contiguous(), &mut training());
        assert_eq!(shared.size(), [3, 7, 5]);
        assert!(shared.allclose(&copied, 1e-5, 1e-5, false), "{dropouts:?}");
        let gradients = |y: &Tensor| {
            let a = &layer.adapter.as_ref().unwrap().a;
            Tensor::run_backward(&[y.square().sum(Kind::Float)], &[a], false, false).remove(0)
        };
        assert!(gradients(&shared).allclose(&gradients(&copied), 1e-4, 1e-4, false), "{dropouts:?}");
    }
}

#[test]
fn a_frozen_base_in_bf16_is_multiplied_so_and_its_adapters_in_32_bits() {
    let x = numbers(&[3, 7, 6], 10);
    let [exact, rounded] = [Kind::Float, Kind::BFloat16].map(|kind| adapted([0.0; 3], kind));
    let (base, y) = (rounded.base(&x), rounded.forward(&x, &mut training()));
    assert_eq!((base.kind(), y.kind()), (Kind::BFloat16, Kind::BFloat16));
    let of_adapter = |layer: &Linear| {
        let zero = Tensor::zeros([3, 7, 5], CPU);
        layer.adapt(&zero, &x, &mut training())
    };
    assert_eq!(of_adapter(&rounded), of_adapter(&exact));
    let gradient =
        Tensor::run_backward(&[y.sum(Kind::Float)], &[&rounded.adapter.as_ref().unwrap().a], false, false);
    assert_eq!(gradient[0].kind(), Kind::Float);
}

#[test]
fn weights_that_train_are_rounded_for_products_and_keep_their_32_bits() {
    let mut params = Params::new(2);
    let values = |size: &[i64]| [1, 2].map(|slot| numbers(size, slot));
    params.train("layer.weight", &values(&[5, 6]), true);
    params.train("layer.bias", &values(&[5]), false);
    params.multiply_in("layer.weight", Kind::BFloat16);
    let x = numbers(&[2, 7, 6], 3);
    for params in [params.retain(&[0, 1]), params.retain(&[1]), params] {
        let y = Linear::new(&params, "layer", None).base(&x.narrow(0, 0, index(params.slots())));
        assert_eq!(y.kind(), Kind::BFloat16);
        y.sum(Kind::Float).backward();
        for (name, trainable) in params.trainable() {
            assert_eq!([trainable.tensor.kind(), trainable.tensor.grad().kind()], [Kind::Float; 2], "{name}");
        }
    }
}

/// The slices of slots are other operations than selecting them, with the same results.
#[test]
fn layers_of_one_slot_and_tables_of_many_have_the_bits_of_selected_slices() {
    for slots in [1, 3] {
        let names = ["layer.weight", "layer.bias", "norm.weight", "norm.bias", "table"];
        let mut params = Params::new(slots);
        for (n, name) in (1_i64..).zip(names) {
            let size: &[i64] = if name.ends_with("bias") || name == "norm.weight" { &[6] } else { &[6, 6] };
            let values = |k: usize| numbers(size, 10 * n + index(k));
            params.train(name, &(0..slots).map(values).collect::<Vec<_>>(), true);
        }
        let [weight, bias, scale, shift, table] = names.map(|name| params.weight(name).into_stacked());
        let ids = Tensor::from_slice(&[5_i64, 0, 2, 5]).unsqueeze(0);
        let normed = |x: &Tensor, k: i64| {
            let norm = |w: Option<&Tensor>, b: Option<&Tensor>| x.layer_norm([6], w, b, 1e-5, true);
            match slots {
                1 => norm(Some(&scale.get(0)), Some(&shift.get(0))),
                _ => norm(None, None) * scale.get(k) + shift.get(k),
            }
        };
        let selected = (0..index(slots)).map(|k| {
            let x = Tensor::embedding(&table.get(k), &ids.get(0), -1, false, false) + bias.get(k);
            let x = normed(&x, k);
            if slots == 1 { x.linear(&weight.get(0), Some(bias.get(0))) } else { x }
        });
        let expected = Tensor::stack(&selected.collect::<Vec<_>>(), 0);
        let x = Embedding::new(&params, "table", Some("layer.bias"), -1);
        // With a bias the table is the matrix of a dense layer over one-hot words.
        let x = Embedding { weight: Weight::Stacked(table.transpose(1, 2)), ..x }.forward(&ids);
        let x = Norm::new(&params, &blueprint::Norm::layer("norm".to_owned(), 6, 1e-5)).forward(&x);
        let y = if slots == 1 { Linear::new(&params, "layer", None).base(&x) } else { x };
        assert_eq!(y, expected);
        let leaves =
            if slots == 1 { vec![&weight, &bias, &scale, &shift, &table] } else { vec![&bias, &table] };
        let gradients =
            |y: &Tensor| Tensor::run_backward(&[y.square().sum(Kind::Float)], &leaves, false, false);
        assert_eq!(gradients(&y), gradients(&expected));
    }
}

/// The layer of [`adapted`] with DoRA's lengths, stored `[out, in]` or `[in, out]`, for all slots or for each.
fn weighed(dropouts: [f64; 3], is_transposed: bool, is_shared: bool) -> (Linear, Tensor) {
    let mut params = Params::new(3);
    let weight = numbers(&[5, 6], 1);
    let stored = if is_transposed { weight.tr().contiguous() } else { weight.copy() };
    if is_shared {
        params.freeze("layer.weight", stored);
        params.freeze("layer.bias", numbers(&[5], 2));
    } else {
        params.freeze_each("layer.weight", &[(); 3].map(|()| stored.copy()));
        params.freeze_each("layer.bias", &[(); 3].map(|()| numbers(&[5], 2)));
    }
    let each = |size: fn(i64) -> [i64; 2]| [2, 4, 3].map(|r| numbers(&size(r), 3 + r));
    params.train("layer.lora_A.weight", &each(|r| [r, 6]), true);
    params.train("layer.lora_B.weight", &each(|r| [5, r]), true);
    params.train("layer.lora_magnitude_vector", &[11, 12, 13].map(|n| numbers(&[5], n)), true);
    let settings = AdapterSettings { scales: vec![0.5, 1.0, 2.0], dropouts: dropouts.to_vec() };
    let layer = if is_transposed { Linear::conv1d } else { Linear::new };
    (layer(&params, "layer", Some(&settings)), weight)
}

/// The output of PEFT's `DoraLinearVariant.forward` for one slot, written as it is there. `dropped` is what dropout
/// leaves of the input, where there is dropout.
fn by_peft(
    [weight, bias]: [&Tensor; 2],
    [a, b, magnitude]: [&Tensor; 3],
    scaling: f64,
    x: &Tensor,
    dropped: Option<&Tensor>,
) -> Tensor {
    let result = x.linear(weight, Some(bias));
    let (x, base_result) = match dropped {
        None => (x, &result - bias),
        Some(dropped) => (dropped, dropped.linear(weight, None::<&Tensor>)),
    };
    let lora_weight = b.matmul(a).detach();
    let norm = (weight + lora_weight * scaling).norm_scalaropt_dim(2, [1].as_slice(), false);
    let scale = (magnitude / norm).view([1, -1]);
    let low = x.linear(a, None::<&Tensor>).linear(b, None::<&Tensor>);
    result + (&scale - 1.0) * base_result + &scale * low * scaling
}

#[test]
fn dora_computes_what_peft_computes_with_dropout_and_without() {
    let x = numbers(&[3, 7, 6], 10);
    for (dropouts, is_transposed, is_shared) in [
        ([0.0; 3], false, true),
        ([0.5, 0.3, 0.2], false, true),
        ([0.5, 0.0, 0.2], true, true),
        ([0.0; 3], true, false),
        ([0.5, 0.0, 0.2], false, false),
    ] {
        let (layer, weight) = weighed(dropouts, is_transposed, is_shared);
        let adapter = layer.adapter.as_ref().unwrap();
        let leaves = [&adapter.a, &adapter.b, adapter.magnitude.as_ref().unwrap().lengths()];
        let x = x.detach().set_requires_grad(true);
        let dropped = training().dropout_per_slot(&x, &dropouts);
        let theirs = (0..3).zip([0.5, 1.0, 2.0]).map(|(k, scaling)| {
            let parts = leaves.map(|leaf| leaf.get(k));
            let dropped = (dropouts[k as usize] > 0.0).then(|| dropped.get(k));
            let bias = numbers(&[5], 2);
            by_peft([&weight, &bias], parts.each_ref(), scaling, &x.get(k), dropped.as_ref())
        });
        let theirs = Tensor::stack(&theirs.collect::<Vec<_>>(), 0);
        let ours = layer.forward(&x, &mut training());
        assert!(ours.allclose(&theirs, 1e-5, 1e-5, false), "{dropouts:?}");
        let inputs = [leaves[0], leaves[1], leaves[2], &x];
        let gradients =
            |y: &Tensor| Tensor::run_backward(&[y.square().sum(Kind::Float)], &inputs, false, false);
        for (ours, theirs) in gradients(&ours).iter().zip(gradients(&theirs)) {
            assert!(ours.allclose(&theirs, 1e-4, 1e-4, false), "{dropouts:?}");
        }
        // Nothing is dropped where nothing trains.
        let evaluated = layer.forward(&x, &mut Pass::evaluation());
        let undropped = weighed([0.0; 3], is_transposed, is_shared).0.forward(&x, &mut training());
        assert_eq!(evaluated, undropped);
    }
}

#[test]
fn dora_on_an_input_that_all_slots_share_gives_what_a_copy_for_each_gives() {
    for dropouts in [[0.0; 3], [0.5, 0.0, 0.2]] {
        let (layer, _) = weighed(dropouts, false, true);
        let x = numbers(&[1, 7, 6], 10);
        let shared = layer.forward(&x, &mut training());
        let copied = layer.forward(&x.expand([3, -1, -1], false).contiguous(), &mut training());
        assert_eq!(shared.size(), [3, 7, 5]);
        assert!(shared.allclose(&copied, 1e-5, 1e-5, false), "{dropouts:?}");
    }
}

#[test]
fn dora_on_a_base_in_bf16_multiplies_it_so_and_measures_lengths_in_32_bits() {
    for dropouts in [[0.0; 3], [0.5, 0.0, 0.2]] {
        let x = numbers(&[3, 7, 6], 10);
        let [exact, rounded] = [Kind::Float, Kind::BFloat16].map(|kind| {
            let mut params = Params::new(3);
            let weight = numbers(&[5, 6], 1).to_kind(Kind::BFloat16);
            params.freeze("layer.weight", weight.to_kind(kind));
            params.train("layer.lora_A.weight", &[1, 2, 3].map(|n| numbers(&[2, 6], n)), true);
            params.train("layer.lora_B.weight", &[4, 5, 6].map(|n| numbers(&[5, 2], n)), true);
            params.train("layer.lora_magnitude_vector", &[7, 8, 9].map(|n| numbers(&[5], n)), true);
            let settings = AdapterSettings { scales: vec![0.5, 1.0, 2.0], dropouts: dropouts.to_vec() };
            Linear::new(&params, "layer", Some(&settings))
        });
        let y = rounded.forward(&x, &mut training());
        assert_eq!(y.kind(), Kind::BFloat16);
        let apart =
            (y.to_kind(Kind::Float) - exact.forward(&x, &mut training())).abs().max().double_value(&[]);
        assert!(apart > 0.0 && apart < 0.1, "{apart}");
        let factor = |layer: &Linear| {
            let adapter = layer.adapter.as_ref().unwrap();
            adapter.magnitude.as_ref().unwrap().factor(&layer.out_in(), &adapter.a, &adapter.b)
        };
        assert_eq!(factor(&rounded), factor(&exact));
    }
}
