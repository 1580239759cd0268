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
    #[must_use]
    pub fn dropout(&mut self, x: &Tensor, probability: f64) -> Tensor {
        let slots = self.streams.as_ref().map_or(0, Vec::len);
        self.dropout_per_slot(x, &vec![probability; slots])
    }

    /// Dropout with a probability per slot: elements are zeroed with probability p and the others
    /// scaled by 1 / (1 - p) (Srivastava et al. 2014); `x` is `[K * n, …]`, slot by slot.
    #[must_use]
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
