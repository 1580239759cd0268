//! Owns GPT-2 (Radford et al. 2019), of any size, equal to transformers' `GPT2LMHeadModel` and
//! `GPT2ForSequenceClassification`.

use serde::{Deserialize, Serialize};

use super::blueprint::{
    Activation, Attention, Blueprint, Embedding, Gate, Layer, Linear, Mlp, Norm, Output, Projections, Reads,
    Sees, Step, Table, Wiring,
};
use super::config::{self, Common, MOST_LAYERS, MOST_WORDS, Variant, WIDEST, parsed};
use super::family::{About, Family, Keys, Name, Pairs, Settable};
use super::numbers::Numbers;
use super::tensors::Init;
use super::transformers::{Around, OtherHead, Tokenizers, Vocabulary};
use super::{Architecture, Head};

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
    /// Token id of padding; 0 when absent, which makes no difference, since no token attends to padding.
    pub pad_token_id: Option<usize>,
    /// Dropout before the linear layer of a head for tokens; 0.1 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classifier_dropout: Option<f64>,
}

/// transformers' dropout before a decoder's head for tokens, where the configuration names none.
pub(super) const TAGGER_DROPOUT: f64 = 0.1;

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
            classifier_dropout: None,
        }
    }
}

/// GPT-2's names, and the keys that a sweep may set.
pub(super) static ABOUT: About = About {
    names: &[Name { model_type: "gpt2", class: Some("GPT2") }],
    language_model: Some("LMHeadModel"),
    prefix: "transformer.",
    optional: &[],
    same: &[("wte.weight", "lm_head.weight")],
    others: &[OtherHead {
        class: "DoubleHeadsModel",
        tensors: &[],
        called: "model with two heads",
        does: "it goes on with a text and chooses among several",
    }],
    tokenizers: Some(Tokenizers {
        classes: &["GPT2Tokenizer"],
        vocabulary: Vocabulary::Bytes(Around::Nothing { end: "<|endoftext|>" }),
    }),
    first_layer: "h.0.attn.c_attn.weight",
    width: "n_embd",
    keys: Some(Keys {
        all: &["n_embd", "n_layer", "n_head"],
        // OpenAI GPT, GPT-J, CodeGen.
        none: &["afn", "predict_special_tokens", "rotary_dim"],
        unless: &[],
    }),
    targets: &["c_attn"],
    sizes: &["layers", "heads", "positions", "hidden_dropout", "attention_dropout"],
    needed: &["layers", "hidden", "heads"],
    read: |json| Ok(Architecture::Gpt2(parsed(json)?)),
    drawn: |sizes| {
        let config = Gpt2Config::default();
        Some(Architecture::Gpt2(Gpt2Config {
            n_layer: sizes.layers?,
            n_embd: sizes.hidden?,
            n_head: sizes.heads?,
            n_positions: sizes.positions.unwrap_or(config.n_positions),
            ..config
        }))
    },
};

impl Gpt2Config {
    /// Width of the feed-forward layer.
    #[must_use]
    pub fn inner(&self) -> usize {
        self.n_inner.unwrap_or(4 * self.n_embd)
    }

    fn fresh(&self) -> Init {
        Init::Normal(self.initializer_range)
    }

    fn norm(&self, name: &str) -> Norm {
        Norm::layer(format!("{}{name}", ABOUT.prefix), self.n_embd, self.layer_norm_epsilon)
    }

    fn layer(&self, index: usize) -> Layer {
        let (width, inner) = (self.n_embd, self.inner());
        // Layers that add to the residual sum start with smaller weights (Radford et al. 2019, section 2.3).
        #[expect(clippy::cast_precision_loss, reason = "layers are few")]
        let onto_residual = Init::Normal(self.initializer_range / (2.0 * self.n_layer as f64).sqrt());
        let conv1d = |name: &str, size, init| {
            Linear::new(format!("{}h.{index}.{name}", ABOUT.prefix), size, init).transposed()
        };
        Layer {
            wiring: Wiring::NormBefore,
            attention_norm: Some(self.norm(&format!("h.{index}.ln_1"))),
            attention: Attention {
                dropout: Some(self.attn_pdrop),
                output_dropout: Some(self.resid_pdrop),
                ..Attention::new(
                    self.n_head,
                    Projections::Fused(conv1d("attn.c_attn", [width, 3 * width], self.fresh())),
                    conv1d("attn.c_proj", [width, width], onto_residual),
                )
            },
            mlp_norm: Some(self.norm(&format!("h.{index}.ln_2"))),
            mlp: Some(Mlp {
                input: conv1d("mlp.c_fc", [width, inner], self.fresh()),
                gate: Gate::Nothing,
                activation: Activation::GeluTanh,
                inner_dropout: None,
                output: conv1d("mlp.c_proj", [inner, width], onto_residual),
                dropout: Some(self.resid_pdrop),
            }),
        }
    }
}

impl Family for Gpt2Config {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn blueprint(&self) -> Blueprint {
        let table = |name: &str, rows: usize| {
            Table::new(format!("{}{name}.weight", ABOUT.prefix), [rows, self.n_embd], self.fresh())
        };
        Blueprint {
            embedding: Embedding {
                dropout: Some(self.embd_pdrop),
                ..Embedding::new(table("wte", self.vocab_size), table("wpe", self.n_positions))
            },
            layers: (0..self.n_layer).map(|index| self.layer(index)).collect(),
            norm: Some(self.norm("ln_f")),
            pooler: Vec::new(),
            sees: Sees::Earlier,
        }
    }

    /// A linear layer without bias over the last token, or the word embedding.
    fn output(&self, head: Head) -> Option<Output> {
        Some(match head {
            Head::Classifier { labels } => {
                let score = Linear::new("score".to_owned(), [self.n_embd, labels], self.fresh());
                let steps = vec![Step::Linear(Linear { bias: None, ..score })];
                Output::Text { reads: Reads::Last, steps }
            }
            Head::Tagger { labels } => {
                let classes = Linear::new("classifier".to_owned(), [self.n_embd, labels], self.fresh());
                Output::Tokens {
                    pooled: false,
                    steps: vec![
                        Step::Dropout(self.classifier_dropout.unwrap_or(TAGGER_DROPOUT)),
                        Step::Linear(classes),
                    ],
                }
            }
            Head::LanguageModel => Output::TiedWords,
        })
    }

    fn variant(&self, common: &Common) -> Variant {
        if common.add_cross_attention {
            config::cross_attention()
        } else if let Some(other) =
            config::other_activation(&self.activation_function, ["gelu_new", "activation `gelu_new`"])
        {
            Some(other)
        } else if !self.scale_attn_weights || self.scale_attn_by_inverse_layer_idx {
            Some(("attention scores that are scaled unlike GPT-2's".to_owned(), "GPT-2's own scaling"))
        } else if self.tie_word_embeddings {
            None
        } else {
            Some(("an output layer of its own".to_owned(), "an output layer tied to the word embedding"))
        }
    }

    fn numbers(&self) -> Numbers {
        Numbers {
            sizes: vec![
                ("n_layer", self.n_layer, MOST_LAYERS),
                ("n_embd", self.n_embd, WIDEST),
                ("n_head", self.n_head, WIDEST),
                ("n_inner", self.inner(), 10 * WIDEST),
                ("n_positions", self.n_positions, WIDEST),
                ("vocab_size", self.vocab_size, MOST_WORDS),
            ],
            divisors: vec![[("n_head", self.n_head), ("n_embd", self.n_embd)]],
            even: Vec::new(),
            shares: vec![
                ("resid_pdrop", self.resid_pdrop),
                ("embd_pdrop", self.embd_pdrop),
                ("attn_pdrop", self.attn_pdrop),
            ],
        }
    }

    fn max_length(&self) -> usize {
        self.n_positions
    }

    fn padding(&self) -> usize {
        self.pad_token_id.unwrap_or(0)
    }

    fn pairs(&self) -> Pairs {
        Pairs::Joined
    }

    fn settable(&mut self) -> Settable<'_> {
        Settable {
            vocabulary: &mut self.vocab_size,
            layers: Some(&mut self.n_layer),
            hidden_dropouts: vec![&mut self.resid_pdrop, &mut self.embd_pdrop],
            attention_dropout: Some(&mut self.attn_pdrop),
        }
    }
}
