//! Owns the choice of model family, and what every family reads. Computes nothing itself.

use tch::{Kind, Tensor};

use super::bert::BertClassifier;
use super::gpt2::Gpt2;
use super::gptmini::GptMini;
use super::layers::{AdapterSettings, for_slots};
use super::params::Params;
use super::pass::Pass;
use crate::families::{Architecture, Head};

/// What is added to the attention score of a token that must not be seen. Finite, also in bf16, so that
/// filling, which sees nothing, stays finite too.
pub const UNSEEN: f32 = -1e38;

/// A batch as a model reads it: K slots of B rows of T tokens. Where all slots see the same rows,
/// they stand in it once and K is 1, whatever the number of slots that the model has.
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
        self.by_rows(x).select(2, 0)
    }

    /// The mask for queries of so many slots, `[slots * B, 1, 1, T]`.
    pub(super) fn mask_for(&self, slots: i64) -> Option<Tensor> {
        let [own, rows, tokens] = self.shape;
        self.mask.as_ref().map(|mask| match slots {
            slots if slots == own => mask.shallow_clone(),
            slots => for_slots(&mask.view([own, rows, tokens]), slots).reshape([-1, 1, 1, tokens]),
        })
    }

    /// `[K, B * T, H]` as `[K, B, T, H]`.
    fn by_rows(&self, x: &Tensor) -> Tensor {
        let [_, rows, tokens] = self.shape;
        x.view([x.size()[0], rows, tokens, -1])
    }

    /// Of `[K, B * T, H]` the last token of each row that is no padding, `[K, B, H]`.
    pub fn last_tokens(&self, x: &Tensor) -> Tensor {
        let [_, rows, tokens] = self.shape;
        let x = self.by_rows(x);
        let slots = x.size()[0];
        let Some(mask) = self.mask_for(slots) else { return x.select(2, tokens - 1) };
        let lengths = mask.eq(0.0).sum_dim_intlist([-1].as_slice(), false, Kind::Int64);
        // A row that only fills up a slot has no token; whatever it gives has no weight.
        let last = (lengths - 1).clamp_min(0).view([slots, rows, 1, 1]);
        x.gather(2, &last.expand([slots, rows, 1, x.size()[3]], false), false).squeeze_dim(2)
    }
}

/// The beginning of a forward pass, up to where slots part: the embedding, the layers below the first
/// one with an adapter, and that layer's products but for the adapters'. Slots that see the same batch
/// with the same stream have it in common.
#[derive(Debug)]
pub struct Trunk<'a> {
    pub(super) inputs: &'a Inputs,
    /// What the first layer behind it reads, `[K, B * T, H]`.
    pub(super) x: Tensor,
    /// What that layer has computed already, in its own order.
    pub(super) products: Option<Vec<Tensor>>,
    /// Dropout layers so far.
    pub(super) site: u64,
}

impl<'a> Trunk<'a> {
    /// A trunk that ends where `pass` stands.
    pub(super) fn new(inputs: &'a Inputs, pass: &Pass, x: Tensor, products: Option<Vec<Tensor>>) -> Self {
        Self { inputs, x, products, site: pass.site() }
    }
}

/// A model of some family over a pack's tensors.
#[derive(Debug)]
pub struct Model {
    slots: usize,
    family: Family,
}

#[derive(Debug)]
enum Family {
    Bert(BertClassifier),
    Gpt2(Gpt2),
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
        let family = match architecture {
            Architecture::Bert(config) => Family::Bert(BertClassifier::new(config, params, adapters)),
            Architecture::Gpt2(config) => Family::Gpt2(Gpt2::new(config, head, params, adapters)),
            Architecture::GptMini(config) => Family::GptMini(GptMini::new(config, params, adapters)),
        };
        Self { slots: params.slots(), family }
    }

    /// Number of slots K.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Whether the trunk is the same for every slot that sees the same batch.
    #[must_use]
    pub fn shares_trunk(&self) -> bool {
        match &self.family {
            Family::Bert(bert) => bert.shares_trunk(),
            Family::Gpt2(gpt2) => gpt2.shares_trunk(),
            Family::GptMini(mini) => mini.shares_trunk(),
        }
    }

    /// The beginning of a forward pass.
    #[must_use]
    pub fn trunk<'a>(&self, inputs: &'a Inputs, pass: &mut Pass) -> Trunk<'a> {
        match &self.family {
            Family::Bert(bert) => bert.trunk(inputs, pass),
            Family::Gpt2(gpt2) => gpt2.trunk(inputs, pass),
            Family::GptMini(mini) => mini.trunk(inputs, pass),
        }
    }

    /// Logits, `[K, B, classes]`.
    ///
    /// # Panics
    /// For a language model.
    pub fn classify(&self, trunk: &Trunk<'_>, pass: &mut Pass) -> Tensor {
        pass.go_on_at(trunk.site);
        match &self.family {
            Family::Bert(bert) => bert.classify(trunk, pass),
            Family::Gpt2(gpt2) => gpt2.classify(trunk, pass),
            Family::GptMini(mini) => mini.classify(trunk, pass),
        }
    }

    /// Logits `[K, P, V]` for the tokens that follow those at `positions`: 64-bit integers `[K, P]`,
    /// each counted in its slot's B * T tokens.
    ///
    /// # Panics
    /// For a classifier.
    pub fn next_tokens(&self, trunk: &Trunk<'_>, positions: &Tensor, pass: &mut Pass) -> Tensor {
        self.token_logits(&self.hidden_states(trunk, positions, pass))
    }

    /// What the output layer reads at `positions`, `[K, P, H]`; see [`Model::next_tokens`].
    ///
    /// # Panics
    /// For a classifier.
    pub fn hidden_states(&self, trunk: &Trunk<'_>, positions: &Tensor, pass: &mut Pass) -> Tensor {
        pass.go_on_at(trunk.site);
        self.language_model().hidden_states(trunk, positions, pass)
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
        match &self.family {
            Family::Gpt2(gpt2) => gpt2,
            Family::Bert(_) | Family::GptMini(_) => panic!("this family has no language model"),
        }
    }
}
