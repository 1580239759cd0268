//! Owns ModernBERT encoders (Warner et al. 2024): norms before each part, rotary positions, layers that attend to near
//! tokens alone among those that attend to all, and a gated feed-forward part; equal to transformers'
//! `ModernBertForSequenceClassification` and `ModernBertForTokenClassification`.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::blueprint::{
    Activation, Attention, Blueprint, Embedding, Gate, Layer, Linear, Mlp, Norm, Output, Projections, Reads,
    Rotary, Sees, Step, Table, Window, Wiring,
};
use super::config::{self, Common, MOST_LAYERS, MOST_POSITIONS, MOST_WORDS, Variant, WIDEST, parsed};
use super::decoder::RopeConfig;
use super::family::{About, Family, Name, Pairs, Settable};
use super::numbers::Numbers;
use super::tensors::Init;
use super::transformers::OtherHead;
use super::{Architecture, Head};

/// A ModernBERT encoder's configuration; field names and defaults are those of transformers' `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModernBertConfig {
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Width of the encoder.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Encoder layers.
    pub num_hidden_layers: usize,
    /// Attention heads; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Activation of the feed-forward part's gate: only `gelu` (exact) is supported.
    pub hidden_activation: String,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Standard deviation of fresh weights, before what is far from 0 is left out.
    pub initializer_range: f64,
    /// How far from 0 fresh weights may be, in standard deviations; 3 where it is `null`.
    pub initializer_cutoff_factor: Option<f64>,
    /// Epsilon of every norm.
    pub norm_eps: f64,
    /// Whether norms have a shift.
    pub norm_bias: bool,
    /// Token id of padding.
    pub pad_token_id: usize,
    /// Of so many layers, the first attends to all tokens, and the others to near ones alone.
    pub global_attn_every_n_layers: usize,
    /// Tokens that a token in those others attends to, itself left out: half of them on either side.
    pub local_attention: usize,
    /// Base of the rotary positions in layers that attend to all tokens; 160,000 when absent.
    pub global_rope_theta: Option<f64>,
    /// The same in the other layers; 10,000 when absent.
    pub local_rope_theta: Option<f64>,
    /// Scaling of all rotary positions, which is not supported.
    pub rope_scaling: Option<RopeConfig>,
    /// The rotary positions of both kinds of layers, as transformers 5 writes them.
    pub rope_parameters: Option<RopeConfigs>,
    /// Whether the layers of attention have a bias.
    pub attention_bias: bool,
    /// Dropout on attention probabilities and after attention.
    pub attention_dropout: f64,
    /// Dropout after the embedding.
    pub embedding_dropout: f64,
    /// Whether the layers of the feed-forward part have a bias.
    pub mlp_bias: bool,
    /// Dropout within the feed-forward part.
    pub mlp_dropout: f64,
    /// What a classifier reads: `cls` for the first token, `mean` for the mean of all.
    pub classifier_pooling: String,
    /// Whether the layer in front of a classifier's last one has a bias.
    pub classifier_bias: bool,
    /// Activation between those two: only `gelu` (exact) is supported.
    pub classifier_activation: String,
    /// Dropout before a classifier's last layer.
    pub classifier_dropout: f64,
}

/// The rotary positions of both kinds of layers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RopeConfigs {
    /// Of those that attend to all tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_attention: Option<RopeConfig>,
    /// Of those that attend to near ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sliding_attention: Option<RopeConfig>,
}

impl Default for ModernBertConfig {
    fn default() -> Self {
        Self {
            vocab_size: 50_368,
            hidden_size: 768,
            intermediate_size: 1152,
            num_hidden_layers: 22,
            num_attention_heads: 12,
            hidden_activation: GELU[0].to_owned(),
            max_position_embeddings: 8192,
            initializer_range: 0.02,
            initializer_cutoff_factor: Some(2.0),
            norm_eps: 1e-5,
            norm_bias: false,
            pad_token_id: 50_283,
            global_attn_every_n_layers: 3,
            local_attention: 128,
            global_rope_theta: None,
            local_rope_theta: None,
            rope_scaling: Some(RopeConfig::default()),
            rope_parameters: Some(RopeConfigs::default()),
            attention_bias: false,
            attention_dropout: 0.0,
            embedding_dropout: 0.0,
            mlp_bias: false,
            mlp_dropout: 0.0,
            classifier_pooling: CLS.to_owned(),
            classifier_bias: false,
            classifier_activation: GELU[0].to_owned(),
            classifier_dropout: 0.0,
        }
    }
}

/// The activation that is supported, as files name it and for people.
const GELU: [&str; 2] = ["gelu", "activation `gelu`"];
/// The first token's name, which a classifier reads.
const CLS: &str = "cls";
/// The mean of all tokens, which it may read instead.
const MEAN: &str = "mean";
/// transformers' name for a layer that attends to all tokens.
const FULL: &str = "full_attention";

/// ModernBERT's names, and the keys that a sweep may set.
pub(super) static ABOUT: About = About {
    names: &[Name { model_type: "modernbert", class: Some("ModernBert") }],
    language_model: None,
    prefix: "model.",
    // Those of the model for masked words, which files of the base alone lack.
    optional: &[("head.dense.", "head.dense"), ("head.norm.", "head.norm")],
    same: &[("embeddings.tok_embeddings.weight", "decoder.weight")],
    others: &[OtherHead::masked_words("ModernBertForMaskedLM", &["decoder.bias"])],
    tokenizers: None,
    first_layer: "layers.0.attn.Wqkv.weight",
    width: "hidden_size",
    // Decoders of the same authors have its keys.
    keys: None,
    // PEFT has no default for it.
    targets: &["Wqkv"],
    sizes: &["layers", "heads", "intermediate", "positions", "hidden_dropout", "attention_dropout"],
    needed: &["layers", "hidden", "heads", "intermediate"],
    read: |json| {
        let config: ModernBertConfig = parsed(json)?;
        Ok(Architecture::ModernBert(config.with_layer_types(&config::keys(json)?)))
    },
    drawn: |sizes| {
        let config = ModernBertConfig::default();
        Some(Architecture::ModernBert(ModernBertConfig {
            num_hidden_layers: sizes.layers?,
            hidden_size: sizes.hidden?,
            num_attention_heads: sizes.heads?,
            intermediate_size: sizes.intermediate?,
            max_position_embeddings: sizes.positions.unwrap_or(config.max_position_embeddings),
            // Most vocabularies are smaller than its own.
            pad_token_id: 0,
            ..config
        }))
    },
};

impl ModernBertConfig {
    /// With the number of layers from one that attends to all tokens to the next as `layer_types` has it, which
    /// transformers 5 writes instead; [`Family::variant`] refuses what follows no such number.
    fn with_layer_types(self, keys: &Map<String, Value>) -> Self {
        let types = keys.get("layer_types").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let next = types.iter().skip(1).position(|kind| kind == FULL).map_or(types.len(), |next| next + 1);
        let every = if types.is_empty() { self.global_attn_every_n_layers } else { next };
        Self { global_attn_every_n_layers: every, ..self }
    }

    /// Whether a layer attends to near tokens alone.
    fn is_local(&self, index: usize) -> bool {
        !index.is_multiple_of(self.global_attn_every_n_layers)
    }

    /// The settings of the rotary positions in layers that attend to all tokens, and in the others, with their bases.
    fn ropes(&self) -> [(Option<&RopeConfig>, f64); 2] {
        let both = self.rope_parameters.as_ref();
        let of = |rope: Option<&RopeConfig>, older: Option<f64>, usual: f64| {
            rope.and_then(|rope| rope.rope_theta).or(older).unwrap_or(usual)
        };
        let [full, near] = [
            both.and_then(|both| both.full_attention.as_ref()),
            both.and_then(|both| both.sliding_attention.as_ref()),
        ];
        [
            (full, of(full, self.global_rope_theta, 160_000.0)),
            (near, of(near, self.local_rope_theta, 10_000.0)),
        ]
    }

    fn head_width(&self) -> usize {
        self.hidden_size / self.num_attention_heads.max(1)
    }

    /// The initialisation with this standard deviation.
    fn fresh(&self, std: f64) -> Init {
        Init::Truncated { std, cutoff: self.initializer_cutoff_factor.unwrap_or(3.0) }
    }

    /// The initialisation of layers that add to the residual sum.
    fn onto_residual(&self) -> Init {
        #[expect(clippy::cast_precision_loss, reason = "layers are few")]
        let layers = self.num_hidden_layers as f64;
        self.fresh(self.initializer_range / (2.0 * layers).sqrt())
    }

    fn norm(&self, name: String) -> Norm {
        Norm::layer(name, self.hidden_size, self.norm_eps).shifted(self.norm_bias)
    }

    fn layer(&self, index: usize) -> Layer {
        let (width, inner) = (self.hidden_size, self.intermediate_size);
        let name = |part: &str| format!("{}layers.{index}.{part}", ABOUT.prefix);
        let (into, onto) = (self.fresh(self.initializer_range), self.onto_residual());
        let linear =
            |part: &str, size, init, is_biased| Linear::new(name(part), size, init).biased(is_biased);
        let is_local = self.is_local(index);
        let (_, base) = self.ropes()[usize::from(is_local)];
        Layer {
            wiring: Wiring::NormBefore,
            // The first layer reads what the embedding's norm gives.
            attention_norm: (index > 0).then(|| self.norm(name("attn_norm"))),
            attention: Attention {
                rotary: Some(Rotary { width: self.head_width(), base, scaling: None }),
                window: is_local.then_some(Window::Around(self.local_attention / 2)),
                dropout: Some(self.attention_dropout),
                output_dropout: Some(self.attention_dropout),
                ..Attention::new(
                    self.num_attention_heads,
                    Projections::Fused(linear("attn.Wqkv", [width, 3 * width], into, self.attention_bias)),
                    linear("attn.Wo", [width, width], onto, self.attention_bias),
                )
            },
            mlp_norm: Some(self.norm(name("mlp_norm"))),
            mlp: Some(Mlp {
                input: linear("mlp.Wi", [width, 2 * inner], into, self.mlp_bias),
                gate: Gate::FirstHalf,
                activation: Activation::Gelu,
                inner_dropout: Some(self.mlp_dropout),
                output: linear("mlp.Wo", [inner, width], onto, self.mlp_bias),
                dropout: None,
            }),
        }
    }
}

impl Family for ModernBertConfig {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    /// With the two layers under `head`, which were pretrained with it.
    fn blueprint(&self) -> Blueprint {
        let words = format!("{}embeddings.tok_embeddings.weight", ABOUT.prefix);
        let words =
            Table::new(words, [self.vocab_size, self.hidden_size], self.fresh(self.initializer_range));
        let dense = Linear::new("head.dense".to_owned(), [self.hidden_size; 2], self.onto_residual());
        Blueprint {
            embedding: Embedding {
                norm: Some(self.norm(format!("{}embeddings.norm", ABOUT.prefix))),
                dropout: Some(self.embedding_dropout),
                ..Embedding::of_words(words.padded(self.pad_token_id))
            },
            layers: (0..self.num_hidden_layers).map(|index| self.layer(index)).collect(),
            norm: Some(self.norm(format!("{}final_norm", ABOUT.prefix))),
            pooler: vec![
                Step::Linear(dense.biased(self.classifier_bias)),
                Step::Activation(Activation::Gelu),
                Step::Norm(self.norm("head.norm".to_owned())),
            ],
            sees: Sees::Tokens,
        }
    }

    /// Dropout and a linear layer, for a text or for each token.
    fn output(&self, head: Head) -> Option<Output> {
        #[expect(clippy::cast_precision_loss, reason = "widths are far below 2^52")]
        let fresh = self.fresh((self.hidden_size as f64).sqrt().recip());
        let steps = |labels| {
            let classifier = Linear::new("classifier".to_owned(), [self.hidden_size, labels], fresh);
            vec![Step::Dropout(self.classifier_dropout), Step::Linear(classifier)]
        };
        let reads = if self.classifier_pooling == MEAN { Reads::Mean } else { Reads::First };
        match head {
            Head::Classifier { labels } => Some(Output::Text { reads, steps: steps(labels) }),
            Head::Tagger { labels } => Some(Output::Tokens { pooled: true, steps: steps(labels) }),
            Head::LanguageModel => None,
        }
    }

    /// Its classes read none of the keys by which other encoders become decoders or have other positions.
    fn variant(&self, common: &Common) -> Variant {
        let ropes = self.ropes();
        let all = ropes.iter().filter_map(|(rope, _)| *rope).chain(&self.rope_scaling);
        let scaled = all.clone().map(RopeConfig::kind).find(|kind| *kind != RopeConfig::UNSCALED);
        let wrong = ropes.iter().find(|(_, base)| !(base.is_finite() && *base > 0.0));
        let windows: Vec<bool> = (0..self.num_hidden_layers).map(|index| self.is_local(index)).collect();
        let pooling = &self.classifier_pooling;
        let other = [&self.hidden_activation, &self.classifier_activation]
            .into_iter()
            .find_map(|activation| config::other_activation(activation, GELU));
        if other.is_some() {
            other
        } else if let Some(kind) = scaled {
            Some((format!("rotary positions scaled by `{kind}`"), "rotary positions that are not scaled"))
        } else if let Some((_, base)) = wrong {
            Some(config::other_base(*base))
        } else if !all.clone().all(RopeConfig::turns_all) {
            Some(config::turned_in_part())
        } else if ![CLS, MEAN].contains(&pooling.as_str()) {
            let wanted = "`classifier_pooling` of `cls` or `mean`";
            Some((format!("a classifier that reads the text by `{pooling}`"), wanted))
        } else if common.other_windows(&windows) {
            let wanted = "`layer_types` in which every n-th layer from the first on is `full_attention`";
            Some(("`layer_types` of its own".to_owned(), wanted))
        } else {
            None
        }
    }

    fn numbers(&self) -> Numbers {
        let heads = self.num_attention_heads;
        Numbers {
            sizes: vec![
                ("num_hidden_layers", self.num_hidden_layers, MOST_LAYERS),
                ("hidden_size", self.hidden_size, WIDEST),
                ("num_attention_heads", heads, WIDEST),
                ("intermediate_size", self.intermediate_size, 10 * WIDEST),
                ("max_position_embeddings", self.max_position_embeddings, MOST_POSITIONS),
                ("vocab_size", self.vocab_size, MOST_WORDS),
                ("global_attn_every_n_layers", self.global_attn_every_n_layers, MOST_POSITIONS),
                ("local_attention", self.local_attention, MOST_POSITIONS),
            ],
            divisors: vec![[("num_attention_heads", heads), ("hidden_size", self.hidden_size)]],
            even: vec![("hidden_size / num_attention_heads", self.head_width())],
            shares: vec![
                ("attention_dropout", self.attention_dropout),
                ("embedding_dropout", self.embedding_dropout),
                ("mlp_dropout", self.mlp_dropout),
                ("classifier_dropout", self.classifier_dropout),
                ("norm_eps", self.norm_eps),
            ],
        }
    }

    fn max_length(&self) -> usize {
        self.max_position_embeddings
    }

    fn padding(&self) -> usize {
        self.pad_token_id
    }

    /// Its tokenizers put a token between the texts.
    fn pairs(&self) -> Pairs {
        Pairs::Apart
    }

    fn settable(&mut self) -> Settable<'_> {
        Settable {
            vocabulary: &mut self.vocab_size,
            layers: Some(&mut self.num_hidden_layers),
            hidden_dropouts: vec![&mut self.embedding_dropout, &mut self.mlp_dropout],
            attention_dropout: Some(&mut self.attention_dropout),
        }
    }
}
