//! Owns what an adapter's settings mean for an architecture: which layers get an adapter, and which settings
//! name a module or layer that does not exist. Pure.

use std::collections::BTreeSet;

use super::{Architecture, Head, LinearShape, TensorShape};
use crate::values::Lora;

impl Architecture {
    /// The layers that get an adapter in a model with this head.
    #[must_use]
    pub fn adapted(&self, head: Head, lora: &Lora) -> Vec<LinearShape> {
        // As in PEFT, a module named in full gets its adapter whatever its layer.
        let is_kept = |layer: &LinearShape| match &lora.layers_to_transform {
            Some(layers) => {
                lora.targets.contains(&layer.name)
                    || layer.place.layer().is_some_and(|layer| layers.contains(&layer))
            }
            None => true,
        };
        self.targeted(head, &lora.targets).into_iter().filter(is_kept).collect()
    }

    /// The layers that these targets select, in any layer.
    fn targeted(&self, head: Head, targets: &[String]) -> Vec<LinearShape> {
        if targets == [Lora::ALL_LINEAR] { self.linears(head) } else { self.lora_targets(head, targets) }
    }
}

/// The names that an adapter's settings can use for a model with a head.
#[derive(Debug)]
pub struct Nameable<'a> {
    architecture: &'a Architecture,
    head: Head,
    /// The last parts of the names of modules that can have an adapter.
    targets: Vec<String>,
    /// The last parts of the names of all modules, including the head's.
    modules: Vec<String>,
}

/// A name in an adapter's settings that the model does not have.
#[derive(Debug)]
pub struct Misfit<'a> {
    /// The axis that has it as a value.
    pub axis: &'static str,
    /// Its index in the value's list.
    pub item: usize,
    /// The name.
    pub found: String,
    /// The possible names.
    pub known: Known<'a>,
    /// The parts of the message around the name: `target ` and ` matches no module`.
    said: [&'static str; 2],
}

/// The possible values of an adapter's setting.
#[derive(Debug)]
pub enum Known<'a> {
    /// One of these names.
    Names(&'a [String]),
    /// A number from 0 to this.
    UpTo(usize),
}

impl Misfit<'_> {
    /// The message, with the name as it is to be shown.
    #[must_use]
    pub fn message(&self, shown: &str, model: &str) -> String {
        let [before, behind] = self.said;
        format!("{before}`{shown}`{behind} of model `{model}`")
    }
}

impl<'a> Nameable<'a> {
    /// The names in a model of this architecture with this head.
    #[must_use]
    pub fn of(architecture: &'a Architecture, head: Head) -> Self {
        let (tensors, heads) = (architecture.base_tensors(head), architecture.head_tensors(head));
        let mut targets = vec![Lora::ALL_LINEAR.to_owned()];
        targets.extend(last_parts(tensors.iter()));
        targets.retain(|name| !architecture.targeted(head, std::slice::from_ref(name)).is_empty());
        let mut modules = vec![Lora::HEAD.to_owned()];
        modules.extend(last_parts(tensors.iter().chain(&heads)));
        Self { architecture, head, targets, modules }
    }

    /// The names in the settings that the model does not have, in the settings' order.
    pub fn misfits<'m>(&'m self, lora: &'m Lora) -> impl Iterator<Item = Misfit<'m>> {
        let one = std::slice::from_ref;
        let is_alone = lora.targets.len() == 1;
        let targets = lora.targets.iter().enumerate();
        let targets = targets.filter(move |(_, target)| {
            (*target == Lora::ALL_LINEAR && !is_alone)
                || self.architecture.targeted(self.head, one(target)).is_empty()
        });
        let targets = targets.map(|(item, target)| Misfit {
            axis: "targets",
            item,
            found: target.clone(),
            known: Known::Names(&self.targets),
            said: match target.as_str() {
                Lora::ALL_LINEAR => ["target ", " stands alone, for every linear layer"],
                _ => ["target ", " matches no module"],
            },
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
        targets.chain(modules).chain(self.odd_layers(lora))
    }

    /// Layers that the model does not have; all of them if no target is in any of them.
    fn odd_layers<'m>(&'m self, lora: &'m Lora) -> impl Iterator<Item = Misfit<'m>> {
        let layers = lora.layers_to_transform.as_deref().unwrap_or_default();
        let misfit = |item: usize, said: [&'static str; 2]| Misfit {
            axis: "layers_to_transform",
            item,
            found: layers[item].to_string(),
            known: Known::UpTo(self.architecture.layers() - 1),
            said,
        };
        let has = |layer: &usize| *layer < self.architecture.layers();
        let is_empty = !layers.is_empty()
            && layers.iter().all(has)
            && !self.architecture.targeted(self.head, &lora.targets).is_empty()
            && self.architecture.adapted(self.head, lora).is_empty();
        let beyond = (0..layers.len()).filter(move |item| !has(&layers[*item]));
        let beyond = beyond.map(move |item| misfit(item, ["", " is not a layer"]));
        beyond.chain(is_empty.then(|| misfit(0, ["no target is in layer ", ""])))
    }
}

/// The last part of the module name of each of these tensors, without repetitions.
fn last_parts<'a>(tensors: impl Iterator<Item = &'a TensorShape>) -> Vec<String> {
    let module = |tensor: &TensorShape| tensor.name.rsplit('.').nth(1).map(str::to_owned);
    tensors.filter_map(module).collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::params::count;
    use crate::families::{BertConfig, Gpt2Config};
    use crate::values::Method;

    fn bert(layers: usize, hidden: usize, intermediate: usize) -> Architecture {
        Architecture::Bert(BertConfig {
            num_hidden_layers: layers,
            hidden_size: hidden,
            intermediate_size: intermediate,
            num_attention_heads: hidden / 64,
            ..BertConfig::default()
        })
    }

    #[test]
    fn adapters_in_some_layers_count_there_alone() {
        let layers = |layers: &[usize]| {
            let layers_to_transform = Some(layers.to_vec());
            let lora = Lora { layers_to_transform, ..Lora::new(&["query", "value"], 8, 16.0) };
            count(&bert(12, 768, 3072), Head::Classifier { labels: 2 }, &Method::Lora(lora)).adapter
        };
        assert_eq!([&[0, 11][..], &[5]].map(layers), [294_912 / 6, 294_912 / 12]);
    }

    #[test]
    fn every_linear_layer_counts_as_peft_counts_it() {
        let counts = |architecture: &Architecture, head: Head| {
            let counts = count(architecture, head, &Method::Lora(Lora::new(&["all-linear"], 8, 16.0)));
            (counts.adapter, counts.trainable)
        };
        let classes = Head::Classifier { labels: 4 };
        let gpt2 = Architecture::Gpt2(Gpt2Config::default());
        // PEFT 0.21.2 with `target_modules="all-linear"`, r = 8, on models of transformers with these shapes.
        assert_eq!(counts(&bert(12, 768, 3072), classes), (1_339_392, 1_342_468));
        assert_eq!(counts(&bert(2, 128, 512), classes), (38_912, 39_428));
        assert_eq!(counts(&gpt2, Head::LanguageModel), (1_179_648, 1_179_648));
        assert_eq!(counts(&gpt2, classes), (1_179_648, 1_182_720));
    }
}
