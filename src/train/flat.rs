//! Owns the buffers in which the trainable tensors of a pack lie side by side, and their gradients likewise, so
//! that an operation on all of them is one, whatever their number. Knows no optimiser.
//!
//! ```text
//!            decaying                    the others
//! slot 0  [ a.weight · · | b.weight · | a.bias · · · | … ]
//! slot 1  [ a.weight · · | b.weight · | a.bias · · · | … ]
//! ```

use std::cell::OnceCell;
use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use crate::model::device::ALIGNED;
use crate::model::params::{Params, index};

/// Where a slot's tensors lie in its row of a buffer. What is between them is zero.
#[derive(Debug, Default)]
struct Row {
    places: BTreeMap<String, Place>,
    /// Elements in front to whose tensors weight decay applies.
    decaying: i64,
    length: i64,
}

/// The place of one tensor.
#[derive(Debug)]
struct Place {
    start: i64,
    sizes: Vec<i64>,
}

impl Row {
    fn of(params: &Params) -> Self {
        let mut row = Self::default();
        let of_kind =
            |decays: bool| params.trainable().filter(move |(_, trainable)| trainable.decays == decays);
        for (name, trainable) in of_kind(true) {
            row.add(name, &trainable.tensor.size()[1..]);
        }
        row.decaying = row.length;
        for (name, trainable) in of_kind(false) {
            row.add(name, &trainable.tensor.size()[1..]);
        }
        row
    }

    fn add(&mut self, name: &str, sizes: &[i64]) {
        let place = Place { start: self.length, sizes: sizes.to_vec() };
        self.length += aligned(place.elements());
        self.places.insert(name.to_owned(), place);
    }

    /// Whether each element belongs to a tensor that LoRA+ trains faster: `[1, length]`.
    fn faster(&self) -> Tensor {
        let all = Tensor::zeros([1, self.length], (Kind::Bool, Device::Cpu));
        let is_faster =
            |(name, place): &(&String, &Place)| name.contains(".lora_B.") || place.sizes.len() == 1;
        for (_, place) in self.places.iter().filter(is_faster) {
            let _ = all.narrow(1, place.start, place.elements()).fill_(1);
        }
        all
    }

    fn place(&self, name: &str) -> &Place {
        self.places.get(name).unwrap_or_else(|| panic!("no tensor `{name}` trains"))
    }
}

impl Place {
    fn elements(&self) -> i64 {
        self.sizes.iter().product()
    }
}

/// The elements that a tensor takes up.
fn aligned(elements: i64) -> i64 {
    (elements + ALIGNED - 1) / ALIGNED * ALIGNED
}

/// The values and gradients of all trainable tensors.
#[derive(Debug)]
pub(super) struct Flat {
    row: Row,
    /// `[K, length]`.
    values: Tensor,
    /// `[K * length]`: a tensor's gradient, in the order of the tensors, is in one piece for all slots, as
    /// libtorch wants it for a tensor whose slices are apart.
    gradients: Tensor,
    /// `[1, length]`: whether an element belongs to the B of an adapter or to a tensor of one dimension.
    /// Made when it is first asked for: most trainings need none.
    faster: OnceCell<Tensor>,
}

impl Flat {
    /// Moves the trainable tensors and their gradients, which are cleared, into buffers. They stay the same
    /// leaves, for models made of them too: from here on a change to the buffers is one to them, and the
    /// backward pass adds to the buffer of gradients.
    pub(super) fn of(params: &Params) -> Self {
        let row = Row::of(params);
        let slots = index(params.slots());
        let gradients = Tensor::zeros([slots * row.length], (Kind::Float, params.device()));
        let values = gradients.zeros_like().view([slots, row.length]);
        let flat = Self { values, gradients, faster: OnceCell::new(), row };
        for (name, trainable) in params.trainable() {
            let mut leaf = trainable.tensor.shallow_clone();
            let mut value = flat.part(&flat.values, name);
            value.copy_(&leaf.detach());
            // Only a backward pass gives a leaf a gradient that can be moved.
            leaf.sum(Kind::Float).backward();
            let Place { start, .. } = flat.row.place(name);
            let gradient = flat.gradients.narrow(0, slots * start, index(leaf.numel()));
            leaf.grad().set_data(&gradient.view(leaf.size().as_slice()));
            leaf.set_data(&value);
        }
        flat
    }

    /// All values, `[K, length]`.
    pub(super) fn values(&self) -> &Tensor {
        &self.values
    }

    /// All gradients, `[K, length]`, added up since they were last cleared. Those of one slot share their storage;
    /// those of several are put in rows, which is a copy.
    pub(super) fn gradients(&self) -> Tensor {
        let [slots, length] = self.values.size()[..] else { unreachable!("values are `[K, length]`") };
        if slots == 1 {
            return self.gradients.view([1, length]);
        }
        let mut places: Vec<&Place> = self.row.places.values().collect();
        places.sort_unstable_by_key(|place| place.start);
        // Each tensor, and what is between it and the next.
        let pieces = places.iter().flat_map(|place| {
            let (n, room) = (place.elements(), aligned(place.elements()));
            [(place.start, n), (place.start + n, room - n)]
        });
        let piece = |(start, n)| self.gradients.narrow(0, slots * start, slots * n).view([slots, n]);
        Tensor::cat(&pieces.filter(|(_, n)| *n > 0).map(piece).collect::<Vec<_>>(), 1)
    }

    /// Sets all gradients to zero.
    pub(super) fn clear_gradients(&self) {
        let _ = self.gradients.shallow_clone().zero_();
    }

    /// Whether each element of a row belongs to the B of an adapter or to a tensor of one dimension, `[1, length]`.
    pub(super) fn faster(&self) -> &Tensor {
        self.faster.get_or_init(|| self.row.faster().to_device(self.values.device()))
    }

    /// How many elements of each row, from its start on, belong to tensors that decay.
    pub(super) fn decaying(&self) -> i64 {
        self.row.decaying
    }

    /// The part of a buffer like these that belongs to one tensor, `[K, …]`, sharing its storage.
    ///
    /// # Panics
    /// When no tensor of this name trains.
    pub(super) fn part(&self, buffer: &Tensor, name: &str) -> Tensor {
        let place = self.row.place(name);
        let sizes: Vec<i64> = buffer.size()[..1].iter().chain(&place.sizes).copied().collect();
        buffer.narrow(1, place.start, place.elements()).view(sizes.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A set of tensors with these sizes, of which every second decays.
    fn params(slots: usize, sizes: &[Vec<i64>]) -> Params {
        let mut params = Params::new(slots);
        for (n, size) in (0_i64..).zip(sizes) {
            let values = |k: i64| Tensor::full(size.as_slice(), 100 * n + k, (Kind::Float, Device::Cpu));
            let slots = i64::try_from(slots).unwrap();
            params.train(&format!("t{n}"), &(0..slots).map(values).collect::<Vec<_>>(), n % 2 == 0);
        }
        params
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn places_are_disjoint_and_aligned_with_those_that_decay_in_front(
            slots in 1_usize..4,
            sizes in prop::collection::vec(prop::collection::vec(1_i64..9, 1..4), 0..12),
        ) {
            let params = params(slots, &sizes);
            let row = Row::of(&params);
            let mut taken = vec![false; usize::try_from(row.length).unwrap()];
            for (name, trainable) in params.trainable() {
                let place = &row.places[name];
                prop_assert_eq!(place.start % ALIGNED, 0);
                prop_assert_eq!(place.start < row.decaying, trainable.decays);
                prop_assert_eq!(&place.sizes[..], &trainable.tensor.size()[1..]);
                for element in place.start..place.start + place.elements() {
                    prop_assert!(!std::mem::replace(&mut taken[usize::try_from(element).unwrap()], true));
                }
            }
            prop_assert!(taken.iter().filter(|taken| !**taken).count() < 16 * sizes.len().max(1));
            prop_assert_eq!(row.decaying % ALIGNED, 0);
        }
    }

    #[test]
    fn tensors_keep_their_values_and_share_them_and_their_gradients_with_the_buffers() {
        for slots in [1, 3] {
            let params = params(slots, &[vec![3, 5], vec![7], vec![2, 2, 2]]);
            let copies: Vec<Tensor> = params.trainable().map(|(_, t)| t.tensor.detach().copy()).collect();
            let flat = Flat::of(&params);
            let sum = |t: &Tensor| t.sum(Kind::Double).double_value(&[]);
            assert_eq!(sum(&flat.gradients()), 0.0, "what made the gradients is not left in them");
            for ((_, t), copy) in params.trainable().zip(&copies) {
                assert_eq!(&t.tensor.detach(), copy);
            }
            // Two backward passes add up; the second tensor takes part in neither.
            for _ in 0..2 {
                let used = params.trainable().filter(|(name, _)| *name != "t1");
                used.map(|(_, t)| (&t.tensor * &t.tensor).sum(Kind::Float)).sum::<Tensor>().backward();
            }
            for ((name, t), copy) in params.trainable().zip(&copies) {
                let expected = if name == "t1" { copy.zeros_like() } else { copy * 4.0 };
                assert_eq!(flat.part(&flat.gradients(), name), expected);
                assert_eq!(t.tensor.grad(), expected);
            }
            flat.clear_gradients();
            assert!(params.trainable().all(|(_, t)| sum(&t.tensor.grad()) == 0.0));
            let taken: i64 = copies.iter().map(|copy| copy.numel() as i64).sum();
            assert_eq!(sum(flat.values()), copies.iter().map(sum).sum::<f64>(), "nothing lies in between");
            let _ = tch::no_grad(|| flat.values().shallow_clone().g_add_scalar_(1.0));
            for ((_, t), copy) in params.trainable().zip(&copies) {
                assert_eq!(t.tensor.detach(), copy + 1.0);
                assert!(t.tensor.is_leaf() && t.tensor.requires_grad());
            }
            assert!(flat.values().numel() as i64 > taken, "there is something in between");
        }
    }
}
