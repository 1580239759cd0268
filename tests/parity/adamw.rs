//! AdamW over flat buffers against torch's, and against the same arithmetic tensor by tensor.

use std::collections::BTreeMap;
use std::path::Path;

use lorasweep::model::params::Params;
use lorasweep::train::optimiser::{AdamW, SlotStep};
use lorasweep::values::Training;
use tch::{Device, Kind, Tensor};

const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Adds gradients, one for each slot and of its own sizes, to a tensor's, as the backward pass does.
fn add_gradient(params: &Params, name: &str, values: &[Tensor]) {
    let (_, trainable) = params.trainable().find(|(other, _)| *other == name).unwrap();
    for (slot, value) in values.iter().enumerate() {
        let _ = trainable.of_slot(&trainable.tensor.grad(), slot).g_add_(value);
    }
}

fn steps(trainings: &[Training], done: u64) -> Vec<SlotStep<'_>> {
    let step = |training| SlotStep { training, done, learning_rate: training.learning_rate, ratio: 1.0 };
    trainings.iter().map(step).collect()
}

#[test]
fn ten_steps_are_those_of_torch() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adamw.safetensors");
    let recorded: BTreeMap<String, Tensor> = Tensor::read_safetensors(path).unwrap().into_iter().collect();
    let settings =
        [("plain", 1e-3, 0.0, None), ("decaying", 3e-2, 0.3, None), ("clipped", 1e-2, 0.1, Some(0.5))];
    let trainings = settings.map(|(_, learning_rate, weight_decay, clip_norm)| Training {
        weight_decay,
        clip_norm,
        ..Training::new(learning_rate)
    });
    let names = ["matrix", "table", "bias"];
    let mut params = Params::new(3);
    for name in names {
        let start = &recorded[&format!("start.{name}")];
        params.train(name, &[start.copy(), start.copy(), start.copy()], name != "bias");
    }
    let mut optimiser = AdamW::new(&params);
    for step in 0..10 {
        for name in names {
            let gradient = recorded[&format!("gradient.{name}")].get(step);
            add_gradient(&params, name, &[(); 3].map(|()| gradient.shallow_clone()));
        }
        let norms = optimiser.step(&steps(&trainings, step as u64));
        for (slot, (setting, ..)) in settings.iter().enumerate() {
            let expected = recorded[&format!("{setting}.norms")].double_value(&[step]);
            assert!(
                (norms.double_value(&[slot as i64]) - expected).abs() < 1e-6 * expected,
                "{setting}, {step}"
            );
            for (name, ours) in params.slot(slot) {
                let theirs = recorded[&format!("{setting}.after.{name}")].get(step);
                let apart = (ours - theirs).abs().max().double_value(&[]);
                assert!(apart < 1e-6, "{setting}, {name}, step {step}: {apart:.1e}");
            }
        }
    }
}

/// Beside a slot that trains at one rate, the optimiser of PEFT for LoRA+.
#[test]
fn b_and_biases_train_faster_as_in_peft() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adamw.safetensors");
    let recorded: BTreeMap<String, Tensor> = Tensor::read_safetensors(path).unwrap().into_iter().collect();
    let names = ["layer.lora_A.weight", "layer.lora_B.weight", "head.weight", "head.bias"];
    let training = Training { weight_decay: 0.3, clip_norm: None, ..Training::new(1e-3) };
    let of = |ratios: &[f64]| {
        let mut params = Params::new(ratios.len());
        for name in names {
            let start = &recorded[&format!("plus.start.{name}")];
            let starts: Vec<Tensor> = ratios.iter().map(|_| start.copy()).collect();
            params.train(name, &starts, name != "head.bias");
        }
        let mut optimiser = AdamW::new(&params);
        for done in 0..10 {
            for name in names {
                let gradient = recorded[&format!("plus.gradient.{name}")].get(done as i64);
                let each = ratios.iter().map(|_| gradient.shallow_clone()).collect::<Vec<_>>();
                add_gradient(&params, name, &each);
            }
            let step =
                |ratio: &f64| SlotStep { training: &training, done, learning_rate: 1e-3, ratio: *ratio };
            let _ = optimiser.step(&ratios.iter().map(step).collect::<Vec<_>>());
        }
        params
    };
    let both = of(&[1.0, 16.0]);
    for name in names {
        let theirs = recorded[&format!("plus.after.{name}")].get(9);
        let apart = (&both.slot(1)[name] - theirs).abs().max().double_value(&[]);
        assert!(apart < 1e-6, "{name}: {apart:.1e}");
    }
    assert_eq!(both.slot(0), of(&[1.0]).slot(0), "a slot without it has the bits that it has alone");
    assert_eq!(both.slot(1), of(&[16.0]).slot(0));
}

/// One tensor of one slot with its moments.
struct Alone {
    value: Tensor,
    first: Tensor,
    second: Tensor,
    decays: bool,
}

impl Alone {
    fn new(value: &Tensor, decays: bool) -> Self {
        Self { value: value.copy(), first: value.zeros_like(), second: value.zeros_like(), decays }
    }

    fn step(&mut self, gradient: &Tensor, training: &Training, done: u64) {
        let exponent = i32::try_from(done).unwrap() + 1;
        let number = |value: f64| Tensor::from_slice(&[value]).to_kind(Kind::Float);
        if training.weight_decay > 0.0 && self.decays {
            let _ = self.value.g_mul_(&number(1.0 - training.learning_rate * training.weight_decay));
        }
        let _ = self.first.lerp_(gradient, 1.0 - training.beta1);
        let _ = self.second.g_mul_scalar_(training.beta2);
        let _ = self.second.addcmul_(gradient, &(gradient * (1.0 - training.beta2)));
        let scale = number((1.0 - training.beta2.powi(exponent)).sqrt().recip());
        let denominator = self.second.sqrt() * scale + training.epsilon;
        let size = number(training.learning_rate / (1.0 - training.beta1.powi(exponent)));
        let _ = self.value.g_sub_(&(&self.first * size / denominator));
    }
}

/// The factor on a slot's gradients.
fn clip(gradients: &[Tensor], training: &Training) -> Option<Tensor> {
    let square = |gradient: &Tensor| gradient.to_kind(Kind::Double).square().sum(Kind::Double);
    let norm = gradients.iter().map(square).sum::<Tensor>().sqrt().to_kind(Kind::Float);
    training.clip_norm.map(|limit| (limit / (norm + 1e-6)).clamp_max(1.0))
}

/// Tensors of a length that fills no vector, padded ranks, and one of several chunks.
fn sizes(rank: i64) -> [(&'static str, [i64; 2], bool); 5] {
    [
        ("bias", [1, 13], false),
        ("lora_A", [rank, 37], true),
        ("lora_B", [29, rank], true),
        ("norm", [1, 64], false),
        ("table", [331, 211], true),
    ]
}

#[test]
fn twenty_steps_have_the_bits_of_steps_tensor_by_tensor() {
    for (ranks, clip_norm) in
        [&[2_i64][..], &[8, 2], &[4, 2, 8]].into_iter().flat_map(|r| [(r, None), (r, Some(0.5))])
    {
        // Numbers that look random: libtorch has one generator for all tests of this process.
        let numbers = |size: &[i64], start: i64| {
            let scattered = Tensor::arange(size.iter().product::<i64>(), (Kind::Double, Device::Cpu)) + start;
            (scattered.square() * 0.7).sin().to_kind(Kind::Float).view(size)
        };
        let slots = || ranks.iter().enumerate().map(|(slot, rank)| (1000 * slot as i64, *rank));
        let each = |n: usize, start: i64| {
            slots().map(move |(slot, rank)| numbers(&sizes(rank)[n].1, slot + start)).collect::<Vec<_>>()
        };
        let mut params = Params::new(ranks.len());
        for (n, (name, _, decays)) in sizes(1).into_iter().enumerate() {
            params.train(name, &each(n, 17 * n as i64), decays);
        }
        let training = |(slot, _): (i64, i64)| Training {
            // One slot has no decay and one no clipping.
            weight_decay: if slot == 1000 { 0.0 } else { 0.1 },
            clip_norm: clip_norm.filter(|_| slot < 2000),
            ..Training::new(1e-2 / (1 + slot) as f64)
        };
        let trainings: Vec<Training> = slots().map(training).collect();
        let of_slot = |values: BTreeMap<String, Tensor>| {
            let decays = |name: &str| sizes(1).iter().any(|(other, _, decays)| *other == name && *decays);
            values.into_iter().map(|(name, t)| (name.clone(), Alone::new(&t, decays(&name)))).collect()
        };
        let mut alone: Vec<BTreeMap<String, Alone>> =
            (0..ranks.len()).map(|slot| of_slot(params.slot(slot))).collect();
        let mut optimiser = AdamW::new(&params);
        for step in 0..20 {
            let gradients: Vec<Vec<Tensor>> = (0..5).map(|n| each(n, 31 * step + 7 * n as i64)).collect();
            for ((name, ..), gradients) in sizes(1).iter().zip(&gradients) {
                add_gradient(&params, name, gradients);
            }
            let _ = optimiser.step(&steps(&trainings, step as u64));
            for (slot, (tensors, training)) in alone.iter_mut().zip(&trainings).enumerate() {
                let own: Vec<Tensor> = gradients.iter().map(|each| each[slot].shallow_clone()).collect();
                let clip = clip(&own, training);
                for ((name, ..), gradient) in sizes(1).iter().zip(own) {
                    let gradient = clip.as_ref().map_or(gradient.shallow_clone(), |clip| gradient * clip);
                    tensors.get_mut(*name).unwrap().step(&gradient, training, step as u64);
                }
            }
        }
        for (slot, tensors) in alone.iter().enumerate() {
            let ours = params.slot(slot);
            let moments = optimiser.slot(&params, slot);
            for (name, theirs) in tensors {
                let pairs = [
                    (&ours[name], &theirs.value),
                    (&moments[&format!("first/{name}")], &theirs.first),
                    (&moments[&format!("second/{name}")], &theirs.second),
                ];
                for (ours, theirs) in pairs {
                    assert!(theirs.abs().max().double_value(&[]) > 0.0);
                    match trainings[slot].clip_norm {
                        None => assert_eq!(ours, theirs, "{ranks:?}, slot {slot}, {name}"),
                        Some(_) => {
                            assert!(ours.allclose(theirs, 1e-6, 1e-6, false), "{ranks:?}, {slot}, {name}")
                        }
                    }
                }
            }
        }
    }
}

/// Each slot takes its moments with it, whatever the ranks beside it are.
#[test]
fn moments_of_other_ranks_side_by_side_keep_their_bits() {
    let make = |rank: i64, fill: f64| {
        let mut params = Params::new(1);
        params.train("a", &[Tensor::full([rank, 3], fill, CPU)], true);
        let mut optimiser = AdamW::new(&params);
        add_gradient(&params, "a", &[Tensor::full([rank, 3], 0.5 - fill, CPU)]);
        let _ = optimiser.step(&steps(&[Training::new(1e-3)], 0));
        (params, optimiser)
    };
    let both = [make(2, 0.1), make(5, 0.7)];
    let moments: Vec<_> = both.iter().map(|(params, optimiser)| optimiser.slot(params, 0)).collect();
    let [ours, theirs] = &both;
    let joined = ours.0.join(&theirs.0);
    let optimiser = AdamW::resumed(&joined, &moments);
    for (slot, moments) in moments.iter().enumerate() {
        assert_eq!(&optimiser.slot(&joined, slot), moments);
        assert_eq!(moments["first/a"].size(), [[2, 3], [5, 3]][slot]);
    }
    let kept = joined.retain(&[0]);
    assert_eq!(AdamW::resumed(&kept, &moments[..1]).slot(&kept, 0), moments[0]);
}
