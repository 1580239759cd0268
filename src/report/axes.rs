//! Owns what a configuration is called: which of its settings are axes of the grid, and how each is
//! written in a table and in a label. Pure.

use crate::values::{Configuration, Keep, Lora, Method, Schedule, Training};

use super::format;

/// The title of the axis that repeats an experiment rather than changing it.
pub const SEED: &str = "seed";

/// A setting that a grid can vary.
#[derive(Debug)]
pub struct Axis {
    /// Column title.
    pub title: &'static str,
    /// What stands before the value in a label.
    pub short: &'static str,
    /// The value as text; `None` where the method has no such setting.
    pub value: fn(&Configuration) -> Option<String>,
}

/// The settings that come first in tables and names.
pub static SHOWN: [Axis; 6] = [
    Axis { title: "model", short: "", value: |c| Some(c.model.clone()) },
    Axis { title: "method", short: "", value: |c| Some(c.method.name().to_owned()) },
    Axis { title: "rank", short: "r=", value: |c| c.method.lora().map(|l| l.rank.to_string()) },
    Axis { title: "alpha", short: "α=", value: |c| c.method.lora().map(|l| l.alpha.to_string()) },
    Axis { title: "dropout", short: "dropout ", value: |c| c.method.lora().map(|l| l.dropout.to_string()) },
    Axis {
        title: "learning rate",
        short: "lr ",
        value: |c| training(c, |t| format::scientific(t.learning_rate)),
    },
];

/// The settings that are shown where they vary.
pub static OTHER: [Axis; 17] = [
    Axis { title: "targets", short: "", value: |c| c.method.lora().map(|l| l.targets.join("+")) },
    Axis { title: "saved modules", short: "with ", value: |c| c.method.lora().map(saved_modules) },
    Axis { title: "scale", short: "", value: |c| c.method.lora().map(|l| scale_name(l.rslora)) },
    Axis { title: "epochs", short: "epochs ", value: |c| training(c, |t| t.epochs.to_string()) },
    Axis { title: "batch size", short: "batch ", value: |c| training(c, |t| t.batch_size.to_string()) },
    Axis { title: "accumulation", short: "acc ", value: |c| training(c, |t| t.accumulation.to_string()) },
    Axis { title: "schedule", short: "", value: |c| training(c, |t| schedule_name(t.schedule)) },
    Axis { title: "warm-up", short: "warm-up ", value: |c| training(c, |t| t.warmup.to_string()) },
    Axis { title: "weight decay", short: "decay ", value: |c| training(c, |t| t.weight_decay.to_string()) },
    Axis { title: "clip norm", short: "clip ", value: |c| training(c, |t| or_none(t.clip_norm)) },
    Axis { title: "beta1", short: "β1=", value: |c| training(c, |t| t.beta1.to_string()) },
    Axis { title: "beta2", short: "β2=", value: |c| training(c, |t| t.beta2.to_string()) },
    Axis { title: "epsilon", short: "ε=", value: |c| training(c, |t| format::scientific(t.epsilon)) },
    Axis { title: "evaluate every", short: "eval ", value: |c| training(c, |t| or_none(t.evaluate_every)) },
    Axis { title: "keep", short: "keep ", value: |c| training(c, |t| keep_name(t.keep)) },
    Axis { title: "precision", short: "", value: |c| Some(c.training.precision.name().to_owned()) },
    Axis { title: SEED, short: "seed ", value: |c| Some(c.training.seed.to_string()) },
];

impl Axis {
    /// Whether configurations that have the setting differ in it.
    #[must_use]
    pub fn varies(&self, configurations: &[&Configuration]) -> bool {
        let mut values = configurations.iter().filter_map(|c| (self.value)(c));
        let first = values.next();
        values.any(|value| Some(value) != first)
    }
}

/// The settings outside [`SHOWN`] in which some configurations differ.
#[must_use]
pub fn also_varying(configurations: &[&Configuration]) -> Vec<&'static Axis> {
    OTHER.iter().filter(|axis| axis.varies(configurations)).collect()
}

/// A short name for each configuration, in the order given: see [`Naming`].
#[must_use]
pub fn labels(configurations: &[&Configuration]) -> Vec<String> {
    let naming = Naming::of(configurations);
    configurations.iter().map(|one| naming.label(one)).collect()
}

/// What tells configurations apart: for each method the settings that its names have.
#[derive(Debug)]
pub struct Naming(Vec<(&'static str, Vec<&'static Axis>)>);

impl Naming {
    /// Of these configurations. Names have the settings in which configurations of the same method
    /// differ; rank and alpha name an adapter even where they do not vary. The axes cover every
    /// setting, so no two names are equal.
    #[must_use]
    pub fn of(configurations: &[&Configuration]) -> Self {
        let mut methods: Vec<(&'static str, Vec<&Configuration>)> = Vec::new();
        for &one in configurations {
            match methods.iter_mut().find(|(method, _)| *method == one.method.name()) {
                Some((_, alike)) => alike.push(one),
                None => methods.push((one.method.name(), vec![one])),
            }
        }
        let named = |alike: &[&Configuration]| {
            let names = |axis: &&Axis| matches!(axis.title, "rank" | "alpha") || axis.varies(alike);
            SHOWN.iter().chain(&OTHER).filter(names).collect()
        };
        Self(methods.into_iter().map(|(method, alike)| (method, named(&alike))).collect())
    }

    /// The name of one of them.
    #[must_use]
    pub fn label(&self, one: &Configuration) -> String {
        let axes = self.0.iter().find(|(method, _)| *method == one.method.name());
        let mut label = method_name(&one.method).to_owned();
        for axis in axes.iter().flat_map(|(_, axes)| axes) {
            if let Some(value) = (axis.value)(one) {
                label = format!("{label} {}{value}", axis.short);
            }
        }
        label
    }
}

/// The method's name as texts write it.
#[must_use]
pub fn method_name(method: &Method) -> &'static str {
    match method {
        Method::Lora(_) => "LoRA",
        Method::Full => "full fine-tuning",
        Method::Scratch => "from scratch",
        Method::Base => "base, not trained",
    }
}

/// The schedule's name in sweep files.
#[must_use]
pub fn schedule_name(schedule: Schedule) -> String {
    match schedule {
        Schedule::Linear => "linear",
        Schedule::Cosine => "cosine",
        Schedule::Constant => "constant",
    }
    .to_owned()
}

/// The name in sweep files of the weights that are judged.
#[must_use]
pub fn keep_name(keep: Keep) -> String {
    match keep {
        Keep::Last => "last",
        Keep::Best => "best",
    }
    .to_owned()
}

fn scale_name(rslora: bool) -> String {
    if rslora { "α/√r" } else { "α/r" }.to_owned()
}

/// Modules that train as a whole beside the adapters, joined by `+`.
#[must_use]
pub fn saved_modules(lora: &Lora) -> String {
    if lora.modules_to_save.is_empty() { "none".to_owned() } else { lora.modules_to_save.join("+") }
}

/// A setting of the training loop, where there is training.
fn training(configuration: &Configuration, text: fn(&Training) -> String) -> Option<String> {
    (configuration.method != Method::Base).then(|| text(&configuration.training))
}

fn or_none<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}
