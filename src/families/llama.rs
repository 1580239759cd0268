//! Owns Llama (Touvron et al. 2023; Grattafiori et al. 2024) and what is built as it is, such as TinyLlama and SmolLM2:
//! equal to transformers' `LlamaForCausalLM` and `LlamaForSequenceClassification`.

use serde::{Deserialize, Serialize};

use super::Architecture;
use super::config::parsed;
use super::decoder::{self, Decoder, DecoderConfig, Traits};
use super::family::{About, Keys, Name};

/// Llama's configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LlamaConfig(pub DecoderConfig);

/// Llama's names and keys; everything else is what all decoders share.
pub(super) static ABOUT: About = About {
    keys: Some(Keys {
        all: &["hidden_size", "num_hidden_layers", "num_attention_heads", "rms_norm_eps"],
        // Mistral, Qwen, Gemma, Granite, and others with norms like these.
        none: &[
            "sliding_window",
            "use_sliding_window",
            "layer_types",
            "num_experts",
            "partial_rotary_factor",
            "hidden_activation",
            "embedding_multiplier",
            "logits_scaling",
            "final_logit_softcapping",
        ],
        unless: &[],
    }),
    ..decoder::about(
        &[Name { model_type: "llama", class: Some("Llama") }],
        |json| Ok(Architecture::Llama(parsed(json)?)),
        |sizes| Some(Architecture::Llama(LlamaConfig(LlamaConfig::default().0.with_sizes(sizes)?))),
    )
};

impl Decoder for LlamaConfig {
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
        Traits { projection_bias: bias, output_bias: bias, mlp_bias: self.0.mlp_bias, ..Traits::default() }
    }
}
