//! Layers whose input all slots share, and products in bf16, against what each slot computes alone.

use super::*;
use crate::model::pass::Stream;
use crate::values::stream::StreamKey;

const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Three slots with ranks 2, 4 and 3 on a frozen layer of 6 to 5.
fn adapted(dropouts: [f64; 3], kind: Kind) -> Linear {
    tch::manual_seed(1);
    let mut params = Params::new(3);
    params.freeze("layer.weight", Tensor::randn([5, 6], CPU).to_kind(kind));
    params.freeze("layer.bias", Tensor::randn([5], CPU).to_kind(kind));
    let each = |size: fn(i64) -> [i64; 2]| [2, 4, 3].map(|r| Tensor::randn(size(r), CPU));
    params.train("layer.lora_A.weight", &each(|r| [r, 6]), true);
    params.train("layer.lora_B.weight", &each(|r| [5, r]), true);
    let settings = AdapterSettings { scales: vec![0.5, 1.0, 2.0], dropouts: dropouts.to_vec() };
    Linear::new(&params, "layer", Some(&settings))
}

fn training() -> Pass {
    let stream = |seed| Stream { key: StreamKey::from_seed(seed), step: 0, rows: 7, tokens: 1 };
    Pass::training((1..=3).map(stream).collect())
}

#[test]
fn an_input_that_all_slots_share_gives_what_a_copy_for_each_gives() {
    for dropouts in [[0.0; 3], [0.5, 0.0, 0.2]] {
        let layer = adapted(dropouts, Kind::Float);
        let x = Tensor::randn([1, 7, 6], CPU);
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
    let x = Tensor::randn([3, 7, 6], CPU);
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
    let values = |size: &[i64]| [1, 2].map(|_| Tensor::randn(size, CPU));
    params.train("layer.weight", &values(&[5, 6]), true);
    params.train("layer.bias", &values(&[5]), false);
    params.multiply_in("layer.weight", Kind::BFloat16);
    let x = Tensor::randn([2, 7, 6], CPU);
    for params in [params.retain(&[0, 1]), params.retain(&[1]), params] {
        let y = Linear::new(&params, "layer", None).base(&x.narrow(0, 0, index(params.slots())));
        assert_eq!(y.kind(), Kind::BFloat16);
        y.sum(Kind::Float).backward();
        for (name, trainable) in params.trainable() {
            assert_eq!([trainable.tensor.kind(), trainable.tensor.grad().kind()], [Kind::Float; 2], "{name}");
        }
    }
}
