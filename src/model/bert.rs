//! Owns the BERT classifier (Devlin et al. 2019), equal to transformers' `BertForSequenceClassification`.
//!
//! Activations are `[K, B * T, H]`: K slots, B rows, T tokens, width H. Of the last layer only the
//! first token is computed beyond keys and values, since the classifier reads nothing else.
//! Owns no weights: they are the pack's.

use tch::{Kind, Tensor};

use super::Inputs;
use super::layers::{AdapterSettings, Embedding, LayerNorm, Linear};
use super::params::{Params, index};
use super::pass::Pass;
use crate::arch::BertConfig;

/// An encoder with pooler and classifier.
#[derive(Debug)]
pub struct BertClassifier {
    config: BertConfig,
    words: Embedding,
    positions: Embedding,
    token_types: Embedding,
    norm: LayerNorm,
    layers: Vec<Layer>,
    pooler: Linear,
    classifier: Linear,
}

#[derive(Debug)]
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
    heads: i64,
    hidden_dropout: f64,
    attention_dropout: f64,
}

impl BertClassifier {
    /// The classifier over these tensors; it shares their storage and gradients.
    #[must_use]
    pub fn new(config: &BertConfig, params: &Params, adapters: Option<&AdapterSettings>) -> Self {
        let epsilon = config.layer_norm_eps;
        let table = |name: &str, padding| Embedding::new(params, &format!("bert.embeddings.{name}"), padding);
        let layers = (0..config.num_hidden_layers).map(|i| Layer::new(config, i, params, adapters));
        Self {
            words: table("word_embeddings", index(config.pad_token_id)),
            positions: table("position_embeddings", -1),
            token_types: table("token_type_embeddings", -1),
            norm: LayerNorm::new(params, "bert.embeddings.LayerNorm", epsilon),
            layers: layers.collect(),
            pooler: Linear::new(params, "bert.pooler.dense", adapters),
            classifier: Linear::new(params, "classifier", None),
            config: config.clone(),
        }
    }

    /// Logits, `[K, B, classes]`.
    pub fn forward(&self, inputs: &Inputs, pass: &mut Pass) -> Tensor {
        let mut x = self.embed(inputs, pass);
        for (i, layer) in self.layers.iter().enumerate() {
            let last = i + 1 == self.layers.len();
            x = layer.forward(&x, inputs, last, pass);
        }
        let first = if self.layers.is_empty() { inputs.first_tokens(&x) } else { x };
        let pooled = self.pooler.forward(&first, pass).tanh();
        let dropout = self.config.classifier_dropout.unwrap_or(self.config.hidden_dropout_prob);
        self.classifier.forward(&pass.dropout(&pooled, dropout), pass)
    }

    fn embed(&self, inputs: &Inputs, pass: &mut Pass) -> Tensor {
        let [slots, rows, tokens] = inputs.shape;
        let words = self.words.forward(&inputs.ids.view([slots, rows * tokens]));
        let positions = self.positions.head(usize::try_from(tokens).expect("lengths are positive"));
        let sum = match &inputs.token_types {
            // One type only: added to the few positions rather than to every token.
            None => {
                words.view([slots, rows, tokens, -1]) + (positions + self.token_types.head(1)).unsqueeze(1)
            }
            Some(types) => {
                let types = self.token_types.forward(&types.view([slots, rows * tokens]));
                (words + types).view([slots, rows, tokens, -1]) + positions.unsqueeze(1)
            }
        };
        pass.dropout(
            &self.norm.forward(&sum.view([slots, rows * tokens, -1])),
            self.config.hidden_dropout_prob,
        )
    }
}

impl Layer {
    fn new(config: &BertConfig, i: usize, params: &Params, adapters: Option<&AdapterSettings>) -> Self {
        let linear = |part: &str| Linear::new(params, &format!("bert.encoder.layer.{i}.{part}"), adapters);
        let norm = |part: &str| {
            LayerNorm::new(params, &format!("bert.encoder.layer.{i}.{part}.LayerNorm"), config.layer_norm_eps)
        };
        Self {
            query: linear("attention.self.query"),
            key: linear("attention.self.key"),
            value: linear("attention.self.value"),
            attention_output: linear("attention.output.dense"),
            attention_norm: norm("attention.output"),
            intermediate: linear("intermediate.dense"),
            output: linear("output.dense"),
            output_norm: norm("output"),
            heads: index(config.num_attention_heads),
            hidden_dropout: config.hidden_dropout_prob,
            attention_dropout: config.attention_probs_dropout_prob,
        }
    }

    /// `[K, B * T, H]` to the same, or to `[K, B, H]` where only the first tokens are wanted.
    fn forward(&self, x: &Tensor, inputs: &Inputs, first_only: bool, pass: &mut Pass) -> Tensor {
        let residual = if first_only { inputs.first_tokens(x) } else { x.shallow_clone() };
        let query = self.query.forward(&residual, pass);
        let key = self.key.forward(x, pass);
        let value = self.value.forward(x, pass);
        let context = self.attend([&query, &key, &value], inputs, pass);
        let attended = self.attention_output.forward(&context, pass);
        let attended = pass.dropout(&attended, self.hidden_dropout);
        let x = self.attention_norm.forward(&(attended + residual));
        let inner = self.intermediate.forward(&x, pass).gelu("none");
        let inner = self.output.forward(&inner, pass);
        let inner = pass.dropout(&inner, self.hidden_dropout);
        self.output_norm.forward(&(inner + x))
    }

    /// Scaled dot-product attention (Vaswani et al. 2017, equation 1) of `[K, B * Tq, H]` over `[K, B * T, H]`.
    fn attend(&self, [query, key, value]: [&Tensor; 3], inputs: &Inputs, pass: &mut Pass) -> Tensor {
        let [slots, rows, _] = inputs.shape;
        let width = *query.size().last().expect("activations have a width");
        let split = |x: &Tensor| x.view([slots * rows, -1, self.heads, width / self.heads]).transpose(1, 2);
        let (query, key, value) = (split(query), split(key), split(value));
        let context = if pass.drops(self.attention_dropout) {
            #[expect(clippy::cast_precision_loss, reason = "a head's width is far below 2^52")]
            let scale = ((width / self.heads) as f64).sqrt().recip();
            let scores = (query * scale).matmul(&key.transpose(2, 3));
            let scores = inputs.mask.as_ref().map_or_else(|| scores.shallow_clone(), |mask| &scores + mask);
            let shares = scores.softmax(-1, Kind::Float);
            pass.dropout(&shares, self.attention_dropout).to_kind(value.kind()).matmul(&value)
        } else {
            let mask = inputs.mask.as_ref().map(|mask| mask.to_kind(query.kind()));
            Tensor::scaled_dot_product_attention(&query, &key, &value, mask, 0.0, false, None, false)
        };
        context.transpose(1, 2).reshape([slots, -1, width])
    }
}
