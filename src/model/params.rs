//! Owns the tensors of a pack: frozen tensors shared by all slots, and tensors with one slice per slot, which
//! either train or were drawn at random for each slot and stay frozen.
//!
//! A tensor with slices has the slot dimension first, `[K, …]`; a solo trial has K = 1. Slots may have tensors
//! of different sizes: they are padded within the pack, and the padding is removed from what leaves it. Nothing
//! here knows what a layer computes.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use super::device;

/// One weight as a layer sees it.
#[derive(Debug)]
pub enum Weight {
    /// Frozen and the same for every slot.
    Shared(Tensor),
    /// Each slot has its own slice of the first dimension: weights that train, and fresh heads that do not.
    Stacked(Tensor),
}

/// A trainable tensor.
#[derive(Debug)]
pub struct Trainable {
    /// Values, `[K, …]`: a leaf that collects gradients.
    pub tensor: Tensor,
    /// Whether weight decay applies: to matrices and DoRA's lengths, not to biases and norms.
    pub decays: bool,
    /// The format to which it is rounded in products.
    product: Kind,
    /// Each slot's own sizes; everything beyond them is zero padding.
    sizes: Vec<Vec<i64>>,
}

impl Trainable {
    /// From one value per slot; the smaller ones, adapters of lower rank, are padded with zeros.
    fn new(values: &[Tensor], decays: bool) -> Self {
        let sizes = values.iter().map(Tensor::size).collect();
        let tensor = stack(values).to_kind(Kind::Float).contiguous().set_requires_grad(true);
        Self { tensor, decays, product: Kind::Float, sizes }
    }

    /// One slot's part of a tensor of this one's sizes, without padding, sharing its storage.
    pub fn of_slot(&self, tensor: &Tensor, slot: usize) -> Tensor {
        let part = tensor.detach().get(index(slot));
        (0..).zip(&self.sizes[slot]).fold(part, |part, (dimension, size)| part.narrow(dimension, 0, *size))
    }

    /// The part of each slot, as [`Trainable::of_slot`] gives it.
    pub fn of_each(&self, tensor: &Tensor) -> impl Iterator<Item = Tensor> {
        (0..self.sizes.len()).map(|slot| self.of_slot(tensor, slot))
    }
}

/// The slots' tensors along a new first dimension, padded with zeros to the size of the largest.
fn stack(values: &[Tensor]) -> Tensor {
    let dimensions = values[0].dim();
    let sizes: Vec<Vec<i64>> = values.iter().map(Tensor::size).collect();
    let largest = |d: usize| sizes.iter().map(|size| size[d]).max().unwrap_or(0);
    let padded = values.iter().zip(&sizes).map(|(value, size)| {
        // libtorch takes the last dimension first, and for each the padding before and after.
        let padding: Vec<i64> = (0..dimensions).rev().flat_map(|d| [0, largest(d) - size[d]]).collect();
        value.detach().constant_pad_nd(padding)
    });
    Tensor::stack(&padded.collect::<Vec<_>>(), 0)
}

/// All tensors of a pack, by transformers' names; adapters as `<module>.lora_A.weight`, `….lora_B.weight` and, for
/// DoRA, `….lora_magnitude_vector`.
#[derive(Debug)]
pub struct Params {
    slots: usize,
    shared: BTreeMap<String, Tensor>,
    /// Frozen tensors with different values for each slot, `[K, …]`.
    own: BTreeMap<String, Tensor>,
    trainable: BTreeMap<String, Trainable>,
}

impl Params {
    /// An empty set for a number of slots.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self { slots, shared: BTreeMap::new(), own: BTreeMap::new(), trainable: BTreeMap::new() }
    }

    /// Number of slots K.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The device of what trains; the host where nothing does.
    #[must_use]
    pub fn device(&self) -> Device {
        self.trainable.values().next().map_or(Device::Cpu, |trainable| trainable.tensor.device())
    }

    /// Adds a frozen tensor, the same for all slots.
    pub fn freeze(&mut self, name: &str, tensor: Tensor) {
        self.shared.insert(name.to_owned(), tensor);
    }

    /// Adds a frozen tensor from one value per slot, all of one size.
    pub fn freeze_each(&mut self, name: &str, values: &[Tensor]) {
        debug_assert_eq!(values.len(), self.slots);
        self.own.insert(name.to_owned(), Tensor::stack(values, 0));
    }

    /// Adds a trainable tensor from one value per slot; smaller ones are padded with zeros.
    pub fn train(&mut self, name: &str, values: &[Tensor], decays: bool) {
        debug_assert_eq!(values.len(), self.slots);
        self.trainable.insert(name.to_owned(), Trainable::new(values, decays));
    }

    /// Sets the format of a trainable tensor's products, where it is not the tensor's own 32 bits.
    ///
    /// # Panics
    /// When no trainable tensor has this name.
    pub fn multiply_in(&mut self, name: &str, kind: Kind) {
        let trainable = self.trainable.get_mut(name);
        trainable.unwrap_or_else(|| panic!("no tensor `{name}` trains")).product = kind;
    }

    /// The format of products with a weight: a frozen one's own.
    #[must_use]
    pub fn product_kind(&self, name: &str) -> Kind {
        match (self.trainable.get(name), self.shared.get(name)) {
            (Some(trainable), _) => trainable.product,
            (None, Some(shared)) => shared.kind(),
            (None, None) => Kind::Float,
        }
    }

    /// A weight by name, sharing its storage and its gradient.
    ///
    /// # Panics
    /// When there is none: the architecture lists every name that its model uses.
    #[must_use]
    pub fn weight(&self, name: &str) -> Weight {
        self.find(name).unwrap_or_else(|| panic!("the architecture lists no tensor `{name}`"))
    }

    /// A weight by name, where there is one.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Weight> {
        let stacked = self.trainable.get(name).map(|t| &t.tensor).or_else(|| self.own.get(name));
        stacked
            .map(|t| Weight::Stacked(t.shallow_clone()))
            .or_else(|| self.shared.get(name).map(|t| Weight::Shared(t.shallow_clone())))
    }

    /// Trainable tensors in name order.
    pub fn trainable(&self) -> impl Iterator<Item = (&str, &Trainable)> {
        self.trainable.iter().map(|(name, trainable)| (name.as_str(), trainable))
    }

    /// One slot's tensors as if it trained alone, sharing their storage; they collect no gradients.
    #[must_use]
    pub fn only(&self, slot: usize) -> Self {
        self.select(&[slot], |t| Trainable {
            tensor: t.of_slot(&t.tensor, slot).unsqueeze(0),
            decays: t.decays,
            product: t.product,
            sizes: vec![t.sizes[slot].clone()],
        })
    }

    /// The same tensors with the slots in `kept` only: copies, as fresh leaves.
    #[must_use]
    pub fn retain(&self, kept: &[usize]) -> Self {
        self.select(kept, |t| {
            let values: Vec<Tensor> = kept.iter().map(|slot| t.of_slot(&t.tensor, *slot)).collect();
            Trainable { product: t.product, ..Trainable::new(&values, t.decays) }
        })
    }

    /// Appends the newcomers' slots: copies, as fresh leaves. Tensors frozen for all slots are the same in
    /// both.
    #[must_use]
    pub fn join(&self, newcomers: &Self) -> Self {
        let own = |(name, t): (&String, &Tensor)| (name.clone(), Tensor::cat(&[t, &newcomers.own[name]], 0));
        let trainable = |(name, t): (&String, &Trainable)| {
            let theirs = &newcomers.trainable[name];
            let values: Vec<Tensor> = t.of_each(&t.tensor).chain(theirs.of_each(&theirs.tensor)).collect();
            (name.clone(), Trainable { product: t.product, ..Trainable::new(&values, t.decays) })
        };
        Self {
            slots: self.slots + newcomers.slots,
            shared: self.shared.iter().map(|(name, t)| (name.clone(), t.shallow_clone())).collect(),
            own: self.own.iter().map(own).collect(),
            trainable: self.trainable.iter().map(trainable).collect(),
        }
    }

    fn select(&self, kept: &[usize], take: impl Fn(&Trainable) -> Trainable) -> Self {
        let slots: Vec<i64> = kept.iter().map(|slot| index(*slot)).collect();
        let own = |t: &Tensor| t.index_select(0, &device::send(&Tensor::from_slice(&slots), t.device()));
        Self {
            slots: kept.len(),
            shared: self.shared.iter().map(|(name, t)| (name.clone(), t.shallow_clone())).collect(),
            own: self.own.iter().map(|(name, t)| (name.clone(), own(t))).collect(),
            trainable: self.trainable.iter().map(|(name, t)| (name.clone(), take(t))).collect(),
        }
    }

    /// Number of trainable elements of one slot, and of all its elements; padding not counted.
    #[must_use]
    pub fn count(&self, slot: usize) -> (u64, u64) {
        let trainable: i64 = self.trainable.values().map(|t| t.sizes[slot].iter().product::<i64>()).sum();
        let trainable = u64::try_from(trainable).expect("sizes are positive");
        let shared: usize = self.shared.values().map(Tensor::numel).sum();
        let own: usize = self.own.values().map(|t| t.numel() / self.slots).sum();
        (trainable, trainable + (shared + own) as u64)
    }

    /// One slot's trainable tensors, sharing their storage.
    #[must_use]
    pub fn slot(&self, slot: usize) -> BTreeMap<String, Tensor> {
        self.trainable.iter().map(|(name, t)| (name.clone(), t.of_slot(&t.tensor, slot))).collect()
    }
}

/// Overwrites tensors with the values of the same name: all of them, or none on an error.
///
/// # Errors
/// Names the first tensor that is missing in `values` or has another shape there.
pub fn fill(tensors: &BTreeMap<String, Tensor>, values: &BTreeMap<String, Tensor>) -> Result<(), String> {
    let pairs = tensors.iter().map(|(name, tensor)| {
        let value = values.get(name).filter(|value| value.size() == tensor.size());
        let value = value.ok_or_else(|| format!("`{name}` is missing or has another shape"))?;
        Ok((tensor.shallow_clone(), value))
    });
    for (mut tensor, value) in pairs.collect::<Result<Vec<_>, String>>()? {
        tensor.copy_(value);
    }
    Ok(())
}

/// A size or position in libtorch's type.
pub(crate) fn index(n: usize) -> i64 {
    i64::try_from(n).expect("sizes fit in 63 bits")
}
