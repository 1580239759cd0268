//! Owns exact parameter counts, taken from tensor shapes before any training. Pure.

use serde::{Deserialize, Serialize};

use crate::arch::{Architecture, Head, TensorShape};
use crate::trial::Method;

/// How many parameters a configuration has. Every tensor counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamCounts {
    /// Those of the adapters alone.
    pub adapter: u64,
    /// Those that train: adapters and head, or everything.
    pub trainable: u64,
    /// All of them.
    pub total: u64,
}

impl ParamCounts {
    /// Share of parameters that train, in percent.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn trainable_percent(&self) -> f64 {
        100.0 * self.trainable as f64 / self.total as f64
    }
}

/// Counts for a model with a head: an adapter on a `d_in -> d_out` layer has `r * (d_in + d_out)`
/// parameters (Hu et al. 2021, section 4.1).
#[must_use]
pub fn count(architecture: &Architecture, head: Head, method: &Method) -> ParamCounts {
    let base = sum(&architecture.tensors());
    let head = sum(&architecture.head_tensors(head));
    match method {
        Method::Lora(lora) => {
            let targets = architecture.lora_targets(&lora.targets);
            let adapter = targets.iter().map(|t| (lora.rank * (t.d_in + t.d_out)) as u64).sum();
            ParamCounts { adapter, trainable: adapter + head, total: base + head + adapter }
        }
        Method::Full | Method::Scratch => {
            ParamCounts { adapter: 0, trainable: base + head, total: base + head }
        }
        Method::Base => ParamCounts { adapter: 0, trainable: 0, total: base + head },
    }
}

fn sum(tensors: &[TensorShape]) -> u64 {
    tensors.iter().map(|t| t.numel() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::BertConfig;
    use crate::trial::Lora;

    fn bert(layers: usize, hidden: usize, intermediate: usize) -> Architecture {
        Architecture::Bert(BertConfig {
            num_hidden_layers: layers,
            hidden_size: hidden,
            intermediate_size: intermediate,
            num_attention_heads: hidden / 64,
            ..BertConfig::default()
        })
    }

    fn classes(labels: usize) -> Head {
        Head::Classifier { labels }
    }

    fn lora(rank: usize) -> Method {
        Method::Lora(Lora::new(&["query", "value"], rank, 16.0))
    }

    #[test]
    fn published_counts_hold() {
        let tiny = bert(2, 128, 512);
        assert_eq!(sum(&tiny.tensors()), 4_385_920);
        assert_eq!(count(&tiny, classes(4), &Method::Full).total, 4_386_436);
        assert_eq!(count(&tiny, classes(9), &Method::Full).trainable, 4_387_081);
        assert_eq!(count(&bert(4, 256, 512), classes(9), &Method::Scratch).total, 10_122_249);
        for (rank, adapter) in [(4, 4_096), (8, 8_192), (16, 16_384), (32, 32_768), (64, 65_536)] {
            assert_eq!(count(&tiny, classes(4), &lora(rank)).adapter, adapter);
        }
        assert_eq!(count(&tiny, classes(4), &lora(8)).trainable, 8_708);
        assert_eq!(count(&tiny, classes(9), &lora(8)).trainable, 9_353);
        assert_eq!(count(&bert(2, 384, 1536), classes(4), &lora(8)).trainable, 26_116);
        assert_eq!(count(&bert(12, 768, 3072), classes(2), &lora(8)).adapter, 294_912);
    }
}
