//! Owns dropout masks: whether an element is kept is a function of its slot's words and of the element's place,
//! whatever is computed beside it, in which parts and on which device. Knows no layer.
//!
//! A line is the last dimension of a mask: the units of a token, or the tokens that a query of a head attends
//! to. It begins at a word of its own, see [`line`], and each word decides four neighbours by its 16-bit parts,
//! lowest first.

use std::collections::HashMap;

use tch::{Device, Kind, Tensor};

use super::device;
use super::params::index;
use crate::values::stream::Words;

/// Steps of probabilities: a word has 16 bits for each element.
const LEVELS: f64 = 65_536.0;

/// The size of one slot's mask: its lines, and the elements of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lines {
    rows: usize,
    /// 1 where a line has the units of a token.
    heads: usize,
    /// Tokens or queries.
    tokens: usize,
    width: usize,
}

/// What decides one slot's mask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MaskKey {
    /// Its random bits.
    pub(super) words: Words,
    /// Number of its first row in the optimiser step.
    pub(super) first_row: u64,
    /// How much is dropped.
    pub(super) odds: Odds,
}

/// A probability of dropout, rounded to 1 / 65536.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Odds {
    /// An element is kept if its 16 bits, as a signed number, are at least this.
    least: i16,
}

/// Draws masks. Keeps, for one forward pass, what masks of one size have in common on a GPU.
#[derive(Debug, Default)]
pub(super) struct Masks {
    places: HashMap<Lines, Tensor>,
}

impl Lines {
    /// Of activations `[K, B * T, width]` or `[K, B, width]`, or of attention shares `[K * B, heads, T or 1, T]`,
    /// with B = `rows`.
    pub(super) fn of(x: &[i64], rows: i64) -> Self {
        let [heads, tokens, width] = match *x {
            [_, n, width] => [1, n / rows, width],
            [_, heads, queries, tokens] => [heads, queries, tokens],
            _ => panic!("dropout of a tensor with sizes {x:?}"),
        };
        let [rows, heads, tokens, width] =
            [rows, heads, tokens, width].map(|n| usize::try_from(n).expect("sizes are positive"));
        Self { rows, heads, tokens, width }
    }

    /// The size of masks for so many slots; -1 for as many as there are.
    pub(super) fn size(self, slots: i64) -> [i64; 5] {
        let [rows, heads, tokens, width] = [self.rows, self.heads, self.tokens, self.width].map(index);
        [slots, rows, heads, tokens, width]
    }

    /// Words of a line.
    fn words(self) -> usize {
        self.width.div_ceil(4)
    }
}

impl Odds {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "between the least and the largest number of 16 bits"
    )]
    pub(super) fn of(probability: f64) -> Self {
        Self { least: ((probability * LEVELS).round().min(LEVELS - 1.0) - LEVELS / 2.0) as i16 }
    }

    /// The factor on what is kept, which makes the mean of a mask exactly 1.
    #[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits, as masks are")]
    fn scale(self) -> f32 {
        (LEVELS / (LEVELS / 2.0 - f64::from(self.least))) as f32
    }
}

impl Masks {
    /// A mask for each key, `[S, rows, heads, tokens, width]` in 32 bits: 0 where an element is dropped, and the
    /// odds' scale elsewhere. One for all where all keys are the same.
    pub(super) fn draw(&mut self, lines: Lines, keys: &[MaskKey], device: Device) -> Tensor {
        let mut distinct: Vec<MaskKey> = Vec::new();
        let which = keys.iter().map(|key| {
            distinct.iter().position(|known| known == key).unwrap_or_else(|| {
                distinct.push(*key);
                distinct.len() - 1
            })
        });
        let which: Vec<i64> = which.map(index).collect();
        let masks = match device {
            Device::Cpu => on_host(lines, &distinct),
            Device::Cuda(_) | Device::Mps | Device::Vulkan => {
                let places = self.places.entry(lines).or_insert_with(|| places(lines, device));
                from_places(places, lines, &distinct)
            }
        };
        if distinct.len() == 1 || distinct.len() == keys.len() {
            return masks;
        }
        masks.index_select(0, &device::send(&Tensor::from_slice(&which), device))
    }
}

/// The number of a line's first word: 24 bits for the row, counted in its optimiser step, 8 for the head, 18 for
/// the token and 14 for the words of the line. Beyond these limits lines would have words in common.
fn line(row: u64, head: usize, token: usize) -> u64 {
    debug_assert!(row < 1 << 24 && head < 1 << 8 && token < 1 << 18, "row {row}, head {head}, token {token}");
    row << 40 | (head as u64) << 32 | (token as u64) << 14
}

/// The masks of these keys, `[S, rows, heads, tokens, width]`.
fn on_host(lines: Lines, keys: &[MaskKey]) -> Tensor {
    let mut masks = Tensor::empty(lines.size(index(keys.len())), (Kind::Float, Device::Cpu));
    let mut words = vec![0_u64; lines.words()];
    let mut left = floats(&mut masks).chunks_exact_mut(lines.width);
    for MaskKey { words: of_slot, first_row, odds } in keys {
        for row in *first_row..*first_row + lines.rows as u64 {
            for head in 0..lines.heads {
                for (token, mask) in (0..lines.tokens).zip(&mut left) {
                    of_slot.fill(line(row, head, token), &mut words);
                    keep(bytemuck::cast_slice(&words), *odds, mask);
                }
            }
        }
    }
    masks
}

/// The mask of a line from its random bits.
fn keep(bits: &[i16], odds: Odds, mask: &mut [f32]) {
    let (least, scale) = (odds.least, odds.scale());
    for (element, bits) in mask.iter_mut().zip(bits) {
        *element = if *bits >= least { scale } else { 0.0 };
    }
}

/// The elements of a new tensor.
fn floats(tensor: &mut Tensor) -> &mut [f32] {
    assert!(tensor.is_contiguous() && tensor.kind() == Kind::Float && tensor.device() == Device::Cpu);
    let (first, length) = (tensor.data_ptr().cast::<f32>(), tensor.numel());
    assert!(!first.is_null(), "the tensor has elements");
    // SAFETY: a contiguous tensor of 32-bit floats in host memory is `length` of them in a row, aligned by
    // libtorch's allocator; it was just made, so that no other tensor shares its storage, and it is borrowed for
    // as long as the slice is.
    #[expect(unsafe_code, reason = "tch can only copy elements, which takes as long as drawing them")]
    unsafe {
        std::slice::from_raw_parts_mut(first, length)
    }
}

/// How far the state of each word of a mask is from that of the mask's first word, `[1, rows, heads, tokens,
/// words]`, modulo 2^64.
fn places(lines: Lines, device: Device) -> Tensor {
    let options = (Kind::Int64, device);
    let one = |size: usize, first: u64| {
        Tensor::arange(index(size), options) * first.wrapping_mul(Words::STEP).cast_signed()
    };
    let rows = one(lines.rows, line(1, 0, 0)).view([1, -1, 1, 1, 1]);
    let heads = one(lines.heads, line(0, 1, 0)).view([-1, 1, 1]);
    let tokens = one(lines.tokens, line(0, 0, 1)).view([-1, 1]);
    rows + (heads + tokens) + one(lines.words(), 1)
}

/// The same as [`on_host`] in tensor operations, on the device of `places`.
fn from_places(places: &Tensor, lines: Lines, keys: &[MaskKey]) -> Tensor {
    let device = places.device();
    let state = |key: &MaskKey| key.words.state(line(key.first_row, 0, 0)).cast_signed();
    let mut words = places + of_each(keys, state, device);
    // `Words::of_state`: products wrap around, and `>>` fills with copies of the sign, which are masked out.
    for (shift, factor) in Words::ROUNDS.map(|(shift, factor)| (i64::from(shift), factor.cast_signed())) {
        let high = words.bitwise_right_shift_tensor_scalar(shift).bitwise_and_(i64::MAX >> (shift - 1));
        let _ = words.bitwise_xor_tensor_(&high);
        if factor != 1 {
            let _ = words.g_mul_scalar_(factor);
        }
    }
    let bits = words.view_dtype(Kind::Int16).narrow(-1, 0, index(lines.width));
    let kept = bits.ge_tensor(&of_each(keys, |key| key.odds.least, device));
    kept * of_each(keys, |key| key.odds.scale(), device)
}

/// A value of each key, `[S, 1, 1, 1, 1]`; where all have the same, a single number, which needs no copy to the
/// device.
fn of_each<T>(keys: &[MaskKey], value: impl Fn(&MaskKey) -> T, device: Device) -> Tensor
where
    T: tch::kind::Element + PartialEq,
{
    let values: Vec<T> = keys.iter().map(value).collect();
    let tensor = Tensor::from_slice(&values);
    if values.iter().all(|value| *value == values[0]) {
        return tensor.get(0);
    }
    device::send(&tensor.view([-1, 1, 1, 1, 1]), device)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::values::stream::{Draw, StreamKey};

    fn key(seed: u64, first_row: u64, p: f64) -> MaskKey {
        let words = StreamKey::from_seed(seed).words(Draw::Dropout { step: 0, site: 0 });
        MaskKey { words, first_row, odds: Odds::of(p) }
    }

    /// The random bits of an element, read one by one.
    fn bits(words: Words, line: u64, element: usize) -> i16 {
        (words.word(line + element as u64 / 4) >> (16 * (element % 4))) as i16
    }

    #[test]
    fn lines_stay_what_they_are() {
        // The key of seed 42 in fold 0.
        let MaskKey { words, odds, .. } = key(0xbdd7_3226_2feb_6e95, 0, 0.1);
        for (place, first, expected) in [
            ((0, 0, 0), [-24_340, -7_800, -9_502, -8_517, 14_915], "11111111111111111111111110111111"),
            ((0, 0, 1), [-25_247, -6_615, 15_972, -30_981, 6_056], "11101111111111101111110101111101"),
            ((1, 0, 0), [-10_759, 26_148, 9_294, 15_480, 24_757], "11111111111011111111111111101111"),
            ((0, 1, 0), [14_805, 19_366, 24_386, 27_443, 7_304], "11111111110011111111110111101111"),
            ((31, 11, 127), [-14_727, -21_339, -18_726, -15_440, 4_686], "11111101111111111111110111110111"),
        ] {
            let (row, head, token) = place;
            let line = line(row, head, token);
            assert_eq!([0, 1, 2, 3, 4].map(|element| bits(words, line, element)), first, "{place:?}");
            let kept = |element| if bits(words, line, element) >= odds.least { '1' } else { '0' };
            assert_eq!((0..32).map(kept).collect::<String>(), expected, "{place:?}");
        }
    }

    fn lines() -> impl Strategy<Value = Lines> {
        let sizes = (1..5_usize, 1..4_usize, 1..9_usize, 1..34_usize);
        sizes.prop_map(|(rows, heads, tokens, width)| Lines { rows, heads, tokens, width })
    }

    fn keys() -> impl Strategy<Value = Vec<MaskKey>> {
        let p = prop_oneof![Just(0.0), Just(0.1), Just(0.5), Just(0.999), Just(1.0 - f64::EPSILON)];
        let one = (0..3_u64, prop_oneof![Just(0), Just(5)], p);
        prop::collection::vec(one.prop_map(|(seed, first_row, p)| key(seed, first_row, p)), 1..6)
    }

    proptest! {
        #[test]
        fn tensor_operations_give_the_bits_of_the_host(lines in lines(), keys in keys()) {
            let host = on_host(lines, &keys);
            let places = places(lines, Device::Cpu);
            prop_assert_eq!(&from_places(&places, lines, &keys).expand_as(&host), &host);
        }

        #[test]
        fn each_element_is_decided_by_its_own_bits(lines in lines(), keys in keys()) {
            let masks = Masks::default().draw(lines, &keys, Device::Cpu);
            let masks = masks.expand(lines.size(index(keys.len())), false);
            for (mask, MaskKey { words, first_row, odds }) in (0..).zip(&keys) {
                let mask = Vec::<f32>::try_from(masks.get(mask).flatten(0, -1)).unwrap();
                let Lines { heads, tokens, width, .. } = lines;
                for (n, element) in mask.iter().enumerate() {
                    let [token, head, row] =
                        [n / width % tokens, n / width / tokens % heads, n / width / tokens / heads];
                    let kept = bits(*words, line(first_row + row as u64, head, token), n % width) >= odds.least;
                    prop_assert_eq!(*element, if kept { odds.scale() } else { 0.0 });
                }
            }
        }
    }
}
