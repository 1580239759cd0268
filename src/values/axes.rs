//! Owns the table of axes: every setting that a grid can vary, one row each. The reader of sweep files, its
//! JSON Schema and its messages, packs, tables, charts, frames and model cards all use it. Ids are hashes of
//! the fields themselves.
//!
//! The rows of an adapter's settings and of the training loop's are next to their fields: an axis is a field
//! and its row. Values are checked against [`Axis::domain`]; whether a value suits a model is checked
//! elsewhere.

use std::ops::Deref;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::method::LORA_AXES;
use super::setting::Value;
use super::training::TRAINING_AXES;
use super::{Configuration, Domain, Lora, Method, MethodKind, Setting, Training};

/// A setting that a grid can vary.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// Its key in the sweep file and in JSON.
    pub name: &'static str,
    /// What it is, in words, without its default.
    pub doc: &'static str,
    /// The methods that have it.
    pub applies: Applies,
    /// Its allowed values.
    pub domain: Domain,
    /// Whether trials that train together may differ in it.
    pub within_pack: WithinPack,
    /// Title of its column.
    pub title: &'static str,
    /// Prefix of its value in a label.
    pub short: &'static str,
    /// Whether it comes first in tables and labels.
    pub leads: bool,
    /// Its column in CSV files.
    pub column: &'static str,
    /// Whether results depend on it, and ids with them.
    pub decides: bool,
    /// Its names in other programs, each with how the value differs there.
    pub aliases: &'static [Alias],
    default: Option<&'static str>,
    text: fn(&Setting) -> String,
    access: Access,
}

/// Names in other programs, and how their value differs.
pub type Alias = (&'static [&'static str], &'static str);

/// The methods that have a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// All of them.
    Always,
    /// The methods that train.
    Training,
    /// The methods with adapters.
    Adapters,
}

/// Whether the slots of one pack may differ in a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithinPack {
    /// All slots have the same value, since it changes what is computed for all of them at once.
    Equal,
    /// Each slot has its own.
    MayDiffer,
}

/// Where a value is in a configuration.
#[derive(Clone, Copy, Debug)]
pub(super) enum Access {
    Task,
    Model,
    Method,
    Lora(fn(&Lora) -> Setting, fn(&mut Lora, &Setting) -> Option<()>),
    Training(fn(&Training) -> Setting, fn(&mut Training, &Setting) -> Option<()>),
}

/// The access to a field of [`Lora`] or [`Training`].
macro_rules! field {
    ($type:ident.$field:ident) => {
        $crate::values::axes::Access::$type(
            |all| $crate::values::setting::Value::setting(&all.$field),
            |all, setting| {
                all.$field = $crate::values::setting::Value::of(setting)?;
                Some(())
            },
        )
    };
}

pub(super) use field;

/// The settings that choose task, model and method.
const CHOICES: [Axis; 3] = [
    Axis::new("task", Domain::Text, WithinPack::Equal, Access::Task, "A name from `tasks`")
        .defaults_to("every task"),
    Axis::new("model", Domain::Text, WithinPack::Equal, Access::Model, "A name from `models`")
        .leading(),
    Axis::new(
        "method",
        Domain::Choice(MethodKind::WORDS),
        WithinPack::Equal,
        Access::Method,
        "lora trains adapters and head; dora these and the lengths of weights; full every weight; scratch every \
         weight, from random ones; base nothing",
    )
    .called(&[
        (&["peft_type", "finetuning_type", "adapter", "peft_method", "use_peft"], "`lora`, `dora` or `full`"),
        (&["use_dora"], "`dora`"),
    ])
    .leading(),
];

/// How many axes there are.
pub const COUNT: usize = CHOICES.len() + LORA_AXES.len() + TRAINING_AXES.len();

/// Index of the first setting of the training loop; all rows after it belong to the loop too.
pub const FIRST_OF_TRAINING: usize = CHOICES.len() + LORA_AXES.len();

/// The table.
pub static AXES: [Axis; COUNT] = {
    let mut axes = [CHOICES[0]; COUNT];
    let mut row = 0;
    while row < COUNT {
        axes[row] = if row < CHOICES.len() {
            CHOICES[row]
        } else if row < FIRST_OF_TRAINING {
            LORA_AXES[row - CHOICES.len()]
        } else {
            TRAINING_AXES[row - FIRST_OF_TRAINING]
        };
        row += 1;
    }
    axes
};

/// The row of this name.
///
/// # Panics
/// When there is no such row. In a constant, this is a compile error.
#[must_use]
pub const fn row(name: &str) -> usize {
    let mut row = 0;
    while row < COUNT {
        if is_same(AXES[row].name, name) {
            return row;
        }
        row += 1;
    }
    panic!("the table of axes has no such row")
}

/// Whether two texts are equal; also usable in constants.
pub(crate) const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// The axis that repeats an experiment rather than changing it.
pub const SEED: &str = "seed";

/// The axes in the order of tables and labels. Tasks are separated before any of them.
pub fn shown() -> impl Iterator<Item = &'static Axis> {
    let leading = AXES.iter().filter(|axis| axis.leads);
    leading.chain(AXES.iter().filter(|axis| !axis.leads && axis.name != "task"))
}

impl Axis {
    /// A row without a default of its own: its field's default applies.
    pub(super) const fn new(
        name: &'static str,
        domain: Domain,
        within_pack: WithinPack,
        access: Access,
        doc: &'static str,
    ) -> Self {
        let applies = match access {
            Access::Task | Access::Model | Access::Method => Applies::Always,
            Access::Lora(..) => Applies::Adapters,
            Access::Training(..) => Applies::Training,
        };
        let (title, column) = (name, name);
        let (short, leads, aliases, default, text) =
            ("", false, [].as_slice(), None, plain as fn(&Setting) -> String);
        Self {
            name,
            doc,
            applies,
            domain,
            within_pack,
            title,
            short,
            leads,
            column,
            decides: true,
            aliases,
            default,
            text,
            access,
        }
    }

    /// No result depends on it.
    pub(super) const fn without_effect(self) -> Self {
        Self { decides: false, ..self }
    }

    /// Methods that do not train have it too.
    pub(super) const fn always(self) -> Self {
        Self { applies: Applies::Always, ..self }
    }

    /// Title of its column, and prefix of its value in a label.
    pub(super) const fn shown(self, title: &'static str, short: &'static str) -> Self {
        Self { title, short, ..self }
    }

    /// It comes first in tables and labels.
    pub(super) const fn leading(self) -> Self {
        Self { leads: true, ..self }
    }

    /// Its column in CSV files.
    pub(super) const fn column(self, column: &'static str) -> Self {
        Self { column, ..self }
    }

    /// Its names in other programs.
    pub(super) const fn called(self, aliases: &'static [Alias]) -> Self {
        Self { aliases, ..self }
    }

    /// Its default in words, where the default depends on more than its field. Empty where there is none.
    pub(super) const fn defaults_to(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    /// How its values are written in tables and labels.
    pub(super) const fn written(self, text: fn(&Setting) -> String) -> Self {
        Self { text, ..self }
    }

    /// Whether a method has it.
    #[must_use]
    pub fn applies_to(&self, method: MethodKind) -> bool {
        match self.applies {
            Applies::Always => true,
            Applies::Training => method != MethodKind::Base,
            Applies::Adapters => method.adapts(),
        }
    }

    /// The value that a configuration has; `None` where its method has no such setting.
    #[must_use]
    pub fn get(&self, configuration: &Configuration) -> Option<Setting> {
        if !self.applies_to(configuration.method.kind()) {
            return None;
        }
        match self.access {
            Access::Task => Some(Setting::Text(configuration.task.clone())),
            Access::Model => Some(Setting::Text(configuration.model.clone())),
            Access::Method => Some(configuration.method.kind().setting()),
            Access::Lora(get, _) => configuration.method.lora().map(get),
            Access::Training(get, _) => Some(get(&configuration.training)),
        }
    }

    /// Sets it, where it is a setting of the method or of the training loop. `None` where the value has the
    /// wrong type, which no value of the domain has.
    pub fn set(&self, method: &mut Method, training: &mut Training, setting: &Setting) -> Option<()> {
        match (self.access, method) {
            (Access::Lora(_, set), Method::Lora(lora) | Method::Dora(lora)) => set(lora, setting),
            (Access::Training(_, set), _) => set(training, setting),
            (Access::Task | Access::Model | Access::Method | Access::Lora(..), _) => Some(()),
        }
    }

    /// Its default; `None` where the default depends on more than the field, or there is none.
    #[must_use]
    pub fn default(&self) -> Option<Setting> {
        match (self.default, self.access) {
            (Some(_), _) | (None, Access::Task | Access::Model | Access::Method) => None,
            (None, Access::Lora(get, _)) => Some(get(&Lora::default())),
            (None, Access::Training(get, _)) => Some(get(&Training::default())),
        }
    }

    /// What it is, with its default.
    #[must_use]
    pub fn description(&self) -> String {
        let default = self.default_text();
        if default.is_empty() { self.doc.to_owned() } else { format!("{} (default: {default})", self.doc) }
    }

    /// Its default in words; empty where a sweep has to give it.
    #[must_use]
    pub fn default_text(&self) -> String {
        match (self.default, self.default()) {
            (Some(words), _) => words.to_owned(),
            (None, Some(Setting::Null)) => "null".to_owned(),
            (None, Some(Setting::Number(small))) if small > 0.0 && small < 1e-3 => format!("{small:e}"),
            (None, Some(setting)) => setting.to_string(),
            (None, None) => String::new(),
        }
    }

    /// A value as shown in tables and labels.
    #[must_use]
    pub fn text(&self, setting: &Setting) -> String {
        (self.text)(setting)
    }

    /// The value written like this in tables and labels, where that is not YAML: a list with `+` between its
    /// items, or a word for an unset value, an empty list or a flag.
    #[must_use]
    pub fn spelled(&self, written: &str) -> Option<Setting> {
        let words = [Setting::Null, Setting::Texts(Vec::new()), Setting::Flag(false), Setting::Flag(true)];
        let is_written = |setting: &Setting| self.domain.holds(setting) && self.text(setting) == written;
        if let Some(word) = words.into_iter().find(is_written) {
            return Some(word);
        }
        if !self.domain.is_list() {
            return None;
        }
        let items = written.split('+').map(str::trim);
        let setting = if self.domain.is_text() {
            Setting::Texts(items.map(str::to_owned).collect())
        } else {
            Setting::Counts(items.map(|item| item.parse().ok()).collect::<Option<_>>()?)
        };
        self.domain.holds(&setting).then_some(setting)
    }

    /// The value that a configuration has, as text; `None` where its method has no such setting.
    #[must_use]
    pub fn value(&self, configuration: &Configuration) -> Option<String> {
        self.get(configuration).map(|setting| self.text(&setting))
    }

    /// Whether configurations that have the setting differ in it.
    #[must_use]
    pub fn varies(&self, configurations: &[&Configuration]) -> bool {
        let mut values = configurations.iter().filter_map(|one| self.get(one));
        let first = values.next();
        values.any(|value| Some(value) != first)
    }
}

fn plain(setting: &Setting) -> String {
    setting.to_string()
}

/// A small number by its power of ten: `5e-3`.
pub(super) fn scientific(setting: &Setting) -> String {
    if let Setting::Number(number) = setting { format!("{number:e}") } else { setting.to_string() }
}

/// All settings of a configuration as one JSON object; null where its method has no such setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings<C>(pub C);

impl<C: Deref<Target = Configuration>> Serialize for Settings<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(COUNT))?;
        for axis in &AXES {
            map.serialize_entry(axis.name, &axis.get(&self.0))?;
        }
        map.end()
    }
}

/// What configurations must have in common for their trials to train in one pack.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackKey(Vec<Option<Setting>>);

impl PackKey {
    /// The key of a configuration: its value on every axis whose row is [`WithinPack::Equal`].
    #[must_use]
    pub fn of(configuration: &Configuration) -> Self {
        let alike = AXES.iter().filter(|axis| axis.within_pack == WithinPack::Equal);
        Self(alike.map(|axis| axis.get(configuration)).collect())
    }
}

#[cfg(test)]
mod tests;
