//! Owns the model that a family's blueprint describes, numerically equal to transformers' model: embedding,
//! layers, and a head for whole texts or for the next token.
//!
//! Activations are `[K, B * T, H]`: K slots, B rows, T tokens, width H; those that all slots share are
//! `[1, B * T, H]`. Owns no weights: they are the pack's. Knows no family.

use tch::{Kind, Tensor};

use super::assembly::Assembly;
use super::attention::Visibility;
use super::embeddings::Embeddings;
use super::head::TextHead;
use super::inputs::Inputs;
use super::layer::{Layer, Projected};
use super::layers::{AdapterSettings, Linear};
use super::norm::Norm;
use super::params::Params;
use super::pass::Pass;
use super::rotary::{Turns, angles};
use crate::families::blueprint::{Output, Reads, Sees};
use crate::families::{self, Architecture};

/// A model over a pack's tensors.
#[derive(Debug)]
pub struct Model {
    slots: usize,
    pub(super) embeddings: Embeddings,
    pub(super) layers: Vec<Layer>,
    /// Number of bottom layers that are the same for all slots.
    shared: usize,
    /// Whether the last layer gives only the first token of each row.
    first_only: bool,
    pub(super) norm: Option<Norm>,
    head: Head,
    /// The angles of its layers' rotations, each once.
    rotaries: Vec<Tensor>,
    sees: Sees,
    pub(super) max_length: usize,
}

/// What a task has on top of the base.
#[derive(Debug)]
enum Head {
    /// Classes or numbers of whole texts.
    Text(TextHead),
    /// Tags of single tokens.
    Tokens(TextHead),
    /// The next token, by the word embedding.
    TiedWords,
    /// The next token, by a layer of its own.
    Words(Linear),
}

/// The beginning of a forward pass, up to where slots differ: the embedding, the layers below the first one
/// with an adapter, and that layer's products without the adapters. Slots that see the same batch with the same
/// stream share it.
#[derive(Debug)]
pub struct Trunk<'a> {
    pub(super) inputs: &'a Inputs,
    /// By each of the model's rotations.
    pub(super) turns: Vec<Turns>,
    /// The input of the first layer after the trunk, `[K, B * T, H]`.
    pub(super) x: Tensor,
    /// The index of that layer.
    pub(super) next: usize,
    /// The part of that layer that is already computed.
    pub(super) known: Option<Projected>,
    /// Dropout layers so far.
    pub(super) site: u64,
}

impl Model {
    /// The model over these tensors; it shares their storage and gradients.
    ///
    /// # Panics
    /// Where [`Architecture::supports`] returns false for the head.
    #[must_use]
    pub fn new(
        architecture: &Architecture,
        head: families::Head,
        params: &Params,
        adapters: Option<&AdapterSettings>,
    ) -> Self {
        let output = architecture.output(head);
        let output =
            output.unwrap_or_else(|| panic!("the check of the sweep refuses {head:?} on this family"));
        let (blueprint, assembly) = (architecture.base(head), Assembly { params, adapters });
        let rotaries = blueprint.rotaries();
        let mut layers: Vec<Layer> =
            blueprint.layers.iter().map(|layer| Layer::new(layer, &rotaries, assembly)).collect();
        let head = match &output {
            Output::Text { reads, steps } => {
                Head::Text(TextHead::new(*reads, blueprint.pooler.iter().chain(steps), assembly))
            }
            Output::Tokens { steps, .. } => {
                Head::Tokens(TextHead::new(Reads::Every, blueprint.pooler.iter().chain(steps), assembly))
            }
            Output::TiedWords => Head::TiedWords,
            Output::Words(linear) => Head::Words(assembly.linear(linear)),
        };
        let first_only = blueprint.asks_first_only(&output);
        layers.last_mut().filter(|_| first_only).into_iter().for_each(Layer::ask_first_only);
        let embeddings = Embeddings::new(&blueprint, architecture.padding(), assembly);
        let device = embeddings.words.device();
        Self {
            slots: params.slots(),
            embeddings,
            first_only,
            shared: layers.iter().take_while(|layer| layer.is_shared()).count(),
            layers,
            norm: blueprint.norm.as_ref().map(|norm| assembly.norm(norm)),
            head,
            rotaries: rotaries.into_iter().map(|rotary| angles(rotary, device)).collect(),
            sees: blueprint.sees,
            max_length: architecture.max_length(),
        }
    }

    /// Number of slots K.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Whether the trunk is the same for every slot that sees the same batch.
    #[must_use]
    pub fn shares_trunk(&self) -> bool {
        self.embeddings.is_shared()
    }

    /// The beginning of a forward pass: the embedding, the layers that all slots share, and the first
    /// other layer's projections. A pass that recomputes has no layer in it through which a gradient flows.
    #[must_use]
    pub fn trunk<'a>(&self, inputs: &'a Inputs, pass: &mut Pass) -> Trunk<'a> {
        let mut x = self.embeddings.forward(inputs, pass);
        let positions = || Tensor::arange(inputs.shape[2], (Kind::Float, x.device())).unsqueeze(0);
        let turns = if self.rotaries.is_empty() { Vec::new() } else { self.turns(&positions()) };
        if pass.recomputes() && x.requires_grad() {
            return Trunk { inputs, turns, x, next: 0, known: None, site: pass.site() };
        }
        for layer in &self.layers[..self.shared] {
            x = layer.forward(&x, None, self.rows(inputs, &turns), pass);
        }
        let known = self.first_projections(&x, &self.rows(inputs, &turns));
        Trunk { inputs, turns, x, next: self.shared, known, site: pass.site() }
    }

    /// Logits, `[K, B, classes]`.
    ///
    /// # Panics
    /// For a model without classes of texts.
    pub fn classify(&self, trunk: &Trunk<'_>, pass: &mut Pass) -> Tensor {
        let Head::Text(head) = &self.head else { panic!("only a classifier has classes of texts") };
        let (inputs, x) = (trunk.inputs, self.behind_layers(trunk, pass));
        let read = match head.reads {
            Reads::First if self.first_only => self.normed(&x),
            Reads::First => self.normed(&inputs.first_tokens(&x)),
            Reads::Last => self.normed(&inputs.last_tokens(&x)),
            Reads::Mean => inputs.mean_tokens(&self.normed(&x)),
            Reads::Every => self.normed(&x).view([x.size()[0], inputs.shape[1], -1]),
        };
        head.forward(&read, pass)
    }

    /// Logits `[K, P, classes]` for the tokens at `positions`: 64-bit integers `[K, P]`, each counted in its slot's
    /// B * T tokens. `None` for a model that does not tag tokens.
    pub fn tag(&self, trunk: &Trunk<'_>, positions: &Tensor, pass: &mut Pass) -> Option<Tensor> {
        let Head::Tokens(head) = &self.head else { return None };
        let x = self.normed(&self.behind_layers(trunk, pass));
        Some(at(&head.forward(&x, pass), positions))
    }

    /// Logits `[K, P, V]` for the tokens that follow those at `positions`: 64-bit integers `[K, P]`,
    /// each counted in its slot's B * T tokens.
    ///
    /// # Panics
    /// For a classifier.
    pub fn next_tokens(&self, trunk: &Trunk<'_>, positions: &Tensor, pass: &mut Pass) -> Tensor {
        self.token_logits(&self.hidden_states(trunk, positions, pass))
    }

    /// The output layer's input at `positions`, `[K, P, H]`; see [`Model::next_tokens`]. That layer is the
    /// largest product of a small model, so it is computed only for these tokens.
    pub fn hidden_states(&self, trunk: &Trunk<'_>, positions: &Tensor, pass: &mut Pass) -> Tensor {
        self.normed(&at(&self.behind_layers(trunk, pass), positions))
    }

    /// The output layer: `[K, P, H]` to logits `[K, P, V]`.
    ///
    /// # Panics
    /// For a classifier.
    pub fn token_logits(&self, hidden: &Tensor) -> Tensor {
        match &self.head {
            Head::Text(_) | Head::Tokens(_) => panic!("a classifier predicts no token"),
            Head::TiedWords => self.embeddings.words.scores(hidden),
            Head::Words(linear) => linear.base(hidden),
        }
    }

    /// Number of words V.
    #[must_use]
    pub fn vocabulary(&self) -> i64 {
        self.embeddings.words.rows()
    }

    /// Activations after the last layer, before the norm, `[K, B * T, H]`, or `[K, B, H]` where only the first
    /// tokens are needed.
    fn behind_layers(&self, trunk: &Trunk<'_>, pass: &mut Pass) -> Tensor {
        pass.go_on_at(trunk.site);
        let x = trunk.x.shallow_clone();
        (trunk.next..self.layers.len()).fold(x, |x, layer| self.layer(layer, &x, trunk, pass))
    }

    /// The output of a layer behind the trunk, by its index, for the input `x`.
    pub(super) fn layer(&self, layer: usize, x: &Tensor, trunk: &Trunk<'_>, pass: &mut Pass) -> Tensor {
        let rows = self.rows(trunk.inputs, &trunk.turns);
        if layer != self.shared {
            return self.layers[layer].forward(x, None, rows, pass);
        }
        // A trunk that ends earlier lacks them. They come first all the same, so that gradients add up in one order.
        let made = if trunk.known.is_none() { self.first_projections(x, &rows) } else { None };
        self.layers[layer].forward(x, trunk.known.as_ref().or(made.as_ref()), rows, pass)
    }

    /// The projections of the first layer that slots do not share, where they share these.
    fn first_projections(&self, x: &Tensor, rows: &Visibility<'_>) -> Option<Projected> {
        let layer = self.layers.get(self.shared).filter(|layer| layer.projections_are_shared());
        layer.map(|layer| layer.project(x, rows))
    }

    pub(super) fn normed(&self, x: &Tensor) -> Tensor {
        self.norm.as_ref().map_or_else(|| x.shallow_clone(), |norm| norm.forward(x))
    }

    /// The turns of tokens at these positions `[B, n]`, by each of its rotations.
    pub(super) fn turns(&self, positions: &Tensor) -> Vec<Turns> {
        self.rotaries.iter().map(|angles| Turns::of(angles, positions)).collect()
    }

    fn rows<'a>(&self, inputs: &'a Inputs, turns: &'a [Turns]) -> Visibility<'a> {
        Visibility::Rows { inputs, sees: self.sees, turns }
    }
}

/// What `x`, `[K, B * T, H]`, holds at `positions`, `[K, P]`: `[K, P, H]`.
fn at(x: &Tensor, positions: &Tensor) -> Tensor {
    let size = [x.size()[0], positions.size()[1], x.size()[2]];
    x.gather(1, &positions.unsqueeze(-1).expand(size, false), false)
}
