//! Owns Qwen2 and Qwen2.5 (Yang et al. 2024), a Llama with biases on queries, keys and values: equal to transformers'
//! `Qwen2ForCausalLM` and `Qwen2ForSequenceClassification`.

use super::Architecture;
use super::decoder::{self, Decoder, DecoderConfig, Kind, Traits};
use super::family::{About, Name};

/// Qwen2 and Qwen2.5.
#[derive(Clone, Debug, PartialEq)]
pub struct Qwen2;

/// Qwen2's names; everything else is what all decoders share.
pub(super) static ABOUT: About =
    decoder::about::<Qwen2>(&[Name { model_type: "qwen2", class: Some("Qwen2") }]);

impl Kind for Qwen2 {
    fn about() -> &'static About {
        &ABOUT
    }

    fn defaults() -> DecoderConfig {
        DecoderConfig {
            vocab_size: 151_936,
            intermediate_size: 22_016,
            num_key_value_heads: Some(32),
            max_position_embeddings: 32_768,
            sliding_window: Some(4096),
            ..DecoderConfig::default()
        }
    }

    fn traits(config: &DecoderConfig) -> Traits {
        Traits { projection_bias: true, window: config.upper_window(), ..Traits::default() }
    }

    fn architecture(decoder: Decoder<Self>) -> Architecture {
        Architecture::Qwen2(decoder)
    }
}
