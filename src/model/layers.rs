//! Owns the layers that models are made of, each for a whole pack: `x` is `[K, n, width]`, K slots of
//! n rows. Frozen weights are multiplied once for all slots, stacked ones slot by slot.
//!
//! With `precision: bf16` the base's products take and give bf16; norms, embeddings, adapters, heads and the
//! sums between layers are computed in 32 bits.

use tch::{Device, Kind, Tensor};

use super::device;
use super::magnitude::Magnitude;
use super::params::{Params, Weight, index};
use super::pass::Pass;
use crate::families::blueprint::Activation;

/// The adapters of one linear layer, one per slot; ranks below the largest are padded with zeros,
/// which stay zero since their gradient is zero.
#[derive(Debug)]
pub struct Adapter {
    /// `[K, r, in]`.
    a: Tensor,
    /// `[K, out, r]`.
    b: Tensor,
    /// `[K, 1, 1]`: alpha / r of each slot, or alpha / sqrt(r).
    scale: Tensor,
    /// Dropout on the adapter's input, per slot.
    dropout: Vec<f64>,
    /// The lengths of the adapted weight's rows, where they train by themselves: DoRA.
    magnitude: Option<Magnitude>,
}

/// The settings of the slots' adapters that are not tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterSettings {
    /// Scale per slot.
    pub scales: Vec<f64>,
    /// Dropout per slot.
    pub dropouts: Vec<f64>,
}

impl AdapterSettings {
    /// The settings of the slots in `kept`.
    #[must_use]
    pub fn retain(&self, kept: &[usize]) -> Self {
        let take = |values: &[f64]| kept.iter().map(|slot| values[*slot]).collect();
        Self { scales: take(&self.scales), dropouts: take(&self.dropouts) }
    }

    /// Appends the newcomers' settings.
    #[must_use]
    pub fn join(mut self, newcomers: Self) -> Self {
        self.scales.extend(newcomers.scales);
        self.dropouts.extend(newcomers.dropouts);
        self
    }
}

/// `y = x W^T + b`, plus the adapter's `scale * B A dropout(x)` (Hu et al. 2021, equation 3). With DoRA each row of
/// `W + scale * B A` is multiplied to have the length that it trains (Liu et al. 2024, equation 5).
#[derive(Debug)]
pub struct Linear {
    weight: Weight,
    /// The format in which `x W^T + b` is computed; weights that train are rounded to it at every use.
    kind: Kind,
    /// Whether the weight is `[in, out]`, as GPT-2 stores it, rather than `[out, in]`.
    is_transposed: bool,
    bias: Option<Weight>,
    adapter: Option<Box<Adapter>>,
}

impl Linear {
    /// The layer called `name`, with a bias and an adapter where `params` has them.
    #[must_use]
    pub fn new(params: &Params, name: &str, settings: Option<&AdapterSettings>) -> Self {
        Self::find(params, name, settings, false)
    }

    /// The same with a weight `[in, out]`: transformers' `Conv1D`.
    #[must_use]
    pub fn conv1d(params: &Params, name: &str, settings: Option<&AdapterSettings>) -> Self {
        Self::find(params, name, settings, true)
    }

    fn find(params: &Params, name: &str, settings: Option<&AdapterSettings>, is_transposed: bool) -> Self {
        let weight_name = format!("{name}.weight");
        let (weight, kind) = (params.weight(&weight_name), params.product_kind(&weight_name));
        let bias = params.find(&format!("{name}.bias"));
        let layer = Self { weight, kind, is_transposed, bias, adapter: None };
        let adapter = settings.and_then(|settings| Adapter::find(params, name, settings, &layer.out_in()));
        Self { adapter: adapter.map(Box::new), ..layer }
    }

    /// The weight as `[out, in]`, in the format in which it is stored.
    fn out_in(&self) -> Weight {
        let turned = |weight: &Tensor| {
            if self.is_transposed { weight.transpose(-2, -1) } else { weight.shallow_clone() }
        };
        match &self.weight {
            Weight::Shared(weight) => Weight::Shared(turned(weight)),
            Weight::Stacked(weight) => Weight::Stacked(turned(weight)),
        }
    }

    /// `[K, n, in]` to `[K, n, out]`: [`Linear::base`], then [`Linear::adapt`].
    pub fn forward(&self, x: &Tensor, pass: &mut Pass) -> Tensor {
        self.adapt(&self.base(x), x, pass)
    }

    /// `x W^T + b`: `[K, n, in]` to `[K, n, out]`. Where the weight is shared and all slots read the same
    /// input, `x` may be `[1, n, in]`, which gives `[1, n, out]`.
    pub fn base(&self, x: &Tensor) -> Tensor {
        self.product(x, self.bias.as_ref())
    }

    fn product(&self, x: &Tensor, bias: Option<&Weight>) -> Tensor {
        let x = x.to_kind(self.kind);
        match self.out_in() {
            Weight::Shared(weight) => {
                let bias = bias.map(|bias| bias.shared().to_kind(self.kind));
                x.linear(&weight.to_kind(self.kind), bias)
            }
            Weight::Stacked(weight) => {
                let bias = bias.map(|bias| bias.stacked().to_kind(self.kind));
                stacked_linear(&x, &weight.to_kind(self.kind), bias.as_ref())
            }
        }
    }

    /// `y` plus the output of each slot's adapter on `x`, `[K, n, out]`, summed in 32 bits and returned in the
    /// kind of `y`; `y` unchanged where there is no adapter. Each of `x` `[K, n, in]` and `y` `[K, n, out]` may
    /// have one slice that all slots share.
    pub fn adapt(&self, y: &Tensor, x: &Tensor, pass: &mut Pass) -> Tensor {
        let Some(adapter) = &self.adapter else { return y.shallow_clone() };
        let read = pass.dropout_per_slot(&x.to_kind(Kind::Float), &adapter.dropout);
        let (wide, b) = (y.to_kind(Kind::Float), &adapter.b * &adapter.scale);
        let adapted = match &adapter.magnitude {
            None => adapter.add_to(&wide, &read, &b),
            Some(magnitude) => {
                let drops = adapter.dropout.iter().any(|p| pass.drops(*p));
                let plain = if drops { self.without_bias(&read) } else { self.less_bias(&wide) };
                let factor = magnitude.factor(&self.out_in(), &adapter.a, &b);
                (factor * adapter.add_to(&plain, &read, &b)).g_sub_(&plain).g_add_(&wide)
            }
        };
        adapted.to_kind(y.kind())
    }

    /// `x W^T`, in 32 bits. As in PEFT, what DoRA's lengths change is computed of the input after dropout, and the base
    /// itself of the input before.
    fn without_bias(&self, x: &Tensor) -> Tensor {
        self.product(x, None).to_kind(Kind::Float)
    }

    /// `x W^T` of `x W^T + b`, both in 32 bits.
    fn less_bias(&self, y: &Tensor) -> Tensor {
        match &self.bias {
            None => y.shallow_clone(),
            Some(Weight::Shared(bias)) => y - bias.to_kind(Kind::Float),
            Some(Weight::Stacked(bias)) => y - bias.to_kind(Kind::Float).unsqueeze(1),
        }
    }

    /// Whether all slots have the same layer.
    pub fn is_shared(&self) -> bool {
        self.adapter.is_none() && self.base_is_shared()
    }

    /// Whether all slots have the same layer apart from their adapters.
    pub fn base_is_shared(&self) -> bool {
        self.weight.is_shared()
    }
}

/// `[K or 1, n, in]` to `[K, n, out]` with `[K, out, in]` and `[K, out]`.
fn stacked_linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    if weight.size()[0] == 1 {
        // A batched product of a single matrix is slower than a plain one.
        return x.linear(&weight.squeeze_dim(0), bias.map(|bias| bias.squeeze_dim(0)));
    }
    let x = for_slots(x, weight.size()[0]);
    match bias {
        Some(bias) => bias.unsqueeze(1).baddbmm(&x, &weight.transpose(1, 2), 1, 1),
        None => x.bmm(&weight.transpose(1, 2)),
    }
}

/// The slices of each slot. Their gradients are put side by side once; selecting a slice would make a gradient
/// as large as all of them for each.
fn slices(stacked: &Tensor) -> Vec<Tensor> {
    if stacked.size()[0] == 1 { vec![stacked.squeeze_dim(0)] } else { stacked.unbind(0) }
}

/// `[K or 1, …]` as `[K, …]`, without a copy.
pub(super) fn for_slots(x: &Tensor, slots: i64) -> Tensor {
    let mut size = x.size();
    size[0] = slots;
    x.expand(size, false)
}

impl Adapter {
    /// The adapter on the layer called `name` with this weight, `[out, in]`.
    fn find(params: &Params, name: &str, settings: &AdapterSettings, weight: &Weight) -> Option<Self> {
        let a = params.find(&format!("{name}.lora_A.weight"))?.into_stacked();
        let b = params.find(&format!("{name}.lora_B.weight"))?.into_stacked();
        let scales = Tensor::from_slice(&settings.scales).to_kind(Kind::Float);
        let scale = device::send(&scales.view([-1, 1, 1]), a.device());
        let magnitude = params.find(&format!("{name}.lora_magnitude_vector"));
        let magnitude = magnitude.map(|lengths| Magnitude::new(lengths.into_stacked(), weight));
        Some(Self { a, b, scale, dropout: settings.dropouts.clone(), magnitude })
    }

    /// `y + B A x` of each slot, with `b` for B with the scale; all in 32 bits.
    fn add_to(&self, y: &Tensor, x: &Tensor, b: &Tensor) -> Tensor {
        if self.dropout.len() == 1 {
            let low = x.linear(&self.a.squeeze_dim(0), None::<&Tensor>);
            return y + low.linear(&b.squeeze_dim(0), None::<&Tensor>);
        }
        y.baddbmm(&self.reduce(x), &b.transpose(1, 2), 1, 1)
    }

    /// `A x` of each slot, `[K, n, r]`; where all slots share the input, in one product with the ranks side by
    /// side.
    fn reduce(&self, x: &Tensor) -> Tensor {
        if x.size()[0] > 1 {
            return x.bmm(&self.a.transpose(1, 2));
        }
        let [slots, rank, width] = self.a.size()[..] else { unreachable!("A is `[K, r, in]`") };
        let low = x.squeeze_dim(0).linear(&self.a.reshape([slots * rank, width]), None::<&Tensor>);
        low.view([-1, slots, rank]).transpose(0, 1)
    }
}

/// A table of vectors.
#[derive(Debug)]
pub struct Embedding {
    weight: Weight,
    /// The format of the table's products, where it is used as an output layer.
    kind: Kind,
    /// Added to every vector, where the table is a dense layer over one-hot words.
    bias: Option<Weight>,
    padding: i64,
}

impl Embedding {
    /// The table `[words, width]` called `tensor`. Row `padding` gets no gradient; -1 for no such row. With a
    /// bias, the tensor is the matrix `[width, words]` of a dense layer over one-hot words, of which each word
    /// selects a column.
    #[must_use]
    pub fn new(params: &Params, tensor: &str, bias: Option<&str>, padding: i64) -> Self {
        let bias = bias.map(|bias| params.weight(bias));
        Self { weight: params.weight(tensor), kind: params.product_kind(tensor), bias, padding }
    }

    /// Whether all slots have the same table.
    pub fn is_shared(&self) -> bool {
        self.weight.is_shared()
    }

    /// Ids `[K, n]` to vectors `[K, n, width]` of 32 bits; with a table per slot, ids may be `[1, n]` for all.
    pub fn forward(&self, ids: &Tensor) -> Tensor {
        let look_up = |weight: &Tensor, bias: Option<&Tensor>, ids: &Tensor| match bias {
            None => Tensor::embedding(weight, ids, self.padding, false, false).to_kind(Kind::Float),
            Some(bias) => {
                let columns = Tensor::embedding(&weight.tr(), ids, self.padding, false, false);
                columns.to_kind(Kind::Float) + bias
            }
        };
        match &self.weight {
            Weight::Shared(weight) => look_up(weight, self.bias.as_ref().map(Weight::shared), ids),
            Weight::Stacked(weight) => {
                let ids = for_slots(ids, weight.size()[0]).unbind(0);
                let biases = self.bias.as_ref().map(|bias| slices(bias.stacked()));
                let bias = |k: usize| biases.as_ref().map(|biases| &biases[k]);
                let tables = slices(weight);
                let parts = tables.iter().zip(&ids).enumerate().map(|(k, (t, ids))| look_up(t, bias(k), ids));
                Tensor::stack(&parts.collect::<Vec<_>>(), 0)
            }
        }
    }

    /// The first `n` rows for every slot, `[K or 1, n, width]`, in 32 bits.
    pub fn head(&self, n: usize) -> Tensor {
        let rows = match &self.weight {
            Weight::Shared(weight) => weight.narrow(0, 0, index(n)).unsqueeze(0),
            Weight::Stacked(weight) => weight.narrow(1, 0, index(n)),
        };
        rows.to_kind(Kind::Float)
    }

    /// The products of `[K, n, width]` with every row, `[K, n, words]`: the table as an output layer.
    pub fn scores(&self, x: &Tensor) -> Tensor {
        let x = x.to_kind(self.kind);
        match &self.weight {
            Weight::Shared(weight) => x.linear(&weight.to_kind(self.kind), None::<&Tensor>),
            Weight::Stacked(weight) => stacked_linear(&x, &weight.to_kind(self.kind), None),
        }
    }

    /// Rows of the table.
    pub fn rows(&self) -> i64 {
        match &self.weight {
            Weight::Shared(weight) => weight.size()[0],
            Weight::Stacked(weight) => weight.size()[1],
        }
    }

    /// The device that holds the table.
    pub fn device(&self) -> Device {
        match &self.weight {
            Weight::Shared(weight) | Weight::Stacked(weight) => weight.device(),
        }
    }
}

/// Applies an activation to each number.
pub(super) fn activate(x: &Tensor, activation: Activation) -> Tensor {
    match activation {
        Activation::Gelu => x.gelu("none"),
        Activation::GeluTanh => x.gelu("tanh"),
        Activation::Tanh => x.tanh(),
        Activation::Relu => x.relu(),
        Activation::Silu => x.silu(),
    }
}

impl Weight {
    pub(super) fn is_shared(&self) -> bool {
        match self {
            Self::Shared(_) => true,
            Self::Stacked(_) => false,
        }
    }

    pub(super) fn shared(&self) -> &Tensor {
        match self {
            Self::Shared(tensor) => tensor,
            Self::Stacked(_) => panic!("a layer's weight and bias are frozen together or trained together"),
        }
    }

    pub(super) fn stacked(&self) -> &Tensor {
        match self {
            Self::Stacked(tensor) => tensor,
            Self::Shared(_) => panic!("a layer's weight and bias are frozen together or trained together"),
        }
    }

    fn into_stacked(self) -> Tensor {
        match self {
            Self::Stacked(tensor) => tensor,
            Self::Shared(_) => panic!("adapters always train"),
        }
    }
}

#[cfg(test)]
mod tests;
