//! Owns what Llama and its relatives have in common (Touvron et al. 2023): norms before each part, rotary positions,
//! key and value heads that serve several heads of queries, a gated feed-forward part. Equal to transformers'
//! `…ForCausalLM` and `…ForSequenceClassification`. What sets a family apart is in its own file.

mod rope;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

pub use self::rope::RopeConfig;

use super::blueprint::{
    Activation, Attention, Blueprint, Embedding, Gate, Layer, Linear, Mlp, Norm, Output, Projections, Reads,
    Sees, Step, Table, Window, Wiring,
};
use super::config::{self, Common, MOST_LAYERS, MOST_POSITIONS, MOST_WORDS, Variant, WIDEST, parsed};
use super::family::{About, Family, Name, Pairs, Settable, Sizes};
use super::gpt2::TAGGER_DROPOUT;
use super::numbers::Numbers;
use super::tensors::Init;
use super::{Architecture, Head};

/// A decoder's configuration; field names are those of transformers' `config.json`, defaults Llama's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DecoderConfig {
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Width of the decoder.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Decoder layers.
    pub num_hidden_layers: usize,
    /// Heads of queries.
    pub num_attention_heads: usize,
    /// Heads of keys and values; as many as of queries when absent.
    pub num_key_value_heads: Option<usize>,
    /// Width of a head; `hidden_size / num_attention_heads` when absent.
    pub head_dim: Option<usize>,
    /// Activation of the gate: only `silu` is supported.
    pub hidden_act: String,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
    /// Epsilon of every norm.
    pub rms_norm_eps: f64,
    /// Whether the word embedding is the output layer.
    pub tie_word_embeddings: bool,
    /// Base of the rotary positions, where none of the next two has it; 10,000 when absent.
    pub rope_theta: Option<f64>,
    /// Scaling of the rotary positions, as transformers wrote it before version 5.
    pub rope_scaling: Option<RopeConfig>,
    /// Base and scaling of the rotary positions, as transformers 5 writes them.
    pub rope_parameters: Option<RopeConfig>,
    /// Dropout on attention probabilities.
    pub attention_dropout: f64,
    /// Whether queries, keys and values and the layer after them have a bias, in families that leave it open.
    pub attention_bias: bool,
    /// Whether the feed-forward part's layers have a bias, in families that leave it open.
    pub mlp_bias: bool,
    /// The tokens that a token attends to at most, itself included, in families with such a window.
    pub sliding_window: Option<usize>,
    /// Whether the upper layers have that window, in families that leave it open.
    pub use_sliding_window: bool,
    /// The number of lower layers without that window.
    pub max_window_layers: usize,
    /// Token id of padding, whose vector gets no gradient; 0 when absent, which makes no difference, since no token
    /// attends to padding.
    pub pad_token_id: Option<usize>,
    /// Dropout before the linear layer of a head for tokens; 0.1 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classifier_dropout: Option<f64>,
}

impl Default for DecoderConfig {
    fn default() -> Self {
        Self {
            vocab_size: 32_000,
            hidden_size: 4096,
            intermediate_size: 11_008,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: None,
            head_dim: None,
            hidden_act: "silu".to_owned(),
            max_position_embeddings: 2048,
            initializer_range: 0.02,
            rms_norm_eps: 1e-6,
            tie_word_embeddings: false,
            rope_theta: None,
            rope_scaling: Some(RopeConfig::default()),
            rope_parameters: Some(RopeConfig::default()),
            attention_dropout: 0.0,
            attention_bias: false,
            mlp_bias: false,
            sliding_window: None,
            use_sliding_window: false,
            max_window_layers: 28,
            pad_token_id: None,
            classifier_dropout: None,
        }
    }
}

/// A decoder of the family K.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub struct Decoder<K> {
    config: DecoderConfig,
    #[serde(skip)]
    family: PhantomData<K>,
}

/// What sets a family of decoders apart from the others.
pub(super) trait Kind: std::fmt::Debug {
    /// What holds for all models of the family.
    fn about() -> &'static About;

    /// What its configuration says where a file says nothing.
    fn defaults() -> DecoderConfig;

    /// What sets its layers apart.
    fn traits(config: &DecoderConfig) -> Traits;

    /// One of its models.
    fn architecture(decoder: Decoder<Self>) -> Architecture
    where
        Self: Sized;
}

impl<K: Kind> Default for Decoder<K> {
    fn default() -> Self {
        Self { config: K::defaults(), family: PhantomData }
    }
}

/// What sets the layers of a family of decoders apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traits {
    /// Whether queries, keys and values have a bias.
    pub(super) projection_bias: bool,
    /// Whether the layer after the heads has a bias.
    pub(super) output_bias: bool,
    /// Whether the feed-forward part's layers have a bias.
    pub(super) mlp_bias: bool,
    /// Whether each head's queries and keys are normalised.
    pub(super) head_norms: bool,
    /// The window of attention, and the number of the lowest layer that has it.
    pub(super) window: Option<(usize, usize)>,
}

/// What holds for all models of a family of decoders with these names.
pub(super) const fn about<K: Kind>(names: &'static [Name]) -> About {
    About {
        names,
        language_model: Some("ForCausalLM"),
        prefix: PREFIX,
        optional: &[],
        same: &[("embed_tokens.weight", "lm_head.weight")],
        others: &[],
        tokenizers: None,
        first_layer: "layers.0.self_attn.q_proj.weight",
        width: "hidden_size",
        keys: None,
        targets: &["q_proj", "v_proj"],
        sizes: &["layers", "heads", "kv_heads", "intermediate", "positions", "attention_dropout"],
        needed: &["layers", "hidden", "heads", "intermediate"],
        read: |json| Ok(K::architecture(parsed(json)?)),
        drawn: |sizes| {
            let Decoder { config, family } = Decoder::<K>::default();
            Some(K::architecture(Decoder { config: config.with_sizes(sizes)?, family }))
        },
    }
}

/// What stands before the names of a base's tensors.
const PREFIX: &str = "model.";
/// The name of the activation that is supported, as files have it and for people.
const SILU: [&str; 2] = ["silu", "activation `silu`"];

impl DecoderConfig {
    /// The same with a sweep's sizes; `None` where one is missing.
    pub(super) fn with_sizes(self, sizes: &Sizes) -> Option<Self> {
        Some(Self {
            num_hidden_layers: sizes.layers?,
            hidden_size: sizes.hidden?,
            num_attention_heads: sizes.heads?,
            // Said outright: where a file says nothing, families differ in what is meant.
            num_key_value_heads: sizes.kv_heads.or(sizes.heads),
            head_dim: Some(sizes.hidden? / sizes.heads?.max(1)),
            intermediate_size: sizes.intermediate?,
            max_position_embeddings: sizes.positions.unwrap_or(self.max_position_embeddings),
            ..self
        })
    }

    /// Heads of keys and values.
    #[must_use]
    pub fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// Width of a head.
    #[must_use]
    pub fn head_width(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// The window of the upper layers, and the number of the lowest that has it, where that is used at all.
    pub(super) fn upper_window(&self) -> Option<(usize, usize)> {
        self.sliding_window.filter(|_| self.use_sliding_window).map(|window| (window, self.max_window_layers))
    }

    fn fresh(&self) -> Init {
        Init::Normal(self.initializer_range)
    }

    fn norm(&self, name: &str) -> Norm {
        Norm::rms(format!("{}{name}", PREFIX), self.hidden_size, self.rms_norm_eps)
    }

    fn layer(&self, index: usize, traits: Traits) -> Layer {
        let (width, inner, head) = (self.hidden_size, self.intermediate_size, self.head_width());
        let (queries, keys) = (self.num_attention_heads * head, self.kv_heads() * head);
        let name = |part: &str| format!("layers.{index}.{part}");
        let linear = |part: &str, size, has_bias: bool| {
            Linear::new(format!("{}{}", PREFIX, name(part)), size, self.fresh()).biased(has_bias)
        };
        let projection =
            |part: &str, out| linear(&format!("self_attn.{part}_proj"), [width, out], traits.projection_bias);
        let mlp = |part: &str, size| linear(&format!("mlp.{part}_proj"), size, traits.mlp_bias);
        let head_norm = |part: &str| {
            let name = format!("{}{}", PREFIX, name(&format!("self_attn.{part}_norm")));
            Norm::rms(name, head, self.rms_norm_eps)
        };
        Layer {
            wiring: Wiring::NormBefore,
            attention_norm: Some(self.norm(&name("input_layernorm"))),
            attention: Attention {
                kv_heads: self.kv_heads(),
                head_norms: traits.head_norms.then(|| ["q", "k"].map(head_norm)),
                rotary: Some(self.rotary()),
                window: traits
                    .window
                    .filter(|(_, lowest)| index >= *lowest)
                    .map(|(window, _)| Window::Earlier(window)),
                dropout: Some(self.attention_dropout),
                ..Attention::new(
                    self.num_attention_heads,
                    Projections::Separate([
                        projection("q", queries),
                        projection("k", keys),
                        projection("v", keys),
                    ]),
                    linear("self_attn.o_proj", [queries, width], traits.output_bias),
                )
            },
            mlp_norm: Some(self.norm(&name("post_attention_layernorm"))),
            mlp: Some(Mlp {
                input: mlp("up", [width, inner]),
                gate: Gate::Separate(mlp("gate", [width, inner])),
                activation: Activation::Silu,
                inner_dropout: None,
                output: mlp("down", [inner, width]),
                dropout: None,
            }),
        }
    }
}

impl<K: Kind> Family for Decoder<K> {
    fn about(&self) -> &'static About {
        K::about()
    }

    fn blueprint(&self) -> Blueprint {
        let (config, traits) = (&self.config, K::traits(&self.config));
        let words = format!("{}embed_tokens.weight", PREFIX);
        let words = Table {
            padding: config.pad_token_id,
            ..Table::new(words, [config.vocab_size, config.hidden_size], config.fresh())
        };
        Blueprint {
            embedding: Embedding::of_words(words),
            layers: (0..config.num_hidden_layers).map(|index| config.layer(index, traits)).collect(),
            norm: Some(config.norm("norm")),
            pooler: Vec::new(),
            sees: Sees::Earlier,
        }
    }

    /// A linear layer without bias: over the last token, or of its own for words, unless the word embedding is that.
    fn output(&self, head: Head) -> Option<Output> {
        let config = &self.config;
        let linear = |name: &str, outputs| Linear {
            bias: None,
            ..Linear::new(name.to_owned(), [config.hidden_size, outputs], config.fresh())
        };
        Some(match head {
            Head::Classifier { labels } => {
                Output::Text { reads: Reads::Last, steps: vec![Step::Linear(linear("score", labels))] }
            }
            Head::Tagger { labels } => {
                let score = Linear { bias: Some(Init::Zeros), ..linear("score", labels) };
                Output::Tokens {
                    pooled: false,
                    steps: vec![
                        Step::Dropout(config.classifier_dropout.unwrap_or(TAGGER_DROPOUT)),
                        Step::Linear(score),
                    ],
                }
            }
            Head::LanguageModel if config.tie_word_embeddings => Output::TiedWords,
            Head::LanguageModel => Output::Words(linear("lm_head", config.vocab_size)),
        })
    }

    fn variant(&self, common: &Common) -> Variant {
        let config = &self.config;
        let is_windowed = |layer: &Layer| layer.attention.window.is_some();
        let windows: Vec<bool> = self.blueprint().layers.iter().map(is_windowed).collect();
        let (turns_all, base) = (config.rope().is_none_or(RopeConfig::turns_all), config.rope_base());
        if let Some(other) = config::other_activation(&config.hidden_act, SILU) {
            Some(other)
        } else if let Err(scaling) = config.scaling() {
            let wanted =
                "rotary positions that are not scaled, or by `linear` or `llama3` with all their factors";
            Some((format!("rotary positions scaled by `{scaling}`"), wanted))
        } else if !(base.is_finite() && base > 0.0) {
            Some(config::other_base(base))
        } else if !turns_all {
            Some(config::turned_in_part())
        } else if common.other_windows(&windows) {
            let wanted = "windows of attention where `sliding_window` and `max_window_layers` have them";
            Some(("`layer_types` of its own".to_owned(), wanted))
        } else {
            None
        }
    }

    fn numbers(&self) -> Numbers {
        let config = &self.config;
        let (heads, head) = (config.num_attention_heads, config.head_width());
        let mut sizes = vec![
            ("num_hidden_layers", config.num_hidden_layers, MOST_LAYERS),
            ("hidden_size", config.hidden_size, WIDEST),
            ("num_attention_heads", heads, WIDEST),
            ("num_key_value_heads", config.kv_heads(), WIDEST),
            ("head_dim", head, WIDEST),
            ("intermediate_size", config.intermediate_size, 10 * WIDEST),
            ("max_position_embeddings", config.max_position_embeddings, MOST_POSITIONS),
            ("vocab_size", config.vocab_size, MOST_WORDS),
        ];
        sizes.extend(K::traits(config).window.map(|(window, _)| ("sliding_window", window, MOST_POSITIONS)));
        let mut divisors = vec![[("num_key_value_heads", config.kv_heads()), ("num_attention_heads", heads)]];
        if config.head_dim.is_none() {
            divisors.push([("num_attention_heads", heads), ("hidden_size", config.hidden_size)]);
        }
        let shares =
            vec![("attention_dropout", config.attention_dropout), ("rms_norm_eps", config.rms_norm_eps)];
        Numbers { sizes, divisors, even: vec![("head_dim", head)], shares }
    }

    fn max_length(&self) -> usize {
        self.config.max_position_embeddings
    }

    fn padding(&self) -> usize {
        self.config.pad_token_id.unwrap_or(0)
    }

    fn pairs(&self) -> Pairs {
        Pairs::Joined
    }

    fn settable(&mut self) -> Settable<'_> {
        let config = &mut self.config;
        Settable {
            vocabulary: &mut config.vocab_size,
            layers: Some(&mut config.num_hidden_layers),
            hidden_dropouts: Vec::new(),
            attention_dropout: Some(&mut config.attention_dropout),
        }
    }
}
