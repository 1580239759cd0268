//! Owns what an adapter's settings mean for an architecture: which layers get an adapter, and which of
//! the settings name something that it does not have. Pure.

use std::collections::BTreeSet;

use super::{Architecture, Head, LinearShape, TensorShape};
use crate::values::Lora;

impl Architecture {
    /// The layers that get an adapter.
    #[must_use]
    pub fn adapted(&self, lora: &Lora) -> Vec<LinearShape> {
        self.lora_targets(&lora.targets)
    }
}

/// What an adapter's settings can name in a model with a head.
#[derive(Debug)]
pub struct Nameable<'a> {
    architecture: &'a Architecture,
    head: Head,
    /// The last parts of the names of modules that can have an adapter.
    targets: Vec<String>,
    /// The last parts of the names of all modules, the head's too.
    modules: Vec<String>,
}

/// Something that an adapter's settings name and the model does not have.
#[derive(Debug)]
pub struct Misfit<'a> {
    /// The axis whose value it is.
    pub axis: &'static str,
    /// Its place in the value's list, from 0.
    pub item: usize,
    /// What is named.
    pub found: String,
    /// What could be named.
    pub known: Known<'a>,
    /// What it is not, in words: `target ` and ` matches no module`.
    said: [&'static str; 2],
}

/// What an adapter's settings could name.
#[derive(Debug)]
pub enum Known<'a> {
    /// One of these names.
    Names(&'a [String]),
    /// A number from 0 to this.
    UpTo(usize),
}

impl Misfit<'_> {
    /// What is wrong, with the name as it is to be shown.
    #[must_use]
    pub fn message(&self, shown: &str, model: &str) -> String {
        let [before, behind] = self.said;
        format!("{before}`{shown}`{behind} of model `{model}`")
    }
}

impl<'a> Nameable<'a> {
    /// Of a model of this architecture with this head.
    #[must_use]
    pub fn of(architecture: &'a Architecture, head: Head) -> Self {
        let (tensors, heads) = (architecture.tensors(), architecture.head_tensors(head));
        let mut targets = last_parts(tensors.iter());
        targets.retain(|name| !architecture.lora_targets(std::slice::from_ref(name)).is_empty());
        let mut modules = vec![Lora::HEAD.to_owned()];
        modules.extend(last_parts(tensors.iter().chain(&heads)));
        Self { architecture, head, targets, modules }
    }

    /// What the settings name and the model does not have, in the settings' order.
    pub fn misfits<'m>(&'m self, lora: &'m Lora) -> impl Iterator<Item = Misfit<'m>> {
        let one = std::slice::from_ref;
        let targets = lora.targets.iter().enumerate();
        let targets =
            targets.filter(move |(_, target)| self.architecture.lora_targets(one(target)).is_empty());
        let targets = targets.map(|(item, target)| Misfit {
            axis: "targets",
            item,
            found: target.clone(),
            known: Known::Names(&self.targets),
            said: ["target ", " matches no module"],
        });
        let modules = lora.modules_to_save.iter().enumerate();
        let modules = modules.filter(move |(_, module)| {
            *module != Lora::HEAD && self.architecture.saved_tensors(self.head, one(module)).is_empty()
        });
        let modules = modules.map(|(item, module)| Misfit {
            axis: "modules_to_save",
            item,
            found: module.clone(),
            known: Known::Names(&self.modules),
            said: ["", " is not a module"],
        });
        targets.chain(modules)
    }
}

/// The last part of the module's name of each of these tensors, each once.
fn last_parts<'a>(tensors: impl Iterator<Item = &'a TensorShape>) -> Vec<String> {
    let module = |tensor: &TensorShape| tensor.name.rsplit('.').nth(1).map(str::to_owned);
    tensors.filter_map(module).collect::<BTreeSet<_>>().into_iter().collect()
}
