//! Owns the tensors of a pack: frozen ones that all slots share, trainable ones with one slice per slot.
//!
//! A trainable tensor has the slot dimension first, `[K, …]`; a solo trial has K = 1. Nothing here
//! knows what a layer computes.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

/// One weight as a layer sees it.
#[derive(Debug)]
pub enum Weight {
    /// Frozen and the same for every slot.
    Shared(Tensor),
    /// Trainable: each slot has its own slice of the first dimension.
    Stacked(Tensor),
}

/// A trainable tensor.
#[derive(Debug)]
pub struct Trainable {
    /// Values, `[K, …]`: a leaf that collects gradients.
    pub tensor: Tensor,
    /// Whether weight decay applies: to matrices, not to biases and norms.
    pub decays: bool,
}

/// All tensors of a pack, by transformers' names; adapters as `<module>.lora_A.weight` and `….lora_B.weight`.
#[derive(Debug)]
pub struct Params {
    slots: usize,
    shared: BTreeMap<String, Tensor>,
    trainable: BTreeMap<String, Trainable>,
}

impl Params {
    /// An empty set for a number of slots.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self { slots, shared: BTreeMap::new(), trainable: BTreeMap::new() }
    }

    /// Number of slots K.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Adds a frozen tensor.
    pub fn freeze(&mut self, name: &str, tensor: Tensor) {
        self.shared.insert(name.to_owned(), tensor);
    }

    /// Adds a trainable tensor from one value per slot, all of one shape.
    pub fn train(&mut self, name: &str, values: &[Tensor], decays: bool) {
        debug_assert_eq!(values.len(), self.slots);
        let tensor = leaf(&Tensor::stack(values, 0));
        self.trainable.insert(name.to_owned(), Trainable { tensor, decays });
    }

    /// A weight by name, sharing its storage and its gradient.
    ///
    /// # Panics
    /// When there is none: the architecture lists every name that its model asks for.
    #[must_use]
    pub fn weight(&self, name: &str) -> Weight {
        self.find(name).unwrap_or_else(|| panic!("the architecture lists no tensor `{name}`"))
    }

    /// A weight by name, where there is one.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Weight> {
        let stacked = self.trainable.get(name).map(|t| Weight::Stacked(t.tensor.shallow_clone()));
        stacked.or_else(|| self.shared.get(name).map(|t| Weight::Shared(t.shallow_clone())))
    }

    /// Trainable tensors in name order.
    pub fn trainable(&self) -> impl Iterator<Item = (&str, &Trainable)> {
        self.trainable.iter().map(|(name, trainable)| (name.as_str(), trainable))
    }

    /// The same tensors as seen by one slot alone: views, K = 1.
    #[must_use]
    pub fn only(&self, slot: usize) -> Self {
        self.select(1, |tensor| tensor.narrow(0, index(slot), 1))
    }

    /// The same tensors without the slots that are not in `kept`: copies, fresh leaves.
    #[must_use]
    pub fn retain(&self, kept: &[usize]) -> Self {
        let rows: Vec<i64> = kept.iter().map(|slot| index(*slot)).collect();
        self.select(kept.len(), |tensor| {
            leaf(&tensor.index_select(0, &Tensor::from_slice(&rows).to_device(tensor.device())))
        })
    }

    fn select(&self, slots: usize, take: impl Fn(&Tensor) -> Tensor) -> Self {
        let shared = self.shared.iter().map(|(name, t)| (name.clone(), t.shallow_clone())).collect();
        let trainable = self
            .trainable
            .iter()
            .map(|(name, t)| (name.clone(), Trainable { tensor: take(&t.tensor), decays: t.decays }));
        Self { slots, shared, trainable: trainable.collect() }
    }

    /// Elements that train in one slot, and elements of a slot in all.
    #[must_use]
    pub fn count(&self) -> (u64, u64) {
        let numel = |t: &Tensor| u64::try_from(t.numel()).expect("sizes fit in 64 bits");
        let slots = u64::try_from(self.slots).expect("slots are few");
        let trainable: u64 = self.trainable.values().map(|t| numel(&t.tensor) / slots).sum();
        let shared: u64 = self.shared.values().map(numel).sum();
        (trainable, trainable + shared)
    }

    /// Overwrites one slot's trainable tensors.
    ///
    /// # Errors
    /// Names the first tensor that is missing in `values` or has another shape there.
    pub fn restore(&mut self, slot: usize, values: &BTreeMap<String, Tensor>) -> Result<(), String> {
        tch::no_grad(|| {
            for (name, trainable) in &self.trainable {
                let mut place = trainable.tensor.get(index(slot));
                let value = values.get(name).filter(|value| value.size() == place.size());
                place.copy_(value.ok_or_else(|| format!("`{name}` is missing or has another shape"))?);
            }
            Ok(())
        })
    }

    /// One slot's trainable tensors, copied.
    #[must_use]
    pub fn snapshot(&self, slot: usize) -> BTreeMap<String, Tensor> {
        let copy = |t: &Trainable| t.tensor.get(index(slot)).detach().copy();
        self.trainable.iter().map(|(name, t)| (name.clone(), copy(t))).collect()
    }
}

fn leaf(tensor: &Tensor) -> Tensor {
    tensor.detach().to_kind(Kind::Float).contiguous().set_requires_grad(true)
}

/// A size or position as libtorch takes it.
pub(crate) fn index(n: usize) -> i64 {
    i64::try_from(n).expect("sizes fit in 63 bits")
}
