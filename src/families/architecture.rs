//! Owns the questions that every model answers, whatever its family. Knows no family.

use super::blueprint::{Blueprint, Output};
use super::family::{About, Dropouts, Pairs};
use super::{ALL, Architecture, Head, LinearShape, Place, TensorShape};
use crate::values::Lora;

/// The family with this name, which may be any of its names.
#[must_use]
pub fn named(model_type: &str) -> Option<&'static About> {
    ALL.into_iter().find(|about| about.is_called(model_type))
}

/// The names of all families, as sweep files have them.
pub const NAMES: [&str; ALL.len()] = {
    let mut names = [""; ALL.len()];
    let mut index = 0;
    while index < ALL.len() {
        names[index] = ALL[index].name();
        index += 1;
    }
    names
};

/// Number of families with a key of a sweep's model among their sizes.
#[must_use]
pub const fn count_with(size: &str) -> usize {
    let (mut count, mut index) = (0, 0);
    while index < ALL.len() {
        count += ALL[index].has_size(size) as usize;
        index += 1;
    }
    count
}

/// The names of the families with a key of a sweep's model among their sizes; their number is [`count_with`].
#[must_use]
pub const fn names_with<const N: usize>(size: &str) -> [&'static str; N] {
    let mut names = [""; N];
    let (mut count, mut index) = (0, 0);
    while index < ALL.len() {
        if ALL[index].has_size(size) {
            names[count] = ALL[index].name();
            count += 1;
        }
        index += 1;
    }
    names
}

impl Architecture {
    /// What holds for all models of its family.
    #[must_use]
    pub fn about(&self) -> &'static About {
        self.family().about()
    }

    /// The base model: its tensors and what is computed from them.
    #[must_use]
    pub fn blueprint(&self) -> Blueprint {
        self.family().blueprint()
    }

    /// The base of a model with this head: without its pooler, where the head does not read it.
    #[must_use]
    pub fn base(&self, head: Head) -> Blueprint {
        let mut blueprint = self.blueprint();
        if self.output(head).is_some_and(|output| !output.reads_pooler()) {
            blueprint.pooler.clear();
        }
        blueprint
    }

    /// What a head adds to the base; `None` where the family cannot have it.
    #[must_use]
    pub fn output(&self, head: Head) -> Option<Output> {
        self.family().output(head)
    }

    /// Whether the family can have this head.
    #[must_use]
    pub fn supports(&self, head: Head) -> bool {
        self.output(head).is_some()
    }

    /// Every tensor of the base model (without a task head), in a stable order.
    #[must_use]
    pub fn tensors(&self) -> Vec<TensorShape> {
        self.blueprint().tensors()
    }

    /// Every tensor of the base that a model with this head has: those of [`Self::base`] and, for a language model
    /// whose output layer is not its word embedding, that layer's.
    #[must_use]
    pub fn base_tensors(&self, head: Head) -> Vec<TensorShape> {
        let mut tensors = self.base(head).tensors();
        tensors.extend(self.output(head).iter().flat_map(Output::of_base));
        tensors
    }

    /// Every tensor of a model with this head, the base's first.
    #[must_use]
    pub fn all_tensors(&self, head: Head) -> Vec<TensorShape> {
        let mut tensors = self.base_tensors(head);
        tensors.extend(self.head_tensors(head));
        tensors
    }

    /// Whether it can be a language model whose output layer is its word embedding.
    #[must_use]
    pub fn ties_words(&self) -> bool {
        self.output(Head::LanguageModel) == Some(Output::TiedWords)
    }

    /// The head's tensors.
    #[must_use]
    pub fn head_tensors(&self, head: Head) -> Vec<TensorShape> {
        self.output(head).map(|output| output.tensors()).unwrap_or_default()
    }

    /// The matrix `[classes, width]` of a head whose rows are its classes, by the name of its tensor.
    #[must_use]
    pub fn class_rows(&self, head: Head) -> Option<String> {
        Some(format!("{}.weight", self.output(head)?.last_linear()?.name))
    }

    /// Whether a tensor of a head has a row for each class.
    #[must_use]
    pub fn is_by_class(&self, head: Head, tensor: &str) -> bool {
        let output = self.output(head);
        let last = output.as_ref().and_then(Output::last_linear);
        let part = last.and_then(|last| tensor.strip_prefix(last.name.as_str()));
        part.is_some_and(|part| part.starts_with('.'))
    }

    /// Prefix of the base model's tensors in a whole model's weight file; the base model's own file leaves it
    /// out.
    #[must_use]
    pub fn base_prefix(&self) -> &'static str {
        self.about().prefix
    }

    /// The module of a base model's tensor, if weights may lack it so that it is initialised at random, as in
    /// transformers: BERT's pooler, which its models for masked words do not have.
    #[must_use]
    pub fn optional_module_of(&self, tensor: &str) -> Option<&'static str> {
        let optional = self.about().optional.iter().find(|(start, _)| tensor.starts_with(start));
        optional.map(|(_, module)| *module)
    }

    /// Every linear layer of the base of a model with this head, including those after the last layer: the modules
    /// that can have an adapter. The head's layers are not among them, and neither is an output layer for words.
    #[must_use]
    pub fn linears(&self, head: Head) -> Vec<LinearShape> {
        self.base(head).tensors().iter().filter_map(TensorShape::linear).collect()
    }

    /// The linear layers that `targets` select: a target matches a module's whole name or its
    /// last dotted part or parts, as in PEFT.
    #[must_use]
    pub fn lora_targets(&self, head: Head, targets: &[String]) -> Vec<LinearShape> {
        let mut linears = self.linears(head);
        linears.retain(|linear| targets.iter().any(|target| linear.is_called(target)));
        linears
    }

    /// The tensors of base and head in the modules that `modules` select, by whole name or last dotted part
    /// or parts as in PEFT's `modules_to_save`.
    #[must_use]
    pub fn tensors_in(&self, head: Head, modules: &[String]) -> Vec<TensorShape> {
        let mut tensors = self.all_tensors(head);
        tensors.retain(|tensor| tensor.is_in(modules));
        tensors
    }

    /// The same for an adapter's settings here, where [`Lora::HEAD`] is the task's whole head, and never a module of
    /// the base that is called so.
    #[must_use]
    pub fn saved_tensors(&self, head: Head, modules: &[String]) -> Vec<TensorShape> {
        let (whole_head, named): (Vec<String>, Vec<String>) =
            modules.iter().cloned().partition(|module| module == Lora::HEAD);
        let mut tensors = self.all_tensors(head);
        tensors
            .retain(|tensor| tensor.is_in(&named) || (!whole_head.is_empty() && tensor.place == Place::Head));
        tensors
    }

    /// PEFT's default target modules for this family.
    #[must_use]
    pub fn default_lora_targets(&self) -> &'static [&'static str] {
        self.about().targets
    }

    /// Longest sequence the model can read, in tokens.
    #[must_use]
    pub fn max_length(&self) -> usize {
        self.family().max_length()
    }

    /// Rows of the word embedding.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.blueprint().embedding.words.rows
    }

    /// Id of the padding token.
    #[must_use]
    pub fn padding(&self) -> usize {
        self.family().padding()
    }

    /// How it reads two texts at a time.
    #[must_use]
    pub fn pairs(&self) -> Pairs {
        self.family().pairs()
    }

    /// Number of layers.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.blueprint().layers.len()
    }

    /// The number of layers, where there can be several.
    pub fn layers_mut(&mut self) -> Option<&mut usize> {
        self.family_mut().settable().layers
    }

    /// The same model with its first layers only, where it has more than one.
    #[must_use]
    pub fn truncated(&self, layers: usize) -> Self {
        let mut architecture = self.clone();
        if let Some(own) = architecture.layers_mut() {
            *own = layers;
        }
        architecture
    }

    /// Sets the number of rows of the word embedding.
    pub fn set_vocabulary(&mut self, rows: usize) {
        *self.family_mut().settable().vocabulary = rows;
    }

    /// Sets the constants that weights do not fix.
    pub fn set_dropouts(&mut self, dropouts: Dropouts) {
        let own = self.family_mut().settable();
        let hidden = own.hidden_dropouts.into_iter().map(|own| (own, dropouts.hidden));
        let attention = own.attention_dropout.into_iter().map(|own| (own, dropouts.attention));
        for (own, given) in hidden.chain(attention) {
            *own = given.unwrap_or(*own);
        }
    }
}
