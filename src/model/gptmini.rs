//! Owns GPTMini: a one-hot dense layer, positions, one head of attention without mask or residual, a
//! norm, and a classifier that reads every position.
//!
//! Rows have one fixed length L: shorter ones are filled with the padding token, which is read like
//! any other. Activations are `[K, B * L, d]`. Owns no weights: they are the pack's.

use tch::Tensor;

use super::family::{Inputs, Trunk};
use super::layers::{AdapterSettings, Embedding, LayerNorm, Linear, for_slots};
use super::params::{Params, index};
use super::pass::Pass;
use crate::families::GptMiniConfig;

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

    pub(super) fn shares_trunk(&self) -> bool {
        self.words.is_shared() && self.positions.is_shared()
    }

    /// Embedding and projections.
    pub(super) fn trunk<'a>(&self, inputs: &'a Inputs, pass: &mut Pass) -> Trunk<'a> {
        let [slots, rows, tokens] = inputs.shape;
        let fill = [0, self.length - tokens];
        #[expect(clippy::cast_precision_loss, reason = "token ids are small")]
        let ids = inputs.ids.pad(fill, "constant", self.padding as f64);
        pass.read_filling(self.length);
        let words = self.words.forward(&ids.view([slots, rows * self.length]));
        let positions = self.positions.head(usize::try_from(self.length).expect("lengths are positive"));
        let x = words.view([words.size()[0], rows, self.length, -1]) + positions.unsqueeze(1);
        let x = x.flatten(1, 2);
        let products = self.projections().map(|layer| layer.base(&x));
        Trunk::new(inputs, pass, x, Some(products.into()))
    }

    /// Logits, `[K, B, classes]`.
    pub(super) fn classify(&self, trunk: &Trunk<'_>, pass: &mut Pass) -> Tensor {
        let [_, rows, _] = trunk.inputs.shape;
        let products = trunk.products.iter().flatten();
        let parts = self.projections().into_iter().zip(products);
        let parts: Vec<Tensor> = parts.map(|(layer, y)| layer.adapt(y, &trunk.x, pass)).collect();
        let x = self.attend(&parts, rows, pass);
        self.classifier.forward(&self.norm.forward(&x).view([x.size()[0], rows, -1]), pass)
    }

    /// Scaled dot-product attention (Vaswani et al. 2017, equation 1) within each row, of query, key
    /// and value `[K or 1, rows * L, d]`.
    fn attend(&self, parts: &[Tensor], rows: i64, pass: &mut Pass) -> Tensor {
        let slots = parts.iter().map(|part| part.size()[0]).max().unwrap_or(1);
        let split = |x: &Tensor| for_slots(x, slots).reshape([slots * rows, 1, self.length, -1]);
        let [query, key, value] = parts else { unreachable!("there are three projections") };
        let [query, key, value] = [query, key, value].map(split);
        let context = Tensor::scaled_dot_product_attention::<&Tensor>(
            &query, &key, &value, None, 0.0, false, None, false,
        );
        self.output.forward(&context.view([slots, rows * self.length, -1]), pass)
    }

    fn projections(&self) -> [&Linear; 3] {
        [&self.query, &self.key, &self.value]
    }
}
