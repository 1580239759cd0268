//! Owns the starting values of a pack's tensors: read from a folder, or drawn from each trial's key.
//! Trains nothing.

use std::collections::{BTreeMap, BTreeSet};

use tch::{Device, Kind, Tensor};

use super::fresh::{self, draw};
use super::layers::AdapterSettings;
use super::magnitude;
use super::params::{Params, Weight, index};
use super::weights::{self, StateDict, TensorView, WeightsError};
use crate::families::{About, Architecture, Head, LinearShape, ModelSpec, TensorRole, TensorShape, Weights};
use crate::sweep::OwnHead;
use crate::tasks::Task;
use crate::values::stream::StreamKey;
use crate::values::{Lora, Method, Precision, Trial};

/// A pack's tensors and its adapters' settings, where the method has adapters.
#[derive(Debug)]
pub struct Start {
    /// All tensors.
    pub params: Params,
    /// Scale and dropout of each slot's adapters.
    pub adapters: Option<AdapterSettings>,
}

/// Where a pack's base weights come from.
#[derive(Debug)]
pub enum Base {
    /// A folder: the same for all slots, except for modules that it lacks, which each trial draws at random.
    Read(StateDict),
    /// A finished model's folder with its own head: the same for all slots.
    Finished {
        /// The folder.
        folder: StateDict,
        /// For each class, or for the number, the index of the matching output of the folder's head.
        outputs: Vec<usize>,
    },
    /// Random weights from the model's own seed: an untrained base, the same for all slots.
    Drawn {
        /// The seed.
        seed: u64,
    },
    /// Random weights from each trial's own seed: training from scratch.
    Fresh,
}

impl Base {
    /// The base weights of trials that train by this method, whether they start or are loaded again.
    ///
    /// # Errors
    /// When the model has no weights and the method needs some, or they cannot be read.
    pub fn of(model: &ModelSpec, task: &Task, method: &Method) -> Result<Self, WeightsError> {
        Ok(match (&model.weights, method) {
            (_, Method::Scratch) => Self::Fresh,
            (Weights::Random { seed }, Method::Lora(_) | Method::Dora(_) | Method::Full | Method::Base) => {
                Self::Drawn { seed: *seed }
            }
            (Weights::Folder { path, .. }, Method::Lora(_) | Method::Dora(_) | Method::Full) => {
                Self::Read(weights::read(path)?)
            }
            (Weights::Folder { path, .. }, Method::Base) => {
                let folder = weights::read(path)?;
                match OwnHead::of(task, model).outputs() {
                    Some(outputs) => Self::Finished { folder, outputs },
                    None => Self::Read(folder),
                }
            }
            (Weights::Absent, Method::Lora(_) | Method::Dora(_) | Method::Full | Method::Base) => {
                return Err(WeightsError::Absent { model: model.name.clone() });
            }
        })
    }

    /// Whether a trial by this method is left with random numbers that do not train: nothing keeps these but the
    /// way in which they are drawn.
    #[must_use]
    pub fn leaves_drawn(&self, architecture: &Architecture, head: Head, method: &Method) -> bool {
        let trainable = trainable(architecture, head, method);
        let of_base = architecture.base_tensors(head).into_iter().filter(|shape| match self {
            Self::Read(folder) | Self::Finished { folder, .. } => folder.lacks(architecture, &shape.name),
            Self::Drawn { .. } | Self::Fresh => true,
        });
        let of_head = architecture.head_tensors(head).into_iter().filter(|_| match self {
            Self::Finished { .. } => false,
            Self::Read(_) | Self::Drawn { .. } | Self::Fresh => true,
        });
        of_base.chain(of_head).any(|shape| !trainable.contains(&shape.name))
    }

    /// Whether a tensor of the base starts with the same values in every trial.
    fn is_common(&self, architecture: &Architecture, name: &str) -> bool {
        match self {
            Self::Read(folder) | Self::Finished { folder, .. } => !folder.lacks(architecture, name),
            Self::Drawn { .. } => true,
            Self::Fresh => false,
        }
    }
}

/// The frozen tensors of one base in one precision on a device, the same for every trial: in memory once, for
/// all who train on them, at the same time or one after the other.
#[derive(Debug)]
pub struct Frozen {
    device: Device,
    tensors: BTreeMap<String, Tensor>,
}

impl Frozen {
    /// A set without tensors; those that trials start with are added.
    #[must_use]
    pub fn on(device: Device) -> Self {
        Self { device, tensors: BTreeMap::new() }
    }
}

/// The starting values for the slots of a pack, which share architecture, kind of method, adapted modules,
/// saved modules and precision. Every trial gets a fresh head, whether it trains or not, unless the base is a
/// finished model.
///
/// # Errors
/// When the folder's tensors do not fit the architecture, or DoRA cannot train one of them.
pub fn start(
    architecture: &Architecture,
    head: Head,
    slots: &[Trial],
    base: &Base,
    device: Device,
) -> Result<Start, WeightsError> {
    start_beside(architecture, head, slots, base, &mut Frozen::on(device))
}

/// As [`start`], with the frozen tensors that are in memory already; they are of this base, and in the slots'
/// precision. Those that the slots freeze besides are added, and those that they train are let go.
///
/// # Errors
/// As [`start`].
pub fn start_beside(
    architecture: &Architecture,
    head: Head,
    slots: &[Trial],
    base: &Base,
    frozen: &mut Frozen,
) -> Result<Start, WeightsError> {
    let device = frozen.device;
    let keys: Vec<StreamKey> = slots.iter().map(StreamKey::of).collect();
    let loras: Vec<&Lora> = slots.iter().filter_map(|trial| trial.configuration.method.lora()).collect();
    let method = &slots[0].configuration.method;
    let trainable = trainable(architecture, head, method);
    let precision = slots[0].configuration.training.precision;
    frozen.tensors.retain(|name, _| !trainable.contains(name));
    let mut params = Params::new(slots.len());
    for shape in architecture.base_tensors(head) {
        if let Some(there) = frozen.tensors.get(&shape.name) {
            params.freeze(&shape.name, there.shallow_clone());
            continue;
        }
        let values = values(architecture, base, &shape, &keys)?;
        let (trains, kind) = (trainable.contains(&shape.name), product_kind(shape.role, precision));
        let stored = if trains { Kind::Float } else { kind };
        let values: Vec<Tensor> =
            values.iter().map(|value| value.to_device(device).to_kind(stored)).collect();
        if !trains && base.is_common(architecture, &shape.name) {
            frozen.tensors.extend(values.iter().map(|value| (shape.name.clone(), value.shallow_clone())));
        }
        add(&mut params, &shape, &values, trains);
        // Modules that train besides adapters are multiplied in 32 bits, unrounded.
        if trains && loras.is_empty() {
            params.multiply_in(&shape.name, kind);
        }
    }
    for shape in architecture.head_tensors(head) {
        let values = head_values((architecture, head), base, &shape, &keys)?;
        let values: Vec<Tensor> = values.iter().map(|value| value.to_device(device)).collect();
        add(&mut params, &shape, &values, trainable.contains(&shape.name));
    }
    for target in method.lora().map(|lora| architecture.adapted(head, lora)).unwrap_or_default() {
        add_adapters(&mut params, &target, &loras, &keys, device);
        match method {
            Method::Dora(_) => add_magnitudes(&mut params, &target)?,
            Method::Lora(_) | Method::Full | Method::Scratch | Method::Base => {}
        }
    }
    let adapters = method.lora().map(|_| AdapterSettings {
        scales: loras.iter().map(|lora| lora.scale()).collect(),
        dropouts: loras.iter().map(|lora| lora.dropout).collect(),
    });
    Ok(Start { params, adapters })
}

/// The values of a tensor of the base, in the file's format or in 32 bits: one for all slots, or one for each.
fn values(
    architecture: &Architecture,
    base: &Base,
    shape: &TensorShape,
    keys: &[StreamKey],
) -> Result<Vec<Tensor>, WeightsError> {
    Ok(match base {
        Base::Read(folder) | Base::Finished { folder, .. } if folder.lacks(architecture, &shape.name) => {
            keys.iter().map(|key| draw(*key, shape)).collect()
        }
        Base::Read(folder) | Base::Finished { folder, .. } => {
            vec![native(&folder.require(&shape.name, architecture.about(), &shape.shape)?)]
        }
        Base::Drawn { seed } => vec![draw(StreamKey::from_seed(*seed), shape)],
        Base::Fresh => keys.iter().map(|key| draw(*key, shape)).collect(),
    })
}

/// The values of a tensor of the head, one for each slot.
fn head_values(
    (architecture, head): (&Architecture, Head),
    base: &Base,
    shape: &TensorShape,
    keys: &[StreamKey],
) -> Result<Vec<Tensor>, WeightsError> {
    match base {
        Base::Finished { folder, outputs } => {
            let mut ours = read(folder, architecture.about(), shape)?;
            if architecture.is_by_class(head, &shape.name) {
                let outputs: Vec<i64> = outputs.iter().map(|output| index(*output)).collect();
                ours = ours.index_select(0, &Tensor::from_slice(&outputs));
            }
            Ok(keys.iter().map(|_| ours.shallow_clone()).collect())
        }
        Base::Read(_) | Base::Drawn { .. } | Base::Fresh => {
            Ok(keys.iter().map(|key| draw(*key, shape)).collect())
        }
    }
}

/// The format of a frozen tensor of the base, to which a trained one is rounded in products. Norms are too
/// small to gain anything.
fn product_kind(role: TensorRole, precision: Precision) -> Kind {
    match (precision, role) {
        (Precision::Fp32, _) | (Precision::Bf16, TensorRole::NormScale | TensorRole::NormShift) => {
            Kind::Float
        }
        (
            Precision::Bf16,
            TensorRole::Embedding | TensorRole::Linear | TensorRole::Conv1d | TensorRole::Bias,
        ) => Kind::BFloat16,
    }
}

/// The names of the tensors that train, without adapters.
fn trainable(architecture: &Architecture, head: Head, method: &Method) -> BTreeSet<String> {
    let tensors = match method {
        Method::Full | Method::Scratch => architecture.all_tensors(head),
        Method::Lora(lora) | Method::Dora(lora) => architecture.saved_tensors(head, &lora.modules_to_save),
        Method::Base => Vec::new(),
    };
    tensors.into_iter().map(|tensor| tensor.name).collect()
}

/// Adds a tensor with one value for all slots, or one per slot.
fn add(params: &mut Params, shape: &TensorShape, values: &[Tensor], trains: bool) {
    match (trains, values) {
        (true, [value]) => {
            let copies: Vec<Tensor> = (0..params.slots()).map(|_| value.shallow_clone()).collect();
            params.train(&shape.name, &copies, shape.role.decays());
        }
        (true, values) => params.train(&shape.name, values, shape.role.decays()),
        (false, [value]) => params.freeze(&shape.name, value.shallow_clone()),
        (false, values) => params.freeze_each(&shape.name, values),
    }
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
    let a = loras
        .iter()
        .zip(keys)
        .map(|(lora, key)| fresh::uniform(*key, &name, &[index(lora.rank), d_in], bound).to_device(device));
    let b = loras.iter().map(|lora| Tensor::zeros([d_out, index(lora.rank)], (Kind::Float, device)));
    params.train(&name, &a.collect::<Vec<_>>(), true);
    params.train(&format!("{}.lora_B.weight", target.name), &b.collect::<Vec<_>>(), true);
}

/// DoRA's lengths: those of the rows of the weight as it is multiplied, since B = 0. They decay as any other tensor
/// whose name is not a bias's or a norm's, as in transformers' Trainer.
///
/// A row of zeros would have a length of 0, and be divided by it.
fn add_magnitudes(params: &mut Params, target: &LinearShape) -> Result<(), WeightsError> {
    let inputs = if target.is_transposed { -2 } else { -1 };
    let name = format!("{}.weight", target.name);
    let lengths: Vec<Tensor> = match params.weight(&name) {
        Weight::Shared(weight) => {
            let lengths = magnitude::lengths(&weight, inputs);
            (0..params.slots()).map(|_| lengths.shallow_clone()).collect()
        }
        Weight::Stacked(weight) => magnitude::lengths(&weight, inputs).unbind(0),
    };
    if let Some(none) = lengths.iter().find(|lengths| lengths.min().double_value(&[]) == 0.0) {
        let output = usize::try_from(none.argmin(None, false).int64_value(&[])).expect("an index");
        return Err(WeightsError::Empty { name, output });
    }
    params.train(&format!("{}.lora_magnitude_vector", target.name), &lengths, true);
    Ok(())
}

/// A tensor of the pretrained weights, in 32 bits.
pub(crate) fn read(base: &StateDict, about: &About, shape: &TensorShape) -> Result<Tensor, WeightsError> {
    Ok(tensor(&base.require(&shape.name, about, &shape.shape)?))
}

/// A tensor of a weight file, in 32 bits.
pub(crate) fn tensor(view: &TensorView<'_>) -> Tensor {
    native(view).to_kind(Kind::Float)
}

/// A tensor of a weight file, in the file's format, or in 32 bits where that has more.
fn native(view: &TensorView<'_>) -> Tensor {
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
    let tensor = Tensor::from_data_size(&view.bytes, &size, kind);
    // Rounded to 32 bits first, the values are the same in every precision.
    if kind == Kind::Double { tensor.to_kind(Kind::Float) } else { tensor }
}
