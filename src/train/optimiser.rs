//! Owns AdamW (Loshchilov & Hutter 2019) and gradient clipping over a pack: every setting per slot, except
//! AdamW's betas and epsilon, which a pack shares. Knows no schedule and writes nothing.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use super::flat::Flat;
use crate::model::device;
use crate::model::params::{Params, fill};
use crate::values::Training;

/// The optimiser's state: the tensors that it trains and their moments, all in buffers of one layout.
#[derive(Debug)]
pub struct AdamW {
    flat: Flat,
    /// `[K, length]`.
    first: Tensor,
    /// `[K, length]`.
    second: Tensor,
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
    /// What that is multiplied by for the B of adapters and for tensors of one dimension (LoRA+, Hayou et al. 2024).
    pub ratio: f64,
}

impl AdamW {
    /// Zero moments for all trainable tensors. These move into the optimiser's buffers, with their gradients, and
    /// stay the same leaves: models made of them before see each step.
    #[must_use]
    pub fn new(params: &Params) -> Self {
        let flat = Flat::of(params);
        let [first, second] = [(); 2].map(|()| flat.values().zeros_like());
        Self { flat, first, second }
    }

    /// As [`AdamW::new`], with the moments that each slot had before, as [`AdamW::slot`] gave them.
    ///
    /// # Panics
    /// When a slot's tensors are not those of `params`.
    #[must_use]
    pub fn resumed(params: &Params, moments: &[BTreeMap<String, Tensor>]) -> Self {
        let optimiser = Self::new(params);
        for (slot, moments) in moments.iter().enumerate() {
            fill(&optimiser.slot(params, slot), moments).expect("a slot takes its tensors with it");
        }
        optimiser
    }

    /// Clips each slot's gradient to its `clip_norm`, steps, and clears the gradients.
    ///
    /// Returns the gradient norms before clipping, `[K]`.
    pub fn step(&mut self, slots: &[SlotStep<'_>]) -> Tensor {
        tch::no_grad(|| {
            let gradients = self.flat.gradients();
            let norms = gradient_norms(&gradients);
            let beta1 = uniform(slots, |s| s.training.beta1);
            let beta2 = uniform(slots, |s| s.training.beta2);
            let epsilon = uniform(slots, |s| s.training.epsilon);
            let [step_size, second_scale, keep, limit] = columns(
                slots,
                norms.device(),
                [
                    |s| step_size_at(s, s.learning_rate),
                    |s| (1.0 - s.training.beta2.powi(exponent(s))).sqrt().recip(),
                    |s| kept_at(s, s.learning_rate),
                    |s| s.training.clip_norm.unwrap_or(f64::INFINITY),
                ],
            );
            let clips = slots.iter().any(|s| s.training.clip_norm.is_some());
            // The same guard as torch.nn.utils.clip_grad_norm_.
            let clip = clips.then(|| (limit / (norms.unsqueeze(1) + 1e-6)).clamp_max(1.0));
            let any_decay = slots.iter().any(|s| s.training.weight_decay > 0.0);
            let differs = slots.iter().any(|s| s.ratio.to_bits() != 1.0_f64.to_bits());
            let faster = differs.then(|| {
                let [step_size, keep] = columns(
                    slots,
                    norms.device(),
                    [
                        |s| step_size_at(s, s.learning_rate * s.ratio),
                        |s| kept_at(s, s.learning_rate * s.ratio),
                    ],
                );
                (self.flat.faster(), step_size, keep)
            });
            let all = [self.flat.values(), &gradients, &self.first, &self.second];
            for (start, [mut value, mut gradient, mut first, mut second]) in chunks(all) {
                // Chosen element by element where rates differ, so that a slot's are the same beside any other.
                let own = faster.as_ref().map(|(which, fast_step, fast_keep)| {
                    let which = which.narrow(1, start, value.size()[1]);
                    [fast_step.where_self(&which, &step_size), fast_keep.where_self(&which, &keep)]
                });
                let [step_size, keep] = own.unwrap_or_else(|| [&step_size, &keep].map(Tensor::shallow_clone));
                if let Some(clip) = &clip {
                    let _ = gradient.g_mul_(clip);
                }
                let decaying = (self.flat.decaying() - start).clamp(0, value.size()[1]);
                if any_decay && decaying > 0 {
                    let keep = keep.narrow(1, 0, decaying.min(keep.size()[1]));
                    let _ = value.narrow(1, 0, decaying).g_mul_(&keep);
                }
                let _ = first.lerp_(&gradient, 1.0 - beta1);
                let _ = second.g_mul_scalar_(beta2);
                let _ = second.addcmul_(&gradient, &(&gradient * (1.0 - beta2)));
                let mut denominator = second.sqrt();
                let _ = denominator.g_mul_(&second_scale).g_add_scalar_(epsilon);
                let _ = value.g_sub_(&(&first * &step_size).g_div_(&denominator));
                // While it is in the cache.
                let _ = gradient.zero_();
            }
            if slots.len() > 1 {
                // That was a copy.
                self.flat.clear_gradients();
            }
            norms
        })
    }

    /// One slot's moments as `first/<name>` and `second/<name>`, sharing their storage.
    #[must_use]
    pub fn slot(&self, params: &Params, slot: usize) -> BTreeMap<String, Tensor> {
        let both = params.trainable().flat_map(|(name, trainable)| {
            [("first", &self.first), ("second", &self.second)].map(|(kind, moments)| {
                (format!("{kind}/{name}"), trainable.of_slot(&self.flat.part(moments, name), slot))
            })
        });
        both.collect()
    }
}

/// The factor on the mean gradient at a learning rate, with the correction of its bias.
fn step_size_at(slot: &SlotStep<'_>, learning_rate: f64) -> f64 {
    learning_rate / (1.0 - slot.training.beta1.powi(exponent(slot)))
}

/// What weight decay leaves of a weight at a learning rate.
fn kept_at(slot: &SlotStep<'_>, learning_rate: f64) -> f64 {
    1.0 - learning_rate * slot.training.weight_decay
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

/// Values per slot, `[K, 1]` each, in one transfer to the device.
fn columns<const N: usize>(
    slots: &[SlotStep<'_>],
    on: Device,
    of: [fn(&SlotStep<'_>) -> f64; N],
) -> [Tensor; N] {
    let values: Vec<f64> = of.iter().flat_map(|of| slots.iter().map(of)).collect();
    let values = device::send(&Tensor::from_slice(&values).to_kind(Kind::Float), on);
    let values = values.view([of.len() as i64, slots.len() as i64, 1]).unbind(0);
    values.try_into().expect("as many as were asked for")
}

/// Cuts tensors of one shape `[K, n]` along n, and says where each part starts. On the host a part with its
/// temporaries stays in the cache, which makes a step over millions of parameters several times faster.
fn chunks<const N: usize>(tensors: [&Tensor; N]) -> impl Iterator<Item = (i64, [Tensor; N])> {
    const ELEMENTS: i64 = 1 << 16;
    let size = tensors[0].size();
    let length = match tensors[0].device() {
        Device::Cpu => ELEMENTS / size[0],
        Device::Cuda(_) | Device::Mps | Device::Vulkan => size[1],
    };
    let length = length.max(1);
    (0..size[1]).step_by(usize::try_from(length).expect("lengths are positive")).map(move |start| {
        let end = (start + length).min(size[1]);
        (start, tensors.map(|tensor| tensor.narrow(1, start, end - start)))
    })
}

/// The norm of each slot's whole gradient, `[K]`. The squares of a part are added up in 32 bits, which libtorch
/// does in a tree, and the sums of the parts in 64.
fn gradient_norms(gradients: &Tensor) -> Tensor {
    let sum = |(_, [part]): (i64, [Tensor; 1])| {
        part.square().sum_dim_intlist([1].as_slice(), false, Kind::Float).to_kind(Kind::Double)
    };
    let squares: Vec<Tensor> = chunks([gradients]).map(sum).collect();
    Tensor::stack(&squares, 0)
        .sum_dim_intlist([0].as_slice(), false, Kind::Double)
        .sqrt()
        .to_kind(Kind::Float)
}
