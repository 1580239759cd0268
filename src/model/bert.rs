//! Owns the BERT classifier (Devlin et al. 2019), equal to transformers' `BertForSequenceClassification`.
//!
//! Activations are `[K, B * T, H]`: K slots, B rows, T tokens, width H; those that all slots share are
//! `[1, B * T, H]`. Of the last layer only the
//! first token is computed beyond keys and values, since the classifier reads nothing else.
//! Owns no weights: they are the pack's.

use tch::{Kind, Tensor};

use super::family::{Inputs, Trunk};
use super::layers::{AdapterSettings, Embedding, LayerNorm, Linear, for_slots};
use super::params::{Params, index};
use super::pass::Pass;
use crate::families::BertConfig;

/// An encoder with pooler and classifier.
#[derive(Debug)]
pub struct BertClassifier {
    config: BertConfig,
    words: Embedding,
    positions: Embedding,
    token_types: Embedding,
    norm: LayerNorm,
    layers: Vec<Layer>,
    /// Layers at the bottom that are the same for all slots.
    shared: usize,
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
        let layers: Vec<Layer> = layers.collect();
        Self {
            words: table("word_embeddings", index(config.pad_token_id)),
            positions: table("position_embeddings", -1),
            token_types: table("token_type_embeddings", -1),
            norm: LayerNorm::new(params, "bert.embeddings.LayerNorm", epsilon),
            shared: layers.iter().take_while(|layer| layer.is_shared()).count(),
            layers,
            pooler: Linear::new(params, "bert.pooler.dense", adapters),
            classifier: Linear::new(params, "classifier", None),
            config: config.clone(),
        }
    }

    pub(super) fn shares_trunk(&self) -> bool {
        [&self.words, &self.positions, &self.token_types].into_iter().all(Embedding::is_shared)
            && self.norm.is_shared()
    }

    /// Embedding, the layers that all slots share, and the first other layer's projections.
    pub(super) fn trunk<'a>(&self, inputs: &'a Inputs, pass: &mut Pass) -> Trunk<'a> {
        let mut x = self.embed(inputs, pass);
        for i in 0..self.shared {
            x = self.layers[i].forward(&x, None, (inputs, self.is_last(i)), pass);
        }
        let next = self.layers.get(self.shared).filter(|layer| layer.projections_are_shared());
        let products = next.map(|layer| layer.project(&x, (inputs, self.is_last(self.shared))));
        Trunk::new(inputs, pass, x, products)
    }

    /// Logits, `[K, B, classes]`.
    pub(super) fn classify(&self, trunk: &Trunk<'_>, pass: &mut Pass) -> Tensor {
        let mut x = trunk.x.shallow_clone();
        let mut products = trunk.products.as_deref();
        for i in self.shared..self.layers.len() {
            x = self.layers[i].forward(&x, products.take(), (trunk.inputs, self.is_last(i)), pass);
        }
        let first = if self.layers.is_empty() { trunk.inputs.first_tokens(&x) } else { x };
        let pooled = self.pooler.forward(&first, pass).tanh();
        let dropout = self.config.classifier_dropout.unwrap_or(self.config.hidden_dropout_prob);
        self.classifier.forward(&pass.dropout(&pooled, dropout), pass)
    }

    fn is_last(&self, layer: usize) -> bool {
        layer + 1 == self.layers.len()
    }

    fn embed(&self, inputs: &Inputs, pass: &mut Pass) -> Tensor {
        let [slots, rows, tokens] = inputs.shape;
        let words = self.words.forward(&inputs.ids.view([slots, rows * tokens]));
        let positions = self.positions.head(usize::try_from(tokens).expect("lengths are positive"));
        let by_rows = |x: &Tensor| x.view([x.size()[0], rows, tokens, -1]);
        let sum = match &inputs.token_types {
            // One type only: added to the few positions rather than to every token.
            None => by_rows(&words) + (positions + self.token_types.head(1)).unsqueeze(1),
            Some(types) => {
                let types = self.token_types.forward(&types.view([slots, rows * tokens]));
                by_rows(&(words + types)) + positions.unsqueeze(1)
            }
        };
        pass.dropout(&self.norm.forward(&sum.flatten(1, 2)), self.config.hidden_dropout_prob)
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

    /// Whether all slots have the same layer.
    fn is_shared(&self) -> bool {
        let linear =
            [&self.query, &self.key, &self.value, &self.attention_output, &self.intermediate, &self.output];
        linear.into_iter().all(Linear::is_shared)
            && [&self.attention_norm, &self.output_norm].into_iter().all(LayerNorm::is_shared)
    }

    fn projections_are_shared(&self) -> bool {
        [&self.query, &self.key, &self.value].into_iter().all(Linear::base_is_shared)
    }

    /// Query, key and value but for the adapters; queries of the first tokens where only they are wanted.
    fn project(&self, x: &Tensor, (inputs, first_only): (&Inputs, bool)) -> Vec<Tensor> {
        let query = if first_only { self.query.base(&inputs.first_tokens(x)) } else { self.query.base(x) };
        vec![query, self.key.base(x), self.value.base(x)]
    }

    /// `[K, B * T, H]` to the same, or to `[K, B, H]` where only the first tokens are wanted; from
    /// what [`Layer::project`] gives, where that is known.
    fn forward(
        &self,
        x: &Tensor,
        products: Option<&[Tensor]>,
        (inputs, first_only): (&Inputs, bool),
        pass: &mut Pass,
    ) -> Tensor {
        let residual = if first_only { inputs.first_tokens(x) } else { x.shallow_clone() };
        let made;
        let products = match products {
            Some(products) => products,
            None => {
                made = self.project(x, (inputs, first_only));
                &made
            }
        };
        let [query, key, value] = products else { unreachable!("there are three projections") };
        let query = self.query.adapt(query, &residual, pass);
        let key = self.key.adapt(key, x, pass);
        let value = self.value.adapt(value, x, pass);
        let context = self.attend([&query, &key, &value], inputs, pass);
        let attended = self.attention_output.forward(&context, pass);
        let attended = pass.dropout(&attended, self.hidden_dropout);
        let x = self.attention_norm.forward(&(attended + residual));
        let inner = self.intermediate.forward(&x, pass).gelu("none");
        let inner = self.output.forward(&inner, pass);
        let inner = pass.dropout(&inner, self.hidden_dropout);
        self.output_norm.forward(&(inner + x))
    }

    /// Scaled dot-product attention (Vaswani et al. 2017, equation 1) of `[K, B * Tq, H]` over
    /// `[K, B * T, H]`; what all slots share comes once.
    fn attend(&self, parts: [&Tensor; 3], inputs: &Inputs, pass: &mut Pass) -> Tensor {
        let [_, rows, _] = inputs.shape;
        let slots = parts.map(|part| part.size()[0]).into_iter().max().unwrap_or(1);
        let width = *parts[0].size().last().expect("activations have a width");
        let split = |x: &Tensor| {
            for_slots(x, slots).reshape([slots * rows, -1, self.heads, width / self.heads]).transpose(1, 2)
        };
        let [query, key, value] = parts.map(split);
        let mask = inputs.mask_for(slots);
        let context = if pass.drops(self.attention_dropout) {
            #[expect(clippy::cast_precision_loss, reason = "a head's width is far below 2^52")]
            let scale = ((width / self.heads) as f64).sqrt().recip();
            let scores = (query * scale).matmul(&key.transpose(2, 3));
            let scores = mask.map_or_else(|| scores.shallow_clone(), |mask| &scores + mask);
            let shares = scores.softmax(-1, Kind::Float);
            pass.dropout(&shares, self.attention_dropout).to_kind(value.kind()).matmul(&value)
        } else {
            let mask = mask.map(|mask| mask.to_kind(query.kind()));
            Tensor::scaled_dot_product_attention(&query, &key, &value, mask, 0.0, false, None, false)
        };
        context.transpose(1, 2).reshape([slots, -1, width])
    }
}
