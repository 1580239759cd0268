//! Owns what a forward pass needs besides tensors: whether it trains, and each slot's random stream.

use tch::{Kind, Tensor};

use super::params::index;
use crate::stream::{Draw, StreamKey};

/// One forward pass. Its dropout masks depend on each slot's key and step alone.
#[derive(Debug)]
pub struct Pass {
    streams: Option<Vec<(StreamKey, u64)>>,
    site: u64,
}

impl Pass {
    /// A pass without dropout.
    #[must_use]
    pub fn evaluation() -> Self {
        Self { streams: None, site: 0 }
    }

    /// A pass with dropout: one stream and micro-batch number per slot.
    #[must_use]
    pub fn training(streams: Vec<(StreamKey, u64)>) -> Self {
        Self { streams: Some(streams), site: 0 }
    }

    /// Whether dropout with this probability would change anything.
    #[must_use]
    pub fn drops(&self, probability: f64) -> bool {
        self.streams.is_some() && probability > 0.0
    }

    /// Dropout with one probability for all slots; `x` is `[K * n, …]`, slot by slot.
    pub fn dropout(&mut self, x: &Tensor, probability: f64) -> Tensor {
        let slots = self.streams.as_ref().map_or(0, Vec::len);
        self.dropout_per_slot(x, &vec![probability; slots])
    }

    /// Dropout with a probability per slot: elements are zeroed with probability p and the others
    /// scaled by 1 / (1 - p) (Srivastava et al. 2014); `x` is `[K * n, …]`, slot by slot.
    pub fn dropout_per_slot(&mut self, x: &Tensor, probabilities: &[f64]) -> Tensor {
        let Some(streams) = &self.streams else { return x.shallow_clone() };
        // Every layer counts, also one that drops nothing: a neighbour with another probability
        // must not shift the streams of the layers behind it.
        let site = self.site;
        self.site += 1;
        if probabilities.iter().all(|p| *p == 0.0) {
            return x.shallow_clone();
        }
        let rows = x.size()[0] / index(streams.len());
        let mask = tch::no_grad(|| {
            let parts = streams.iter().zip(probabilities).map(|((key, step), p)| {
                let part = x.narrow(0, 0, rows);
                if *p == 0.0 {
                    part.ones_like()
                } else {
                    keep_mask(&part, *p, key.seed(Draw::Dropout { step: *step, site }))
                }
            });
            Tensor::cat(&parts.collect::<Vec<_>>(), 0)
        });
        x * mask
    }
}

/// 0 with probability p, else 1 / (1 - p), in the shape of `like`.
///
/// libtorch draws Bernoulli numbers one by one, 9 ns each on a CPU. Here each 64-bit draw decides
/// four elements by 15 of its bits, which is five times as fast; p is rounded to 1 / 32768, and the
/// scale is that of the rounded p, so the mean is exact.
fn keep_mask(like: &Tensor, p: f64, seed: u64) -> Tensor {
    const LEVELS: f64 = 32_768.0;
    tch::manual_seed(i64::try_from(seed).expect("seeds have 63 bits"));
    let size = like.size();
    let numel: i64 = size.iter().product();
    let words = Tensor::empty([(numel + 3) / 4], (Kind::Int64, like.device())).random_();
    let levels = words.view_dtype(Kind::Int16).narrow(0, 0, numel).bitwise_and(i64::from(i16::MAX));
    #[expect(clippy::cast_possible_truncation, reason = "p is in [0, 1)")]
    let threshold = (p * LEVELS).round().min(LEVELS - 1.0) as i64;
    #[expect(clippy::cast_precision_loss, reason = "at most 32767")]
    let scale = LEVELS / (LEVELS - threshold as f64);
    (levels.ge(threshold).to_kind(Kind::Float) * scale).view(size.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn ones(rows: i64) -> Tensor {
        Tensor::ones([rows, 1000], (Kind::Float, Device::Cpu))
    }

    fn key(seed: u64) -> StreamKey {
        StreamKey::from_seed(seed)
    }

    #[test]
    fn dropout_zeroes_its_share_and_keeps_the_mean() {
        for p in [0.1, 0.5, 0.9] {
            let x = Pass::training(vec![(key(1), 0)]).dropout(&ones(200), p);
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
            let mut pass = Pass::training(vec![(key(seed), step)]);
            [pass.dropout(&ones(4), 0.3), pass.dropout(&ones(4), 0.3)]
        };
        let [first, second] = solo(1, 7);
        assert_eq!(solo(1, 7), [first.copy(), second.copy()]);
        assert_ne!(first, second);
        assert_ne!(first, solo(1, 8)[0]);
        assert_ne!(first, solo(2, 7)[0]);
        let mut pack = Pass::training(vec![(key(5), 3), (key(1), 7), (key(6), 0)]);
        assert_eq!(pack.dropout_per_slot(&ones(12), &[0.9, 0.3, 0.0]).narrow(0, 4, 4), first);
        assert_eq!(pack.dropout(&ones(12), 0.3).narrow(0, 4, 4), second);
    }

    #[test]
    fn a_neighbour_without_dropout_does_not_shift_the_streams() {
        let mut with = Pass::training(vec![(key(1), 0)]);
        let mut without = Pass::training(vec![(key(1), 0)]);
        let _ = with.dropout_per_slot(&ones(1), &[0.5]);
        let _ = without.dropout_per_slot(&ones(1), &[0.0]);
        assert_eq!(with.dropout(&ones(1), 0.5), without.dropout(&ones(1), 0.5));
    }

    #[test]
    fn evaluation_changes_nothing() {
        assert_eq!(Pass::evaluation().dropout(&ones(2), 0.5), ones(2));
    }
}
