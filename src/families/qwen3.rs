//! Owns Qwen3 (Yang et al. 2025), a Llama that normalises the queries and keys of each head: equal to transformers'
//! `Qwen3ForCausalLM` and `Qwen3ForSequenceClassification`.

use serde::{Deserialize, Serialize};

use super::Architecture;
use super::config::parsed;
use super::decoder::{self, Decoder, DecoderConfig, Traits};
use super::family::{About, Name};

/// Qwen3's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Qwen3Config(pub DecoderConfig);

impl Default for Qwen3Config {
    fn default() -> Self {
        Self(DecoderConfig {
            vocab_size: 151_936,
            intermediate_size: 22_016,
            num_key_value_heads: Some(32),
            head_dim: Some(128),
            max_position_embeddings: 32_768,
            sliding_window: Some(4096),
            ..DecoderConfig::default()
        })
    }
}

/// Qwen3's names; everything else is what all decoders share.
pub(super) static ABOUT: About = decoder::about(
    &[Name { model_type: "qwen3", class: Some("Qwen3") }],
    |json| Ok(Architecture::Qwen3(parsed(json)?)),
    |sizes| Some(Architecture::Qwen3(Qwen3Config(Qwen3Config::default().0.with_sizes(sizes)?))),
);

impl Decoder for Qwen3Config {
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
        let bias = self.0.attention_bias;
        Traits {
            projection_bias: bias,
            output_bias: bias,
            head_norms: true,
            window: self.0.upper_window(),
            ..Traits::default()
        }
    }
}
