//! Owns the layers that models are made of, each for a whole pack: `x` is `[K, n, width]`, K slots of
//! n rows. Frozen weights are multiplied once for all slots, stacked ones slot by slot.

use tch::{Kind, Tensor};

use super::params::{Params, Weight, index};
use super::pass::Pass;

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
}

/// What the slots' adapters have besides tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterSettings {
    /// Scale per slot.
    pub scales: Vec<f64>,
    /// Dropout per slot.
    pub dropouts: Vec<f64>,
}

impl AdapterSettings {
    /// Those of the slots in `kept`.
    #[must_use]
    pub fn retain(&self, kept: &[usize]) -> Self {
        let take = |values: &[f64]| kept.iter().map(|slot| values[*slot]).collect();
        Self { scales: take(&self.scales), dropouts: take(&self.dropouts) }
    }
}

/// `y = x W^T + b`, plus the adapter's `scale * B A dropout(x)` (Hu et al. 2021, equation 3).
#[derive(Debug)]
pub struct Linear {
    weight: Weight,
    bias: Weight,
    adapter: Option<Adapter>,
}

impl Linear {
    /// The layer called `name`, with its adapter where `params` has one.
    #[must_use]
    pub fn new(params: &Params, name: &str, settings: Option<&AdapterSettings>) -> Self {
        let adapter = settings.and_then(|settings| Adapter::find(params, name, settings));
        let weight = params.weight(&format!("{name}.weight"));
        let bias = params.weight(&format!("{name}.bias"));
        Self { weight, bias, adapter }
    }

    /// `[K, n, in]` to `[K, n, out]`.
    pub fn forward(&self, x: &Tensor, pass: &mut Pass) -> Tensor {
        let y = match (&self.weight, &self.bias) {
            (Weight::Shared(weight), Weight::Shared(bias)) => x.linear(weight, Some(bias)),
            (weight, bias) => stacked_linear(x, weight.stacked(), bias.stacked()),
        };
        match &self.adapter {
            Some(adapter) => adapter.add_to(&y, x, pass),
            None => y,
        }
    }
}

fn stacked_linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
    if weight.size()[0] == 1 {
        // A batched product of one is slower than a plain one.
        return x.linear(&weight.get(0), Some(bias.get(0)));
    }
    bias.unsqueeze(1).baddbmm(x, &weight.transpose(1, 2), 1, 1)
}

impl Adapter {
    fn find(params: &Params, name: &str, settings: &AdapterSettings) -> Option<Self> {
        let a = params.find(&format!("{name}.lora_A.weight"))?.into_stacked();
        let b = params.find(&format!("{name}.lora_B.weight"))?.into_stacked();
        let scale =
            Tensor::from_slice(&settings.scales).to_kind(Kind::Float).to_device(a.device()).view([-1, 1, 1]);
        Some(Self { a, b, scale, dropout: settings.dropouts.clone() })
    }

    fn add_to(&self, y: &Tensor, x: &Tensor, pass: &mut Pass) -> Tensor {
        let x = pass.dropout_per_slot(x, &self.dropout);
        let b = &self.b * &self.scale;
        if self.dropout.len() == 1 {
            return y + x.linear(&self.a.get(0), None::<&Tensor>).linear(&b.get(0), None::<&Tensor>);
        }
        y.baddbmm(&x.bmm(&self.a.transpose(1, 2)), &b.transpose(1, 2), 1, 1)
    }
}

/// Layer normalisation (Ba et al. 2016) over the last dimension.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Weight,
    bias: Weight,
    epsilon: f64,
}

impl LayerNorm {
    /// The layer called `name`.
    #[must_use]
    pub fn new(params: &Params, name: &str, epsilon: f64) -> Self {
        let weight = params.weight(&format!("{name}.weight"));
        let bias = params.weight(&format!("{name}.bias"));
        Self { weight, bias, epsilon }
    }

    /// `[K, n, width]` to the same.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let width = *x.size().last().expect("activations have a width");
        let norm = |weight: Option<&Tensor>, bias: Option<&Tensor>| {
            x.layer_norm([width], weight, bias, self.epsilon, true)
        };
        match (&self.weight, &self.bias) {
            (Weight::Shared(weight), Weight::Shared(bias)) => norm(Some(weight), Some(bias)),
            (weight, bias) if weight.stacked().size()[0] == 1 => {
                norm(Some(&weight.stacked().get(0)), Some(&bias.stacked().get(0)))
            }
            (weight, bias) => norm(None, None) * weight.stacked().unsqueeze(1) + bias.stacked().unsqueeze(1),
        }
    }
}

/// A table of vectors.
#[derive(Debug)]
pub struct Embedding {
    weight: Weight,
    padding: i64,
}

impl Embedding {
    /// The table called `name`; the row `padding` gets no gradient, -1 for none.
    #[must_use]
    pub fn new(params: &Params, name: &str, padding: i64) -> Self {
        Self { weight: params.weight(&format!("{name}.weight")), padding }
    }

    /// Ids `[K, n]` to vectors `[K, n, width]`.
    pub fn forward(&self, ids: &Tensor) -> Tensor {
        let look_up =
            |weight: &Tensor, ids: &Tensor| Tensor::embedding(weight, ids, self.padding, false, false);
        match &self.weight {
            Weight::Shared(weight) => look_up(weight, ids),
            Weight::Stacked(weight) => {
                let slots = weight.size()[0];
                let parts: Vec<Tensor> = (0..slots).map(|k| look_up(&weight.get(k), &ids.get(k))).collect();
                Tensor::stack(&parts, 0)
            }
        }
    }

    /// The first `n` rows for every slot, `[K or 1, n, width]`.
    pub fn head(&self, n: usize) -> Tensor {
        match &self.weight {
            Weight::Shared(weight) => weight.narrow(0, 0, index(n)).unsqueeze(0),
            Weight::Stacked(weight) => weight.narrow(1, 0, index(n)),
        }
    }
}

impl Weight {
    fn stacked(&self) -> &Tensor {
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
