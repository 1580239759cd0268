//! Owns GPT-2 (Radford et al. 2019), equal to transformers' `GPT2LMHeadModel` and
//! `GPT2ForSequenceClassification`.
//!
//! Activations are `[K, B * T, H]`: K slots, B rows, T tokens, width H; those that all slots share are
//! `[1, B * T, H]`. Rows are padded on the right,
//! so the causal mask hides padding from every token, and there is no other mask.
//! Owns no weights: they are the pack's.

use tch::{Device, Kind, Tensor};

use super::family::{Inputs, Trunk};
use super::layers::{AdapterSettings, Embedding, LayerNorm, Linear};
use super::params::{Params, index};
use super::pass::Pass;
use crate::families::{Gpt2Config, Head};

/// A decoder; its output layer is its word embedding, or a classifier without bias.
#[derive(Debug)]
pub struct Gpt2 {
    pub(super) words: Embedding,
    pub(super) positions: Embedding,
    pub(super) layers: Vec<Layer>,
    /// Layers at the bottom that are the same for all slots.
    shared: usize,
    pub(super) norm: LayerNorm,
    score: Option<Linear>,
    embedding_dropout: f64,
    pub(super) max_length: usize,
}

#[derive(Debug)]
pub(super) struct Layer {
    attention_norm: LayerNorm,
    attention_input: Linear,
    attention_output: Linear,
    inner_norm: LayerNorm,
    inner_input: Linear,
    inner_output: Linear,
    heads: i64,
    residual_dropout: f64,
    attention_dropout: f64,
}

/// What a layer has computed before its adapters.
#[derive(Debug)]
pub(super) struct Projected {
    /// What it reads, `[K, n, H]`.
    x: Tensor,
    /// Query, key and value side by side, `[K, n, 3 * H]`.
    product: Tensor,
    /// What they are the product of, `[K, n, H]`.
    normed: Tensor,
}

impl Gpt2 {
    /// The decoder over these tensors; it shares their storage and gradients.
    #[must_use]
    pub fn new(config: &Gpt2Config, head: Head, params: &Params, adapters: Option<&AdapterSettings>) -> Self {
        let layers = (0..config.n_layer).map(|i| Layer::new(config, i, params, adapters));
        let layers: Vec<Layer> = layers.collect();
        let score = match head {
            Head::Classifier { .. } => Some(Linear::new(params, "score", None)),
            Head::LanguageModel => None,
        };
        Self {
            words: Embedding::new(params, "transformer.wte", -1),
            positions: Embedding::new(params, "transformer.wpe", -1),
            shared: layers.iter().take_while(|layer| layer.is_shared()).count(),
            layers,
            norm: LayerNorm::new(params, "transformer.ln_f", config.layer_norm_epsilon),
            score,
            embedding_dropout: config.embd_pdrop,
            max_length: config.n_positions,
        }
    }

    pub(super) fn shares_trunk(&self) -> bool {
        self.words.is_shared() && self.positions.is_shared()
    }

    /// Embedding, the layers that all slots share, and the first other layer's projections.
    pub(super) fn trunk<'a>(&self, inputs: &'a Inputs, pass: &mut Pass) -> Trunk<'a> {
        let [slots, rows, tokens] = inputs.shape;
        let words = self.words.forward(&inputs.ids.view([slots, rows * tokens]));
        let positions = self.positions.head(usize::try_from(tokens).expect("lengths are positive"));
        let sum = words.view([words.size()[0], rows, tokens, -1]) + positions.unsqueeze(1);
        let mut x = pass.dropout(&sum.flatten(1, 2), self.embedding_dropout);
        for layer in &self.layers[..self.shared] {
            x = layer.forward(&layer.project(&x), rows, pass, |parts, pass| layer.attend(parts, pass));
        }
        let next = self.layers.get(self.shared).filter(|layer| layer.projections_are_shared());
        let products = next.map(|layer| {
            let Projected { product, normed, .. } = layer.project(&x);
            vec![product, normed]
        });
        Trunk::new(inputs, pass, x, products)
    }

    /// Logits for classes from each row's last token, `[K, B, classes]`.
    ///
    /// # Panics
    /// Where the head is the language model's.
    pub(super) fn classify(&self, trunk: &Trunk<'_>, pass: &mut Pass) -> Tensor {
        let last = trunk.inputs.last_tokens(&self.decode(trunk, pass));
        let score = self.score.as_ref().expect("whoever asks for classes has built a classifier");
        score.forward(&self.norm.forward(&last), pass)
    }

    /// Normed activations of the tokens at `positions`, `[K, P]` into B * T: what the output layer reads,
    /// `[K, P, H]`. That layer is the largest product of a small model and is computed for no other token.
    pub(super) fn hidden_states(&self, trunk: &Trunk<'_>, positions: &Tensor, pass: &mut Pass) -> Tensor {
        let x = self.decode(trunk, pass);
        let size = [x.size()[0], positions.size()[1], x.size()[2]];
        self.norm.forward(&x.gather(1, &positions.unsqueeze(-1).expand(size, false), false))
    }

    /// Activations behind the last layer, before its norm, `[K, B * T, H]`.
    fn decode(&self, trunk: &Trunk<'_>, pass: &mut Pass) -> Tensor {
        let [_, rows, _] = trunk.inputs.shape;
        let mut x = trunk.x.shallow_clone();
        let mut known = trunk.products.as_deref().map(|products| {
            let [product, normed] = products else { unreachable!("there are two") };
            let [x, product, normed] = [&x, product, normed].map(Tensor::shallow_clone);
            Projected { x, product, normed }
        });
        for layer in &self.layers[self.shared..] {
            let projected = known.take().unwrap_or_else(|| layer.project(&x));
            x = layer.forward(&projected, rows, pass, |parts, pass| layer.attend(parts, pass));
        }
        x
    }
}

impl Layer {
    fn new(config: &Gpt2Config, i: usize, params: &Params, adapters: Option<&AdapterSettings>) -> Self {
        let conv1d = |part: &str| Linear::conv1d(params, &format!("transformer.h.{i}.{part}"), adapters);
        let norm = |part: &str| {
            LayerNorm::new(params, &format!("transformer.h.{i}.{part}"), config.layer_norm_epsilon)
        };
        Self {
            attention_norm: norm("ln_1"),
            attention_input: conv1d("attn.c_attn"),
            attention_output: conv1d("attn.c_proj"),
            inner_norm: norm("ln_2"),
            inner_input: conv1d("mlp.c_fc"),
            inner_output: conv1d("mlp.c_proj"),
            heads: index(config.n_head),
            residual_dropout: config.resid_pdrop,
            attention_dropout: config.attn_pdrop,
        }
    }

    /// Whether all slots have the same layer.
    fn is_shared(&self) -> bool {
        let linear = [&self.attention_input, &self.attention_output, &self.inner_input, &self.inner_output];
        linear.into_iter().all(Linear::is_shared)
            && [&self.attention_norm, &self.inner_norm].into_iter().all(LayerNorm::is_shared)
    }

    fn projections_are_shared(&self) -> bool {
        self.attention_norm.is_shared() && self.attention_input.base_is_shared()
    }

    /// The layer's beginning, up to its adapters.
    pub(super) fn project(&self, x: &Tensor) -> Projected {
        let normed = self.attention_norm.forward(x);
        Projected { x: x.shallow_clone(), product: self.attention_input.base(&normed), normed }
    }

    /// The rest of the layer, to `[K, n, H]`: n tokens of `rows` rows. `attend` gets query, key
    /// and value `[K * rows, heads, tokens, H / heads]` and gives the context, likewise.
    pub(super) fn forward(
        &self,
        Projected { x, product, normed }: &Projected,
        rows: i64,
        pass: &mut Pass,
        attend: impl FnOnce([Tensor; 3], &mut Pass) -> Tensor,
    ) -> Tensor {
        let parts = self.attention_input.adapt(product, normed, pass);
        let [slots, n, width] = [parts.size()[0], x.size()[1], x.size()[2]];
        let parts = parts.view([slots * rows, -1, 3, self.heads, width / self.heads]);
        let context = attend([0, 1, 2].map(|part| parts.select(2, part).transpose(1, 2)), pass);
        let context = context.transpose(1, 2).reshape([slots, n, width]);
        let attended = self.attention_output.forward(&context, pass);
        let x = x + pass.dropout(&attended, self.residual_dropout);
        let inner = self.inner_input.forward(&self.inner_norm.forward(&x), pass).gelu("tanh");
        let inner = self.inner_output.forward(&inner, pass);
        x + pass.dropout(&inner, self.residual_dropout)
    }

    /// Causal scaled dot-product attention (Vaswani et al. 2017, equation 1 and section 3.2.3).
    fn attend(&self, [query, key, value]: [Tensor; 3], pass: &mut Pass) -> Tensor {
        if !pass.drops(self.attention_dropout) {
            return Tensor::scaled_dot_product_attention::<&Tensor>(
                &query, &key, &value, None, 0.0, true, None, false,
            );
        }
        let (tokens, width) = (query.size()[2], query.size()[3]);
        #[expect(clippy::cast_precision_loss, reason = "a head's width is far below 2^52")]
        let scale = (width as f64).sqrt().recip();
        let scores = (query * scale).matmul(&key.transpose(2, 3));
        let scores = &scores + later_tokens(tokens, scores.device());
        let shares = pass.dropout(&scores.softmax(-1, Kind::Float), self.attention_dropout);
        shares.to_kind(value.kind()).matmul(&value)
    }
}

/// `[T, T]`: 0 for each token and those before it, minus infinity for those behind it.
fn later_tokens(tokens: i64, device: Device) -> Tensor {
    Tensor::full([tokens, tokens], f64::NEG_INFINITY, (Kind::Float, device)).triu(1)
}
