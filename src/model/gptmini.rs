//! Owns GPTMini: a one-hot dense layer, positions, one head of attention without mask or residual, a
//! norm, and a classifier that reads every position.
//!
//! Rows have one fixed length L: shorter ones are filled with the padding token, which is read like
//! any other. Activations are `[K, B * L, d]`. Owns no weights: they are the pack's.

use tch::Tensor;

use super::Inputs;
use super::layers::{AdapterSettings, Embedding, LayerNorm, Linear};
use super::params::{Params, index};
use super::pass::Pass;
use crate::arch::GptMiniConfig;

/// torch's default.
const NORM_EPSILON: f64 = 1e-5;

/// The block with its classifier.
#[derive(Debug)]
pub struct GptMini {
    words: Embedding,
    positions: Embedding,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    norm: LayerNorm,
    classifier: Linear,
    length: i64,
    padding: i64,
}

impl GptMini {
    /// The model over these tensors; it shares their storage and gradients.
    #[must_use]
    pub fn new(config: &GptMiniConfig, params: &Params, adapters: Option<&AdapterSettings>) -> Self {
        let linear = |part: &str| Linear::new(params, &format!("attention.{part}"), adapters);
        Self {
            words: Embedding::one_hot(params, "embedding"),
            positions: Embedding::bare(params, "positions"),
            query: linear("query"),
            key: linear("key"),
            value: linear("value"),
            output: linear("output"),
            norm: LayerNorm::new(params, "norm", NORM_EPSILON),
            classifier: Linear::new(params, "classifier", None),
            length: index(config.length),
            padding: index(config.pad_token_id),
        }
    }

    /// Logits, `[K, B, classes]`.
    pub fn forward(&self, inputs: &Inputs, pass: &mut Pass) -> Tensor {
        let [slots, rows, tokens] = inputs.shape;
        let fill = [0, self.length - tokens];
        #[expect(clippy::cast_precision_loss, reason = "token ids are small")]
        let ids = inputs.ids.pad(fill, "constant", self.padding as f64);
        pass.read_filling(self.length);
        let words = self.words.forward(&ids.view([slots, rows * self.length]));
        let positions = self.positions.head(usize::try_from(self.length).expect("lengths are positive"));
        let x = words.view([slots, rows, self.length, -1]) + positions.unsqueeze(1);
        let x = self.attend(&x.view([slots, rows * self.length, -1]), slots * rows, pass);
        self.classifier.forward(&self.norm.forward(&x).view([slots, rows, -1]), pass)
    }

    /// Scaled dot-product attention (Vaswani et al. 2017, equation 1) within each row.
    fn attend(&self, x: &Tensor, rows: i64, pass: &mut Pass) -> Tensor {
        let [query, key, value] = [&self.query, &self.key, &self.value]
            .map(|layer| layer.forward(x, pass).view([rows, 1, self.length, -1]));
        let context = Tensor::scaled_dot_product_attention::<&Tensor>(
            &query, &key, &value, None, 0.0, false, None, false,
        );
        self.output.forward(&context.view(x.size().as_slice()), pass)
    }
}
