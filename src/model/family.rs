//! Owns the choice of model family, and what every family reads. Computes nothing itself.

use tch::{Kind, Tensor};

use super::bert::BertClassifier;
use super::gpt2::Gpt2;
use super::gptmini::GptMini;
use super::layers::AdapterSettings;
use super::params::Params;
use super::pass::Pass;
use crate::arch::{Architecture, Head};

/// What is added to the attention score of a token that must not be seen. Finite, also in bf16, so that
/// filling, which sees nothing, stays finite too.
pub const UNSEEN: f32 = -1e38;

/// A batch as a model reads it: K slots of B rows of T tokens.
#[derive(Debug)]
pub struct Inputs {
    /// `[K, B, T]`.
    pub shape: [i64; 3],
    /// Token ids, `[K, B, T]`, 64-bit integers; rows are padded on the right.
    pub ids: Tensor,
    /// Token types, likewise; `None` where all are 0.
    pub token_types: Option<Tensor>,
    /// Added to attention scores, `[K * B, 1, 1, T]`: 0 at tokens, [`UNSEEN`] at
    /// padding; `None` where there is no padding.
    pub mask: Option<Tensor>,
}

impl Inputs {
    /// Of `[K, B * T, H]` the first token of each row, `[K, B, H]`.
    pub fn first_tokens(&self, x: &Tensor) -> Tensor {
        let [slots, rows, tokens] = self.shape;
        x.view([slots, rows, tokens, -1]).select(2, 0)
    }

    /// Of `[K, B * T, H]` the last token of each row that is no padding, `[K, B, H]`.
    pub fn last_tokens(&self, x: &Tensor) -> Tensor {
        let [slots, rows, tokens] = self.shape;
        let x = x.view([slots, rows, tokens, -1]);
        let Some(mask) = &self.mask else { return x.select(2, tokens - 1) };
        let lengths = mask.eq(0.0).sum_dim_intlist([-1].as_slice(), false, Kind::Int64);
        // A row that only fills up a slot has no token; whatever it gives has no weight.
        let last = (lengths - 1).clamp_min(0).view([slots, rows, 1, 1]);
        x.gather(2, &last.expand([slots, rows, 1, x.size()[3]], false), false).squeeze_dim(2)
    }
}

/// A model of some family over a pack's tensors.
#[derive(Debug)]
pub enum Model {
    /// A BERT encoder with a classifier.
    Bert(BertClassifier),
    /// A GPT-2 decoder with either head.
    Gpt2(Gpt2),
    /// GPTMini with its classifier.
    GptMini(GptMini),
}

impl Model {
    /// The model over these tensors; it shares their storage and gradients.
    ///
    /// # Panics
    /// Where [`Architecture::supports`] denies the head.
    #[must_use]
    pub fn new(
        architecture: &Architecture,
        head: Head,
        params: &Params,
        adapters: Option<&AdapterSettings>,
    ) -> Self {
        assert!(architecture.supports(head), "the check of the sweep refuses {head:?} on this family");
        match architecture {
            Architecture::Bert(config) => Self::Bert(BertClassifier::new(config, params, adapters)),
            Architecture::Gpt2(config) => Self::Gpt2(Gpt2::new(config, head, params, adapters)),
            Architecture::GptMini(config) => Self::GptMini(GptMini::new(config, params, adapters)),
        }
    }

    /// Logits, `[K, B, classes]`.
    ///
    /// # Panics
    /// For a language model.
    pub fn classify(&self, inputs: &Inputs, pass: &mut Pass) -> Tensor {
        match self {
            Self::Bert(bert) => bert.forward(inputs, pass),
            Self::Gpt2(gpt2) => gpt2.classify(inputs, pass),
            Self::GptMini(mini) => mini.forward(inputs, pass),
        }
    }

    /// Logits `[K, P, V]` for the tokens that follow those at `positions`: 64-bit integers `[K, P]`,
    /// each counted in its slot's B * T tokens.
    ///
    /// # Panics
    /// For a classifier.
    pub fn next_tokens(&self, inputs: &Inputs, positions: &Tensor, pass: &mut Pass) -> Tensor {
        self.token_logits(&self.hidden_states(inputs, positions, pass))
    }

    /// What the output layer reads at `positions`, `[K, P, H]`; see [`Model::next_tokens`].
    ///
    /// # Panics
    /// For a classifier.
    pub fn hidden_states(&self, inputs: &Inputs, positions: &Tensor, pass: &mut Pass) -> Tensor {
        self.language_model().hidden_states(inputs, positions, pass)
    }

    /// The output layer: `[K, P, H]` to logits `[K, P, V]`.
    ///
    /// # Panics
    /// For a classifier.
    pub fn token_logits(&self, hidden: &Tensor) -> Tensor {
        self.language_model().words.scores(hidden)
    }

    /// Tokens V that a language model knows.
    ///
    /// # Panics
    /// For a classifier.
    #[must_use]
    pub fn vocabulary(&self) -> i64 {
        self.language_model().words.rows()
    }

    /// Greedy continuations of one slot's model; see [`Gpt2::generate`].
    ///
    /// # Panics
    /// For a classifier.
    #[must_use]
    pub fn generate(&self, prompts: &[&[u32]], max_new: usize, end: u32) -> Vec<Vec<u32>> {
        self.language_model().generate(prompts, max_new, end)
    }

    fn language_model(&self) -> &Gpt2 {
        match self {
            Self::Gpt2(gpt2) => gpt2,
            Self::Bert(_) | Self::GptMini(_) => panic!("this family has no language model"),
        }
    }
}
