//! Owns what a forward pass needs besides tensors: whether it trains, and each slot's random stream.

use tch::Tensor;

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
        let mask = tch::no_grad(|| {
            let mask = x.empty_like().contiguous();
            let rows = x.size()[0] / index(streams.len());
            for (slot, ((key, step), p)) in streams.iter().zip(probabilities).enumerate() {
                let mut part = mask.narrow(0, index(slot) * rows, rows);
                if *p == 0.0 {
                    let _ = part.fill_(1.0);
                } else {
                    let seed = key.seed(Draw::Dropout { step: *step, site });
                    tch::manual_seed(i64::try_from(seed).expect("seeds have 63 bits"));
                    let _ = part.bernoulli_float_(1.0 - p).divide_scalar_(1.0 - p);
                }
            }
            mask
        });
        x * mask
    }
}
