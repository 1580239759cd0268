//! Owns what a forward pass needs besides tensors: whether it trains, and each slot's random stream.
//! Knows no layer.

use std::collections::HashMap;

use tch::Tensor;

use super::mask::{Lines, MaskKey, Masks, Odds};
use crate::values::stream::{Draw, StreamKey};

/// One slot's side of a pass with dropout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Root of its random streams.
    pub key: StreamKey,
    /// Optimiser steps done before.
    pub step: u64,
    /// Rows of this step in earlier passes.
    pub first_row: u64,
}

/// One forward pass. What its dropout drops depends only on each slot's own stream and on the place of a unit in
/// the slot's step: its row, its token and its number. Where slots see the same batch there is one stream for
/// all of them.
#[derive(Debug)]
pub struct Pass {
    streams: Option<Vec<Stream>>,
    /// Rows of each slot, those that are padding included.
    rows: i64,
    site: u64,
    masks: Masks,
    kept: Option<Kept>,
    recomputes: bool,
}

/// Masks drawn before, by site and by the bits of their probabilities: slots that pass through the model one
/// after the other with the same stream need the same masks.
#[derive(Debug, Default)]
struct Kept {
    masks: HashMap<(u64, Vec<u64>), Tensor>,
    elements: usize,
}

/// Most mask elements kept for the next slot: 256 MiB in 32 bits. All others are drawn again.
const KEPT_ELEMENTS: usize = 1 << 26;

impl Pass {
    /// A pass without dropout.
    #[must_use]
    pub fn evaluation() -> Self {
        Self { streams: None, rows: 0, site: 0, masks: Masks::default(), kept: None, recomputes: false }
    }

    /// A pass with dropout: one stream per slot, or one for all, and the rows of each slot in the batch.
    #[must_use]
    pub fn training(streams: Vec<Stream>, rows: i64) -> Self {
        Self { streams: Some(streams), rows, ..Self::evaluation() }
    }

    /// The same, for slots that pass through the rest of the model one after the other.
    #[must_use]
    pub fn repeated(self) -> Self {
        Self { kept: Some(Kept::default()), ..self }
    }

    /// The same, with layers that are computed again on the way back, or without.
    #[must_use]
    pub fn recomputing(self, recomputes: bool) -> Self {
        Self { recomputes, ..self }
    }

    /// Whether layers are computed again on the way back.
    pub(crate) fn recomputes(&self) -> bool {
        self.recomputes
    }

    /// Number of dropout layers passed so far.
    pub(super) fn site(&self) -> u64 {
        self.site
    }

    /// Continues after this number of dropout layers, earlier or later.
    pub(super) fn go_on_at(&mut self, site: u64) {
        self.site = site;
    }

    /// Whether dropout with this probability would change anything.
    #[must_use]
    pub fn drops(&self, probability: f64) -> bool {
        self.streams.is_some() && probability > 0.0
    }

    /// Dropout with one probability for all slots; see [`Pass::dropout_per_slot`].
    pub fn dropout(&mut self, x: &Tensor, probability: f64) -> Tensor {
        let slots = self.streams.as_ref().map_or(0, Vec::len);
        self.dropout_per_slot(x, &vec![probability; slots])
    }

    /// Dropout with a probability per slot: elements are zeroed with probability p and the others
    /// scaled by 1 / (1 - p) (Srivastava et al. 2014). `x` holds activations `[K, B * T, width]` or
    /// `[K, B, width]`, or attention shares `[K * B, heads, T or 1, T]`; with K = 1 and several
    /// probabilities the result has a slot for each.
    pub fn dropout_per_slot(&mut self, x: &Tensor, probabilities: &[f64]) -> Tensor {
        let Some(streams) = &self.streams else { return x.shallow_clone() };
        // Every layer is counted, even if it drops nothing, so that another slot's probability does not shift
        // the streams of later layers.
        let site = self.site;
        self.site += 1;
        if probabilities.iter().all(|p| *p == 0.0) {
            return x.shallow_clone();
        }
        let lines = Lines::of(&x.size(), self.rows);
        let mut draw = || {
            let keys = streams.iter().cycle().zip(probabilities).map(|(stream, p)| {
                let words = stream.key.words(Draw::Dropout { step: stream.step, site });
                MaskKey { words, first_row: stream.first_row, odds: Odds::of(*p) }
            });
            self.masks.draw(lines, &keys.collect::<Vec<_>>(), x.device())
        };
        let mask = match &mut self.kept {
            None => draw(),
            Some(kept) => kept.get_or_draw((site, probabilities.iter().map(|p| p.to_bits()).collect()), draw),
        };
        let dropped = x.reshape(lines.size(-1)) * mask;
        // Slots and rows may share the first dimension.
        let mut size = x.size();
        size[0] = -1;
        dropped.view(size.as_slice())
    }
}

impl Kept {
    fn get_or_draw(&mut self, key: (u64, Vec<u64>), draw: impl FnOnce() -> Tensor) -> Tensor {
        if let Some(mask) = self.masks.get(&key) {
            return mask.shallow_clone();
        }
        let mask = draw();
        if self.elements + mask.numel() <= KEPT_ELEMENTS {
            self.elements += mask.numel();
            self.masks.insert(key, mask.shallow_clone());
        }
        mask
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tch::{Device, Kind};

    use super::*;
    use crate::model::params::index;

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    fn ones(slots: i64, rows: i64) -> Tensor {
        Tensor::ones([slots, rows, 1000], CPU)
    }

    fn stream(seed: u64, step: u64) -> Stream {
        Stream { key: StreamKey::from_seed(seed), step, first_row: 0 }
    }

    #[test]
    fn dropout_zeroes_its_share_and_keeps_the_mean() {
        for p in [0.1, 0.5, 0.9] {
            let x = Pass::training(vec![stream(1, 0)], 200).dropout(&ones(1, 200), p);
            let zeros = x.eq(0.0).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
            // 200,000 draws: five standard deviations.
            let allowed = 5.0 * (p * (1.0 - p) / 200_000.0_f64).sqrt();
            assert!((zeros - p).abs() < allowed, "{zeros} of {p}");
            let mean = x.mean(Kind::Double).double_value(&[]);
            assert!((mean - 1.0).abs() < allowed / (1.0 - p), "{mean}");
            // p / (1 - p): the mean of the squares is 1 / (1 - p).
            let variance = (&x - 1.0).square().mean(Kind::Double).double_value(&[]);
            let expected = p / (1.0 - p);
            assert!((variance - expected).abs() < allowed / (1.0 - p).powi(2), "{variance} of {expected}");
        }
    }

    #[test]
    fn masks_depend_on_key_step_and_site_alone() {
        let solo = |seed, step| {
            let mut pass = Pass::training(vec![stream(seed, step)], 4);
            [pass.dropout(&ones(1, 4), 0.3), pass.dropout(&ones(1, 4), 0.3)]
        };
        let [first, second] = solo(1, 7);
        assert_eq!(solo(1, 7), [first.copy(), second.copy()]);
        assert_ne!(first, second);
        assert_ne!(first, solo(1, 8)[0]);
        assert_ne!(first, solo(2, 7)[0]);
        let mut pack = Pass::training(vec![stream(5, 3), stream(1, 7), stream(6, 0)], 4);
        assert_eq!(pack.dropout_per_slot(&ones(3, 4), &[0.9, 0.3, 0.0]).narrow(0, 1, 1), first);
        assert_eq!(pack.dropout(&ones(3, 4), 0.3).narrow(0, 1, 1), second);
    }

    /// What a slot trains on in a step, and how it drops.
    #[derive(Clone, Copy, Debug)]
    struct Slot {
        seed: u64,
        p: f64,
        rows: i64,
        tokens: i64,
    }

    fn slots() -> impl Strategy<Value = Vec<Slot>> {
        let p = prop_oneof![Just(0.0), Just(0.3), Just(0.999)];
        let slot = (0..3_u64, p, 1..6_i64, 1..5_i64);
        prop::collection::vec(slot.prop_map(|(seed, p, rows, tokens)| Slot { seed, p, rows, tokens }), 1..6)
    }

    /// The masks of four layers in a pass over `rows` rows of `tokens` tokens, after `before` rows of the step:
    /// `[K, rows, …]` of units, of attention shares, of those of the first query, and of pooled rows.
    fn masks(slots: &[Slot], before: i64, [rows, tokens]: [i64; 2], [heads, width]: [i64; 2]) -> [Tensor; 4] {
        let first_row = |slot: &Slot| before.min(slot.rows).unsigned_abs();
        let streams = slots.iter().map(|slot| Stream { first_row: first_row(slot), ..stream(slot.seed, 7) });
        let (mut pass, p) = (Pass::training(streams.collect(), rows), slots.iter().map(|slot| slot.p));
        let (k, p) = (index(slots.len()), p.collect::<Vec<_>>());
        let mut drop = |size: &[i64]| pass.dropout_per_slot(&Tensor::ones(size, CPU), &p);
        [
            drop(&[k, rows * tokens, width]).view([k, rows, 1, tokens, width]),
            drop(&[k * rows, heads, tokens, tokens]).view([k, rows, heads, tokens, tokens]),
            drop(&[k * rows, heads, 1, tokens]).view([k, rows, heads, 1, tokens]),
            drop(&[k, rows, width]).view([k, rows, 1, 1, width]),
        ]
    }

    proptest! {
        #[test]
        fn masks_are_the_same_in_every_pack_slot_order_part_and_thread_count(
            slots in slots(),
            cut in 0..4_i64,
            threads in 1..4,
            sizes in (1..4_i64, 1..20_i64),
        ) {
            let sizes = sizes.into();
            let tokens = slots.iter().map(|slot| slot.tokens).max().unwrap();
            let most = slots.iter().map(|slot| slot.rows).max().unwrap();
            // The rows before the cut, and those from it on, as long as there are any in the longest slot.
            for (before, rows) in [(0, cut.min(most)), (cut, most - cut)].into_iter().filter(|(_, rows)| *rows > 0) {
                let pack = std::thread::scope(|scope| {
                    let pack = scope.spawn(|| {
                        tch::set_num_threads(threads);
                        masks(&slots, before, [rows, tokens], sizes)
                    });
                    pack.join().unwrap()
                });
                for (k, slot) in (0..).zip(&slots) {
                    let alone = masks(&[*slot], 0, [slot.rows, slot.tokens], sizes);
                    let own = (slot.rows - before).clamp(0, rows);
                    for (pack, alone) in pack.iter().zip(&alone) {
                        let alone = alone.get(0).narrow(0, before.min(slot.rows), own);
                        let [_, _, queries, width] = alone.size()[..] else { unreachable!("four dimensions") };
                        let pack = pack.get(k).narrow(0, 0, own).narrow(2, 0, queries).narrow(3, 0, width);
                        prop_assert_eq!(&pack, &alone);
                    }
                }
            }
        }
    }

    #[test]
    fn the_first_query_alone_drops_what_it_drops_among_others() {
        let drop = |queries| {
            Pass::training(vec![stream(1, 0)], 2).dropout(&Tensor::ones([2, 3, queries, 50], CPU), 0.5)
        };
        assert_eq!(drop(1), drop(4).narrow(2, 0, 1));
    }

    #[test]
    fn a_neighbour_without_dropout_does_not_shift_the_streams() {
        let mut with = Pass::training(vec![stream(1, 0)], 1);
        let mut without = Pass::training(vec![stream(1, 0)], 1);
        let _ = with.dropout_per_slot(&ones(1, 1), &[0.5]);
        let _ = without.dropout_per_slot(&ones(1, 1), &[0.0]);
        assert_eq!(with.dropout(&ones(1, 1), 0.5), without.dropout(&ones(1, 1), 0.5));
    }

    #[test]
    fn one_stream_for_all_slots_draws_what_each_would_draw() {
        let stream = stream(1, 7);
        let x = |slots: i64| Tensor::arange(slots * 48, CPU).view([slots, 6, 8]);
        for probabilities in [[0.5, 0.5, 0.5], [0.5, 0.0, 0.2]] {
            let own = Pass::training(vec![stream; 3], 2).dropout_per_slot(&x(3), &probabilities);
            let shared = Pass::training(vec![stream], 2).dropout_per_slot(&x(3), &probabilities);
            assert_eq!(shared, own);
        }
        let spread = Pass::training(vec![stream], 2).dropout_per_slot(&x(1), &[0.5, 0.0, 0.2]);
        let own = Pass::training(vec![stream; 3], 2);
        let copies = x(1).expand([3, 6, 8], false);
        assert_eq!(spread, { own }.dropout_per_slot(&copies, &[0.5, 0.0, 0.2]));
        let shares = Tensor::ones([3 * 2, 2, 3, 3], CPU);
        let own = Pass::training(vec![stream; 3], 2).dropout(&shares, 0.5);
        assert_eq!(Pass::training(vec![stream], 2).dropout(&shares, 0.5), own);
    }

    #[test]
    fn a_stretch_gone_through_again_has_the_same_masks() {
        let stream = vec![stream(1, 7)];
        let (mut once, mut again) = (Pass::training(stream.clone(), 4), Pass::training(stream, 4).repeated());
        let _ = (once.dropout(&ones(1, 4), 0.1), again.dropout(&ones(1, 4), 0.1));
        let site = again.site();
        let expected = [0.3, 0.2].map(|p| once.dropout(&ones(1, 4), p));
        for _ in 0..2 {
            again.go_on_at(site);
            assert_eq!([0.3, 0.2].map(|p| again.dropout(&ones(1, 4), p)), expected);
        }
        again.go_on_at(site);
        assert_ne!(again.dropout(&ones(1, 4), 0.6), expected[0], "another probability is another mask");
    }

    #[test]
    fn evaluation_changes_nothing() {
        assert_eq!(Pass::evaluation().dropout(&ones(1, 2), 0.5), ones(1, 2));
    }
}
