//! Owns AdamW (Loshchilov & Hutter 2019) and gradient clipping over a pack: every setting per slot, except
//! AdamW's betas and epsilon, which a pack shares. Knows no schedule and writes nothing.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use crate::model::device;
use crate::model::params::{Params, stack};
use crate::values::Training;

/// First and second moments of one tensor, `[K, …]`.
#[derive(Debug)]
struct Moments {
    first: Tensor,
    second: Tensor,
}

/// The optimiser's state.
#[derive(Debug)]
pub struct AdamW {
    moments: BTreeMap<String, Moments>,
}

/// One slot's part in an optimiser step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlotStep<'a> {
    /// The slot's settings.
    pub training: &'a Training,
    /// Steps it has done before this one.
    pub done: u64,
    /// Its learning rate now.
    pub learning_rate: f64,
}

impl AdamW {
    /// Zero moments for all trainable tensors.
    #[must_use]
    pub fn new(params: &Params) -> Self {
        let zeros = |t: &Tensor| Moments { first: t.detach().zeros_like(), second: t.detach().zeros_like() };
        Self { moments: params.trainable().map(|(name, t)| (name.to_owned(), zeros(&t.tensor))).collect() }
    }

    /// Clips each slot's gradient to its `clip_norm`, steps, and clears the gradients.
    ///
    /// Returns the gradient norms before clipping, `[K]`.
    pub fn step(&mut self, params: &Params, slots: &[SlotStep<'_>]) -> Tensor {
        tch::no_grad(|| {
            let norms = gradient_norms(params);
            let clip = clip_factors(&norms, slots);
            let device = norms.device();
            let per_slot = |f: &dyn Fn(&SlotStep<'_>) -> f64| column(slots, device, f);
            let beta1 = uniform(slots, |s| s.training.beta1);
            let beta2 = uniform(slots, |s| s.training.beta2);
            let epsilon = uniform(slots, |s| s.training.epsilon);
            let step_size = per_slot(&|s| s.learning_rate / (1.0 - s.training.beta1.powi(exponent(s))));
            let second_scale = per_slot(&|s| (1.0 - s.training.beta2.powi(exponent(s))).sqrt().recip());
            let keep = per_slot(&|s| 1.0 - s.learning_rate * s.training.weight_decay);
            let any_decay = slots.iter().any(|s| s.training.weight_decay > 0.0);
            for (name, trainable) in params.trainable() {
                let moments = self.moments_of(name);
                let flat = |t: &Tensor| t.view([norms.size()[0], -1]);
                let all =
                    [&trainable.tensor.detach(), &trainable.tensor.grad(), &moments.first, &moments.second]
                        .map(flat);
                for [mut value, mut gradient, mut first, mut second] in chunks(&all) {
                    if let Some(clip) = &clip {
                        let _ = gradient.g_mul_(clip);
                    }
                    if any_decay && trainable.decays {
                        let _ = value.g_mul_(&keep);
                    }
                    let _ = first.lerp_(&gradient, 1.0 - beta1);
                    let _ = second.g_mul_scalar_(beta2);
                    let _ = second.addcmul_(&gradient, &(&gradient * (1.0 - beta2)));
                    let mut denominator = second.sqrt();
                    let _ = denominator.g_mul_(&second_scale).g_add_scalar_(epsilon);
                    let _ = value.g_sub_(&(&first * &step_size).g_div_(&denominator));
                    let _ = gradient.zero_();
                }
            }
            norms
        })
    }

    /// The same state with the slots in `kept` only; `params` still has all slots.
    #[must_use]
    pub fn retain(&self, params: &Params, kept: &[usize]) -> Self {
        let moments = params.trainable().map(|(name, trainable)| {
            let take =
                |t: &Tensor| stack(&kept.iter().map(|slot| trainable.of_slot(t, *slot)).collect::<Vec<_>>());
            let Moments { first, second } = self.moments_of(name);
            (name.to_owned(), Moments { first: take(first), second: take(second) })
        });
        Self { moments: moments.collect() }
    }

    /// Appends the newcomers' state; `params` and `theirs` are not joined yet.
    #[must_use]
    pub fn join(&self, params: &Params, newcomers: &Self, theirs: &Params) -> Self {
        let moments = params.trainable().zip(theirs.trainable()).map(|((name, ours), (_, theirs))| {
            let join =
                |a: &Tensor, b: &Tensor| stack(&ours.of_each(a).chain(theirs.of_each(b)).collect::<Vec<_>>());
            let (a, b) = (self.moments_of(name), newcomers.moments_of(name));
            let (first, second) = (join(&a.first, &b.first), join(&a.second, &b.second));
            (name.to_owned(), Moments { first, second })
        });
        Self { moments: moments.collect() }
    }

    /// One slot's moments as `first/<name>` and `second/<name>`, sharing their storage.
    #[must_use]
    pub fn slot(&self, params: &Params, slot: usize) -> BTreeMap<String, Tensor> {
        let both = params.trainable().flat_map(|(name, trainable)| {
            let Moments { first, second } = self.moments_of(name);
            [("first", first), ("second", second)]
                .map(|(kind, moment)| (format!("{kind}/{name}"), trainable.of_slot(moment, slot)))
        });
        both.collect()
    }

    fn moments_of(&self, name: &str) -> &Moments {
        self.moments.get(name).expect("moments are made from the same tensors")
    }
}

/// The bias correction's exponent: steps done, this one included.
fn exponent(slot: &SlotStep<'_>) -> i32 {
    i32::try_from(slot.done + 1).unwrap_or(i32::MAX)
}

/// A setting that all slots of a pack share, since [`PackKey`](crate::values::axes::PackKey) includes it.
fn uniform(slots: &[SlotStep<'_>], get: impl Fn(&SlotStep<'_>) -> f64) -> f64 {
    let first = get(&slots[0]);
    debug_assert!(slots.iter().all(|s| get(s).to_bits() == first.to_bits()));
    first
}

/// One value per slot, `[K, 1]`.
fn column(slots: &[SlotStep<'_>], on: Device, get: &dyn Fn(&SlotStep<'_>) -> f64) -> Tensor {
    let values: Vec<f64> = slots.iter().map(get).collect();
    device::send(&Tensor::from_slice(&values).to_kind(Kind::Float), on).unsqueeze(1)
}

/// Cuts tensors of one shape `[K, n]` along n. On the host a chunk with its temporaries stays in the
/// cache, which makes a step over millions of parameters several times faster.
fn chunks<const N: usize>(tensors: &[Tensor; N]) -> impl Iterator<Item = [Tensor; N]> {
    const ELEMENTS: i64 = 1 << 16;
    let size = tensors[0].size();
    let length = match tensors[0].device() {
        Device::Cpu => (ELEMENTS / size[0]).max(1),
        Device::Cuda(_) | Device::Mps | Device::Vulkan => size[1],
    };
    (0..size[1]).step_by(usize::try_from(length.max(1)).expect("lengths are positive")).map(move |start| {
        let end = (start + length).min(size[1]);
        tensors.each_ref().map(|tensor| tensor.narrow(1, start, end - start))
    })
}

/// The norm of each slot's whole gradient, `[K]`.
fn gradient_norms(params: &Params) -> Tensor {
    let squares: Vec<Tensor> = params
        .trainable()
        .map(|(_, t)| {
            let gradient = t.tensor.grad();
            let flat = gradient.view([gradient.size()[0], -1]);
            flat.norm_scalaropt_dim(2.0, [1].as_slice(), false).square()
        })
        .collect();
    Tensor::stack(&squares, 0).sum_dim_intlist([0].as_slice(), false, Kind::Float).sqrt()
}

/// Factor on each slot's gradient, `[K, 1]`; `None` where no slot clips.
fn clip_factors(norms: &Tensor, slots: &[SlotStep<'_>]) -> Option<Tensor> {
    slots.iter().any(|s| s.training.clip_norm.is_some()).then(|| {
        let limits = column(slots, norms.device(), &|s| s.training.clip_norm.unwrap_or(f64::INFINITY));
        // The same guard as torch.nn.utils.clip_grad_norm_.
        (limits / (norms.unsqueeze(1) + 1e-6)).clamp_max(1.0)
    })
}
