//! Owns what a forward pass needs besides tensors: whether it trains, and each slot's random stream.
//! Knows no layer.

use std::collections::HashMap;

use tch::{Device, Kind, Tensor};

use crate::values::stream::{Draw, StreamKey};

/// One slot's side of a pass with dropout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Root of its random streams.
    pub key: StreamKey,
    /// Micro-batch since the start of its training, from 0.
    pub step: u64,
    /// Its own number of rows; the pack's batch may have more.
    pub rows: i64,
    /// Tokens of its own longest row; the pack's batch may be longer.
    pub tokens: i64,
}

/// One forward pass. Its dropout masks depend only on each slot's own stream, not on how far the other slots'
/// rows pad the batch. Where slots see the same batch there is one stream for all of them.
#[derive(Debug)]
pub struct Pass {
    streams: Option<Vec<Stream>>,
    site: u64,
    kept: Option<Kept>,
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
        Self { streams: None, site: 0, kept: None }
    }

    /// A pass with dropout: one stream per slot, or one for all. The batch is as large as the largest of them.
    #[must_use]
    pub fn training(streams: Vec<Stream>) -> Self {
        Self { streams: Some(streams), site: 0, kept: None }
    }

    /// The same, for slots that pass through the rest of the model one after the other.
    #[must_use]
    pub fn repeated(self) -> Self {
        Self { kept: Some(Kept::default()), ..self }
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

    /// From here on, rows have `tokens` tokens in every slot: the padding of shorter rows is read, and gets
    /// masks like other tokens.
    pub fn read_filling(&mut self, tokens: i64) {
        for stream in self.streams.iter_mut().flatten() {
            stream.tokens = tokens;
        }
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
        let alike = streams.len() == 1 && probabilities.iter().all(|p| p == &probabilities[0]);
        let probabilities = if alike { &probabilities[..1] } else { probabilities };
        let rows = streams.iter().map(|stream| stream.rows).max().unwrap_or(0);
        let whole = slot_size(&x.size(), rows);
        let draw = || {
            let parts = streams.iter().cycle().zip(probabilities).map(|(stream, p)| {
                let seed = stream.key.seed(Draw::Dropout { step: stream.step, site });
                slot_mask(&whole, stream, *p, seed, x.device())
            });
            tch::no_grad(|| match parts.collect::<Vec<_>>().as_slice() {
                // Concatenating a single mask would copy it.
                [alone] => alone.unsqueeze(0),
                parts => Tensor::stack(parts, 0),
            })
        };
        let mask = match &mut self.kept {
            None => draw(),
            Some(kept) => kept.get_or_draw((site, probabilities.iter().map(|p| p.to_bits()).collect()), draw),
        };
        let per_slot: Vec<i64> = std::iter::once(-1).chain(whole).collect();
        let dropped = x.reshape(per_slot) * mask;
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

/// The sizes of one slot's part of `x`, rows first: `[B, T or 1, width]` or `[B, heads, T or 1, T]`.
fn slot_size(x: &[i64], rows: i64) -> Vec<i64> {
    match *x {
        [_, n, width] => vec![rows, n / rows, width],
        [_, heads, queries, tokens] => vec![rows, heads, queries, tokens],
        _ => panic!("dropout of a tensor with sizes {x:?}"),
    }
}

/// A mask of size `whole`: drawn for the slot's own rows and tokens, and 0 at the padding, which is never read.
fn slot_mask(whole: &[i64], stream: &Stream, p: f64, seed: u64, device: Device) -> Tensor {
    if p == 0.0 {
        return Tensor::ones(whole, (Kind::Float, device));
    }
    let per_token = |size: i64| if size == 1 { 1 } else { stream.tokens };
    let own = match *whole {
        [_, tokens, width] => vec![stream.rows, per_token(tokens), width],
        [_, heads, queries, tokens] => vec![stream.rows, heads, per_token(queries), per_token(tokens)],
        _ => unreachable!("slot_size gives three or four"),
    };
    let drawn = keep_mask(&own, p, seed, device);
    if own == whole {
        return drawn;
    }
    let filling: Vec<i64> = whole.iter().zip(&own).rev().flat_map(|(whole, own)| [0, whole - own]).collect();
    drawn.constant_pad_nd(filling)
}

/// 0 with probability p, else 1 / (1 - p), of these sizes.
///
/// libtorch draws Bernoulli numbers one by one, 9 ns each on a CPU. Here each 64-bit draw decides
/// four elements by 15 of its bits, which took a step's forward pass from 97 to 72 ms; p is rounded to
/// 1 / 32768, and the scale is that of the rounded p, so the mean is exact.
fn keep_mask(size: &[i64], p: f64, seed: u64, device: Device) -> Tensor {
    const LEVELS: f64 = 32_768.0;
    tch::manual_seed(i64::try_from(seed).expect("seeds have 63 bits"));
    let numel: i64 = size.iter().product();
    let words = Tensor::empty([(numel + 3) / 4], (Kind::Int64, device)).random_();
    let levels = words.view_dtype(Kind::Int16).narrow(0, 0, numel).bitwise_and(i64::from(i16::MAX));
    #[expect(clippy::cast_possible_truncation, reason = "p is in [0, 1)")]
    let threshold = (p * LEVELS).round().min(LEVELS - 1.0) as i64;
    #[expect(clippy::cast_precision_loss, reason = "at most 32767")]
    let scale = LEVELS / (LEVELS - threshold as f64);
    (levels.ge(threshold).to_kind(Kind::Float) * scale).view(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    fn ones(slots: i64, rows: i64) -> Tensor {
        Tensor::ones([slots, rows, 1000], CPU)
    }

    fn stream(seed: u64, step: u64, rows: i64) -> Stream {
        Stream { key: StreamKey::from_seed(seed), step, rows, tokens: 1 }
    }

    #[test]
    fn dropout_zeroes_its_share_and_keeps_the_mean() {
        for p in [0.1, 0.5, 0.9] {
            let x = Pass::training(vec![stream(1, 0, 200)]).dropout(&ones(1, 200), p);
            let zeros = x.eq(0.0).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
            // 200,000 draws: five standard deviations.
            let allowed = 5.0 * (p * (1.0 - p) / 200_000.0_f64).sqrt();
            assert!((zeros - p).abs() < allowed, "{zeros} of {p}");
            let mean = x.mean(Kind::Double).double_value(&[]);
            assert!((mean - 1.0).abs() < allowed / (1.0 - p), "{mean}");
        }
    }

    #[test]
    fn masks_depend_on_key_step_and_site_alone() {
        let solo = |seed, step| {
            let mut pass = Pass::training(vec![stream(seed, step, 4)]);
            [pass.dropout(&ones(1, 4), 0.3), pass.dropout(&ones(1, 4), 0.3)]
        };
        let [first, second] = solo(1, 7);
        assert_eq!(solo(1, 7), [first.copy(), second.copy()]);
        assert_ne!(first, second);
        assert_ne!(first, solo(1, 8)[0]);
        assert_ne!(first, solo(2, 7)[0]);
        let mut pack = Pass::training(vec![stream(5, 3, 4), stream(1, 7, 4), stream(6, 0, 4)]);
        assert_eq!(pack.dropout_per_slot(&ones(3, 4), &[0.9, 0.3, 0.0]).narrow(0, 1, 1), first);
        assert_eq!(pack.dropout(&ones(3, 4), 0.3).narrow(0, 1, 1), second);
    }

    #[test]
    fn a_neighbour_with_more_and_longer_rows_changes_no_mask() {
        let (small, large) =
            (Stream { tokens: 3, ..stream(1, 7, 2) }, Stream { tokens: 5, ..stream(2, 7, 4) });
        let activations = |k: i64, rows: i64, tokens: i64| Tensor::ones([k, rows * tokens, 8], CPU);
        let shares = |rows: i64, queries: i64, tokens: i64| Tensor::ones([rows, 2, queries, tokens], CPU);
        let (mut solo, mut pack) = (Pass::training(vec![small]), Pass::training(vec![large, small]));
        let alone = solo.dropout(&activations(1, 2, 3), 0.5).view([2, 3, 8]);
        let beside = pack.dropout(&activations(2, 4, 5), 0.5).view([2, 4, 5, 8]).get(1);
        assert_eq!(beside.narrow(0, 0, 2).narrow(1, 0, 3), alone);
        for (own, padded) in [(3, 5), (1, 1)] {
            let alone = solo.dropout(&shares(2, own, 3), 0.5);
            let beside = pack.dropout(&shares(8, padded, 5), 0.5).narrow(0, 4, 2);
            assert_eq!(beside.narrow(2, 0, own).narrow(3, 0, 3), alone);
        }
        let alone = solo.dropout(&Tensor::ones([1, 2, 8], CPU), 0.5);
        assert_eq!(pack.dropout(&Tensor::ones([2, 4, 8], CPU), 0.5).narrow(0, 1, 1).narrow(1, 0, 2), alone);
    }

    #[test]
    fn a_neighbour_without_dropout_does_not_shift_the_streams() {
        let mut with = Pass::training(vec![stream(1, 0, 1)]);
        let mut without = Pass::training(vec![stream(1, 0, 1)]);
        let _ = with.dropout_per_slot(&ones(1, 1), &[0.5]);
        let _ = without.dropout_per_slot(&ones(1, 1), &[0.0]);
        assert_eq!(with.dropout(&ones(1, 1), 0.5), without.dropout(&ones(1, 1), 0.5));
    }

    #[test]
    fn one_stream_for_all_slots_draws_what_each_would_draw() {
        let stream = Stream { tokens: 3, ..stream(1, 7, 2) };
        let x = |slots: i64| Tensor::arange(slots * 48, CPU).view([slots, 6, 8]);
        for probabilities in [[0.5, 0.5, 0.5], [0.5, 0.0, 0.2]] {
            let own = Pass::training(vec![stream; 3]).dropout_per_slot(&x(3), &probabilities);
            let shared = Pass::training(vec![stream]).dropout_per_slot(&x(3), &probabilities);
            assert_eq!(shared, own);
        }
        let spread = Pass::training(vec![stream]).dropout_per_slot(&x(1), &[0.5, 0.0, 0.2]);
        let own = Pass::training(vec![stream; 3]);
        let copies = x(1).expand([3, 6, 8], false);
        assert_eq!(spread, { own }.dropout_per_slot(&copies, &[0.5, 0.0, 0.2]));
        let shares = Tensor::ones([3 * 2, 2, 3, 3], CPU);
        let own = Pass::training(vec![stream; 3]).dropout(&shares, 0.5);
        assert_eq!(Pass::training(vec![stream]).dropout(&shares, 0.5), own);
    }

    #[test]
    fn a_stretch_gone_through_again_has_the_same_masks() {
        let stream = stream(1, 7, 4);
        let (mut once, mut again) = (Pass::training(vec![stream]), Pass::training(vec![stream]).repeated());
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
