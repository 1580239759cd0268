//! Owns Mistral (Jiang et al. 2023), a Llama whose tokens attend to a window of those before them: equal to
//! transformers' `MistralForCausalLM` and `MistralForSequenceClassification`.

use serde::{Deserialize, Serialize};

use super::Architecture;
use super::config::parsed;
use super::decoder::{self, Decoder, DecoderConfig, Traits};
use super::family::{About, Name};

/// Mistral's configuration; `sliding_window: null` is no window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MistralConfig(pub DecoderConfig);

impl Default for MistralConfig {
    fn default() -> Self {
        Self(DecoderConfig {
            intermediate_size: 14_336,
            num_key_value_heads: Some(8),
            max_position_embeddings: 131_072,
            sliding_window: Some(4096),
            ..DecoderConfig::default()
        })
    }
}

/// Mistral's names; everything else is what all decoders share.
pub(super) static ABOUT: About = decoder::about(
    &[Name { model_type: "mistral", class: Some("Mistral") }],
    |json| Ok(Architecture::Mistral(parsed(json)?)),
    |sizes| Some(Architecture::Mistral(MistralConfig(MistralConfig::default().0.with_sizes(sizes)?))),
);

impl Decoder for MistralConfig {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn config(&self) -> &DecoderConfig {
        &self.0
    }

    fn config_mut(&mut self) -> &mut DecoderConfig {
        &mut self.0
    }

    fn traits(&self) -> Traits {
        Traits { window: self.0.sliding_window.map(|window| (window, 0)), ..Traits::default() }
    }
}
