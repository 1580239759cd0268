//! Owns what the keys of a model mean for each architecture. Pure.

use crate::families::{Architecture, BertConfig, Gpt2Config, GptMiniConfig};

use super::keys;
use super::raw::RawModel;

/// Keys that a model with random weights must have.
pub(super) fn needs(family: &str) -> &'static [&'static str] {
    match family {
        keys::GPT2 => &["layers", "hidden", "heads", "tokenizer"],
        keys::GPTMINI => &["hidden", "length", "tokenizer"],
        _ => &["layers", "hidden", "heads", "intermediate", "tokenizer"],
    }
}

/// The architecture that a model's keys describe, its vocabulary aside; `None` where one is missing.
pub(super) fn from_numbers(raw: &RawModel, family: &str) -> Option<Architecture> {
    let hidden = raw.hidden.as_ref()?.value;
    let positions = raw.positions.as_ref().map(|at| at.value);
    let mut architecture = match family {
        keys::BERT => {
            let config = BertConfig::default();
            Architecture::Bert(BertConfig {
                num_hidden_layers: raw.layers.as_ref()?.value,
                hidden_size: hidden,
                num_attention_heads: raw.heads.as_ref()?.value,
                intermediate_size: raw.intermediate.as_ref()?.value,
                max_position_embeddings: positions.unwrap_or(config.max_position_embeddings),
                ..config
            })
        }
        keys::GPT2 => {
            let config = Gpt2Config::default();
            Architecture::Gpt2(Gpt2Config {
                n_layer: raw.layers.as_ref()?.value,
                n_embd: hidden,
                n_head: raw.heads.as_ref()?.value,
                n_positions: positions.unwrap_or(config.n_positions),
                ..config
            })
        }
        keys::GPTMINI => Architecture::GptMini(GptMiniConfig {
            hidden_size: hidden,
            length: raw.length.as_ref()?.value,
            ..GptMiniConfig::default()
        }),
        _ => return None,
    };
    set_dropouts(raw, &mut architecture);
    Some(architecture)
}

/// Gives the word embedding as many rows as the tokenizer needs.
pub(super) fn set_vocabulary(architecture: &mut Architecture, rows: usize) {
    match architecture {
        Architecture::Bert(config) => config.vocab_size = rows,
        Architecture::Gpt2(config) => config.vocab_size = rows,
        Architecture::GptMini(config) => config.vocab_size = rows,
    }
}

/// The number of layers, where there can be several.
pub(super) fn layers(architecture: &mut Architecture) -> Option<&mut usize> {
    match architecture {
        Architecture::Bert(config) => Some(&mut config.num_hidden_layers),
        Architecture::Gpt2(config) => Some(&mut config.n_layer),
        Architecture::GptMini(_) => None,
    }
}

/// The constants of a model that its weights do not fix.
pub(super) fn set_dropouts(raw: &RawModel, architecture: &mut Architecture) {
    let [hidden, attention] =
        [&raw.hidden_dropout, &raw.attention_dropout].map(|at| at.as_ref().map(|at| at.value));
    match architecture {
        Architecture::Bert(config) => {
            config.hidden_dropout_prob = hidden.unwrap_or(config.hidden_dropout_prob);
            config.attention_probs_dropout_prob = attention.unwrap_or(config.attention_probs_dropout_prob);
        }
        Architecture::Gpt2(config) => {
            config.resid_pdrop = hidden.unwrap_or(config.resid_pdrop);
            config.embd_pdrop = hidden.unwrap_or(config.embd_pdrop);
            config.attn_pdrop = attention.unwrap_or(config.attn_pdrop);
        }
        Architecture::GptMini(_) => {}
    }
}
