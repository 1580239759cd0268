//! Owns Mistral (Jiang et al. 2023), a Llama whose tokens attend to a window of those before them: equal to
//! transformers' `MistralForCausalLM` and `MistralForSequenceClassification`.

use super::Architecture;
use super::decoder::{self, Decoder, DecoderConfig, Kind, Traits};
use super::family::{About, Name};

/// Mistral; `sliding_window: null` is no window.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistral;

/// Mistral's names; everything else is what all decoders share.
pub(super) static ABOUT: About =
    decoder::about::<Mistral>(&[Name { model_type: "mistral", class: Some("Mistral") }]);

impl Kind for Mistral {
    fn about() -> &'static About {
        &ABOUT
    }

    fn defaults() -> DecoderConfig {
        DecoderConfig {
            intermediate_size: 14_336,
            num_key_value_heads: Some(8),
            max_position_embeddings: 131_072,
            sliding_window: Some(4096),
            ..DecoderConfig::default()
        }
    }

    fn traits(config: &DecoderConfig) -> Traits {
        Traits { window: config.sliding_window.map(|window| (window, 0)), ..Traits::default() }
    }

    fn architecture(decoder: Decoder<Self>) -> Architecture {
        Architecture::Mistral(decoder)
    }
}
