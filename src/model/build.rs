//! Owns the starting values of a pack's tensors: read from a folder, or drawn from each trial's key.
//! Trains nothing.

use tch::{Device, Kind, Tensor};

use super::layers::AdapterSettings;
use super::params::{Params, index};
use super::weights::{self, Checkpoint, WeightsError};
use crate::arch::{Architecture, Head, LinearShape, TensorRole, TensorShape};
use crate::stream::{Draw, StreamKey};
use crate::trial::{Lora, Trial};

/// A pack's tensors and its adapters' settings, where the method has adapters.
#[derive(Debug)]
pub struct Start {
    /// All tensors.
    pub params: Params,
    /// Scale and dropout of each slot's adapters.
    pub adapters: Option<AdapterSettings>,
}

/// The starting values for the slots of a pack, which share method kind and architecture.
///
/// # Errors
/// When the folder's tensors do not fit the architecture. `base` is absent for `scratch`, and only there.
pub fn start(
    architecture: &Architecture,
    head: Head,
    slots: &[Trial],
    base: Option<&Checkpoint>,
    device: Device,
) -> Result<Start, WeightsError> {
    let keys: Vec<StreamKey> = slots.iter().map(StreamKey::of).collect();
    let loras: Vec<&Lora> = slots.iter().filter_map(|trial| trial.configuration.method.lora()).collect();
    let range = match architecture {
        Architecture::Bert(config) => config.initializer_range,
    };
    let mut params = Params::new(slots.len());
    for shape in architecture.tensors() {
        let values = match base {
            Some(base) => vec![read(base, architecture.base_prefix(), &shape)?.to_device(device)],
            None => keys.iter().map(|key| draw(*key, &shape, range).to_device(device)).collect(),
        };
        match (values.as_slice(), loras.is_empty()) {
            ([value], false) => params.freeze(&shape.name, value.shallow_clone()),
            ([value], true) => {
                let copies: Vec<Tensor> = slots.iter().map(|_| value.shallow_clone()).collect();
                params.train(&shape.name, &copies, decays(shape.role));
            }
            (values, _) => params.train(&shape.name, values, decays(shape.role)),
        }
    }
    for shape in architecture.head_tensors(head) {
        let values: Vec<Tensor> =
            keys.iter().map(|key| draw(*key, &shape, range).to_device(device)).collect();
        params.train(&shape.name, &values, decays(shape.role));
    }
    let adapters = (!loras.is_empty()).then(|| {
        for target in architecture.lora_targets(&loras[0].targets) {
            add_adapters(&mut params, &target, &loras, &keys, device);
        }
        AdapterSettings {
            scales: loras.iter().map(|lora| lora.scale()).collect(),
            dropouts: loras.iter().map(|lora| lora.dropout).collect(),
        }
    });
    Ok(Start { params, adapters })
}

/// A ~ U(-1/sqrt(in), 1/sqrt(in)), which is PEFT's kaiming_uniform(a = sqrt 5), and B = 0.
fn add_adapters(
    params: &mut Params,
    target: &LinearShape,
    loras: &[&Lora],
    keys: &[StreamKey],
    device: Device,
) {
    let (d_in, d_out) = (index(target.d_in), index(target.d_out));
    let name = format!("{}.lora_A.weight", target.name);
    #[expect(clippy::cast_precision_loss, reason = "widths are far below 2^52")]
    let bound = (target.d_in as f64).sqrt().recip();
    let a = loras.iter().zip(keys).map(|(lora, key)| {
        let rank = index(lora.rank);
        seed(*key, &name);
        Tensor::empty([rank, d_in], (Kind::Float, Device::Cpu)).uniform_(-bound, bound).to_device(device)
    });
    let b = loras.iter().map(|lora| Tensor::zeros([d_out, index(lora.rank)], (Kind::Float, device)));
    params.train(&name, &a.collect::<Vec<_>>(), true);
    params.train(&format!("{}.lora_B.weight", target.name), &b.collect::<Vec<_>>(), true);
}

fn decays(role: TensorRole) -> bool {
    match role {
        TensorRole::Matrix => true,
        TensorRole::Bias | TensorRole::NormScale | TensorRole::NormShift => false,
    }
}

fn seed(key: StreamKey, name: &str) {
    tch::manual_seed(i64::try_from(key.seed(Draw::Init(name))).expect("seeds have 63 bits"));
}

/// Fresh values as transformers draws them; on the host, so that every device starts alike.
fn draw(key: StreamKey, shape: &TensorShape, range: f64) -> Tensor {
    let size: Vec<i64> = shape.shape.iter().map(|n| index(*n)).collect();
    let empty = || Tensor::empty(&size, (Kind::Float, Device::Cpu));
    match shape.role {
        TensorRole::Matrix => {
            seed(key, &shape.name);
            empty().normal_(0.0, range)
        }
        TensorRole::Bias | TensorRole::NormShift => empty().zero_(),
        TensorRole::NormScale => empty().fill_(1.0),
    }
}

/// A tensor of the pretrained weights, in 32 bits.
fn read(base: &Checkpoint, prefix: &str, shape: &TensorShape) -> Result<Tensor, WeightsError> {
    let view = base.require(&shape.name, prefix, &shape.shape)?;
    let size: Vec<i64> = view.shape.iter().map(|n| index(*n)).collect();
    let kind = match view.kind {
        weights::Kind::F64 => Kind::Double,
        weights::Kind::F32 => Kind::Float,
        weights::Kind::F16 => Kind::Half,
        weights::Kind::BF16 => Kind::BFloat16,
        weights::Kind::I64 => Kind::Int64,
        weights::Kind::I32 => Kind::Int,
        weights::Kind::I16 => Kind::Int16,
        weights::Kind::I8 => Kind::Int8,
        weights::Kind::U8 => Kind::Uint8,
        weights::Kind::Bool => Kind::Bool,
    };
    Ok(Tensor::from_data_size(&view.bytes, &size, kind).to_kind(Kind::Float))
}
