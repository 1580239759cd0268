//! Owns Llama (Touvron et al. 2023; Grattafiori et al. 2024) and what is built as it is, such as TinyLlama and SmolLM2:
//! equal to transformers' `LlamaForCausalLM` and `LlamaForSequenceClassification`.

use super::Architecture;
use super::decoder::{self, Decoder, DecoderConfig, Kind, Traits};
use super::family::{About, Keys, Name};

/// Llama.
#[derive(Clone, Debug, PartialEq)]
pub struct Llama;

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
    ..decoder::about::<Llama>(&[Name { model_type: "llama", class: Some("Llama") }])
};

impl Kind for Llama {
    fn about() -> &'static About {
        &ABOUT
    }

    fn defaults() -> DecoderConfig {
        DecoderConfig::default()
    }

    fn traits(config: &DecoderConfig) -> Traits {
        let bias = config.attention_bias;
        Traits { projection_bias: bias, output_bias: bias, mlp_bias: config.mlp_bias, ..Traits::default() }
    }

    fn architecture(decoder: Decoder<Self>) -> Architecture {
        Architecture::Llama(decoder)
    }
}
