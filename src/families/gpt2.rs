//! Owns the shapes of GPT-2 (Radford et al. 2019), of any size.

use serde::{Deserialize, Serialize};

use super::{Head, Init, TensorShape, conv1d, matrix, norm, table};

/// GPT-2's configuration; field names and defaults are those of transformers' `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gpt2Config {
    /// Rows of the word embedding, which is the output layer too.
    pub vocab_size: usize,
    /// Longest sequence.
    pub n_positions: usize,
    /// Width of the decoder.
    pub n_embd: usize,
    /// Decoder layers.
    pub n_layer: usize,
    /// Attention heads; divides `n_embd`.
    pub n_head: usize,
    /// Width of the feed-forward layer; four times `n_embd` when absent.
    pub n_inner: Option<usize>,
    /// Activation of the feed-forward layer: only `gelu_new` (by tanh) is supported.
    pub activation_function: String,
    /// Dropout after attention and feed-forward output.
    pub resid_pdrop: f64,
    /// Dropout after the embeddings.
    pub embd_pdrop: f64,
    /// Dropout on attention probabilities.
    pub attn_pdrop: f64,
    /// Epsilon of every LayerNorm.
    pub layer_norm_epsilon: f64,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
    /// Divide attention scores by the root of a head's width: only `true` is supported.
    pub scale_attn_weights: bool,
    /// Divide attention scores by the layer's number too: only `false` is supported.
    pub scale_attn_by_inverse_layer_idx: bool,
    /// Output layer and word embedding are one tensor: only `true` is supported.
    pub tie_word_embeddings: bool,
    /// Token id of padding; 0 when absent, which changes nothing, as no token attends to padding.
    pub pad_token_id: Option<usize>,
}

impl Default for Gpt2Config {
    fn default() -> Self {
        Self {
            vocab_size: 50_257,
            n_positions: 1024,
            n_embd: 768,
            n_layer: 12,
            n_head: 12,
            n_inner: None,
            activation_function: "gelu_new".to_owned(),
            resid_pdrop: 0.1,
            embd_pdrop: 0.1,
            attn_pdrop: 0.1,
            layer_norm_epsilon: 1e-5,
            initializer_range: 0.02,
            scale_attn_weights: true,
            scale_attn_by_inverse_layer_idx: false,
            tie_word_embeddings: true,
            pad_token_id: None,
        }
    }
}

impl Gpt2Config {
    /// Width of the feed-forward layer.
    #[must_use]
    pub fn inner(&self) -> usize {
        self.n_inner.unwrap_or(4 * self.n_embd)
    }

    pub(super) fn tensors(&self) -> Vec<TensorShape> {
        let (width, inner) = (self.n_embd, self.inner());
        let fresh = Init::Normal(self.initializer_range);
        #[expect(clippy::cast_precision_loss, reason = "layers are few")]
        let onto_residual = Init::Normal(self.initializer_range / (2.0 * self.n_layer as f64).sqrt());
        let mut all = vec![
            table("transformer.wte.weight", [self.vocab_size, width], fresh),
            table("transformer.wpe.weight", [self.n_positions, width], fresh),
        ];
        for layer in 0..self.n_layer {
            let prefix = format!("transformer.h.{layer}");
            all.extend(norm(&format!("{prefix}.ln_1"), width));
            all.extend(conv1d(&format!("{prefix}.attn.c_attn"), [width, 3 * width], fresh));
            all.extend(conv1d(&format!("{prefix}.attn.c_proj"), [width, width], onto_residual));
            all.extend(norm(&format!("{prefix}.ln_2"), width));
            all.extend(conv1d(&format!("{prefix}.mlp.c_fc"), [width, inner], fresh));
            all.extend(conv1d(&format!("{prefix}.mlp.c_proj"), [inner, width], onto_residual));
        }
        all.extend(norm("transformer.ln_f", width));
        all
    }

    pub(super) fn head_tensors(&self, head: Head) -> Vec<TensorShape> {
        match head {
            Head::Classifier { labels } => {
                let fresh = Init::Normal(self.initializer_range);
                vec![matrix("score.weight", [labels, self.n_embd], fresh)]
            }
            Head::LanguageModel => Vec::new(),
        }
    }
}
