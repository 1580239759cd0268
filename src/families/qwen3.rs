//! Owns Qwen3 (Yang et al. 2025), a Llama that normalises the queries and keys of each head: equal to transformers'
//! `Qwen3ForCausalLM` and `Qwen3ForSequenceClassification`.

use super::Architecture;
use super::decoder::{self, Decoder, DecoderConfig, Kind, Traits};
use super::family::{About, Name};
use super::qwen2::Qwen2;

/// Qwen3.
#[derive(Clone, Debug, PartialEq)]
pub struct Qwen3;

/// Qwen3's names; everything else is what all decoders share.
pub(super) static ABOUT: About =
    decoder::about::<Qwen3>(&[Name { model_type: "qwen3", class: Some("Qwen3") }]);

impl Kind for Qwen3 {
    fn about() -> &'static About {
        &ABOUT
    }

    fn defaults() -> DecoderConfig {
        DecoderConfig { head_dim: Some(128), ..Qwen2::defaults() }
    }

    fn traits(config: &DecoderConfig) -> Traits {
        let bias = config.attention_bias;
        Traits {
            projection_bias: bias,
            output_bias: bias,
            head_norms: true,
            window: config.upper_window(),
            ..Traits::default()
        }
    }

    fn architecture(decoder: Decoder<Self>) -> Architecture {
        Architecture::Qwen3(decoder)
    }
}
