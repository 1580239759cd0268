//! Owns exact parameter counts, taken from tensor shapes before any training. Pure.

use serde::{Deserialize, Serialize};

use crate::families::{Architecture, Head, LinearShape, TensorShape};
use crate::values::{Lora, Method};

/// How many parameters a configuration has. Every tensor counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamCounts {
    /// Parameters of the adapters.
    pub adapter: u64,
    /// Parameters that train: adapters and saved modules, or everything, or nothing.
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
/// parameters (Hu et al. 2021, section 4.1), and one of DoRA a length for each of the `d_out` rows besides.
#[must_use]
pub fn count(architecture: &Architecture, head: Head, method: &Method) -> ParamCounts {
    let whole = sum(&architecture.all_tensors(head));
    let beside = |lora: &Lora, of: fn(&Lora, &LinearShape) -> usize| {
        let adapter = architecture.adapted(head, lora).iter().map(|target| of(lora, target) as u64).sum();
        let saved = sum(&architecture.saved_tensors(head, &lora.modules_to_save));
        ParamCounts { adapter, trainable: adapter + saved, total: whole + adapter }
    };
    match method {
        Method::Lora(lora) => beside(lora, |lora, t| lora.rank * (t.d_in + t.d_out)),
        Method::Dora(lora) => beside(lora, |lora, t| lora.rank * (t.d_in + t.d_out) + t.d_out),
        Method::Full | Method::Scratch => ParamCounts { adapter: 0, trainable: whole, total: whole },
        Method::Base => ParamCounts { adapter: 0, trainable: 0, total: whole },
    }
}

fn sum(tensors: &[TensorShape]) -> u64 {
    tensors.iter().map(|t| t.numel() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::{BertConfig, Gpt2Config, GptMiniConfig};

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

    fn saving(method: &Method, modules: &[&str]) -> Method {
        let modules_to_save = modules.iter().map(ToString::to_string).collect();
        match method {
            Method::Lora(lora) => Method::Lora(Lora { modules_to_save, ..lora.clone() }),
            Method::Dora(lora) => Method::Dora(Lora { modules_to_save, ..lora.clone() }),
            Method::Full | Method::Scratch | Method::Base => panic!("only adapters have saved modules"),
        }
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

    #[test]
    fn dora_trains_a_length_for_each_output_of_a_target_besides() {
        let of = |method: &Method| count(&bert(12, 768, 3072), classes(2), method);
        let (lora, dora) = (of(&lora(8)), of(&Method::Dora(Lora::new(&["query", "value"], 8, 16.0))));
        let more = 12 * 2 * 768;
        assert_eq!(dora.adapter, 294_912 + more);
        assert_eq!([dora.trainable - lora.trainable, dora.total - lora.total], [more; 2]);
    }

    #[test]
    fn gpt2_has_its_published_size() {
        let gpt2 = Architecture::Gpt2(Gpt2Config::default());
        let lora = |targets: &[&str]| Method::Lora(Lora::new(targets, 8, 16.0));
        let counts = |method: &Method| count(&gpt2, Head::LanguageModel, method);
        assert_eq!(counts(&Method::Full).total, 124_439_808);
        assert_eq!(counts(&Method::Base), ParamCounts { adapter: 0, trainable: 0, total: 124_439_808 });
        assert_eq!(counts(&lora(&["c_attn"])).trainable, 294_912);
        assert_eq!(counts(&lora(&["c_attn", "c_proj"])).trainable, 811_008);
        assert_eq!(counts(&lora(&["attn.c_attn", "attn.c_proj"])).trainable, 294_912 + 12 * 8 * 2 * 768);
        let labels = count(&gpt2, classes(2), &lora(&["c_attn"]));
        assert_eq!(labels.trainable, 294_912 + 2 * 768);
    }

    #[test]
    fn gptmini_counts_its_one_hot_layer_and_its_head_over_all_positions() {
        let mini = |hidden_size, length| {
            Architecture::GptMini(GptMiniConfig { hidden_size, length, ..GptMiniConfig::default() })
        };
        assert_eq!(count(&mini(3, 16), classes(3), &Method::Full).trainable, 91_818);
        let frozen_head = saving(&Method::Lora(Lora::new(&["query", "value"], 4, 1.0)), &[]);
        assert_eq!(count(&mini(64, 128), classes(3), &frozen_head).trainable, 1_024);
    }

    #[test]
    fn what_trains_beside_adapters_is_named() {
        let tiny = bert(2, 128, 512);
        let trainable = |modules: &[&str]| count(&tiny, classes(4), &saving(&lora(8), modules)).trainable;
        let pooler = 128 * 128 + 128;
        assert_eq!(trainable(&[]), 8_192);
        assert_eq!(trainable(&["head"]), 8_708);
        assert_eq!(trainable(&["classifier"]), 8_708);
        assert_eq!(trainable(&["head", "pooler"]), 8_708 + pooler);
        assert_eq!(trainable(&["bert.pooler.dense"]), 8_192 + pooler);
        assert_eq!(trainable(&["ooler", "weight"]), 8_192);
        let total = |modules: &[&str]| count(&tiny, classes(4), &saving(&lora(8), modules)).total;
        assert_eq!(total(&[]), total(&["head", "pooler"]));
    }
}
