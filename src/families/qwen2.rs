//! Owns Qwen2 and Qwen2.5 (Yang et al. 2024), a Llama with biases on queries, keys and values: equal to transformers'
//! `Qwen2ForCausalLM` and `Qwen2ForSequenceClassification`.

use serde::{Deserialize, Serialize};

use super::Architecture;
use super::config::parsed;
use super::decoder::{self, Decoder, DecoderConfig, Traits};
use super::family::{About, Name};

/// Qwen2's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Qwen2Config(pub DecoderConfig);

impl Default for Qwen2Config {
    fn default() -> Self {
        Self(DecoderConfig {
            vocab_size: 151_936,
            intermediate_size: 22_016,
            num_key_value_heads: Some(32),
            max_position_embeddings: 32_768,
            sliding_window: Some(4096),
            ..DecoderConfig::default()
        })
    }
}

/// Qwen2's names; everything else is what all decoders share.
pub(super) static ABOUT: About = decoder::about(
    &[Name { model_type: "qwen2", class: Some("Qwen2") }],
    |json| Ok(Architecture::Qwen2(parsed(json)?)),
    |sizes| Some(Architecture::Qwen2(Qwen2Config(Qwen2Config::default().0.with_sizes(sizes)?))),
);

impl Decoder for Qwen2Config {
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
        Traits { projection_bias: true, window: self.0.upper_window(), ..Traits::default() }
    }
}
